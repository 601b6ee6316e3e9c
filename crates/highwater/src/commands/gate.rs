//! `gate`: which commits a receiver lets in beside its window. Owns what an operator may say of one, and how it stands; that it is
//! written durably and read by a running receiver is the domain's.

use highwater_engine::diagnosis::{Diagnosis, with_causes};
use highwater_engine::ledger::Ledger as _;
use highwater_engine::settings::DurationText;
use highwater_episodes::gate::{
    ALLOWED_FILE, Allowed, AllowedError, GateSettings, REFRESH_SECS, Source, Window, allow, read_allowed,
};
use highwater_episodes::index::Commit;
use highwater_episodes::receive::settings::ReceiverSettings;
use highwater_store::Access;
use jiff::Timestamp;
use serde::Serialize;
use serde_json::json;

use super::events::mended;
use super::{codes, done};
use crate::Done;
use crate::bar::counted;
use crate::cli::{GateAllow, GateRevoke, GateVerb};
use crate::config::Config;
use crate::site::Site;
use crate::table::{Facts, line, moment};

/// What is done once something odd has gone from the place of what is let in.
pub(super) const ALLOW_AGAIN: &str = "then put back the file that belongs there, or call `highwater gate allow` again for each commit; until then a running receiver keeps what it has read";

pub(crate) async fn gate(verb: GateVerb, site: Site) -> Done {
    done(match verb {
        GateVerb::Allow(args) => allowed(&args, &site).await,
        GateVerb::Revoke(args) => revoked(&args, &site).await,
        GateVerb::List => listed(&site),
    })
}

/// The receiver of the configuration.
fn receiver(site: &Site) -> Result<(&Config, &ReceiverSettings), Diagnosis> {
    let Some(config) = &site.config else { return Err(super::needs_config("gate")) };
    Ok((config, config.receiver()?))
}

/// Its gate, where it judges.
fn judging(settings: &ReceiverSettings) -> Option<(&GateSettings, Source)> {
    let gate = settings.gate.as_ref().filter(|gate| gate.enabled)?;
    let repository = gate.repository.as_ref()?.to_path_buf();
    Some((gate, Source { repository, reference: gate.reference.clone(), commits: gate.window.get() }))
}

pub(super) fn commit(text: &str) -> Result<Commit, Diagnosis> {
    text.parse().map_err(|_| {
        Diagnosis::refusal(
            codes::NO_COMMIT,
            format!("found {:?}, expected the 40 or 64 hexadecimal digits of a commit", line(text)),
            "`git rev-parse COMMIT` in the repository prints them all",
        )
        .at_field("COMMIT")
    })
}

/// A moment as a person names it: itself, or how far ahead.
fn until(text: &str, now: Timestamp) -> Result<Timestamp, Diagnosis> {
    let ahead = || text.parse::<DurationText>().ok().and_then(|span| now.checked_add(span.get()).ok());
    let until = text.parse::<Timestamp>().ok().or_else(ahead).ok_or_else(|| {
        Diagnosis::refusal(
            codes::UNREADABLE_TIME,
            format!(
                "found {:?}, expected a time such as 2026-11-27T12:00:00Z or a span such as \"7 days\"",
                line(text)
            ),
            mended(text),
        )
        .at_field("--until")
    })?;
    if until <= now {
        return Err(Diagnosis::refusal(
            codes::PAST_UNTIL,
            format!("found {}, which is over; expected a time to come", moment(until)),
            "name a later time; `highwater gate revoke COMMIT --why …` takes back what is let in",
        )
        .at_field("--until"));
    }
    Ok(until)
}

fn unusable(error: &AllowedError) -> Diagnosis {
    let next = match error {
        AllowedError::Io { .. } => "check the disk and that this user may write there".to_owned(),
        AllowedError::Odd(odd) => format!("{}; {ALLOW_AGAIN}", odd.next()),
        AllowedError::TooLarge { .. } => "remove the lines of commits that are over, and call again".to_owned(),
        AllowedError::Line { .. } => {
            "correct or remove that line; until then a running receiver keeps what it has read".to_owned()
        }
    };
    Diagnosis::failure(codes::ALLOWED_UNUSABLE, with_causes(error), next)
}

