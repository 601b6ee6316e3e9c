//! A disk that is full where the database writes (R5): a checkpoint, nothing stamped, and the pass after goes on.

use highwater_testkit::small_disk::SmallDisk;

use super::Months;

const DISK_BYTES: u64 = 4 << 20;

#[test]
fn r05_a_full_disk_under_a_rollup_is_a_checkpoint_and_the_next_pass_goes_on() {
    let test = "r05_a_full_disk_under_a_rollup_is_a_checkpoint_and_the_next_pass_goes_on";
    let Ok(disk) = SmallDisk::mount(DISK_BYTES).inspect_err(|not_here| not_here.say(test)) else { return };
    let months = Months::in_directory(disk.path());
    months.usage(1, 50, "'m'", 5);
    disk.fill().unwrap();
    assert!(months.call(&["rollup", "install", "usage"], 1).contains("HW-ROL-060"));
    disk.free().unwrap();
    months.rig.ok(&["rollup", "install", "usage"]);
    months.usage(2, 40, "'m'", 7);
    disk.fill().unwrap();
    for _ in 0..2 {
        let ended = months.pass(3);
        assert!(ended.stdout.contains("the database's disk is full, free space there"), "{ended:?}");
    }
    disk.free().unwrap();
    months.pass(0);
    assert_eq!(months.tokens(), ["5", "7"]);
    assert!(months.call(&["verify", "usage"], 0).contains(" 0 wrong"));
}

#[test]
fn r05_a_server_whose_disk_is_full_is_a_checkpoint_and_the_next_pass_goes_on() {
    let months = Months::postgres("");
    months.usage(1, 50, "'m'", 5);
    months.rig.ok(&["rollup", "install", "usage"]);
    // Of the code that the server reports for a write that no disk takes.
    months.sql(
        "CREATE FUNCTION no_space() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'could not extend file' USING ERRCODE = 'disk_full'; END $$;
         CREATE TRIGGER no_space BEFORE INSERT ON hourly FOR EACH ROW EXECUTE FUNCTION no_space()",
    );
    let ended = months.pass(3);
    assert!(ended.stdout.contains("the database's disk is full, free space there"), "{ended:?}");
    months.sql("DROP TRIGGER no_space ON hourly");
    months.pass(0);
    assert_eq!(months.tokens(), ["5"]);
}
