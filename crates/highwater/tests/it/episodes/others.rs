//! Beside what others run: an older shipper that uploads to our receiver, an older receiver that our shipper uploads to, and a proxy that
//! ends TLS before a receiver.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use highwater_testkit::certificates;
use highwater_testkit::nginx::Nginx;
use serde_json::{Value, json};

use super::{TOKEN, free_port, listening, names, receiver, request, rows};
use crate::rig::{Ended, Rig};

fn record(rig: &Rig, episode: &str) {
    let directory = rig.path(&format!("episodes/{episode}"));
    fs::create_dir_all(&directory).unwrap();
    fs::write(directory.join("telemetry.csv"), format!("t,load\n{episode}\n")).unwrap();
    fs::write(directory.join("done.marker"), "").unwrap();
}

/// The commits of a repository with that many of them, oldest first.
fn code(rig: &Rig, commits: usize) -> Vec<String> {
    let repository = rig.path("code");
    fs::create_dir(&repository).unwrap();
    let git = |args: &[&str]| {
        let mut git = Command::new("git");
        git.args(["-c", "user.name=lab", "-c", "user.email=lab@example.org"]).args(args).current_dir(&repository);
        let done = git.output().unwrap();
        assert!(done.status.success(), "{args:?}: {}", String::from_utf8_lossy(&done.stderr));
        String::from_utf8(done.stdout).unwrap().trim().to_owned()
    };
    git(&["init", "--quiet"]);
    let commit = |n: usize| {
        git(&["commit", "--quiet", "--allow-empty", "--message", &n.to_string()]);
        git(&["rev-parse", "HEAD"])
    };
    (0..commits).map(commit).collect()
}

#[test]
fn an_older_shipper_uploads_and_each_of_its_answers_is_one_it_knows() {
    let (rig, port) = (Rig::new(""), free_port());
    let root = rig.path("received");
    fs::create_dir(&root).unwrap();
    let commits = code(&rig, 4);
    let gate = format!(
        "[receiver.gate]\nrepository = {:?}\nwindow = 2\nremediation = [\"git pull\", \"make install\"]\n",
        rig.path("code")
    );
    let own = receiver(port, &root)
        .replace("limits.free", "commit-header = \"X-Cis490-Code-Commit\"\ndigest-header = \"X-Sha256\"\nlimits.free");
    rig.write("highwater.toml", &(own + &gate));
    let receiver = listening(&rig, port);
    // No digest of its own, no preflight, no tus: a body and three headers.
    let put = |episode: &str, commit: Option<&str>, body: &str| {
        let commit = commit.map(|commit| format!("X-Cis490-Code-Commit: {commit}\r\n")).unwrap_or_default();
        let headers = format!("Authorization: Bearer {TOKEN}\r\n{commit}");
        request(port, "PUT", &format!("/v1/episodes/lab-1/{episode}"), &headers, body.as_bytes()).unwrap()
    };
    let newest = commits[3].as_str();
    assert_eq!(put("ep-1", Some(newest), "one").0, 201);
    assert_eq!(put("ep-1", Some(newest), "one").0, 200);
    assert_eq!(put("ep-1", Some(newest), "another").0, 409);
    assert_eq!(put("ep-2", None, "two").0, 400);
    let (status, told) = put("ep-2", Some(&commits[0]), "two");
    assert!(status == 412 && told.contains("git pull") && told.contains(newest), "{told}");
    let rows = rows(&root);
    assert_eq!(rows.len(), 1);
    assert_eq!((&rows[0]["commit"], &rows[0]["episode_id"]), (&newest.into(), &"ep-1".into()));
    drop(receiver);
}

