//! Bans as a contact meets them: what a response asks for, what stands, and what the ledger and the ban files of other programs learn
//! from each other. Owns that the later end counts; how `Retry-After` is read is [`crate::ban`]'s.

use std::time::Duration;

use super::Contacts;
use crate::ban::{self, Ban, BanFile, BanRules};
use crate::job::Stop;
use crate::ledger::{Control, Who, Word};
use crate::name::ResourceName;

/// Who says a ban that stands in a ban file only.
const BAN_FILE: &str = "ban-file";

fn says(file: &BanFile) -> String {
    format!("{} says so", file.path().display())
}

impl Contacts {
    /// Adds the bans that stand in files and not in the ledger, or longer there.
    pub(super) fn add_file_bans(&self, control: &mut Control) -> Result<(), Stop> {
        for (name, manners) in &self.manners {
            let Some(file) = &manners.ban_file else { continue };
            let known = control.bans.iter().position(|(of, _)| of == name);
            let stands = known.map(|at| control.bans[at].1.until);
            if let Some(until) = file.read(manners.ban.max)?.filter(|until| stands.is_none_or(|stands| *until > stands))
            {
                let ban = Ban { until, at: self.clock.now(), who: Who(BAN_FILE.to_owned()), why: says(file) };
                match known {
                    Some(at) => control.bans[at].1 = ban,
                    None => control.bans.push((name.clone(), ban)),
                }
            }
        }
        Ok(())
    }

    /// The ledger and the ban files learn from each other: in both, the later end of each ban counts.
    ///
    /// # Errors
    /// [`Stop`] when either cannot be read or written.
    pub(crate) async fn share_bans(&self) -> Result<(), Stop> {
        if self.manners.values().all(|manners| manners.ban_file.is_none()) {
            return Ok(());
        }
        let now = self.clock.now();
        for (name, ban) in self.control().await?.bans {
            let manners = self.manners.get(&name);
            let Some((file, rules)) = manners.and_then(|m| Some((m.ban_file.as_ref()?, &m.ban))) else { continue };
            if !ban.stands(now) {
                continue;
            }
            if ban.who.0 == BAN_FILE {
                self.ledger.extend_ban(&name, ban.until, &Word { at: now, who: ban.who, why: ban.why }).await?;
            }
            // Also one that the ledger learned of the file: another program may have written a sooner end since.
            file.extend(ban.until, rules.max, &self.clock).await?;
        }
        Ok(())
    }

    pub(super) fn standing_ban<'c>(&self, control: &'c Control) -> Option<&'c (ResourceName, Ban)> {
        let now = self.clock.now();
        control.bans.iter().filter(|(_, ban)| ban.stands(now)).max_by_key(|(_, ban)| ban.until)
    }

    /// Extends the ban of `resource` as a response asks, or by `fallback` where it does not say how long. 429 and 503 are banned by
    /// [`Contacts::send`] already; this is for other answers that mean the same, such as a challenge page.
    ///
    /// # Errors
    /// [`Stop`] when the ledger cannot be written.
    pub async fn ban(
        &self,
        resource: &ResourceName,
        fallback: Option<Duration>,
        response: &reqwest::Response,
    ) -> Result<Ban, Stop> {
        self.extend_ban(resource, self.asked(resource, fallback, response)).await
    }

    /// The same, with what the far side says of why.
    ///
    /// # Errors
    /// As [`Contacts::ban`].
    pub async fn ban_because(
        &self,
        resource: &ResourceName,
        response: &reqwest::Response,
        why: impl Into<String>,
    ) -> Result<Ban, Stop> {
        let asked = self.asked(resource, None, response);
        self.extend_ban(resource, Ban { why: why.into(), ..asked }).await
    }

    pub(super) fn rules(&self, resource: &ResourceName) -> BanRules {
        self.manners.get(resource).map(|m| m.ban).unwrap_or_default()
    }

    /// The ban that a response asks for.
    pub(super) fn asked(
        &self,
        resource: &ResourceName,
        fallback: Option<Duration>,
        response: &reqwest::Response,
    ) -> Ban {
        let header = |name: &str| response.headers().get(name).and_then(|v| v.to_str().ok());
        let mut rules = self.rules(resource);
        rules.fallback = fallback.unwrap_or(rules.fallback);
        let at = self.clock.now();
        let wait = ban::retry_after(header("retry-after"), header("date"), at, &rules);
        let why = match header("retry-after") {
            Some(value) => format!("{} with Retry-After: {value}", response.status()),
            None => format!("{} without Retry-After", response.status()),
        };
        Ban { until: ban::until(at, wait), at, who: self.who.clone(), why }
    }

    /// Puts a ban where every program that shares the resource sees it; the one that stands is the later.
    pub(super) async fn extend_ban(&self, resource: &ResourceName, asked: Ban) -> Result<Ban, Stop> {
        let Ban { until, at, who, why } = asked;
        let stands = self.ledger.extend_ban(resource, until, &Word { at, who, why }).await?;
        if let Some(file) = self.manners.get(resource).and_then(|m| m.ban_file.as_ref()) {
            file.extend(stands.until, self.rules(resource).max, &self.clock).await?;
        }
        Ok(stands)
    }
}
