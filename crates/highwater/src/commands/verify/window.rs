//! `verify` of a window of one's own: under the job's locks and on their session, since it runs the window. Owns which slices are
//! proved, and what is told of them.

use highwater_db::address::DatabaseAddress;
use highwater_db::postgres::PostgresSession;
use highwater_db::session::Session;
use highwater_engine::diagnosis::{Diagnosis, with_causes};
use highwater_engine::exec::output::Output as ChildOutput;
use highwater_engine::job::Stop;
use highwater_engine::ledger::Ledger;
use highwater_engine::report::{ExitCode, Reason};
use highwater_engine::turnstile::Locked;
use highwater_rollup::recompute::Span;
use highwater_rollup::told;
use highwater_rollup::verify::Verified;
use highwater_rollup::window::proof::{ProofError, Proved, ROWS_DIFFERING_MAX, prove};
use highwater_rollup::window::{Mark, Window};
use highwater_store::Access;
use jiff::Timestamp;
use serde::Serialize;

use super::{SHOWN_CELLS_MAX, Told, figures, latest, sentence, told_of};
use crate::bar::{counted, grouped};
use crate::cli::Verify;
use crate::commands::rollup::Named;
use crate::site::Site;
use crate::wiring::Wiring;
use crate::{signals, wiring};

#[derive(Serialize)]
struct Proof<'a> {
    job: &'a str,
    clean: bool,
    /// Rows of the target.
    cells: u64,
    /// Rows that the window says it touched.
    touched: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    from: Option<Timestamp>,
    /// The watermark.
    #[serde(skip_serializing_if = "Option::is_none")]
    to: Option<Timestamp>,
    wrong: u64,
    pending: u64,
    ahead: Option<Timestamp>,
    findings: Vec<Told>,
    /// Slices whose rows were kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    repaired: Option<u64>,
}

/// What a proof came to.
struct Proven {
    extent: Option<Span>,
    proved: Proved,
    /// After a repair.
    after: Option<Proved>,
    columns: Vec<String>,
}

pub(super) async fn verified(
    args: &Verify,
    named: &Named<'_>,
    window: &Window,
    site: &Site,
) -> Result<ExitCode, Diagnosis> {
    refuse(args, named, window)?;
    // The locks are those that a pass takes, and their waiting line is in the ledger.
    let ledger = site.ledger(Access::ReadWrite)?;
    let engine = site.engine(ledger.clone(), signals::listen());
    wiring::make_dirs(named.config, named.job)?;
    let (_, spec) = Wiring::new(site).runner(named.config, named.job, ChildOutput::Inherit)?;
    let mut locked = match Locked::take(&engine, &spec).await {
        Ok(locked) => locked,
        Err(Stop::Checkpoint { reason, message }) => return Ok(not_now(named, reason, &message, site)),
        Err(Stop::Fail(diagnosis)) => return Err(diagnosis),
        Err(other) => return Ok(not_now(named, Reason::Checkpoint, &format!("{other:?}"), site)),
    };
    let mut own = None;
    let session = session(named, &mut locked, &mut own).await?;
    let proven = proven(args, named, window, session).await;
    locked.release().await;
    let proven = proven?;
    if args.repair && proven.proved.repaired > 0 {
        let mut why = format!("{} of the window", counted(proven.proved.repaired, "slice"));
        if !args.why.is_empty() {
            why.push_str(&format!(": {}", args.why));
        }
        ledger.register_job(&named.job.name, named.job.kind.name()).await?;
        ledger.add_event("repair", Some(&named.job.name), None, &site.word(&why)).await?;
    }
    Ok(told_to(args, named, &proven, site))
}

/// What goes with a declared rollup alone.
fn refuse(args: &Verify, named: &Named<'_>, window: &Window) -> Result<(), Diagnosis> {
    let name = &named.job.name;
    if window.target.is_none() {
        return Err(Diagnosis::refusal(
            "HW-ROL-061",
            format!("found no `target` of {name}, expected the table that its window writes: it is what is compared"),
            "add `target = \"…\"`, and to `target-ignores` the columns that say when a row was written",
        )
        .in_file(&named.config.file)
        .at_line(named.job.line)
        .at_field(format!("job.{name}.target")));
    }
    let option = [("--sample", args.sample.is_some()), ("--remove", args.remove)];
    match option.into_iter().find(|(_, is_set)| *is_set) {
        None => Ok(()),
        Some((option, _)) => Err(Diagnosis::refusal(
            "HW-ROL-062",
            format!("found `{option}`, and {name} is a window of your own: only it knows its buckets"),
            format!("leave `{option}` out; `--since` looks at less"),
        )),
    }
}

fn not_now(named: &Named<'_>, reason: Reason, message: &str, site: &Site) -> ExitCode {
    #[derive(Serialize)]
    struct NotNow<'a> {
        job: &'a str,
        reason: Reason,
        message: &'a str,
    }
    let job = named.job.name.as_str();
    site.output.answer(&NotNow { job, reason, message }, format!("{job}: not verified: {message}"));
    reason.exit()
}

/// The session that holds the lock; of a file, one of our own.
async fn session<'s>(
    named: &Named<'_>,
    locked: &'s mut Locked,
    own: &'s mut Option<Box<dyn Session>>,
) -> Result<&'s mut dyn Session, Diagnosis> {
    if let DatabaseAddress::Postgres(address) = &named.address {
        let place = address.place();
        let held = locked.session(|session: &PostgresSession| session.place() == place);
        return held.map(|session| session as &mut dyn Session).ok_or_else(|| {
            named.placed(
                Diagnosis::refusal(
                    "HW-ROL-006",
                    "no lock of this job lives in its database, expected one: the window runs on the session that holds it",
                    "write `lock = \"postgres:NAME\"` in the resource, or remove `resources`",
                )
                .at_field("resources"),
            )
        });
    }
    Ok(&mut **own.insert(named.open().await?))
}

