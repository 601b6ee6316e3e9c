//! Walks through lists that go on, end, break off and go in circles.

#![allow(clippy::unwrap_used, reason = "a test ends where it cannot go on")]

use super::*;
use crate::protocol::ResumptionToken;

fn selection() -> Selection {
    Selection {
        metadata_prefix: "oai_dc".to_owned(),
        set: Some("col_1".to_owned()),
        from: Some(Datestamp::parse("2021-02-12").unwrap()),
        until: Some(Datestamp::parse("2021-02-13T00:00:00Z").unwrap()),
    }
}

/// A page of `records` whose list differs from any other with another `fingerprint`.
fn page(records: u64, fingerprint: u64, token: Option<&str>) -> PageEnd {
    let token = token.map(|value| ResumptionToken { value: value.to_owned(), complete_list_size: None, cursor: None });
    PageEnd {
        response_date: None,
        token,
        complete_list_size: None,
        cursor: None,
        records,
        unreadable: 0,
        bytes: 0,
        replaced: 0,
        fingerprint,
    }
}

fn sized(page: PageEnd, complete_list_size: u64) -> PageEnd {
    PageEnd { complete_list_size: Some(complete_list_size), ..page }
}

fn error(code: &str) -> ProtocolError {
    ProtocolError { code: code.into(), message: "so it is".to_owned() }
}

#[test]
fn a_walk_asks_for_the_list_then_for_each_token_then_for_nothing() {
    let mut walk = Walk::records(&selection());
    assert_eq!(walk.request(), Some(Request::ListRecords(selection())));
    assert_eq!(walk.page(&page(2, 1, Some("a b"))), Ok(Progress::More));
    assert_eq!(walk.request(), Some(Request::Resume { verb: Verb::ListRecords, token: "a b".to_owned() }));
    assert_eq!(walk.page(&page(1, 2, None)), Ok(Progress::Complete { records: 3 }));
    assert_eq!((walk.request(), walk.pages(), walk.records_seen()), (None, 2, 3));
    assert_eq!(Walk::identifiers(&selection()).request(), Some(Request::ListIdentifiers(selection())));
}

#[test]
fn a_walk_that_was_stored_goes_on_where_it_was() {
    let mut walk = Walk::identifiers(&selection());
    walk.page(&sized(page(100, 1, Some("t")), 300)).unwrap();
    let stored = serde_json::to_string(&walk).unwrap();
    let mut again: Walk = serde_json::from_str(&stored).unwrap();
    assert_eq!(again, walk);
    assert_eq!(again.page(&page(100, 2, Some("t"))), Err(WalkFault::Loop { page: 2 }), "it knows the tokens still");
}

#[test]
fn a_walk_has_a_bounded_size_however_long_the_list_is() {
    let mut walk = Walk::identifiers(&selection());
    let mut sizes = Vec::new();
    for n in 0..2000 {
        walk.page(&page(100, n, Some(&format!("{n:08}")))).unwrap();
        sizes.push(serde_json::to_string(&walk).unwrap().len());
    }
    assert!(sizes[1999] < sizes[100] + 100 && sizes[1999] < 2048, "{} {}", sizes[100], sizes[1999]);
}

#[test]
fn an_empty_list_is_complete() {
    assert_eq!(Walk::records(&selection()).refused(&error("noRecordsMatch")), Ok(Progress::Complete { records: 0 }));
    assert_eq!(Walk::records(&selection()).page(&page(0, 0, None)), Ok(Progress::Complete { records: 0 }));
}

#[test]
fn a_token_whose_next_page_is_empty_is_an_end() {
    let mut walk = Walk::records(&selection());
    walk.page(&page(2, 1, Some("a"))).unwrap();
    assert_eq!(walk.clone().page(&page(0, 0, None)), Ok(Progress::Complete { records: 2 }));
    assert_eq!(walk.refused(&error("noRecordsMatch")), Ok(Progress::Complete { records: 2 }));
    assert_eq!(walk.request(), None);
}

#[test]
fn a_token_that_expires_is_never_an_end() {
    let mut walk = Walk::records(&selection());
    walk.page(&page(2, 1, Some("a"))).unwrap();
    let fault = walk.refused(&error("badResumptionToken")).unwrap_err();
    assert_eq!(fault, WalkFault::Expired { pages: 1, records: 2 });
    assert_eq!(
        fault.to_string(),
        "the resumption token expired after page 1, with 2 records read; the list must begin anew"
    );
    assert!(walk.request().is_some(), "the walk is as it was");
    assert_eq!(walk.anew(), Walk::records(&selection()));
    // Without a token it means something else.
    let refused = Walk::records(&selection()).refused(&error("badResumptionToken"));
    assert_eq!(refused, Err(WalkFault::Refused(error("badResumptionToken"))));
}

