//! `episodes withdraw`: what turned out polluted leaves the store. Owns which episodes are meant and that it is an event before it
//! is done; the order of tombstone and quarantine is the domain's.

use std::collections::BTreeSet;

use highwater_engine::diagnosis::{Diagnosis, with_causes};
use highwater_engine::ledger::Ledger as _;
use highwater_engine::report::ExitCode;
use highwater_episodes::index::{Index, PageAsk, Row, View};
use highwater_episodes::name::EpisodeKey;
use highwater_episodes::odd::Odd;
use highwater_episodes::reindex::Files;
use highwater_episodes::store::Store;
use highwater_episodes::withdraw::{Name, WHY_BYTES_MAX, WithdrawError, withdraw as withdraw_one};
use highwater_store::Access;
use serde_json::json;

use super::super::gate::commit as commit_of;
use super::super::{codes, needs_config};
use super::{Ended, unusable};
use crate::Done;
use crate::bar::counted;
use crate::cli::EpisodesWithdraw;
use crate::owner::become_owner;
use crate::site::Site;

/// Keys that an event names; all are counted.
const TOLD_KEYS_MAX: usize = 20;

/// The event of a withdrawal.
pub(crate) const WITHDRAW: &str = "withdraw";
/// The event of one that makes the name free.
pub(crate) const MAKE_ROOM: &str = "make-room";

pub(crate) async fn withdraw(args: EpisodesWithdraw, site: Site) -> Done {
    withdrawn(&args, &site).await.map_err(|error| vec![error])
}

async fn withdrawn(args: &EpisodesWithdraw, site: &Site) -> Result<ExitCode, Diagnosis> {
    let Some(config) = &site.config else { return Err(needs_config("episodes withdraw")) };
    let files = Files::of_root(&config.receiver()?.root);
    if args.why.len() > WHY_BYTES_MAX {
        return Err(refused(&WithdrawError::LongWhy(args.why.len())));
    }
    let keys = meant(args, &files)?;
    let (output, name) = (site.output, if args.make_room { Name::Free } else { Name::Kept });
    if args.dry_run {
        let (view, store) = (View::read(&files.index).map_err(unusable)?, files.open_store()?);
        let (mut todo, mut so) = (0, 0);
        for key in &keys {
            if !is_to_do(&store, &view, key, name).map_err(|error| refused(&error))? {
                so += 1;
                continue;
            }
            todo += 1;
            output.answer(&json!({ "would": "withdraw", "host_id": key.host, "episode_id": key.episode }), key);
        }
        let so = if so == 0 { String::new() } else { format!("; nothing is left to do for {}", counted(so, "other")) };
        output.note(format!("{} to withdraw{so}; nothing was written", counted(todo, "episode")));
        return Ok(ExitCode::Drained);
    }
    become_owner(&[&files.index, &files.episodes])?;
    let store = files.open_store()?;
    let (index, _) = files.open_index()?;
    let ledger = site.ledger(Access::ReadWrite)?;
    let of = match &args.commit {
        Some(commit) => format!(" of commit {}", commit.to_ascii_lowercase()),
        None => String::new(),
    };
    let mut todo = Vec::new();
    for key in &keys {
        if is_to_do(&store, &index, key, name).map_err(|error| refused(&error))? {
            todo.push(key);
        }
    }
    // What is so already is no deed of anybody's.
    if !todo.is_empty() {
        let named: Vec<_> = todo.iter().take(TOLD_KEYS_MAX).map(ToString::to_string).collect();
        let more = if todo.len() > named.len() { ", …" } else { "" };
        let said = format!("{}{of} ({}{more}): {}", counted(todo.len() as u64, "episode"), named.join(", "), args.why);
        let act = if args.make_room { MAKE_ROOM } else { WITHDRAW };
        ledger.add_event(act, None, None, &site.word(&said)).await?;
    }
    for key in &keys {
        let done =
            withdraw_one(&store, &index, key, &args.why, name, site.clock.now()).map_err(|error| refused(&error))?;
        let nothing = if done.is_new { "nothing of it was stored" } else { "nothing is left to do" };
        let aside =
            done.aside.as_ref().map_or_else(|| nothing.to_owned(), |aside| format!("its archive lies in {aside}"));
        let did = match (name, done.is_new) {
            (Name::Kept, true) => "withdrawn",
            (Name::Kept, false) => "withdrawn already",
            (Name::Free, true) => "withdrawn, and its name is free",
            (Name::Free, false) => "its name was free already",
        };
        output.answer(
            &json!({ "host_id": key.host, "episode_id": key.episode, "new": done.is_new, "aside": done.aside, "name_is_free": args.make_room }),
            format_args!("{key}: {did}; {aside}"),
        );
    }
    Ok(ExitCode::Drained)
}