#[test]
fn an_older_shipper_is_told_by_status_alone_what_is_too_large_and_when_to_come_again() {
    let (rig, port) = (Rig::new(""), free_port());
    let root = rig.path("received");
    fs::create_dir(&root).unwrap();
    let own = receiver(port, &root).replace("limits.free", "limits.size = \"1 MB\"\nlimits.free");
    let put = |episode: &str, body: &[u8]| {
        let headers = format!("Authorization: Bearer {TOKEN}\r\n");
        let (status, told) = request(port, "PUT", &format!("/v1/episodes/lab-1/{episode}"), &headers, body).unwrap();
        (status, told.to_lowercase().contains("\r\nretry-after: "))
    };
    rig.write("highwater.toml", &own);
    let receiver = listening(&rig, port);
    assert_eq!(put("ep-large", &vec![0; 1_000_001]), (413, false));
    assert_eq!(put("ep-1", b"one"), (201, false));
    drop(receiver);
    // More than any disk has.
    rig.write("highwater.toml", &own.replace("limits.free = \"1 MB\"", "limits.free = \"1000000 TB\""));
    let receiver = listening(&rig, port);
    assert_eq!(put("ep-2", b"two"), (507, true));
    drop(receiver);
    let gate = format!("[receiver.gate]\nrepository = {:?}\n", rig.path("no-such-code"));
    rig.write("highwater.toml", &(own.clone() + &gate));
    let receiver = listening(&rig, port);
    assert_eq!(put("ep-2", b"two"), (503, true));
    drop(receiver);
    assert_eq!(rows(&root).len(), 1);
    // It comes again, and nothing of what was refused is in its way.
    rig.write("highwater.toml", &own);
    let receiver = listening(&rig, port);
    assert_eq!((put("ep-2", b"two"), put("ep-1", b"one")), ((201, false), (200, false)));
    assert_eq!(rows(&root).len(), 2);
    drop(receiver);
}

/// A receiver of an older kind: it knows PUT of an episode alone, and answers it by the episode's name, or takes it once it is well.
fn older() -> (u16, Arc<Mutex<Vec<String>>>, Arc<AtomicBool>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let (heads, is_well) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicBool::new(false)));
    let (seen, well) = (Arc::clone(&heads), Arc::clone(&is_well));
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            // Who breaks off is not waited for.
            let _ = answer(stream, &seen, well.load(Ordering::Relaxed));
        }
    });
    (port, heads, is_well)
}

fn answer(stream: TcpStream, seen: &Mutex<Vec<String>>, is_well: bool) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let (mut head, mut line) = (String::new(), String::new());
    while reader.read_line(&mut line)? > 2 {
        head.push_str(&line);
        line.clear();
    }
    let length = head.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok());
    reader.take(length.unwrap_or(0)).read_to_end(&mut Vec::new())?;
    let status = match head.strip_prefix("PUT /v1/episodes/lab-1/") {
        Some(_) if is_well => "201".to_owned(),
        Some(rest) => rest[3..6].to_owned(),
        None if head.starts_with("GET /v1/episodes/lab-1/") => "405".to_owned(),
        None => "404".to_owned(),
    };
    seen.lock().unwrap().push(head);
    let mut stream = stream;
    write!(stream, "HTTP/1.1 {status} As Asked\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
}

/// What `run send` comes to with one episode that an older receiver answers so.
fn sent_to_older(status: &str) -> (Rig, Ended, Vec<String>, Arc<AtomicBool>) {
    let (port, heads, is_well) = older();
    let rig = Rig::new(&format!(
        "[job.send]\nkind = \"ship\"\nreceiver = \"http://127.0.0.1:{port}\"\nhost-id = \"lab-1\"\ntoken = \"{TOKEN}\"\n\
         resources = [\"r\"]\n[resource.r]\nlock = \"file:r.lock\"\nmax-retry-after = \"1s\"\n"
    ));
    record(&rig, &format!("ep-{status}"));
    let ended = rig.run(&["run", "send"]);
    let heads = heads.lock().unwrap().clone();
    (rig, ended, heads, is_well)
}

#[test]
fn an_older_receiver_is_uploaded_to_and_each_of_its_answers_means_what_it_meant() {
    for status in ["201", "200"] {
        let (rig, ended, heads, _) = sent_to_older(status);
        assert_eq!(ended.code, 0, "{ended:?}");
        assert_eq!(names(&rig.path("shipped")), [format!("ep-{status}")]);
        assert!(heads.iter().any(|head| head.starts_with("PUT /")), "{heads:?}");
        // It knows no ping, and is known by what it takes at an episode's address.
        let ping = rig.ok(&["ship", "send", "--ping"]);
        assert!(ping.stdout.contains("404: it is too old to be asked"), "{ping:?}");
    }
    for status in ["409", "412", "400", "413"] {
        let (rig, ended, _, _) = sent_to_older(status);
        let items = rig.ok(&["--json", "items", "send"]).stdout;
        assert_eq!(ended.code, 0, "{status}: {ended:?} {items}");
        assert!(items.contains("\"outcome\":\"review\"") && items.contains(status), "{status}: {items}");
        assert_eq!(names(&rig.path("episodes")), [format!("ep-{status}")], "{status}");
        assert_eq!(names(&rig.path("shipped")), Vec::<String>::new(), "{status}");
    }
}

