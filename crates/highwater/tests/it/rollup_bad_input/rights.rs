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
    insta::assert_snapshot!(refused(&place, &ann), @r#"
    error[HW-ROL-047]: [DIR]/highwater.toml:4: job.usage.source: the role ann_[NAME] may not read usage
      next: GRANT SELECT ON "usage" TO "ann_[NAME]";
    error[HW-ROL-047]: [DIR]/highwater.toml:4: job.usage.source: the role ann_[NAME] may not make triggers on usage
      next: GRANT TRIGGER ON "usage" TO "ann_[NAME]";
    error[HW-ROL-047]: [DIR]/highwater.toml:4: job.usage.source: the role ann_[NAME] may not make the index on usage that a tick reads by: its owner is postgres
      next: ALTER TABLE "usage" OWNER TO "ann_[NAME]"; or let postgres make it: CREATE INDEX CONCURRENTLY ON "usage" ("at");
    error[HW-ROL-047]: [DIR]/highwater.toml:8: job.usage.join.task.table: the role ann_[NAME] may not read task
      next: GRANT SELECT ON "task" TO "ann_[NAME]";
    error[HW-ROL-047]: [DIR]/highwater.toml:8: job.usage.join.task.table: the role ann_[NAME] may not make triggers on task
      next: GRANT TRIGGER ON "task" TO "ann_[NAME]";
    error[HW-ROL-047]: [DIR]/highwater.toml:7: job.usage.target: the role ann_[NAME] may not make tables in the schema public
      next: GRANT CREATE ON SCHEMA "public" TO "ann_[NAME]"; or name another schema
    "#);
    place.sql(&format!("GRANT SELECT ON usage, task TO {ann}; GRANT TRIGGER ON task TO {ann}"));
    insta::assert_snapshot!(refused(&place, &ann), @r#"
    error[HW-ROL-047]: [DIR]/highwater.toml:4: job.usage.source: the role ann_[NAME] may not make triggers on usage
      next: GRANT TRIGGER ON "usage" TO "ann_[NAME]";
    error[HW-ROL-047]: [DIR]/highwater.toml:4: job.usage.source: the role ann_[NAME] may not make the index on usage that a tick reads by: its owner is postgres
      next: ALTER TABLE "usage" OWNER TO "ann_[NAME]"; or let postgres make it: CREATE INDEX CONCURRENTLY ON "usage" ("at");
    error[HW-ROL-047]: [DIR]/highwater.toml:7: job.usage.target: the role ann_[NAME] may not make tables in the schema public
      next: GRANT CREATE ON SCHEMA "public" TO "ann_[NAME]"; or name another schema
    "#);
    place.sql(&format!("ALTER TABLE usage OWNER TO {ann}"));
    insta::assert_snapshot!(refused(&place, &ann), @r#"
    error[HW-ROL-047]: [DIR]/highwater.toml:7: job.usage.target: the role ann_[NAME] may not make tables in the schema public
      next: GRANT CREATE ON SCHEMA "public" TO "ann_[NAME]"; or name another schema
    "#);
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
    insta::assert_snapshot!(refused(&place, &ann), @r#"
    error[HW-ROL-047]: [DIR]/highwater.toml:3: job.usage.database: the role ann_[NAME] may not make temporary tables, which a tick works in
      next: GRANT TEMP ON DATABASE "[NAME]" TO "ann_[NAME]";
    "#);
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
    insta::assert_snapshot!(place.refuses(&["rollup", "install", "usage"]), @r#"
    error[HW-ROL-047]: [DIR]/highwater.toml:4: job.usage.source: found app.usage: permission denied for schema app
      next: GRANT USAGE ON SCHEMA "app" TO the role, and CREATE where the target is to be
    error[HW-ROL-047]: [DIR]/highwater.toml:7: job.usage.target: found own.usage_hourly: permission denied for schema own
      next: GRANT USAGE ON SCHEMA "own" TO the role, and CREATE where the target is to be
    "#);
    insta::assert_snapshot!(place.refused(&[("target = \"usage", "target = \"nowhere.usage")]), @"
    error[HW-ROL-041]: [DIR]/highwater.toml:7: job.usage.target: found no schema nowhere
      next: correct the name, or make it
    ");
    place.sql("DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET search_path = nowhere', current_database()); END $$");
    insta::assert_snapshot!(place.refused(&[]), @r#"
    error[HW-ROL-041]: [DIR]/highwater.toml:4: job.usage.source: found no table usage in this PostgreSQL database
      next: did you mean `app.usage` or `public.usage`? The role's search path does not lead there
    error[HW-ROL-041]: [DIR]/highwater.toml:8: job.usage.join.task.table: found no table task in this PostgreSQL database
      next: did you mean `public.task`? The role's search path does not lead there
    error[HW-ROL-041]: [DIR]/highwater.toml:7: job.usage.target: found no schema to make usage_hourly in: the search path of postgres is `nowhere`
      next: name the schema, such as `target = "public.usage_hourly"`
    "#);
    place.sql("CREATE TABLE app.task (LIKE public.task INCLUDING ALL)");
    insta::assert_snapshot!(
        place.refused(&[("source = \"usage\"", "source = \"app.usage\""), ("table = \"task\"", "table = \"app.task\"")]),
        @r#"
    error[HW-ROL-041]: [DIR]/highwater.toml:7: job.usage.target: found no schema to make usage_hourly in: the search path of postgres is `nowhere`
      next: name the schema, such as `target = "public.usage_hourly"`
    "#
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
    insta::assert_snapshot!(refused(&place, &ann), @"
    error[HW-ROL-049]: [DIR]/highwater.toml:4: job.usage.source: found row security on usage that hides rows from the role ann_[NAME]: they would count as gone
      next: give the role BYPASSRLS, or name another in `database`
    ");
}
