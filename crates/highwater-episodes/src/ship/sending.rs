//! Which code sends, where a receiver judges that: what `code-commit` names. Owns how that is read, and what is told where nothing is.

use std::borrow::Cow;
use std::fmt;
use std::io::{self, Read};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use highwater_engine::diagnosis::{Diagnosis, with_causes};
use highwater_engine::settings::{CommandLine, FilePath};
use highwater_fs::read_plain;
use rustix::process::{Pid, Signal, kill_process_group};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::value::SeqAccessDeserializer;
use serde::de::{Error, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::gate;
use crate::index::{Commit, CommitError};

/// Longest file that holds a commit, and most of what a command says that is heard.
const COMMIT_FILE_BYTES_MAX: u64 = 64 * 1024;
/// How long a command may take that says it.
const COMMAND_SECS_MAX: u64 = 30;
/// How long it is waited for what an ended command said: whom it left running may hold its pipe.
const SAID_MILLIS: u64 = 500;
/// How much is read of a pipe at a time, in bytes.
const PART_BYTES: usize = 4 * 1024;
/// How much of what it said is told, in characters.
const TOLD_CHARS_MAX: usize = 200;

/// Where the commit of the code that sends is found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CodeCommit {
    /// A git repository, or a file that holds it.
    At(FilePath),
    /// What a command says.
    Said {
        /// The command.
        by: CommandLine,
        /// Where it is started, and from where a program counts that is named by a path.
        directory: PathBuf,
    },
}

impl CodeCommit {
    /// Makes relative paths count from the directory of the configuration.
    pub fn resolve(&mut self, base: &Path) {
        match self {
            Self::At(path) => path.resolve(base),
            Self::Said { by, directory } => {
                base.clone_into(directory);
                if by.program.contains('/') {
                    by.program = base.join(&by.program).display().to_string();
                }
            }
        }
    }

    /// The repository or the file, where it is one.
    #[must_use]
    pub fn path(&self) -> Option<&Path> {
        match self {
            Self::At(path) => Some(path),
            Self::Said { .. } => None,
        }
    }
}

impl Serialize for CodeCommit {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::At(path) => path.serialize(serializer),
            Self::Said { by, .. } => by.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for CodeCommit {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(CodeCommitVisitor)
    }
}

struct CodeCommitVisitor;

impl<'de> Visitor<'de> for CodeCommitVisitor {
    type Value = CodeCommit;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a path such as \"/opt/code\", or a command such as [\"git\", \"-C\", \"/opt/code\", \"rev-parse\", \"HEAD\"]")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<CodeCommit, E> {
        text.parse().map(CodeCommit::At).map_err(E::custom)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, sequence: A) -> Result<CodeCommit, A::Error> {
        let by = CommandLine::deserialize(SeqAccessDeserializer::new(sequence))?;
        Ok(CodeCommit::Said { by, directory: PathBuf::from(".") })
    }
}

impl JsonSchema for CodeCommit {
    fn schema_name() -> Cow<'static, str> {
        "CodeCommit".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "title": "path or command",
            "anyOf": [
                { "type": "string", "minLength": 1 },
                { "type": "array", "items": { "type": "string" }, "minItems": 1 },
            ],
        })
    }
}

/// The commit of the code that sends: the head of a repository, or the first word of a file or of what a command says.
///
/// # Errors
/// HW-EPI-103 where none of them names it.
pub fn sending_commit(code: &CodeCommit) -> Result<Commit, Diagnosis> {
    let next = "name a git repository, a file that holds a commit, or a command that says it in `code-commit`";
    let failed = |why: String| {
        let diagnosis = Diagnosis::failure("HW-EPI-103", why, next);
        match code.path() {
            Some(path) => diagnosis.in_file_once(path),
            None => diagnosis,
        }
    };
    let text = match code {
        CodeCommit::At(path) if path.is_dir() => {
            let source = gate::Source { repository: path.to_path_buf(), reference: "HEAD".to_owned(), commits: 1 };
            return source.read().map(|window| window.head().clone()).map_err(|error| failed(with_causes(&error)));
        }
        CodeCommit::At(path) => {
            let bytes = read_plain(path, COMMIT_FILE_BYTES_MAX).map_err(|error| failed(error.to_string()))?;
            String::from_utf8_lossy(&bytes).into_owned()
        }
        CodeCommit::Said { by, directory } => said(by, directory).map_err(failed)?,
    };
    let Some(word) = text.split_whitespace().next() else {
        let what = if code.path().is_some() { "it is empty" } else { "the command says nothing" };
        return Err(failed(format!("{what}, expected a commit of 40 or 64 hexadecimal digits")));
    };
    word.parse().map_err(|error: CommitError| failed(error.to_string()))
}

