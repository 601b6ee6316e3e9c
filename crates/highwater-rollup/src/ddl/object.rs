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
}

#[derive(Debug)]
pub(super) enum Kind {
    /// With its columns; those that are copies of another table's column have its type.
    Table(Vec<Column>),
    Index,
    /// The one on the event time, which may be somebody else's.
    EventIndex,
    /// By the statement that makes it.
    Function(String),
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
            Kind::Function(_) => "function",
            Kind::Trigger { .. } => "trigger",
        }
    }

    /// The name without quotes, for people.
    pub(super) fn shown(&self) -> String {
        format!("{} {}", self.word(), self.name.replace('"', ""))
    }
}

fn state_columns(dialect: Dialect) -> Vec<Column> {
    let both = ["one", "watermark", "seeded_at", "installed_at", "frozen_before", "declared"];
    let leaves = (dialect == Dialect::Postgres).then_some("leaves");
    both.into_iter().chain(leaves).map(plain).collect()
}

/// All of it, in the order of installing.
pub(super) fn objects(dialect: Dialect, declaration: &Declaration) -> Vec<Object> {
    let shape = Shape::of(dialect, declaration);
    let table = |name: String, columns: Vec<Column>| Object { kind: Kind::Table(columns), name };
    let index = |name: String| Object { kind: Kind::Index, name };
    let repairs = shape.repair_columns();
    let mut all = vec![
        table(state::name(declaration).quoted(), state_columns(dialect)),
        table(declaration.target.quoted(), shape.target_columns().iter().map(|column| plain(column)).collect()),
        index(shape.own("cell").quoted()),
        Object { kind: Kind::EventIndex, name: super::event::name(&shape) },
        table(shape.repairs(), repairs.iter().map(String::as_str).chain(["id"]).map(plain).collect()),
    ];
    if dialect == Dialect::Postgres {
        all.push(table(bypass::name(&shape).quoted(), ["id", "happened_at", "what"].map(plain).into()));
    }
    for tracked in &shape.tracked {
        let copied =
            tracked.matches.iter().zip(tracked.match_names()).chain(tracked.values.iter().zip(tracked.value_names()));
        let copies =
            copied.map(|(column, name)| Column { name, copy_of: Some((tracked.table.quoted(), column.to_string())) });
        let columns = copies.chain(["id", "changed_at", "present"].map(plain)).collect();
        all.push(table(shape.queue(tracked), columns));
        let mut statements = super::triggers(&shape, tracked).into_iter();
        if dialect == Dialect::Postgres {
            let function = statements.next().expect("invariant: the function is before its triggers");
            all.push(Object { kind: Kind::Function(function), name: super::function(&shape, tracked) });
        }
        for (name, statement) in super::trigger_names(&shape, tracked).into_iter().zip(statements) {
            all.push(Object { kind: Kind::Trigger { on: tracked.table.quoted(), statement }, name });
        }
    }
    all
}
