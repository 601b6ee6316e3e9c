//! Retiring: whatever a kill left is finished by the next call, and nothing is removed that is not elsewhere.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use highwater_episodes::archive::{TreeLimits, content_of};
use highwater_episodes::name::EpisodeId;
use highwater_episodes::ship::{MARKER, RetireError, Retired, Shelves};
use highwater_testkit::not_here::NotHere;

fn id() -> EpisodeId {
    EpisodeId::new("ep-1").unwrap()
}

fn shelves(root: &Path) -> Shelves {
    let shelves = Shelves { episodes: root.join("episodes"), shipped: root.join("shipped") };
    fs::create_dir_all(&shelves.episodes).unwrap();
    fs::create_dir_all(&shelves.shipped).unwrap();
    shelves
}

fn episode(dir: &Path, text: &str) {
    fs::create_dir_all(dir.join("sub/empty")).unwrap();
    fs::write(dir.join("sub/telemetry.csv"), text).unwrap();
    let file = fs::File::create(dir.join(MARKER)).unwrap();
    file.set_modified(std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_700_000_000)).unwrap();
    fs::File::options()
        .append(true)
        .open(dir.join("sub/telemetry.csv"))
        .unwrap()
        .set_modified(std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_700_000_001))
        .unwrap();
}

/// What is in a directory, but for directories of the shelf's own that are empty.
fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect();
    names.retain(|name| !name.starts_with('.') || fs::read_dir(dir.join(name)).unwrap().next().is_some());
    names.sort();
    names
}

#[test]
fn an_episode_is_moved_once_and_another_call_finds_it_there() {
    let dir = tempfile::tempdir().unwrap();
    let shelves = shelves(dir.path());
    episode(&shelves.episodes.join("ep-1"), "1");
    assert!(!shelves.is_retired(&id()).unwrap());
    assert_eq!(shelves.retire(&id()).unwrap(), Retired::Moved);
    assert_eq!(shelves.retire(&id()).unwrap(), Retired::Already);
    assert!(shelves.is_retired(&id()).unwrap());
    assert_eq!((names(&shelves.episodes), names(&shelves.shipped)), (vec![], vec!["ep-1".to_owned()]));
    let none = EpisodeId::new("none").unwrap();
    assert!(matches!(shelves.retire(&none), Err(RetireError::Gone { .. })));
}

#[test]
fn one_that_is_there_with_the_same_content_goes_and_one_with_another_stays() {
    let dir = tempfile::tempdir().unwrap();
    let shelves = shelves(dir.path());
    episode(&shelves.episodes.join("ep-1"), "1");
    episode(&shelves.shipped.join("ep-1"), "2");
    let Retired::Differs { ours, theirs } = shelves.retire(&id()).unwrap() else { panic!("they differ") };
    assert_ne!(ours, theirs);
    assert_eq!((names(&shelves.episodes).len(), names(&shelves.shipped).len()), (1, 1), "both are kept");
    episode(&shelves.shipped.join("ep-1"), "1");
    assert_eq!(shelves.retire(&id()).unwrap(), Retired::Moved);
    assert_eq!(names(&shelves.episodes), Vec::<String>::new());
}

#[test]
fn r05_what_a_kill_left_half_removed_or_half_copied_goes() {
    let dir = tempfile::tempdir().unwrap();
    let shelves = shelves(dir.path());
    // Killed while the original was removed, after its copy had its name.
    episode(&shelves.shipped.join("ep-1"), "1");
    fs::create_dir_all(shelves.episodes.join(".removing/ep-1/sub")).unwrap();
    // And another while it was copied.
    fs::create_dir_all(shelves.shipped.join(".copying/ep-2/sub")).unwrap();
    episode(&shelves.episodes.join("ep-2"), "2");
    // What only looks like one of ours stays.
    fs::create_dir_all(shelves.episodes.join(".removing/two words")).unwrap();
    assert_eq!(shelves.retire(&id()).unwrap(), Retired::Already);
    assert!(shelves.tidy_all().is_empty());
    assert_eq!(names(&shelves.episodes), [".removing", "ep-2"]);
    assert_eq!(names(&shelves.episodes.join(".removing")), ["two words"]);
    assert_eq!(names(&shelves.shipped), ["ep-1"]);
}

