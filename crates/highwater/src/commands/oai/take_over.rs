//! `import backfill-state`: an older backfill's worklist and outcomes. Owns which job takes them over and what is said.

use std::sync::Arc;

use highwater_engine::breaker::BreakerRules;
use highwater_engine::diagnosis::Diagnosis;
use highwater_engine::ledger::{Ledger, PinMode};
use highwater_engine::pass::{Mode, Runner};
use highwater_engine::report::{ExitCode, PassReport, Reason};
use highwater_engine::spec::JobSpec;
use highwater_oai::backfill::{OldState, TakeOver};
use highwater_oai::snapshot::SnapshotFiles;
use highwater_store::Access;
use serde_json::json;

use super::super::{child_output, codes, needs_config};
use super::{Named, discover};
use crate::bar::{Progress, grouped};
use crate::cli::ImportBackfillState;
use crate::config::KindSettings;
use crate::site::Site;
use crate::wiring::{self, Wiring};
use crate::{Done, signals};

pub(crate) async fn backfill_state(args: ImportBackfillState, site: Site) -> Done {
    taken_over(&args, &site).await.map_err(|error| vec![error])
}

async fn taken_over(args: &ImportBackfillState, site: &Site) -> Result<ExitCode, Diagnosis> {
    let name = match &args.job {
        Some(name) => name.clone(),
        None => only_backfill(site)?,
    };
    let named = Named::of(site, "import backfill-state", &name)?;
    let crawling = named.crawling();
    let state = OldState::read(&args.file, &crawling.namespace)?;
    let ledger = site.ledger(Access::ReadWrite)?;
    if !args.replace {
        discover::refuse_open(&*ledger, &named, "import backfill-state").await?;
    }
    wiring::make_dirs(named.config, named.job)?;
    let mut notes = Vec::new();
    notes.extend(state.lists.as_ref().and_then(SnapshotFiles::warning));
    if state.strangers > 0 {
        notes.push(format!(
            "{} outcomes are of identifiers that its worklist does not have: they are left out",
            grouped(state.strangers)
        ));
    }
    let (items, judged) = state.counts();
    let engine = site.engine(Arc::clone(&ledger) as Arc<dyn Ledger>, signals::listen());
    let (_, spec) = Wiring::new(site).runner(named.config, named.job, child_output(&Progress::none(), site.output))?;
    // What was judged before is not judged again.
    let spec = JobSpec { breaker: BreakerRules { failed: 1.0, failed_after: 0, gone: 1.0, gone_after: 0 }, ..spec };
    let runner = Arc::new(TakeOver::new(state, crawling, wiring::oai::spool(named.config, named.job)));
    let mut report = runner.run(&engine, &spec, Mode::Pin(PinMode::Replace)).await;
    if report.reason == Reason::Pinned {
        report = runner.run(&engine, &spec, Mode::Run).await;
    }
    Ok(tell(site, &named, &report, items, judged, &notes))
}

fn only_backfill(site: &Site) -> Result<String, Diagnosis> {
    let Some(config) = &site.config else { return Err(needs_config("import backfill-state")) };
    let backfills: Vec<_> =
        config.jobs.values().filter(|job| matches!(job.kind, KindSettings::OaiBackfill(_))).collect();
    match backfills.as_slice() {
        [job] => Ok(job.name.to_string()),
        [] => Err(Diagnosis::refusal(
            codes::NO_BACKFILL,
            "found no job of kind `oai-backfill`, expected the one that takes the state over",
            "add one of the same repository to the configuration",
        )
        .in_file(&config.file)),
        several => Err(Diagnosis::refusal(
            codes::NO_BACKFILL,
            format!("found {} jobs of kind `oai-backfill`, expected one, or `--job`", several.len()),
            "name the job that takes the state over: `--job NAME`",
        )
        .in_file(&config.file)),
    }
}

fn tell(site: &Site, named: &Named<'_>, report: &PassReport, items: u64, judged: u64, notes: &[String]) -> ExitCode {
    let taken = matches!(report.reason, Reason::Checkpoint | Reason::RetryLeft | Reason::Drained);
    let name = &named.job.name;
    if site.output.json {
        site.output.json(&json!({ "items": items, "outcomes": judged, "report": report, "notes": notes }));
    } else if let Some(diagnosis) = &report.diagnosis {
        site.output.errors(std::slice::from_ref(diagnosis));
    } else if taken {
        let open = report.tally.map_or(0, |tally| tally.open());
        site.output.line(format_args!(
            "{name}: {} items taken over, {} of them with their outcomes, {} open; next: `highwater run {name}`",
            grouped(items),
            grouped(judged),
            grouped(open)
        ));
    } else {
        site.output.line(format_args!("{name}: {}", report.message));
    }
    for note in report.notes.iter().chain(notes.iter().filter(|_| taken)) {
        site.output.note(format_args!("  note: {note}"));
    }
    if taken { ExitCode::Drained } else { report.exit }
}
