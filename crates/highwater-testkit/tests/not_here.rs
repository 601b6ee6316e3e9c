//! What is not run is named where a person looks.

#![allow(clippy::unwrap_used, reason = "a test ends where it cannot go on")]

use std::time::Duration;

use highwater_testkit::not_here::{NOT_RUN_VARIABLE, NotHere};
use highwater_testkit::program::Program;

const LIMIT: Duration = Duration::from_secs(60);
/// Set for this test's own child process.
const AS_CHILD: &str = "HIGHWATER_TEST_NOT_HERE_CHILD";

#[tokio::test]
async fn what_is_not_run_is_named_on_stderr_and_in_the_file_for_it() {
    const TEST: &str = "what_is_not_run_is_named_on_stderr_and_in_the_file_for_it";
    if std::env::var_os(AS_CHILD).is_some() {
        return NotHere("it needs root".to_owned()).say("a_test");
    }
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("not-run.txt");
    for _ in 0..2 {
        let child =
            Program::new(std::env::current_exe().unwrap()).args(["--exact", TEST, "--nocapture"]).env(AS_CHILD, "1");
        let ended = child.env(NOT_RUN_VARIABLE, &file).run(LIMIT).await.unwrap();
        assert!(ended.stderr.contains("not run here: a_test: it needs root"), "{ended:?}");
    }
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "a_test: it needs root\na_test: it needs root\n");
}
