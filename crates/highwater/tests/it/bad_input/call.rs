//! One bad call: made, shown as a snapshot, and held against what was there before it. Owns what every error must look like.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use highwater_testkit::not_here::NotHere;
use nix::unistd::geteuid;
use tempfile::TempDir;

use super::traces::Traces;
use crate::rig::{Ended, HIGHWATER, Rig};

/// A user without any rights of their own, and another.
pub(super) const NOBODY: u32 = 65_534;
pub(super) const OTHER: u32 = 65_533;
/// What must never reach a person: a panic, and the way Rust prints a value for its authors.
const RUST_WORDS: [&str; 8] =
    ["panicked", "RUST_BACKTRACE", "Error(", "Error {", "Err(", "Some(", "Os {", "SqliteFailure"];

/// What a call may leave behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Leaves {
    /// Every file is as it was.
    Nothing,
    /// The row of a pass that was refused: every ending has one.
    Row,
    /// A pinned worklist and a halt; no item was tried.
    Halt,
    /// A pass went on until it failed; what it did is its test's to look at.
    Work,
}

/// A call of the built binary.
pub(super) struct Call<'r> {
    rig: &'r Rig,
    command: Command,
    shown: String,
    places: Vec<(PathBuf, &'static str)>,
    _binary: Option<TempDir>,
}

/// `highwater ARGS` at the place of `rig`.
pub(super) fn call<'r>(rig: &'r Rig, args: &[&str]) -> Call<'r> {
    Call { rig, command: rig.command(args), shown: shown(args), places: Vec::new(), _binary: None }
}

/// The same as another user, whom only root can become. The binary may lie where others cannot reach it.
pub(super) fn call_by<'r>(rig: &'r Rig, uid: u32, args: &[&str]) -> Call<'r> {
    let directory = tempfile::tempdir().unwrap();
    mode(directory.path(), 0o755);
    let binary = directory.path().join("highwater");
    // By another process: what this one opens to write, its children hold open, and nobody could start it meanwhile.
    assert!(Command::new("cp").arg(HIGHWATER).arg(&binary).status().unwrap().success());
    let mut command = rig.command_of(&binary, args);
    command.uid(uid).gid(uid);
    Call { rig, command, shown: shown(args), places: Vec::new(), _binary: Some(directory) }
}

/// A place for a user without rights: root's rights would hide what is wrong. As root it is given to nobody.
pub(super) fn unprivileged(rig: &Rig) {
    if geteuid().is_root() {
        give(rig.dir.path(), NOBODY);
        mode(rig.dir.path(), 0o755);
    }
}

/// The same call by the user whom [`unprivileged`] gave the place to.
pub(super) fn call_unprivileged<'r>(rig: &'r Rig, args: &[&str]) -> Call<'r> {
    if geteuid().is_root() { call_by(rig, NOBODY, args) } else { call(rig, args) }
}

fn shown(args: &[&str]) -> String {
    let plain = |word: &str| !word.is_empty() && !word.contains(' ');
    args.iter().fold("highwater".to_owned(), |line, word| {
        if plain(word) { format!("{line} {word}") } else { format!("{line} '{word}'") }
    })
}