#[derive(Serialize)]
struct Answer<'a> {
    commit: &'a Commit,
    until: Timestamp,
    /// Whether it is among the newest anyway; absent where the repository cannot be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    in_window: Option<bool>,
}

async fn allowed(args: &GateAllow, site: &Site) -> Result<(), Diagnosis> {
    let (config, settings) = receiver(site)?;
    let commit = commit(&args.commit)?;
    let now = site.clock.now();
    let until = until(&args.until, now)?;
    let Some((_, source)) = judging(settings) else {
        return Err(Diagnosis::refusal(
            codes::NO_GATE,
            "found a receiver that judges no code, expected `[receiver.gate]`: every commit is let in",
            "nothing is to be done; to judge, add `[receiver.gate]` with a `repository`",
        )
        .in_file(&config.file)
        .at_field("receiver.gate"));
    };
    let in_window = source.read().ok().map(|window| window.contains(&commit));
    write(
        site,
        settings,
        &Allowed { commit: commit.clone(), until, at: now, who: site.who.0.clone(), why: args.why.clone() },
    )
    .await?;
    let mut text = format!(
        "{commit} is let in until {}; a running receiver takes it up within {REFRESH_SECS} seconds",
        moment(until)
    );
    if in_window == Some(true) {
        text.push_str("; it is in the window now, and this counts once it has left");
    }
    site.output.answer(&Answer { commit: &commit, until, in_window }, text);
    Ok(())
}

async fn revoked(args: &GateRevoke, site: &Site) -> Result<(), Diagnosis> {
    let (_, settings) = receiver(site)?;
    let commit = commit(&args.commit)?;
    let now = site.clock.now();
    let known = read_allowed(&settings.root.join(ALLOWED_FILE)).map_err(|error| unusable(&error))?;
    if !known.iter().any(|allowed| allowed.commit == commit && allowed.stands(now)) {
        return Err(Diagnosis::refusal(
            codes::NOT_ALLOWED,
            format!("found nobody who lets {commit} in now; expected a commit that is let in"),
            "`highwater gate list` shows them",
        )
        .at_field("COMMIT"));
    }
    let over = Allowed { commit: commit.clone(), until: now, at: now, who: site.who.0.clone(), why: args.why.clone() };
    write(site, settings, &over).await?;
    let text = format!("{commit} is no longer let in; a running receiver knows it within {REFRESH_SECS} seconds");
    site.output.answer(&Answer { commit: &commit, until: now, in_window: None }, text);
    Ok(())
}

/// The event, then the line: what is let in never lacks who said so. Where the line fails, that is an event too.
async fn write(site: &Site, settings: &ReceiverSettings, allowed: &Allowed) -> Result<(), Diagnosis> {
    let path = settings.root.join(ALLOWED_FILE);
    read_allowed(&path).map_err(|error| unusable(&error))?;
    let ledger = site.ledger(Access::ReadWrite)?;
    let Allowed { commit, until, at, why, .. } = allowed;
    let because = if why.is_empty() { String::new() } else { format!(": {why}") };
    let (act, said) = if allowed.stands(*at) {
        ("gate-allow", format!("{commit} until {}{because}", moment(*until)))
    } else {
        ("gate-revoke", format!("{commit}{because}"))
    };
    ledger.add_event(act, None, None, &site.word(&said)).await?;
    if let Err(error) = allow(&path, allowed) {
        let failed = format!("{act} of {commit}: {}", with_causes(&error));
        ledger.add_event("gate-failed", None, None, &site.word(&failed)).await?;
        return Err(unusable(&error));
    }
    Ok(())
}

