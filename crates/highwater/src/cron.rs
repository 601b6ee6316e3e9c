//! What `run --cron` said last where no ledger remembers it: of a configuration or a ledger that cannot be opened, of a call that
//! was refused, of a target of notices that cannot be used. Owns that file in the state directory; what was said of a job's
//! passes is in the ledger.
//!
//! Where the file cannot be written either, everything is news each time: rather twice than never.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use highwater_engine::diagnosis::Diagnosis;
use highwater_fs::{Mode, publish_at};

use crate::cli::Global;
use crate::output::Output;
use crate::{owner, site};

/// The file in the state directory.
const FILE: &str = "cron.json";
/// Largest such file that is read, in bytes; a larger one is no such file.
const FILE_BYTES_MAX: u64 = 1 << 20;
/// The state is its owner's alone.
const FILE_MODE: u32 = 0o600;
/// Most matters that are remembered; a crontab has fewer lines.
const MATTERS_MAX: usize = 256;

/// What something was said of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Matter {
    /// The configuration, the owner, the ledger: what every call needs.
    Site,
    /// Targets of notices.
    Notify,
    /// This call alone.
    Call,
}

impl Matter {
    fn key(&self) -> String {
        match self {
            Self::Site => "site".to_owned(),
            Self::Notify => "notify".to_owned(),
            Self::Call => std::env::args().skip(1).fold("call".to_owned(), |line, word| format!("{line} {word}")),
        }
    }
}

/// The last word on each matter.
pub(crate) struct Said {
    file: PathBuf,
}

impl Said {
    /// What was said of the site with this state directory. This process must be its owner.
    pub(crate) fn at(state: &Path) -> Self {
        Self { file: state.join(FILE) }
    }

    /// The same where the site did not open, as far as its state directory can be found; becomes its owner.
    fn unopened(global: &Global) -> Option<Self> {
        let state = site::state_dir_unread(global)?;
        owner::become_owner(&[&state]).ok()?;
        Some(Self::at(&state))
    }

    /// Whether this is news, which is then remembered; an empty text is the end of the matter and no news.
    pub(crate) fn is_news(&self, matter: &Matter, text: &str) -> bool {
        let mut said = self.read();
        let before = match text {
            "" => said.remove(&matter.key()),
            _ => said.insert(matter.key(), text.to_owned()),
        };
        if before.as_deref().unwrap_or_default() == text {
            return false;
        }
        while said.len() > MATTERS_MAX {
            said.pop_first();
        }
        let bytes = serde_json::to_vec(&said).expect("invariant: a map of texts is JSON");
        if let Err(error) = publish_at(&self.file, &bytes, Mode::Exact(FILE_MODE)) {
            let error = &error as &dyn std::error::Error;
            tracing::warn!(error, "what cron was told could not be remembered; it is told again");
        }
        !text.is_empty()
    }

    fn read(&self) -> BTreeMap<String, String> {
        use std::io::Read;
        let mut bytes = Vec::new();
        let read = std::fs::File::open(&self.file).and_then(|file| file.take(FILE_BYTES_MAX).read_to_end(&mut bytes));
        read.ok().and_then(|_| serde_json::from_slice(&bytes).ok()).unwrap_or_default()
    }
}

/// Tells the errors that kept a call from opening its site, once a change.
pub(crate) fn tell(errors: &[Diagnosis], global: &Global, output: Output) {
    let said = Said::unopened(global);
    if said.is_none_or(|said| said.is_news(&Matter::Site, &text(errors))) {
        output.errors(errors);
    }
}

/// Errors as they are remembered.
pub(crate) fn text(errors: &[Diagnosis]) -> String {
    errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}