impl Call<'_> {
    /// With a variable in its environment.
    pub(super) fn env(mut self, name: &str, value: &str) -> Self {
        self.command.env(name, value);
        self.shown = format!("{name}={value} {}", self.shown);
        self
    }

    /// Without a variable.
    pub(super) fn without(mut self, name: &str) -> Self {
        self.command.env_remove(name);
        self.shown = format!("env -u {name} {}", self.shown);
        self
    }

    /// With what it prints going to a file.
    pub(super) fn into_file(mut self, file: &str) -> Self {
        self.command.stdout(fs::OpenOptions::new().write(true).open(file).unwrap());
        self.shown = format!("{} >{file}", self.shown);
        self
    }

    /// With another place than the rig's, and its name in the snapshot; what is in it must stay as it is, too.
    pub(super) fn beside(mut self, place: &Path, name: &'static str) -> Self {
        self.shown = self.shown.replace(&place.display().to_string(), name);
        self.places.push((place.to_owned(), name));
        self
    }

    /// Refused with exit 2, and every file is as it was.
    pub(super) fn refused(self, case: &str) -> Ended {
        self.ends(case, 2, Leaves::Nothing)
    }

    /// A pass was refused with exit 2: its row is written, and nothing else.
    pub(super) fn refuses_the_pass(self, case: &str) {
        self.ends(case, 2, Leaves::Row);
    }

    /// Failed with exit 1, and every file is as it was.
    pub(super) fn fails(self, case: &str) {
        self.ends(case, 1, Leaves::Nothing);
    }

    /// Makes the call, shows it, and holds it against what was there before.
    pub(super) fn ends(mut self, case: &str, code: i32, leaves: Leaves) -> Ended {
        let before = self.traces(leaves);
        let ended: Ended = self.command.output().unwrap().into();
        let after = self.traces(leaves);
        let text =
            format!("$ {}\nexit {}\n--- stdout\n{}--- stderr\n{}", self.shown, ended.code, ended.stdout, ended.stderr);
        self.show(case, &text);
        assert_eq!(ended.code, code, "{case}: {text}");
        assert_well_told(case, &ended);
        before.assert_same(&after, case);
        ended
    }

    fn traces(&self, leaves: Leaves) -> Traces {
        let places = self.places.iter().map(|(place, _)| &**place);
        Traces::of(places.chain([self.rig.dir.path()]), leaves)
    }

    /// The snapshot of a case, without what differs from call to call.
    fn show(&self, case: &str, text: &str) {
        let mut settings = insta::Settings::clone_current();
        settings.set_snapshot_path("snapshots");
        settings.set_prepend_module_to_snapshot(false);
        settings.set_omit_expression(true);
        let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
        let own = self.rig.dir.path();
        let real = own.canonicalize().unwrap();
        let places =
            self.places.iter().map(|(place, name)| (&**place, *name)).chain([(&*real, "[DIR]"), (own, "[DIR]")]);
        for (place, name) in places {
            settings.add_filter(&literal(&place.display().to_string()), name);
        }
        settings.add_filter(&format!("@{}\\b", literal(&host)), "@[HOST]");
        for (what, shown) in [
            (r"no \[DIR\]/highwater\.toml, .*, no /etc/", "no [DIR]/highwater.toml, …, no /etc/"),
            (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", "[TIME]"),
            (r"\b[0-9a-f]{64}\b", "[SHA256]"),
            (r"\b\d+ done in [^;]+; \d+ of ", "[N] done in [TOOK]; [N] of "),
            (r"\.ledger\.db\.new-\w+", ".ledger.db.new-[RANDOM]"),
            (r"\d{8}T\d{6}Z\.db", "[TIME].db"),
        ] {
            settings.add_filter(what, shown);
        }
        settings.bind(|| insta::assert_snapshot!(case, text));
    }
}

/// Every error has a next step, and none is told in the words of Rust.
fn assert_well_told(case: &str, ended: &Ended) {
    let said = format!("{}{}", ended.stdout, ended.stderr);
    for word in RUST_WORDS {
        assert!(!said.contains(word), "{case}: {word:?} reached a person: {said}");
    }
    // The parser of the command line has errors of its own.
    let by_clap = ended.stderr.starts_with("error: ") && ended.stderr.contains("--help");
    let by_halt = ended.code == 4 && ended.stdout.contains("rearm");
    let told = ended.stderr.matches("error[HW-").count();
    let json = ended.stdout.matches("\"next\":\"").count();
    assert!(by_clap || by_halt || told + json > 0, "{case}: no error is told: {said}");
    assert_eq!(told, ended.stderr.matches("\n  next: ").count(), "{case}: an error without a next step: {said}");
}

/// A text as a pattern that is nothing but it.
fn literal(text: &str) -> String {
    text.chars().flat_map(|c| if c.is_alphanumeric() { vec![c] } else { vec!['\\', c] }).collect()
}

/// Gives the whole place to a user, who may call the binary there; `None`, named, where this user cannot give things away.
pub(super) fn given_to(uid: u32, rig: Rig, test: &str) -> Option<Rig> {
    if !geteuid().is_root() {
        NotHere("only root can give a directory to another user".to_owned()).say(test);
        return None;
    }
    give(rig.dir.path(), uid);
    // Others may pass, down to the binary.
    mode(rig.dir.path(), 0o755);
    Some(rig)
}

fn give(path: &Path, uid: u32) {
    chown(path, Some(uid), Some(uid)).unwrap();
    if path.is_dir() {
        for entry in fs::read_dir(path).unwrap() {
            give(&entry.unwrap().path(), uid);
        }
    }
}

/// Sets the mode of a path.
pub(super) fn mode(path: &Path, to: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(to)).unwrap();
}

/// Everything below a directory that belongs to root.
pub(super) fn of_root(directory: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let meta = path.symlink_metadata().unwrap();
        if meta.uid() == 0 {
            found.push(path.display().to_string());
        }
        if meta.is_dir() {
            found.extend(of_root(&path));
        }
    }
    found
}
