//! What waits on a lab host and no pass sends by itself: a person is told of it, and their word sends it.

use std::fs;
use std::os::unix::fs::symlink;

use crate::receive::{Running, config};
use crate::rig::Rig;
use crate::ship::job;

/// Larger than a receiver with a limit takes, however it is packed.
const BIG_BYTES: usize = 2 << 20;

fn record(rig: &Rig, id: &str, bytes: usize) {
    let dir = rig.path("episodes").join(id);
    fs::create_dir_all(&dir).unwrap();
    let mut noise = vec![0; bytes];
    fastrand::Rng::with_seed(5).fill(&mut noise);
    fs::write(dir.join("noise.bin"), &noise).unwrap();
    fs::write(dir.join("done.marker"), "").unwrap();
}

/// A host whose big episode was refused by a receiver that has a limit, and whose directory somebody removed then. The receiver has ended.
fn refused_and_removed() -> (Rig, String) {
    let receiving = config(&[("t", "lab")]);
    let rig = Rig::new(&receiving.replace("limits.free", "limits.size = \"1 MiB\"\nlimits.free"));
    fs::create_dir(rig.path("received")).unwrap();
    let receiver = Running::start(&rig);
    let both = receiving.replace("127.0.0.1:0", &receiver.address) + &job(&format!("http://{}", receiver.address), "");
    rig.write("highwater.toml", &both);
    record(&rig, "big", BIG_BYTES);
    assert!(rig.ok(&["run", "send"]).stdout.contains("1 review"));
    fs::remove_dir_all(rig.path("episodes/big")).unwrap();
    for id in ["s1", "s2"] {
        record(&rig, id, 10);
        assert!(rig.ok(&["run", "send"]).stdout.contains("1 done"));
    }
    let address = receiver.address.clone();
    assert_eq!(receiver.stop().code, 0);
    (rig, address)
}

#[test]
fn an_archive_whose_directory_is_gone_is_told_of_and_sent_by_a_retry_also_once_the_ledger_is_lost() {
    for loses_ledger in [false, true] {
        let (rig, address) = refused_and_removed();
        let told = "1 episode is parked, for a person: big (refused, its directory is gone)";
        let doctor = rig.run(&["doctor"]);
        assert!(doctor.stdout.contains(told), "{doctor:?}");
        let listed = rig.ok(&["episodes", "resolve"]);
        assert!(listed.stdout.contains("refused, its directory is gone"), "{listed:?}");
        assert_eq!(rig.ok(&["episodes", "resolve", "--json"]).json()["parked"][0]["directory_gone"], true);
        if loses_ledger {
            fs::remove_dir_all(rig.path(".highwater-state")).unwrap();
        }
        let receiver = Running::start(&rig);
        assert_eq!(receiver.address, address);
        let said = rig.ok(&["retry", "send", "big", "--why", "the limit is higher"]).stdout;
        assert!(said.contains("1 item is open again"), "{said}");
        let sent = rig.ok(&["run", "send"]);
        assert!(sent.stdout.contains("1 review"), "{sent:?}");
        assert!(rig.ok(&["items", "send"]).stdout.contains("the receiver has it; "));
        assert!(rig.path("received/episodes/lab/big.tar.zst").exists());
        assert!(!rig.path("outbox/big.tar.zst").exists());
        // What is nowhere is not said to be tried again.
        assert_eq!(rig.run(&["retry", "send", "nowhere"]).code, 2);
        assert_eq!(receiver.stop().code, 0);
    }
}

#[test]
fn what_is_nowhere_any_more_is_not_said_to_be_tried_again() {
    let (rig, _) = refused_and_removed();
    fs::remove_file(rig.path("outbox/big.tar.zst")).unwrap();
    let said = rig.run(&["retry", "send", "big"]);
    assert!(said.code == 2 && said.stderr.contains("HW-CMD-004"), "{said:?}");
}

