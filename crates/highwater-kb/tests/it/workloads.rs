//! Every workload of up to three acts on documents, each crashed at every operation of its last one: documents that come, are
//! corrected, made anew, go and come back.

use highwater_testkit::sim_fs::{crash_once_everywhere, fail_everywhere};

use crate::story::{Act, Story};

/// How many acts a workload has at most.
const ACTS_MAX: usize = 3;

/// What may be done after so many acts.
fn acts(done: usize) -> [Act; 6] {
    [
        // It shares a page, and has another alone.
        Act::Add("a", 1),
        // Its next version, with an image and on another page.
        Act::Add("a", 2),
        // Another, on the page that is shared.
        Act::Add("b", 0),
        Act::Recompile("a", 4),
        Act::Remove("a", false),
        // As if the last had not been.
        Act::Undo(done.saturating_sub(1)),
    ]
}

/// Each of them with its last act to do, the shorter ones first. What changes nothing is no act.
fn all() -> Vec<Story> {
    let (mut all, mut ends) = (Vec::new(), vec![Vec::new()]);
    for _ in 0..ACTS_MAX {
        let mut longer = Vec::new();
        for earlier in ends {
            for act in acts(earlier.len()) {
                let mut acts: Vec<Act> = earlier.clone();
                acts.push(act);
                let story = Story::of(&acts);
                if story.acts() == acts {
                    all.push(story.act(acts.len() - 1));
                    longer.push(acts);
                }
            }
        }
        ends = longer;
    }
    all
}

/// Every fourth of them is cut everywhere.
fn cut_everywhere(from: usize) {
    let (mut workloads, mut disks) = (0, 0);
    for story in all().into_iter().skip(from).step_by(4) {
        let tally = crash_once_everywhere(&story).unwrap_or_else(|found| panic!("{:?}: {found}", story.acts()));
        workloads += 1;
        disks += tally.disks;
    }
    eprintln!("{workloads} workloads, {disks} disks");
    assert!(workloads > 15, "{workloads}");
}

#[test]
fn r05_every_workload_of_three_acts_is_whole_wherever_the_power_is_cut_1_of_4() {
    cut_everywhere(0);
}

#[test]
fn r05_every_workload_of_three_acts_is_whole_wherever_the_power_is_cut_2_of_4() {
    cut_everywhere(1);
}

#[test]
fn r05_every_workload_of_three_acts_is_whole_wherever_the_power_is_cut_3_of_4() {
    cut_everywhere(2);
}

#[test]
fn r05_every_workload_of_three_acts_is_whole_wherever_the_power_is_cut_4_of_4() {
    cut_everywhere(3);
}

#[test]
fn r05_a_disk_that_fails_while_a_document_is_corrected_loses_nothing() {
    let story = Story::of(&[Act::Add("a", 1), Act::Add("a", 2)]);
    let tally = fail_everywhere(&story.act(1)).unwrap_or_else(|found| panic!("{found}"));
    eprintln!("{tally:?}");
}
