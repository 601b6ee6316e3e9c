//! An answer is paid once: across kills, across passes, beside others; and no more is paid than a pass may.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use highwater_testkit::faulty_http::Answer;

use super::endpoint::{Endpoint, PAID, pages, said};
use super::{Desk, KEY};
use crate::rig::{dice, end, pause, signal, wait_until};

#[test]
fn r05_an_answer_that_came_before_a_kill_is_not_paid_again_after_it() {
    // The first document is never answered, so that the second waits for it with its answer paid and nothing committed.
    let stuck = Arc::new(AtomicBool::new(true));
    let is_stuck = Arc::clone(&stuck);
    let endpoint = Endpoint::start(move |asked| match asked.document().as_str() {
        "report-0" if is_stuck.load(Ordering::SeqCst) => Answer::silence(),
        name => said(&pages(name)),
    });
    let desk = Desk::new(3, endpoint);
    let url = desk.endpoint.url();
    let mut pass = desk.command(&desk.args(&["kb", "add", "in"], &url, &["--concurrency", "3"]));
    let mut pass = pass.spawn().unwrap();
    wait_until("two answers that are kept", || desk.kept() == 2);
    assert!(!desk.shown().contains_key("wiki/summaries/report-1.md"));
    pass.kill().unwrap();
    pass.wait().unwrap();
    stuck.store(false, Ordering::SeqCst);
    assert_eq!(desk.pass(&[]), (0, "drained".into()));
    assert!(desk.shown()["wiki/summaries/report-1.md"].contains("The model read report-1."));
    let asked = desk.endpoint.asked();
    let count = |name: &str| asked.iter().filter(|asked| asked.document() == name).count();
    // What nobody answered before the kill is asked again.
    assert_eq!((count("report-0"), count("report-1"), count("report-2")), (2, 1, 1));
}

#[test]
fn r05_however_often_a_pass_is_killed_no_prompt_is_paid_more_often_than_it_was_cut_off() {
    let desk = Desk::new(12, Endpoint::start(|asked| said(&pages(&asked.document())).after(Duration::from_millis(30))));
    let mut dice = dice("r05_however_often_a_pass_is_killed");
    let url = desk.endpoint.url();
    let (mut cut_off, mut kills) = (0, 0);
    for _ in 0..25 {
        let mut command = desk.command(&desk.args(&["kb", "add", "in"], &url, &["--concurrency", "2"]));
        let mut pass = command.spawn().unwrap();
        pause(Duration::from_millis(dice.u64(5..60 + 15 * kills)));
        pass.kill().unwrap();
        if pass.wait().unwrap().code().is_some() {
            break;
        }
        kills += 1;
        // At most what was in hand was asked in vain.
        cut_off += 2;
        assert!(desk.endpoint.asked().len() <= desk.kept() + cut_off);
    }
    assert!(kills > 0);
    assert_eq!(desk.pass(&[]), (0, "drained".into()));
    assert_eq!((desk.endpoint.counts().len(), desk.kept()), (12, 12));
    assert!(desk.endpoint.asked().len() <= 12 + cut_off);
    let left = std::fs::read_dir(desk.rig.path("notes/.highwater/desks")).unwrap().count();
    assert_eq!(left, 0);
}

#[test]
fn an_answer_under_way_is_kept_when_what_another_is_told_ends_the_pass() {
    let told = [
        ("banned_until", Answer::status(429).header("retry-after", "3600")),
        ("refused", Answer::status(401).body("no")),
    ];
    for (reason, refusal) in told {
        let turns = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&turns);
        let desk = Desk::new(
            2,
            Endpoint::start(move |asked| match count.fetch_add(1, Ordering::SeqCst) {
                0 => said(&pages(&asked.document())).after(Duration::from_secs(1)),
                1 => refusal.clone(),
                _ => said(&pages(&asked.document())),
            }),
        );
        let ended = desk.pass(&["--concurrency", "2"]);
        assert_eq!(ended.1, reason);
        assert_eq!((desk.endpoint.asked().len(), desk.kept()), (2, 1), "{reason}: what may be paid for is waited for");
        let (ledger, resource) = ("notes/.highwater-state/ledger.db", desk.endpoint.resource());
        if reason == "banned_until" {
            desk.rig.ok(&["lift", &resource, "--why", "a test", "--ledger", ledger]);
        }
        assert_eq!(desk.pass(&[]), (0, "drained".into()));
        assert_eq!(desk.endpoint.asked().len(), 3, "{reason}");
    }
}

#[test]
fn an_answer_under_way_is_kept_when_a_person_wants_the_end() {
    let well = |asked: &super::endpoint::Asked| match asked.document().as_str() {
        "" => said("2 m [1]."),
        name => said(&pages(name)),
    };
    let desk = Desk::new(1, Endpoint::start(move |asked| well(asked).after(Duration::from_secs(1))));
    let url = desk.endpoint.url();
    for (verb, asked) in [(&["kb", "add", "in"][..], 1), (&["kb", "query", "how much water"], 2)] {
        let mut call = desk.command(&desk.args(verb, &url, &[])).spawn().unwrap();
        wait_until("the model is asked", || desk.endpoint.asked().len() == asked);
        signal(&call, "TERM");
        assert_eq!(call.wait().unwrap().code(), Some(3), "{verb:?}");
        assert_eq!(desk.kept(), asked, "{verb:?}");
        assert_eq!(desk.call(verb, &[]).code, 0);
        assert_eq!(desk.endpoint.asked().len(), asked, "{verb:?}: it is not asked again");
    }
}