/// Of which the newest round has no item: the answer leads to what lets it go on.
#[test]
fn a_retry_of_an_episode_of_an_earlier_round_says_what_is_to_be_done_with_it() {
    let rig = Rig::new(&config(&[("t", "lab")]));
    fs::create_dir(rig.path("received")).unwrap();
    let receiver = Running::start(&rig);
    rig.write("highwater.toml", &job(&format!("http://{}", receiver.address), ""));
    record(&rig, "two-of-it", 10);
    fs::create_dir_all(rig.path("shipped/two-of-it")).unwrap();
    rig.write("shipped/two-of-it/telemetry.csv", "nobody received it");
    record(&rig, "sent", 10);
    rig.ok(&["run", "send"]);
    record(&rig, "later", 10);
    rig.ok(&["run", "send"]);
    record(&rig, "new", 10);
    fs::create_dir_all(rig.path("episodes/half")).unwrap();
    let next = |id: &str| {
        let said = rig.run(&["retry", "send", id]);
        assert!(said.code == 2 && said.stderr.contains("error[HW-CMD-004]"), "{said:?}");
        assert!(said.stderr.contains(&format!("has no item {id}; nothing was changed")), "{said:?}");
        said.stderr.split_once("next: ").unwrap().1.trim_end().to_owned()
    };
    let told = "two-of-it is parked (another in `shipped`): say which one it is to be, ";
    assert_eq!(
        next("two-of-it"),
        format!("{told}`highwater episodes resolve two-of-it --job send --keep local|remote`")
    );
    assert!(next("half").contains("half is being recorded: it is sent once "));
    assert_eq!(next("new"), "new was on no list yet: `highwater ship send` sends it");
    assert!(next("nowhere").contains("look with `highwater items send`"));
    // As it is told.
    let said = next("sent");
    assert!(said.starts_with("sent was sent and lies in `shipped`; to send it again, `mv -n "), "{said}");
    let moves = said.split('`').nth(3).unwrap();
    assert_eq!(rig.sh(moves).code, 0, "{moves}");
    assert!(rig.ok(&["ship", "send"]).stdout.contains("2 done"));
    assert!(rig.path("shipped/sent/noise.bin").exists() && rig.path("shipped/new/noise.bin").exists());
    assert_eq!(receiver.stop().code, 0);
}

#[test]
fn one_that_could_not_be_packed_is_tried_again_by_a_retry() {
    let rig = Rig::new(&job("http://127.0.0.1:1", ""));
    record(&rig, "odd", 10);
    symlink("/", rig.path("episodes/odd/link")).unwrap();
    assert!(rig.ok(&["run", "send"]).stdout.contains("1 review"));
    rig.ok(&["run", "send"]);
    fs::remove_file(rig.path("episodes/odd/link")).unwrap();
    let said = rig.ok(&["retry", "send", "odd"]).stdout;
    assert!(said.contains("1 item is open again"), "{said}");
    assert_eq!(rig.run(&["run", "send"]).code, 3, "nobody is there");
    assert!(rig.path("outbox/odd.tar.zst").exists());
}

#[test]
fn where_shipped_has_another_one_the_receivers_is_this_hosts() {
    let rig = Rig::new(&config(&[("t", "lab")]));
    fs::create_dir(rig.path("received")).unwrap();
    let receiver = Running::start(&rig);
    rig.write("highwater.toml", &job(&format!("http://{}", receiver.address), ""));
    record(&rig, "ep-1", 10);
    fs::create_dir_all(rig.path("shipped/ep-1")).unwrap();
    rig.write("shipped/ep-1/telemetry.csv", "nobody received it");
    let sent = rig.ok(&["run", "send"]);
    assert!(sent.stdout.contains("1 review"), "{sent:?}");
    let listed = rig.ok(&["episodes", "resolve"]);
    assert!(listed.stdout.contains("another in `shipped`"), "{listed:?}");
    let said = rig.ok(&["episodes", "resolve", "ep-1", "--keep", "remote"]).stdout;
    assert!(said.contains("the receiver's stays, which is the one in `episodes`"), "{said}");
    assert_eq!(rig.read("shipped/.review/ep-1.0/telemetry.csv"), "nobody received it");
    assert!(rig.ok(&["run", "send"]).stdout.contains("1 done"));
    assert!(rig.path("shipped/ep-1/noise.bin").exists() && !rig.path("episodes/ep-1").exists());
    assert_eq!(receiver.stop().code, 0);
}

