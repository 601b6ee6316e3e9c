//! The codes of what commands refuse; each has a page in `docs/errors/`.

/// The command needs a configuration and was given a bare ledger.
pub(super) const NEEDS_CONFIG: &str = "HW-CMD-001";
/// The job has no worklist yet.
pub(super) const NO_WORKLIST: &str = "HW-CMD-002";
/// A word that names no outcome.
pub(super) const UNKNOWN_OUTCOME: &str = "HW-CMD-003";
/// A text that is no item's key, or no item has.
pub(super) const UNKNOWN_KEY: &str = "HW-CMD-004";
/// `rearm` of a job that is not halted.
pub(super) const NOT_HALTED: &str = "HW-CMD-005";
/// `resume` of a job that is not paused.
pub(super) const NOT_PAUSED: &str = "HW-CMD-006";
/// `lift` of a resource that is not banned.
pub(super) const NOT_BANNED: &str = "HW-CMD-007";
/// A ban of no time.
pub(super) const EMPTY_BAN: &str = "HW-CMD-008";
/// A time that cannot be read.
pub(super) const UNREADABLE_TIME: &str = "HW-CMD-009";
/// `import markers` does not say, or contradicts, which job it is for.
pub(super) const WHOSE_MARKERS: &str = "HW-CMD-010";
/// The answer cannot be printed.
pub(super) const CANNOT_PRINT: &str = "HW-CMD-011";
/// `run --all` of a configuration without jobs.
pub(super) const NO_JOBS: &str = "HW-CMD-012";
/// `exec` with neither a lock nor a worklist.
pub(super) const NO_LOCK: &str = "HW-CMD-013";
/// `exec` without a worklist, where no home says where its ledger is.
pub(super) const NO_HOME: &str = "HW-CMD-014";
/// `exec` of a program without a name.
pub(super) const NO_PROGRAM: &str = "HW-CMD-015";
/// The job that was named is no backfill.
pub(super) const NO_BACKFILL: &str = "HW-CMD-020";
/// A worklist is open, and the command would plan over it.
pub(super) const WORKLIST_OPEN: &str = "HW-CMD-021";
/// There is no finished crawl to export.
pub(super) const NO_CRAWL: &str = "HW-CMD-022";
/// An address that cannot be listened at.
pub(super) const CANNOT_LISTEN: &str = "HW-CMD-023";
/// A fault that there is none of.
pub(super) const UNKNOWN_FAULT: &str = "HW-CMD-024";
/// No work has that name.
pub(super) const UNKNOWN_WORK: &str = "HW-CMD-025";
/// A file that is no saved answer.
pub(super) const UNREADABLE_RECORDS: &str = "HW-CMD-026";
/// The job that was named is no rollup.
pub(super) const NO_ROLLUP: &str = "HW-CMD-030";
/// A window of one's own, where a declared rollup is meant.
pub(super) const NOT_DECLARED: &str = "HW-CMD-031";
/// Rows that would go with what is taken away.
pub(super) const ROWS_GO: &str = "HW-CMD-032";
/// A text that names no table.
pub(super) const NO_TABLE: &str = "HW-CMD-033";
/// A signal ended a run of migrations.
pub(super) const INTERRUPTED: &str = "HW-CMD-034";
/// A rollup that a migration requires is not complete.
pub(super) const NOT_COMPLETE: &str = "HW-CMD-035";

