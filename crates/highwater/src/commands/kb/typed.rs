//! Commands that are told to be typed. Owns that each is about the base in hand from where it is typed: with `--kb`, where that base was named.

use std::path::Path;

use highwater_engine::diagnosis::Diagnosis;
use highwater_engine::shell::quoted_path;

/// The verbs that are of a base, and of none that they name otherwise.
const OF_A_BASE: &str = "highwater kb ";
const OF_NONE: [&str; 2] = ["highwater kb init", "highwater kb convert"];

/// What is told, with each command between backticks as this says.
pub(super) fn with_commands(told: &str, typed: impl Fn(&str) -> String) -> String {
    let parts = told.split('`').enumerate();
    parts.map(|(n, part)| if n % 2 == 1 { typed(part) } else { part.to_owned() }).collect::<Vec<_>>().join("`")
}

/// What is told, with each command about the base that was named by `--kb`.
pub(super) fn about(told: &str, kb: Option<&Path>) -> String {
    let Some(kb) = kb else { return told.to_owned() };
    let kb = quoted_path(kb);
    with_commands(told, |command| {
        let is_about_another = OF_NONE.iter().any(|none| command.starts_with(none)) || command.contains(" --kb ");
        if command.starts_with(OF_A_BASE) && !is_about_another {
            format!("{command} --kb {kb}")
        } else {
            command.to_owned()
        }
    })
}

/// What went wrong, with what to do next about that base.
pub(super) fn errors_about(mut errors: Vec<Diagnosis>, kb: Option<&Path>) -> Vec<Diagnosis> {
    for error in &mut errors {
        error.next = about(&error.next, kb);
    }
    errors
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_about_the_base_that_was_named_and_what_is_of_none_stays() {
        let kb = Some(Path::new("my base"));
        let cases = [
            ("`highwater kb list` shows all", "`highwater kb list --kb 'my base'` shows all"),
            ("a, then `highwater kb undo`; `kb undo`", "a, then `highwater kb undo --kb 'my base'`; `kb undo`"),
            ("`highwater kb init DIR`", "`highwater kb init DIR`"),
            ("`highwater kb lint --fix --kb /k`", "`highwater kb lint --fix --kb /k`"),
            ("highwater kb list", "highwater kb list"),
        ];
        for (told, expected) in cases {
            assert_eq!(about(told, kb), expected);
            assert_eq!(about(told, None), told);
        }
    }
}
