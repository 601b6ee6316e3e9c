//! Limits of the user: a system that has no thread to give.

use std::env;
use std::fs;
use std::process::Command;

use highwater_store::{Access, SqliteLedger};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::conformance::world::at;

/// Says to this test that it is the process whose limit it is.
const CHILD: &str = "HIGHWATER_TEST_WITHOUT_THREADS";
/// More memory than an error needs, and less than a thread does, in bytes.
const ROOM_BYTES: u64 = 512 << 10;

#[test]
fn long_work_for_which_there_is_no_thread_is_an_error() {
    if env::var_os(CHILD).is_none() {
        // The limit is the whole process's.
        let name = "sqlite::limits::long_work_for_which_there_is_no_thread_is_an_error";
        let mut child = Command::new(env::current_exe().unwrap());
        let ended = child.args(["--exact", name, "--nocapture"]).env(CHILD, "1").output().unwrap();
        assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
        return;
    }
    let home = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let ledger = SqliteLedger::open(home.path().join("ledger.db"), at(0), Access::ReadWrite).unwrap();
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let size = status.lines().find_map(|line| line.strip_prefix("VmSize:")?.trim().strip_suffix(" kB")).unwrap();
    let size_bytes = size.parse::<u64>().unwrap() << 10;
    let limits = getrlimit(Resource::As);
    let current = Some(size_bytes + ROOM_BYTES);
    setrlimit(Resource::As, Rlimit { current, ..limits }).unwrap();
    let refused = runtime.block_on(async { [ledger.check().await.err(), ledger.backup(at(1)).await.err()] });
    setrlimit(Resource::As, limits).unwrap();
    for (refused, doing) in refused.into_iter().zip(["check it", "take a backup"]) {
        let said = refused.unwrap().to_string();
        let told = format!(
            "cannot {doing}: no thread can be started; raise the limits of this user (`ulimit -u`, `ulimit -v`)"
        );
        assert!(said.contains(&told), "{said}");
    }
    assert!(runtime.block_on(ledger.check()).is_ok());
}
