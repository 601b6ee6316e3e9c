//! `docs/cli.md`: every command, from the same definitions as the command line itself. Owns the page's frame.

use std::fmt::Write;

use clap::{Arg, ArgAction, Command};

const INTRODUCTION: &str = "\
<!-- Generated from the command line's definitions; `UPDATE_GENERATED=1 cargo test -p highwater` writes it anew. -->

# highwater

";

/// The heading of what every command takes.
const EVERYWHERE: &str = "Everywhere";

/// The page.
pub(crate) fn reference_markdown(mut command: Command) -> String {
    command.build();
    let mut page = INTRODUCTION.to_owned();
    put(&mut page, &about(&command));
    put(&mut page, "\n## Everywhere\n\nThese go with every command, before or after it.\n\n");
    let everywhere: Vec<_> = flags(&command).filter(|arg| is_everywhere(arg)).collect();
    table(&mut page, &everywhere);
    for verb in command.get_subcommands().filter(|verb| verb.get_name() != "help") {
        section(&mut page, verb);
    }
    page
}

fn section(page: &mut String, command: &Command) {
    let verbs: Vec<_> = command.get_subcommands().filter(|verb| verb.get_name() != "help").collect();
    if !verbs.is_empty() {
        verbs.into_iter().for_each(|verb| section(page, verb));
        return;
    }
    let name = command.get_bin_name().unwrap_or_else(|| command.get_name());
    put(page, &format!("\n## `{name}`\n\n{}\n```text\n{}\n```\n", about(command), usage(command)));
    let arguments: Vec<_> = command.get_positionals().chain(flags(command).filter(|arg| !is_everywhere(arg))).collect();
    if !arguments.is_empty() {
        put(page, "\n");
        table(page, &arguments);
    }
}

fn flags(command: &Command) -> impl Iterator<Item = &Arg> {
    command.get_arguments().filter(|arg| !arg.is_positional())
}

fn is_everywhere(arg: &Arg) -> bool {
    arg.get_help_heading() == Some(EVERYWHERE)
        || matches!(arg.get_action(), ArgAction::Help | ArgAction::HelpShort | ArgAction::HelpLong | ArgAction::Version)
}

fn about(command: &Command) -> String {
    let about = command.get_long_about().or_else(|| command.get_about());
    about.map(|about| format!("{}\n", sentence(&about.to_string()))).unwrap_or_default()
}

fn usage(command: &Command) -> String {
    let usage = command.clone().render_usage().to_string();
    usage.trim_start_matches("Usage:").lines().map(str::trim).collect::<Vec<_>>().join("\n")
}

fn table(page: &mut String, arguments: &[&Arg]) {
    put(page, "| argument | default | meaning |\n|---|---|---|\n");
    for arg in arguments {
        let cells = [format!("`{}`", name(arg)), default(arg), meaning(arg)];
        put(page, &format!("| {} |\n", cells.map(|cell| cell.replace('|', "\\|").replace('\n', " ")).join(" | ")));
    }
}

/// `--outcome OUTCOME`, `-P N, --concurrency N`, `JOB…`.
fn name(arg: &Arg) -> String {
    let mut value = arg.get_value_names().unwrap_or_default().join(" ");
    if arg.get_num_args().is_some_and(|count| count.max_values() > 1) {
        value.push('…');
    }
    let takes = arg.get_action().takes_values();
    let flags = [arg.get_short().map(|short| format!("-{short}")), arg.get_long().map(|long| format!("--{long}"))];
    let flags: Vec<_> =
        flags.into_iter().flatten().map(|flag| if takes { format!("{flag} {value}") } else { flag }).collect();
    if flags.is_empty() { value } else { flags.join(", ") }
}

fn default(arg: &Arg) -> String {
    let defaults: Vec<_> = arg.get_default_values().iter().map(|value| value.to_string_lossy()).collect();
    match defaults.join(" ") {
        _ if !arg.get_action().takes_values() => "—".to_owned(),
        _ if arg.is_required_set() => "required".to_owned(),
        text if text.is_empty() => "—".to_owned(),
        text => format!("`{text}`"),
    }
}

fn meaning(arg: &Arg) -> String {
    let help = arg.get_long_help().or_else(|| arg.get_help());
    let mut text = help.map(|help| sentence(&help.to_string())).unwrap_or_default();
    if arg.get_action().takes_values() && !arg.is_hide_possible_values_set() {
        let words: Vec<_> = arg.get_possible_values().iter().map(|word| format!("`{}`", word.get_name())).collect();
        if !words.is_empty() {
            write!(text, " One of {}.", words.join(", ")).expect("invariant: a String takes every write");
        }
    }
    text
}

/// clap takes the full stop from a short help; a page keeps it.
fn sentence(text: &str) -> String {
    let text = text.trim_end();
    let ends = text.ends_with(['.', ':', '!', '?']) || text.is_empty();
    if ends { text.to_owned() } else { format!("{text}.") }
}

fn put(page: &mut String, text: &str) {
    page.push_str(text);
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use clap::CommandFactory;

    use super::reference_markdown;
    use crate::cli::Cli;

    #[test]
    fn the_committed_reference_is_the_generated_one() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/cli.md");
        let generated = reference_markdown(Cli::command());
        if std::env::var_os("UPDATE_GENERATED").is_some() {
            fs::write(&path, &generated).unwrap();
        }
        let committed = fs::read_to_string(&path).unwrap_or_default();
        assert!(committed == generated, "docs/cli.md is not what the code makes; UPDATE_GENERATED=1 writes it");
    }

    #[test]
    fn every_command_and_every_argument_has_its_sentence() {
        fn walk(command: &clap::Command) {
            assert!(command.get_about().is_some(), "{} says nothing", command.get_name());
            for arg in command.get_arguments() {
                assert!(arg.get_help().is_some(), "{} {} says nothing", command.get_name(), arg.get_id());
            }
            command.get_subcommands().for_each(walk);
        }
        walk(&Cli::command());
    }

    #[test]
    fn the_command_line_holds_together() {
        Cli::command().debug_assert();
    }
}
