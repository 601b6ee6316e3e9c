//! Two names for one thing: locks and marker directories, however they come to be the same file.

use std::fs;
use std::os::unix::fs::symlink;

use insta::assert_snapshot;

use super::Scene;

fn two_locks(first: &str, second: &str) -> Scene {
    Scene::new(&format!("[resource.a]\nlock = \"file:{first}\"\n\n[resource.b]\nlock = \"file:{second}\"\n"))
}

#[test]
fn two_resources_with_one_lock_path_are_refused() {
    let told = two_locks("x.lock", "./x.lock").load().expect_err("a refusal");
    assert_snapshot!(told, @r#"
    error[HW-CFG-010]: /hw/highwater.toml:5: resource.b.lock: found the lock that resource `a` has too, expected one of its own
      next: change one of the two, or name one resource in both jobs: `resources = ["a"]`
    "#);
}

#[test]
fn a_directory_by_two_names_does_not_hide_one_lock() {
    let scene = two_locks("real/x.lock", "link/x.lock");
    fs::create_dir(scene.path("real")).expect("a directory");
    symlink(scene.path("real"), scene.path("link")).expect("a link");
    assert_snapshot!(scene.load().expect_err("a refusal"), @r#"
    error[HW-CFG-010]: /hw/highwater.toml:5: resource.b.lock: found the lock that resource `a` has too (/hw/real/x.lock and /hw/link/x.lock are one path), expected one of its own
      next: change one of the two, or name one resource in both jobs: `resources = ["a"]`
    "#);
}

#[test]
fn a_symbolic_link_does_not_hide_one_lock() {
    let scene = two_locks("x.lock", "y.lock");
    fs::write(scene.path("x.lock"), "").expect("a file");
    symlink("x.lock", scene.path("y.lock")).expect("a link");
    assert_snapshot!(scene.load().expect_err("a refusal"), @r#"
    error[HW-CFG-010]: /hw/highwater.toml:5: resource.b.lock: found the lock that resource `a` has too (/hw/x.lock and /hw/y.lock are one path), expected one of its own
      next: change one of the two, or name one resource in both jobs: `resources = ["a"]`
    "#);
}

#[test]
fn a_symbolic_link_to_a_file_that_is_not_there_yet_does_not_hide_one_lock() {
    let scene = two_locks("x.lock", "y.lock");
    symlink("x.lock", scene.path("y.lock")).expect("a link");
    assert!(scene.load().expect_err("a refusal").starts_with("error[HW-CFG-010]"));
    fs::remove_file(scene.path("y.lock")).expect("removed");
    symlink("y.lock", scene.path("y.lock")).expect("a link to itself");
    assert_eq!(scene.config().resources.len(), 2);
}

#[test]
fn a_hard_link_does_not_hide_one_lock() {
    let scene = two_locks("x.lock", "y.lock");
    fs::write(scene.path("x.lock"), "").expect("a file");
    fs::hard_link(scene.path("x.lock"), scene.path("y.lock")).expect("a link");
    assert_snapshot!(scene.load().expect_err("a refusal"), @r#"
    error[HW-CFG-010]: /hw/highwater.toml:5: resource.b.lock: found the lock that resource `a` has too (/hw/x.lock and /hw/y.lock are one file by a hard link), expected one of its own
      next: change one of the two, or name one resource in both jobs: `resources = ["a"]`
    "#);
}

#[test]
fn two_files_are_two_locks() {
    let scene = two_locks("x.lock", "y.lock");
    fs::write(scene.path("x.lock"), "").expect("a file");
    fs::write(scene.path("y.lock"), "").expect("a file");
    assert_eq!(scene.config().resources.len(), 2);
}

#[test]
fn a_lock_that_is_another_resources_default_is_refused() {
    let toml = "[resource.a]\n\n[resource.b]\nlock = \"file:.highwater-state/locks/resource/a.lock\"\n";
    assert_snapshot!(Scene::new(toml).load().expect_err("a refusal"), @r#"
    error[HW-CFG-010]: /hw/highwater.toml:4: resource.b.lock: found the lock that resource `a` has too, expected one of its own
      next: change one of the two, or name one resource in both jobs: `resources = ["a"]`
    "#);
}

#[test]
fn two_jobs_with_one_marker_directory_are_refused() {
    let job = |name| format!("[job.{name}]\nkind = \"exec\"\ncommand = [\"true\"]\nmarkers = \"markers\"\n");
    let told = Scene::new(&(job("a") + &job("b"))).load().expect_err("a refusal");
    assert_snapshot!(told, @"
    error[HW-CFG-017]: /hw/highwater.toml:8: job.b.markers: found the directory that job `a` keeps its markers in too, expected one of its own
      next: give each job its own directory: `.done` and `.halted` do not say whose they are
    ");
}

fn two_shippers(first: &str, second: &str) -> Scene {
    let job = |name, more| {
        format!("[job.{name}]\nkind = \"ship\"\nreceiver = \"http://127.0.0.1:1\"\nhost-id = \"{name}\"\n{more}\n")
    };
    Scene::new(&(job("cam-a", first) + &job("cam-b", second)))
}

#[test]
fn two_jobs_that_ship_and_share_a_directory_are_refused() {
    let told = two_shippers("episodes = \"a\"", "episodes = \"b\"\nshipped = \"sent\"").load().expect_err("a refusal");
    assert_snapshot!(told, @"
    error[HW-EPI-106]: /hw/highwater.toml:6: job.cam-b.outbox: found the directory of `outbox` of job `cam-a`, expected one of its own: of two episodes of one name, one would be taken for the other
      next: name another directory in one of the two jobs
    ");
    let scene = two_shippers(
        "episodes = \"a/episodes\"\noutbox = \"a/outbox\"\nshipped = \"a/shipped\"",
        "episodes = \"b/episodes\"\noutbox = \"b/outbox\"\nshipped = \"link/shipped\"",
    );
    scene.load().expect("they are apart");
    fs::create_dir(scene.path("a")).expect("a directory");
    symlink(scene.path("a"), scene.path("link")).expect("a link");
    assert_snapshot!(scene.load().expect_err("a refusal"), @"
    error[HW-EPI-106]: /hw/highwater.toml:14: job.cam-b.shipped: found the directory of `shipped` of job `cam-a`, expected one of its own: of two episodes of one name, one would be taken for the other
      next: name another directory in one of the two jobs
    ");
}

#[test]
fn a_job_whose_directories_are_one_or_lie_within_each_other_is_refused() {
    let one = |more: &str| {
        Scene::new(&format!(
            "[job.send]\nkind = \"ship\"\nreceiver = \"http://127.0.0.1:1\"\nhost-id = \"lab\"\n{more}\n"
        ))
    };
    let scene = one("shipped = \"up/episodes\"\noutbox = \"episodes/out\"");
    symlink(".", scene.path("up")).expect("a link");
    assert_snapshot!(scene.load().expect_err("a refusal"), @"
    error[HW-EPI-106]: /hw/highwater.toml:5: job.send.shipped: found the directory of `episodes`, expected one of its own: what is in both may be the only copy
      next: name another directory
    error[HW-EPI-106]: /hw/highwater.toml:6: job.send.outbox: found a directory within that of `episodes`, expected one of its own: what is in both may be the only copy
      next: name another directory
    ");
}
