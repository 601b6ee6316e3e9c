//! `highwater receive`: the command, its configuration and its signals, as processes.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::Child;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use sha2::Digest as _;

use crate::rig::{Rig, end, signal, wait_until};

pub(crate) fn sha256(text: &str) -> String {
    hex::encode(sha2::Sha256::digest(text))
}

pub(crate) fn config(tokens: &[(&str, &str)]) -> String {
    let tables = tokens.iter().map(|(token, host)| {
        format!("[[receiver.tokens]]\nname = \"{host}\"\nsha256 = \"{}\"\nhosts = [\"{host}\"]\n", sha256(token))
    });
    let head = "[receiver]\nlisten = \"127.0.0.1:0\"\nroot = \"received\"\nlimits.free = \"1 MB\"\n";
    tables.fold(head.to_owned(), |all, table| all + &table)
}

fn header(said: &str, name: &str) -> String {
    let value = said.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
    value.unwrap_or_else(|| panic!("{name}: {said}")).to_owned()
}

/// A receiver that runs, and where.
pub(crate) struct Running {
    child: Option<Child>,
    pub(crate) address: String,
}

impl Running {
    pub(crate) fn start(rig: &Rig) -> Self {
        Self::of(rig.start(&["receive", "--json"]))
    }

    /// One that was started, once it listens.
    pub(crate) fn of(mut child: Child) -> Self {
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        let Ok(told) = serde_json::from_str::<serde_json::Value>(&line) else { panic!("{line}: {:?}", end(child)) };
        let address = told["listens"].as_str().unwrap().strip_prefix("http://").unwrap().to_owned();
        Self { child: Some(child), address }
    }

    fn child(&self) -> &Child {
        self.child.as_ref().unwrap()
    }

    /// The status of a PUT.
    pub(crate) fn put(&self, path: &str, token: &str, body: &str) -> u16 {
        self.put_with(path, token, "", body).0
    }

    /// The same with more headers, each with its end; and all that was said.
    pub(crate) fn put_with(&self, path: &str, token: &str, headers: &str, body: &str) -> (u16, String) {
        self.said("PUT", &format!("/v1/episodes/{path}"), token, headers, body)
    }

    /// The status of a GET, and all that was said.
    pub(crate) fn get(&self, path: &str, token: &str) -> (u16, String) {
        self.said("GET", path, token, "", "")
    }

    /// The status of a POST with these headers, and all that was said.
    pub(crate) fn post(&self, path: &str, token: &str, headers: &str, body: &str) -> (u16, String) {
        self.said("POST", path, token, headers, body)
    }

