//! What an installed rollup consists of, one by one. Owns the list that leftovers and drift are told by.

use highwater_db::session::Dialect;

use crate::declare::Declaration;
use crate::sql::Shape;
use crate::{bypass, state};

/// Something that is installed.
#[derive(Debug)]
pub(super) struct Object {
    pub(super) kind: Kind,
    /// The name, as SQL quotes it.
    pub(super) name: String,
    /// The statements that make it again, in order; nothing where no statement gives back what was in it.
    pub(super) make: Vec<String>,
}

#[derive(Debug)]
pub(super) enum Kind {
    /// With its columns; those that are copies of another table's column have its type.
    Table(Vec<Column>),
    Index,
    /// The one on the event time, which may be somebody else's.
    EventIndex,
    /// The table whose triggers call it, and the statement that makes it.
    Function {
        on: String,
        statement: String,
    },
    /// The table that it is on, and the statement that makes it.
    Trigger {
        on: String,
        statement: String,
    },
}

#[derive(Debug)]
pub(super) struct Column {
    pub(super) name: String,
    /// The table, as SQL quotes it, and the column that it is a copy of.
    pub(super) copy_of: Option<(String, String)>,
}

fn plain(name: &str) -> Column {
    Column { name: name.trim_matches('"').to_owned(), copy_of: None }
}

impl Object {
    /// The kind in a word, for people.
    pub(super) fn word(&self) -> &'static str {
        match self.kind {
            Kind::Table(_) => "table",
            Kind::Index | Kind::EventIndex => "index",
            Kind::Function { .. } => "function",
            Kind::Trigger { .. } => "trigger",
        }
    }

    /// The name without quotes, for people.
    pub(super) fn shown(&self) -> String {
        format!("{} {}", self.word(), self.name.replace('"', ""))
    }
}

fn state_columns(dialect: Dialect) -> Vec<Column> {
    let both = ["one", "watermark", "seeded_at", "installed_at", "frozen_before", "seeded_from", "declared"];
    let leaves = (dialect == Dialect::Postgres).then_some("leaves");
    both.into_iter().chain(leaves).map(plain).collect()
}

/// All of it, in the order of installing.
pub(super) fn objects(dialect: Dialect, declaration: &Declaration) -> Vec<Object> {
    let shape = Shape::of(dialect, declaration);
    let table =
        |name: String, columns: Vec<Column>, make: Vec<String>| Object { kind: Kind::Table(columns), name, make };
    let repairs = shape.repair_columns();
    let mut all = vec![
        table(state::name(declaration).quoted(), state_columns(dialect), Vec::new()),
        table(
            declaration.target.quoted(),
            shape.target_columns().iter().map(|column| plain(column)).collect(),
            Vec::new(),
        ),
        Object { kind: Kind::Index, name: shape.own("cell").quoted(), make: vec![super::target_index(&shape)] },
        // How it is made depends on what is there.
        Object { kind: Kind::EventIndex, name: super::event::name(&shape), make: Vec::new() },
        table(
            shape.repairs(),
            repairs.iter().map(String::as_str).chain(["id"]).map(plain).collect(),
            super::repairs(&shape),
        ),
    ];
    if dialect == Dialect::Postgres {
        let make = bypass::install(&shape).into_iter().take(1).collect();
        all.push(table(bypass::name(&shape).quoted(), ["id", "happened_at", "what"].map(plain).into(), make));
    }
    for tracked in &shape.tracked {
        let copied =
            tracked.matches.iter().zip(tracked.match_names()).chain(tracked.values.iter().zip(tracked.value_names()));
        let copies =
            copied.map(|(column, name)| Column { name, copy_of: Some((tracked.table.quoted(), column.to_string())) });
        let columns = copies.chain(["id", "changed_at", "present"].map(plain)).collect();
        all.push(table(shape.queue(tracked), columns, super::queue(&shape, tracked)));
        let on = || tracked.table.quoted();
        let mut statements = super::triggers(&shape, tracked).into_iter();
        if dialect == Dialect::Postgres {
            let statement = statements.next().expect("invariant: the function is before its triggers");
            let again = statement.replacen("CREATE FUNCTION", "CREATE OR REPLACE FUNCTION", 1);
            let name = super::function(&shape, tracked);
            let make = vec![again, super::keep_function(&shape, tracked)];
            all.push(Object { kind: Kind::Function { on: on(), statement }, name, make });
        }
        for (name, statement) in super::trigger_names(&shape, tracked).into_iter().zip(statements) {
            let make = vec![statement.clone()];
            all.push(Object { kind: Kind::Trigger { on: on(), statement }, name, make });
        }
    }
    all
}
