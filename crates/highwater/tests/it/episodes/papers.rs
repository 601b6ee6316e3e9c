//! Files of TLS that are something else: a pipe, an encrypted key, DER, half a file, the wrong kind, one that is for something else. Each
//! is told at once, by its field and with what mends it.

use std::fs;
use std::path::Path;
use std::process::{Child, Command};
use std::time::Duration;

use highwater_testkit::certificates::{Authority, Paper, Terms};

use super::house::{Host, House, with_certificate};
use crate::rig::{Ended, Rig, end, pause, wait_until};

/// So often it is looked whether a call has ended, 50 ms apart.
const LOOKS: u32 = 400;

fn pipe(path: &Path) {
    let _ = fs::remove_file(path);
    assert!(Command::new("mkfifo").arg(path).status().unwrap().success());
}

/// Whether a call has ended by itself within 20 seconds; one that has not is killed.
fn ends(child: &mut Child) -> bool {
    for _ in 0..LOOKS {
        if child.try_wait().unwrap().is_some() {
            return true;
        }
        pause(Duration::from_millis(50));
    }
    child.kill().unwrap();
    false
}

/// A call that ends soon.
fn soon(rig: &Rig, args: &[&str]) -> Ended {
    let mut child = rig.start(args);
    let in_time = ends(&mut child);
    let ended = end(child);
    assert!(in_time, "{args:?} did not end: {ended:?}");
    ended
}

/// A receiver that does not start, and why.
fn refused(house: &House) -> String {
    let ended = soon(&house.rig, &["receive"]);
    assert!(ended.code == 2 && ended.stderr.contains("error[HW-EPI-003]"), "{ended:?}");
    ended.stderr
}

fn has(told: &str, words: &[&str]) {
    for word in words {
        assert!(told.contains(word), "{word}: {told}");
    }
}

#[test]
fn a_pipe_in_the_place_of_a_file_of_the_receivers_is_told_at_once() {
    let house = House::new("limits.free = \"1 MB\"\n", "");
    for (file, field) in
        [("receiver.pem", "cert"), ("receiver.key", "key"), ("ca.pem", "client-ca"), ("crl.pem", "crl")]
    {
        let path = house.rig.path("pki").join(file);
        let text = fs::read(&path).unwrap();
        pipe(&path);
        has(&refused(&house), &[&format!("receiver.tls.{field}: "), file, "a pipe"]);
        let doctor = soon(&house.rig, &["doctor"]);
        has(&doctor.stdout, &[file, "a pipe"]);
        fs::remove_file(&path).unwrap();
        fs::create_dir(&path).unwrap();
        has(&refused(&house), &[&format!("receiver.tls.{field}: "), file, "a directory"]);
        fs::remove_dir(&path).unwrap();
        fs::write(&path, text).unwrap();
    }
}

#[test]
fn a_receiver_under_whose_hands_a_key_becomes_a_pipe_goes_on_and_ends() {
    let mut house = House::new("limits.free = \"1 MB\"\n", "");
    house.open();
    let key = house.rig.path("pki/receiver.key");
    pipe(&key);
    house.signal("HUP");
    wait_until("a pipe that is told", || house.log().contains("the old ones stay"));
    has(&house.log(), &["receiver.key", "a pipe"]);
    assert_eq!(house.put("ep-1", "", b"bytes").0, 201);
    assert_eq!(house.close(), Some(0));
}

