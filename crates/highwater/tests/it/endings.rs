//! Exit codes and states: each ending of DESIGN §2 and §3, with the next pass checked too.

use std::os::unix::fs::symlink;

use serde_json::json;

use crate::rig::{Flock, Rig, end, signal, wait_until};

const OK: &str = "echo $1 >>log";
const TEN: [&str; 10] = ["i0", "i1", "i2", "i3", "i4", "i5", "i6", "i7", "i8", "i9"];

#[test]
fn r03_a_drained_worklist_is_0_and_the_next_pass_starts_nothing() {
    let rig = Rig::load(&TEN, OK, "concurrency = 1");
    assert_eq!(rig.pass(), (0, "drained".into()));
    assert_eq!(rig.log(), TEN);
    assert_eq!(rig.pass(), (0, "already_drained".into()));
    assert_eq!(rig.log().len(), 10);
}

#[test]
fn r01_a_lock_held_by_flock_is_a_checkpoint_and_the_reverse() {
    let rig = Rig::load(&TEN, OK, "");
    let holder = Flock::hold(&rig.path("r.lock"));
    assert_eq!(rig.pass(), (3, "lock_held".into()));
    assert!(rig.log().is_empty(), "a miss touches nothing");
    drop(holder);
    rig.script("load", "echo $1 >>log; while [ ! -e go ]; do sleep 0.02; done");
    let pass = rig.start(&["--json", "run", "load"]);
    rig.wait_for_log(1);
    let refused =
        std::process::Command::new("flock").args(["-n"]).arg(rig.path("r.lock")).arg("true").status().unwrap();
    assert_eq!(refused.code(), Some(1), "util-linux flock finds it held");
    assert_eq!(rig.pass(), (3, "lock_held".into()));
    rig.write("go", "");
    assert_eq!(end(pass).code, 0);
    let free = std::process::Command::new("flock").args(["-n"]).arg(rig.path("r.lock")).arg("true").status().unwrap();
    assert_eq!(free.code(), Some(0));
}

#[test]
fn r01_a_message_names_who_holds_the_lock() {
    let rig = Rig::load(&TEN, OK, "");
    let _holder = Flock::hold(&rig.path("r.lock"));
    let said = rig.run(&["run", "load"]);
    assert!(said.stdout.contains("r.lock") && said.stdout.contains("held by process"), "{said:?}");
}

#[test]
fn r16_a_lock_file_unlinked_under_its_holder_ends_the_pass_before_the_next_item() {
    let rig = Rig::load(&TEN, "echo $1 >>log; while [ ! -e go ]; do sleep 0.02; done", "concurrency = 1");
    let pass = rig.start(&["--json", "run", "load"]);
    rig.wait_for_log(1);
    std::fs::remove_file(rig.path("r.lock")).unwrap();
    rig.write("go", "");
    let ended = end(pass);
    assert_eq!((ended.code, ended.json()["reason"].as_str()), (3, Some("lock_lost")), "{ended:?}");
    assert_eq!(rig.log().len(), 1, "no item is begun without the lock");
    assert_eq!(rig.pass(), (0, "drained".into()));
}

#[test]
fn two_names_for_one_inode_are_refused() {
    for link in [
        |a: &std::path::Path, b: &std::path::Path| symlink(a, b),
        |a: &std::path::Path, b: &std::path::Path| std::fs::hard_link(a, b),
    ] {
        let rig = Rig::load(&TEN, OK, "");
        rig.write("r.lock", "");
        link(&rig.path("r.lock"), &rig.path("s.lock")).unwrap();
        let config =
            rig.read("highwater.toml").replace("[\"r\"]", "[\"r\", \"s\"]") + "[resource.s]\nlock = \"file:s.lock\"\n";
        rig.write("highwater.toml", &config);
        let refused = rig.run(&["run", "load"]);
        assert_eq!(refused.code, 2, "{refused:?}");
        assert!(refused.stderr.contains("r.lock") && refused.stderr.contains("s.lock"), "{refused:?}");
        assert!(rig.log().is_empty());
    }
}

