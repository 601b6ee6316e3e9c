//! Answers that were paid for, in `.highwater/answers/`. Owns that one which was kept is there after any crash, and that a damaged one is
//! set aside, not believed.

use std::io;

use highwater_fs::{Fs, FsError, Mode, Quarantine, RelPath, ensure_dir, publish};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::request::RequestKey;
use crate::base::{Home, QUARANTINE};

/// Where they are, from the base's root.
pub const ANSWERS: &str = ".highwater/answers";
/// Changes where what is written here is read otherwise.
const FORMAT: u32 = 1;
/// The most bytes of an answer that is kept; an endpoint's answer is no larger.
const KEPT_BYTES_MAX: u64 = 2 * super::endpoint::ANSWER_BYTES_MAX as u64;

/// What a model answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Answer {
    /// What it said.
    pub text: String,
    /// Whether it was cut off at the most tokens that an answer may have.
    pub is_cut: bool,
    /// What it is called by the endpoint.
    pub model: String,
    /// Tokens of what was asked, as they were paid.
    pub prompt_tokens: u64,
    /// Tokens of what was said.
    pub answer_tokens: u64,
}

/// An answer as it is kept.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Kept {
    format: u32,
    request: RequestKey,
    /// When it came.
    at: Timestamp,
    /// The BLAKE3 of what was said.
    digest: String,
    answer: Answer,
}

/// The answers of a base.
#[derive(Debug, Clone, Copy)]
pub struct Answers<'a> {
    fs: &'a dyn Fs,
}

impl<'a> Answers<'a> {
    /// Those of a base.
    #[must_use]
    pub fn of(home: &'a dyn Home) -> Self {
        Self { fs: home.fs() }
    }

    /// Makes room for the answer to a request, before it is paid for.
    ///
    /// # Errors
    /// What the disk says.
    pub fn make_room(&self, request: RequestKey) -> Result<(), FsError> {
        ensure_dir(self.fs, &shelf(request), Mode::Umask)
    }

    /// What was answered to a request; `None` where nothing was, or it cannot be read.
    ///
    /// # Errors
    /// What the disk says.
    pub fn get(&self, request: RequestKey) -> Result<Option<Answer>, FsError> {
        let answer = self.read(request)?.and_then(Result::ok);
        answer.map(|answer| self.settled(request, answer)).transpose()
    }

    /// The same for the one who is about to ask: what cannot be read is set aside.
    ///
    /// # Errors
    /// What the disk says.
    pub fn get_whole(&self, request: RequestKey) -> Result<Option<Answer>, FsError> {
        match self.read(request)? {
            None => Ok(None),
            Some(Ok(answer)) => self.settled(request, answer).map(Some),
            Some(Err(why)) => {
                let quarantine = RelPath::new(QUARANTINE).expect("invariant: the base's own paths are confined");
                Quarantine::new(self.fs, quarantine).set_aside(&path(request), &why)?;
                tracing::warn!(%request, why, "an answer of the model was damaged; it is set aside, and asked for again");
                Ok(None)
            }
        }
    }

    /// Keeps what was answered to a request. It is there after a crash once this has returned.
    ///
    /// # Errors
    /// What the disk says.
    pub fn put(&self, request: RequestKey, answer: &Answer, at: Timestamp) -> Result<(), FsError> {
        let kept = Kept { format: FORMAT, request, at, digest: digest(&answer.text), answer: answer.clone() };
        let bytes = serde_json::to_vec(&kept).expect("invariant: an answer is JSON");
        self.make_room(request)?;
        publish(self.fs, &path(request), &bytes, Mode::Umask)
    }

    /// An answer that was found, once its name is durable: who put it may have been killed, or refused by the disk, just before that.
    fn settled(&self, request: RequestKey, answer: Answer) -> Result<Answer, FsError> {
        let shelf = shelf(request);
        let above: Vec<_> = shelf.ancestors().collect();
        self.fs.sync_dir(&shelf)?;
        above.iter().try_for_each(|directory| self.fs.sync_dir(directory))?;
        Ok(answer)
    }

    fn read(&self, request: RequestKey) -> Result<Option<Result<Answer, String>>, FsError> {
        let bytes = match self.fs.read(&path(request), KEPT_BYTES_MAX) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(FsError::TooLarge { limit, .. }) => {
                return Ok(Some(Err(format!("it is larger than {limit} bytes, as no answer is"))));
            }
            Err(error) => return Err(error),
        };
        Ok(Some(match serde_json::from_slice::<Kept>(&bytes) {
            Err(error) => Err(format!("it is no answer that was kept: {error}")),
            Ok(kept) if kept.format != FORMAT => Err(format!("it is of format {}, not {FORMAT}", kept.format)),
            Ok(kept) if kept.request != request => Err(format!("it answers {}", kept.request)),
            Ok(kept) if kept.digest != digest(&kept.answer.text) => Err("its words are not those that came".to_owned()),
            Ok(kept) => Ok(kept.answer),
        }))
    }
}

fn digest(text: &str) -> String {
    blake3::hash(text.as_bytes()).to_hex().to_string()
}

/// The directory of a request's answer: not all in one, since there may be many.
fn shelf(request: RequestKey) -> RelPath {
    RelPath::new(format!("{ANSWERS}/{}", &request.to_string()[..2])).expect("invariant: two digits are a name")
}

/// The file of a request's answer, from the base's root.
#[must_use]
pub fn path(request: RequestKey) -> RelPath {
    shelf(request).join(request.to_string()).expect("invariant: 64 digits are a name")
}
