//! Documents of which it is lost what they say.

use super::*;

#[test]
fn documents_of_which_it_is_lost_what_they_say_are_told_to_be_made_anew_by_one_call() {
    let desk = Desk::new();
    let lose = |n: u32| {
        let compiled = desk.library.base.document(&paper(n).name).unwrap().unwrap().compiled;
        std::fs::remove_file(desk.object(compiled)).unwrap();
    };
    let mends = || {
        let linted = desk.look();
        let found = linted.findings.into_iter().filter(|finding| finding.kind == Kind::ObjectMissing);
        found.map(|finding| finding.mends).collect::<Vec<_>>()
    };
    lose(1);
    assert_eq!(mends(), ["`highwater kb recompile report-1` makes it again"]);
    lose(3);
    assert_eq!(mends(), ["`highwater kb recompile report-1 report-3` makes it again, and the others"; 2]);
}