fn listed(site: &Site) -> Result<(), Diagnosis> {
    let (_, settings) = receiver(site)?;
    let allowed = read_allowed(&settings.root.join(ALLOWED_FILE)).map_err(|error| unusable(&error))?;
    let now = site.clock.now();
    let judging = judging(settings);
    let window = judging.as_ref().map(|(_, source)| source.read());
    let fault = window.as_ref().and_then(|read| read.as_ref().err().map(|error| with_causes(error)));
    let window = window.and_then(Result::ok);
    if site.output.json {
        let gate = judging.as_ref().map(|(gate, source)| {
            json!({
                "repository": source.repository.to_string_lossy(),
                "ref": gate.reference,
                "head": window.as_ref().map(Window::head),
                "window": gate.window,
                "accepted": window.as_ref().map(Window::len),
                "fault": fault,
            })
        });
        let allowed: Vec<_> = allowed
            .iter()
            .map(|allowed| {
                let in_window = window.as_ref().map(|window| window.contains(&allowed.commit));
                json!({ "commit": allowed.commit, "until": allowed.until, "stands": allowed.stands(now), "in_window": in_window,
                    "at": allowed.at, "who": allowed.who, "why": allowed.why })
            })
            .collect();
        site.output.json(&json!({ "judges": judging.is_some(), "gate": gate, "allowed": allowed }));
    } else {
        site.output.line(facts(judging.as_ref(), window.as_ref(), fault.as_deref(), &allowed, now));
    }
    match fault {
        None => Ok(()),
        Some(fault) => Err(Diagnosis::failure(
            codes::GATE_UNREADABLE,
            fault,
            "correct `repository` and `ref`, or let this user read it; a running receiver keeps what it has read",
        )
        .at_field("receiver.gate.repository")),
    }
}

fn facts(
    judging: Option<&(&GateSettings, Source)>,
    window: Option<&Window>,
    fault: Option<&str>,
    allowed: &[Allowed],
    now: Timestamp,
) -> Facts {
    let mut facts = Facts::default();
    match judging {
        None => facts.heading("the gate is off: no code is judged"),
        Some((gate, source)) => {
            facts.heading(format_args!(
                "the newest {} of {} in {}",
                counted(gate.window.get().into(), "commit"),
                line(&gate.reference),
                source.repository.display()
            ));
            match (window, fault) {
                (Some(window), _) => {
                    facts.fact("head", window.head());
                    facts.fact("accepted", counted(window.len() as u64, "commit"));
                }
                (None, fault) => facts.fact("head", format_args!("unknown: {}", line(fault.unwrap_or_default()))),
            }
        }
    }
    let (stand, over): (Vec<_>, Vec<_>) = allowed.iter().partition(|allowed| allowed.stands(now));
    if stand.is_empty() {
        facts.fact("let in", "no other commit");
    }
    for (at, allowed) in stand.iter().enumerate() {
        let Allowed { commit, until, who, why, .. } = allowed;
        let why = if why.is_empty() { String::new() } else { format!(": {}", line(why)) };
        let spare = window.is_some_and(|window| window.contains(commit));
        let spare = if spare { ", and in the window still" } else { "" };
        let label = if at == 0 { "let in" } else { "" };
        facts.fact(label, format_args!("{commit} until {} by {}{why}{spare}", moment(*until), line(who)));
    }
    if !over.is_empty() {
        facts.fact("over", counted(over.len() as u64, "commit"));
    }
    facts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn until_takes_a_moment_or_a_span_to_come() {
        let now: Timestamp = "2026-11-20T12:00:00Z".parse().unwrap();
        for (text, expected) in [
            ("2026-11-27T12:00:00Z", "2026-11-27T12:00:00Z"),
            ("2026-11-27T12:00:00+02:00", "2026-11-27T10:00:00Z"),
            ("7 days", "2026-11-27T12:00:00Z"),
        ] {
            assert_eq!(until(text, now).unwrap().to_string(), expected, "{text}");
        }
        for (text, code) in [
            ("tomorrow", codes::UNREADABLE_TIME),
            ("2026-11-27", codes::UNREADABLE_TIME),
            ("-7 days", codes::UNREADABLE_TIME),
            ("", codes::UNREADABLE_TIME),
            ("2026-11-20T12:00:00Z", codes::PAST_UNTIL),
            ("1999-01-01T00:00:00Z", codes::PAST_UNTIL),
            ("0s", codes::PAST_UNTIL),
        ] {
            assert_eq!(until(text, now).unwrap_err().code, code, "{text}");
        }
    }

    #[test]
    fn a_commit_is_all_its_digits() {
        assert!(commit(&"a".repeat(40)).is_ok() && commit(&"A".repeat(64)).is_ok());
        for text in ["HEAD", "abc1234", "", &"g".repeat(40), &"a".repeat(1_000_000), "\u{1b}[2J"] {
            let told = commit(text).unwrap_err().told();
            assert!(told.len() < 400 && !told.contains('\u{1b}'), "{told}");
        }
    }
}
