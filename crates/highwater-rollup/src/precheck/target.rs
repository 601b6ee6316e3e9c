//! The target: whether it can be made, and whether its name is free. Owns that nothing of somebody else's is taken for ours.

use highwater_db::session::{Dialect, Fault, Session, Value};

use super::Checked;
use crate::declare::Declaration;
use crate::state;

pub(super) async fn check(
    session: &mut dyn Session,
    declaration: &Declaration,
    checked: &mut Checked,
) -> Result<(), Fault> {
    let target = &declaration.target;
    match session.dialect() {
        Dialect::Sqlite if !target.schema_prefix().is_empty() => {
            checked.refuse(
                "HW-ROL-041",
                "target",
                format!("found {target}, expected a table of the file itself: SQLite's triggers reach into no other"),
                format!("write `{}`", target.table()),
            );
            return Ok(());
        }
        Dialect::Sqlite => {}
        Dialect::Postgres => {
            if !schema(session, declaration, checked).await? {
                return Ok(());
            }
        }
    }
    if is_of_others(session, declaration).await? {
        checked.refuse(
            "HW-ROL-048",
            "target",
            format!("found {target} there already, and nothing else of this rollup: it is somebody else's"),
            "name another target; or drop it yourself, if its rows may go",
        );
    }
    Ok(())
}

/// Whether there is something of the target's name, and it is none of ours: what is ours has its state beside it.
///
/// # Errors
/// [`Fault`].
pub async fn is_of_others(session: &mut dyn Session, declaration: &Declaration) -> Result<bool, Fault> {
    let is_there = async |session: &mut dyn Session, name: &crate::declare::TableName| {
        let row = match session.dialect() {
            Dialect::Postgres => {
                let name = Value::from(name.quoted());
                session.first("SELECT 1 WHERE to_regclass($1::text) IS NOT NULL", &[name]).await?
            }
            Dialect::Sqlite => {
                let name = Value::from(name.table().as_str());
                session.first("SELECT 1 FROM sqlite_schema WHERE name = ?1 COLLATE NOCASE", &[name]).await?
            }
        };
        Ok::<bool, Fault>(row.is_some())
    };
    let target = is_there(session, &declaration.target).await?;
    Ok(target && !is_there(session, &state::name(declaration)).await?)
}

/// Whether the schema is there and open, and the name no type's.
async fn schema(session: &mut dyn Session, declaration: &Declaration, checked: &mut Checked) -> Result<bool, Fault> {
    let target = &declaration.target;
    let named = target.schema_prefix().trim_end_matches('.').trim_matches('"').to_owned();
    let values = [Value::from(named.as_str()), Value::from(target.quoted())];
    let row = session.first(include_str!("postgres_target.sql"), &values).await?;
    let row = row.expect("invariant: it has no condition");
    let text = |at: usize| row[at].text().unwrap_or_default().to_owned();
    let (schema, role) = (text(0), text(4));
    if schema.is_empty() && named.is_empty() {
        checked.refuse(
            "HW-ROL-041",
            "target",
            format!("found no schema to make {target} in: the search path of {role} is `{}`", text(2)),
            format!("name the schema, such as `target = \"public.{}\"`", target.table()),
        );
        return Ok(false);
    }
    if schema.is_empty() {
        checked.refuse("HW-ROL-041", "target", format!("found no schema {named}"), "correct the name, or make it");
        return Ok(false);
    }
    if row[1].int() != Some(1) {
        checked.refuse(
            "HW-ROL-047",
            "target",
            format!("the role {role} may not make tables in the schema {schema}"),
            format!("GRANT CREATE ON SCHEMA \"{schema}\" TO \"{role}\"; or name another schema"),
        );
    }
    if row[3].int() == Some(1) {
        checked.refuse(
            "HW-ROL-048",
            "target",
            format!("found a type called {target}, which no table can be called then"),
            "name another target",
        );
    }
    Ok(true)
}
