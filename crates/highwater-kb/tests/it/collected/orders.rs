//! Preparations, commits, removals, ways back and collections in any order.

use std::time::Duration;

use fastrand::Rng;
use highwater_kb::base::Objects;
use highwater_kb::{ContentId, DocName, KbError, fold};

use super::{GRACE, collect, later, library, off};
use crate::home::file;
use crate::library::Paper;

/// How many orders there are in each run of the tests.
const ORDERS: u64 = 2_000;

/// Documents that are stored before their commit, as preparations do, while others collect at any moment.
pub(crate) fn in_any_order(seed: u64) -> Result<(u32, u32), String> {
    const PAPERS: usize = 4;
    let mut rng = Rng::with_seed(seed);
    let (fs, mut library) = library();
    let (mut hours, mut late, mut refused) = (0, 0, 0);
    let paper = |n: usize, version: u32| Paper::new(&format!("p{n}"), &format!("{version}.\n"), &[]);
    let given = |n: usize, version: u32| format!("given: {version} {n}").into_bytes();
    let mut stored: [Option<u32>; PAPERS] = [None; PAPERS];
    for _ in 0..rng.usize(5..25) {
        let n = rng.usize(0..PAPERS);
        match rng.u8(0..8) {
            // One that is abandoned is stored over.
            0 | 1 => {
                let version = rng.u32(0..3);
                let objects = Objects::of(&*library.home);
                objects.put(&given(n, version)).unwrap();
                fold::stage(objects, &paper(n, version).ready()).unwrap();
                stored[n] = Some(version);
            }
            2 | 3 => {
                let Some(version) = stored[n].take() else { continue };
                let (mut paper, content) = (paper(n, version), ContentId::of(&given(n, version)));
                paper.document.content = content;
                let folds = rng.bool();
                let committed = library.try_change(|draft| match folds {
                    true => fold::fold(draft, &paper.ready()),
                    false => {
                        draft.place(file(&format!("raw/only-{n}.txt")), content);
                        Ok(())
                    }
                });
                match committed {
                    Ok(_) => {}
                    Err(KbError::ObjectMissing { .. }) => refused += 1,
                    Err(error) => return Err(format!("seed {seed}: {error}")),
                }
            }
            4 | 5 => {
                let grace = if rng.u8(0..4) == 0 { Duration::ZERO } else { GRACE };
                late += u32::try_from(library.collect(later(hours), grace).unwrap().removed).unwrap();
            }
            6 => hours += rng.i64(0..30),
            _ => {
                let head = library.base.head().unwrap().map_or(0, |head| head.number);
                match rng.bool() {
                    true => library.undo(rng.u32(1..=head)),
                    false => {
                        let name = DocName::of_stem(&format!("p{n}"));
                        library.change("remove", "it", |draft| fold::unfold(draft, &name, false).map(drop));
                    }
                }
            }
        }
        let missing = off(&fs, &library.base).unwrap().0;
        if !missing.is_empty() {
            return Err(format!("seed {seed}: missing: {missing:?}"));
        }
    }
    for more in [1, 26, 51] {
        collect(&mut library, later(hours + more));
    }
    match off(&fs, &library.base).unwrap() {
        (missing, orphans) if missing.is_empty() && orphans.is_empty() => Ok((late, refused)),
        off => Err(format!("seed {seed}: missing and orphans: {off:?}")),
    }
}

#[test]
fn a_collection_at_any_moment_never_takes_what_a_generation_has() {
    let (mut removed, mut refused) = (0, 0);
    for seed in 0..ORDERS {
        let (late, anew) = in_any_order(seed).unwrap_or_else(|why| panic!("{why}"));
        removed += late;
        refused += anew;
    }
    eprintln!("{ORDERS} orders: {removed} removed, {refused} commits refused");
    assert!(removed > 100 && refused > 10, "{removed} {refused}");
}
