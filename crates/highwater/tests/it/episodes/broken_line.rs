//! A large upload over a line that is cut in its middle: through nginx, which ends TLS and asks for the client's certificate, and over
//! mutual TLS of our own. Who calls decides in both.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use highwater_testkit::certificates;
use highwater_testkit::nginx::Nginx;

use super::{free_port, listening, names, request, rows};
use crate::rig::{Doomed, Rig};

const EPISODE_BYTES: usize = 8 << 20;
/// How often the line is cut, and after how many bytes of a connection.
const CUTS: usize = 3;
const CUT_BYTES: u64 = 2 << 20;

/// A line to a port of this machine that is cut again and again.
struct Line {
    port: u16,
    sent: Arc<AtomicU64>,
    cuts: Arc<AtomicUsize>,
}

impl Line {
    fn to(port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let line = Self { port: listener.local_addr().unwrap().port(), sent: Arc::default(), cuts: Arc::default() };
        let (sent, cuts) = (Arc::clone(&line.sent), Arc::clone(&line.cuts));
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let (sent, cuts) = (Arc::clone(&sent), Arc::clone(&cuts));
                // Who breaks off is not waited for.
                std::thread::spawn(move || carry(client, port, &sent, &cuts));
            }
        });
        line
    }
}

fn carry(mut client: TcpStream, port: u16, sent: &AtomicU64, cuts: &AtomicUsize) -> std::io::Result<()> {
    let mut server = TcpStream::connect(("127.0.0.1", port))?;
    let (mut from_server, mut to_client) = (server.try_clone()?, client.try_clone()?);
    std::thread::spawn(move || {
        let _ = std::io::copy(&mut from_server, &mut to_client);
        let _ = to_client.shutdown(Shutdown::Both);
    });
    let (mut buffer, mut here) = (vec![0; 64 << 10], 0);
    loop {
        let read = client.read(&mut buffer)?;
        if read == 0 {
            return server.shutdown(Shutdown::Both);
        }
        sent.fetch_add(read as u64, Ordering::Relaxed);
        here += read as u64;
        server.write_all(&buffer[..read])?;
        if here >= CUT_BYTES && cuts.fetch_add(1, Ordering::Relaxed) < CUTS {
            client.shutdown(Shutdown::Both)?;
            return server.shutdown(Shutdown::Both);
        }
    }
}

fn job(name: &str, port: u16, certificate: &str, more: &str) -> String {
    format!(
        "[job.{name}]\nkind = \"ship\"\nreceiver = \"https://localhost:{port}\"\nhost-id = \"lab-1\"\nresume-above = \"1MiB\"\n\
         tls.ca = \"certificates/ca.pem\"\ntls.certificate = \"certificates/{certificate}.pem\"\n\
         tls.key = \"certificates/{certificate}.key\"\n{more}"
    )
}

/// Ships an episode by a certificate of another host, then by the host's own over a line that is cut.
fn ships_over_a_broken_line(rig: &Rig, line: &Line, listens: &str, port: u16) -> Doomed {
    let root = rig.path("received");
    fs::create_dir(&root).unwrap();
    let own = format!("[receiver]\nroot = {root:?}\nlimits.free = \"1 MB\"\n{listens}");
    let forge = job("forge", line.port, "lab-2", "outbox = \"forged\"\n");
    rig.write("highwater.toml", &(own.clone() + &forge));
    let receiver = listening(rig, port);
    let episode = rig.path("episodes/ep-1");
    fs::create_dir_all(&episode).unwrap();
    let mut noise = vec![0; EPISODE_BYTES];
    fastrand::Rng::with_seed(5).fill(&mut noise);
    fs::write(episode.join("noise.bin"), &noise).unwrap();
    fs::write(episode.join("done.marker"), "").unwrap();
    let forged = rig.run(&["run", "forge"]);
    assert!(forged.stdout.contains("1 review"), "{forged:?}");
    assert_eq!((rows(&root).len(), line.cuts.load(Ordering::Relaxed)), (0, 0), "nothing of it was sent");
    let before = line.sent.load(Ordering::Relaxed);
    rig.write("highwater.toml", &(own + &job("send", line.port, "lab-1", "")));
    let sent = rig.run(&["run", "send"]);
    assert_eq!(sent.code, 0, "{sent:?}");
    assert!(line.cuts.load(Ordering::Relaxed) >= CUTS, "it was cut {:?} times", line.cuts);
    let bytes = line.sent.load(Ordering::Relaxed) - before;
    assert!(bytes < EPISODE_BYTES as u64 * 3 / 2, "{bytes} bytes were sent for {EPISODE_BYTES}");
    assert_eq!(names(&rig.path("shipped")), ["ep-1"]);
    let rows = rows(&root);
    assert_eq!((rows.len(), rows[0]["host_id"].as_str()), (1, Some("lab-1")));
    let stored = fs::metadata(root.join("episodes/lab-1/ep-1.tar.zst")).unwrap().len();
    assert_eq!(Some(stored), rows[0]["size_bytes"].as_u64());
    let staged = names(&root.join("episodes/.staging"));
    assert!(staged.iter().all(|name| name.ends_with(".record")), "no bytes are left of it: {staged:?}");
    receiver
}

fn certified() -> Rig {
    let rig = Rig::new("");
    certificates::issue(&rig.path("certificates"), ["lab-1", "lab-2"].map(str::to_owned)).unwrap();
    rig
}

#[test]
fn an_upload_goes_on_through_a_proxy_that_ends_tls() {
    let (rig, port) = (certified(), free_port());
    let proxy = Nginx::before(port, "127.0.0.2", &rig.path("certificates")).unwrap();
    let line = Line::to(proxy.port());
    let listens = format!(
        "listen = \"127.0.0.1:{port}\"\ntrusted-proxies = [\"127.0.0.2\"]\nidentity-header = \"X-Client-Name\"\n"
    );
    let receiver = ships_over_a_broken_line(&rig, &line, &listens, port);
    // Whoever is no proxy begins none, whatever it says of itself.
    let claim = "X-Client-Name: CN=lab-1\r\nTus-Resumable: 1.0.0\r\nUpload-Length: 5\r\nUpload-Metadata: host bGFiLTE=,episode ZXAtOQ==\r\n";
    assert_eq!(request(port, "POST", "/v1/uploads", claim, b"").unwrap().0, 401);
    drop(receiver);
}

#[test]
fn an_upload_goes_on_over_mutual_tls_of_our_own() {
    let (rig, port) = (certified(), free_port());
    let line = Line::to(port);
    let listens = format!(
        "listen = \"127.0.0.1:{port}\"\ntls = {{ cert = \"certificates/receiver.pem\", key = \"certificates/receiver.key\", client-ca = \"certificates/ca.pem\" }}\n"
    );
    drop(ships_over_a_broken_line(&rig, &line, &listens, port));
}
