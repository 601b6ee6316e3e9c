//! Episodes that the receiver refuses: sent again they would be refused again. Owns when one is tried again all the same, and how many
//! with the same refusal halt the job.

use std::collections::BTreeSet;
use std::sync::PoisonError;
use std::time::Duration;

use highwater_engine::clock::since;
use highwater_engine::job::{ReadCx, Stop};
use highwater_engine::outcome::{Outcome, OutcomeKind};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::parked::parked;
use super::{Code, MARKER, Parked, Parking, Refusal, SAME_REFUSAL_EPISODES, Ship, disk};
use crate::name::EpisodeId;

/// After so long one that was refused is tried again, in seconds; after each further refusal twice as long.
const REFUSED_WAIT_SECS: u64 = 3_600;
/// And never longer than this.
const REFUSED_WAIT_SECS_MAX: u64 = 86_400;

/// How an episode was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refused {
    /// The status of the last refusal.
    pub status: u16,
    /// How often it was refused.
    pub times: u32,
    /// Of who asked whom: where it is another, what was refused may be accepted.
    pub sign: Sign,
}

/// Who asks whom, in so few bits that they show a change and tell nothing of a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sign(u16);

impl Sign {
    /// Of these parts.
    pub(super) fn of(parts: &[&[u8]]) -> Self {
        let mut hash = Sha256::new();
        for part in parts {
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part);
        }
        let hash = hash.finalize();
        Self(u16::from_le_bytes([hash[0], hash[1]]))
    }
}

impl Parked {
    /// Whether one that was refused is tried again by now.
    pub(super) fn is_due(&self, sign: Sign, now: Timestamp) -> bool {
        let Some(refused) = self.refused else { return true };
        let secs = REFUSED_WAIT_SECS.checked_shl(refused.times.saturating_sub(1)).unwrap_or(REFUSED_WAIT_SECS_MAX);
        // One that was parked by a clock which went back since would wait for that time.
        let is_later = self.at > now;
        is_later || refused.sign != sign || since(now, self.at) >= Duration::from_secs(secs.min(REFUSED_WAIT_SECS_MAX))
    }
}

impl Ship {
    /// What a refusal makes of an episode.
    pub(super) async fn refused(
        &self,
        cx: &ReadCx,
        episode: &EpisodeId,
        code: &Code,
        refusal: Refusal,
    ) -> Result<Outcome, Stop> {
        let (status, sign) = (refusal.status, self.place.receiver.shown.sign());
        let same = self.same_refusal(episode, status).await?;
        if same.len() >= SAME_REFUSAL_EPISODES {
            let why = format!("{} different episodes got the same refusal: {}", same.len(), refusal.told);
            // Whoever re-arms the job says that it is mended: none of them waits then.
            let (outbox, dir) = (self.outbox()?, self.place.outbox.clone());
            Self::on_disk(move || {
                same.iter().try_for_each(|episode| outbox.unpark(episode)).map_err(|error| disk(&error, &dir))
            })
            .await?;
            let evidence = format!("the last: {episode}\n{}", refusal.remediation.join("\n"));
            // Not at once: only a round in which all that is open was tried takes the others up again, in the pass that follows.
            cx.contacts.wind_down(Stop::Halt { why, evidence, until: None });
            return Ok(Outcome::because(OutcomeKind::Deferred, refusal.told));
        }
        let (outbox, dir, id) = (self.outbox()?, self.place.outbox.clone(), episode.clone());
        let before = Self::on_disk(move || outbox.parked(&id).map_err(|error| disk(&error, &dir))).await?;
        let before = before.and_then(|parked| parked.refused).filter(|before| before.sign == sign);
        let times = before.map_or(1, |before| before.times.saturating_add(1));
        let parked = Parked {
            at: cx.clock.now(),
            commit: code.judged.clone(),
            parking: Parking::Refused,
            marker: None,
            refused: Some(Refused { status, times, sign }),
            told: refusal.told.clone(),
        };
        self.park_as(episode, parked).await?;
        let told = format!(
            "the receiver refuses it: {}; it is tried again ever more seldom, and soon once the job says another token, certificate, \
             host or receiver, or its `{MARKER}` is written anew",
            refusal.told
        );
        Ok(Outcome::because(OutcomeKind::Review, told))
    }

    /// Which episodes got this refusal, this one among them: in this pass, and those that wait since.
    async fn same_refusal(&self, episode: &EpisodeId, status: u16) -> Result<BTreeSet<EpisodeId>, Stop> {
        let mut same = {
            let mut refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
            let episodes = refused.entry(status).or_default();
            episodes.insert(episode.clone());
            episodes.clone()
        };
        let (episodes, outbox) = (self.place.shelves.episodes.clone(), self.place.outbox.clone());
        let waiting = Self::on_disk(move || parked(&episodes, &outbox).map_err(|error| disk(&error, &outbox))).await?;
        let sign = self.place.receiver.shown.sign();
        let is_same =
            |parked: &Parked| parked.refused.is_some_and(|refused| (refused.status, refused.sign) == (status, sign));
        same.extend(waiting.into_iter().filter(|one| is_same(&one.parked)).map(|one| one.episode_id));
        Ok(same)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_that_was_refused_waits_an_hour_and_then_twice_as_long_up_to_a_day() {
        let at: Timestamp = "2026-11-20T12:00:00Z".parse().unwrap();
        let (ours, other) = (Sign(1), Sign(2));
        for (times, hours) in [(0, 1), (1, 1), (2, 2), (5, 16), (6, 24), (70, 24), (u32::MAX, 24)] {
            let refused = Some(Refused { status: 413, times, sign: ours });
            let parked =
                Parked { at, commit: None, parking: Parking::Refused, marker: None, refused, told: String::new() };
            let after = |secs: i64| at + jiff::SignedDuration::from_secs(secs);
            assert!(!parked.is_due(ours, after(hours * 3_600 - 1)), "{times}");
            assert!(parked.is_due(ours, after(hours * 3_600)), "{times}");
            assert!(parked.is_due(other, at), "who asks is another");
        }
    }

    #[test]
    fn a_sign_shows_each_part_and_where_it_ends() {
        assert_eq!(Sign::of(&[b"a", b"b"]), Sign::of(&[b"a", b"b"]));
        assert_ne!(Sign::of(&[b"a", b"b"]), Sign::of(&[b"ab", b""]));
        assert_ne!(Sign::of(&[b"a", b"b"]), Sign::of(&[b"a", b"c"]));
    }
}
