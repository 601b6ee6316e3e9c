//! Figures over rows: how many and how much by host or by day, and which numbers are missing between the first and the last of a
//! host. Owns what is counted; withdrawn episodes are not.

use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::Offset;

use crate::index::Found;

/// Most digits at the end of a name that are read as its number.
const NUMBER_DIGITS_MAX: usize = 18;
/// Seconds of a day.
const DAY_SECS: f64 = 86_400.0;

/// How many and how much.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Total {
    /// How many episodes.
    pub episodes: u64,
    /// Their bytes.
    pub size_bytes: u64,
    /// When the first was received.
    pub first: Timestamp,
    /// When the last was received.
    pub last: Timestamp,
}

impl Total {
    fn of(size_bytes: u64, at: Timestamp) -> Self {
        Self { episodes: 1, size_bytes, first: at, last: at }
    }

    fn add(&mut self, other: &Self) {
        self.episodes += other.episodes;
        self.size_bytes = self.size_bytes.saturating_add(other.size_bytes);
        self.first = self.first.min(other.first);
        self.last = self.last.max(other.last);
    }

    /// Episodes and bytes a day, from the first to the last; `None` where that is less than a day, of which nothing can be told.
    #[must_use]
    pub fn a_day(&self) -> Option<(f64, f64)> {
        let span = self.last.duration_since(self.first).as_secs_f64() / DAY_SECS;
        #[expect(clippy::cast_precision_loss, reason = "a rate is an estimate")]
        let rates = (self.episodes as f64 / span, self.size_bytes as f64 / span);
        (span >= 1.0).then_some(rates)
    }
}

/// By host.
#[derive(Debug, Default)]
pub struct ByHost(BTreeMap<Box<str>, Total>);

impl ByHost {
    /// Counts a row.
    pub fn add(&mut self, row: &Found<'_>) {
        if let Some(bytes) = row.stored_bytes() {
            count(&mut self.0, row.host_id(), &Total::of(bytes, row.received_at_wall()));
        }
    }

    /// Counts what another has counted.
    pub fn merge(&mut self, other: &Self) {
        other.0.iter().for_each(|(host, total)| count(&mut self.0, host, total));
    }

    /// The figures, by the hosts' names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Total)> {
        self.0.iter().map(|(host, total)| (&**host, total))
    }
}

/// Counts something of a host; its name is copied only where it is the first.
fn count(hosts: &mut BTreeMap<Box<str>, Total>, host: &str, more: &Total) {
    match hosts.get_mut(host) {
        Some(total) => total.add(more),
        None => drop(hosts.insert(host.into(), *more)),
    }
}

/// By day of UTC and host.
#[derive(Debug, Default)]
pub struct ByDay(BTreeMap<Date, BTreeMap<Box<str>, Total>>);

impl ByDay {
    /// Counts a row.
    pub fn add(&mut self, row: &Found<'_>) {
        if let Some(bytes) = row.stored_bytes() {
            let at = row.received_at_wall();
            let day = Offset::UTC.to_datetime(at).date();
            count(self.0.entry(day).or_default(), row.host_id(), &Total::of(bytes, at));
        }
    }

    /// Counts what another has counted.
    pub fn merge(&mut self, other: &Self) {
        for (day, hosts) in &other.0 {
            let ours = self.0.entry(*day).or_default();
            hosts.iter().for_each(|(host, total)| count(ours, host, total));
        }
    }

    /// The figures, by day and host.
    pub fn iter(&self) -> impl Iterator<Item = (Date, &str, &Total)> {
        self.0.iter().flat_map(|(day, hosts)| hosts.iter().map(|(host, total)| (*day, &**host, total)))
    }
}

/// The numbered names of each host. A name has a number where it ends with digits; what comes before them is its series.
#[derive(Debug, Default)]
pub struct Numbers(BTreeMap<Box<str>, BTreeMap<Box<str>, Series>>);

#[derive(Debug, Default)]
struct Series {
    numbers: Vec<u64>,
    /// The digits of all of them, where they are as many.
    digits: Option<usize>,
    differ: bool,
}

