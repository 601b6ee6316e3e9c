//! A place to run the built binary in: a directory with a configuration, a list and scripts. Owns how it is called and what is
//! read off it.

use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use highwater_engine::clock::{Clock, SystemClock};
use serde_json::Value;

/// The binary under test.
pub(crate) const HIGHWATER: &str = env!("CARGO_BIN_EXE_highwater");
/// In a script `load`: waits until the test makes the file `go`, or until the place is gone, so that a test that failed
/// leaves nothing running.
pub(crate) const UNTIL_GO: &str = "while [ ! -e go ] && [ -e load ]; do sleep 0.02; done";
/// Longest wait for something that is to happen.
const WAIT: Duration = Duration::from_secs(180);
/// Between two looks.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// How a call ended.
#[derive(Debug)]
pub(crate) struct Ended {
    /// The exit code; the signal's number below zero where one ended it.
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl From<Output> for Ended {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code().unwrap_or_else(|| -output.status.signal().unwrap_or_default()),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

impl Ended {
    /// The one JSON object it printed.
    pub(crate) fn json(&self) -> Value {
        let line = self.stdout.lines().last().unwrap_or_default();
        serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {self:?}"))
    }
}

/// The place.
pub(crate) struct Rig {
    pub(crate) dir: tempfile::TempDir,
}

impl Rig {
    /// A directory with a `highwater.toml`.
    pub(crate) fn new(config: &str) -> Self {
        let rig = Self { dir: tempfile::tempdir().unwrap() };
        rig.write("highwater.toml", config);
        rig
    }

    /// One exec job `load` over `items`, which runs the shell `script` with the item as `$1`.
    pub(crate) fn load(items: &[&str], script: &str, more: &str) -> Self {
        let rig = Self::new(&format!(
            "[job.load]\nkind = \"exec\"\nworklist = \"ids.txt\"\ncommand = [\"./load\", \"{{}}\"]\nresources = [\"r\"]\n{more}\n[resource.r]\nlock = \"file:r.lock\"\n"
        ));
        rig.list(items);
        rig.script("load", script);
        rig
    }

    pub(crate) fn list(&self, items: &[&str]) {
        let text: String = items.iter().map(|i| format!("{i}\n")).collect();
        self.write("ids.txt", &text);
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).unwrap();
    }

    pub(crate) fn script(&self, name: &str, text: &str) {
        self.write(name, &format!("#!/bin/sh\n{text}\n"));
        std::fs::set_permissions(self.path(name), std::fs::Permissions::from_mode(0o755)).unwrap();
    }

    pub(crate) fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap_or_default()
    }

    /// The lines that scripts appended to `log`.
    pub(crate) fn log(&self) -> Vec<String> {
        self.read("log").lines().map(str::to_owned).collect()
    }

    pub(crate) fn command(&self, args: &[&str]) -> Command {
        self.command_of(Path::new(HIGHWATER), args)
    }

    /// A call of the binary as it lies elsewhere.
    pub(crate) fn command_of(&self, binary: &Path, args: &[&str]) -> Command {
        let mut command = Command::new(binary);
        command.args(args).current_dir(self.dir.path()).stdin(Stdio::null()).env("NO_COLOR", "1");
        for of_its_own in
            ["CONFIG", "STATE_DIR", "LOG_FILE", "LOG_FORMAT", "LOG", "LLM_URL", "LLM_MODEL", "LLM_KEY_ENV"]
        {
            command.env_remove(format!("HIGHWATER_{of_its_own}"));
        }
        command
    }

    pub(crate) fn run(&self, args: &[&str]) -> Ended {
        self.command(args).output().unwrap().into()
    }

    /// One pass of `load`: its exit code and its reason.
    pub(crate) fn pass(&self) -> (i32, String) {
        self.pass_with(&[])
    }

    pub(crate) fn pass_with(&self, more: &[&str]) -> (i32, String) {
        let args: Vec<&str> = ["--json", "run", "load"].iter().chain(more).copied().collect();
        let ended = self.run(&args);
        let json = ended.json();
        let reason = json["reason"].as_str().unwrap_or_else(|| panic!("no reason: {ended:?}")).to_owned();
        (ended.code, reason)
    }

    /// Runs and expects success.
    pub(crate) fn ok(&self, args: &[&str]) -> Ended {
        let ended = self.run(args);
        assert_eq!(ended.code, 0, "{args:?}: {ended:?}");
        ended
    }

