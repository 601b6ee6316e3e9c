//! The whole life of episodes between one lab host and one receiver, over mutual TLS: every answer that there is, in the order in which
//! a lab meets them.

use std::fs;

use highwater_testkit::certificates::{Authority, Paper, Terms};

use super::house::{Code, House, REMEDIATION, TOKEN, with_certificate};
use super::{sha256, stored};
use crate::rig::wait_until;

const LIMITS: &str = "limits.free = \"1 MB\"\nlimits.size = \"1 MiB\"\n";

/// A gate that accepts the newest two commits.
fn gate() -> String {
    format!("[receiver.gate]\nrepository = \"code\"\nwindow = 2\nremediation = {REMEDIATION:?}\n")
}

fn noise(bytes: usize) -> Vec<u8> {
    let mut dice = fastrand::Rng::with_seed(7);
    (0..bytes).map(|_| dice.u8(..)).collect()
}

/// What says who sends, in a request of a test's own.
fn of(commit: &str) -> String {
    format!("X-Code-Commit: {commit}\r\n")
}

#[test]
fn an_episode_meets_every_answer_of_its_receiver() {
    let mut house = House::new(LIMITS, &gate());
    let host = house.host("lab-1");
    let (code, commits) = Code::new(&house.rig.path("not-yet"), 4);
    let (oldest, newest) = (commits[0].as_str(), commits[3].as_str());

    // Nobody is there: packed once, kept, and the pass is a checkpoint.
    host.record("episodes", "ep-1", b"t,load\n0,1\n", Some(newest));
    host.passes("send", 3, "network");
    assert_eq!((host.names("episodes"), host.names("outbox")), (vec!["ep-1".into()], vec!["ep-1.tar.zst".into()]));
    let packed = fs::read(host.rig.path("outbox/ep-1.tar.zst")).unwrap();

    // There, and the gate has read nothing: 503 with Retry-After is a ban, which the next pass obeys.
    house.open();
    let nothing = house.stored();
    let (status, said) = house.put("ep-1", &of(newest), b"bytes");
    assert!(status == 503 && said.to_lowercase().contains("\r\nretry-after: 5\r\n"), "{said}");
    assert!(["HEAD", oldest, &"0".repeat(40)].iter().all(|commit| house.put("ep-1", &of(commit), b"bytes").0 == 503));
    host.passes("send", 3, "banned_until");
    assert!(host.rig.ok(&["status", "send"]).stdout.contains("banned"), "{:?}", host.rig.run(&["status", "send"]));
    assert!(host.items("send").contains("\"attempts\":0"), "a ban leaves it unattempted: {}", host.items("send"));
    assert_eq!(house.stored(), nothing);

    // The code comes, and is taken up by the receiver that runs. Then 201, of the very bytes that were packed at first. The ban of
    // five seconds may have lapsed before it is lifted.
    fs::rename(house.rig.path("not-yet"), house.rig.path("code")).unwrap();
    wait_until("a gate that is read", || {
        let asked = format!("Authorization: Bearer {TOKEN}\r\n{}", of(newest));
        house.ask(None, "POST", "/v1/ping", &asked, b"").1.contains("\"verdict\":\"accepted\"")
    });
    let lifted = host.rig.run(&["lift", "send", "--why", "it is read now"]);
    assert!(lifted.code == 0 || lifted.stderr.contains("HW-CMD-007"), "{lifted:?}");
    host.passes("send", 0, "drained");
    assert!(fs::read(stored(&house.root(), "ep-1")).unwrap() == packed);
    assert_eq!((host.names("episodes"), host.names("outbox")), (vec![], vec![]), "retired");
    assert_eq!((host.names("shipped"), house.indexed()), (vec!["ep-1".into()], vec!["ep-1".into()]));

    // Again, as after a crash between answer and retirement: 200, and nothing is stored twice.
    let again = house.put("ep-1", &of(newest), &packed);
    assert!(again.0 == 200 && again.1.contains("\"stored\":false"), "{again:?}");
    assert_eq!(host.rig.sh("cp -a shipped/ep-1 episodes/").code, 0);
    host.passes("send", 0, "drained");
    assert_eq!((host.names("episodes"), house.indexed().len()), (vec![], 1));

    // Altered: 409 with both hashes, review, both kept.
    let before = house.stored();
    assert_eq!(host.rig.sh("cp -a shipped/ep-1 episodes/ && echo 1,2 >>episodes/ep-1/telemetry.bin && touch episodes/ep-1/done.marker").code, 0);
    host.passes("send", 0, "drained");
    let (outcome, why) = host.outcome("send", "ep-1");
    assert!(outcome == "review" && why.contains("409") && why.contains("both are kept"), "{why}");
    let altered = sha256(fs::read(host.rig.path("outbox/ep-1.tar.zst")).unwrap());
    let (status, said) = house.put("ep-1", &of(newest), &fs::read(host.rig.path("outbox/ep-1.tar.zst")).unwrap());
    assert!(status == 409 && said.contains(&altered) && said.contains(&sha256(&packed)), "{said}");
    assert_eq!((host.names("episodes"), house.stored()), (vec!["ep-1".into()], before.clone()));

    // What is refused writes nothing: a wrong digest, a size, and whoever is not who they should be.
    let wrong = format!("{}X-Sha256: {}\r\n", of(newest), sha256("other bytes"));
    assert_eq!(house.put("ep-2", &wrong, b"bytes").0, 400);
    assert_eq!(house.put("ep-2", &format!("{}Content-Digest: sha-256=:AAAA:\r\n", of(newest)), b"bytes").0, 400);
    assert_eq!(house.put("ep-2", &of(newest), &noise(1 << 21)).0, 413);
    assert_eq!(house.ask(None, "PUT", "/v1/episodes/lab-1/ep-2", &of(newest), b"bytes").0, 401);
    let stranger = Authority::new("strangers").unwrap().client("lab-1", Terms::default()).unwrap();
    for unknown in [stranger.clone(), Paper::of_its_own("lab-1").unwrap()] {
        let refused = house.caller(Some(&unknown)).map(|mut caller| {
            caller.say(format!(
                "PUT /v1/episodes/lab-1/ep-2 HTTP/1.1\r\nHost: r\r\n{}Content-Length: 0\r\n\r\n",
                of(newest)
            ));
            caller.answer()
        });
        assert!(refused.as_ref().map_or(true, |(status, _)| *status == 0), "{refused:?}");
    }
    assert_eq!(house.stored(), before);
    let other = house.hosts.client("lab-2", Terms { serial: 3, ..Terms::default() }).unwrap();
    other.write(host.rig.dir.path(), "lab-2").unwrap();
    stranger.write(host.rig.dir.path(), "stranger").unwrap();
    let trusting = "tls.ca = \"servers.pem\"\nhost-id = \"lab-1\"\n";
    for (job, more, code, outcome, told) in [
        ("foreign", format!("host-id = \"lab-1\"\n{}", with_certificate("lab-2")), 0, "review", "403"),
        ("elsewhere", format!("host-id = \"lab-2\"\n{}", with_certificate("lab-1")), 0, "review", "403"),
        ("guessing", format!("{trusting}token = \"incorrect horse\"\n"), 0, "review", "401"),
        ("nobody", trusting.to_owned(), 0, "review", "401"),
        (
            "unknown",
            format!("host-id = \"lab-1\"\n{}", with_certificate("stranger")),
            3,
            "retry",
            "fatal alert: UnknownCA",
        ),
    ] {
        host.add_job(job, &more);
        host.record(&format!("{job}/episodes"), "ep-3", b"x", Some(newest));
        let (ended, _, pass) = host.pass(job);
        let (is, why) = host.outcome(job, "ep-3");
        assert_eq!((ended, is.as_str()), (code, outcome), "{job}: {pass:?} {why}");
        assert!(why.contains(told), "{job}: {why}");
        assert_eq!(
            (host.names(&format!("{job}/episodes")), house.stored()),
            (vec!["ep-3".into()], before.clone()),
            "{job}"
        );
    }

    // Old code: 412 with the commands. One that is too old or too large is parked, and the next is shipped.
    let (status, said) = house.put("ep-2", &of(oldest), b"bytes");
    let told: serde_json::Value = serde_json::from_str(said.split_once("\r\n\r\n").unwrap().1).unwrap();
    assert_eq!((status, told["remediation"].as_str()), (412, Some(REMEDIATION.join("\n").as_str())));
    assert_eq!((told["your_commit"].as_str(), told["head_commit"].as_str()), (Some(oldest), Some(newest)));
    assert_eq!(house.put("ep-2", "", b"bytes").0, 400);
    host.record("episodes", "ep-2-old", b"x", Some(oldest));
    host.record("episodes", "ep-3-large", &noise(1 << 21), Some(newest));
    host.record("episodes", "ep-4-new", b"x", Some(newest));
    let pass = host.passes("send", 0, "drained");
    let (outcome, why) = host.outcome("send", "ep-2-old");
    assert!(outcome == "review" && why.contains(&REMEDIATION.join("; ")), "{why}");
    assert!(
        pass.stderr.contains("ERROR") && REMEDIATION.iter().all(|command| pass.stderr.contains(command)),
        "{pass:?}"
    );
    let (outcome, why) = host.outcome("send", "ep-3-large");
    assert!(outcome == "review" && why.contains("413"), "{why}");
    assert_eq!(house.indexed(), ["ep-1", "ep-4-new"]);

    // The same where the code that sends is judged: it halts with the commands, and goes on by itself once its repository has moved on.
    let sending = code_at(&house, &host.rig.path("sending"), oldest);
    host.add_job(
        "strict",
        &format!("host-id = \"lab-1\"\njudge = \"ships\"\ncode-commit = \"sending\"\n{}", with_certificate("lab-1")),
    );
    host.record("strict/episodes", "ep-5", b"x", Some(oldest));
    host.passes("strict", 4, "halted");
    let status = host.rig.ok(&["status", "strict"]).stdout;
    assert!(REMEDIATION.iter().all(|command| status.contains(command)) && status.contains(oldest), "{status}");
    host.passes("strict", 4, "halted");
    assert_eq!(house.indexed().len(), 2);
    sending.git(&["pull", "--quiet"]);
    host.passes("strict", 0, "drained");
    assert_eq!(house.indexed(), ["ep-1", "ep-4-new", "ep-5"]);
    drop(code);

    // A disk with no more room than it must keep: 507, and what is recorded meanwhile stays here.
    assert_eq!(house.close(), Some(0));
    house.configure(&LIMITS.replace("1 MB", "1000 TB"), &gate());
    house.open();
    let before = house.stored();
    host.record("episodes", "ep-6", b"x", Some(newest));
    assert_eq!(house.put("ep-6", &of(newest), b"bytes").0, 507);
    // More often than an episode may fail: it is the receiver that is full, and no fault of what is sent.
    for _ in 0..=5 {
        let full = host.passes("send", 3, "network");
        assert!(full.stdout.contains("507"), "{full:?}");
    }
    assert_eq!((host.outcome("send", "ep-6").0.as_str(), house.stored()), ("retry", before));
    assert_eq!(house.close(), Some(0));
    house.configure(LIMITS, &gate());
    house.open();
    host.passes("send", 0, "drained");
    assert_eq!(house.indexed(), ["ep-1", "ep-4-new", "ep-5", "ep-6"]);
    assert_eq!(host.names("episodes"), ["ep-1", "ep-2-old", "ep-3-large"], "a person looks at these");
    assert_eq!(house.close(), Some(0));
    let verified = house.rig.ok(&["episodes", "verify", "--json"]);
    assert_eq!(verified.code, 0, "{verified:?}");
}

/// The code that sends, as far as this commit.
fn code_at(house: &House, directory: &std::path::Path, commit: &str) -> Code {
    let code = Code::at(house.rig.path("code")).cloned(directory);
    code.git(&["reset", "--quiet", "--hard", commit]);
    code
}