#[test]
fn r02_a_banned_resource_is_a_checkpoint_until_it_is_lifted() {
    let rig = Rig::load(&TEN, OK, "");
    rig.ok(&["ban", "r", "--for", "2h", "--why", "maintenance"]);
    for _ in 0..3 {
        assert_eq!(rig.pass(), (3, "banned_until".into()));
    }
    // A shorter one does not shorten it.
    rig.ok(&["ban", "r", "--for", "1s"]);
    assert_eq!(rig.pass(), (3, "banned_until".into()));
    assert!(rig.log().is_empty());
    rig.ok(&["lift", "r", "--why", "done early"]);
    assert_eq!(rig.pass(), (0, "drained".into()));
}

#[test]
fn r04_a_halt_holds_over_passes_and_goes_on_after_rearm_without_the_old_counts() {
    let halting = "echo $1 >>log; [ $1 = i3 ] && [ ! -e mended ] && { echo 'no such field' >&2; exit 4; }; exit 0";
    let rig = Rig::load(&TEN, halting, "concurrency = 1");
    assert_eq!(rig.pass(), (4, "halted".into()));
    let begun = rig.log().len();
    assert_eq!(begun, 4);
    for _ in 0..4 {
        assert_eq!(rig.pass(), (4, "halted".into()));
    }
    assert_eq!(rig.log().len(), begun, "nothing is started while it is halted");
    let status = rig.ok(&["status", "load"]).stdout;
    assert!(status.contains("no such field"), "the evidence is shown: {status}");
    let why_missing = rig.run(&["rearm", "load"]);
    assert_eq!(why_missing.code, 2);
    rig.write("mended", "");
    rig.ok(&["rearm", "load", "--why", "the field is there"]);
    assert_eq!(rig.pass(), (0, "drained".into()));
    assert_eq!(rig.log().len(), begun + 7, "the halting item was left unattempted and ran again");
}

#[test]
fn r04_a_breaker_halts_and_rearm_counts_afresh() {
    let items: Vec<String> = (0..80).map(|n| format!("i{n}")).collect();
    let items: Vec<&str> = items.iter().map(String::as_str).collect();
    let rig = Rig::load(&items, "echo $1 >>log; [ -e mended ] || exit 11", "concurrency = 1");
    assert_eq!(rig.pass(), (4, "halted".into()));
    let begun = rig.log().len();
    assert_eq!(begun, 50, "judged from 50 items on, however recording trails");
    assert_eq!(rig.pass().0, 4);
    rig.write("mended", "");
    rig.ok(&["rearm", "load", "--why", "mended"]);
    assert_eq!(rig.pass(), (0, "drained".into()), "the fifty of before are not counted again");
}

#[test]
fn paused_is_a_checkpoint_until_resumed() {
    let rig = Rig::load(&TEN, OK, "");
    rig.ok(&["pause", "load", "--why", "a look first"]);
    assert_eq!(rig.pass(), (3, "paused".into()));
    assert!(rig.log().is_empty());
    rig.ok(&["resume", "load"]);
    assert_eq!(rig.pass(), (0, "drained".into()));
}

#[test]
fn disarmed_is_a_checkpoint_and_all_leaves_it_out() {
    let rig = Rig::load(&TEN, OK, "armed = false");
    assert_eq!(rig.pass(), (3, "disarmed".into()));
    let all = rig.run(&["run", "--all"]);
    assert_eq!(all.code, 0, "{all:?}");
    assert!(rig.log().is_empty());
}

#[test]
fn a_pass_that_does_not_wait_yields_to_one_that_does() {
    let rig = Rig::load(&TEN, OK, "");
    let config = rig.read("highwater.toml")
        + "[job.nightly]\nkind = \"exec\"\ncommand = [\"./nightly\"]\nresources = [\"r\"]\nlock-wait = \"45 min\"\n";
    rig.write("highwater.toml", &config);
    rig.script("nightly", "echo nightly >>log");
    let holder = Flock::hold(&rig.path("r.lock"));
    let waiting = rig.start(&["run", "nightly"]);
    wait_until("a ticket", || rig.pass() == (3, "yielded".into()));
    drop(holder);
    assert_eq!(end(waiting).code, 0);
    assert_eq!(rig.log(), ["nightly"]);
    assert_eq!(rig.pass(), (0, "drained".into()));
}

