//! What `config check` warns of: a configuration that reads well and will probably disappoint. Owns the warnings, which
//! never stop a pass.

use std::fmt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use highwater_engine::diagnosis::Diagnosis;
use highwater_engine::settings::CommandLine;

use super::environment::Environment;
use super::source::FieldPath;
use super::unset::NotifyConfig;
use super::{Config, codes};

/// A warning: like an error in shape, without its consequence.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Advice(pub(crate) Diagnosis);

impl fmt::Display for Advice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.0.to_string();
        write!(f, "warning{}", text.strip_prefix("error").unwrap_or(&text))
    }
}

/// Looks at the host for what the configuration needs and at the file for what it forgot.
pub(crate) fn advise(config: &Config, environment: &Environment) -> Vec<Advice> {
    let mut advice = Vec::new();
    let mut warn = |code, at: &FieldPath, line: u64, message: String, next: String| {
        let warning = Diagnosis::refusal(code, message, next);
        let line = config.entries.line(at.as_str()).unwrap_or(line);
        let warning = warning.in_file(&config.file).at_line(line).at_field(at.as_str());
        advice.push(Advice(config.redacted(warning)));
    };
    for job in config.jobs.values() {
        let job_at = FieldPath::default().join("job").join(job.name.as_str());
        for (field, command, directory) in job.kind.commands() {
            let at = field.split('.').fold(job_at.clone(), |at, field| at.join(field));
            if let Some(problem) = program_problem(command, directory.unwrap_or(&config.directory), environment) {
                let next = "install it or correct the command; until then a pass halts at its first item".to_owned();
                warn(codes::COMMAND_NOT_FOUND, &at, job.line, problem, next);
            }
        }
    }
    for (index, notify) in config.notify.iter().enumerate() {
        let at = FieldPath::default().join("notify").element(index).join("command");
        let NotifyConfig::Known(notify) = notify else { continue };
        let problem = notify.command.as_ref().and_then(|line| program_problem(line, &config.directory, environment));
        if let Some(problem) = problem {
            warn(codes::COMMAND_NOT_FOUND, &at, 1, problem, "install it or correct the command".to_owned());
        }
    }
    for (name, resource) in &config.resources {
        let used = config.all_settings().any(|settings| settings.resources.contains(name));
        if let (false, Some(line)) = (used, resource.line) {
            let at = FieldPath::default().join("resource").join(name.as_str());
            let message = "found a resource that no job names: its pace and its lock protect nothing".to_owned();
            warn(codes::UNUSED_RESOURCE, &at, line, message, format!("add `resources = [\"{name}\"]` to its jobs"));
        }
    }
    advice
}

/// Why the program of a command would not start, as far as its file tells.
fn program_problem(line: &CommandLine, directory: &Path, environment: &Environment) -> Option<String> {
    let program = line.program.as_str();
    if program.contains('{') {
        return None;
    }
    if program.contains('/') {
        let path = directory.join(program);
        return match path.metadata() {
            Err(_) => Some(format!("found no file {}", path.components().collect::<PathBuf>().display())),
            Ok(_) if !executable(&path) => Some(format!("found {program:?}, which is not an executable file")),
            Ok(_) => None,
        };
    }
    let search = environment.get("PATH")?;
    let found = std::env::split_paths(search).any(|directory| executable(&directory.join(program)));
    (!found).then(|| format!("found no program {program:?} on PATH"))
}

fn executable(path: &Path) -> bool {
    path.metadata().is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}
