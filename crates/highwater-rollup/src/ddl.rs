//! What a rollup installs: the target, a queue for each tracked table, the triggers that fill the queues, the state row. Owns
//! their SQL; it is plain, and complete without highwater.
//!
//! A queue is append-only and has no unique key: a key that is queued already and changes again must be queued again, or the
//! later change would be lost with the earlier entry. It holds *what changed*, with its old columns, never which cells that
//! means: only the drain's own snapshot knows what it joins to.

mod apply;
mod diff;
pub(crate) mod event;
mod object;
mod put_back;
pub(crate) mod reads;
pub(crate) mod silent;
pub(crate) mod swap;

use highwater_db::session::{Dialect, Fault, Session};

pub use apply::{InstallError, apply, apply_noting, installed, leftovers};
pub(crate) use diff::ANOTHER;
pub use diff::{Drift, Way, diff, drift};
pub use event::strays;
pub use put_back::{PutBack, is_installed, put_back};
pub use reads::outgrown;
pub use silent::Silent;

use crate::declare::Declaration;
use crate::sql::{Shape, Tracked, quoted};
use crate::{bypass, state};

/// How long installing and taking away wait for whoever uses the tables, in milliseconds, unless the role has a `lock_timeout` of
/// its own. Every writer that comes meanwhile waits behind, so that one long transaction would stop the application.
const LOCK_MILLIS: u32 = 500;

/// Keeps what follows in the transaction that is open from waiting for locks for long.
///
/// # Errors
/// [`Fault`].
pub async fn wait_briefly(session: &mut dyn Session) -> Result<(), Fault> {
    if session.dialect() == Dialect::Sqlite {
        return Ok(());
    }
    let sql =
        format!("SELECT set_config('lock_timeout', '{LOCK_MILLIS}', true) WHERE current_setting('lock_timeout') = '0'");
    session.batch(&sql).await
}

/// Everything that a rollup needs, in order, to be run as one transaction; on a server but for the index on the event time, which
/// is made [`before`].
#[must_use]
pub fn install(dialect: Dialect, declaration: &Declaration) -> String {
    let event = match dialect {
        Dialect::Postgres => Vec::new(),
        Dialect::Sqlite => vec![event::plain(&Shape::of(dialect, declaration))],
    };
    statements(dialect, declaration, event).join(";\n\n") + ";\n"
}

/// The statement that is run before, on its own and outside of a transaction, unless an index on the event time is there.
#[must_use]
pub fn before(dialect: Dialect, declaration: &Declaration) -> Option<String> {
    let shape = Shape::of(dialect, declaration);
    (dialect == Dialect::Postgres).then(|| event::concurrently(&shape) + ";\n")
}

/// All of it as a person reads it.
#[must_use]
pub fn printed(dialect: Dialect, declaration: &Declaration) -> String {
    let install = install(dialect, declaration);
    match before(dialect, declaration) {
        None => install,
        Some(before) => format!(
            "-- First, on its own and outside of a transaction: CONCURRENTLY keeps no writer waiting. Leave it out where an index that\n\
             -- begins with this column is there. A partitioned table takes it without CONCURRENTLY, or partition by partition.\n\
             {before}\n\
             -- The rest, as one transaction.\n\
             {install}"
        ),
    }
}

/// `event` makes the index on the event time.
fn statements(dialect: Dialect, declaration: &Declaration, event: Vec<String>) -> Vec<String> {
    let shape = Shape::of(dialect, declaration);
    let mut statements = Vec::new();
    if dialect == Dialect::Postgres {
        statements.push(TEMPORARY_LAST.to_owned());
    }
    statements.extend(state::install(dialect, declaration));
    statements.extend([target(&shape), target_index(&shape)]);
    statements.extend(event);
    statements.extend(repairs(&shape));
    statements.extend(bypass::install(&shape));
    for table in &shape.tracked {
        statements.extend(queue(&shape, table));
        statements.extend(triggers(&shape, table));
    }
    statements
}