#[test]
fn a_ticket_of_a_killed_waiter_lapses() {
    let rig = Rig::load(&TEN, OK, "lock-wait = \"1h\"");
    let holder = Flock::hold(&rig.path("r.lock"));
    let mut waiting = rig.start(&["run", "load"]);
    let config =
        rig.read("highwater.toml") + "[job.other]\nkind = \"exec\"\ncommand = [\"true\"]\nresources = [\"r\"]\n";
    rig.write("highwater.toml", &config);
    let other = || rig.run(&["--json", "run", "other"]).json()["reason"].as_str().unwrap().to_owned();
    wait_until("a ticket", || other() == "yielded");
    waiting.kill().unwrap();
    waiting.wait().unwrap();
    drop(holder);
    wait_until("the ticket to lapse", || other() != "yielded");
}

#[test]
fn a_spent_budget_is_a_checkpoint_and_the_next_pass_goes_on() {
    let rig = Rig::load(&TEN, OK, "concurrency = 1\nbudget = { max-items = 4 }");
    assert_eq!(rig.pass(), (3, "budget_items".into()));
    assert_eq!(rig.log().len(), 4);
    assert_eq!(rig.pass(), (3, "budget_items".into()));
    assert_eq!(rig.pass(), (0, "drained".into()));
    assert_eq!(rig.log(), TEN);
    let rig = Rig::load(&TEN, OK, "");
    assert_eq!(rig.pass_with(&["--max-contacts", "3"]), (3, "budget_contacts".into()));
    assert_eq!(rig.log().len(), 3);
    rig.script("load", "echo $1 >>log; sleep 0.2");
    assert_eq!(rig.pass_with(&["--max-time", "300ms"]), (3, "budget_time".into()));
    assert!(rig.log().len() < 10);
}

#[test]
fn r06_a_worklist_that_changed_under_its_pin_is_refused_with_both_hashes() {
    let rig = Rig::load(&TEN, OK, "budget = { max-items = 4 }");
    assert_eq!(rig.pass().0, 3);
    let old = rig.read("ids.txt");
    rig.write("ids.txt", &format!("{old}i10\n"));
    let refused = rig.run(&["run", "load"]);
    assert_eq!(refused.code, 2);
    let text = format!("{}{}", refused.stdout, refused.stderr);
    let hashes = text
        .split(|c: char| !c.is_ascii_hexdigit())
        .filter(|w| w.len() == 64)
        .collect::<std::collections::BTreeSet<_>>();
    assert!(hashes.len() == 2 && text.contains("--extend") && text.contains("--replace"), "{text}");
    assert_eq!(rig.log().len(), 4, "nothing was started");
    // Putting the old list back is a way out, too.
    rig.write("ids.txt", &old);
    assert_eq!(rig.pass(), (3, "budget_items".into()));
}

#[test]
fn r06_extend_keeps_outcomes_and_replace_starts_over() {
    let rig = Rig::load(&TEN, OK, "concurrency = 1");
    assert_eq!(rig.pass().0, 0);
    rig.write("ids.txt", &(rig.read("ids.txt") + "i10\ni11\ni10\n"));
    assert_eq!(rig.pass(), (2, "refused".into()), "a drained list that grew is not drained");
    rig.ok(&["worklist", "load", "--extend"]);
    assert_eq!(rig.pass(), (0, "drained".into()));
    assert_eq!(rig.log().len(), 12, "only what is new ran");
    rig.list(&["i5", "x"]);
    assert_eq!(rig.pass().0, 2);
    rig.ok(&["worklist", "load", "--replace"]);
    assert_eq!(rig.pass(), (0, "drained".into()));
    assert_eq!(rig.log()[12..], ["i5", "x"]);
    assert_eq!(rig.tally(), json!({"done": 2}));
}

