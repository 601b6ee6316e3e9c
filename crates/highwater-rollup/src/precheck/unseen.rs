//! Rows and changes that would stay unseen, and rights that the role lacks on a table. Owns what makes a table of PostgreSQL
//! one whose rows are not all there for the role, or not all told of by triggers.

use super::table::{OnServer, Table};
use super::{Before, Checked};
use crate::declare::Ident;

pub(super) fn check(table: &Table, needs_index: Option<&Ident>, before: Before, checked: &mut Checked) {
    let Some(server) = &table.server else { return };
    rights(table, server, needs_index, before, checked);
    let name = &table.name;
    let mut unseen = |message: String, next: &str| checked.refuse("HW-ROL-049", &table.field, message, next);
    if server.hides_rows {
        unseen(
            format!(
                "found row security on {name} that hides rows from the role {}: they would count as gone",
                server.role
            ),
            "give the role BYPASSRLS, or name another in `database`",
        );
    }
    if server.has_children {
        unseen(
            format!(
                "found tables that inherit from {name}: its rows are theirs too, and its triggers do not fire for them"
            ),
            "make them partitions of a partitioned table, or drive a window of your own",
        );
    }
    if server.has_foreign_part {
        unseen(
            format!(
                "found a foreign table among the partitions of {name}: what changes on its server fires no trigger here"
            ),
            "take it out of the partitioned table, or drive a window of your own",
        );
    }
    if server.is_replicated {
        unseen(
            format!("found {name} filled by a subscription: logical replication fires no ordinary trigger"),
            "run the rollup on the publisher, or drive a window of your own here",
        );
    }
}

fn rights(table: &Table, server: &OnServer, needs_index: Option<&Ident>, before: Before, checked: &mut Checked) {
    let (name, role) = (&table.name, &server.role);
    let quoted = name.quoted();
    let mut lacks = |message: String, next: String| checked.refuse("HW-ROL-047", &table.field, message, next);
    if !table.may_read {
        lacks(format!("the role {role} may not read {name}"), format!("GRANT SELECT ON {quoted} TO \"{role}\";"));
    }
    if before == Before::Seed {
        return;
    }
    if !server.may_trigger {
        lacks(
            format!("the role {role} may not make triggers on {name}"),
            format!("GRANT TRIGGER ON {quoted} TO \"{role}\";"),
        );
    }
    if let Some(event_time) = needs_index.filter(|_| !server.is_owner) {
        lacks(
            format!(
                "the role {role} may not make the index on {name} that a tick reads by: its owner is {}",
                server.owner
            ),
            format!(
                "ALTER TABLE {quoted} OWNER TO \"{role}\"; or let {} make it: CREATE INDEX CONCURRENTLY ON {quoted} ({});",
                server.owner,
                event_time.quoted()
            ),
        );
    }
}