async fn proven(
    args: &Verify,
    named: &Named<'_>,
    window: &Window,
    session: &mut dyn Session,
) -> Result<Proven, Diagnosis> {
    let failed = |doing: &str, error: &_| told::of_read(&named.place(), doing, error);
    let mark = window.watermark.read(session).await.map_err(|error| failed("the watermark", &error))?;
    let Mark::At(watermark) = mark else {
        return Err(Diagnosis::refusal(
            "HW-ROL-063",
            format!(
                "{}: {} holds no watermark, and so nothing says what is done",
                named.place(),
                window.watermark.table
            ),
            format!("`highwater rollup guard {}` tells the statement that mends it", named.job.name),
        ));
    };
    let bound = latest(session, named).await?;
    let extent = window.extent(session).await.map_err(|error| failed("`bounds`", &error))?;
    let extent = extent.map(|extent| {
        let first = args.since.map_or(extent.first, |since| since.max(extent.first));
        Span { from: named.subject.grain().begin(first), to: watermark }
    });
    let extent = extent.filter(|extent| extent.from < extent.to);
    let target = window.target.as_ref().expect("invariant: it was refused without");
    let wrong = |error: &ProofError| match error {
        ProofError::Fault(fault) => told::of_fault(&named.place(), "verifying", fault),
        ProofError::NoColumn { .. } => named.placed(of_target("target-ignores", error)),
        ProofError::NoTarget { .. } => named.placed(of_target("target", error)),
    };
    let (mut columns, values) = window.target_columns(session, target).await.map_err(|error| wrong(&error))?;
    if !values.is_empty() {
        columns = values;
    }
    let slices = |extent: Option<Span>| {
        let slice = named.settings.slice;
        let next = move |at: Timestamp, end: Timestamp| {
            (at < end).then(|| Span { from: at, to: slice.end(slice.begin(at)).min(end) })
        };
        let end = extent.map_or(Timestamp::MIN, |extent| extent.to);
        let first = extent.and_then(|extent| next(extent.from, end));
        std::iter::successors(first, move |span| next(span.to, end))
    };
    let mut proved =
        prove(session, window, target, slices(extent), args.repair).await.map_err(|error| wrong(&error))?;
    proved.verified.ahead = bound.filter(|bound| watermark > *bound).map(|_| watermark);
    let mut after = None;
    if proved.repaired > 0 {
        let again = prove(session, window, target, slices(extent), false).await.map_err(|error| wrong(&error))?;
        after = Some(Proved { verified: Verified { ahead: proved.verified.ahead, ..again.verified }, ..again });
    }
    Ok(Proven { extent, proved, after, columns })
}

fn of_target(field: &str, error: &ProofError) -> Diagnosis {
    Diagnosis::refusal("HW-ROL-063", with_causes(error), "correct it to what the window writes").at_field(field)
}

fn told_to(args: &Verify, named: &Named<'_>, proven: &Proven, site: &Site) -> ExitCode {
    let Proven { extent, proved, after, columns } = proven;
    let name = named.job.name.as_str();
    let last = after.as_ref().unwrap_or(proved);
    // A window that takes another lock than this job's, and does not get it, touches nothing and proves nothing.
    let is_idle = extent.is_some() && proved.touched == 0 && proved.verified.cells > 0;
    let is_clean = last.verified.is_clean() && !is_idle;
    let mut text =
        format!("{name}: {}, {} touched by the window", figures(&proved.verified), counted(proved.touched, "row"));
    match extent {
        Some(Span { from, to }) => text.push_str(&format!(" from {from:.0} to {to:.0}")),
        None => text.push_str("; the watermark claims no event"),
    }
    for finding in proved.verified.findings.iter().take(SHOWN_CELLS_MAX) {
        text.push_str(&format!("\n  {}", sentence(columns, finding)));
    }
    let more = proved.verified.wrong.saturating_sub(proved.verified.findings.len().min(SHOWN_CELLS_MAX) as u64);
    if more > 0 {
        text.push_str(&format!("\n  and {} more", grouped(more)));
    }
    if proved.is_cut {
        text.push_str(&format!("\n  it stopped at {} rows: there may be more", grouped(ROWS_DIFFERING_MAX as u64)));
    }
    if is_idle {
        text.push_str("\n  not proved: the window touched no row; does it take a lock that this job does not hold?");
    }
    match after {
        Some(after) => text.push_str(&format!(
            "\n  repaired: {} computed anew and kept; now {}",
            counted(proved.repaired, "slice"),
            figures(&after.verified)
        )),
        None if proved.verified.wrong > 0 => text.push_str(&format!(
            "\n  next: `highwater verify {name} --repair` keeps what the window computes in the slices that hold these"
        )),
        None => {}
    }
    let answer = Proof {
        job: name,
        clean: is_clean,
        cells: last.verified.cells,
        touched: proved.touched,
        from: extent.map(|extent| extent.from),
        to: extent.map(|extent| extent.to),
        wrong: last.verified.wrong,
        pending: last.verified.pending,
        ahead: last.verified.ahead,
        findings: proved.verified.findings.iter().map(told_of).collect(),
        repaired: args.repair.then_some(proved.repaired),
    };
    site.output.answer(&answer, text);
    if is_clean { ExitCode::Drained } else { ExitCode::Halted }
}