#[test]
fn a_list_of_100_that_are_all_gone_halts_instead_of_freezing_as_complete() {
    let items: Vec<String> = (0..100).map(|n| format!("i{n}")).collect();
    let rig = Rig::load(&items.iter().map(String::as_str).collect::<Vec<_>>(), "exit 10", "");
    assert_eq!(rig.pass(), (4, "halted".into()));
    assert_eq!(rig.pass().0, 4);
    rig.ok(&["rearm", "load", "--why", "they are really gone"]);
    assert_eq!(rig.pass(), (0, "drained".into()));
    assert_eq!(rig.tally(), json!({"gone": 100}));
}

#[test]
fn everything_in_review_halts_and_after_rearm_is_drained_with_its_count() {
    let rig = Rig::load(&TEN, "exit 11", "");
    assert_eq!(rig.pass(), (4, "halted".into()));
    rig.ok(&["rearm", "load", "--why", "someone looks at them"]);
    let drained = rig.run(&["run", "load"]);
    assert_eq!(drained.code, 0, "{drained:?}");
    assert!(drained.stdout.contains("10 in review"), "{drained:?}");
}

#[test]
fn one_bad_of_ten_is_drained_and_six_bad_halt() {
    let rig = Rig::load(&TEN, "echo $1 >>log; [ $1 != i4 ]", "");
    assert_eq!(rig.pass(), (3, "retry_left".into()));
    let until = rig.run(&["run", "load", "--until-drained"]);
    assert_eq!(until.code, 0, "{until:?}");
    assert_eq!(rig.tally(), json!({"done": 9, "review": 1}));
    assert_eq!(rig.log().len(), 9 + 5, "five attempts, then review");

    let rig = Rig::load(&TEN, "case $1 in i[0-5]) exit 7;; esac", "");
    assert_eq!(rig.pass(), (4, "halted".into()));
    assert_eq!(rig.tally(), json!({"done": 4, "retry": 6}));
}

#[test]
fn sigterm_finishes_what_is_in_hand_and_ends_with_3() {
    let rig =
        Rig::load(&TEN, "echo $1 >>log; while [ ! -e go ]; do sleep 0.02; done; echo $1 >>ended", "concurrency = 2");
    let pass = rig.start(&["--json", "run", "load"]);
    rig.wait_for_log(2);
    signal(&pass, "TERM");
    rig.write("go", "");
    let ended = end(pass);
    assert_eq!((ended.code, ended.json()["reason"].as_str()), (3, Some("stopped")), "{ended:?}");
    assert_eq!(rig.read("ended").lines().count(), rig.log().len(), "what was begun was finished");
    assert_eq!(rig.tally()["done"], rig.log().len());
    assert_eq!(rig.pass(), (0, "drained".into()));
    assert_eq!(rig.log().len(), 10, "nothing ran twice");
}

#[test]
fn sigint_twice_ends_at_once_and_loses_nothing() {
    let rig = Rig::load(&TEN, "echo $1 >>log; [ -e go ] || sleep 600", "concurrency = 2");
    let mut pass = rig.start(&["--json", "run", "load"]);
    rig.wait_for_log(2);
    signal(&pass, "INT");
    // Two that come before the first is heard of are one: whoever is impatient goes on.
    wait_until("the end", || {
        let is_over = pass.try_wait().unwrap().is_some();
        if !is_over {
            signal(&pass, "INT");
        }
        is_over
    });
    let ended = end(pass);
    assert_eq!((ended.code, ended.json()["reason"].as_str()), (3, Some("stopped")), "{ended:?}");
    let left =
        std::process::Command::new("pgrep").args(["-f", &rig.dir.path().display().to_string()]).output().unwrap();
    assert!(left.stdout.is_empty(), "no command outlives it");
    rig.write("go", "");
    assert_eq!(rig.pass(), (0, "drained".into()));
    assert_eq!(rig.tally(), json!({"done": 10}));
}