/// What a series lacks between its first and its last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Missing {
    /// These, each from a name to a name.
    Gaps(Vec<Gap>),
    /// Most numbers between the first and the last are not there: it does not count one by one, so nothing can be told.
    NotCounted,
}

/// Names that are not there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gap {
    /// The first.
    pub from: String,
    /// The last.
    pub to: String,
    /// How many.
    pub episodes: u64,
}

impl Series {
    fn take(&mut self, numbers: &[u64], digits: usize, differ: bool) {
        self.differ |= differ || self.digits.is_some_and(|known| known != digits);
        self.digits = Some(digits);
        self.numbers.extend_from_slice(numbers);
    }
}

impl Numbers {
    /// Takes a row's name. One that was withdrawn was there.
    pub fn add(&mut self, row: &Found<'_>) {
        let name = row.episode_id();
        let digits = name.bytes().rev().take_while(u8::is_ascii_digit).count();
        let Some(number) =
            (1..=NUMBER_DIGITS_MAX).contains(&digits).then(|| name[name.len() - digits..].parse().ok()).flatten()
        else {
            return;
        };
        let before = &name[..name.len() - digits];
        // Names are copied only where they are the first.
        if !self.0.contains_key(row.host_id()) {
            self.0.insert(row.host_id().into(), BTreeMap::new());
        }
        let Some(host) = self.0.get_mut(row.host_id()) else { return };
        match host.get_mut(before) {
            Some(series) => series.take(&[number], digits, false),
            None => {
                drop(host.insert(before.into(), Series { numbers: vec![number], digits: Some(digits), differ: false }))
            }
        }
    }

    /// Takes what another has taken.
    pub fn merge(&mut self, other: Self) {
        for (host, others) in other.0 {
            let ours = self.0.entry(host).or_default();
            for (before, series) in others {
                ours.entry(before).or_default().take(&series.numbers, series.digits.unwrap_or(0), series.differ);
            }
        }
    }

