//! `init` writes the quickstart, and nothing over anything.

use std::fs;
use std::path::{Path, PathBuf};

use insta::assert_snapshot;

use super::super::{Environment, Flags, advise, init, load};
use super::repository;

fn empty() -> tempfile::TempDir {
    tempfile::tempdir().expect("a temporary directory")
}

fn files(directory: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let entries = fs::read_dir(directory).expect("a directory").map(|entry| entry.expect("an entry").path());
    let mut files: Vec<_> = entries.filter(|path| path.is_file()).collect();
    files.sort();
    let read = |path: PathBuf| (PathBuf::from(path.file_name().expect("a name")), fs::read(&path).expect("a file"));
    files.into_iter().map(read).collect()
}

#[test]
fn init_writes_the_quickstart_and_it_loads_without_a_warning() {
    let directory = empty();
    let target = directory.path().join("new/deep");
    let made = init(&target).expect("a new configuration");
    assert_eq!(files(&target), files(&repository().join("examples/quickstart")));
    assert!(target.join(".highwater-state").is_dir());
    assert_eq!(made.created.len(), 6, "{made:?}");

    let environment = Environment::of_process();
    let config = load(&made.config, &environment, &Flags::default()).expect("a valid configuration");
    assert_eq!(config.jobs.len(), 1);
    assert_eq!(advise(&config, &environment), []);
}

#[test]
fn init_overwrites_nothing_and_then_changes_nothing() {
    for name in ["highwater.toml", "names.txt"] {
        let directory = empty();
        fs::write(directory.path().join(name), "mine").expect("a file");
        let refusal = init(directory.path()).expect_err("a refusal");
        assert_eq!(refusal.exit.number(), 2);
        assert_eq!(refusal.file, Some(directory.path().join(name)));
        assert_eq!(files(directory.path()), [(PathBuf::from(name), b"mine".to_vec())]);
        assert!(!directory.path().join(".highwater-state").exists());
    }
}

#[test]
fn init_adds_to_an_ignore_file_what_it_lacks() {
    let directory = empty();
    let ignore = directory.path().join(".gitignore");
    fs::write(&ignore, "target\n/.highwater-state/").expect("a file");
    let made = init(directory.path()).expect("a new configuration");
    assert_eq!(made.extended.as_deref(), Some(&*ignore));
    assert_eq!(fs::read_to_string(&ignore).expect("a file"), "target\n/.highwater-state/\n/greetings/\n");
}

#[test]
fn init_that_fails_leaves_nothing_behind() {
    let directory = empty();
    fs::write(directory.path().join(".highwater-state"), "a file in the way").expect("a file");
    let failure = init(directory.path()).expect_err("a failure");
    assert_eq!(failure.exit.number(), 1);
    let told = failure.to_string().replace(&directory.path().display().to_string(), "/hw");
    assert_snapshot!(told, @"
    error[HW-CFG-016]: /hw/.highwater-state: found a place that cannot be written (File exists (os error 17)), expected a directory of yours
      next: correct the path or its permissions, then run `highwater init` again; nothing was left behind
    ");
    assert_eq!(files(directory.path()).len(), 1);
}
