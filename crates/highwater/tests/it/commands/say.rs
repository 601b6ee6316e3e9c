//! A person's word: halt, rearm, pause, resume, ban, lift, retry, skip; each an event with who, when and why (R18).

use jiff::{SignedDuration, Timestamp};

use super::{OK, THREE, assert_refused, events, three};
use crate::rig::Rig;

#[test]
fn r04_a_persons_halt_holds_until_rearm() {
    let rig = three();
    let said = rig.ok(&["halt", "load", "--why", "the index is rebuilt"]);
    assert!(said.stdout.contains("load: halted") && said.stdout.contains("highwater rearm load --why"), "{said:?}");
    assert_eq!(rig.pass(), (4, "halted".into()));
    assert!(rig.log().is_empty());

    let again = rig.ok(&["halt", "load", "--why", "and the disk is full"]);
    assert!(again.stdout.contains("halted already") && again.stdout.contains("the index is rebuilt"), "{again:?}");
    let status = rig.ok(&["status", "load"]).stdout;
    assert!(status.starts_with("load: halted\n") && status.contains("the index is rebuilt"), "{status}");
    assert!(!status.contains("disk is full"), "the first evidence stands: {status}");

    let rearmed = rig.ok(&["rearm", "load", "--why", "rebuilt"]);
    assert!(rearmed.stdout.contains("re-armed") && rearmed.stdout.contains("highwater run load"), "{rearmed:?}");
    assert_eq!(rig.pass(), (0, "drained".into()));
    assert_refused(&rig.run(&["rearm", "load", "--why", "again"]), "HW-CMD-005");
    let acts = events(&rig);
    assert_eq!(acts[0], ["halt", "load", "the index is rebuilt"]);
    assert_eq!(acts[1], ["rearm", "load", "rebuilt"]);
    assert!(
        acts[2..].iter().all(|[act, ..]| act != "halt" && act != "rearm"),
        "what changes nothing is no event: {acts:?}"
    );
}

#[test]
fn a_pause_is_a_checkpoint_until_resume() {
    let rig = three();
    rig.ok(&["pause", "load", "--why", "lunch"]);
    assert_eq!(rig.pass(), (3, "paused".into()));
    let again = rig.ok(&["pause", "load"]);
    assert!(again.stdout.contains("paused already") && again.stdout.contains("lunch"), "{again:?}");
    assert!(rig.ok(&["status"]).stdout.starts_with("load: active, paused\n"));
    let halted = rig.ok(&["halt", "load", "--why", "and halted"]);
    assert!(halted.stdout.contains("load: halted"), "{halted:?}");
    let resumed = rig.ok(&["resume", "load"]);
    assert!(
        resumed.stdout.contains("it is halted") && resumed.stdout.contains("rearm load"),
        "what still stands: {resumed:?}"
    );
    assert_refused(&rig.run(&["resume", "load"]), "HW-CMD-006");
    rig.ok(&["rearm", "load", "--why", "done"]);
    assert_eq!(rig.pass(), (0, "drained".into()));
    let acts: Vec<_> = events(&rig).into_iter().map(|[act, ..]| act).collect();
    assert_eq!(acts[..4], ["pause", "halt", "resume", "rearm"]);
}

#[test]
fn r02_a_ban_is_only_ever_extended_and_lift_ends_it() {
    let rig = three();
    let until = |ended: &crate::rig::Ended| ended.json()["until"].as_str().unwrap().parse::<Timestamp>().unwrap();
    let long = rig.ok(&["ban", "r", "--for", "2h", "--why", "they asked", "--json"]);
    assert_eq!(long.json()["extended"], true);
    let short = rig.ok(&["ban", "r", "--for", "1m", "--json"]);
    assert_eq!(short.json()["extended"], false);
    assert_eq!(until(&short), until(&long));
    let said = rig.ok(&["ban", "r", "--for", "1m"]);
    assert!(said.stdout.contains("already") && said.stdout.contains("they asked"), "{said:?}");
    assert_eq!(rig.pass(), (3, "banned_until".into()));
    assert!(rig.ok(&["bans"]).stdout.contains("they asked"));
    assert!(rig.ok(&["status"]).stdout.contains("ban        r: until "));

    rig.ok(&["lift", "r", "--why", "they said so"]);
    assert_eq!(rig.ok(&["bans"]).stdout, "no resource is banned\n");
    assert_eq!(rig.ok(&["bans", "--json"]).stdout, "[]\n");
    assert_refused(&rig.run(&["lift", "r", "--why", "again"]), "HW-CMD-007");
    assert_eq!(rig.pass(), (0, "drained".into()));
    let acts = events(&rig);
    assert_eq!(
        acts[..2],
        [["ban", "r", "they asked"], ["lift", "r", "they said so"]].map(|event| event.map(str::to_owned))
    );
}

#[test]
fn a_ban_is_no_longer_than_the_resources_longest() {
    let rig = Rig::load(&THREE, OK, "");
    let config = rig.read("highwater.toml") + "ban-max = \"1h\"\n";
    rig.write("highwater.toml", &config);
    let capped = rig.ok(&["ban", "r", "--for", "365 days", "--json"]).json();
    assert_eq!(capped["capped"], true);
    let left = capped["until"].as_str().unwrap().parse::<Timestamp>().unwrap();
    let banned = rig.ok(&["events", "--json"]).json()["at"].as_str().unwrap().parse::<Timestamp>().unwrap();
    assert_eq!(left.duration_since(banned), SignedDuration::from_hours(1));
    assert_refused(&rig.run(&["ban", "r", "--for", "0s"]), "HW-CMD-008");
}