#[test]
fn any_other_error_is_a_refusal() {
    let mut walk = Walk::records(&selection());
    let fault = walk.refused(&error("badArgument")).unwrap_err();
    assert_eq!(fault.to_string(), "the repository refuses: badArgument: so it is");
}

#[test]
fn the_same_token_again_is_a_loop_at_once() {
    let mut walk = Walk::records(&selection());
    walk.page(&page(2, 1, Some("a"))).unwrap();
    walk.page(&page(2, 2, Some("b"))).unwrap();
    let before = walk.clone();
    assert_eq!(walk.page(&page(2, 3, Some("a"))), Err(WalkFault::Loop { page: 3 }));
    assert_eq!(walk, before);
}

#[test]
fn the_same_page_again_under_a_new_token_is_a_loop_at_once() {
    let mut walk = Walk::records(&selection());
    walk.page(&page(2, 7, Some("a"))).unwrap();
    assert_eq!(walk.page(&page(2, 7, Some("b"))), Err(WalkFault::Loop { page: 2 }));
}

#[test]
fn a_loop_of_any_length_is_found() {
    for length in [1, 31, 32, 33, 100, 1000] {
        for lead in [0, 5, 500] {
            let mut walk = Walk::records(&selection());
            let mut steps = 0;
            let found = loop {
                let at = if steps < lead + length { steps } else { lead + (steps - lead) % length };
                steps += 1;
                match walk.page(&page(2, 10_000 + steps, Some(&at.to_string()))) {
                    Ok(_) => assert!(steps < 5 * (lead + length) + 5, "{lead} {length}"),
                    Err(fault) => break fault,
                }
            };
            assert_eq!(found, WalkFault::Loop { page: steps });
            assert!(steps > lead + length, "no loop before it was one");
        }
    }
}

#[test]
fn one_record_that_stands_on_two_pages_is_no_loop_and_one_that_stands_on_all_is() {
    let mut walk = Walk::records(&selection());
    walk.page(&page(1, 7, Some("a"))).unwrap();
    walk.page(&page(1, 7, Some("b"))).unwrap();
    walk.page(&page(1, 8, Some("c"))).unwrap();
    walk.page(&page(1, 8, Some("d"))).unwrap();
    walk.page(&page(1, 8, Some("e"))).unwrap();
    assert_eq!(walk.page(&page(1, 8, Some("f"))), Err(WalkFault::Loop { page: 6 }));
}

#[test]
fn empty_pages_with_ever_new_tokens_are_no_list() {
    let mut walk = Walk::records(&selection());
    for n in 0..EMPTY_PAGES_MAX {
        assert_eq!(walk.page(&page(0, 0, Some(&n.to_string()))), Ok(Progress::More));
    }
    let fault = walk.page(&page(0, 0, Some("more"))).unwrap_err();
    assert_eq!(fault.to_string(), "the list has no end: 11 empty pages in a row, and still a token");
}

#[test]
fn a_list_cut_short_of_its_size_is_told() {
    let mut walk = Walk::records(&selection());
    walk.page(&sized(page(100, 1, Some("a")), 66_038)).unwrap();
    assert_eq!(walk.page(&page(100, 2, None)), Ok(Progress::ShortOf { expected: 66_038, got: 200 }));
}

#[test]
fn a_size_that_is_missing_wrong_or_passed_means_nothing() {
    let walked = |sizes: [Option<u64>; 2]| {
        let mut walk = Walk::records(&selection());
        walk.page(&PageEnd { complete_list_size: sizes[0], ..page(100, 1, Some("a")) }).unwrap();
        walk.page(&PageEnd { complete_list_size: sizes[1], ..page(50, 2, None) }).unwrap()
    };
    let complete = Progress::Complete { records: 150 };
    assert_eq!(walked([None, None]), complete);
    assert_eq!(walked([Some(100), Some(50)]), complete, "the size of the page");
    assert_eq!(walked([Some(0), None]), complete);
    assert_eq!(walked([Some(151), Some(150)]), complete, "one was deleted meanwhile");
    assert_eq!(walked([None, Some(151)]), Progress::ShortOf { expected: 151, got: 150 });
}

#[test]
fn a_cursor_that_counts_pages_changes_nothing() {
    let mut walk = Walk::records(&selection());
    for (n, cursor) in [0, 1, 2].into_iter().enumerate() {
        let page = page(100, n as u64, Some(&format!("{n}")));
        assert_eq!(walk.page(&PageEnd { cursor: Some(cursor), ..page }), Ok(Progress::More));
    }
    assert_eq!(walk.records_seen(), 300);
}