#[test]
fn of_two_jobs_the_worse_ending_wins() {
    let job =
        |name: &str, code: u8| format!("[job.{name}]\nkind = \"exec\"\ncommand = [\"sh\", \"-c\", \"exit {code}\"]\n");
    for (a, b, worst) in [(0, 3, 3), (3, 4, 4), (4, 0, 4), (0, 0, 0)] {
        let rig = Rig::new(&(job("a", a) + &job("b", b)));
        let both = rig.run(&["--json", "run", "b", "a"]);
        assert_eq!(both.code, worst, "{both:?}");
        let jobs: Vec<_> =
            both.stdout.lines().map(|l| serde_json::from_str::<serde_json::Value>(l).unwrap()["job"].clone()).collect();
        assert_eq!(jobs, ["a", "b"], "in the order of the file");
    }
    let rig = Rig::new(&(job("a", 3) + &job("b", 0) + "worklist = \"none.txt\"\n"));
    assert_eq!(rig.run(&["run", "--all"]).code, 2, "a refusal is worse than a checkpoint");
}

#[test]
fn cron_always_exits_0_and_prints_once_per_change() {
    let rig = Rig::load(&TEN, "exit 4", "");
    let first = rig.run(&["run", "load", "--cron"]);
    assert_eq!(first.code, 0);
    assert!(first.stdout.contains("halted"), "{first:?}");
    let again = rig.run(&["run", "load", "--cron"]);
    assert_eq!((again.code, again.stdout.as_str(), again.stderr.as_str()), (0, "", ""));
    rig.script("load", OK);
    rig.ok(&["rearm", "load", "--why", "mended"]);
    let good = rig.run(&["run", "load", "--cron"]);
    assert_eq!((good.code, good.stdout.as_str(), good.stderr.as_str()), (0, "", ""));
    assert_eq!(rig.log().len(), 10);
    rig.write("ids.txt", "changed\n");
    let refused = rig.run(&["run", "load", "--cron"]);
    assert_eq!(refused.code, 0);
    assert!(format!("{}{}", refused.stdout, refused.stderr).contains("changed under its pin"), "{refused:?}");
    let again = rig.run(&["run", "load", "--cron"]);
    assert_eq!((again.code, again.stdout.as_str(), again.stderr.as_str()), (0, "", ""));
}

#[test]
fn a_recurring_job_pins_a_round_each_time() {
    let rig = Rig::load(&["a", "b"], OK, "recurring = true\nconcurrency = 1");
    assert_eq!(rig.pass(), (0, "drained".into()));
    assert_eq!(rig.pass(), (0, "drained".into()));
    rig.list(&["c"]);
    assert_eq!(rig.pass(), (0, "drained".into()));
    assert_eq!(rig.log(), ["a", "b", "a", "b", "c"]);
}

#[test]
fn a_dry_run_writes_nothing() {
    let rig = Rig::load(&TEN, OK, "");
    let before: Vec<_> = std::fs::read_dir(rig.dir.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(rig.pass_with(&["--dry-run"]), (3, "dry_run".into()));
    let after: Vec<_> = std::fs::read_dir(rig.dir.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(before, after);
    assert_eq!(rig.pass().0, 0);
    assert_eq!(rig.pass_with(&["--dry-run"]), (0, "already_drained".into()));
}

#[test]
fn r04_a_halt_that_comes_after_the_budget_is_spent_halts() {
    // The second item is not begun for the budget; the first then asks for a halt.
    let script = "echo $1 >>log; sleep 0.5; exit 4";
    let rig = Rig::load(&["a", "b"], script, "concurrency = 2\nbudget = { max-items = 1 }");
    assert_eq!(rig.pass(), (4, "halted".into()));
    assert_eq!(rig.log(), ["a"]);
    assert_eq!(rig.pass(), (4, "halted".into()));
    assert_eq!(rig.log(), ["a"]);
}
