//! `oai snapshot`: one crawl serves every host. Owns what is said; the files are the domain's.

use std::sync::Arc;

use highwater_engine::diagnosis::Diagnosis;
use highwater_engine::ledger::{Ledger, PinMode};
use highwater_engine::report::{ExitCode, Reason};
use highwater_oai::backfill::PlanFrom;
use highwater_oai::snapshot;
use highwater_oai::spool::Spool;
use highwater_store::Access;
use serde::Serialize;

use super::super::codes;
use super::{Named, discover};
use crate::Done;
use crate::bar::grouped;
use crate::cli::{SnapshotExport, SnapshotImport};
use crate::site::Site;
use crate::wiring;

#[derive(Serialize)]
struct Exported<'a> {
    files: [&'a std::path::Path; 3],
    manifest: &'a snapshot::Manifest,
}

pub(super) async fn export(args: SnapshotExport, site: Site) -> Done {
    exported(&args, &site).await.map(|()| ExitCode::Drained).map_err(|error| vec![error])
}

async fn exported(args: &SnapshotExport, site: &Site) -> Result<(), Diagnosis> {
    let named = Named::of(site, "oai snapshot export", &args.job)?;
    let path = wiring::oai::spool(named.config, named.job);
    let nothing = || {
        Diagnosis::refusal(
            codes::NO_CRAWL,
            format!("{} has no finished crawl; expected one to export", named.job.name),
            format!("`highwater oai discover {}` makes one", named.job.name),
        )
    };
    if !path.exists() {
        return Err(nothing());
    }
    let spool = Spool::open(&path, site.clock.now())?;
    let crawl = spool.newest_crawl().await?.filter(|crawl| crawl.finished_at.is_some()).ok_or_else(nothing)?;
    let exported = snapshot::export(&spool, &crawl, &named.crawling().namespace, &args.file).await?;
    let snapshot::Exported { files, manifest } = &exported;
    let text = format!(
        "{}: {} active and {} deleted identifiers\n  {}\n  {}\n  {}\n  next: copy the three files to another host, then `highwater oai snapshot import JOB FILE` there",
        named.job.name,
        grouped(manifest.active.count),
        grouped(manifest.deleted.count),
        files.active.display(),
        files.deleted.display(),
        files.manifest.display()
    );
    site.output.answer(&Exported { files: [&files.active, &files.deleted, &files.manifest], manifest }, text);
    Ok(())
}

pub(super) async fn import(args: SnapshotImport, site: Site) -> Done {
    imported(&args, &site).await.map_err(|error| vec![error])
}

async fn imported(args: &SnapshotImport, site: &Site) -> Result<ExitCode, Diagnosis> {
    let named = Named::of(site, "oai snapshot import", &args.job)?;
    let files = snapshot::SnapshotFiles::named(&args.file)?;
    let ledger = site.ledger(Access::ReadWrite)?;
    if !args.replace {
        discover::refuse_open(&*ledger, &named, "oai snapshot import").await?;
    }
    let warning = files.warning();
    let ledger = Arc::clone(&ledger) as Arc<dyn Ledger>;
    let report = discover::pin(site, &named, ledger, PinMode::Replace, PlanFrom::Snapshot(files)).await?;
    if let Some(warning) = warning.filter(|_| report.reason == Reason::Pinned) {
        site.output.note(format_args!("  warning: {warning}"));
    }
    Ok(discover::tell(site, &named, &report))
}