/// The functions of the triggers keep the search path that they are made under. Without this, a temporary table of a queue's
/// name would be found before the queue, and the changes of its session be lost.
const TEMPORARY_LAST: &str =
    "SELECT set_config('search_path', concat_ws(', ', nullif(current_setting('search_path'), ''), 'pg_temp'), true)";

/// Takes away all that [`install`] made, the target too, in order, to be run as one transaction.
#[must_use]
pub fn uninstall(dialect: Dialect, declaration: &Declaration) -> String {
    let shape = Shape::of(dialect, declaration);
    let mut statements = Vec::new();
    for table in &shape.tracked {
        for name in trigger_names(&shape, table) {
            statements.push(match dialect {
                Dialect::Postgres => format!("DROP TRIGGER IF EXISTS {name} ON {}", table.table.quoted()),
                Dialect::Sqlite => format!("DROP TRIGGER IF EXISTS {name}"),
            });
        }
        if dialect == Dialect::Postgres {
            statements.push(format!("DROP FUNCTION IF EXISTS {}()", function(&shape, table)));
        }
        statements.push(format!("DROP TABLE IF EXISTS {}", shape.queue(table)));
    }
    statements.push(format!("DROP TABLE IF EXISTS {}", shape.repairs()));
    if dialect == Dialect::Postgres {
        statements.push(format!("DROP TABLE IF EXISTS {}", bypass::name(&shape).quoted()));
    }
    statements.push(format!("DROP INDEX IF EXISTS {}", event::name(&shape)));
    statements.push(format!("DROP TABLE IF EXISTS {}", declaration.target.quoted()));
    statements.push(format!("DROP TABLE IF EXISTS {}", state::name(declaration).quoted()));
    statements.join(";\n") + ";\n"
}

/// The target has the types that its own statement yields.
fn target(shape: &Shape<'_>) -> String {
    let (target, fresh) = (shape.declaration.target.quoted(), shape.fresh("", "false"));
    match shape.dialect {
        Dialect::Postgres => format!("CREATE TABLE {target} AS\n{fresh}\nWITH NO DATA"),
        Dialect::Sqlite => format!("CREATE TABLE {target} AS\n{fresh}"),
    }
}

fn target_index(shape: &Shape<'_>) -> String {
    let target = &shape.declaration.target;
    let name = shape.own("cell").table().quoted();
    let (on, cells) = (target.quoted(), shape.cell_columns());
    match shape.dialect {
        Dialect::Postgres => format!("CREATE INDEX {name} ON {on} ({})", cells.join(", ")),
        // NULL is a value of a key like any other, and equal to itself: a blob is no text and no number.
        Dialect::Sqlite => {
            let cells: Vec<String> = cells.iter().map(|column| format!("ifnull({column}, x'')")).collect();
            let cells = cells[1..].iter().fold(shape.cell_columns()[0].clone(), |all, cell| format!("{all}, {cell}"));
            format!("CREATE UNIQUE INDEX {name} ON {on} ({cells})")
        }
    }
}

/// The queue's columns have the types of the columns that they are copies of.
fn queue(shape: &Shape<'_>, table: &Tracked) -> Vec<String> {
    let queue = shape.queue(table);
    let copies = table.matches.iter().zip(table.match_names()).chain(table.values.iter().zip(table.value_names()));
    let copies: Vec<String> = copies.map(|(column, copy)| format!("{} AS {copy}", column.quoted())).collect();
    let select = format!("SELECT {} FROM {}", copies.join(", "), table.table.quoted());
    match shape.dialect {
        Dialect::Postgres => vec![
            format!("CREATE TABLE {queue} AS {select} WITH NO DATA"),
            format!(
                "ALTER TABLE {queue}\n    ADD id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,\n    \
                 ADD changed_at timestamptz NOT NULL DEFAULT now(),\n    ADD present boolean NOT NULL"
            ),
        ],
        Dialect::Sqlite => {
            let columns: Vec<String> = table.match_names().into_iter().chain(table.value_names()).collect();
            vec![format!(
                "CREATE TABLE {queue} (\n    id INTEGER PRIMARY KEY,\n    \
                 changed_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),\n    \
                 present INTEGER NOT NULL,\n    {}\n)",
                columns.join(",\n    ")
            )]
        }
    }
}