    /// What each series lacks: its host, what its names begin with, and the gaps.
    pub fn missing(mut self) -> Vec<(String, String, Missing)> {
        let mut all = Vec::new();
        for (host, before, series) in
            self.0.iter_mut().flat_map(|(host, of)| of.iter_mut().map(move |(before, series)| (host, before, series)))
        {
            series.numbers.sort_unstable();
            series.numbers.dedup();
            let (Some(first), Some(last)) = (series.numbers.first(), series.numbers.last()) else { continue };
            let there = series.numbers.len() as u64;
            if there > 1 && last - first >= there.saturating_mul(2) {
                all.push((host.to_string(), before.to_string(), Missing::NotCounted));
                continue;
            }
            let width = if series.differ { 0 } else { series.digits.unwrap_or(0) };
            let name = |number: u64| format!("{before}{number:0width$}");
            let gaps = series.numbers.windows(2).filter(|pair| pair[1] - pair[0] > 1).map(|pair| Gap {
                from: name(pair[0] + 1),
                to: name(pair[1] - 1),
                episodes: pair[1] - pair[0] - 1,
            });
            let gaps: Vec<_> = gaps.collect();
            if !gaps.is_empty() {
                all.push((host.to_string(), before.to_string(), Missing::Gaps(gaps)));
            }
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::Sha256Digest;
    use crate::index::{Row, SCHEMA_VERSION};
    use crate::name::EpisodeKey;

    /// As it would be found in an index.
    fn found(row: &Row, each: impl FnOnce(&Found<'_>)) {
        each(&Found::read(row.to_line().trim_end().as_bytes()).unwrap());
    }

    fn row(key: &str, at: &str, size_bytes: u64) -> Row {
        let EpisodeKey { host, episode } = key.parse().unwrap();
        Row {
            backfilled: false,
            commit: None,
            content_sha256: None,
            episode_id: episode,
            gate: None,
            host_id: host,
            received_at_wall: at.parse().unwrap(),
            removed: None,
            schema_version: SCHEMA_VERSION,
            sha256: Sha256Digest::of(key.as_bytes()),
            size_bytes,
            withdrawn: None,
        }
    }

    const NOON: &str = "2026-11-20T12:00:00Z";

    fn missing(names: &[&str]) -> Vec<(String, Missing)> {
        let mut numbers = Numbers::default();
        // Every name by another reader, so that what they take is put together.
        for name in names {
            let mut one = Numbers::default();
            found(&row(&format!("lab/{name}"), NOON, 1), |row| one.add(row));
            numbers.merge(one);
        }
        numbers.missing().into_iter().map(|(_, before, missing)| (before, missing)).collect()
    }

    fn gap(from: &str, to: &str, episodes: u64) -> Gap {
        Gap { from: from.to_owned(), to: to.to_owned(), episodes }
    }

    #[test]
    fn what_is_missing_is_told_of_names_that_count() {
        assert_eq!(missing(&["ep-1", "ep-3", "ep-2"]), []);
        let gaps = vec![gap("ep-2", "ep-2", 1), gap("ep-4", "ep-6", 3)];
        assert_eq!(missing(&["ep-7", "ep-1", "ep-8", "ep-3"]), [("ep-".to_owned(), Missing::Gaps(gaps))]);
        assert_eq!(missing(&["r008", "r010"]), [("r".to_owned(), Missing::Gaps(vec![gap("r009", "r009", 1)]))]);
        // Of the same number of digits by chance, and not.
        assert_eq!(missing(&["x9", "x11"]), [("x".to_owned(), Missing::Gaps(vec![gap("x10", "x10", 1)]))]);
        // Two series beside each other, one alone, one without a number, one whose number is too long to be one.
        assert_eq!(missing(&["a1", "a2", "b7", "note", &"9".repeat(40)]), []);
        // Times are numbers that do not count.
        let times = ["run-20260811101500", "run-20260811103000", "run-20260812090000"];
        assert_eq!(missing(&times), [("run-".to_owned(), Missing::NotCounted)]);
        assert_eq!(missing(&["0", &"9".repeat(18)]), [(String::new(), Missing::NotCounted)]);
    }

    #[test]
    fn totals_are_by_host_and_by_day_of_utc_and_leave_out_what_was_withdrawn() {
        let mut withdrawn = row("lab-1/c", NOON, 1000);
        withdrawn.withdrawn = Some("lens cap".to_owned());
        let rows = [
            row("lab-1/a", "2026-11-20T00:00:00Z", 10),
            row("lab-1/b", "2026-11-22T00:00:00Z", 30),
            row("lab-2/a", "2026-11-20T00:00:10Z", u64::MAX),
            row("lab-2/b", "2026-11-20T23:59:59Z", 5),
            withdrawn,
        ];
        let (mut hosts, mut days) = (ByHost::default(), ByDay::default());
        for (at, row) in rows.iter().enumerate() {
            // Some by another reader.
            let (mut other_hosts, mut other_days) = (ByHost::default(), ByDay::default());
            found(row, |row| {
                (if at % 2 == 0 { &mut hosts } else { &mut other_hosts }).add(row);
                (if at % 2 == 0 { &mut days } else { &mut other_days }).add(row);
            });
            hosts.merge(&other_hosts);
            days.merge(&other_days);
        }
        let hosts: Vec<_> =
            hosts.iter().map(|(host, total)| (host, total.episodes, total.size_bytes, total.a_day())).collect();
        assert_eq!(hosts, [("lab-1", 2, 40, Some((1.0, 20.0))), ("lab-2", 2, u64::MAX, None)]);
        let days: Vec<_> = days.iter().map(|(day, host, total)| (day.to_string(), host, total.episodes)).collect();
        let expected = [("2026-11-20", "lab-1", 1), ("2026-11-20", "lab-2", 2), ("2026-11-22", "lab-1", 1)];
        assert_eq!(days, expected.map(|(day, host, episodes)| (day.to_owned(), host, episodes)));
    }
}
