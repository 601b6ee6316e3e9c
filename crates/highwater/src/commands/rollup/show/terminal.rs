//! What the place can show that the answer is printed to. Owns the choice between signs of all the world and plain ones.

use std::io::{self, IsTerminal};

/// Columns where nobody says.
const COLUMNS_ASSUMED: usize = 80;
/// Columns that are used at most: a sparkline needs no more.
const COLUMNS_MAX: usize = 200;

/// The place.
#[derive(Debug, Clone, Copy)]
pub(super) struct Terminal {
    /// How wide it is.
    pub(super) columns: usize,
    /// Whether it shows more than ASCII.
    pub(super) is_utf8: bool,
}

impl Terminal {
    pub(super) fn of_stdout() -> Self {
        let size = if io::stdout().is_terminal() {
            rustix::termios::tcgetwinsize(io::stdout()).ok().map(|size| usize::from(size.ws_col))
        } else {
            None
        };
        let columns = size.filter(|columns| *columns > 0).unwrap_or(COLUMNS_ASSUMED).min(COLUMNS_MAX);
        Self { columns, is_utf8: is_utf8(|name| std::env::var(name).ok()) }
    }
}

/// Whether the locale is one of UTF-8; the first of the variables that says something decides.
fn is_utf8(variable: impl Fn(&str) -> Option<String>) -> bool {
    let said = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().filter_map(variable).find(|said| !said.is_empty());
    said.is_some_and(|said| {
        let said = said.to_lowercase();
        said.contains("utf-8") || said.contains("utf8")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_variable_that_says_something_decides() {
        let of = |said: &[(&str, &str)]| {
            is_utf8(|name| said.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned()))
        };
        assert!(of(&[("LANG", "de_DE.UTF-8")]));
        assert!(of(&[("LC_ALL", ""), ("LC_CTYPE", "C.utf8")]));
        assert!(!of(&[("LC_ALL", "C"), ("LANG", "de_DE.UTF-8")]));
        assert!(!of(&[("LANG", "de_DE.ISO-8859-1")]));
        assert!(!of(&[]));
    }
}