#[test]
fn a_pipe_in_the_place_of_a_file_of_the_shippers_is_told_at_once() {
    let mut house = House::new("limits.free = \"1 MB\"\n", "");
    house.open();
    let host = house.host("lab-1");
    fs::create_dir(host.rig.path("episodes")).unwrap();
    for (file, field) in [("lab-1.pem", "certificate"), ("lab-1.key", "key"), ("servers.pem", "ca")] {
        let path = host.rig.path(file);
        let text = fs::read(&path).unwrap();
        pipe(&path);
        for args in [&["ship", "send"][..], &["ship", "send", "--ping"], &["doctor"]] {
            let ended = soon(&host.rig, args);
            let all = format!("{}{}", ended.stdout, ended.stderr);
            assert_ne!(ended.code, 0, "{ended:?}");
            has(&all, &[file, "a pipe", &format!("tls.{field}")]);
        }
        fs::remove_file(&path).unwrap();
        fs::write(&path, text).unwrap();
    }
    host.rig.ok(&["ship", "send"]);
    // The commit of the code that sends.
    pipe(&host.rig.path("commit"));
    host.add_job(
        "ships",
        &format!("judge = \"ships\"\ncode-commit = \"commit\"\nhost-id = \"lab-1\"\n{}", with_certificate("lab-1")),
    );
    host.record("ships/episodes", "ep-1", b"x", None);
    let ended = soon(&host.rig, &["ship", "ships"]);
    has(&format!("{}{}", ended.stdout, ended.stderr), &["HW-EPI-103", "commit", "a pipe"]);
}

fn openssl(rig: &Rig, args: &str) {
    let done = rig.sh(&format!("openssl {args} 2>/dev/null"));
    assert_eq!(done.code, 0, "{args}: {done:?}");
}

/// Files that are no key, by what makes them of `KEY` and `CERT`, and what is said of each.
fn wrong_keys(rig: &Rig, key: &str, certificate: &str, other: &str) -> Vec<(&'static str, Vec<&'static str>)> {
    openssl(rig, &format!("pkcs8 -topk8 -v2 aes128 -passout pass:x -in {key} -out encrypted.key"));
    openssl(rig, &format!("ec -aes128 -passout pass:x -in {key} -out older.key"));
    openssl(rig, &format!("pkey -in {key} -outform der -out der.key"));
    rig.write("empty.key", "");
    fs::copy(rig.path(certificate), rig.path("swapped.key")).unwrap();
    fs::copy(rig.path(other), rig.path("other.key")).unwrap();
    let text = rig.read(key);
    rig.write("cut.key", text.split("-----END").next().unwrap());
    rig.write("words.key", "a key\n");
    vec![
        ("encrypted.key", vec!["it is encrypted", "openssl pkey -in "]),
        ("older.key", vec!["it is encrypted", "openssl pkey -in "]),
        ("der.key", vec!["it is DER", "openssl pkey -inform der -in "]),
        ("empty.key", vec!["it is empty"]),
        ("swapped.key", vec!["it holds a certificate"]),
        ("other.key", vec!["another certificate"]),
        ("cut.key", vec!["it is cut off"]),
        ("words.key", vec!["it is no PEM"]),
        ("nowhere.key", vec!["No such file"]),
    ]
}

#[test]
fn what_is_wrong_with_a_file_of_the_receivers_is_told_in_words_with_its_field() {
    let house = House::new("limits.free = \"1 MB\"\n", "");
    let others = house.servers.server(Terms { serial: 5, ..Terms::default() }).unwrap();
    others.write(house.rig.dir.path(), "others").unwrap();
    let toml = house.rig.read("highwater.toml");
    let wrong = wrong_keys(&house.rig, "pki/receiver.key", "pki/receiver.pem", "others.key");
    let with = |field: &str, before: &str, file: &str, words: &[&str]| {
        house.rig.write("highwater.toml", &toml.replace(&format!("\"pki/{before}\""), &format!("\"{file}\"")));
        let told = refused(&house);
        has(&told, &[&format!("receiver.tls.{field}: "), file]);
        has(&told, words);
        let doctor = soon(&house.rig, &["doctor"]).stdout;
        has(&doctor, &[file]);
        has(&doctor, words);
    };
    for (file, words) in wrong {
        with("key", "receiver.key", file, &words);
    }
    openssl(&house.rig, "x509 -in pki/receiver.pem -outform der -out der.pem");
    openssl(&house.rig, "crl -in pki/crl.pem -outform der -out der.crl");
    let half = house.rig.read("pki/receiver.pem");
    house.rig.write("half.pem", &format!("{half}{}", &half[..half.len() / 2]));
    house.rig.write("empty.pem", "");
    let cases: [(&str, &str, &[&str]); 4] = [
        ("der.pem", "it is DER", &["openssl x509 -inform der -in "]),
        ("pki/receiver.key", "it holds a private key", &[]),
        ("half.pem", "it is cut off", &[]),
        ("empty.pem", "it is empty", &[]),
    ];
    for (field, before) in [("cert", "receiver.pem"), ("client-ca", "ca.pem")] {
        for (file, word, more) in cases {
            with(field, before, file, &[&[word], more].concat());
        }
    }
    with("crl", "crl.pem", "der.crl", &["it is DER", "openssl crl -inform der -in "]);
    with("crl", "crl.pem", "pki/ca.pem", &["it holds a certificate"]);
}

