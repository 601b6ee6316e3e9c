//! A page in `reports/` that tells what a look found. Owns its form. It links nothing: what it tells of may go, and what nothing else
//! links is an orphan still.

use std::fmt::Write as _;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::{FINDINGS_OF_A_KIND_MAX, Finding, Linted};
use crate::page::front::Front;
use crate::page::plain::line;
use crate::page::{PageKind, PageName};
use crate::path::FilePath;

/// Where the report of a day is.
pub(super) fn path(at: Timestamp) -> FilePath {
    PageName::of_title(PageKind::Report, &format!("lint {}", day(at))).path()
}

fn day(at: Timestamp) -> String {
    at.to_zoned(TimeZone::UTC).strftime("%Y-%m-%d").to_string()
}

pub(super) fn page(linted: &Linted, mended: &[Finding], at: Timestamp) -> String {
    let generation = linted.generation.as_ref().map_or(0, |generation| generation.number);
    let (faults, notes) = (linted.faults(), linted.notes());
    let description = format!("What was found in generation {generation}: {faults} faults, {notes} notes.");
    let front = Front {
        kind: Some(PageKind::Report.type_word().to_owned()),
        description: Some(description.clone()),
        ..Front::default()
    };
    let mut page = front.write();
    let _ = write!(page, "\n# Lint of {}\n\n{description}\n", day(at));
    for findings in linted.findings.chunk_by(|one, other| one.kind == other.kind) {
        let kind = findings[0].kind;
        let count = linted.counts.get(&kind).copied().unwrap_or_default();
        let _ = write!(page, "\n## {} ({count})\n\n", line(kind.word()));
        for finding in findings {
            let at = finding.line.map_or(String::new(), |line| format!(", line {line}"));
            let told = match mended.contains(finding) {
                true => format!("Mended: {}{at}: {}", finding.file, finding.what),
                false => format!("{}{at}: {}; {}", finding.file, finding.what, finding.mends),
            };
            let _ = writeln!(page, "- {}", line(&told));
        }
        if count > FINDINGS_OF_A_KIND_MAX as u64 {
            let _ = writeln!(page, "- and {} more", count - FINDINGS_OF_A_KIND_MAX as u64);
        }
    }
    page
}
