//! What SQL of a declaration is made of, in either dialect: which tables are tracked, by which columns, and the expressions
//! that both the seed and the drain must agree on. Owns every expression that says which bucket a row is in.

mod time;

use highwater_db::session::Dialect;
use jiff::Timestamp;

use crate::declare::{Aggregate, BUCKET, ColumnRef, Declaration, Ident, SOURCE, TableName};

/// A table whose changes are noticed: the source, or what it joins to.
#[derive(Debug)]
pub(crate) struct Tracked {
    /// What columns call it.
    pub(crate) alias: Ident,
    pub(crate) table: TableName,
    /// The columns that find a row of it: the source's key, or those of the join's `on`.
    pub(crate) matches: Vec<Ident>,
    /// Which table it is found from, and by which of its columns; nothing for the source.
    pub(crate) parent: Option<Parent>,
    /// The columns that decide which cells a row is counted in.
    pub(crate) values: Vec<Ident>,
    /// The columns that are only aggregated.
    pub(crate) aggregated: Vec<Ident>,
    pub(crate) optional: bool,
}

/// Where a joined table hangs.
#[derive(Debug)]
pub(crate) struct Parent {
    pub(crate) at: usize,
    pub(crate) columns: Vec<Ident>,
}

impl Tracked {
    /// The value column's place, as queues and working tables number them.
    pub(crate) fn value(&self, column: &Ident) -> String {
        let at = self.values.iter().position(|value| value == column);
        format!("v{}", at.expect("invariant: every column that is used was collected"))
    }

    pub(crate) fn match_names(&self) -> Vec<String> {
        (0..self.matches.len()).map(|at| format!("m{at}")).collect()
    }

    pub(crate) fn value_names(&self) -> Vec<String> {
        (0..self.values.len()).map(|at| format!("v{at}")).collect()
    }
}

/// A declaration as SQL sees it.
#[derive(Debug)]
pub(crate) struct Shape<'d> {
    pub(crate) dialect: Dialect,
    pub(crate) declaration: &'d Declaration,
    /// The source first; a join after the table it is found from.
    pub(crate) tracked: Vec<Tracked>,
}

impl<'d> Shape<'d> {
    /// The shape of a declaration that was checked.
    pub(crate) fn of(dialect: Dialect, declaration: &'d Declaration) -> Self {
        let source = Ident::new(SOURCE).expect("invariant: a name");
        let mut tracked = vec![Tracked {
            alias: source,
            table: declaration.source.clone(),
            matches: declaration.source_key.clone(),
            parent: None,
            values: vec![declaration.event_time.clone()],
            aggregated: Vec::new(),
            optional: false,
        }];
        for (alias, join) in &declaration.join {
            let parent = join.on.values().next().expect("invariant: the declaration was checked");
            let at = tracked.iter().position(|table| table.alias == parent.table);
            let at = at.expect("invariant: the declaration was checked");
            let columns: Vec<Ident> = join.on.values().map(|column| column.column.clone()).collect();
            columns.iter().for_each(|column| add(&mut tracked[at].values, column));
            tracked.push(Tracked {
                alias: alias.clone(),
                table: join.table.clone(),
                matches: join.on.keys().cloned().collect(),
                parent: Some(Parent { at, columns }),
                values: Vec::new(),
                aggregated: Vec::new(),
                optional: join.optional,
            });
        }
        let mut shape = Self { dialect, declaration, tracked };
        for column in declaration.keys.values() {
            add(&mut shape.of_alias(&column.table).values, &column.column);
        }
        for column in declaration.aggregates.values().filter_map(Aggregate::column) {
            add(&mut shape.of_alias(&column.table).aggregated, &column.column);
        }
        shape
    }

    fn of_alias(&mut self, alias: &Ident) -> &mut Tracked {
        let found = self.tracked.iter_mut().find(|table| table.alias == *alias);
        found.expect("invariant: the declaration was checked")
    }

    /// A table that highwater keeps beside the target.
    pub(crate) fn own(&self, suffix: &str) -> TableName {
        let name = format!("{}_{suffix}", self.declaration.target.table());
        self.declaration.target.beside(Ident::new(&name).expect("invariant: the declaration was checked"))
    }