/// A text that is no commit.
pub(super) const NO_COMMIT: &str = "HW-CMD-050";
/// A commit that is to be let in until a time that is over.
pub(super) const PAST_UNTIL: &str = "HW-CMD-051";
/// The receiver judges no code.
pub(super) const NO_GATE: &str = "HW-CMD-052";
/// A commit that nobody let in.
pub(super) const NOT_ALLOWED: &str = "HW-CMD-053";
/// What operators let in cannot be read or written.
pub(super) const ALLOWED_UNUSABLE: &str = "HW-CMD-054";
/// The gate's repository cannot be read.
pub(super) const GATE_UNREADABLE: &str = "HW-CMD-055";
/// No job of kind `reindex` is meant, or which one is not said.
pub(super) const WHICH_REINDEX: &str = "HW-CMD-056";
/// The index or the store cannot be read or written.
pub(super) const EPISODES_UNUSABLE: &str = "HW-CMD-057";
/// There is no such episode, or none of a commit.
pub(super) const NO_EPISODE: &str = "HW-CMD-058";
/// A reason that is too long for a row.
pub(super) const LONG_WHY: &str = "HW-CMD-059";
/// Which job ships is not said, or the one that is said does not.
pub(super) const WHICH_SHIP: &str = "HW-CMD-060";
/// An episode that is in no conflict.
pub(super) const NO_CONFLICT: &str = "HW-CMD-061";
/// A file that cannot be written.
pub(super) const CANNOT_EXPORT: &str = "HW-CMD-062";
/// An episode was stored anew while it was withdrawn.
pub(super) const STORED_ANEW: &str = "HW-CMD-063";
/// A command that has no page, since there is none.
pub(super) const NO_PAGE: &str = "HW-CMD-064";
/// A directory that pages cannot be written to.
pub(super) const NO_PAGES_THERE: &str = "HW-CMD-065";
/// What is not for people to read was to be printed on a terminal.
pub(super) const NO_TEXT: &str = "HW-CMD-067";

/// A key that cannot be set, or none at all.
pub(super) const UNKNOWN_SETTING: &str = "HW-CMD-040";
/// A value that a key does not take.
pub(super) const BAD_SETTING: &str = "HW-CMD-041";
/// `set slice=` of a job that does not work in slices.
pub(super) const NO_SLICES: &str = "HW-CMD-042";
/// `bandwidth` of a job that uploads nothing.
pub(super) const NO_UPLOADS: &str = "HW-CMD-066";
/// `unset` of what is not set.
pub(super) const NOTHING_SET: &str = "HW-CMD-043";

/// Every code, in order.
#[cfg(test)]
const ALL: [&str; 50] = [
    NEEDS_CONFIG,
    NO_WORKLIST,
    UNKNOWN_OUTCOME,
    UNKNOWN_KEY,
    NOT_HALTED,
    NOT_PAUSED,
    NOT_BANNED,
    EMPTY_BAN,
    UNREADABLE_TIME,
    WHOSE_MARKERS,
    CANNOT_PRINT,
    NO_JOBS,
    NO_LOCK,
    NO_HOME,
    NO_PROGRAM,
    NO_BACKFILL,
    WORKLIST_OPEN,
    NO_CRAWL,
    CANNOT_LISTEN,
    UNKNOWN_FAULT,
    UNKNOWN_WORK,
    UNREADABLE_RECORDS,
    NO_ROLLUP,
    NOT_DECLARED,
    ROWS_GO,
    UNKNOWN_SETTING,
    BAD_SETTING,
    NO_SLICES,
    NO_UPLOADS,
    NOTHING_SET,
    NO_TABLE,
    INTERRUPTED,
    NOT_COMPLETE,
    NO_COMMIT,
    PAST_UNTIL,
    NO_GATE,
    NOT_ALLOWED,
    ALLOWED_UNUSABLE,
    GATE_UNREADABLE,
    WHICH_REINDEX,
    EPISODES_UNUSABLE,
    NO_EPISODE,
    LONG_WHY,
    WHICH_SHIP,
    NO_CONFLICT,
    CANNOT_EXPORT,
    STORED_ANEW,
    NO_PAGE,
    NO_PAGES_THERE,
    NO_TEXT,
];

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::ALL;

    #[test]
    fn every_code_has_its_page_and_every_page_its_code() {
        let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/errors");
        for code in ALL {
            let page = fs::read_to_string(directory.join(format!("{code}.md"))).unwrap_or_default();
            assert!(page.starts_with(&format!("# {code}: ")), "docs/errors/{code}.md");
            assert!(page.contains(&format!("error[{code}]: ")), "docs/errors/{code}.md shows no message");
        }
        let pages = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
        for page in pages {
            let stem = page.file_stem().unwrap_or_default().to_str().unwrap_or_default().to_owned();
            assert!(!stem.starts_with("HW-CMD-") || ALL.contains(&&*stem), "{}", page.display());
        }
    }
}