#[test]
fn retry_opens_items_again_by_outcome_and_by_key() {
    let rig = Rig::load(&THREE, "[ -e mended ] || [ $1 != b ] || exit 11; echo $1 >>log", "concurrency = 1");
    assert_eq!(rig.pass(), (0, "drained".into()));
    assert_eq!(rig.log(), ["a", "c"]);
    rig.write("mended", "");
    let said = rig.ok(&["retry", "load", "--outcome", "review", "--why", "mended"]);
    assert!(said.stdout.contains("1 item is open again") && said.stdout.contains("highwater run load"), "{said:?}");
    assert_eq!(rig.pass(), (0, "drained".into()));
    assert_eq!(rig.log(), ["a", "c", "b"]);
    let none = rig.ok(&["retry", "load", "--outcome", "review"]);
    assert!(none.stdout.contains("no such item"), "{none:?}");
    assert_eq!(rig.ok(&["retry", "load", "a", "a", "--json"]).json()["items"], 1, "a key given twice is one");
    assert_eq!(rig.pass(), (0, "drained".into()));
    assert_eq!(rig.log(), ["a", "c", "b", "a"]);
    assert_eq!(rig.run(&["retry", "load", "a", "nobody"]).code, 2);
    assert_eq!(rig.pass(), (0, "already_drained".into()), "an unknown key changes nothing");
}

#[test]
fn skip_gives_an_outcome_that_success_does_not_lose() {
    let rig = Rig::load(&THREE, "[ $1 = a ] || exit 3", "");
    assert_eq!(rig.pass(), (3, "retry_left".into()));
    let said = rig.ok(&["skip", "load", "a", "b", "c", "--why", "withdrawn", "--json"]).json();
    assert_eq!((&said["items"], &said["stand"]), (&2.into(), &1.into()));
    assert_eq!(rig.tally(), serde_json::json!({"done": 1, "skipped": 2}));
    assert_eq!(rig.pass(), (0, "drained".into()));
    assert!(events(&rig).iter().any(|[act, job, why]| act == "skip" && job == "load" && why.contains("withdrawn")));
}

#[test]
fn r18_every_word_is_an_event_with_who_when_and_why() {
    let rig = three();
    rig.ok(&["pause", "load", "--why", "one"]);
    rig.ok(&["resume", "load", "--why", "two"]);
    rig.ok(&["ban", "r", "--for", "1h", "--why", "three"]);
    rig.ok(&["lift", "r", "--why", "four"]);
    rig.ok(&["halt", "load", "--why", "five"]);
    rig.ok(&["rearm", "load", "--why", "six"]);
    rig.pass();
    rig.ok(&["retry", "load", "a", "--why", "seven"]);
    rig.ok(&["skip", "load", "a", "--why", "eight"]);
    let lines = super::json_lines(&rig.ok(&["events", "--json"]));
    let whys: Vec<_> = lines.iter().map(|event| event["why"].as_str().unwrap()).collect();
    for (why, act) in [
        ("one", "pause"),
        ("two", "resume"),
        ("three", "ban"),
        ("four", "lift"),
        ("five", "halt"),
        ("six", "rearm"),
        ("seven", "retry"),
        ("eight", "skip"),
    ] {
        let event = lines
            .iter()
            .find(|event| event["why"].as_str().unwrap().contains(why))
            .unwrap_or_else(|| panic!("{why}: {whys:?}"));
        assert_eq!(event["act"], act);
        assert!(event["at"].as_str().unwrap().parse::<Timestamp>().is_ok());
        assert!(event["who"].as_str().unwrap().contains('@'), "a person at a host: {event}");
    }
    assert!(lines.windows(2).all(|pair| pair[0]["no"].as_i64() < pair[1]["no"].as_i64()), "oldest first");
    let of_job = rig.ok(&["events", "--job", "load"]).stdout;
    assert!(of_job.starts_with("AT ") && of_job.contains("seven") && !of_job.contains("three"), "{of_job}");
    assert_eq!(json_count(&rig, "1h"), lines.len());
    assert_eq!(json_count(&rig, "2099-01-01T00:00:00Z"), 0);
    assert_refused(&rig.run(&["events", "--since", "yesterday"]), "HW-CMD-009");
}

fn json_count(rig: &Rig, since: &str) -> usize {
    rig.ok(&["events", "--json", "--since", since]).stdout.lines().count()
}

#[test]
fn a_word_without_a_reason_is_refused_where_one_is_needed() {
    let rig = three();
    for args in [&["halt", "load"][..], &["rearm", "load"], &["lift", "r"], &["skip", "load", "a"]] {
        assert_eq!(rig.run(args).code, 2, "{args:?}");
        let empty: Vec<&str> = args.iter().chain(&["--why", ""]).copied().collect();
        assert_eq!(rig.run(&empty).code, 2, "{empty:?}");
    }
    assert!(!rig.path(".highwater-state").exists());
}
