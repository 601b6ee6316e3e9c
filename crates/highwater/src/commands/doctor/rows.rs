//! A receiver's rows: whether they and the stored files are about the same episodes, and whether they are of today. Owns what is told of each
//! difference, and what mends it.

use std::path::Path;

use highwater_engine::diagnosis::with_causes;
use highwater_engine::ledger::{EventFilter, Ledger as _, LedgerResult, PAGE_ROWS_MAX};
use highwater_episodes::index::{Index as _, IndexError, LOST_NEXT, View, linked, lost_note};
use highwater_episodes::name::EpisodeKey;
use highwater_episodes::odd::Odd;
use highwater_episodes::reindex::Files;
use highwater_episodes::store::{Oddities, Store as _};
use highwater_episodes::survey::{SurveyError, known, left, sample, stored, without_row};
use highwater_store::SqliteLedger;
use jiff::Timestamp;

use super::Site;
use super::report::Report;
use crate::bar::counted;
use crate::commands::episodes::{MAKE_ROOM, WITHDRAW};
use crate::config::Config;
use crate::table::moment;

/// Most of what has an episode's place and is none that is named.
pub(super) const ODD_NAMED_MAX: usize = 5;

/// Whether a receiver's rows and files are about the same episodes, as far as a look shows that reads no archive.
pub(super) fn check(root: &Path, report: &mut Report) {
    let files = Files::of_root(root);
    let before = report.fixes();
    linked(&files.index).iter().for_each(|odd| report.fix("rows", odd, odd.next()));
    apart(&files, report);
    if !files.index.exists() {
        return;
    }
    let told = |error: &(dyn std::error::Error + 'static)| with_causes(error);
    if !files.episodes.exists() {
        let keys = View::read(&files.index).and_then(|view| Ok(view.figures()?.keys));
        if let Some(keys) = keys.ok().filter(|keys| *keys > 0) {
            let found =
                format!("{} is not there, and the index has {}", files.episodes.display(), counted(keys, "row"));
            report.fix(
                "rows",
                found,
                "mount the disk of the episodes; a receiver that misses all of them does not start",
            );
        }
        return;
    }
    let unread = |error: &(dyn std::error::Error + 'static)| {
        (told(error), Odd::next_of(error, "let this user read the directory; check its disk"))
    };
    let looked = files.open_store_as_it_is().map_err(|error| (error.told(), error.next)).and_then(|store| {
        // Before the index, so that what a receiver stores meanwhile is not missed in it.
        let stored = stored(&store, None).map_err(|error| unread(&error))?;
        let view = View::read(&files.index).map_err(|error| unread(&error))?;
        let sample = sample(&view, &store).map_err(|error| unread(&error))?;
        let figures = view.figures().map_err(|error| unread(&error))?;
        let passed_over = view.passed_over().map_err(|error| unread(&error))?;
        let lost = view.lost_tombstones().map_err(|error| unread(&error))?;
        let noted = lost_note(&files.index).map_err(|error| unread(&error))?.unwrap_or_default();
        let elsewhere = match known(&store, &files) {
            Err(SurveyError::Elsewhere(elsewhere)) => Some(elsewhere),
            known => known.map(|_| None).map_err(|error| unread(&error))?,
        };
        let left = left(&stored, &view, &store);
        let Oddities { odd, shut } = store.oddities().map_err(|error| unread(&error))?;
        let mut odd: Vec<_> = odd
            .into_iter()
            .map(|of| (of.episode.is_some_and(|episode| view.has(&EpisodeKey { host: of.host, episode })), of.odd))
            .collect();
        // A plain file beside the directories of hosts is odd only where rows of that host are.
        if let Some(first) = sample.odd.as_ref().filter(|first| odd.iter().all(|(_, odd)| odd != *first)) {
            odd.insert(0, (true, first.clone()));
        }
        Ok((without_row(stored, &view), sample, elsewhere, (figures, passed_over), lost, noted.rows, left, odd, shut))
    });
    let (rowless, sample, elsewhere, (figures, passed_over), lost, missed, left, odd, shut) = match looked {
        Ok(looked) => looked,
        Err((error, fix)) => return report.fix("rows", error, fix),
    };
    for (has_row, odd) in odd.iter().take(ODD_NAMED_MAX) {
        let then = if *has_row {
            ", and put its episode's file back; where that is lost, `highwater reindex --prune` gives its row up then"
        } else {
            ""
        };
        report.fix("rows", odd, format!("{}{then}", odd.next()));
    }
    if odd.len() > ODD_NAMED_MAX {
        let found = format!("{} more are not what belongs in their place", odd.len() - ODD_NAMED_MAX);
        report.fix("rows", found, "`highwater episodes verify` names each: move them away");
    }
    for (_, shut) in shut.iter().take(ODD_NAMED_MAX) {
        report.fix("rows", shut, shut.next());
    }
    if shut.len() > ODD_NAMED_MAX {
        let found = format!("the directories of {} more hosts cannot be read", shut.len() - ODD_NAMED_MAX);
        report.fix("rows", found, "`highwater episodes verify` names each: let this user read them");
    }
    if let Some(first) = left.first() {
        let found = match left.len() {
            1 => format!("1 withdrawn episode is stored all the same, {first}"),
            more => format!("{more} withdrawn episodes are stored all the same, such as {first}"),
        };
        report.fix("rows", found, format!("`highwater episodes withdraw {first} --why …` again sets it aside"));
    }
    if let Some(found) = sample.told() {
        let fix = match elsewhere {
            Some(elsewhere) => format!("{}; a receiver does not start meanwhile", elsewhere.next()),
            None => "mount the disk of the episodes; `highwater episodes verify` names each, `highwater reindex --prune` gives up what is lost"
                .to_owned(),
        };
        report.fix("rows", found, fix);
    }
    if let Some(first) = lost.first() {
        let found = format!(
            "{} taken out of the index, such as that of {}",
            match lost.len() {
                1 => "1 tombstone was".to_owned(),
                more => format!("{more} tombstones were"),
            },
            first.key()
        );
        report.fix("rows", found, "`highwater reindex` puts back what was withdrawn");
    }
    if missed > 0 {
        let found = format!(
            "a receiver that runs found that {} taken out of its index by hand; its `/readyz` says how many it misses still",
            if missed == 1 { "1 row was".to_owned() } else { format!("{missed} rows were") }
        );
        report.fix("rows", found, LOST_NEXT);
    }
    if let Some(first) = rowless.first() {
        let found = match rowless.len() {
            1 => format!("1 stored episode has no row, {first}"),
            more => format!("{more} stored episodes have no row, such as {first}"),
        };
        report.fix("rows", found, "`highwater reindex` gives back what was lost");
    }
    if report.fixes() == before {
        let found = match figures.keys {
            0 => "none yet, and nothing stored".to_owned(),
            keys => {
                format!("{}; those that were looked at have their file, and no file lacks a row", counted(keys, "row"))
            }
        };
        report.ok("rows", found);
    }
    // Beside what they may be the cause of: an episode whose line is no row has none.
    passed_over.iter().for_each(|told| report.ok("rows", told));
}

/// Whether the index knows of the last withdrawal that was ever made here. One that was restored from an earlier time does not, and what was
/// withdrawn since is stored and listed again.
pub(super) async fn withdrawals(site: &Site, ledger: &SqliteLedger, report: &mut Report) -> LedgerResult<()> {
    let Some(Ok(settings)) = site.config.as_ref().map(Config::receiver) else { return Ok(()) };
    let (mut filter, mut last) = (EventFilter::default(), None);
    loop {
        let page = ledger.events(&filter, PAGE_ROWS_MAX).await?;
        let Some(end) = page.last() else { break };
        filter.after = end.no;
        last = page.into_iter().rev().find(|event| [WITHDRAW, MAKE_ROOM].contains(&event.act.as_str())).or(last);
    }
    let Some(last) = last else { return Ok(()) };
    if is_kept(&Files::of_root(&settings.root), last.at).unwrap_or(true) {
        return Ok(());
    }
    report.fix(
        "rows",
        format_args!(
            "the index knows of no withdrawal since {}, when `highwater events` has one of {}: it is of an earlier time, or that was cut off",
            moment(last.at),
            last.why
        ),
        "withdraw again what `highwater events` says was withdrawn and `highwater episodes list` still lists",
    );
    Ok(())
}

/// Whether there is a row of that moment, or later, by which something was withdrawn.
fn is_kept(files: &Files, since: Timestamp) -> Result<bool, IndexError> {
    if !files.index.exists() {
        return Ok(false);
    }
    Ok(View::read(&files.index)?.last_withdrawal() >= Some(since))
}

/// Hosts of which nothing can be stored. What cannot be read is told of with the rows.
fn apart(files: &Files, report: &mut Report) {
    let Ok(store) = files.open_store_as_it_is() else { return };
    let apart = store.hosts().and_then(|hosts| store.other_disks(&hosts)).unwrap_or_default();
    apart.iter().take(ODD_NAMED_MAX).for_each(|apart| report.fix("rows", apart, apart.next()));
}
