//! `kb convert`: one document, as Markdown in a directory. Owns both ends of a conversion: the call of a person, and the process
//! that is started for it.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use highwater_engine::clock::SystemClock;
use highwater_engine::contact::{StopSignal, Urgency};
use highwater_engine::diagnosis::{Diagnosis, with_causes};
use highwater_engine::report::ExitCode;
use highwater_kb::convert::inside::{self, Broken};
use highwater_kb::convert::{ConvertError, Converted, Format, Limits, Staged, Subprocess, Verdict, write};
use serde_json::json;

use super::{AGAIN, DOCUMENT, NO_CONVERSION, TAKEN};
use crate::bar::counted;
use crate::cli::KbConvert;
use crate::output::Output;
use crate::{Done, in_runtime, signals};

pub(super) fn convert(args: &KbConvert, output: Output) -> Done {
    match &args.inside {
        Some(limits) => Ok(conversion(limits, args)),
        None => in_runtime(called(args, output)),
    }
}

/// The process that was started for a document. Its last word is a sentence about the document, or about what broke.
fn conversion(limits: &str, args: &KbConvert) -> ExitCode {
    let ended = match serde_json::from_str::<Limits>(limits) {
        Ok(limits) => inside::run(&limits, &args.file, &args.to, args.beside.as_deref()),
        Err(error) => Err(Broken::Failed(format!("its limits: {error}"))),
    };
    let (said, code) = match ended {
        Ok(()) => return ExitCode::Drained,
        Err(Broken::Refused(said)) => (said, ExitCode::Refused),
        Err(Broken::Failed(said)) => (said, ExitCode::Failed),
        // It says nothing of the document: it is to be converted again.
        Err(Broken::Unwritten(said)) => (said, ExitCode::Checkpoint),
    };
    // Whoever asked may be gone.
    let _: std::io::Result<()> = writeln!(std::io::stderr(), "{said}");
    code
}

/// The call of a person.
async fn called(args: &KbConvert, output: Output) -> Done {
    let one = |error| vec![error];
    free(&args.to).map_err(one)?;
    let limits = Limits {
        cpu_secs: args.time_max.get().as_secs().max(1),
        memory_bytes: args.memory_max.bytes(),
        ..Limits::default()
    };
    let told = |error: ConvertError| vec![diagnosis(&error, &args.file)];
    let program = std::env::current_exe()
        .map_err(|source| told(ConvertError::Disk { path: PathBuf::from("the binary of highwater"), source }))?;
    let staged = Staged::copy(&args.file, &std::env::temp_dir(), &limits).map_err(told)?;
    let conversion = Subprocess::new(&program, limits, SystemClock::shared());
    let (converted, format) = conversion.convert(&staged, &at_once()).await.map_err(told)?;
    write(&args.to, &converted, format)
        .map_err(|source| vec![diagnosis(&ConvertError::Disk { path: args.to.clone(), source }, &args.to)])?;
    answer(args, &staged, &converted, format, output);
    Ok(ExitCode::Drained)
}

fn answer(args: &KbConvert, staged: &Staged, converted: &Converted, format: Format, output: Output) {
    let lines = converted.markdown.lines().count() as u64;
    let json = json!({
        "to": args.to.to_string_lossy(),
        "format": format,
        "converter": converted.converter,
        "title": converted.title,
        "lines": lines,
        "pages": converted.page_lines.len(),
        "images": converted.images.len(),
        "bytes": staged.bytes,
        "content": staged.content,
        "sha256": staged.sha256,
    });
    let mut text = format!("{} as {}", format, counted(lines, "line"));
    if !converted.page_lines.is_empty() {
        text = format!("{text}, {}", counted(converted.page_lines.len() as u64, "page"));
    }
    if !converted.images.is_empty() {
        text = format!("{text}, {}", counted(converted.images.len() as u64, "image"));
    }
    output.answer(&json, format_args!("{text}: {}", printable(&args.to.join("text.md")).display()));
}

/// A signal ends a conversion at once: it has nothing in hand that another would miss.
fn at_once() -> StopSignal {
    let (heard, stop) = (signals::listen(), StopSignal::default());
    let now = stop.clone();
    tokio::spawn(async move {
        heard.raised(Urgency::Soon).await;
        now.raise();
        now.raise();
    });
    stop
}

/// Refuses a directory that holds something, before any work.
fn free(to: &Path) -> Result<(), Diagnosis> {
    let taken = match std::fs::read_dir(to) {
        Ok(mut entries) => entries.next().is_some(),
        Err(error) => error.kind() != std::io::ErrorKind::NotFound,
    };
    if !taken {
        return Ok(());
    }
    Err(Diagnosis::refusal(TAKEN, "expected no file and no directory that holds something", "name another directory")
        .in_file(printable(to))
        .at_field("--to"))
}

fn diagnosis(error: &ConvertError, file: &Path) -> Diagnosis {
    let message = with_causes(error);
    let diagnosis = match error.verdict() {
        Verdict::Document => Diagnosis::refusal(DOCUMENT, message, "look at the document; nothing was written"),
        Verdict::Moment | Verdict::Stop => Diagnosis {
            exit: ExitCode::Checkpoint,
            ..Diagnosis::refusal(AGAIN, message, "call again; nothing was written")
        },
        Verdict::Machine => Diagnosis::failure(
            NO_CONVERSION,
            message,
            error.mends().map_or_else(
                || "check the disk, its space and the permissions of the temporary directory (`TMPDIR`)".to_owned(),
                |mends| format!("{mends}, and call again"),
            ),
        ),
    };
    diagnosis.in_file(printable(file))
}

/// A path as it may stand in a line and in JSON.
fn printable(path: &Path) -> PathBuf {
    let text = path.to_string_lossy();
    text.chars().map(|c| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c }).collect::<String>().into()
}
