//! `kb lint`: what is wrong in a base. Owns what is told of it; looking and mending are the domain's.

use std::io::IsTerminal as _;

use highwater_engine::clock::Clock as _;
use highwater_engine::diagnosis::Diagnosis;
use highwater_engine::report::ExitCode;
use highwater_engine::shell::quoted_path;
use highwater_kb::lint::{Finding, Linted, Mended, lint as look, mend};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};

use super::super::listing;
use super::NO_MODEL;
use super::ask::{self, Advised, Asker};
use super::place::Place;
use super::typed::with_commands;
use crate::bar::counted;
use crate::cli::{Global, KbLint};
use crate::output::Output;
use crate::table::one_line;
use crate::{Done, in_runtime};

/// How often it is looked again at what changed between a look and the change that is to mend it.
const LOOKS_MAX: usize = 3;
/// The command that adds a file.
const ADD: &str = "highwater kb add ";

pub(super) fn lint(args: &KbLint, global: &Global) -> Done {
    let one = |error| vec![error];
    let output = Output { json: global.json, quiet: global.quiet };
    let llm = args.llm.settings().map_err(one)?;
    let llm = match (args.with_llm, llm) {
        (true, None) => {
            let message = "found `--with-llm`, and no language model is named";
            let next = "name one: `--llm-url URL --llm-model MODEL`; without one, leave `--with-llm` out";
            return Err(one(Diagnosis::refusal(NO_MODEL, message, next)));
        }
        (false, Some(_)) if args.llm.is_typed() => {
            let message = "found a language model, and not that it is to be asked";
            return Err(one(Diagnosis::refusal(NO_MODEL, message, "say so: `--with-llm`; or leave its flags out")));
        }
        (with, llm) => llm.filter(|_| with),
    };
    let place = Place::find(args.which.kb.as_deref()).map_err(one)?;
    let site = llm.as_ref().map(|_| ask::site(global, &place)).transpose().map_err(one)?;
    in_runtime(async {
        let asker = llm.as_ref().zip(site.as_ref()).map(|(llm, site)| Asker::new(&place, site, llm));
        linted(&place, args, asker.transpose().map_err(one)?.as_ref(), output).await.map_err(one)
    })
}

async fn linted(
    place: &Place,
    args: &KbLint,
    asker: Option<&Asker<'_>>,
    output: Output,
) -> Result<ExitCode, Diagnosis> {
    let mut linted = looked(place, args.verify, output)?;
    let advised = match asker {
        Some(asker) => asker.advice().await?,
        None => Advised::default(),
    };
    linted.take(&advised.advice);
    let mut mended = Mended::default();
    for _ in 0..LOOKS_MAX {
        if !args.report && !(args.fix && (linted.is_mendable() || linted.has_moved())) {
            break;
        }
        let (mut base, held) = place.opened().await?;
        let done = mend(&mut base, &held, place.clock.now(), &linted, args.fix, args.report);
        let done = done.map_err(|error| place.failed(&error))?;
        drop((base, held));
        // What was looked at changed in between: it is looked at as it is now.
        let is_over = done.passed_over.is_empty() && (!args.fix || !linted.has_moved());
        let is_changed = !done.findings.is_empty() || !is_over;
        mended.take(done);
        if is_changed {
            // What is told is what is left.
            linted = looked(place, args.verify, output)?;
            linted.take(&advised.advice);
        }
        if is_over {
            break;
        }
    }
    for finding in mended.findings.iter_mut().chain(&mut linted.findings) {
        finding.mends = from_here(&finding.mends, place);
    }
    let page: Vec<u8> = match output.json {
        true => listing::json_lines(lines(&mended.findings, true).chain(lines(&linted.findings, false))),
        false => text(&linted, &mended).into_bytes(),
    };
    listing::print(&page)?;
    let (faults, notes) = (linted.faults(), linted.notes());
    let generation = linted.generation.as_ref().map(|generation| generation.number);
    let mut json = json!({ "generation": generation, "documents": linted.documents, "pages": linted.pages, "faults": faults, "notes": notes,
        "counts": linted.counts, "mended": mended.findings.len(), "passed_over": mended.passed_over, "report": mended.report,
        "committed": mended.committed.as_ref().map(|committed| committed.generation) });
    let found = match (faults, notes) {
        (0, 0) => "nothing is wrong".to_owned(),
        (0, notes) => format!("no fault, {}", counted(notes, "note")),
        (faults, notes) => format!("{}, {}", counted(faults, "fault"), counted(notes, "note")),
    };
    let looked = format!("{}, {}", counted(linted.documents, "document"), counted(linted.pages, "page"));
    let mut sentence = match mended.findings.len() as u64 {
        0 => format!("{found} in {looked}"),
        mended => format!("{mended} mended; {found} left in {looked}"),
    };
    if let Some(report) = &mended.report {
        sentence.push_str(&format!("\n  all of it: {report}"));
    }
    if let Some(asker) = asker {
        json["model"] = ask::advice_json(&advised, asker.paid());
    }
    output.answer(&json, sentence);
    for note in ask::advice_notes(&advised) {
        output.note(format_args!("  note: {note}"));
    }
    if !args.fix && linted.is_mendable() {
        let verify = if args.verify { " --verify" } else { "" };
        let told = format!("  `highwater kb lint{verify} --fix` mends what is marked `fix`");
        output.note(place.told_here(&told));
    }
    Ok(match (faults, &advised.ended) {
        (0, None) => ExitCode::Drained,
        (0, Some(_)) => ExitCode::Checkpoint,
        _ => ExitCode::Halted,
    })
}

