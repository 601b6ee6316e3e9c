//! Documents that are folded in, made anew, taken out and brought back, crashed at every operation.

use highwater_testkit::sim_fs::{crash_everywhere, fail_everywhere};

use crate::seeds::try_seeds;
use crate::story::{Act, Story};

/// How many seeded runs there are in each run of the tests.
const RUNS: u64 = 300;

/// One document comes, another beside it, the first is made anew and goes; then it is as if it had not gone.
const ACTS: &[Act] = &[
    Act::Add("a", 1),
    Act::Add("b", 2),
    Act::Recompile("a", 3),
    Act::Remove("a", false),
    Act::Undo(3),
    Act::Remove("b", true),
    Act::Add("b", 4),
];

/// The acts of one kind, each alone, so that every disk that a crash can leave is looked at.
fn each(is_meant: impl Fn(&Act) -> bool) -> Vec<Story> {
    let story = Story::of(ACTS);
    assert_eq!(story.acts(), ACTS, "each of them changes something");
    let meant: Vec<Story> =
        ACTS.iter().enumerate().filter(|(_, act)| is_meant(act)).map(|(n, _)| story.act(n)).collect();
    assert!(!meant.is_empty());
    meant
}

fn crashed(is_meant: impl Fn(&Act) -> bool) {
    for story in each(is_meant) {
        let tally = crash_everywhere(&story).unwrap_or_else(|found| panic!("{found}"));
        eprintln!("{:?}: {tally:?}", story.acts().last());
        assert!(tally.disks > 100, "{tally:?}");
    }
}

fn failed(is_meant: impl Fn(&Act) -> bool) {
    for story in each(is_meant) {
        let tally = fail_everywhere(&story).unwrap_or_else(|found| panic!("{found}"));
        eprintln!("{:?}: {tally:?}", story.acts().last());
    }
}

#[test]
fn r05_a_document_is_there_with_all_its_pages_or_not_at_all_wherever_the_power_is_cut() {
    let story = Story::of(ACTS);
    eprintln!("{:?}", try_seeds("acts", RUNS, |_| story.clone()));
}

#[test]
fn r05_a_document_that_goes_is_gone_everywhere_or_nowhere_wherever_the_power_is_cut() {
    crashed(|act| matches!(act, Act::Remove(..)));
}

#[test]
fn r05_a_document_that_is_made_anew_is_the_old_one_or_the_new_one_wherever_the_power_is_cut() {
    crashed(|act| matches!(act, Act::Recompile(..)));
}

#[test]
fn r05_what_is_taken_back_is_taken_back_whole_or_not_at_all_wherever_the_power_is_cut() {
    crashed(|act| matches!(act, Act::Undo(_)));
}

#[test]
fn r05_a_disk_that_fails_while_documents_go_or_are_made_anew_loses_nothing() {
    failed(|act| !matches!(act, Act::Add(..)));
}
