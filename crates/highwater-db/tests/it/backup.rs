//! Backups: whole or absent, checked, so many and no more.

use std::fs::{self, OpenOptions};
use std::os::unix::fs::{FileExt as _, PermissionsExt as _};

use highwater_db::sqlite::backup::due;
use highwater_db::sqlite::{Backups, Error};
use jiff::{SignedDuration, Timestamp};

use super::scratch::{ROWS, Scratch, count_rows, names};

fn day(day: i8) -> Timestamp {
    format!("2026-08-{day:02}T03:00:00.5Z").parse().unwrap()
}

fn backups(scratch: &Scratch) -> Backups {
    Backups::new(&scratch.database, scratch.directory.path().join("state/backups"))
}

#[test]
fn a_backup_is_a_private_database_with_everything_committed() {
    let scratch = Scratch::with_rows();
    let mut writer = scratch.database.read_write().unwrap();
    let open = writer.transaction().unwrap();
    open.execute("DELETE FROM item", []).unwrap();
    let backup = backups(&scratch).take(day(1)).unwrap();
    drop(open);

    assert!(backup.path.ends_with("state/backups/ledger-20260801T030000Z.db"), "{backup:?}");
    assert_eq!(names(backup.path.parent().unwrap()), ["ledger-20260801T030000Z.db"]);
    assert_eq!(fs::metadata(&backup.path).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(fs::metadata(backup.path.parent().unwrap()).unwrap().permissions().mode() & 0o777, 0o700);
    assert_eq!(backups(&scratch).list().unwrap(), std::slice::from_ref(&backup));

    // Put back as it is, it is the database again.
    let restored = scratch.database.at(&backup.path).read_write().unwrap();
    assert_eq!(count_rows(&restored), ROWS);
}

#[test]
fn looking_at_a_backup_leaves_no_file_beside_it() {
    let scratch = Scratch::with_rows();
    let backup = backups(&scratch).take(day(1)).unwrap();
    backups(&scratch).verify(&backup).unwrap();
    assert_eq!(names(backup.path.parent().unwrap()), ["ledger-20260801T030000Z.db"]);
}

#[test]
fn the_newest_are_kept_and_the_oldest_go() {
    let scratch = Scratch::with_rows();
    let backups = backups(&scratch).keep(3);
    for taken in 1..=5 {
        backups.take(day(taken)).unwrap();
    }
    let stranger = scratch.directory.path().join("state/backups/ledger-old-20200101T000000Z.db");
    fs::write(&stranger, "not of this database").unwrap();
    backups.take(day(6)).unwrap();
    let kept: Vec<Timestamp> = backups.list().unwrap().iter().map(|backup| backup.taken_at).collect();
    let second = |day: i8| format!("2026-08-{day:02}T03:00:00Z").parse().unwrap();
    assert_eq!(kept, [second(6), second(5), second(4)]);
    assert!(stranger.exists());
}

#[test]
fn backups_from_the_future_do_not_push_out_the_one_just_taken() {
    let scratch = Scratch::with_rows();
    let backups = backups(&scratch).keep(2);
    for taken in [20, 21, 22] {
        backups.take(day(taken)).unwrap();
    }
    let taken = backups.take(day(1)).unwrap();
    assert!(taken.path.exists());
    assert_eq!(backups.list().unwrap().len(), 2);
    assert_eq!(backups.last_taken_at(day(2)).unwrap(), Some(taken.taken_at), "a wrong clock does not end backups");
}

#[test]
fn seven_are_kept_unless_told() {
    let scratch = Scratch::with_rows();
    for taken in 1..=9 {
        backups(&scratch).take(day(taken)).unwrap();
    }
    assert_eq!(backups(&scratch).list().unwrap().len(), 7);
}

#[test]
fn a_backup_is_due_when_the_last_is_old_enough() {
    let every = SignedDuration::from_hours(24);
    assert!(due(None, day(1), every));
    assert!(!due(Some(day(1)), day(1), every));
    assert!(!due(Some(day(1)), day(2) - SignedDuration::from_secs(1), every));
    assert!(due(Some(day(1)), day(2), every));
}

#[test]
fn r14_the_newest_good_backup_is_found_behind_bad_ones() {
    let scratch = Scratch::with_rows();
    let backups = backups(&scratch);
    assert_eq!(backups.newest_good_backup().unwrap(), None);
    let good = backups.take(day(1)).unwrap();
    let damaged = backups.take(day(2)).unwrap();
    let middle = fs::metadata(&damaged.path).unwrap().len() / 2;
    OpenOptions::new().write(true).open(&damaged.path).unwrap().write_all_at(&[0xAA; 32 * 1024], middle).unwrap();
    fs::write(good.path.with_file_name("ledger-20260803T030000Z.db"), "").unwrap();

    let error = backups.verify(&damaged).unwrap_err();
    assert!(matches!(error, Error::Damaged { .. }), "{error:?}");
    assert_eq!(backups.newest_good_backup().unwrap(), Some(good));
}

#[test]
fn r14_a_damaged_database_is_not_backed_up_over_good_ones() {
    let scratch = Scratch::with_rows();
    let backups = backups(&scratch);
    let good = backups.take(day(1)).unwrap();
    let middle = fs::metadata(scratch.database.path()).unwrap().len() / 2;
    let file = OpenOptions::new().write(true).open(scratch.database.path()).unwrap();
    file.write_all_at(&[0xAA; 64 * 1024], middle).unwrap();
    let error = backups.take(day(2)).unwrap_err();
    assert!(matches!(&error, Error::Damaged { path, .. } if path == scratch.database.path()), "{error:?}");
    assert_eq!(backups.list().unwrap(), [good]);
}

#[test]
fn what_a_killed_backup_left_is_swept_away() {
    let scratch = Scratch::with_rows();
    let backups = backups(&scratch);
    backups.take(day(1)).unwrap();
    let directory = scratch.directory.path().join("state/backups");
    fs::create_dir(directory.join(".ledger-20260802T030000Z.db.backup-Ab12Cd")).unwrap();
    fs::write(directory.join(".ledger-20260802T030000Z.db.backup-Ab12Cd/ledger-20260802T030000Z.db"), "half").unwrap();
    backups.take(day(3)).unwrap();
    assert_eq!(names(&directory), ["ledger-20260801T030000Z.db", "ledger-20260803T030000Z.db"]);
}

#[test]
fn one_backup_at_a_time_is_taken_into_a_directory() {
    let scratch = Scratch::with_rows();
    let backups = backups(&scratch);
    backups.take(day(1)).unwrap();
    let held = fs::File::open(scratch.directory.path().join("state/backups")).unwrap();
    held.lock().unwrap();
    let error = backups.take(day(2)).unwrap_err();
    assert!(matches!(error, Error::Busy { .. }), "{error:?}");
    drop(held);
    backups.take(day(2)).unwrap();
}

#[test]
fn a_missing_database_leaves_no_directory_of_backups() {
    let scratch = Scratch::new();
    let error = backups(&scratch).take(day(1)).unwrap_err();
    assert!(matches!(error, Error::Missing { .. }), "{error:?}");
    assert_eq!(scratch.names(), Vec::<String>::new());
}