/// What a command says that ends well and in time.
fn said(by: &CommandLine, directory: &Path) -> Result<String, String> {
    // Its arguments may hold secrets.
    let failed = |what: &str| format!("`{}` {what}", by.program);
    let started = Command::new(&by.program)
        .args(&by.arguments)
        .current_dir(directory)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .spawn();
    let mut child = started.map_err(|error| failed(&format!("cannot be started: {error}")))?;
    let group = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    let (out, err) = (child.stdout.take(), child.stderr.take());
    let listened = Heard::of(out).and_then(|out| Ok((out, Heard::of(err)?, waited(child)?)));
    let (out, err, end) = listened.map_err(|error| {
        kill(group);
        failed(&format!("cannot be listened to: {error}"))
    })?;
    match ended(&end, group) {
        Ok(Some(status)) if status.success() => Ok(out.until_ended()),
        Ok(Some(status)) => {
            let told: String =
                err.until_ended().lines().last().unwrap_or_default().chars().take(TOLD_CHARS_MAX).collect();
            Err(failed(&format!("failed ({status}): {told}")))
        }
        Ok(None) => Err(failed(&format!("took more than {COMMAND_SECS_MAX} seconds"))),
        Err(error) => Err(failed(&format!("cannot be waited for: {error}"))),
    }
}

/// Waits for a command's end.
fn waited(mut child: Child) -> io::Result<Receiver<io::Result<ExitStatus>>> {
    let (hand_on, end) = mpsc::channel();
    std::thread::Builder::new().spawn(move || hand_on.send(child.wait()))?;
    Ok(end)
}

/// How it ended; `None` where it took too long, and is ended with its group.
fn ended(end: &Receiver<io::Result<ExitStatus>>, group: Option<Pid>) -> io::Result<Option<ExitStatus>> {
    match end.recv_timeout(Duration::from_secs(COMMAND_SECS_MAX)) {
        Ok(status) => status.map(Some),
        Err(_) => {
            kill(group);
            Ok(None)
        }
    }
}

fn kill(group: Option<Pid>) {
    if let Some(group) = group {
        // A group that is gone needs no signal.
        let _ = kill_process_group(group, Signal::KILL);
    }
}

/// What comes through a pipe, as it comes.
struct Heard {
    bytes: Arc<Mutex<Vec<u8>>>,
    over: Receiver<()>,
}

impl Heard {
    fn of(pipe: Option<impl Read + Send + 'static>) -> io::Result<Self> {
        let (hand_on, over) = mpsc::channel();
        let bytes = Arc::new(Mutex::new(Vec::new()));
        let heard = Arc::clone(&bytes);
        std::thread::Builder::new().spawn(move || {
            let Some(mut pipe) = pipe else { return };
            let mut part = [0; PART_BYTES];
            while let Ok(read @ 1..) = pipe.read(&mut part) {
                let mut heard = heard.lock().unwrap_or_else(PoisonError::into_inner);
                // What comes beyond is read too, else whoever says it would wait.
                let room = COMMIT_FILE_BYTES_MAX.saturating_sub(heard.len() as u64);
                heard.extend_from_slice(&part[..read.min(usize::try_from(room).unwrap_or(read))]);
            }
            drop(hand_on);
        })?;
        Ok(Self { bytes, over })
    }

    /// All that came until the command's end: another may hold its pipe open.
    fn until_ended(self) -> String {
        let _ = self.over.recv_timeout(Duration::from_millis(SAID_MILLIS));
        String::from_utf8_lossy(&self.bytes.lock().unwrap_or_else(PoisonError::into_inner)).into_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> CodeCommit {
        let mut code: CodeCommit = serde_json::from_str(text).unwrap();
        code.resolve(Path::new("/"));
        code
    }

    #[test]
    fn a_command_says_which_code_sends_and_what_it_says_else_is_told() {
        let commit = "0123456789abcdef0123456789abcdef01234567";
        let said = |script: &str| sending_commit(&read(&serde_json::json!(["sh", "-c", script]).to_string()));
        assert_eq!(said(&format!("echo {commit} main; yes | head -c 200000")).unwrap().as_str(), commit);
        // Whom it leaves running holds its pipe, and keeps nobody.
        let left = said(&format!("echo {commit}; sleep 100 & exit 0")).unwrap();
        assert_eq!(left.as_str(), commit);
        for (script, told) in [
            ("echo no such repository >&2; exit 128", "no such repository"),
            ("true", "the command says nothing, expected a commit of 40 or 64 hexadecimal digits"),
            ("echo HEAD", "found 4 characters that are not"),
            ("kill -9 $$", "signal: 9"),
        ] {
            let error = said(script).unwrap_err();
            let shown = format!("{error}");
            assert!(error.code == "HW-EPI-103" && shown.contains(told), "{script}: {shown}");
        }
        let none = sending_commit(&read(r#"["/no/such/program", "a-secret"]"#)).unwrap_err().to_string();
        assert!(none.contains("`/no/such/program` cannot be started") && !none.contains("a-secret"), "{none}");
    }

    #[test]
    fn it_is_a_path_or_a_list_of_words() {
        assert_eq!(read("\"opt/code\"").path(), Some(Path::new("/opt/code")));
        let CodeCommit::Said { by, directory } = read(r#"["./which", "a"]"#) else { panic!("it is a command") };
        assert_eq!((by.program.as_str(), &*directory), ("/./which", Path::new("/")));
        for wrong in ["7", "[]", "[\"\"]", "\"\"", "{}"] {
            assert!(serde_json::from_str::<CodeCommit>(wrong).is_err(), "{wrong}");
        }
    }
}
