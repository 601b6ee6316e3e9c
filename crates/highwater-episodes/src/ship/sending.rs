//! Which code sends, where a receiver judges that: what `code-commit` names. Owns how that is read, and what is told where nothing is.

use std::path::Path;

use highwater_engine::diagnosis::{Diagnosis, with_causes};
use highwater_fs::read_plain;

use crate::gate;
use crate::index::{Commit, CommitError};

/// Longest file that holds a commit.
const COMMIT_FILE_BYTES_MAX: u64 = 64 * 1024;

/// The commit of the code that sends: the head of a repository, or the first word of a file.
///
/// # Errors
/// HW-EPI-103 where it names neither.
pub fn sending_commit(path: &Path) -> Result<Commit, Diagnosis> {
    let failed = |why: String| {
        let next = "name a git repository or a file that holds a commit in `code-commit`";
        Diagnosis::failure("HW-EPI-103", why, next).in_file_once(path)
    };
    if path.is_dir() {
        let source = gate::Source { repository: path.to_path_buf(), reference: "HEAD".to_owned(), commits: 1 };
        return source.read().map(|window| window.head().clone()).map_err(|error| failed(with_causes(&error)));
    }
    let bytes = read_plain(path, COMMIT_FILE_BYTES_MAX).map_err(|error| failed(error.to_string()))?;
    let text = String::from_utf8_lossy(&bytes);
    let Some(word) = text.split_whitespace().next() else {
        return Err(failed("it is empty, expected a commit of 40 or 64 hexadecimal digits".to_owned()));
    };
    word.parse().map_err(|error: CommitError| failed(error.to_string()))
}
