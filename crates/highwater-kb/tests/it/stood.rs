//! Going back gives what stood there: people's own versions, what was merged into them and what lay beside them, and not only what was
//! generated.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use fastrand::Rng;
use highwater_kb::KbError;
use highwater_kb::resolve::Side;

use crate::house::House;

const PAGES: [&str; 2] = ["wiki/concepts/tides.md", "wiki/concepts/moon.md"];
const VERSION: &str = "wiki/concepts/tides.conflict.md";
/// How many histories are gone through, and how many changes each of them has at most.
const HISTORIES: u64 = 300;
const CHANGES_MAX: usize = 8;

/// What stands in the directory of the pages.
type Stands = BTreeMap<String, String>;
/// What stood when the next generation was made, and which pages a person touched since.
type Before = BTreeMap<u32, (Stands, BTreeSet<&'static str>)>;

impl House {
    /// A page with this in one line, or none.
    fn set_line(&mut self, page: &str, word: Option<&str>) {
        self.commit(&[(page, word.map(page_of).as_deref())]);
    }

    fn settle(&mut self, page: &str, side: Side) {
        let settled = self.resolve(page, side);
        assert!(matches!(settled, Ok(_) | Err(KbError::NoConflict(_))), "{settled:?}");
    }

    fn stands(&self) -> Stands {
        let Ok(list) = fs::read_dir(self.path("wiki/concepts")) else { return Stands::new() };
        list.map(|entry| {
            let entry = entry.unwrap();
            (entry.file_name().into_string().unwrap(), fs::read_to_string(entry.path()).unwrap())
        })
        .collect()
    }

    fn conflicts(&self) -> u64 {
        self.status().conflicts
    }

    /// A person does something to a page, if it is there.
    fn edit(&self, page: &str, rng: &mut Rng) -> bool {
        let Some(was) = self.read(page) else { return false };
        match rng.u8(..10) {
            0..3 => self.write(page, &format!("mine {}\n", rng.u8(..))),
            3..6 => self.write(page, &format!("{was}added {}\n", rng.u8(..))),
            6..8 => self.write(page, &was.replacen("top\n", &format!("top {}\n", rng.u8(..)), 1)),
            _ => self.remove(page),
        }
        true
    }
}

fn page_of(word: &str) -> String {
    format!("top\none\ntwo\nthree\n{word}\nfour\nfive\nsix\nend\n")
}

/// What the base changes next.
fn change(house: &mut House, rng: &mut Rng) {
    let page = PAGES[rng.usize(..2)];
    match rng.u8(..10) {
        0..5 => house.set_line(page, Some(["pulls", "drags", "shapes"][rng.usize(..3)])),
        5 => house.set_line(page, None),
        6..8 => house.settle(page, if rng.bool() { Side::Mine } else { Side::Theirs }),
        _ => {
            let to = rng.u32(..=house.head());
            house.undo(to);
        }
    }
}

/// A page that a person deletes is put back. That may be taken back, and the page may go while it is away.
fn put_back(house: &mut House, before: &mut Before, rng: &mut Rng) {
    let page = PAGES[rng.usize(..2)];
    if house.read(page).is_none() || house.library().page(page).is_none() {
        return;
    }
    house.remove(page);
    for (_, touched) in before.values_mut() {
        touched.insert(page);
    }
    let head = house.head();
    house.settle(page, Side::Theirs);
    let back = house.head();
    before.insert(back, (house.stands(), BTreeSet::new()));
    if rng.bool() {
        house.undo(head);
        if rng.bool() {
            house.set_line(page, None);
        }
    }
}

#[test]
fn whatever_was_done_what_stood_before_it_stands_again() {
    for seed in 0..HISTORIES {
        let (mut house, mut rng) = (House::furnished(), Rng::with_seed(seed));
        house.set_line(PAGES[0], Some("pulls"));
        let mut before = Before::new();
        for _ in 0..rng.usize(1..=CHANGES_MAX) {
            for _ in 0..rng.u8(..3) {
                let page = PAGES[rng.usize(..2)];
                if house.edit(page, &mut rng) {
                    for (_, touched) in before.values_mut() {
                        touched.insert(page);
                    }
                }
            }
            let head = house.head();
            before.insert(head, (house.stands(), BTreeSet::new()));
            match rng.u8(..4) {
                0 => put_back(&mut house, &mut before, &mut rng),
                _ => change(&mut house, &mut rng),
            }
        }
        if rng.bool() {
            house.rebuild();
        }
        // One after the other, or at once.
        let mut goals: Vec<u32> = before.keys().copied().filter(|_| rng.u8(..3) > 0).collect();
        goals.sort_by_key(|goal| std::cmp::Reverse(*goal));
        for goal in goals {
            house.undo(goal);
            let (stood, touched) = &before[&goal];
            let is_same = |(name, _): &(&String, &String)| {
                !touched.iter().any(|page| page.contains(name.split('.').next().unwrap()))
            };
            let (stood, stands): (Vec<_>, Stands) = (stood.iter().filter(is_same).collect(), house.stands());
            assert_eq!(stands.iter().filter(is_same).collect::<Vec<_>>(), stood, "seed {seed}, back to {goal}");
            // Whatever lies beside a page is in conflict with it.
            let beside: BTreeSet<_> =
                stands.keys().filter_map(|name| name.split_once(".conflict")).map(|(page, _)| page).collect();
            assert_eq!(house.conflicts(), beside.len() as u64, "seed {seed}, back to {goal}: {stands:?}");
        }
    }
}

#[test]
fn a_page_that_was_kept_and_came_back_is_as_it_was_kept_once_that_is_taken_back() {
    let mut house = House::furnished();
    house.set_line(PAGES[0], Some("pulls"));
    let mine = page_of("pulls") + "mark\n";
    house.write(PAGES[0], &mine);
    house.set_line(PAGES[0], None);
    let gone = house.head();
    house.set_line(PAGES[0], Some("drags"));
    assert_eq!(house.read(PAGES[0]), Some(page_of("drags") + "mark\n"));
    house.undo(gone);
    assert_eq!(house.read(PAGES[0]).as_deref(), Some(&*mine));
    house.undo(gone + 1);
    assert_eq!(house.read(PAGES[0]), Some(page_of("drags") + "mark\n"));
    // What they began from is again what it was then.
    house.undo(gone);
    house.set_line(PAGES[0], Some("moves"));
    assert_eq!(house.read(PAGES[0]), Some(page_of("moves") + "mark\n"));
}

#[test]
fn a_page_that_a_person_deleted_after_it_was_put_back_stays_away_when_that_is_taken_back_and_back_again() {
    let mut house = House::furnished();
    house.set_line(PAGES[0], Some("pulls"));
    house.remove(PAGES[0]);
    house.settle(PAGES[0], Side::Theirs);
    assert_eq!(house.read(PAGES[0]), Some(page_of("pulls")));
    house.remove(PAGES[0]);
    let head = house.head();
    house.undo(head - 1);
    house.undo(head);
    assert_eq!(house.read(PAGES[0]), None);
    // So does one that was deleted since, where it goes and comes again.
    let mut house = House::furnished();
    house.set_line(PAGES[0], Some("pulls"));
    house.set_line(PAGES[0], None);
    let gone = house.head();
    house.set_line(PAGES[0], Some("drags"));
    house.remove(PAGES[0]);
    house.undo(gone);
    house.set_line(PAGES[0], Some("shapes"));
    assert_eq!(house.read(PAGES[0]), None);
    // So does one that was deleted since, and was no page of the base any more when another change met that.
    let mut house = House::furnished();
    let before = house.head();
    house.set_line(PAGES[0], Some("pulls"));
    house.remove(PAGES[0]);
    house.set_line(PAGES[0], Some("drags"));
    house.undo(before);
    house.set_line(PAGES[0], Some("shapes"));
    assert_eq!(house.read(PAGES[0]), None);
    // And one that was deleted before it was put back, is away before that, whatever came since.
    let mut house = House::furnished();
    house.set_line(PAGES[0], Some("pulls"));
    house.remove(PAGES[0]);
    house.settle(PAGES[0], Side::Theirs);
    house.set_line(PAGES[0], Some("shapes"));
    house.undo(head - 1);
    assert_eq!((house.read(PAGES[0]), house.library().page(PAGES[0])), (None, Some(page_of("pulls"))));
}

#[test]
fn a_page_that_was_put_back_stands_there_again_though_it_went_while_that_was_taken_back() {
    for loses_rows in [false, true] {
        let mut house = House::furnished();
        house.set_line(PAGES[0], Some("pulls"));
        let before = house.head();
        house.remove(PAGES[0]);
        house.settle(PAGES[0], Side::Theirs);
        house.undo(before);
        assert_eq!(house.read(PAGES[0]), None);
        house.set_line(PAGES[0], None);
        let gone = house.head();
        if loses_rows {
            house.rebuild();
        }
        house.undo(before + 1);
        assert_eq!((house.read(PAGES[0]), house.status().deleted), (Some(page_of("pulls")), 0));
        // It is nobody's deletion any more, whatever comes of it.
        house.undo(gone);
        assert_eq!(house.read(PAGES[0]), None);
        house.undo(before + 1);
        assert_eq!(house.read(PAGES[0]), Some(page_of("pulls")));
        house.set_line(PAGES[0], Some("drags"));
        assert_eq!(house.read(PAGES[0]), Some(page_of("drags")));
    }
}

#[test]
fn an_edited_page_that_a_person_deleted_while_it_was_back_stays_away_when_it_comes_again() {
    for loses_rows in [false, true] {
        let mut house = House::furnished();
        house.set_line(PAGES[0], Some("pulls"));
        house.write(PAGES[0], "mine\n");
        house.set_line(PAGES[0], Some("drags"));
        let conflict = house.head();
        house.set_line(PAGES[0], None);
        house.undo(conflict);
        house.remove(PAGES[0]);
        house.settle(PAGES[0], Side::Mine);
        house.undo(conflict + 1);
        if loses_rows {
            house.rebuild();
        }
        house.set_line(PAGES[0], Some("shapes"));
        assert_eq!((house.read(PAGES[0]), house.library().page(PAGES[0])), (None, Some(page_of("shapes"))));
        assert_eq!(house.status().deleted, 1);
    }
}

#[test]
fn one_version_lies_beside_an_edited_page_however_many_come() {
    let mut house = House::furnished();
    house.set_line(PAGES[0], Some("pulls"));
    let first = house.head();
    house.write(PAGES[0], "mine\n");
    for n in 0..120 {
        house.set_line(PAGES[0], Some(&format!("word {n}")));
    }
    assert_eq!((house.stands().len(), house.read(VERSION)), (2, Some(page_of("word 119"))));
    // One in which a person wrote stays, and the next lies beside it, too.
    house.write(VERSION, "and this\n");
    house.set_line(PAGES[0], Some("another"));
    house.set_line(PAGES[0], Some("one more"));
    assert_eq!((house.stands().len(), house.read(VERSION).as_deref()), (3, Some("and this\n")));
    house.undo(first);
    assert_eq!(house.stands().len(), 2, "the page, and what a person wrote beside it");
    assert_eq!((house.read(PAGES[0]).as_deref(), house.read(VERSION).as_deref()), (Some("mine\n"), Some("and this\n")));
}

#[test]
fn what_lies_beside_a_page_that_is_nowhere_any_more_is_in_conflict_and_can_be_settled() {
    let mut house = House::furnished();
    house.set_line(PAGES[0], Some("pulls"));
    house.write(PAGES[0], "mine\n");
    house.set_line(PAGES[0], Some("drags"));
    house.remove(PAGES[0]);
    house.set_line(PAGES[0], None);
    assert_eq!((house.stands().len(), house.conflicts()), (1, 1));
    house.settle(PAGES[0], Side::Theirs);
    assert_eq!((house.stands().len(), house.conflicts()), (0, 0));
}
