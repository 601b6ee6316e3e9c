//! `highwater ship`: a look at the way there, one pass, and going on for ever, as a person calls them.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;

use crate::receive::{Running, config};
use crate::rig::{Ended, Rig, end, signal, wait_until};

pub(crate) fn job(address: &str, more: &str) -> String {
    format!(
        "[job.send]\nkind = \"ship\"\nreceiver = \"{address}\"\nhost-id = \"lab\"\ntoken = \"t\"\nresources = [\"r\"]\n{more}\n[resource.r]\nlock = \"file:r.lock\"\n"
    )
}

fn record(rig: &Rig, id: &str, commit: Option<&str>) {
    let dir = rig.path(&format!("episodes/{id}"));
    std::fs::create_dir_all(&dir).unwrap();
    std::fs::write(dir.join("telemetry.csv"), id).unwrap();
    if let Some(commit) = commit {
        std::fs::write(dir.join("meta.json"), format!(r#"{{"code_version":{{"commit":"{commit}"}}}}"#)).unwrap();
    }
    std::fs::write(dir.join("done.marker"), "").unwrap();
}

/// A receiver that runs, and a host that sends to it.
fn pair(gate: &str) -> (Rig, Running) {
    let rig = Rig::new(&format!("{}{gate}", config(&[("t", "lab"), ("u", "other")])));
    std::fs::create_dir(rig.path("received")).unwrap();
    std::fs::create_dir(rig.path("episodes")).unwrap();
    let receiver = Running::start(&rig);
    rig.write("highwater.toml", &job(&format!("http://{}", receiver.address), ""));
    (rig, receiver)
}

/// The word, the subject and what was found, of each line.
fn lines(ended: &Ended) -> Vec<(bool, String, String)> {
    let json = ended.json();
    let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
    let findings = json["findings"].as_array().unwrap().clone();
    findings.iter().map(|line| (line["ok"] == true, text(&line["what"]), text(&line["found"]))).collect()
}

fn ping(rig: &Rig) -> Ended {
    rig.run(&["ship", "--ping", "--json"])
}

fn fix(ended: &Ended) -> (String, String) {
    let mut fixes: Vec<_> = lines(ended).into_iter().filter(|line| !line.0).collect();
    assert_eq!(fixes.len(), 1, "{ended:?}");
    let (_, what, found) = fixes.remove(0);
    (what, found)
}

#[test]
fn a_ping_looks_at_each_step_and_writes_nothing() {
    let (rig, receiver) = pair("");
    let good = rig.ok(&["ship", "send", "--ping"]);
    let what: Vec<_> = good.stdout.lines().filter_map(|line| line.split_whitespace().nth(1)).collect();
    assert_eq!(what, ["dns", "connect", "tls", "token", "host", "clock", "gate", "is"], "{good:?}");
    assert!(good.stdout.ends_with("all is well\n"), "{good:?}");
    let toml = rig.read("highwater.toml");
    for (from, to, what, found) in [
        ("token = \"t\"", "token = \"wrong\"", "token", "401"),
        ("token = \"t\"", "token = \"u\"", "host", "it may write to other, not to lab"),
        ("http://127.0.0.1", "http://no-such-host.invalid", "dns", "no-such-host.invalid is not found"),
        ("http://", "https://", "tls", "does not speak TLS"),
        (&receiver.address, "127.0.0.1:1", "connect", "port 1: "),
    ] {
        rig.write("highwater.toml", &toml.replace(from, to));
        let ended = ping(&rig);
        assert_eq!(ended.code, 4, "{ended:?}");
        let told = fix(&ended);
        assert!(told.0 == what && told.1.contains(found), "{told:?}");
        assert!(rig.run(&["ship", "--ping"]).stdout.contains("next: "), "each has what to do");
    }
    rig.write(
        "highwater.toml",
        &toml.replace("host-id", "tls.ca = \"none.pem\"\nhost-id").replace("http://", "https://"),
    );
    assert_eq!(fix(&ping(&rig)).0, "certificate");
    rig.write("highwater.toml", &toml);
    std::fs::remove_dir(rig.path("episodes")).unwrap();
    assert_eq!(fix(&ping(&rig)).0, "episodes");
    assert_eq!(rig.read("received/index.jsonl"), "");
    assert!(!rig.path("outbox").exists() && !rig.path(".highwater-state").join("ledger.db").exists());
    assert_eq!(rig.run(&["ship", "send", "--ping", "--once"]).code, 2);
    assert_eq!(receiver.stop().code, 0);
}

#[test]
fn a_ping_asks_the_gate_for_what_recorded_the_episodes_that_wait() {
    let gate = "[receiver.gate]\nrepository = \"code\"\nremediation = [\"git -C /srv/code pull\"]\n";
    let rig = Rig::new(&format!("{}{gate}", config(&[("t", "lab")])));
    std::fs::create_dir(rig.path("received")).unwrap();
    let made = rig.sh(
        "export GIT_CONFIG_GLOBAL=/dev/null GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a@b GIT_COMMITTER_NAME=a GIT_COMMITTER_EMAIL=a@b
         git init -q code && cd code && git commit -q --allow-empty -m one && git log --format=%H",
    );
    let head = made.stdout.trim().to_owned();
    if head.len() != 40 {
        highwater_testkit::not_here::NotHere("there is no git".to_owned()).say("a ping and the version gate");
        return;
    }
    let receiver = Running::start(&rig);
    rig.write("highwater.toml", &job(&format!("http://{}", receiver.address), ""));
    std::fs::create_dir(rig.path("episodes")).unwrap();
    let none = ping(&rig);
    assert!(none.code == 0 && none.stdout.contains("no finished episode is here to ask for"), "{none:?}");
    record(&rig, "ep-1", Some(&head));
    record(&rig, "ep-2", Some(&head));
    assert_eq!(ping(&rig).code, 0);
    record(&rig, "ep-3", Some(&"a".repeat(40)));
    let ended = ping(&rig);
    let gates: Vec<_> = lines(&ended).into_iter().filter(|line| line.1 == "gate").collect();
    assert_eq!(gates.len(), 2, "each commit is asked for once: {ended:?}");
    let (what, found) = fix(&ended);
    assert!(ended.code == 4 && what == "gate" && found.contains("(ep-3) is out of date") && found.contains(&head));
    assert!(ended.stdout.contains("git -C /srv/code pull"), "{ended:?}");
    assert_eq!(receiver.stop().code, 0);
}

/// A far side that says the same to whoever asks; how often it was asked is told at its end.
pub(crate) fn far_side(answer: &'static str) -> (String, std::thread::JoinHandle<usize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let served = std::thread::spawn(move || {
        let mut asked = 0;
        for stream in listener.incoming() {
            let mut reader = BufReader::new(stream.unwrap());
            let mut line = String::new();
            let mut first = String::new();
            while reader.read_line(&mut line).unwrap() > 2 {
                if first.is_empty() {
                    first = std::mem::take(&mut line);
                }
                line.clear();
            }
            if first.starts_with("GET /end") {
                return asked;
            }
            if !first.is_empty() {
                asked += 1;
                reader.into_inner().write_all(answer.as_bytes()).unwrap();
            }
        }
        asked
    });
    (address, served)
}

