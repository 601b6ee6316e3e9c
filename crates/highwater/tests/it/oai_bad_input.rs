//! Bad input to OAI jobs and commands (R15): one error with file, line, field, what was expected and what to do, and nothing is
//! changed. What is wrong with snapshots and with systems of one's own is shown beside them.

mod config;
mod files;
mod lists;
mod older;
mod serve;

use crate::oai_targets::far_side::FarSide;
use crate::rig::Rig;

/// A place with a catalogue of five books, and a job that loads into it.
fn shelved() -> (FarSide, Rig) {
    let far = FarSide::new(5, 0);
    let rig = Rig::new(&far.backfill("catalog = \"books.db\"\n"));
    far.load(&rig.path("books.db"), &far.live());
    (far, rig)
}
