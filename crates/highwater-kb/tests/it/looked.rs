//! Looks at a base that changes meanwhile, and at one with very many faults.

use highwater_kb::lint::{Kind, lint};

use crate::lint::{Desk, paper, told};

#[test]
fn a_base_that_is_changed_while_it_is_looked_at_is_told_and_nothing_of_what_changed() {
    let mut desk = Desk::new();
    desk.write("wiki/explorations/mine.md", "---\ntype: exploration\n---\n[[nowhere]]\n");
    // What comes goes into this page too.
    let page = desk.read("wiki/concepts/tidal-range.md");
    desk.write("wiki/concepts/tidal-range.md", &page.replacen("\n# ", "\n[[no such page]]\n\n# ", 1));
    let home = desk.home();
    let mut added = false;
    let linted = lint(&home, false, &mut |_, _| {
        if !std::mem::replace(&mut added, true) {
            desk.add(&paper(4));
        }
    })
    .unwrap();
    assert!(added);
    let mine = "wiki/explorations/mine.md";
    let of_mine = [format!("{mine}:4 broken-link (fix)"), format!("{mine} orphan"), format!("{mine} foreign")];
    assert_eq!(told(&linted), [&of_mine[..], &["wiki/log.md moved".to_owned()]].concat(), "{linted:#?}");
    let told_of = |word: &str| told(&desk.look()).iter().filter(|told| told.ends_with(word)).count();
    assert_eq!((told_of("moved"), told_of("tidal-range.md edited")), (0, 1), "another look tells it");
}

#[test]
fn of_very_many_faults_some_are_named_and_all_are_counted() {
    let desk = Desk::new();
    let links: String = (0..3_000).map(|n| format!("[[nowhere {n}]]\n")).collect();
    desk.write("wiki/explorations/mine.md", &format!("---\ntype: exploration\n---\n{links}"));
    let linted = desk.look();
    assert_eq!(linted.counts[&Kind::BrokenLink], 3_000);
    assert_eq!(linted.findings.iter().filter(|finding| finding.kind == Kind::BrokenLink).count(), 1_000);
    assert_eq!(linted.faults(), 3_000);
}