    /// The name of the queue of what changed in a tracked table.
    pub(crate) fn queue_name(&self, table: &Tracked) -> TableName {
        self.own(&format!("dirty_{}", table.alias))
    }

    /// The same, as SQL quotes it.
    pub(crate) fn queue(&self, table: &Tracked) -> String {
        self.queue_name(table).quoted()
    }

    /// The queue of cells that are to be repaired.
    pub(crate) fn repairs(&self) -> String {
        self.own("repair").quoted()
    }

    /// Its copies of the columns of a cell, which may have any name.
    pub(crate) fn repair_columns(&self) -> Vec<String> {
        (0..=self.declaration.keys.len()).map(|at| format!("c{at}")).collect()
    }

    /// A table of this session, gone with it.
    pub(crate) fn working(&self, name: &str) -> String {
        let table = Ident::new(&format!("{}_{name}", self.declaration.target.table()));
        format!("{}.{}", self.temporary(), table.expect("invariant: the declaration was checked").quoted())
    }

    fn temporary(&self) -> &'static str {
        match self.dialect {
            Dialect::Postgres => "pg_temp",
            Dialect::Sqlite => "temp",
        }
    }

    /// A place for a time that is given as RFC 3339 text.
    pub(crate) fn time(&self, number: usize) -> String {
        match self.dialect {
            Dialect::Postgres => format!("${number}::text::timestamptz"),
            Dialect::Sqlite => format!("?{number}"),
        }
    }

    /// A time as it stands in a statement.
    pub(crate) fn instant(&self, time: Timestamp) -> String {
        match self.dialect {
            Dialect::Postgres => format!("timestamptz '{time}'"),
            Dialect::Sqlite => format!("'{time}'"),
        }
    }

    /// A place for a whole number.
    pub(crate) fn number(&self, number: usize) -> String {
        match self.dialect {
            Dialect::Postgres => format!("${number}::bigint"),
            Dialect::Sqlite => format!("?{number}"),
        }
    }

    /// Equal, and NULL equals NULL.
    pub(crate) fn same(&self, left: &str, right: &str) -> String {
        match self.dialect {
            Dialect::Postgres => format!("{left} IS NOT DISTINCT FROM {right}"),
            Dialect::Sqlite => format!("{left} IS {right}"),
        }
    }

    /// Not equal, and NULL equals NULL.
    pub(crate) fn differs(&self, left: &str, right: &str) -> String {
        match self.dialect {
            Dialect::Postgres => format!("{left} IS DISTINCT FROM {right}"),
            Dialect::Sqlite => format!("{left} IS NOT {right}"),
        }
    }

    /// As text, for people.
    pub(crate) fn text(&self, expression: &str) -> String {
        format!("CAST({expression} AS text)")
    }

    /// Whether two values of an aggregate are not the same; sums of inexact numbers depend on the order of their terms, and may
    /// differ by a billionth.
    pub(crate) fn apart(&self, left: &str, right: &str, is_exact: bool) -> String {
        let differs = self.differs(left, right);
        if is_exact {
            return differs;
        }
        let (is_inexact, larger, infinity) = match self.dialect {
            Dialect::Postgres => {
                (format!("pg_typeof({left})::text IN ('real', 'double precision')"), "greatest", "float8 'Infinity'")
            }
            Dialect::Sqlite => (format!("'real' IN (typeof({left}), typeof({right}))"), "max", "9e999"),
        };
        // What is not finite is near to nothing but itself; PostgreSQL's NaN is above infinity.
        let larger = format!("{larger}(abs({left}), abs({right}))");
        format!(
            "({differs} AND NOT CASE WHEN {left} IS NOT NULL AND {right} IS NOT NULL AND {is_inexact} \
             THEN {larger} < {infinity} AND abs({left} - {right}) <= 1e-9 * {larger} ELSE false END)"
        )
    }

    /// `"alias"."column"`.
    pub(crate) fn column(column: &ColumnRef) -> String {
        format!("{}.{}", column.table.quoted(), column.column.quoted())
    }

    /// The source's event time.
    pub(crate) fn event_time(&self) -> String {
        format!("\"{SOURCE}\".{}", self.declaration.event_time.quoted())
    }

    /// The columns of a cell: the bucket, then the keys, as the target calls them.
    pub(crate) fn cell_columns(&self) -> Vec<String> {
        let bucket = Ident::new(BUCKET).expect("invariant: a name").quoted();
        [bucket].into_iter().chain(self.declaration.keys.keys().map(Ident::quoted)).collect()
    }

    /// All columns of the target.
    pub(crate) fn target_columns(&self) -> Vec<String> {
        let values = self.declaration.value_columns().into_iter().map(|name| format!("\"{name}\""));
        self.cell_columns().into_iter().chain(values).collect()
    }

    /// The expressions of a cell, over the joined tables.
    pub(crate) fn cell_expressions(&self) -> Vec<String> {
        let keys = self.declaration.keys.values().map(Self::column);
        [self.bucket(&self.event_time())].into_iter().chain(keys).collect()
    }

    /// The expressions of the values, over the joined tables.
    fn value_expressions(&self) -> Vec<String> {
        let expressions = self.declaration.aggregates.values().flat_map(|aggregate| match aggregate {
            Aggregate::Count => vec!["count(*)".to_owned()],
            Aggregate::CountDistinct(column) => vec![format!("count(DISTINCT {})", Self::column(column))],
            Aggregate::Sum(column) => vec![format!("sum({})", Self::column(column))],
            Aggregate::Min(column) => vec![format!("min({})", Self::column(column))],
            Aggregate::Max(column) => vec![format!("max({})", Self::column(column))],
            Aggregate::Avg(column) => {
                let column = Self::column(column);
                vec![format!("sum({column})"), format!("count({column})")]
            }
        });
        expressions.collect()
    }

    /// The source and what it joins to, each under its alias.
    fn joined(&self) -> String {
        let mut from = String::new();
        for table in &self.tracked {
            let (name, alias) = (table.table.quoted(), table.alias.quoted());
            match &table.parent {
                None => from.push_str(&format!("{name} AS {alias}")),
                Some(parent) => {
                    let join = if table.optional { "LEFT JOIN" } else { "JOIN" };
                    let of = self.tracked[parent.at].alias.quoted();
                    let on = table.matches.iter().zip(&parent.columns);
                    let on: Vec<String> =
                        on.map(|(own, its)| format!("{alias}.{} = {of}.{}", own.quoted(), its.quoted())).collect();
                    from.push_str(&format!("\n{join} {name} AS {alias} ON {}", on.join(" AND ")));
                }
            }
        }
        from
    }

    /// Cells with their values from raw rows: `before` goes before the source in FROM, `on` restricts the rows. This is the one
    /// statement that every bucket comes from.
    pub(crate) fn fresh(&self, before: &str, condition: &str) -> String {
        let (cells, columns) = (self.cell_expressions(), self.target_columns());
        let groups: Vec<String> = (1..=cells.len()).map(|at| at.to_string()).collect();
        let expressions = cells.into_iter().chain(self.value_expressions()).zip(columns);
        let select: Vec<String> = expressions.map(|(expression, column)| format!("{expression} AS {column}")).collect();
        format!(
            "SELECT {}\nFROM {before}{}\nWHERE {} AND {condition}\nGROUP BY {}",
            select.join(",\n       "),
            self.joined(),
            self.is_in_a_bucket(&self.at(&self.event_time())),
            groups.join(", ")
        )
    }

    /// `(a, b) IN (SELECT …)`, or without the parentheses for one column.
    pub(crate) fn within(columns: &[String], select: &str) -> String {
        match columns {
            [one] => format!("{one} IN ({select})"),
            several => format!("({}) IN ({select})", several.join(", ")),
        }
    }
}

fn add(columns: &mut Vec<Ident>, column: &Ident) {
    if !columns.contains(column) {
        columns.push(column.clone());
    }
}

/// Names, quoted.
pub(crate) fn quoted<'i>(columns: impl IntoIterator<Item = &'i Ident>) -> Vec<String> {
    columns.into_iter().map(Ident::quoted).collect()
}
