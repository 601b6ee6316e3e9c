//! Rights that the role lacks, one at a time: each is told with the statement that gives it.

use super::rig::Place;

/// A role of this place's own, with some rights.
fn role(place: &Place, rights: &str) -> String {
    let role = format!("ann_{}", place.text("SELECT current_database()::text"));
    place.sql(&format!("CREATE ROLE {role} LOGIN; {}", rights.replace("ROLE", &role)));
    role
}

fn refused(place: &Place, role: &str) -> String {
    place.configure_as(role, &[]);
    place.refuses(&["rollup", "install", "usage"])
}

#[test]
fn r15_a_role_that_may_not_read_or_make_triggers_or_tables() {
    let place = Place::postgres("REVOKE CREATE ON SCHEMA public FROM public");
    let ann = role(&place, "");
    insta::assert_snapshot!(refused(&place, &ann), @"");
    place.sql(&format!("GRANT SELECT ON usage, task TO {ann}; GRANT TRIGGER ON task TO {ann}"));
    insta::assert_snapshot!(refused(&place, &ann), @"");
    place.sql(&format!("ALTER TABLE usage OWNER TO {ann}"));
    insta::assert_snapshot!(refused(&place, &ann), @"");
    place.sql(&format!("GRANT CREATE ON SCHEMA public TO {ann}; GRANT pg_read_all_stats TO {ann}"));
    place.configure_as(&ann, &[]);
    place.rig.ok(&["rollup", "install", "usage"]);
    place.drain();
}

#[test]
fn r15_a_role_that_makes_no_temporary_tables() {
    let place = Place::postgres(
        "DO $$ BEGIN EXECUTE format('REVOKE TEMP ON DATABASE %I FROM public', current_database()); END $$",
    );
    let ann = role(&place, "");
    insta::assert_snapshot!(refused(&place, &ann), @"");
}

#[test]
fn r15_a_schema_that_is_closed_or_not_there() {
    let place =
        Place::postgres("CREATE SCHEMA app; CREATE TABLE app.usage (LIKE usage INCLUDING ALL); CREATE SCHEMA own");
    let ann = role(&place, "GRANT SELECT, TRIGGER ON ALL TABLES IN SCHEMA public TO ROLE");
    place.configure_as(
        &ann,
        &[("source = \"usage\"", "source = \"app.usage\""), ("target = \"usage", "target = \"own.usage")],
    );
    insta::assert_snapshot!(place.refuses(&["rollup", "install", "usage"]), @"");
    insta::assert_snapshot!(place.refused(&[("target = \"usage", "target = \"nowhere.usage")]), @"");
    place.sql("DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET search_path = nowhere', current_database()); END $$");
    insta::assert_snapshot!(place.refused(&[]), @"");
    place.sql("CREATE TABLE app.task (LIKE public.task INCLUDING ALL)");
    insta::assert_snapshot!(
        place.refused(&[("source = \"usage\"", "source = \"app.usage\""), ("table = \"task\"", "table = \"app.task\"")]),
        @""
    );
}

#[test]
fn r15_row_security_that_hides_rows() {
    let place = Place::postgres("REVOKE CREATE ON SCHEMA public FROM public");
    let ann = role(
        &place,
        "GRANT CREATE ON SCHEMA public TO ROLE; GRANT SELECT, TRIGGER ON task TO ROLE; ALTER TABLE usage OWNER TO ROLE;
        ALTER TABLE usage ENABLE ROW LEVEL SECURITY; ALTER TABLE usage FORCE ROW LEVEL SECURITY;
        CREATE POLICY few ON usage USING (tokens < 5)",
    );
    insta::assert_snapshot!(refused(&place, &ann), @"");
}
