//! `retry`: puts items back, to be tried again as if for the first time.

use highwater_engine::diagnosis::{Diagnosis, with_causes};
use highwater_engine::ledger::{ItemFilter, ItemOrder, Ledger, LedgerFault, Word};
use highwater_engine::name::{JobName, WorklistId};
use highwater_engine::shell::quoted_path;
use highwater_episodes::name::EpisodeId;
use highwater_episodes::ship::parked::{self, ParkedEpisode};
use highwater_episodes::ship::{MARKER, Outbox, OutboxError, Parking, ShipSettings};
use serde::Serialize;

use super::items::{keys, outcome, refused, worklist};
use super::{call, codes, done, job_with_row, next_pass, write_markers};
use crate::Done;
use crate::bar::grouped;
use crate::cli::Retry;
use crate::config::KindSettings;
use crate::site::Site;

#[derive(Serialize)]
struct Answer<'a> {
    job: &'a JobName,
    /// Items that are open again.
    items: u64,
}

pub(crate) async fn retry(args: Retry, site: Site) -> Done {
    done(put_back(&args, &site).await)
}

async fn put_back(args: &Retry, site: &Site) -> Result<(), Diagnosis> {
    // Every outcome may be taken back, `done` too: it is a person's word, and the audit trail keeps it.
    let filter = match &args.outcome {
        Some(word) => ItemFilter::Outcome(outcome(word, &[])?),
        None => ItemFilter::Keys(keys(&args.keys, "KEY")?),
    };
    let glance = site.ledger_to_mend()?;
    let ledger = &*glance.ledger;
    let job = job_with_row(site, ledger, &args.job).await?;
    let word = site.word(&args.why);
    let newest = match worklist(site, &job, ledger.job(&job).await?) {
        Ok(newest) => newest,
        Err(none) => {
            // A ledger that was lost knows nothing of what waits in the outbox.
            let Some((outbox, episodes)) = parked(site, &job, &filter)? else { return Err(none) };
            let items = let_go(ledger, &job, &outbox, &episodes, &word).await?;
            return told(site, ledger, &job, items).await;
        }
    };
    let items = match ledger.retry_items(&job, &filter, &word).await {
        Ok(items) => items,
        Err(error) => match parked(site, &job, &filter)? {
            Some((outbox, episodes)) if error.fault == LedgerFault::NotThere => {
                let_go(ledger, &job, &outbox, &episodes, &word).await?
            }
            _ => {
                let lead = match error.fault {
                    LedgerFault::NotThere => lead(site, ledger, &job, newest.id, &filter).await?,
                    _ => None,
                };
                let refused = refused(site, &job, error);
                return Err(match lead {
                    Some(next) => Diagnosis { next, ..refused },
                    None => refused,
                });
            }
        },
    };
    told(site, ledger, &job, items).await
}

/// Says how many are open again.
async fn told(site: &Site, ledger: &dyn Ledger, job: &JobName, items: u64) -> Result<(), Diagnosis> {
    write_markers(site, ledger, job).await;
    let text = if items == 0 {
        format!(
            "{job}: no such item has an outcome to take back; look with {}",
            call(site, format_args!("items {job}"))
        )
    } else {
        let again = if items == 1 { "item is" } else { "items are" };
        let record = ledger.job(job).await?;
        format!("{job}: {} {again} open again, untried; {}", grouped(items), next_pass(site, record.as_ref(), job))
    };
    site.output.answer(&Answer { job, items }, text);
    Ok(())
}

/// The settings of a job that ships.
fn shipping<'s>(site: &'s Site, job: &JobName) -> Option<&'s ShipSettings> {
    match &site.config.as_ref()?.job(job.as_str()).ok()?.kind {
        KindSettings::Ship(settings) => Some(settings),
        _ => None,
    }
}

/// The episodes that are meant, where all of them are here and wait: their round is over. What is parked by a conflict or a gate does not
/// come back by a person's word alone.
fn parked(site: &Site, job: &JobName, filter: &ItemFilter) -> Result<Option<(Outbox, Vec<EpisodeId>)>, Diagnosis> {
    let (Some(settings), ItemFilter::Keys(keys)) = (shipping(site, job), filter) else { return Ok(None) };
    if !settings.outbox.is_dir() {
        return Ok(None);
    }
    let outbox = Outbox::open(&settings.outbox).map_err(|error| unusable(&error))?;
    let mut episodes = Vec::new();
    for key in keys {
        let Ok(episode) = EpisodeId::new(key.as_str()) else { return Ok(None) };
        if !waits(settings, &outbox, &episode)? {
            return Ok(None);
        }
        episodes.push(episode);
    }
    Ok(Some((outbox, episodes)))
}