/// The queue of cells that verifying found wrong: a person asked for them, whatever their raw rows did.
fn repairs(shape: &Shape<'_>) -> Vec<String> {
    let (repairs, copies) = (shape.repairs(), shape.repair_columns());
    let select: Vec<String> =
        shape.cell_columns().iter().zip(&copies).map(|(column, copy)| format!("{column} AS {copy}")).collect();
    match shape.dialect {
        Dialect::Postgres => vec![
            format!(
                "CREATE TABLE {repairs} AS SELECT {} FROM {} WITH NO DATA",
                select.join(", "),
                shape.declaration.target.quoted()
            ),
            format!("ALTER TABLE {repairs}\n    ADD id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY"),
        ],
        Dialect::Sqlite => {
            vec![format!("CREATE TABLE {repairs} (\n    id INTEGER PRIMARY KEY,\n    {}\n)", copies.join(",\n    "))]
        }
    }
}

fn function(shape: &Shape<'_>, table: &Tracked) -> String {
    shape.own(&format!("{}_changed", table.alias)).quoted()
}

fn trigger(shape: &Shape<'_>, table: &Tracked, act: &str) -> String {
    let name = shape.own(&format!("{}_{act}", table.alias));
    match shape.dialect {
        Dialect::Postgres => name.table().quoted(),
        Dialect::Sqlite => name.quoted(),
    }
}

fn trigger_names(shape: &Shape<'_>, table: &Tracked) -> Vec<String> {
    let acts: &[&str] = match shape.dialect {
        Dialect::Postgres => &["insert", "update", "delete", "truncate"],
        Dialect::Sqlite => &["insert", "update", "delete", "replace", "displace"],
    };
    acts.iter().map(|act| trigger(shape, table, act)).collect()
}

/// Whether anything changed that a bucket depends on.
fn changed(shape: &Shape<'_>, table: &Tracked) -> String {
    let mut columns: Vec<String> = quoted(table.matches.iter().chain(&table.values).chain(&table.aggregated));
    columns.sort();
    columns.dedup();
    let differ = columns.iter().map(|column| shape.differs(&format!("OLD.{column}"), &format!("NEW.{column}")));
    differ.collect::<Vec<_>>().join(" OR ")
}

/// Queues the old row: the cells it was counted in.
fn queue_old(shape: &Shape<'_>, table: &Tracked, row: &str) -> String {
    let columns: Vec<String> = table.match_names().into_iter().chain(table.value_names()).collect();
    let values = quoted(table.matches.iter().chain(&table.values)).into_iter().map(|column| format!("{row}.{column}"));
    let yes = truth(shape, true);
    format!(
        "INSERT INTO {} (present, {}) VALUES ({yes}, {});",
        shape.queue(table),
        columns.join(", "),
        values.collect::<Vec<_>>().join(", ")
    )
}

/// Queues that the row of this key came or went: of the source, that it is to be looked at; of a joined table, also that
/// others were, or are, without it.
fn queue_key(shape: &Shape<'_>, table: &Tracked, row: &str) -> String {
    let values = quoted(&table.matches).into_iter().map(|column| format!("{row}.{column}"));
    let no = truth(shape, false);
    format!(
        "INSERT INTO {} (present, {}) VALUES ({no}, {});",
        shape.queue(table),
        table.match_names().join(", "),
        values.collect::<Vec<_>>().join(", ")
    )
}

