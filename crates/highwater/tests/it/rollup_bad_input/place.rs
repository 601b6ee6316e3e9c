//! Databases that are none that a rollup can be in, and passes of what was never looked at.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use highwater_testkit::postgres::Postgres;
use nix::unistd::geteuid;

use super::rig::Place;
use crate::rig::{Ended, HIGHWATER};

/// A user without rights, whom root becomes: its own rights would hide what is wrong.
const NOBODY: u32 = 65534;

#[test]
fn r15_a_server_that_is_too_old() {
    // The setting is read by the search path, as everything is.
    let place = Place::postgres(
        "CREATE SCHEMA old;
         CREATE FUNCTION old.current_setting(text) RETURNS text LANGUAGE sql AS $$
             SELECT CASE $1 WHEN 'server_version_num' THEN '120017' WHEN 'server_version' THEN '12.17' ELSE pg_catalog.current_setting($1) END $$;
         DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET search_path = old, pg_catalog, public', current_database()); END $$",
    );
    insta::assert_snapshot!(place.refused(&[]), @"
    error[HW-ROL-040]: [DIR]/highwater.toml:3: job.usage.database: found PostgreSQL 12.17, expected 13 or newer
      next: upgrade the server, or keep the rollup elsewhere
    ");
    // A pass says it before it says that nothing is installed.
    insta::assert_snapshot!(place.refuses(&["run", "usage"]), @"
    usage: refused (pass 1, exit 2)
    error[HW-ROL-040]: database: found PostgreSQL 12.17, expected 13 or newer
      next: upgrade the server, or keep the rollup elsewhere
    ");
}

#[test]
fn r15_a_server_or_a_role_that_only_reads() {
    let place = Place::postgres(
        "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET default_transaction_read_only = on', current_database()); END $$",
    );
    insta::assert_snapshot!(place.refused(&[]), @"
    error[HW-ROL-040]: [DIR]/highwater.toml:3: job.usage.database: found transactions of the role postgres that only read: `default_transaction_read_only` is on
      next: turn it off for the role or the database, or name another role
    ");
}

#[test]
fn r15_a_standby() {
    let primary = Postgres::start_with(&[("fsync", "off")]).unwrap();
    let standby = primary.standby().unwrap();
    let place = Place::sqlite("");
    let url = place.url("");
    let told = place.refused(&[("DATABASE", &standby.url())]);
    let port = standby.url().rsplit_once(':').unwrap().1.to_owned();
    insta::assert_snapshot!(told.replace(&port, "[PORT]/postgres"), @"
    error[HW-ROL-008]: [DIR]/highwater.toml:3: job.usage.database: the server is a standby, expected the primary
      next: name the primary in `database`
    ");
    assert!(!told.contains(&url));
}

#[test]
fn r15_files_that_are_none_or_not_there() {
    let file = Place::sqlite("");
    fs::write(
        file.rig.path("notes.txt"),
        "these are notes, and more of them than a page header has bytes, so that it is looked at",
    )
    .unwrap();
    let database = file.url("");
    let of = |name: &str| {
        let to = format!("sqlite:{}", file.rig.path(name).display());
        file.refused(&[("DATABASE", &to)])
    };
    assert!(database.ends_with("usage.db"));
    insta::assert_snapshot!(of("missing.db"), @"
    error[HW-ROL-003]: [DIR]/highwater.toml:3: job.usage.database: [DIR]/missing.db does not exist
      next: correct the path, or see to the file: highwater makes no database
    ");
    insta::assert_snapshot!(of("notes.txt"), @"
    error[HW-ROL-003]: [DIR]/highwater.toml:3: job.usage.database: [DIR]/notes.txt is not a SQLite database: its first page is not one of SQLite's
      next: correct the path, or see to the file: highwater makes no database
    ");
    insta::assert_snapshot!(of(""), @"
    error[HW-ROL-003]: [DIR]/highwater.toml:3: job.usage.database: [DIR] is not a SQLite database: it is not a file
      next: correct the path, or see to the file: highwater makes no database
    ");
}

#[test]
fn r15_a_file_that_another_writer_holds() {
    let file = Place::sqlite("");
    let writer = rusqlite::Connection::open(file.rig.path("usage.db")).unwrap();
    writer.execute_batch("BEGIN IMMEDIATE").unwrap();
    let ended = file.rig.run(&["rollup", "install", "usage"]);
    insta::assert_snapshot!(format!("{}\n{}", ended.code, file.told(&ended)), @"
    1
    error[HW-ROL-015]: database: sqlite:[DIR]/usage.db: what is to be rolled up: database is locked
      next: call again when it is quieter, or raise the role's `statement_timeout` and `lock_timeout`; nothing was changed
    ");
    drop(writer);
    file.taken(&[]);
}

#[test]
fn r15_a_seed_of_what_nobody_looked_at_before() {
    // The statements run by hand; then the unique index goes.
    let [file, server] = Place::both("", "");
    for place in [&file, &server] {
        let printed = place.rig.ok(&["rollup", "ddl", "usage"]).stdout;
        place.sql(&format!("BEGIN; {} COMMIT;", printed.replace("INDEX CONCURRENTLY", "INDEX")));
    }
    server.sql("INSERT INTO usage VALUES (2, 1, '-infinity', 'large', 1)");
    insta::assert_snapshot!(server.refuses(&["run", "usage"]), @"
    usage: refused (pass 1, exit 2)
    error[HW-ROL-044]: event-time: found `infinity` or `-infinity` in usage.at, expected times that are in a bucket
      next: write NULL for a time that is not known: such a row is in no bucket
    ");
    server.sql("DELETE FROM usage WHERE id = 2; ALTER TABLE task DROP CONSTRAINT task_pkey");
    insta::assert_snapshot!(server.refuses(&["run", "usage"]), @r#"
    usage: refused (pass 2, exit 2)
    error[HW-ROL-046]: join.task.on: found no unique index on task (id): where it finds two rows, everything is counted twice
      next: join by columns that find one row at most, or CREATE UNIQUE INDEX ON "task" ("id");
    "#);
    file.sql("UPDATE usage SET tokens = 'twelve'");
    insta::assert_snapshot!(file.refuses(&["run", "usage"]), @"
    usage: refused (pass 1, exit 2)
    error[HW-ROL-045]: aggregates.tokens: found text `twelve` in usage.tokens, expected numbers for `sum`: SQLite sums what is none as nothing
      next: name a column of numbers; `count-distinct`, `min` and `max` are for others too
    ");
}

fn mode(path: &Path, to: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(to)).unwrap();
}

/// `rollup install usage` by a user who owns the place.
fn install_without_rights(place: &Place) -> Ended {
    let args = ["rollup", "install", "usage"];
    if !geteuid().is_root() {
        return place.rig.run(&args);
    }
    let directory = tempfile::tempdir().unwrap();
    mode(directory.path(), 0o755);
    let binary = directory.path().join("highwater");
    // By another process: what this one opens to write, its children hold open.
    assert!(Command::new("cp").arg(HIGHWATER).arg(&binary).status().unwrap().success());
    let mut command = place.rig.command_of(&binary, &args);
    command.uid(NOBODY).gid(NOBODY).output().unwrap().into()
}

#[test]
fn r15_a_file_or_a_directory_that_cannot_be_written() {
    let place = Place::sqlite("PRAGMA journal_mode = DELETE");
    let inner = place.rig.path("app");
    fs::create_dir(&inner).unwrap();
    fs::rename(place.rig.path("usage.db"), inner.join("usage.db")).unwrap();
    mode(place.rig.dir.path(), 0o755);
    if geteuid().is_root() {
        for path in [place.rig.dir.path(), &place.rig.path("highwater.toml"), &inner, &inner.join("usage.db")] {
            chown(path, Some(NOBODY), Some(NOBODY)).unwrap();
        }
    }
    place.configure(&[("DATABASE", &format!("sqlite:{}", inner.join("usage.db").display()))]);
    let before = fs::read(inner.join("usage.db")).unwrap();
    mode(&inner.join("usage.db"), 0o444);
    let file = install_without_rights(&place);
    insta::assert_snapshot!(format!("{}\n{}", file.code, place.told(&file)), @"
    2
    error[HW-ROL-040]: [DIR]/highwater.toml:3: job.usage.database: found a file that cannot be written (attempt to write a readonly database), expected to write it and a journal beside it
      next: give the user who runs highwater the right to write the file and its directory
    ");
    mode(&inner.join("usage.db"), 0o644);
    mode(&inner, 0o555);
    let directory = install_without_rights(&place);
    insta::assert_snapshot!(format!("{}\n{}", directory.code, place.told(&directory)), @"
    2
    error[HW-ROL-040]: [DIR]/highwater.toml:3: job.usage.database: found a file that cannot be written (attempt to write a readonly database), expected to write it and a journal beside it
      next: give the user who runs highwater the right to write the file and its directory
    ");
    mode(&inner, 0o755);
    assert_eq!(fs::read(inner.join("usage.db")).unwrap(), before);
}