#[test]
fn r05_one_that_a_kill_left_before_it_was_looked_at_once_more_is_back_in_its_place() {
    let dir = tempfile::tempdir().unwrap();
    let shelves = shelves(dir.path());
    // Somebody wrote to the one, and the name of the other was taken meanwhile.
    for (episode_id, text) in [("ep-1", "edited"), ("ep-2", "2")] {
        episode(&shelves.shipped.join(format!(".removing/{episode_id} in question")), text);
    }
    episode(&shelves.shipped.join("ep-2"), "another");
    let left = shelves.tidy_all();
    assert!(
        matches!(&left[..], [RetireError::Edited { path }] if path.ends_with(".removing/ep-2 in question")),
        "{left:?}"
    );
    assert_eq!(names(&shelves.shipped), [".removing", "ep-1", "ep-2"]);
    assert_eq!(fs::read_to_string(shelves.shipped.join("ep-1/sub/telemetry.csv")).unwrap(), "edited");
    assert_eq!(fs::read_to_string(shelves.shipped.join("ep-2/sub/telemetry.csv")).unwrap(), "another");
    assert_eq!(names(&shelves.shipped.join(".removing")), ["ep-2 in question"]);
}

#[test]
fn an_episode_is_retired_to_another_file_system_as_it_was() {
    let dir = tempfile::tempdir().unwrap();
    let here = fs::metadata(dir.path()).unwrap().dev();
    let other = Path::new("/dev/shm");
    if fs::metadata(other).map_or(here, |there| there.dev()) == here {
        return NotHere("there is no second file system".to_owned()).say("retiring across file systems");
    }
    let there = tempfile::tempdir_in(other).unwrap();
    let mut shelves = shelves(dir.path());
    shelves.shipped = there.path().to_path_buf();
    let from = shelves.episodes.join("ep-1");
    episode(&from, "1");
    let before = content_of(&from, &id(), TreeLimits::default()).unwrap();
    // A copy that was killed half way is made anew.
    fs::create_dir_all(shelves.shipped.join(".copying/ep-1/old")).unwrap();
    assert_eq!(shelves.retire(&id()).unwrap(), Retired::Moved);
    assert_eq!(names(&shelves.episodes), Vec::<String>::new());
    assert_eq!(names(&shelves.shipped), ["ep-1"]);
    let after = content_of(&shelves.shipped.join("ep-1"), &id(), TreeLimits::default()).unwrap();
    assert_eq!(after.content_sha256, before.content_sha256);
    assert!(shelves.shipped.join("ep-1/sub/empty").is_dir());

    // What cannot be copied as it is stays where it is.
    let odd = EpisodeId::new("odd").unwrap();
    episode(&shelves.episodes.join("odd"), "1");
    std::os::unix::fs::symlink("/etc/hostname", shelves.episodes.join("odd/link")).unwrap();
    assert!(shelves.retire(&odd).is_err());
    assert!(shelves.episodes.join("odd").is_dir() && !shelves.shipped.join("odd").exists());

    // Nor does a copy that fails half way take any room from the next: here its names become too long.
    let far: std::path::PathBuf =
        std::iter::once(there.path().to_path_buf()).chain((0..18).map(|_| "d".repeat(200).into())).collect();
    fs::create_dir_all(&far).unwrap();
    shelves.shipped = far;
    episode(&shelves.episodes.join("long"), "1");
    fs::create_dir_all(shelves.episodes.join("long/sub").join("n".repeat(250)).join("m".repeat(250))).unwrap();
    assert!(shelves.retire(&EpisodeId::new("long").unwrap()).is_err());
    assert!(shelves.episodes.join("long/sub/telemetry.csv").exists());
    assert_eq!(names(&shelves.shipped), Vec::<String>::new());
}

#[test]
fn what_is_being_recorded_is_not_moved() {
    let dir = tempfile::tempdir().unwrap();
    let shelves = shelves(dir.path());
    for is_shipped in [false, true] {
        episode(&shelves.episodes.join("ep-1"), "1");
        fs::remove_file(shelves.episodes.join("ep-1").join(MARKER)).unwrap();
        if is_shipped {
            episode(&shelves.shipped.join("ep-1"), "1");
        }
        assert!(matches!(shelves.retire(&id()), Err(RetireError::Unfinished { .. })));
        assert_eq!(names(&shelves.episodes), ["ep-1"]);
    }
}