#[test]
fn a_finished_directory_that_is_passed_over_is_told() {
    let rig = Rig::new(&job("http://127.0.0.1:1", ""));
    record(&rig, "two words", 10);
    fs::create_dir_all(rig.path("episodes/odd/done.marker")).unwrap();
    symlink("two words", rig.path("episodes/link")).unwrap();
    let doctor = rig.run(&["doctor"]);
    for told in [
        "a finished directory cannot be an episode's: \"two words\"",
        "`done.marker` is no file: \"odd\"",
        "a symlink where an episode's directory would be is not followed: \"link\"",
    ] {
        assert!(doctor.code == 2 && doctor.stdout.contains(told), "{told}: {doctor:?}");
    }
}

#[test]
fn a_directory_by_two_names_and_two_jobs_with_one_are_refused_before_anything_is_moved() {
    let one = |more: &str| {
        format!("[job.send]\nkind = \"ship\"\nreceiver = \"http://127.0.0.1:1\"\nhost-id = \"lab\"\n{more}\n")
    };
    let rig = Rig::new(&one("shipped = \"up/episodes\""));
    symlink(".", rig.path("up")).unwrap();
    record(&rig, "ep-1", 10);
    for call in [&["run", "send"][..], &["config", "check"], &["doctor"]] {
        let said = rig.run(call);
        let all = format!("{}{}", said.stdout, said.stderr);
        assert!(said.code == 2 && all.contains("HW-EPI-106") && all.contains("`episodes`"), "{call:?}: {said:?}");
    }
    let two = one("episodes = \"a\"") + &one("episodes = \"b\"\nshipped = \"sent\"").replace("job.send", "job.other");
    rig.write("highwater.toml", &two);
    let said = rig.run(&["config", "check"]);
    assert!(said.code == 2 && said.stderr.contains("`outbox` of job `"), "{said:?}");
    assert!(rig.path("episodes/ep-1/noise.bin").exists() && !rig.path("outbox").exists());
}

#[test]
fn a_ping_names_what_is_in_between_and_what_it_is_told_of_a_commit() {
    let ping = |address: &str, answers: &'static str| {
        let rig = Rig::new(&job(address, ""));
        fs::create_dir(rig.path("episodes")).unwrap();
        let ended = rig.run(&["ship", "--ping"]);
        assert_eq!(ended.code, 4, "{answers}: {ended:?}");
        ended.stdout
    };
    for (answer, found, next) in [
        (
            "302 X\r\nLocation: http://login.invalid/\r\n",
            "302: it sends whoever asks to http://login.invalid/",
            "address of the receiver itself",
        ),
        ("307 X\r\n", "307: it sends whoever asks elsewhere", "address of the receiver itself"),
        ("511 X\r\n", "511: the network wants a login first", "log in to the network"),
        ("502 X\r\n", "502: a proxy between the two gets no answer", "start the receiver"),
    ] {
        let said: &'static str =
            Box::leak(format!("HTTP/1.1 {answer}Content-Length: 0\r\nConnection: close\r\n\r\n").into_boxed_str());
        let (address, served) = crate::ship::far_side(said);
        let told = ping(&address, said);
        assert!(told.contains(found) && told.contains(next), "{told}");
        crate::ship::asked(&address, served);
    }
    // What a port of TLS says to plain HTTP.
    let (address, served) = crate::ship::far_side("\x15\x03\x01\x00\x02\x02\x16");
    let told = ping(&address, "an alert");
    assert!(told.contains("it may speak TLS") && told.contains("write https://"), "{told}");
    crate::ship::asked(&address, served);

    let rig = Rig::new(&config(&[("t", "lab")]));
    fs::create_dir(rig.path("received")).unwrap();
    let receiver = Running::start(&rig);
    rig.write("highwater.toml", &job(&format!("http://{}", receiver.address), ""));
    record(&rig, "ep-1", 10);
    let told = rig.ok(&["ship", "--ping"]).stdout;
    assert!(told.contains("the receiver judges no code"), "{told}");
    assert_eq!(receiver.stop().code, 0);
}

