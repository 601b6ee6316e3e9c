//! `ban`: a person's word that a resource is not contacted for a time. Owns that the resource's longest ban bounds a
//! person's too; that a ban is only ever extended is the ledger's (R2).

use std::time::Duration;

use highwater_engine::ban::{self, BanFile, BanRules};
use highwater_engine::clock::since;
use highwater_engine::diagnosis::Diagnosis;
use highwater_engine::ledger::Ledger;
use highwater_engine::name::ResourceName;
use highwater_store::Access;
use jiff::Timestamp;
use serde::Serialize;

use super::{call, codes, done};
use crate::Done;
use crate::bar::span;
use crate::cli::Ban;
use crate::site::Site;
use crate::table::{line, moment};

#[derive(Serialize)]
struct Answer<'a> {
    resource: &'a ResourceName,
    /// Whether this call made it longer.
    extended: bool,
    /// Whether the resource's `ban-max` made it shorter than asked.
    capped: bool,
    /// What stands.
    until: Timestamp,
}

pub(crate) async fn ban(args: Ban, site: Site) -> Done {
    done(banned(&args, &site).await)
}

async fn banned(args: &Ban, site: &Site) -> Result<(), Diagnosis> {
    let asked = args.time.get();
    if asked.is_zero() {
        return Err(Diagnosis::refusal(
            codes::EMPTY_BAN,
            "found a ban of no time, expected a time above zero",
            format!("to end a ban: {}", call(site, format_args!("lift {} --why …", args.resource))),
        )
        .at_field("--for"));
    }
    site.refuse_no_resource(&args.resource)?;
    let ledger = site.ledger(Access::ReadWrite)?;
    let resource = site.resource(&*ledger, &args.resource).await?;
    let max = longest(site, &resource);
    let word = site.word(&args.why);
    let until = ban::until(word.at, asked.min(max));
    let before = ledger.resource(&resource).await?.ban.filter(|ban| ban.stands(word.at));
    let stands = ledger.extend_ban(&resource, until, &word).await?;
    if let Some(file) = file(site, &resource) {
        file.extend(stands.until, max, &site.clock).await?;
    }

    let extended = before.is_none_or(|before| stands.until > before.until);
    let capped = asked > max;
    let left = span(left(stands.until, word.at));
    let mut text = if extended {
        let lift = call(site, format_args!("lift {resource} --why …"));
        format!(
            "{resource}: banned until {} ({left}); no job contacts it before that, unless {lift} ends it",
            moment(stands.until)
        )
    } else {
        let why = if stands.why.is_empty() { String::new() } else { format!(": {}", line(&stands.why)) };
        format!(
            "{resource}: banned until {} already ({left}, by {}{why}); a ban is only ever extended",
            moment(stands.until),
            stands.who.0
        )
    };
    if capped {
        text.push_str(&format!("; asked for {}, and `ban-max` allows {}", span(asked), span(max)));
    }
    site.output.answer(&Answer { resource: &resource, extended, capped, until: stands.until }, text);
    Ok(())
}

/// How long a ban still stands, to the second and rounded up: the ledger cuts what is finer than a microsecond.
pub(super) fn left(until: Timestamp, now: Timestamp) -> Duration {
    let left = since(until, now);
    Duration::from_secs(left.as_secs() + u64::from(left.subsec_nanos() > 0))
}

/// The longest ban that the resource takes, from a `Retry-After` and from a person alike: a slip in the unit of `--for`
/// must not stop every job for years.
pub(super) fn longest(site: &Site, resource: &ResourceName) -> Duration {
    let known = site.config.as_ref().and_then(|config| config.resources.get(resource));
    known.map_or(BanRules::default().max, |known| known.settings.ban_max.get())
}

/// The file that shares the resource's ban with other programs.
pub(super) fn file(site: &Site, resource: &ResourceName) -> Option<BanFile> {
    let known = site.config.as_ref()?.resources.get(resource)?;
    known.settings.ban_file.as_ref().map(|path| BanFile::new(path.to_path_buf()))
}