/// Whether anything of an episode changes.
fn is_to_do(store: &dyn Store, index: &dyn Index, key: &EpisodeKey, name: Name) -> Result<bool, WithdrawError> {
    let is_stored = store.stat(key)?.is_some();
    let row = index.find(key)?;
    let is_so = match name {
        Name::Kept => row.is_some_and(|row| row.withdrawn.is_some()),
        Name::Free => row.is_none(),
    };
    Ok(is_stored || !is_so || index.missed(key)?.is_some())
}

/// The keys that were typed, or those of a commit: also of those that are withdrawn and still stored, as after a crash.
fn meant(args: &EpisodesWithdraw, files: &Files) -> Result<Vec<EpisodeKey>, Diagnosis> {
    let view = View::read(&files.index).map_err(unusable)?;
    let store = files.open_store()?;
    let Some(commit) = &args.commit else {
        let lost = view.lost_tombstones().map_err(unusable)?;
        // All of them are there, or nothing is begun.
        for key in args.keys.iter().filter(|_| !args.make_room) {
            let known = view.find(key).map_err(unusable)?.is_some() || lost.iter().any(|row| row.key() == *key);
            if !known && store.stat(key).map_err(|error| refused(&error.into()))?.is_none() {
                return Err(refused(&WithdrawError::NotThere(key.clone())));
            }
        }
        let mut named = BTreeSet::new();
        return Ok(args.keys.iter().filter(|key| named.insert(*key)).cloned().collect());
    };
    let commit = commit_of(commit).map_err(|error| error.at_field("--commit"))?;
    let mut keys = Vec::new();
    let mut found = 0;
    let its = |row: Row| (row.commit.as_ref() == Some(&commit)).then(|| (row.key(), row.withdrawn.is_some()));
    view.each(&PageAsk::default(), its, |its| -> Result<bool, Ended> {
        if let Some((key, is_withdrawn)) = its {
            found += 1;
            let left = store.stat(&key).map_err(|error| refused(&error.into()))?.is_some();
            if !is_withdrawn || left || args.make_room {
                keys.push(key);
            }
        }
        Ok(true)
    })
    .map_err(Ended::diagnosis)?;
    if found == 0 {
        return Err(Diagnosis::refusal(
            codes::NO_EPISODE,
            format!("found no row of an episode that {commit} recorded"),
            "`highwater episodes list --csv` shows the commits of all rows; `highwater reindex` gives rows to episodes without one",
        )
        .at_field("--commit"));
    }
    Ok(keys)
}

fn refused(error: &WithdrawError) -> Diagnosis {
    let told = with_causes(error);
    match error {
        WithdrawError::NotThere(_) => {
            Diagnosis::refusal(codes::NO_EPISODE, told, "`highwater episodes list` shows what there is")
                .at_field("HOST/ID")
        }
        WithdrawError::LongWhy(_) => {
            Diagnosis::refusal(codes::LONG_WHY, told, "say it shorter; it is part of a line of the index")
                .at_field("--why")
        }
        WithdrawError::Outrun(_) => Diagnosis::refusal(
            codes::STORED_ANEW,
            told,
            "look at it (`highwater episodes show HOST/ID`), and call again if it is to go too",
        ),
        WithdrawError::Index(_) | WithdrawError::Store(_) => Diagnosis::failure(
            codes::EPISODES_UNUSABLE,
            told,
            Odd::next_of(
                error,
                "check the disk, its space and its permissions, and call again: it goes on where it was",
            ),
        ),
    }
}
