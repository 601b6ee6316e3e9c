//! How systemd reads a word of a unit: quotes, backslashes, `%` and `$`. Owns that what it reads is what was meant.

use std::path::Path;

use highwater_engine::diagnosis::Diagnosis;

use super::UNFIT;

/// A path in a list of paths, such as that of `ReadWritePaths=`.
///
/// # Errors
/// A refusal of a path that a unit cannot hold.
pub(super) fn path(path: &Path) -> Result<String, Diagnosis> {
    Ok(quoted(&without_specifiers(text_of(path)?)))
}

/// A word of a command line; a `$` in it is a `$`.
///
/// # Errors
/// As [`path`].
pub(super) fn argument(word: &Path) -> Result<String, Diagnosis> {
    Ok(quoted(&without_specifiers(text_of(word)?).replace('$', "$$")))
}

/// A path that is all of a line, where quotes are not read.
///
/// # Errors
/// As [`path`], and for one that ends with a space or a backslash.
pub(super) fn line(path: &Path) -> Result<String, Diagnosis> {
    let text = text_of(path)?;
    if text.ends_with([' ', '\\']) {
        return Err(unfit(path, "one that ends with a space or a backslash"));
    }
    Ok(without_specifiers(text))
}

/// A path as it stands in a comment.
///
/// # Errors
/// As [`path`].
pub(super) fn comment(path: &Path) -> Result<&str, Diagnosis> {
    text_of(path)
}

fn text_of(path: &Path) -> Result<&str, Diagnosis> {
    match path.to_str() {
        Some(text) if !text.chars().any(char::is_control) => Ok(text),
        Some(_) => Err(unfit(path, "one with a control character")),
        None => Err(unfit(path, "one that is not UTF-8")),
    }
}

fn unfit(path: &Path, what: &str) -> Diagnosis {
    Diagnosis::refusal(
        UNFIT,
        format!("found the path {:?}, {what}, which no unit of systemd can hold", path.display().to_string()),
        "rename it, or call it by a link with a plain name",
    )
}

fn without_specifiers(text: &str) -> String {
    text.replace('%', "%%")
}

/// In quotes where anything but a plain path stands in it: a space ends a word, a backslash or a quote begins something.
fn quoted(text: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "/._-:,=@+%$".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        return text.to_owned();
    }
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}