#[test]
fn what_an_older_receiver_cannot_take_now_is_sent_again_and_neither_lost_nor_called_done() {
    // A 503 keeps the whole host away for a while, though it does not say for how long: the episode was not even tried.
    let tried = |attempts: u64, deferrals: u64| json!(["retry", attempts, deferrals]);
    for (status, told) in [("500", tried(1, 0)), ("507", tried(0, 1)), ("503", json!([null, 0, 0]))] {
        let (rig, ended, heads, is_well) = sent_to_older(status);
        assert_eq!(ended.code, 3, "{status}: {ended:?}");
        assert!(heads.iter().any(|head| head.starts_with("PUT /")), "{status}: {heads:?}");
        let item = || serde_json::from_str::<Value>(&rig.ok(&["--json", "items", "send"]).stdout).unwrap();
        let before = item();
        assert_eq!(json!([before["outcome"], before["attempts"], before["deferrals"]]), told, "{status}: {before}");
        assert_eq!(names(&rig.path("episodes")), [format!("ep-{status}")], "{status}");
        assert_eq!(names(&rig.path("shipped")), Vec::<String>::new(), "{status}");
        is_well.store(true, Ordering::Relaxed);
        if status == "503" {
            let bans: Value = serde_json::from_str(&rig.ok(&["--json", "bans"]).stdout).unwrap();
            assert_eq!((&bans[0]["resource"], bans[1].is_null()), (&json!("r"), true), "{bans}");
            assert!(bans[0]["why"].as_str().unwrap().contains("without Retry-After"), "{bans}");
            let banned = rig.run(&["run", "send"]);
            assert!(banned.code == 3 && names(&rig.path("shipped")).is_empty(), "{banned:?}");
            rig.ok(&["lift", "r", "--why", "it is well"]);
        }
        let again = rig.run(&["run", "send"]);
        assert_eq!((again.code, item()["outcome"].as_str()), (0, Some("done")), "{status}: {again:?}");
        assert_eq!(names(&rig.path("episodes")), Vec::<String>::new(), "{status}");
        assert_eq!(names(&rig.path("shipped")), [format!("ep-{status}")], "{status}");
    }
}

#[test]
fn behind_a_proxy_that_ends_tls_the_certificate_still_says_who_calls() {
    let (rig, port) = (Rig::new(""), free_port());
    let root = rig.path("received");
    fs::create_dir(&root).unwrap();
    certificates::issue(&rig.path("certificates"), ["lab-1", "lab-2"].map(str::to_owned)).unwrap();
    let proxy = Nginx::before(port, "127.0.0.2", &rig.path("certificates")).unwrap();
    let own = format!(
        "[receiver]\nlisten = \"127.0.0.1:{port}\"\nroot = {root:?}\nlimits.free = \"1 MB\"\n\
         trusted-proxies = [\"127.0.0.2\"]\nidentity-header = \"X-Client-Name\"\n"
    );
    let job = |name: &str, certificate: &str| {
        format!(
            "[job.{name}]\nkind = \"ship\"\nreceiver = \"https://localhost:{}\"\nhost-id = \"lab-1\"\ntls.ca = \"certificates/ca.pem\"\n\
             tls.certificate = \"certificates/{certificate}.pem\"\ntls.key = \"certificates/{certificate}.key\"\n",
            proxy.port()
        )
    };
    rig.write("highwater.toml", &(own.clone() + &job("forge", "lab-2")));
    let receiver = listening(&rig, port);
    record(&rig, "ep-1");
    // Another's certificate does not write to lab-1, whatever the shipper says it is.
    let forged = rig.run(&["run", "forge"]);
    assert!(forged.stdout.contains("1 review"), "{forged:?}");
    assert_eq!((rows(&root).len(), names(&rig.path("shipped")).len()), (0, 0));
    // Nor does the header of somebody who is no proxy.
    let (status, _) = request(port, "PUT", "/v1/episodes/lab-1/ep-9", "X-Client-Name: CN=lab-1\r\n", b"bytes").unwrap();
    assert_eq!(status, 401);
    rig.write("highwater.toml", &(own + &job("send", "lab-1")));
    let sent = rig.run(&["run", "send"]);
    assert_eq!(sent.code, 0, "{sent:?}");
    assert_eq!(names(&rig.path("shipped")), ["ep-1"]);
    assert_eq!((rows(&root).len(), rows(&root)[0]["host_id"].as_str()), (1, Some("lab-1")));
    drop(receiver);
}