/// Whether a person's word alone lets an episode go on.
fn waits(settings: &ShipSettings, outbox: &Outbox, episode: &EpisodeId) -> Result<bool, Diagnosis> {
    let is_packed = || outbox.is_packed(episode).map_err(|error| unusable(&error));
    let is_here = settings.episodes.join(episode.as_str()).join(MARKER).exists();
    match outbox.parked(episode).map_err(|error| unusable(&error))?.map(|parked| parked.parking) {
        Some(Parking::Refused | Parking::Unpackable | Parking::Gone) => Ok(is_here || is_packed()?),
        // Nobody parked it, and no finished directory has its name: the next pass sends its archive.
        None => Ok(!is_here && is_packed()?),
        // The next pass looks whether somebody still records.
        Some(Parking::Conflict | Parking::Shelf | Parking::Gate | Parking::Recording | Parking::Displaced) => Ok(false),
    }
}

/// What a person does about the first of these episodes that is none of the newest round's and does not wait for a word; `None` where it is
/// not here.
async fn lead(
    site: &Site,
    ledger: &dyn Ledger,
    job: &JobName,
    newest: WorklistId,
    filter: &ItemFilter,
) -> Result<Option<String>, Diagnosis> {
    let (Some(settings), ItemFilter::Keys(keys)) = (shipping(site, job), filter) else { return Ok(None) };
    let all = parked::parked(&settings.episodes, &settings.outbox).map_err(|error| unusable(&error))?;
    let outbox = settings.outbox.is_dir().then(|| Outbox::open(&settings.outbox)).transpose();
    let outbox = outbox.map_err(|error| unusable(&error))?;
    for key in keys {
        let Ok(episode) = EpisodeId::new(key.as_str()) else { continue };
        let only = ItemFilter::Keys(vec![key.clone()]);
        let is_item = !ledger.items(newest, &only, ItemOrder::Position, None, 1).await?.is_empty();
        let waits = || outbox.as_ref().map_or(Ok(false), |outbox| waits(settings, outbox, &episode));
        if !is_item && !waits()? {
            let parked = all.iter().find(|one| one.episode_id == episode);
            return Ok(next_of(job, settings, &episode, parked));
        }
    }
    Ok(None)
}

/// What lets an episode go on, by where it is.
fn next_of(
    job: &JobName,
    settings: &ShipSettings,
    episode: &EpisodeId,
    parked: Option<&ParkedEpisode>,
) -> Option<String> {
    if let Some(one) = parked {
        let why = one.why();
        return Some(match one.parked.parking {
            parking if parking.is_conflict() => format!(
                "{episode} is parked ({why}): say which one it is to be, `highwater episodes resolve {episode} --job {job} --keep local|remote`"
            ),
            Parking::Gate => format!(
                "{episode} is parked ({why}): it is sent by itself once the receiver accepts what recorded it; its operator lets that in with \
                 `highwater gate allow`"
            ),
            _ => {
                format!("{episode} is parked ({why}): `highwater episodes resolve --job {job}` says what lets it go on")
            }
        });
    }
    let [here, shipped] = [&settings.episodes, &settings.shipped].map(|shelf| shelf.join(episode.as_str()));
    if here.join(MARKER).is_file() {
        Some(format!("{episode} was on no list yet: `highwater ship {job}` sends it"))
    } else if here.is_dir() {
        Some(format!("{episode} is being recorded: it is sent once {} is there", here.join(MARKER).display()))
    } else if shipped.is_dir() {
        let (from, to) = (quoted_path(&shipped), quoted_path(&here));
        Some(format!(
            "{episode} was sent and lies in `shipped`; to send it again, `mv -n {from} {to}`: the next pass does"
        ))
    } else {
        None
    }
}

/// Lets parked episodes go on, as an event; how many.
async fn let_go(
    ledger: &dyn Ledger,
    job: &JobName,
    outbox: &Outbox,
    episodes: &[EpisodeId],
    word: &Word,
) -> Result<u64, Diagnosis> {
    let named: Vec<_> = episodes.iter().map(EpisodeId::as_str).collect();
    let why = if word.why.is_empty() { String::new() } else { format!(": {}", word.why) };
    let told = Word { why: format!("{}{why}", named.join(", ")), ..word.clone() };
    ledger.add_event("retry", Some(job), None, &told).await?;
    episodes.iter().try_for_each(|episode| outbox.unpark(episode)).map_err(|error| unusable(&error))?;
    Ok(episodes.len() as u64)
}

fn unusable(error: &OutboxError) -> Diagnosis {
    let next = match error {
        OutboxError::Stray(stray) => stray.next(),
        _ => "check the disk and its permissions, and call again".to_owned(),
    };
    Diagnosis::failure(codes::EPISODES_UNUSABLE, with_causes(error), next)
}
