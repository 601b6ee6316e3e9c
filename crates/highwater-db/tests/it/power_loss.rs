//! Power cuts, as root on a loop device; named as not run elsewhere.

use highwater_db::sqlite::{Backups, Database, quick_check};
use highwater_testkit::power_loss::{Disk, FileSystem};
use jiff::Timestamp;

use super::scratch::{ID, ROWS, count_rows, insert_rows};

/// Runs a test on each file system there is.
fn on_each_disk(test: &str, run: impl Fn(&Disk, &Database)) {
    for file_system in FileSystem::ALL {
        match Disk::mount(file_system) {
            Ok(disk) => run(&disk, &Database::new(disk.path().join("ledger.db"), ID)),
            Err(not_here) => not_here.say(test),
        }
    }
}

#[test]
fn r05_a_new_database_survives_a_power_cut() {
    on_each_disk("r05_a_new_database_survives_a_power_cut", |disk, database| {
        drop(database.read_write().unwrap());
        disk.lose_power().unwrap();
        quick_check(&database.read_only().unwrap()).unwrap();
    });
}

#[test]
fn r05_what_is_committed_survives_a_power_cut_and_nothing_else_does() {
    on_each_disk("r05_what_is_committed_survives_a_power_cut_and_nothing_else_does", |disk, database| {
        let mut writer = database.read_write().unwrap();
        insert_rows(&mut writer);
        writer.execute("DELETE FROM item WHERE key = 'item-1'", []).unwrap();
        let open = writer.transaction().unwrap();
        open.execute("DELETE FROM item", []).unwrap();
        disk.cut_power().unwrap();
        // Rolling back and closing fail in silence, as they would.
        drop(open);
        drop(writer);
        disk.restore_power().unwrap();

        let connection = database.read_write().unwrap();
        assert_eq!(count_rows(&connection), ROWS - 1);
        quick_check(&connection).unwrap();
    });
}

#[test]
fn r05_a_backup_survives_a_power_cut() {
    on_each_disk("r05_a_backup_survives_a_power_cut", |disk, database| {
        insert_rows(&mut database.read_write().unwrap());
        let backups = Backups::new(database, disk.path().join("backups"));
        let taken = backups.take(Timestamp::UNIX_EPOCH).unwrap();
        disk.lose_power().unwrap();
        assert_eq!(backups.newest_good_backup().unwrap(), Some(taken));
    });
}
