//! Directories that are looked at, and time that goes as a test says. Owns no file of the system but those of a test's own directory.

use std::fs;
use std::os::unix::fs::symlink;

use super::*;

const SETTLE: Duration = Duration::from_secs(2);

/// A directory that is watched, and time that goes as the test says.
struct Desk {
    directory: tempfile::TempDir,
    watched: Watched,
    now: Duration,
}

impl Desk {
    fn new(files: &[(&str, &str)]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        fs::create_dir(directory.path().join("in")).unwrap();
        let named = [directory.path().join("in")];
        let watched = Watched::new(&named, &directory.path().join("base"), SETTLE).unwrap();
        let desk = Self { directory, watched, now: Duration::ZERO };
        files.iter().for_each(|(path, text)| desk.write(path, text));
        desk
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.directory.path().join("in").join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// A look at everything, so many seconds later: what is ready, and what is gone.
    fn look(&mut self, later: u64) -> (Vec<String>, Vec<String>) {
        self.now += Duration::from_secs(later);
        let seen = self.watched.look(None, self.now);
        self.told(seen)
    }

    fn look_at(&mut self, directories: &[&str], later: u64) -> (Vec<String>, Vec<String>) {
        self.now += Duration::from_secs(later);
        let directories = directories.iter().map(|path| self.directory.path().join(path)).collect();
        let seen = self.watched.look_at(&directories, None, self.now);
        self.told(seen)
    }

    fn told(&self, seen: Seen) -> (Vec<String>, Vec<String>) {
        let root = self.directory.path().join("in");
        let short = |paths: Vec<PathBuf>| {
            paths.iter().map(|path| path.strip_prefix(&root).unwrap().display().to_string()).collect()
        };
        (short(seen.ready), short(seen.gone))
    }
}

fn of(ready: &[&str], gone: &[&str]) -> (Vec<String>, Vec<String>) {
    let own = |names: &[&str]| names.iter().map(ToString::to_string).collect();
    (own(ready), own(gone))
}

#[test]
fn a_file_is_ready_once_it_was_left_alone_and_again_when_it_changed() {
    let mut desk = Desk::new(&[("a.md", "a"), ("deep/b.md", "b"), (".hidden.md", "x"), ("x.png", "x")]);
    assert_eq!(desk.look(0), of(&[], &[]));
    assert_eq!(desk.look(1), of(&[], &[]));
    desk.write("a.md", "still written");
    assert_eq!(desk.look(1), of(&["deep/b.md"], &[]));
    assert_eq!(desk.look(1), of(&[], &[]));
    assert_eq!(desk.look(1), of(&["a.md"], &[]));
    assert_eq!(desk.look(9), of(&[], &[]), "once");
    desk.write("deep/b.md", "another");
    assert_eq!(desk.look(0), of(&[], &[]));
    assert_eq!(desk.look(2), of(&["deep/b.md"], &[]));
}

#[test]
fn a_file_that_never_rests_keeps_no_other_waiting() {
    let mut desk = Desk::new(&[("log.txt", ""), ("a.md", "a")]);
    for n in 0..4 {
        desk.write("log.txt", &"line\n".repeat(n));
        let ready = desk.look(1).0;
        assert_eq!(ready, if n == 2 { vec!["a.md".to_owned()] } else { Vec::new() }, "{n}");
    }
    assert_eq!(desk.look(2), of(&["log.txt"], &[]));
}

#[test]
fn what_goes_is_told_once_and_what_went_before_it_was_ready_never() {
    let mut desk = Desk::new(&[("a.md", "a"), ("dir/b.md", "b"), ("dir/deep/c.md", "c")]);
    desk.look(0);
    desk.look(2);
    desk.write("short.md", "x");
    desk.look(0);
    fs::remove_file(desk.directory.path().join("in/short.md")).unwrap();
    fs::remove_file(desk.directory.path().join("in/a.md")).unwrap();
    assert_eq!(desk.look(3), of(&[], &["a.md"]));
    assert_eq!(desk.look(3), of(&[], &[]));
    // A directory that was moved away, seen from where it lay.
    fs::rename(desk.directory.path().join("in/dir"), desk.directory.path().join("elsewhere")).unwrap();
    assert_eq!(desk.look_at(&["in"], 0), of(&[], &["dir/b.md", "dir/deep/c.md"]));
    // And back under another name: it is found, and what lies in it is new.
    fs::rename(desk.directory.path().join("elsewhere"), desk.directory.path().join("in/other")).unwrap();
    assert_eq!(desk.look_at(&["in"], 0), of(&[], &[]));
    assert_eq!(desk.look_at(&[], 2), of(&["other/b.md", "other/deep/c.md"], &[]));
}

#[test]
fn a_hint_is_followed_to_its_directory_and_no_further() {
    let mut desk = Desk::new(&[("a.md", "a"), ("dir/b.md", "b")]);
    desk.look(0);
    desk.look(2);
    desk.write("a.md", "another");
    desk.write("dir/b.md", "another");
    let directory = desk.directory.path().join("in/dir");
    assert_eq!(desk.look_at(&["in/dir", "nowhere"], 0), of(&[], &[]));
    assert_eq!(desk.look_at(&[], 2), of(&["dir/b.md"], &[]));
    fs::remove_dir_all(directory).unwrap();
    assert_eq!(desk.look_at(&["in/dir"], 0), of(&[], &["dir/b.md"]));
    assert_eq!(desk.look(2), of(&[], &[]));
    assert_eq!(desk.look(2), of(&["a.md"], &[]));
}

#[test]
fn what_was_named_and_is_away_takes_no_document_with_it() {
    let mut desk = Desk::new(&[("a.md", "a")]);
    desk.look(0);
    desk.look(2);
    let (there, away) = (desk.directory.path().join("in"), desk.directory.path().join("away"));
    fs::rename(&there, &away).unwrap();
    let seen = desk.watched.look(None, desk.now);
    assert_eq!((seen.missing, seen.gone), (vec![there.clone()], Vec::new()));
    fs::rename(&away, &there).unwrap();
    assert_eq!(desk.look(0), of(&[], &[]), "it is what it was");
    assert!(Watched::new(&[away], Path::new("/"), SETTLE).is_err());
}

#[test]
fn files_that_are_named_are_watched_whatever_they_are_called_and_links_to_directories_are_not_followed() {
    let directory = tempfile::tempdir().unwrap();
    let at = |path: &str| directory.path().join(path);
    fs::create_dir_all(at("in/dir")).unwrap();
    fs::write(at("in/dir/a.md"), "a").unwrap();
    fs::write(at("notes"), "n").unwrap();
    symlink(at("in/dir"), at("in/link")).unwrap();
    let mut watched = Watched::new(&[at("in"), at("notes")], &at("base"), SETTLE).unwrap();
    watched.look(None, Duration::ZERO);
    assert_eq!(watched.look(None, SETTLE).ready, [at("in/dir/a.md"), at("notes")]);
    fs::write(at("notes"), "another").unwrap();
    let beside = BTreeSet::from([directory.path().to_owned()]);
    watched.look_at(&beside, None, SETTLE);
    let seen = watched.look_at(&beside, None, 2 * SETTLE);
    assert_eq!(seen.ready, [at("notes")]);
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn the_kernel_tells_of_directories_that_are_new_too() {
    let mut desk = Desk::new(&[("a.md", "a")]);
    let hints = Hints::begin().unwrap();
    desk.watched.look(Some(&hints), desk.now);
    desk.write("new/deep/b.md", "b");
    let mut ready = Vec::new();
    while ready.len() < 2 {
        hints.woken().await;
        let hint = hints.heard();
        desk.now += SETTLE;
        let seen = match hint {
            Some(Hint::In(directories)) => desk.watched.look_at(&directories, Some(&hints), desk.now),
            Some(Hint::Everywhere) => desk.watched.look(Some(&hints), desk.now),
            None => continue,
        };
        ready.extend(seen.ready);
        if seen.again.is_some() {
            desk.now += SETTLE;
            ready.extend(desk.watched.look_at(&BTreeSet::new(), Some(&hints), desk.now).ready);
        }
    }
    assert!(ready.iter().any(|file| file.ends_with("new/deep/b.md")), "{ready:?}");
    // What happens deep down from now on is told as well.
    desk.write("new/deep/c.md", "c");
    hints.woken().await;
    assert!(
        matches!(hints.heard(), Some(Hint::In(heard)) if heard.iter().any(|directory| directory.ends_with("new/deep")))
    );
}
