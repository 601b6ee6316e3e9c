//! The log: `tracing` to stderr and to the log file. Owns its levels, its shape and its rotation.

use std::path::Path;

use highwater_engine::diagnosis::Diagnosis;
use tracing::level_filters::LevelFilter;
use tracing_appender::rolling::{RollingFileAppender, Rotation};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer};

use crate::cli::Global;
use crate::config::LogFormat;

/// How many daily log files are kept.
pub(crate) const LOG_FILES_MAX: usize = 30;

/// Starts the log. stderr gets warnings (more with `-v`, errors alone with `--quiet`), the file gets what happened.
///
/// # Errors
/// A refusal when the log file cannot be made.
pub(crate) fn start(file: Option<&Path>, format: LogFormat, global: &Global) -> Result<(), Diagnosis> {
    let level = match global.verbose {
        0 if global.quiet => LevelFilter::ERROR,
        0 => LevelFilter::WARN,
        1 => LevelFilter::INFO,
        2 => LevelFilter::DEBUG,
        _ => LevelFilter::TRACE,
    };
    let filter = |level: LevelFilter| {
        EnvFilter::builder().with_default_directive(level.into()).with_env_var("HIGHWATER_LOG").from_env_lossy()
    };
    let to_stderr = shaped(format, std::io::stderr).with_filter(filter(level));
    let to_file = match file {
        Some(path) => Some(shaped(format, appender(path)?).with_filter(filter(level.max(LevelFilter::INFO)))),
        None => None,
    };
    tracing_subscriber::registry().with(to_stderr).with(to_file).init();
    Ok(())
}

fn shaped<S, W>(format: LogFormat, to: W) -> Box<dyn Layer<S> + Send + Sync>
where
    S: tracing::Subscriber + for<'s> tracing_subscriber::registry::LookupSpan<'s>,
    W: for<'w> tracing_subscriber::fmt::MakeWriter<'w> + Send + Sync + 'static,
{
    let layer = tracing_subscriber::fmt::layer().with_writer(to).with_ansi(false).with_target(false);
    match format {
        LogFormat::Human => layer.boxed(),
        LogFormat::Json => layer.json().flatten_event(true).boxed(),
    }
}

/// `NAME.2026-11-20` beside the named path, one a day.
fn appender(path: &Path) -> Result<RollingFileAppender, Diagnosis> {
    let refuse = |why: &dyn std::fmt::Display| {
        Diagnosis::refusal(
            "HW-LOG-001",
            format!("the log cannot be written there: {why}"),
            "make its directory and let this user write there, or name another `log-file`",
        )
        .in_file(path)
        .at_field("log-file")
    };
    let (Some(directory), Some(name)) = (path.parent(), path.file_name().and_then(|n| n.to_str())) else {
        return Err(refuse(&"it is no file's path"));
    };
    RollingFileAppender::builder()
        .rotation(Rotation::DAILY)
        .filename_prefix(name)
        .max_log_files(LOG_FILES_MAX)
        .build(directory)
        .map_err(|e| refuse(&e))
}