#[test]
fn spent_tokens_end_a_pass_as_a_checkpoint_and_the_next_pays_for_the_rest_alone() {
    let desk = Desk::new(5, Endpoint::compiles());
    let tokens = (2 * (PAID.0 + PAID.1)).to_string();
    let limits = ["--concurrency", "1", "--llm-tokens", &tokens];
    for asked in [2, 4] {
        assert_eq!(desk.pass(&limits), (3, "budget_tokens".into()));
        assert_eq!(desk.endpoint.asked().len(), asked);
        assert!(desk.shown().contains_key(&format!("wiki/summaries/report-{}.md", asked - 1)), "what is paid is there");
    }
    assert_eq!(desk.pass(&limits), (0, "drained".into()));
    assert!(desk.endpoint.counts().values().all(|count| *count == 1));
    assert_eq!(desk.endpoint.asked().len(), 5);
}

#[test]
fn who_watches_ends_once_its_tokens_are_spent_in_whichever_of_its_passes() {
    let desk = Desk::new(1, Endpoint::compiles());
    let tokens = (2 * (PAID.0 + PAID.1)).to_string();
    let url = desk.endpoint.url();
    let more = ["--settle", "200ms", "--concurrency", "1", "--llm-tokens", &tokens];
    let watching = desk.command(&desk.args(&["kb", "watch", "in"], &url, &more)).spawn().unwrap();
    let known = |count: usize| wait_until(&format!("{count} documents"), || desk.listed().len() == count);
    known(1);
    desk.rig.write("in/second.md", "# Second\n\nIt came in a later pass.\n");
    known(2);
    desk.rig.write("in/third.md", "# Third\n\nNobody pays for it.\n");
    let ended = end(watching);
    assert_eq!((ended.code, desk.endpoint.asked().len()), (3, 2), "{ended:?}");
    assert_eq!(desk.listed().len(), 2);
}

#[test]
fn a_question_that_two_ask_at_once_is_paid_once() {
    let desk = Desk::new(1, Endpoint::start(|asked| said(&pages(&asked.document())).after(Duration::from_millis(300))));
    assert_eq!(desk.pass(&[]), (0, "drained".into()));
    let before = desk.endpoint.asked().len();
    let url = desk.endpoint.url();
    // A question is no pass, and waits for no lock: both are under way at once.
    let query = desk.args(&["kb", "query", "how much water"], &url, &[]);
    let both = [desk.command(&query).spawn().unwrap(), desk.command(&query).spawn().unwrap()];
    for mut one in both {
        assert!(one.wait().unwrap().success());
    }
    assert_eq!(desk.endpoint.asked().len(), before + 1);
    let leases = std::fs::read_dir(desk.rig.path("notes/.highwater/answers")).unwrap();
    let names = leases.flat_map(|shelf| std::fs::read_dir(shelf.unwrap().path()).unwrap());
    assert!(names.map(|name| name.unwrap().file_name()).all(|name| name.len() == 64), "no lease is left");
}

#[test]
fn a_damaged_answer_is_set_aside_and_asked_for_again() {
    // Paid, and then not committed: while the model is asked, the place where the raw document would be stored goes.
    let places = Arc::new(OnceLock::<[PathBuf; 2]>::new());
    let (to_stick, is_stuck) = (Arc::clone(&places), AtomicBool::new(false));
    let endpoint = Endpoint::start(move |asked| {
        if let Some([objects, aside]) = to_stick.get()
            && !is_stuck.swap(true, Ordering::SeqCst)
        {
            std::fs::rename(objects, aside).unwrap();
            std::fs::write(objects, "").unwrap();
        }
        said(&pages(&asked.document()))
    });
    let desk = Desk::new(1, endpoint);
    let [stuck, aside] = [desk.rig.path("notes/.highwater/objects"), desk.rig.path("aside")];
    places.set([stuck.clone(), aside.clone()]).unwrap();
    assert_eq!(desk.add(&[]).code, 1);
    std::fs::remove_file(&stuck).unwrap();
    std::fs::rename(&aside, &stuck).unwrap();
    assert_eq!((desk.endpoint.asked().len(), desk.kept()), (1, 1));
    let answers = desk.rig.path("notes/.highwater/answers");
    let shelf = std::fs::read_dir(&answers).unwrap().next().unwrap().unwrap().path();
    let answer = std::fs::read_dir(&shelf).unwrap().next().unwrap().unwrap().path();
    let text = std::fs::read_to_string(&answer).unwrap();
    assert!(!text.contains(KEY));
    std::fs::write(&answer, text.replace("The model read", "The model sold")).unwrap();
    assert_eq!(desk.pass(&[]), (0, "drained".into()));
    assert_eq!(desk.endpoint.asked().len(), 2);
    assert!(desk.shown()["wiki/summaries/report-0.md"].contains("The model read"));
    let quarantine: Vec<_> = std::fs::read_dir(desk.rig.path("notes/.highwater/quarantine")).unwrap().collect();
    assert_eq!(quarantine.len(), 2, "the answer, and why");
}