#[test]
fn what_is_wrong_with_a_file_of_the_shippers_is_told_in_words_with_its_field() {
    let house = House::new("limits.free = \"1 MB\"\n", "");
    let host: Host = house.host("lab-1");
    house
        .hosts
        .client("lab-1", Terms { serial: 5, ..Terms::default() })
        .unwrap()
        .write(host.rig.dir.path(), "others")
        .unwrap();
    let toml = host.rig.read("highwater.toml");
    let with = |field: &str, before: &str, file: &str, words: &[&str]| {
        host.rig.write("highwater.toml", &toml.replace(&format!("\"{before}\""), &format!("\"{file}\"")));
        let ended = soon(&host.rig, &["ship", "send"]);
        let told = format!("{}{}", ended.stdout, ended.stderr);
        has(&told, &["HW-EPI-104", &format!("tls.{field}: "), file]);
        has(&told, words);
    };
    for (file, words) in wrong_keys(&host.rig, "lab-1.key", "lab-1.pem", "others.key") {
        with("key", "lab-1.key", file, if file == "other.key" { &["is not the key of"] } else { &words });
    }
    openssl(&host.rig, "x509 -in lab-1.pem -outform der -out der.pem");
    for (field, before) in [("certificate", "lab-1.pem"), ("ca", "servers.pem")] {
        with(field, before, "der.pem", &["it is DER", "openssl x509 -inform der -in "]);
        with(field, before, "lab-1.key", &["it holds a private key"]);
        with(field, before, "empty.key", &["it is empty"]);
    }
}

#[test]
fn a_certificate_that_is_for_something_else_is_told_by_the_doctor_and_at_the_start() {
    let mut house = House::new("limits.free = \"1 MB\"\n", "");
    let client: Paper = house.hosts.client("localhost", Terms::default()).unwrap();
    house.serves_as(&client);
    let doctor = house.rig.run(&["doctor"]);
    assert_eq!(doctor.code, 2, "{doctor:?}");
    has(&doctor.stdout, &["receiver.pem is for clients alone", "serverAuth"]);
    // A host's own certificate in the place of who signed it.
    house.serves_as(&house.servers.server(Terms::default()).unwrap());
    house.pki("ca.pem", &client.certificate);
    house.pki("crl.pem", &Authority::new("others").unwrap().revoking(&[]).unwrap());
    let doctor = house.rig.run(&["doctor"]);
    has(&doctor.stdout, &["ca.pem holds a certificate that signs no others"]);
    house.serves_as(&client);
    house.open();
    wait_until("both", || house.log().matches("WARN").count() >= 2);
    has(&house.log(), &["is for clients alone", "signs no others"]);
    assert_eq!(house.close(), Some(0));
    // One that signs itself is its own authority.
    let own = Paper::of_its_own("lab-1").unwrap();
    let house = House::new("limits.free = \"1 MB\"\n", "");
    house.pki("ca.pem", &(house.hosts.pem() + &own.certificate));
    let doctor = house.rig.run(&["doctor"]);
    assert!(!doctor.stdout.contains("signs no others"), "{doctor:?}");
}
