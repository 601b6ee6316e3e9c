//! `episodes resolve`: a conflict on the host that ships comes to its end, and what is parked there is listed. Owns that no pass runs meanwhile and that it is an event
//! before it is done; what is set aside is the domain's.

use highwater_engine::diagnosis::{Diagnosis, with_causes};
use highwater_engine::job::Stop;
use highwater_engine::ledger::Ledger as _;
use highwater_engine::report::ExitCode;
use highwater_episodes::name::EpisodeId;
use highwater_episodes::ship::parked::{ParkedEpisode, aside, aside_fault, parked, waiting};
use highwater_episodes::ship::{
    Keep, Outbox, Parking, ResolveError, ShipSettings, Turn, conflict, resolve as resolve_one,
};
use highwater_store::Access;
use serde_json::json;

use super::super::{codes, needs_config};
use crate::Done;
use crate::cli::{EpisodesResolve, KeepWhich};
use crate::config::{Config, JobConfig, KindSettings};
use crate::site::Site;
use crate::table::{Columns, line, moment, one_line};
use crate::wiring::{self, Wiring, ship};

/// What lets a parked episode go on.
const MENDS: &str = "a conflict ends with `highwater episodes resolve ID --keep local|remote`; code that is not accepted comes back by \
                     itself once it is; what the receiver refuses is tried again ever more seldom, and at once with `highwater retry JOB ID`; where the directory is gone, the archive in the outbox may be the only copy: `retry` sends it, and nothing removes it; an archive that was set aside is sent as its line says; any other comes back once it is mended and its `done.marker` written anew";

pub(crate) async fn resolve(args: EpisodesResolve, site: Site) -> Done {
    resolved(&args, &site).await.map_err(|error| vec![error])
}

/// The job that is named, or the only one that ships.
pub(in super::super) fn shipping<'c>(config: &'c Config, name: Option<&str>) -> Result<&'c JobConfig, Diagnosis> {
    let refused = |message: String, next: String| {
        Diagnosis::refusal(codes::WHICH_SHIP, message, next).in_file(&config.file).at_field("JOB")
    };
    if let Some(name) = name {
        let job = config.job(name)?;
        return match &job.kind {
            KindSettings::Ship(_) => Ok(job),
            other => Err(refused(
                format!("found {name}, a job of kind `{}`; expected one of kind `ship`", other.name()),
                "name a job that ships".to_owned(),
            )),
        };
    }
    let jobs: Vec<_> = config.jobs.values().filter(|job| matches!(job.kind, KindSettings::Ship(_))).collect();
    match jobs.as_slice() {
        [job] => Ok(job),
        [] => Err(refused(
            "found no job of kind `ship`".to_owned(),
            "add one: `[job.send]`, `kind = \"ship\"`".to_owned(),
        )),
        several => {
            let names: Vec<_> = several.iter().map(|job| job.name.as_str()).collect();
            Err(refused(
                format!("found {} jobs of kind `ship`, expected one to be named", names.len()),
                format!("name one: {}", names.join(" or ")),
            ))
        }
    }
}

async fn resolved(args: &EpisodesResolve, site: &Site) -> Result<ExitCode, Diagnosis> {
    let Some(config) = &site.config else { return Err(needs_config("episodes resolve")) };
    let job = shipping(config, args.job.as_deref())?;
    let KindSettings::Ship(settings) = &job.kind else { return Err(needs_config("episodes resolve")) };
    let (Some(episode), Some(keep)) = (&args.episode, args.keep) else { return list(settings, site) };
    let place = ship::place(config, job, settings)?;
    let keep = match keep {
        KeepWhich::Local => Keep::Local,
        KeepWhich::Remote => Keep::Remote,
    };
    wiring::make_dirs(config, job)?;
    let mut held = Vec::new();
    for resource in Wiring::new(site).spec(config, job)?.resources {
        match resource.lock.try_take().await {
            Ok(Some(lock)) => held.push(lock),
            Ok(None) => return Ok(held_by_a_pass(site, episode, &resource.lock.describe())),
            Err(Stop::Fail(diagnosis)) => return Err(diagnosis),
            Err(other) => {
                return Err(Diagnosis::failure(
                    "HW-BUG-001",
                    format!("a lock stopped: {other:?}"),
                    "report it with this message",
                ));
            }
        }
    }
    let outbox = match place.outbox.is_dir() {
        true => Outbox::open(&place.outbox).map_err(|error| refused(&error.into()))?,
        false => return Err(refused(&ResolveError::NotParked(episode.clone()))),
    };
    // A pass of another configuration or state directory knows nothing of these locks.
    let turn = Turn::take(&place.outbox)
        .map_err(|error| refused(&ResolveError::Io { path: place.outbox.clone(), source: error }))?;
    if turn.is_none() {
        return Ok(held_by_a_pass(site, episode, &format!("the outbox {}", place.outbox.display())));
    }
    // What is refused is no event.
    let parking = conflict(&place.shelves, &outbox, episode).map_err(|error| refused(&error))?.parking;
    let ledger = site.ledger(Access::ReadWrite)?;
    let word = if keep == Keep::Local { "local" } else { "remote" };
    let why = if args.why.is_empty() { String::new() } else { format!(": {}", args.why) };
    ledger.register_job(&job.name, job.kind.name()).await?;
    ledger.add_event("resolve", Some(&job.name), None, &site.word(&format!("{episode}, keep {word}{why}"))).await?;
    let done = resolve_one(&place.shelves, &outbox, episode, keep).map_err(|error| refused(&error))?;
    drop((turn, held));
    let aside =
        done.aside.as_ref().map(|aside| format!("; the other one lies in {}", aside.display())).unwrap_or_default();
    let host = &place.receiver.host;
    let text = match keep {
        Keep::Local => format!(
            "{episode}: the next pass sends it{aside}. While the receiver has another one it refuses it again; there, \
             `highwater episodes withdraw {host}/{episode} --make-room --why …` frees the name first. It had said: {}",
            line(&done.told)
        ),
        // The receiver has the one that was sent.
        Keep::Remote if parking == Parking::Shelf => {
            format!("{episode}: the receiver's stays, which is the one in `episodes`: the next pass retires it{aside}")
        }
        Keep::Remote => format!(
            "{episode}: the receiver's stays{}",
            match (&done.aside, &done.archive) {
                (Some(aside), None) => format!("; this host's lies in {}", aside.display()),
                (Some(aside), Some(archive)) => format!(
                    "; what this host's directory held lies in {}; {} is of another one and may be its only copy: it stays, and `highwater \
                     retry {} {episode}` sends it",
                    aside.display(),
                    archive.display(),
                    job.name
                ),
                (None, Some(archive)) => format!(
                    "; this host's directory is gone, and {} may be its only copy: it stays, and `highwater retry {} {episode}` sends it",
                    archive.display(),
                    job.name
                ),
                (None, None) => ", and there is no other one here".to_owned(),
            }
        ),
    };
    site.output.answer(
        &json!({
            "episode_id": episode, "resolved": true, "aside": done.aside, "archive": done.archive, "told": done.told,
        }),
        text,
    );
    Ok(ExitCode::Drained)
}