    fn said(&self, method: &str, path: &str, token: &str, headers: &str, body: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        let length = body.len();
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nHost: r\r\nConnection: close\r\nAuthorization: Bearer {token}\r\n{headers}Content-Length: {length}\r\n\r\n{body}"
        )
        .unwrap();
        let mut said = String::new();
        stream.read_to_string(&mut said).unwrap();
        let status = said.split(' ').nth(1).and_then(|status| status.parse().ok());
        (status.unwrap_or_else(|| panic!("{said}")), said)
    }

    /// One request of a resumable upload; its status and its headers in lower case.
    fn tus(&self, method: &str, path: &str, headers: &str, body: &[u8]) -> (u16, String) {
        let mut stream = self.begin_tus(method, path, &format!("{headers}Content-Length: {}\r\n", body.len()));
        stream.write_all(body).unwrap();
        let mut said = String::new();
        stream.read_to_string(&mut said).unwrap();
        (said.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap(), said.to_lowercase())
    }

    fn begin_tus(&self, method: &str, path: &str, headers: &str) -> TcpStream {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nHost: r\r\nConnection: close\r\nAuthorization: Bearer t\r\nTus-Resumable: 1.0.0\r\n{headers}"
        )
        .unwrap();
        // The body, or its absence, is the caller's to say.
        write!(stream, "\r\n").unwrap();
        stream
    }

    /// Where an upload is.
    fn offset(&self, place: &str) -> usize {
        let (status, said) = self.tus("HEAD", place, "", b"");
        assert_eq!(status, 200, "{said}");
        header(&said, "upload-offset").parse().unwrap()
    }

    pub(crate) fn stop(mut self) -> crate::rig::Ended {
        let child = self.child.take().unwrap();
        signal(&child, "TERM");
        end(child)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

#[test]
fn a_receiver_runs_until_sigterm_and_reads_its_tokens_again_on_sighup() {
    let rig = Rig::new(&config(&[("first", "lab")]));
    std::fs::create_dir(rig.path("received")).unwrap();
    let receiver = Running::start(&rig);
    assert_eq!(receiver.put("lab/a", "first", "bytes"), 201);
    assert_eq!(receiver.put("lab/a", "first", "bytes"), 200);
    assert_eq!(receiver.put("lab/a", "second", "bytes"), 401);
    // A second receiver does not come near the directory.
    let second = rig.run(&["receive"]);
    assert_eq!(second.code, 2, "{second:?}");
    assert!(second.stderr.contains("error[HW-EPI-002]"), "{second:?}");
    // Nor where somebody tidied the file away that says so.
    std::fs::remove_file(rig.path("received/.receiver.lock")).unwrap();
    for _ in 0..2 {
        let second = rig.run(&["receive"]);
        assert!(second.code == 2 && second.stderr.contains("error[HW-EPI-002]"), "{second:?}");
    }

    rig.write("highwater.toml", &config(&[("second", "lab")]));
    signal(receiver.child(), "HUP");
    wait_until("the second token", || receiver.put("lab/a", "second", "bytes") == 200);
    assert_eq!(receiver.put("lab/a", "first", "bytes"), 401);
    // One that cannot be read changes nothing.
    rig.write("highwater.toml", "[receiver]\nrot = 1\n");
    signal(receiver.child(), "HUP");
    assert_eq!(receiver.put("lab/b", "second", "bytes"), 201);
    let ended = receiver.stop();
    assert_eq!(ended.code, 0, "{ended:?}");

    rig.write("highwater.toml", &config(&[("second", "lab")]));
    let again = Running::start(&rig);
    assert_eq!(again.put("lab/b", "second", "bytes"), 200);
    assert_eq!(again.stop().code, 0);
    assert_eq!(rig.read("received/index.jsonl").lines().count(), 2);
}

#[test]
fn r09_whatever_was_answered_before_kill_9_is_there() {
    let rig = Rig::new(&config(&[("t", "lab")]));
    std::fs::create_dir(rig.path("received")).unwrap();
    for round in 0..5 {
        let mut receiver = Running::start(&rig);
        for n in 0..5 {
            assert_eq!(receiver.put(&format!("lab/ep-{round}-{n}"), "t", "bytes"), 201);
        }
        receiver.child.as_mut().unwrap().kill().unwrap();
        drop(receiver);
    }
    assert_eq!(rig.read("received/index.jsonl").lines().count(), 25);
    assert_eq!(std::fs::read_dir(rig.path("received/episodes/lab")).unwrap().count(), 25);
}

#[test]
fn r09_an_upload_goes_on_after_kill_9_in_mid_request() {
    const BYTES: usize = 24 << 20;
    const KILLS: usize = 8;
    /// Between two marks, so many bytes are trusted only with the second; and some are on the way.
    const LOST_BYTES_MAX: usize = 8 << 20;
    let rig = Rig::new(&config(&[("t", "lab")]));
    std::fs::create_dir(rig.path("received")).unwrap();
    let bytes: Vec<u8> = (0..BYTES).map(|at| (at / 7 % 251) as u8).collect();
    let mut receiver = Running::start(&rig);
    // `lab` and `ep`.
    let digest = BASE64_STANDARD.encode(hex::encode(sha2::Sha256::digest(&bytes)));
    let begin = format!("Upload-Length: {BYTES}\r\nUpload-Metadata: host bGFi,episode ZXA=,sha256 {digest}\r\n");
    let (status, said) = receiver.tus("POST", "/v1/uploads", &begin, b"");
    assert_eq!(status, 201, "{said}");
    let place = header(&said, "location");
    let patch = |offset: usize, length: usize| {
        format!(
            "Content-Type: application/offset+octet-stream\r\nUpload-Offset: {offset}\r\nContent-Length: {length}\r\n"
        )
    };
    let mut offset = 0;
    for kill in 0..KILLS {
        let mut stream = receiver.begin_tus("PATCH", &place, &patch(offset, BYTES - offset));
        let until = (offset + BYTES / KILLS + kill * 1_000).min(BYTES - 1);
        stream.write_all(&bytes[offset..until]).unwrap();
        receiver.child.as_mut().unwrap().kill().unwrap();
        drop(receiver);
        receiver = Running::start(&rig);
        let came = receiver.offset(&place);
        assert!(came >= offset && came <= until, "{came} of {offset}..{until}");
        assert!(until - came <= LOST_BYTES_MAX, "{came} of {until}");
        offset = came;
    }
    let mut stream = receiver.begin_tus("PATCH", &place, &patch(offset, BYTES - offset));
    stream.write_all(&bytes[offset..]).unwrap();
    let mut said = String::new();
    stream.read_to_string(&mut said).unwrap();
    assert!(said.starts_with("HTTP/1.1 204"), "{said}");
    // Killed as soon as it is told: it is there, and whoever did not hear it is told again.
    receiver.child.as_mut().unwrap().kill().unwrap();
    drop(receiver);
    let receiver = Running::start(&rig);
    assert_eq!(receiver.offset(&place), BYTES);
    assert!(std::fs::read(rig.path("received/episodes/lab/ep.tar.zst")).unwrap() == bytes);
    assert_eq!(rig.read("received/index.jsonl").lines().count(), 1);
    assert_eq!(receiver.stop().code, 0);
}

#[test]
fn what_cannot_be_received_with_is_refused_with_the_way_out() {
    let token = |more: &str| format!("{}{more}", config(&[("t", "lab")]));
    let refused = |rig: &Rig, code: &str, exit: i32, said: &str| {
        let ended = rig.run(&["receive"]);
        assert_eq!(ended.code, exit, "{ended:?}");
        assert!(ended.stderr.contains(&format!("error[{code}]")) && ended.stderr.contains(said), "{ended:?}");
    };
    refused(&Rig::new(""), "HW-CFG-021", 2, "[receiver]");
    let nowhere = Rig::new(&token(""));
    refused(&nowhere, "HW-EPI-001", 1, "mkdir -p");
    let told = nowhere.run(&["receive"]).stderr;
    assert_eq!(told.lines().next().unwrap_or_default().matches("received").count(), 1, "{told}");
    let rig = Rig::new(&token("[receiver.tls]\ncert = \"cert.pem\"\nkey = \"key.pem\"\n"));
    std::fs::create_dir(rig.path("received")).unwrap();
    refused(&rig, "HW-EPI-003", 2, "cert.pem");
    assert!(!rig.path("received/episodes").exists(), "nothing was made");
    for (more, said) in [
        ("[receiver]\n", "nobody who may write"),
        (
            "[receiver]\nlisten = \"0.0.0.0:80\"\n[[receiver.tokens]]\nname = \"a\"\nsha256 = \"SHA\"\nhosts = [\"*\"]\n",
            "without `tls`",
        ),
        ("[receiver]\nidentity-header = \"X-Name\"\n", "no proxy that is trusted"),
        ("[receiver]\ntrusted-proxies = [\"localhost\"]\n", "such as \"127.0.0.1\""),
        ("[receiver]\nlisten = \"localhost\"\n", "found \"localhost\", expected an address and a port"),
        ("[receiver]\nlimits.uploads = 0\n", "from 1 to 4096"),
        ("[receiver]\ntokns = []\n", "tokens"),
        ("[[receiver.tokens]]\nname = \"a\"\nsha256 = \"abc\"\nhosts = [\"*\"]\n", "64 hexadecimal digits"),
        ("[[receiver.tokens]]\nname = \"a\"\nsha256 = \"SHA\"\nhosts = [\"../x\"]\n", "the first a letter or a digit"),
        ("[receiver]\nidentity-header = \"a b\"\n", "the name of a header"),
        // One token with two meanings, one that is none.
        (
            "[[receiver.tokens]]\nname = \"a\"\nsha256 = \"SHA\"\nhosts = [\"x\"]\n[[receiver.tokens]]\nname = \"b\"\nsha256 = \"SHA\"\nhosts = [\"y\"]\n",
            "receiver.tokens[1].sha256: found the same token as in `tokens[0]` (\"a\")",
        ),
        ("[[receiver.tokens]]\nname = \"a\"\nsha256 = \"NONE\"\nhosts = [\"x\"]\n", "that of the empty text"),
        // What then cannot work.
        ("[receiver.gate]\nrepository = \"code\"\nref = \"\"\n", "receiver.gate.ref: found"),
        ("[receiver.gate]\nrepository = \"code\"\nref = \"main\\nmain\"\n", "receiver.gate.ref: found"),
        ("[receiver.gate]\nrepository = \"code\"\nref = \"main\\u0000\"\n", "receiver.gate.ref: found"),
        ("[receiver]\ncommit-header = \"Authorization\"\n", "receiver.commit-header: found `authorization`"),
        ("[receiver]\ndigest-header = \"content-length\"\n", "receiver.digest-header: found `content-length`"),
        ("[receiver]\ndigest-header = \"Host\"\n", "receiver.digest-header: found `host`"),
        ("[receiver]\ndigest-header = \"Upload-Offset\"\n", "receiver.digest-header: found `upload-offset`"),
        ("[receiver]\ncommit-header = \"x-sha256\"\n", "receiver.digest-header: found the header of `commit-header`"),
        (
            "[job.send]\nkind = \"ship\"\nreceiver = \"https://r.example/v1\"\n",
            "job.send.receiver: found an address with the path `/v1`",
        ),
        (
            "[job.send]\nkind = \"ship\"\nreceiver = \"https://r.example/v1/\"\n",
            "job.send.receiver: found an address with the path `/v1`",
        ),
        (
            "[job.send]\nkind = \"ship\"\nreceiver = \"https://r.example/\"\ncommit-header = \"Content-Type\"\n",
            "job.send.commit-header: found `content-type`",
        ),
        (
            "[job.send]\nkind = \"ship\"\nreceiver = \"https://r.example/\"\ncommit-header = \"x-sha256\"\n",
            "job.send.commit-header: found `x-sha256`",
        ),
    ] {
        let rig = Rig::new(&more.replace("SHA", &sha256("t")).replace("NONE", &sha256("")));
        let ended = rig.run(&["config", "check"]);
        assert_eq!(ended.code, 2, "{more}: {ended:?}");
        assert!(format!("{}{}", ended.stdout, ended.stderr).contains(said), "{more}: {ended:?}");
    }
    let rig = Rig::new(&token(""));
    std::fs::create_dir(rig.path("received")).unwrap();
    let ended = rig.run(&["receive", "--listen", "0.0.0.0:0"]);
    assert!(ended.code == 2 && ended.stderr.contains("without `tls`"), "{ended:?}");
    for name in ["localhost", "localhost:8460", "127.0.0.1"] {
        let ended = rig.run(&["receive", "--listen", name]);
        assert!(ended.code == 2 && ended.stderr.contains("expected an address and a port"), "{ended:?}");
    }
    let shown = rig.ok(&["config", "show"]);
    assert!(shown.stdout.contains("[receiver]") && shown.stdout.contains("[[receiver.tokens]]"), "{shown:?}");
}

#[test]
fn a_root_one_level_too_low_is_refused_and_nothing_is_made_in_it() {
    let rig = Rig::new(&config(&[("t", "lab")]));
    std::fs::create_dir(rig.path("received")).unwrap();
    let receiver = Running::start(&rig);
    assert_eq!(receiver.put("lab/a", "t", "bytes"), 201);
    assert_eq!(receiver.stop().code, 0);
    let names = || {
        let mut names: Vec<_> =
            std::fs::read_dir(rig.path("received/episodes")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        names
    };
    let before = names();
    let too_low = config(&[("t", "lab")]).replace("root = \"received\"", "root = \"received/episodes\"");
    // By its mark, and where an older version made none by what lies around it.
    for is_marked in [true, false] {
        if !is_marked {
            std::fs::remove_file(rig.path("received/episodes/.highwater-store")).unwrap();
        }
        let before = if is_marked { before.clone() } else { names() };
        rig.write("highwater.toml", &too_low);
        let ended = rig.run(&["receive"]);
        assert!(ended.code == 2 && ended.stderr.contains("error[HW-EPI-004]"), "{ended:?}");
        assert!(ended.stderr.contains("receiver.root"), "{ended:?}");
        let next = format!("set `root` to {}", rig.path("received").canonicalize().unwrap().display());
        assert!(ended.stderr.contains(&next), "{ended:?}");
        let doctor = rig.run(&["doctor"]);
        assert!(doctor.code == 2 && doctor.stdout.contains(&next), "{doctor:?}");
        assert_eq!(names(), before, "nothing is made in it");
    }
    // As it is told; and a directory that is only called so is any other.
    rig.write("highwater.toml", &config(&[("t", "lab")]));
    let receiver = Running::start(&rig);
    assert_eq!(receiver.put("lab/a", "t", "bytes"), 200);
    assert_eq!(receiver.stop().code, 0);
    std::fs::create_dir_all(rig.path("other/episodes")).unwrap();
    rig.write("highwater.toml", &too_low.replace("received/episodes", "other/episodes"));
    let receiver = Running::start(&rig);
    assert_eq!(receiver.put("lab/a", "t", "bytes"), 201);
    assert_eq!(receiver.stop().code, 0);
}