pub(crate) fn asked(address: &str, served: std::thread::JoinHandle<usize>) -> usize {
    let mut stream = std::net::TcpStream::connect(address.strip_prefix("http://").unwrap()).unwrap();
    stream.write_all(b"GET /end HTTP/1.1\r\n\r\n").unwrap();
    let _ = stream.read_to_end(&mut Vec::new());
    served.join().unwrap()
}

#[test]
fn r02_a_ping_keeps_the_ban_that_it_is_answered_with() {
    let (address, served) =
        far_side("HTTP/1.1 503 No\r\nRetry-After: 3600\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    let rig = Rig::new(&job(&address, ""));
    std::fs::create_dir(rig.path("episodes")).unwrap();
    let first = ping(&rig);
    assert!(first.code == 3 && fix(&first).1.contains("Retry-After: 3600"), "{first:?}");
    for _ in 0..3 {
        let again = ping(&rig);
        assert!(again.code == 3 && fix(&again).0 == "ban", "{again:?}");
    }
    record(&rig, "ep-1", None);
    assert_eq!(rig.run(&["ship", "--once"]).code, 3);
    assert_eq!(asked(&address, served), 1, "nobody asks before the ban is over");
}

#[test]
fn a_ping_tells_how_far_the_clocks_are_apart_and_what_is_no_receiver() {
    let answer =
        "HTTP/1.1 404 No\r\nDate: Thu, 01 Jan 2015 00:00:00 GMT\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    let (address, served) = far_side(answer);
    let rig = Rig::new(&job(&address, ""));
    std::fs::create_dir(rig.path("episodes")).unwrap();
    let old = ping(&rig);
    let fixes: Vec<_> = lines(&old).into_iter().filter(|line| !line.0).collect();
    assert!(old.code == 4 && fixes.len() == 2, "{old:?}");
    assert!(
        fixes[0].1 == "answer" && fixes[0].2.contains("older receiver or something else cannot be told"),
        "{old:?}"
    );
    assert!(fixes[1].1 == "clock" && fixes[1].2.contains("ahead of the receiver's"), "{old:?}");
    let text = rig.run(&["ship", "--ping"]).stdout;
    assert!(text.contains(&fixes[0].2), "nothing is cut off: {text}");
    asked(&address, served);
    let (address, served) = far_side("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi");
    rig.write("highwater.toml", &job(&address, ""));
    assert_eq!(fix(&ping(&rig)).0, "answer");
    asked(&address, served);
}

/// As when a directory is restored: what is there now is what is watched.
#[test]
fn the_daemon_watches_the_directory_that_took_the_place_of_the_first() {
    let (rig, receiver) = pair("");
    record(&rig, "before", None);
    let daemon = rig.start(&["ship", "send", "--daemon"]);
    wait_until("what was finished before", || rig.path("shipped/before").exists());
    std::fs::create_dir(rig.path("others")).unwrap();
    let flags = rustix::fs::RenameFlags::EXCHANGE;
    let (one, other) = (rig.path("others"), rig.path("episodes"));
    rustix::fs::renameat_with(rustix::fs::CWD, one, rustix::fs::CWD, other, flags).unwrap();
    record(&rig, "after", None);
    wait_until("what was finished in the other", || rig.path("shipped/after").exists());
    signal(&daemon, "TERM");
    let ended = end(daemon);
    assert!(ended.code == 0 && ended.stderr.contains("moved away or removed"), "{ended:?}");
    assert_eq!(receiver.stop().code, 0);
}

#[test]
fn the_daemon_sends_each_episode_as_it_is_finished_and_ends_with_sigterm() {
    let (rig, receiver) = pair("");
    record(&rig, "before", None);
    // One is being recorded when it starts, one begins later.
    std::fs::create_dir(rig.path("episodes/during")).unwrap();
    let daemon = rig.start(&["ship", "send", "--daemon"]);
    let shipped = |id: &str| rig.path(&format!("shipped/{id}/telemetry.csv")).exists();
    wait_until("what was finished before", || shipped("before"));
    // Far sooner than the next scan, which comes after five minutes.
    record(&rig, "during", None);
    wait_until("what was being recorded", || shipped("during"));
    record(&rig, "after", None);
    wait_until("what began later", || shipped("after"));
    std::fs::create_dir(rig.path("made")).unwrap();
    std::fs::write(rig.path("made/telemetry.csv"), "x").unwrap();
    std::fs::write(rig.path("made/done.marker"), "").unwrap();
    std::fs::rename(rig.path("made"), rig.path("episodes/moved")).unwrap();
    wait_until("what was moved there whole", || shipped("moved"));
    signal(&daemon, "TERM");
    let ended = end(daemon);
    assert_eq!(ended.code, 0, "{ended:?}");
    assert!(ended.stderr.contains("ended by a signal"), "{ended:?}");
    assert_eq!(rig.read("received/index.jsonl").lines().count(), 4);
    // Nothing is left of it in the way of a pass.
    rig.ok(&["ship"]);
    assert_eq!(receiver.stop().code, 0);
}

#[test]
fn the_daemon_takes_sighup_as_a_word_to_read_the_configuration_again_and_to_pass() {
    let (rig, receiver) = pair("");
    let right = rig.read("highwater.toml");
    rig.write("highwater.toml", &right.replace("token = \"t\"", "token = \"wrong\""));
    record(&rig, "before", None);
    let daemon = rig.doom(&["ship", "--daemon"]);
    let shipped = |id: &str| rig.path(&format!("shipped/{id}/telemetry.csv")).exists();
    // The last pass that has ended, and how many it left for a person.
    let passes = || {
        let status = rig.run(&["--ledger", ".highwater-state/ledger.db", "status", "send", "--json"]);
        let of: serde_json::Value = serde_json::from_str(&status.stdout).ok()?;
        let last = of["jobs"][0]["last_pass"].clone();
        last["ended_at"].as_str()?;
        Some((last["id"].as_u64()?, last["counts"]["review"].as_u64()?))
    };
    wait_until("a pass that is refused", || passes().is_some_and(|(_, review)| review == 1));
    // One that cannot be read changes nothing, and ends nothing.
    let (before, _) = passes().unwrap();
    rig.write("highwater.toml", "[job.send]\nrot = 1\n");
    hang_up(&daemon);
    wait_until("another pass", || passes().is_some_and(|(id, _)| id > before));
    assert!(!shipped("before"));
    rig.write("highwater.toml", &right);
    hang_up(&daemon);
    wait_until("what is sent with another token", || shipped("before"));
    // Other directories too.
    rig.write(
        "highwater.toml",
        &right.replace("kind = \"ship\"", "kind = \"ship\"\nepisodes = \"others\"\noutbox = \"others-out\""),
    );
    std::fs::create_dir(rig.path("others")).unwrap();
    std::fs::rename(rig.path("shipped/before"), rig.path("others/after")).unwrap();
    hang_up(&daemon);
    wait_until("what is sent from elsewhere", || shipped("after"));
    signal_doomed(&daemon);
    let ended = daemon.end();
    assert!(ended.code == 0 && ended.stderr.contains("the old one stays"), "{ended:?}");
    assert_eq!(receiver.stop().code, 0);
}

#[test]
fn an_upload_in_hand_takes_the_bandwidth_that_is_set_meanwhile() {
    let (rig, receiver) = pair("");
    let toml = job(&format!("http://{}", receiver.address), "bandwidth = \"128KiB/s\"\nresume-above = \"1MiB\"\n");
    rig.write("highwater.toml", &toml);
    record(&rig, "ep-1", None);
    let mut noise = vec![0; 64 << 20];
    fastrand::Rng::with_seed(3).fill(&mut noise);
    std::fs::write(rig.path("episodes/ep-1/noise.bin"), noise).unwrap();
    std::fs::write(rig.path("episodes/ep-1/done.marker"), "").unwrap();
    // More than eight minutes at this rate: it ends in time only if it obeys.
    let shipper = rig.start(&["ship", "send"]);
    let staging = rig.path("received/episodes/.staging");
    wait_until("an upload of which something came", || {
        let files = std::fs::read_dir(&staging).unwrap().filter_map(|file| file.ok()?.metadata().ok());
        files.map(|file| file.len()).sum::<u64>() > 256 << 10
    });
    let said = rig.ok(&["set", "send", "bandwidth=1GiB/s", "--why", "the office is empty"]).stdout;
    assert!(said.contains("sees it in mid-upload"), "{said}");
    wait_until("the end of the upload", || rig.path("shipped/ep-1/noise.bin").exists());
    let ended = end(shipper);
    assert_eq!(ended.code, 0, "{ended:?}");
    assert_eq!(receiver.stop().code, 0);
}

#[test]
fn the_daemon_waits_out_a_halt_and_a_receiver_that_is_away() {
    let rig = Rig::new(&job("http://127.0.0.1:1", ""));
    record(&rig, "ep-1", None);
    let daemon = rig.doom(&["ship", "--daemon"]);
    let passes = || {
        let status = rig.run(&["status", "send", "--json"]);
        status.stdout.contains("\"reason\":\"network\"")
    };
    wait_until("a pass that met nobody", passes);
    rig.ok(&["halt", "send", "--why", "the receiver moves"]);
    wait_until("a pass that was halted", || {
        rig.run(&["status", "send", "--json"]).stdout.contains("\"reason\":\"halted\"")
    });
    signal_doomed(&daemon);
    let ended = daemon.end();
    assert_eq!(ended.code, 0, "{ended:?}");
    assert!(ended.stdout.matches("halted").count() <= 2, "a halt is told once: {ended:?}");
}

#[test]
fn r02_the_daemon_goes_on_soon_after_a_ban_is_lifted_a_halt_rearmed_and_a_pause_over() {
    let (rig, receiver) = pair("");
    record(&rig, "before", None);
    let daemon = rig.doom(&["ship", "--daemon"]);
    let shipped = |id: &str| rig.path(&format!("shipped/{id}/telemetry.csv")).exists();
    wait_until("what was finished before", || shipped("before"));
    let keep = |word: &[&str], why: &str, id: &str| {
        rig.ok(word);
        record(&rig, id, None);
        wait_until(&format!("a pass that is {why}"), || {
            rig.run(&["status", "send", "--json"]).stdout.contains(&format!("\"reason\":\"{why}\""))
        });
        assert!(!shipped(id), "{id}");
    };
    // Each far sooner than the end of the ban, and than the next scan.
    keep(&["ban", "r", "--for", "1h", "--why", "it moves"], "banned_until", "banned");
    rig.ok(&["lift", "r", "--why", "it is back"]);
    wait_until("what was finished under the ban", || shipped("banned"));
    keep(&["halt", "send", "--why", "the receiver moves"], "halted", "halted");
    rig.ok(&["rearm", "send", "--why", "it is back"]);
    wait_until("what was finished under the halt", || shipped("halted"));
    keep(&["pause", "send", "--why", "it moves"], "paused", "paused");
    rig.ok(&["resume", "send", "--why", "it is back"]);
    wait_until("what was finished under the pause", || shipped("paused"));
    signal_doomed(&daemon);
    assert_eq!(daemon.end().code, 0);
    assert_eq!(receiver.stop().code, 0);
}

#[test]
fn the_daemon_goes_on_soon_after_what_was_refused_is_retried_and_a_conflict_is_resolved() {
    let receiving = config(&[("t", "lab")]);
    let rig = Rig::new(&receiving.replace("limits.free", "limits.size = \"1 MiB\"\nlimits.free"));
    std::fs::create_dir(rig.path("received")).unwrap();
    let receiver = Running::start(&rig);
    let both = |address: &str| receiving.replace("127.0.0.1:0", address) + &job(&format!("http://{address}"), "");
    rig.write("highwater.toml", &both(&receiver.address));
    let mut noise = vec![0; 2 << 20];
    fastrand::Rng::with_seed(5).fill(&mut noise);
    for id in ["big-1", "big-2"] {
        std::fs::create_dir_all(rig.path(&format!("episodes/{id}"))).unwrap();
        std::fs::write(rig.path(&format!("episodes/{id}/noise.bin")), &noise).unwrap();
        record(&rig, id, None);
    }
    let daemon = rig.doom(&["ship", "--daemon"]);
    let shipped = |id: &str| rig.path(&format!("shipped/{id}/telemetry.csv")).exists();
    let parked = |id: &str| rig.path(&format!("outbox/.parked/{id}.json")).exists();
    wait_until("two that are refused", || parked("big-1") && parked("big-2"));
    let address = receiver.address.clone();
    assert_eq!(receiver.stop().code, 0);
    let receiver = Running::start(&rig);
    assert_eq!(receiver.address, address);
    // Far sooner than the next scan: while its round is the newest, and later.
    rig.ok(&["retry", "send", "big-1", "--why", "the limit is higher"]);
    wait_until("what is tried again", || shipped("big-1"));
    record(&rig, "other", None);
    wait_until("a later round", || shipped("other"));
    assert!(!shipped("big-2"), "it waits");
    let said = rig.ok(&["retry", "send", "big-2", "--why", "the limit is higher"]).stdout;
    assert!(said.contains("1 item is open again"), "{said}");
    wait_until("what is tried again of an earlier round", || shipped("big-2"));
    assert_eq!(rig.run(&["retry", "send", "big-2", "big-3"]).code, 2);
    record(&rig, "other", Some(&"a".repeat(40)));
    wait_until("a conflict", || parked("other"));
    rig.ok(&["episodes", "withdraw", "lab/other", "--make-room", "--why", "it was the wrong one"]);
    rig.ok(&["episodes", "resolve", "other", "--keep", "local"]);
    wait_until("what was resolved", || rig.path("shipped/other/meta.json").exists());
    signal_doomed(&daemon);
    assert_eq!(daemon.end().code, 0);
    assert_eq!(receiver.stop().code, 0);
}

#[test]
fn rearm_of_a_drained_shipper_says_that_the_next_pass_looks_for_more() {
    let rig = Rig::new(&job("http://127.0.0.1:1", ""));
    std::fs::create_dir(rig.path("episodes")).unwrap();
    rig.ok(&["ship", "send"]);
    rig.ok(&["halt", "send", "--why", "the receiver moves"]);
    let said = rig.ok(&["rearm", "send", "--why", "it is back"]).stdout;
    assert!(!said.contains("nothing to do") && said.contains("`highwater run send`"), "{said}");
}

fn signal_doomed(daemon: &crate::rig::Doomed) {
    signalled(daemon, "-TERM");
}

fn hang_up(daemon: &crate::rig::Doomed) {
    signalled(daemon, "-HUP");
}

fn signalled(daemon: &crate::rig::Doomed, signal: &str) {
    let sent = std::process::Command::new("kill").args([signal, &daemon.pid().to_string()]).status().unwrap();
    assert!(sent.success());
}

#[test]
fn r15_an_error_of_the_disk_names_its_path_once() {
    let once = |ended: &Ended, code: &str, path: &std::path::Path| {
        assert!(ended.stderr.contains(&format!("error[{code}]: ")), "{ended:?}");
        assert_eq!(ended.stderr.matches(&path.display().to_string()).count(), 1, "{ended:?}");
    };
    let rig = Rig::new(&job("http://127.0.0.1:1", ""));
    let missing = rig.run(&["ship"]);
    once(&missing, "HW-EPI-101", &rig.path("episodes"));
    assert!(missing.stderr.contains("next: make the directory"), "{missing:?}");
    std::fs::create_dir(rig.path("elsewhere")).unwrap();
    std::os::unix::fs::symlink(rig.path("elsewhere"), rig.path("episodes")).unwrap();
    once(&rig.run(&["ship"]), "HW-EPI-102", &rig.path("episodes"));
    std::fs::remove_file(rig.path("episodes")).unwrap();
    rig.write("highwater.toml", &job("http://127.0.0.1:1", "judge = \"ships\"\ncode-commit = \"COMMIT\""));
    record(&rig, "ep-1", None);
    rig.write("COMMIT", "abc1234");
    once(&rig.run(&["ship"]), "HW-EPI-103", &rig.path("COMMIT"));
}

#[test]
fn r15_a_token_that_no_header_can_carry_is_refused_and_not_shown() {
    let rig = Rig::new("");
    for token in ["", "sesame\\n", " sesame", "sesame ", "ses\\u0000ame", "ses\\tame"] {
        rig.write(
            "highwater.toml",
            &job("http://127.0.0.1:1", "").replace("token = \"t\"", &format!("token = \"{token}\"")),
        );
        let ended = rig.run(&["ship", "send"]);
        assert_eq!(ended.code, 2, "{token:?}: {ended:?}");
        assert!(ended.stderr.contains("job.send.token") && ended.stderr.contains("next: correct it"), "{ended:?}");
        assert!(!ended.stderr.contains("same"), "{ended:?}");
    }
}
