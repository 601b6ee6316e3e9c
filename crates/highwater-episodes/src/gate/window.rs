//! The newest commits of a git repository, read in this process. Owns that they are the ones `git log` lists, whoever owns the
//! repository; changes nothing in it and runs nothing of it.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashSet};
use std::path::PathBuf;

use crate::index::Commit;

/// Where the commits are.
#[derive(Debug, Clone)]
pub struct Source {
    /// The repository's directory, with or without `.git`.
    pub repository: PathBuf,
    /// The branch, tag or reference from which they are counted.
    pub reference: String,
    /// How many of the newest are accepted.
    pub commits: u32,
}

/// The commits that are accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Window {
    head: Commit,
    commits: HashSet<Commit>,
}

/// Why they cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum WindowError {
    /// There is no repository, or it cannot be opened.
    #[error("the repository {} cannot be opened", repository.display())]
    Open {
        /// Where it should be.
        repository: PathBuf,
        /// What failed.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The reference leads to no commit.
    #[error("{reference} leads to no commit in {}", repository.display())]
    Reference {
        /// Where it was looked for.
        repository: PathBuf,
        /// What was looked for.
        reference: String,
        /// What failed.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The history cannot be walked.
    #[error("the history of {reference} in {} cannot be read", repository.display())]
    Walk {
        /// Where it is.
        repository: PathBuf,
        /// From where it was walked.
        reference: String,
        /// What failed.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl Source {
    /// Reads the newest commits.
    ///
    /// # Errors
    /// When the repository, the reference or a commit of the history cannot be read.
    pub fn read(&self) -> Result<Window, WindowError> {
        // Nothing but the repository's own files: no user's or system's configuration, no environment. That it is somebody
        // else's is as it should be, since nothing of it is run.
        let options = gix::open::Options::isolated().with(gix::sec::Trust::Full);
        let repository = gix::ThreadSafeRepository::open_opts(&self.repository, options)
            .map_err(|source| WindowError::Open { repository: self.repository.clone(), source: source.into() })?
            .to_thread_local();
        let tip = repository
            .find_reference(self.reference.as_str())
            .and_then(gix::Reference::into_fully_peeled_id)
            .map_err(|source| WindowError::Reference {
                repository: self.repository.clone(),
                reference: self.reference.clone(),
                source: source.into(),
            })?;
        let commits = self.walk(&repository, tip.detach()).map_err(|source| WindowError::Walk {
            repository: self.repository.clone(),
            reference: self.reference.clone(),
            source,
        })?;
        Ok(Window { head: commit(tip.detach()), commits })
    }

    /// As `git log` walks: of those whose children were listed the newest next, of two of one date the one that was met first.
    /// The library's own walk leaves open which of those comes first, and so which of them is the last in the window.
    fn walk(
        &self,
        repository: &gix::Repository,
        tip: gix::ObjectId,
    ) -> Result<HashSet<Commit>, Box<dyn std::error::Error + Send + Sync>> {
        // Their parents are named and not there.
        let ends = repository.shallow_commits()?;
        let (mut seen, mut next, mut commits) = (HashSet::from([tip]), BinaryHeap::new(), HashSet::new());
        next.push((u64::MAX, Reverse(0), tip));
        while let Some((_, _, id)) = next.pop() {
            commits.insert(commit(id));
            if commits.len() == self.commits as usize {
                break;
            }
            if ends.as_ref().is_some_and(|ends| ends.contains(&id)) {
                continue;
            }
            for parent in repository.find_commit(id)?.parent_ids() {
                let parent = parent.detach();
                if seen.insert(parent) {
                    let date = date(&repository.find_commit(parent)?.data);
                    next.push((date, Reverse(seen.len()), parent));
                }
            }
        }
        Ok(commits)
    }
}

/// When a commit was made, in seconds since 1970, as `git log` reads it: 0 where that cannot be read, and digits as far as they go. What is
/// below 0 is taken for a time at the end of all.
fn date(commit: &[u8]) -> u64 {
    let lines = commit.split(|byte| *byte == b'\n');
    let mut lines = lines.skip_while(|line| line.starts_with(b"tree ") || line.starts_with(b"parent "));
    let is_author = lines.next().is_some_and(|line| line.starts_with(b"author"));
    let Some(line) = lines.next().filter(|line| is_author && line.starts_with(b"committer")) else { return 0 };
    // From the end: what is odd is in names and addresses.
    let Some(name) = line.iter().rposition(|byte| *byte == b'>') else { return 0 };
    let text = line[name + 1..].trim_ascii_start();
    let (is_negative, text) = text.strip_prefix(b"-").map_or((false, text), |text| (true, text));
    let digits = text.iter().take_while(|byte| byte.is_ascii_digit());
    let seconds =
        digits.fold(0_u64, |seconds, digit| seconds.saturating_mul(10).saturating_add(u64::from(digit - b'0')));
    if is_negative && seconds != u64::MAX { seconds.wrapping_neg() } else { seconds }
}

fn commit(id: gix::ObjectId) -> Commit {
    id.to_string().parse().expect("invariant: an object's id is 40 or 64 hexadecimal digits")
}

impl Window {
    /// The newest commit.
    #[must_use]
    pub fn head(&self) -> &Commit {
        &self.head
    }

    /// Whether a commit is accepted.
    #[must_use]
    pub fn contains(&self, commit: &Commit) -> bool {
        self.commits.contains(commit)
    }

    /// How many are accepted.
    #[must_use]
    pub fn len(&self) -> usize {
        self.commits.len()
    }

    /// Whether none is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.commits.is_empty()
    }
}
