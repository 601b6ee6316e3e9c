//! The leaves of partitioned tables: which there are, which files their rows are in, and what that says when it changed.

use std::fmt;

use highwater_db::session::{Fault, Session};
use jiff::{SignedDuration, Timestamp};

use crate::declare::SOURCE;
use crate::sql::Shape;
use crate::verify::Scope;

/// Between two leaves, and between two fields of one: no name holds them.
const RECORD: char = '\u{1e}';
const FIELD: char = '\u{1f}';

/// A table that holds rows of a partitioned one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Leaf {
    /// What columns call the partitioned table.
    alias: String,
    oid: i64,
    /// The file that its rows are in: another one after TRUNCATE, and after VACUUM FULL.
    file: i64,
    /// The times of its events, in seconds, where its bounds tell them.
    from: Option<i64>,
    to: Option<i64>,
    /// Its name, as SQL quotes it.
    name: String,
}

/// A leaf that came or went, or whose rows may have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Moved {
    Came(Leaf),
    Went(Leaf),
    Rewritten(Leaf),
}

impl fmt::Display for Moved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = |leaf: &Leaf| leaf.name.replace('"', "");
        match self {
            Self::Came(leaf) => write!(f, "the partition {} was attached", name(leaf)),
            Self::Went(leaf) => write!(f, "the partition {} was detached or dropped", name(leaf)),
            Self::Rewritten(leaf) => write!(f, "the partition {} was emptied by TRUNCATE, or rewritten", name(leaf)),
        }
    }
}

/// A query of one text: all leaves as they are, whatever the transaction's snapshot is.
pub(crate) fn query(shape: &Shape<'_>) -> String {
    let each = shape.tracked.iter().map(|table| {
        // The bounds of what is joined to say nothing of events.
        let event_time = if table.parent.is_none() { shape.declaration.event_time.as_str() } else { "" };
        format!("('{}', '{}', '{event_time}')", table.alias, table.table.quoted())
    });
    include_str!("leaves.sql").trim_end().replace("{tables}", &each.collect::<Vec<_>>().join(", "))
}

impl Leaf {
    pub(super) fn read(text: &str) -> Vec<Self> {
        let leaf = |record: &str| {
            let mut fields = record.split(FIELD);
            let mut next = || fields.next().map(str::to_owned);
            let (alias, oid, file, from, to, name) = (next()?, next()?, next()?, next()?, next()?, next()?);
            Some(Self {
                alias,
                oid: oid.parse().ok()?,
                file: file.parse().ok()?,
                from: from.parse().ok(),
                to: to.parse().ok(),
                name,
            })
        };
        text.split(RECORD).filter_map(leaf).collect()
    }

    /// The buckets of its bounds.
    fn bounds(&self, shape: &Shape<'_>) -> Scope {
        let time = |second: i64| Timestamp::from_second(second).ok();
        // The bucket that its end is in, whole: it may begin before that.
        let length = SignedDuration::from_secs(shape.declaration.grain.secs());
        Scope {
            since: self.from.and_then(time).map(|time| shape.declaration.grain.begin(time)),
            until: self.to.and_then(time).and_then(|time| shape.declaration.grain.begin(time).checked_add(length).ok()),
            buckets: None,
        }
    }

    /// The buckets of the rows that it holds now.
    async fn held(&self, session: &mut dyn Session, shape: &Shape<'_>) -> Result<Option<Scope>, Fault> {
        if self.alias != SOURCE {
            let any = format!("SELECT 1 FROM {} LIMIT 1", self.name);
            return Ok(session.first(&any, &[]).await?.map(|_| Scope::all()));
        }
        let at = shape.declaration.event_time.quoted();
        let (first, last) = (format!("min({at})"), format!("max({at})"));
        let sql = format!("SELECT {}, {} FROM {}", shape.seconds(&first), shape.seconds(&last), self.name);
        let row = session.first(&sql, &[]).await?;
        let held = row.and_then(|row| row[0].int().zip(row[1].int()));
        Ok(held.map(|(first, last)| Self { from: Some(first), to: Some(last), ..self.clone() }.bounds(shape)))
    }
}

impl Moved {
    /// The buckets that it may be about; nothing where there are none.
    pub(super) async fn scope(&self, session: &mut dyn Session, shape: &Shape<'_>) -> Result<Option<Scope>, Fault> {
        match self {
            // Whatever of it is right came by its triggers.
            Self::Came(leaf) => leaf.held(session, shape).await,
            Self::Went(leaf) | Self::Rewritten(leaf) => Ok(Some(leaf.bounds(shape))),
        }
    }
}

/// What of the leaves that were written down is not so any more.
pub(super) fn moved(known: &[Leaf], found: &[Leaf]) -> Vec<Moved> {
    let of = |leaves: &[Leaf], leaf: &Leaf| {
        leaves.iter().find(|other| other.oid == leaf.oid && other.alias == leaf.alias).cloned()
    };
    let went = known.iter().filter(|leaf| of(found, leaf).is_none()).cloned().map(Moved::Went);
    let came = found.iter().filter_map(|leaf| match of(known, leaf) {
        None => Some(Moved::Came(leaf.clone())),
        Some(before) if before.file != leaf.file => Some(Moved::Rewritten(leaf.clone())),
        Some(_) => None,
    });
    went.chain(came).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leaves_read_as_they_are_written_and_each_change_is_told() {
        let text = "source\u{1f}10\u{1f}100\u{1f}0\u{1f}86400\u{1f}usage_1\u{1e}source\u{1f}11\u{1f}101\u{1f}\u{1f}\u{1f}\"Usage 2\"";
        let known = Leaf::read(text);
        assert_eq!(known.len(), 2);
        assert_eq!((known[0].from, known[0].to, known[1].from), (Some(0), Some(86_400), None));
        assert_eq!((Leaf::read(""), moved(&known, &known)), (Vec::new(), Vec::new()));
        let found = Leaf::read(
            "source\u{1f}11\u{1f}102\u{1f}\u{1f}\u{1f}\"Usage 2\"\u{1e}source\u{1f}12\u{1f}103\u{1f}\u{1f}\u{1f}usage_3",
        );
        let told: Vec<String> = moved(&known, &found).iter().map(ToString::to_string).collect();
        let expected = [
            "the partition usage_1 was detached or dropped",
            "the partition Usage 2 was emptied by TRUNCATE, or rewritten",
            "the partition usage_3 was attached",
        ];
        assert_eq!(told, expected);
    }
}
