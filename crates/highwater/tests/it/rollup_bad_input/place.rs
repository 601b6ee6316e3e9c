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
    insta::assert_snapshot!(place.refused(&[]), @"");
    // A pass says it before it says that nothing is installed.
    insta::assert_snapshot!(place.refuses(&["run", "usage"]), @"");
}

#[test]
fn r15_a_server_or_a_role_that_only_reads() {
    let place = Place::postgres(
        "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET default_transaction_read_only = on', current_database()); END $$",
    );
    insta::assert_snapshot!(place.refused(&[]), @"");
}

#[test]
fn r15_a_standby() {
    let primary = Postgres::start_with(&[("fsync", "off")]).unwrap();
    let standby = primary.standby().unwrap();
    let place = Place::sqlite("");
    let url = place.url("");
    let told = place.refused(&[("DATABASE", &standby.url())]);
    let port = standby.url().rsplit_once(':').unwrap().1.to_owned();
    insta::assert_snapshot!(told.replace(&port, "[PORT]/postgres"), @"");
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
    insta::assert_snapshot!(of("missing.db"), @"");
    insta::assert_snapshot!(of("notes.txt"), @"");
    insta::assert_snapshot!(of(""), @"");
}

#[test]
fn r15_a_file_that_another_writer_holds() {
    let file = Place::sqlite("");
    let writer = rusqlite::Connection::open(file.rig.path("usage.db")).unwrap();
    writer.execute_batch("BEGIN IMMEDIATE").unwrap();
    let ended = file.rig.run(&["rollup", "install", "usage"]);
    insta::assert_snapshot!(format!("{}\n{}", ended.code, file.told(&ended)), @"");
    drop(writer);
    file.taken(&[]);
}

#[test]
fn r15_a_seed_of_what_nobody_looked_at_before() {
    // The statements run by hand; then the unique index goes.
    let [file, server] = Place::both("", "");
    for place in [&file, &server] {
        let printed = place.rig.ok(&["rollup", "ddl", "usage"]).stdout;
        place.sql(&format!("BEGIN; {printed} COMMIT;"));
    }
    server.sql("ALTER TABLE task DROP CONSTRAINT task_pkey");
    insta::assert_snapshot!(server.refuses(&["run", "usage"]), @"");
    file.sql("UPDATE usage SET tokens = 'twelve'");
    insta::assert_snapshot!(file.refuses(&["run", "usage"]), @"");
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
    insta::assert_snapshot!(format!("{}\n{}", file.code, place.told(&file)), @"");
    mode(&inner.join("usage.db"), 0o644);
    mode(&inner, 0o555);
    let directory = install_without_rights(&place);
    insta::assert_snapshot!(format!("{}\n{}", directory.code, place.told(&directory)), @"");
    mode(&inner, 0o755);
    assert_eq!(fs::read(inner.join("usage.db")).unwrap(), before);
}