fn truth(shape: &Shape<'_>, truth: bool) -> &'static str {
    match (shape.dialect, truth) {
        (Dialect::Postgres, true) => "true",
        (Dialect::Postgres, false) => "false",
        (Dialect::Sqlite, true) => "1",
        (Dialect::Sqlite, false) => "0",
    }
}

/// It writes as its owner does, so that it is nobody else's to make a trigger of.
fn keep_function(shape: &Shape<'_>, table: &Tracked) -> String {
    format!("REVOKE ALL ON FUNCTION {}() FROM PUBLIC", function(shape, table))
}

fn triggers(shape: &Shape<'_>, table: &Tracked) -> Vec<String> {
    let (inserted, went, came) =
        (queue_key(shape, table, "NEW"), queue_old(shape, table, "OLD"), queue_key(shape, table, "NEW"));
    let without = queue_key(shape, table, "OLD");
    let on = table.table.quoted();
    let changed = changed(shape, table);
    match shape.dialect {
        Dialect::Postgres => {
            let function = function(shape, table);
            let emptied = format!(
                "INSERT INTO {} (what) VALUES ('TRUNCATE emptied ' || TG_TABLE_NAME);",
                bypass::name(shape).quoted()
            );
            let body = format!(
                "CREATE FUNCTION {function}() RETURNS trigger LANGUAGE plpgsql\n    SECURITY DEFINER SET search_path FROM CURRENT AS $$\nBEGIN\n    \
                 IF TG_OP = 'TRUNCATE' THEN\n        {emptied}\n        RETURN NULL;\n    END IF;\n    \
                 IF TG_OP <> 'INSERT' THEN\n        {went}\n        {without}\n    END IF;\n    \
                 IF TG_OP <> 'DELETE' THEN\n        {came}\n    END IF;\n    RETURN NULL;\nEND\n$$"
            );
            let fires = |act: &str, when: &str| {
                let name = trigger(shape, table, &act.to_ascii_lowercase());
                format!("CREATE TRIGGER {name} AFTER {act} ON {on} FOR EACH ROW {when}EXECUTE FUNCTION {function}()")
            };
            let ours = keep_function(shape, table);
            let truncate = format!(
                "CREATE TRIGGER {} AFTER TRUNCATE ON {on} FOR EACH STATEMENT EXECUTE FUNCTION {function}()",
                trigger(shape, table, "truncate")
            );
            let update = fires("UPDATE", &format!("WHEN ({changed}) "));
            vec![body, fires("INSERT", ""), update, fires("DELETE", ""), truncate, ours]
        }
        Dialect::Sqlite => {
            let fires = |act: &str, when: &str, body: &str| {
                let name = trigger(shape, table, act.rsplit(' ').next().unwrap_or(act).to_ascii_lowercase().as_str());
                format!("CREATE TRIGGER {name} {act} ON {on}{when} BEGIN\n    {body}\nEND")
            };
            let mut triggers = vec![
                fires("AFTER INSERT", "", &inserted),
                fires("AFTER UPDATE", &format!(" WHEN {changed}"), &format!("{went}\n    {without}\n    {came}")),
                fires("AFTER DELETE", "", &format!("{went}\n    {without}")),
            ];
            triggers.extend(replaced(shape, table));
            triggers
        }
    }
}

/// REPLACE deletes the row that is in its way, and SQLite fires no trigger for that unless `recursive_triggers` is on, which
/// is the writer's to choose. So what is in the way, by the columns that find a row, is queued before.
fn replaced(shape: &Shape<'_>, table: &Tracked) -> Vec<String> {
    let on = table.table.quoted();
    let columns: Vec<String> = table.match_names().into_iter().chain(table.value_names()).collect();
    let values = quoted(table.matches.iter().chain(&table.values));
    let same: Vec<String> = quoted(&table.matches).iter().map(|column| format!("{column} = NEW.{column}")).collect();
    let moved: Vec<String> =
        quoted(&table.matches).iter().map(|column| format!("OLD.{column} IS NOT NEW.{column}")).collect();
    let body = format!(
        "INSERT INTO {} (present, {})\n    SELECT 1, {} FROM {on} WHERE {};",
        shape.queue(table),
        columns.join(", "),
        values.join(", "),
        same.join(" AND ")
    );
    vec![
        format!("CREATE TRIGGER {} BEFORE INSERT ON {on} BEGIN\n    {body}\nEND", trigger(shape, table, "replace")),
        format!(
            "CREATE TRIGGER {} BEFORE UPDATE ON {on} WHEN {} BEGIN\n    {body}\nEND",
            trigger(shape, table, "displace"),
            moved.join(" OR ")
        ),
    ]
}