/// What is told to be typed about this base, with files as they are named from anywhere.
fn from_here(told: &str, place: &Place) -> String {
    let whole = with_commands(told, |command| match command.strip_prefix(ADD) {
        Some(file) => format!("{ADD}{}", quoted_path(&place.root.join(file))),
        None => command.to_owned(),
    });
    place.told_here(&whole)
}

fn looked(place: &Place, verify: bool, output: Output) -> Result<Linted, Diagnosis> {
    let bar = bar(output);
    let linted = look(&place.home()?, verify, &mut |seen, all| {
        bar.set_length(all);
        bar.set_position(seen);
    });
    bar.finish_and_clear();
    linted.map_err(|error| place.failed(&error))
}

fn bar(output: Output) -> ProgressBar {
    if output.quiet || output.json || !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{bar:30} {percent}%, {eta} left");
    ProgressBar::no_length().with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

fn lines(findings: &[Finding], mended: bool) -> impl Iterator<Item = Value> {
    findings.iter().map(move |finding| {
        json!({ "kind": finding.kind, "fault": finding.kind.is_fault(), "file": finding.file, "line": finding.line, "what": finding.what,
            "mends": finding.mends, "fix": finding.fix, "mended": mended })
    })
}

fn text(linted: &Linted, mended: &Mended) -> String {
    let mut text = String::new();
    for finding in &mended.findings {
        text.push_str(&format!("{} mended {}: {}\n", place_of(finding), finding.kind.word(), one_line(&finding.what)));
    }
    for path in &mended.passed_over {
        text.push_str(&format!(
            "{path}: passed over, since it was written to meanwhile\n    let that end, and call again\n"
        ));
    }
    for findings in linted.findings.chunk_by(|one, other| one.kind == other.kind) {
        let kind = findings[0].kind;
        let level = if kind.is_fault() { kind.word().to_owned() } else { format!("note {}", kind.word()) };
        for finding in findings {
            let fix = if finding.fix { "fix: " } else { "" };
            let (what, mends) = (one_line(&finding.what), one_line(&finding.mends));
            text.push_str(&format!("{} {level}: {what}\n    {fix}{mends}\n", place_of(finding)));
        }
        let more = linted.counts.get(&kind).copied().unwrap_or_default().saturating_sub(findings.len() as u64);
        if more > 0 {
            text.push_str(&format!("and {more} more of {}\n", kind.word()));
        }
    }
    text
}

fn place_of(finding: &Finding) -> String {
    let line = finding.line.map_or(String::new(), |line| format!("{line}:"));
    format!("{}:{line}", one_line(&finding.file))
}