    /// A shell in the place, to which the binary under test is `highwater`.
    pub(crate) fn shell(&self, script: &str) -> Command {
        let mut dirs = vec![Path::new(HIGHWATER).parent().unwrap().to_owned()];
        dirs.extend(std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()));
        let mut shell = Command::new("sh");
        shell.args(["-c", script]).current_dir(self.dir.path()).stdin(Stdio::null());
        shell.env_remove("HIGHWATER_CONFIG").env("NO_COLOR", "1").env("PATH", std::env::join_paths(dirs).unwrap());
        shell
    }

    /// Runs a shell script in the place.
    pub(crate) fn sh(&self, script: &str) -> Ended {
        self.shell(script).output().unwrap().into()
    }

    /// Starts it with its output kept.
    pub(crate) fn start(&self, args: &[&str]) -> Child {
        self.command(args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    }

    /// The same, to be killed.
    pub(crate) fn doom(&self, args: &[&str]) -> Doomed {
        Doomed(Some(self.start(args)))
    }

    /// Waits until `log` has so many lines.
    pub(crate) fn wait_for_log(&self, lines: usize) {
        wait_until(&format!("{lines} lines in the log"), || self.log().len() >= lines);
    }

    /// The figures of the job's worklist.
    pub(crate) fn tally(&self) -> Value {
        let items = self.ok(&["--json", "items", "load"]);
        let mut count = serde_json::Map::new();
        for line in items.stdout.lines() {
            let item: Value = serde_json::from_str(line).unwrap();
            let word = match item["outcome"].as_str() {
                Some("failed" | "deferred") => "retry",
                Some(word) => word,
                None => "open",
            };
            let n = count.get(word).and_then(Value::as_u64).unwrap_or(0);
            count.insert(word.to_owned(), Value::from(n + 1));
        }
        Value::Object(count)
    }
}

/// Waits until it is so.
pub(crate) fn wait_until(what: &str, so: impl FnMut() -> bool) {
    wait(nap, what, so);
}

/// Waits until it is so, without a nap: what follows comes at the same moment.
pub(crate) fn spin_until(what: &str, so: impl FnMut() -> bool) {
    wait(std::hint::spin_loop, what, so);
}

fn wait(between: fn(), what: &str, mut so: impl FnMut() -> bool) {
    let clock = SystemClock::new();
    while !so() {
        assert!(clock.elapsed() < WAIT, "waited too long for {what}");
        between();
    }
}

#[expect(clippy::disallowed_methods, reason = "a test that waits for another process")]
fn nap() {
    std::thread::sleep(LOOK_EVERY);
}

/// Waits so long, whatever happens: for a moment that nothing announces.
#[expect(clippy::disallowed_methods, reason = "a test that kills another process at any moment")]
pub(crate) fn pause(span: Duration) {
    std::thread::sleep(span);
}

/// The code of what `kill -9` has ended.
pub(crate) const KILLED: i32 = -9;

/// A call that is killed at a moment of the test's choosing, and with the test where that fails.
pub(crate) struct Doomed(Option<Child>);

impl From<Child> for Doomed {
    fn from(child: Child) -> Self {
        Self(Some(child))
    }
}

impl Doomed {
    pub(crate) fn pid(&self) -> u32 {
        self.0.as_ref().map_or(0, Child::id)
    }

    /// Whether it has not ended by itself.
    pub(crate) fn runs(&mut self) -> bool {
        self.0.as_mut().is_some_and(|child| child.try_wait().unwrap().is_none())
    }

    /// `kill -9` of the program alone: its commands live on. Another code than [`KILLED`] says that it had ended before.
    pub(crate) fn kill_9(mut self) -> Ended {
        let mut child = self.0.take().expect("invariant: only its end takes it");
        child.kill().unwrap();
        end(child)
    }

    /// Its end, by itself.
    pub(crate) fn end(mut self) -> Ended {
        end(self.0.take().expect("invariant: only its end takes it"))
    }
}

impl Drop for Doomed {
    fn drop(&mut self) {
        if let Some(child) = &mut self.0 {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Names the seed that a test is to be repeated with.
const SEED_VARIABLE: &str = "HIGHWATER_SEED";

/// Chance, with its seed on standard error.
pub(crate) fn dice(test: &str) -> fastrand::Rng {
    let given = std::env::var(SEED_VARIABLE).ok().and_then(|seed| seed.parse().ok());
    let seed = given.unwrap_or_else(|| fastrand::u64(..));
    eprintln!("{test}: {SEED_VARIABLE}={seed} repeats it");
    fastrand::Rng::with_seed(seed)
}

/// Sends a signal to a process of ours.
pub(crate) fn signal(child: &Child, name: &str) {
    let sent = Command::new("kill").args([&format!("-{name}"), &child.id().to_string()]).status().unwrap();
    assert!(sent.success());
}

/// The result of a started call.
pub(crate) fn end(child: Child) -> Ended {
    child.wait_with_output().unwrap().into()
}

/// A holder of a lock by util-linux `flock`, until it is dropped.
pub(crate) struct Flock(Child);

impl Flock {
    pub(crate) fn hold(lock: &Path) -> Self {
        let child = Command::new("flock")
            .args(["-n", "-o"])
            .arg(lock)
            .args(["sh", "-c", "echo held; exec sleep 600"])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut holder = Self(child);
        let mut line = [0; 5];
        std::io::Read::read_exact(holder.0.stdout.as_mut().unwrap(), &mut line).unwrap();
        holder
    }
}

impl Drop for Flock {
    fn drop(&mut self) {
        // flock waits for its child; both go, so that the lock does.
        let _ = Command::new("pkill").args(["-P", &self.0.id().to_string()]).status();
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
