//! The statements by which a rollup takes another's place: built beside it under names of its own, then renamed. Owns that after
//! them all is named as if it had been installed there, and that nothing that was queued meanwhile is lost.

use highwater_db::session::Dialect;

use super::{TEMPORARY_LAST, event, function, target_index, trigger_names, triggers};
use crate::declare::{Declaration, Ident, TableName};
use crate::sql::Shape;
use crate::{bypass, state};

/// What the name of a rollup that is built beside another has more.
const BESIDE: &str = "_next";

/// The rollup of a declaration as it is built beside the one that is to be replaced.
pub(crate) fn beside(declaration: &Declaration) -> Declaration {
    let name = Ident::new(&format!("{}{BESIDE}", declaration.target.table()));
    let name = name.expect("invariant: the declaration was checked");
    Declaration { target: declaration.target.beside(name), ..declaration.clone() }
}

/// Whether both read their source by the same index, so that the one may stay for the other.
fn shares_event_index(one: &Declaration, other: &Declaration) -> bool {
    one.source == other.source && one.event_time == other.event_time
}

/// Everything that the rollup beside needs, in order, to be run as one transaction; `event` makes its index on the event time.
pub(crate) fn install_beside(dialect: Dialect, declaration: &Declaration, event: Vec<String>) -> String {
    super::statements(dialect, &beside(declaration), event).join(";\n\n") + ";\n"
}

/// Puts the rollup that was built beside in the place of the installed one, in order, in the transaction that is open. The
/// tracked tables are locked: what their triggers do is between two rows. `has_event` says whether it has an index of its own on
/// the event time.
pub(crate) fn swap(dialect: Dialect, installed: &Declaration, declaration: &Declaration, has_event: bool) -> String {
    let next = beside(declaration);
    let (old, new, last) = (Shape::of(dialect, installed), Shape::of(dialect, &next), Shape::of(dialect, declaration));
    // One of its own was made where the installed one's did not do, or was gone.
    let shares = shares_event_index(installed, declaration) && !has_event;
    let mut statements = Vec::new();
    if dialect == Dialect::Postgres {
        statements.push(TEMPORARY_LAST.to_owned());
    }
    statements.extend(old.tracked.iter().flat_map(|table| without_triggers(&old, table)));
    statements.extend(old.tracked.iter().map(|table| format!("DROP TABLE {}", old.queue(table))));
    statements.push(format!("DROP TABLE {}", old.repairs()));
    if dialect == Dialect::Postgres {
        statements.push(format!("DROP TABLE {}", bypass::name(&old).quoted()));
    }
    if !shares {
        statements.push(format!("DROP INDEX IF EXISTS {}", event::name(&old)));
    }
    statements.push(format!("DROP TABLE {}", installed.target.quoted()));
    statements.push(format!("DROP TABLE {}", state::name(installed).quoted()));

    statements.extend(new.tracked.iter().flat_map(|table| without_triggers(&new, table)));
    let mut renamed: Vec<(String, TableName)> = vec![
        (next.target.quoted(), declaration.target.clone()),
        (state::name(&next).quoted(), state::name(declaration)),
        (new.repairs(), last.own("repair")),
    ];
    if dialect == Dialect::Postgres {
        renamed.push((bypass::name(&new).quoted(), bypass::name(&last)));
    }
    renamed.extend(new.tracked.iter().zip(&last.tracked).map(|(from, to)| (new.queue(from), last.queue_name(to))));
    statements.extend(renamed.iter().map(|(from, to)| format!("ALTER TABLE {from} RENAME TO {}", to.table().quoted())));
    match dialect {
        Dialect::Postgres => {
            let rename = |from: String, to: TableName| format!("ALTER INDEX {from} RENAME TO {}", to.table().quoted());
            statements.push(rename(new.own("cell").quoted(), last.own("cell")));
            if has_event {
                statements.push(rename(event::name(&new), last.own("event")));
            }
        }
        // It has no other name for an index.
        Dialect::Sqlite => {
            statements.extend([format!("DROP INDEX {}", new.own("cell").quoted()), target_index(&last)]);
            if has_event {
                statements.extend([format!("DROP INDEX {}", event::name(&new)), event::plain(&last)]);
            }
        }
    }
    statements.extend(last.tracked.iter().flat_map(|table| triggers(&last, table)));
    statements.push(state::declare(declaration));
    statements.join(";\n\n") + ";\n"
}

fn without_triggers(shape: &Shape<'_>, table: &crate::sql::Tracked) -> Vec<String> {
    let drop = |name: String| match shape.dialect {
        Dialect::Postgres => format!("DROP TRIGGER IF EXISTS {name} ON {}", table.table.quoted()),
        Dialect::Sqlite => format!("DROP TRIGGER IF EXISTS {name}"),
    };
    let mut statements: Vec<String> = trigger_names(shape, table).into_iter().map(drop).collect();
    if shape.dialect == Dialect::Postgres {
        statements.push(format!("DROP FUNCTION IF EXISTS {}()", function(shape, table)));
    }
    statements
}
