//! Where the configuration is found, and what a file that cannot be read is called.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use insta::assert_snapshot;

use super::super::{Environment, Flags, find, load};
use super::Scene;

const NO_SYSTEM_FILE: &str = "/nonexistent/highwater.toml";

fn found(flag: Option<&str>, environment: &Environment, working: &Path) -> Result<String, String> {
    let found = find(flag.map(Path::new), environment, working, Path::new(NO_SYSTEM_FILE));
    found.map(|path| path.display().to_string()).map_err(|error| error.to_string())
}

#[test]
fn a_flag_goes_before_the_variable_and_the_variable_before_the_search() {
    let scene = Scene::new("");
    let here = scene.directory.path().canonicalize().expect("a directory");
    let place = |name: &str| Ok(here.join(name).display().to_string());
    let set = Environment::from_iter([("HIGHWATER_CONFIG", "by-variable.toml")]);
    assert_eq!(found(Some("by-flag.toml"), &set, &here), place("by-flag.toml"));
    assert_eq!(found(None, &set, &here), place("by-variable.toml"));
    assert_eq!(found(None, &Environment::default(), &here), place("highwater.toml"));
    assert_eq!(found(None, &Environment::from_iter([("HIGHWATER_CONFIG", "")]), &here), place("highwater.toml"));
}

#[test]
fn the_search_goes_upwards() {
    let scene = Scene::new("");
    let here = scene.directory.path().canonicalize().expect("a directory");
    let below = here.join("a/b/c");
    fs::create_dir_all(&below).expect("directories");
    assert_eq!(found(None, &Environment::default(), &below), Ok(here.join("highwater.toml").display().to_string()));
}

#[test]
fn the_systems_file_is_the_last_resort() {
    let scene = Scene::new("");
    let system = scene.path("highwater.toml");
    let path = find(None, &Environment::default(), Path::new("/nonexistent"), &system).expect("the system's file");
    assert_eq!(path.file_name(), system.file_name());
}

#[test]
fn a_directory_by_two_names_has_one_configuration() {
    let scene = Scene::new("");
    fs::create_dir(scene.path("real")).expect("a directory");
    fs::write(scene.path("real/highwater.toml"), "").expect("a file");
    symlink(scene.path("real"), scene.path("link")).expect("a link");
    let by = |name| found(None, &Environment::default(), &scene.path(name));
    assert_eq!(by("link"), by("real"));
}

#[test]
fn without_a_configuration_all_that_was_tried_is_named() {
    let told = found(None, &Environment::default(), Path::new("/nonexistent/deep")).expect_err("a refusal");
    assert_snapshot!(told, @"
    error[HW-CFG-001]: found no configuration; `--config` was not given, `HIGHWATER_CONFIG` is not set, and there is no /nonexistent/deep/highwater.toml, no /nonexistent/highwater.toml, no /highwater.toml, no /nonexistent/highwater.toml
      next: write one here with `highwater init`, or name one with `--config FILE`
    ");
}

#[test]
fn a_named_file_that_is_not_there_is_not_searched_for() {
    let scene = Scene::new("");
    let told = |name| {
        let errors = load(&scene.path(name), &Environment::default(), &Flags::default()).expect_err("a refusal");
        scene.placed(&errors[0].to_string())
    };
    assert_snapshot!(told("other.toml"), @"
    error[HW-CFG-002]: /hw/other.toml: found no such file, expected a configuration
      next: correct the path, or write a configuration there with `highwater init DIR`
    ");
    fs::create_dir(scene.path("directory")).expect("a directory");
    assert_snapshot!(told("directory"), @"
    error[HW-CFG-002]: /hw/directory: found a directory, expected a file
      next: name the file in it, usually `highwater.toml`
    ");
}

#[test]
fn a_file_that_is_no_configuration_is_refused_before_it_is_parsed() {
    let scene = Scene::new("");
    fs::write(scene.path("highwater.toml"), b"keep-days = 5\nlog-file = \"\xff\"\n").expect("a file");
    assert_snapshot!(scene.load().expect_err("a refusal"), @"
    error[HW-CFG-003]: /hw/highwater.toml:2: found a byte that is not UTF-8, expected TOML, which is UTF-8
      next: save the file as UTF-8
    ");
    fs::write(scene.path("highwater.toml"), vec![b'#'; 1 << 21]).expect("a file");
    assert_snapshot!(scene.load().expect_err("a refusal"), @"
    error[HW-CFG-002]: /hw/highwater.toml: found more than 1048576 bytes, expected a configuration of at most that
      next: check that this is the configuration and not a worklist
    ");
}