/// A pass works there: it is waited for by whoever called.
fn held_by_a_pass(site: &Site, episode: &EpisodeId, what: &str) -> ExitCode {
    let text = format!("a pass holds {what}: call again when it is over; nothing was changed");
    site.output.answer(&json!({ "episode_id": episode, "resolved": false, "reason": "lock_held" }), text);
    ExitCode::Checkpoint
}

/// What is parked or lies aside, and why; it changes nothing, and a pass may run meanwhile.
fn list(settings: &ShipSettings, site: &Site) -> Result<ExitCode, Diagnosis> {
    let all = parked(&settings.episodes, &settings.outbox).map_err(|error| refused(&error.into()))?;
    let aside = aside(&settings.outbox).map_err(|error| refused(&error.into()))?;
    let waiting = waiting(&settings.episodes, &settings.outbox).map_err(|error| refused(&error.into()))?;
    let fault = aside_fault(&settings.outbox).map_err(|error| refused(&error.into()))?;
    // What is told of one holds its way out, which is at its end: it stands below its line, whole.
    let mut text = String::new();
    let mut columns = Columns::new(["episode", "since", "why"]);
    let mut tell = |episode: String, since: String, why: String, told: &str| {
        text.push_str(&columns.page(&[[episode, since, why]]));
        text.push_str(&format!("  {}\n", one_line(told)));
    };
    for one in &all {
        let ParkedEpisode { episode_id, parked, .. } = one;
        tell(episode_id.to_string(), moment(parked.at).to_string(), one.why(), &parked.told);
    }
    for one in &aside {
        let since = one.at.map(|at| moment(at).to_string()).unwrap_or_default();
        let told = format!("{}: {}", one.archive.display(), one.next);
        tell(one.episode_id.to_string(), since, "archive set aside".to_owned(), &told);
    }
    for (episode, here) in &waiting {
        let told =
            format!("{}: the next pass reads its archive in the outbox, and sends it if it is whole", here.told());
        tell(episode.to_string(), String::new(), "its archive waits".to_owned(), &told);
    }
    let mut text = match text.is_empty() {
        true => format!("no episode in {} is parked", settings.episodes.display()),
        false => format!("{text}{MENDS}"),
    };
    if let Some(fault) = &fault {
        text.push_str(&format!("\nno archive can be set aside: {}; {}", with_causes(fault), fault.next()));
    }
    let waiting: Vec<_> = waiting.iter().map(|(episode, _)| episode).collect();
    site.output.answer(&json!({ "parked": all, "aside": aside, "waiting": waiting }), text);
    Ok(ExitCode::Drained)
}

fn refused(error: &ResolveError) -> Diagnosis {
    let told = with_causes(error);
    match error {
        ResolveError::NotParked(_) | ResolveError::NoConflict { .. } | ResolveError::Mended(_) => Diagnosis::refusal(
            codes::NO_CONFLICT,
            told,
            "`highwater episodes resolve`, without an ID, lists what is parked, each with why",
        )
        .at_field("ID"),
        ResolveError::Io { .. } | ResolveError::Outbox(_) => Diagnosis::failure(
            codes::EPISODES_UNUSABLE,
            told,
            "check what it names, its disk and its permissions, and call again: nothing was removed",
        ),
    }
}
