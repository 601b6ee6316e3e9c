//! Changes that came to their manifest and not to their COMMIT: what is made of the manifest when the rows are lost.

use std::fs;

use highwater_kb::KbError;
use highwater_kb::base::Objects;

use crate::home::now;
use crate::house::House;
use crate::library::Paper;

const INDEX: &str = "wiki/index.md";

fn of(n: u32) -> Paper {
    let own = format!("entities/own-{n}");
    let text = format!("# Paper {n}\n\nWords of paper {n}.\n");
    Paper::new(&format!("paper-{n}"), &text, &[("concepts/tides", false, &[]), (&own, true, &[])])
}

impl House {
    /// A base of three documents, each with a generation of its own: 2, 3 and 4.
    fn full() -> Self {
        let mut house = Self::furnished();
        (1..=3).for_each(|n| house.library().add(&[&of(n)]));
        house
    }

    fn manifest_of(&self, generation: u32) -> std::path::PathBuf {
        self.path(&format!(".highwater/objects/generation-{generation:010}"))
    }
}

#[test]
fn a_change_that_fails_before_its_commit_leaves_nothing_that_speaks_of_a_generation() {
    let mut house = House::full();
    // What the first generation had there is damaged: to go back to it cannot be written down.
    let was = house.base().manifest(1).unwrap().unwrap();
    let was = was.files.iter().find(|change| change.path.as_str() == INDEX).unwrap().new.unwrap();
    let whole = Objects::of(&*house.home).read(was, 1 << 20).unwrap();
    fs::write(house.path(&format!(".highwater/objects/{was}")), vec![b'x'; whole.len()]).unwrap();
    let refused = house.library().under_lock(|base, held| base.undo(held, now(), 1)).map(drop);
    assert!(matches!(refused, Err(KbError::ObjectDamaged { .. })), "{refused:?}");
    assert!(!house.manifest_of(5).exists());
    assert_eq!(house.head(), 4);
    // And the base goes on.
    house.library().add(&[&of(4)]);
    assert!(house.manifest_of(5).exists());
}