#[test]
fn an_outbox_that_is_anothers_is_told_before_a_pass_with_a_way_out_that_works() {
    let rig = Rig::new(&job("http://127.0.0.1:1", ""));
    record(&rig, "ep-1", 10);
    assert_eq!(rig.run(&["run", "send"]).code, 3, "it is packed, and nobody is there");
    // As after a move to a machine where the old directory is there too.
    fs::create_dir(rig.path("old")).unwrap();
    let note = rig.path("outbox/.episodes.json");
    let mut owner: serde_json::Value = serde_json::from_slice(&fs::read(&note).unwrap()).unwrap();
    owner["episodes"] = rig.path("old").to_str().unwrap().into();
    fs::write(&note, owner.to_string()).unwrap();
    let way_out = format!("remove {} and call again", note.display());
    for (call, code) in [(&["run", "send"][..], 2), (&["doctor"], 2), (&["ship", "send", "--ping"], 4)] {
        let said = rig.run(call);
        let all = format!("{}{}", said.stdout, said.stderr);
        assert!(said.code == code && all.contains("found the outbox of the episodes in"), "{call:?}: {said:?}");
        assert!(all.split_whitespace().collect::<Vec<_>>().join(" ").contains(&way_out), "{call:?}: {said:?}");
    }
    fs::remove_file(&note).unwrap();
    assert_eq!(rig.run(&["run", "send"]).code, 3);
    assert!(rig.path("outbox/ep-1.tar.zst").exists() && note.exists());
}

#[test]
fn an_archive_that_waits_is_no_host_that_is_well() {
    let rig = Rig::new(&job("http://127.0.0.1:1", ""));
    record(&rig, "ep-1", 10);
    assert_eq!(rig.run(&["run", "send"]).code, 3);
    let well = rig.run(&["doctor"]);
    assert!(well.code == 0 && well.stdout.ends_with("all is well\n"), "{well:?}");
    fs::remove_dir_all(rig.path("episodes/ep-1")).unwrap();
    assert!(rig.ok(&["episodes", "resolve"]).stdout.contains("its archive waits"));
    let told = rig.run(&["doctor"]);
    assert_eq!(told.code, 2, "{told:?}");
    assert!(told.stdout.contains("fix  waiting") && told.stdout.contains("`highwater ship send`"), "{told:?}");
}

#[test]
fn an_archive_that_made_room_for_another_episode_of_its_name_is_listed_with_how_it_is_sent() {
    let rig = Rig::new(&job("http://127.0.0.1:1", ""));
    for bytes in [10, 20] {
        record(&rig, "ep-1", bytes);
        assert_eq!(rig.run(&["run", "send"]).code, 3);
        fs::remove_dir_all(rig.path("episodes/ep-1")).unwrap();
    }
    let doctor = rig.run(&["doctor"]).stdout;
    assert!(doctor.contains("1 archive lies aside") && doctor.contains("ep-1.0.tar.zst"), "{doctor}");
    assert!(doctor.contains("1 archive waits in the outbox whose directory is gone"), "{doctor}");
    let listed = rig.ok(&["episodes", "resolve"]).stdout;
    assert!(listed.contains("archive set aside") && listed.contains("mv -n"), "{listed}");
    // Whole, however long it is.
    assert!(
        listed.contains("the next pass reads it, and sends it if it is whole") && !listed.contains('…'),
        "{listed}"
    );
    assert!(listed.contains("its archive waits"), "{listed}");
    let json = rig.ok(&["episodes", "resolve", "--json"]).json();
    assert_eq!(json["aside"][0]["episode_id"], "ep-1");
    assert_eq!(json["waiting"][0], "ep-1");
    assert!(rig.path("outbox/.review/ep-1.0.tar.zst").exists() && rig.path("outbox/ep-1.tar.zst").exists());
    // Where nothing can be set aside, each of them says so.
    fs::rename(rig.path("outbox/.review"), rig.path("kept")).unwrap();
    fs::write(rig.path("outbox/.review"), "").unwrap();
    for (call, code) in [(&["doctor"][..], 2), (&["ship", "send", "--ping"], 4), (&["episodes", "resolve"], 0)] {
        let said = rig.run(call);
        let words = said.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(said.code == code && words.contains(".review is a file, expected a directory"), "{call:?}: {said:?}");
        assert!(words.contains("mv -n"), "{call:?}: {said:?}");
    }
}
