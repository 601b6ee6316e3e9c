//! A large archive on its way over connections that break: by a real pass, against our receiver and against servers that offer less.

use std::fs;
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use highwater_engine::report::{ExitCode, Reason};
use highwater_engine::settings::ByteSize;
use highwater_episodes::receive::gate::Off;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::life::Host;
use crate::receive::rig::Rig;

/// How large the episode is: as large as one of a day is; HIGHWATER_RESUME_MIB makes it another size.
const EPISODE_MIB: usize = 1024;
/// How often its upload is cut.
const CUTS: usize = 10;
/// What a cut may cost: what was on its way.
const SENT_PER_MILLE_MAX: u64 = 1_050;
/// What the line holds of what the receiver has not read.
const LINE_BYTES: u32 = 64 * 1024;

fn episode_bytes() -> usize {
    let told = std::env::var("HIGHWATER_RESUME_MIB").ok();
    let mib = told.map_or(EPISODE_MIB, |mib| mib.parse().expect("HIGHWATER_RESUME_MIB is a number"));
    mib << 20
}

/// A line to a receiver that is cut when so many bytes have gone over it, again and again.
struct Line {
    address: SocketAddr,
    /// Bytes of shippers, all of them.
    sent: Arc<AtomicU64>,
    cuts: Arc<AtomicUsize>,
    /// After so many cuts nobody gets through any more.
    cuts_before_closed: Arc<AtomicUsize>,
}

impl Line {
    async fn to(receiver: SocketAddr, every: u64, cuts_max: usize) -> Self {
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(LINE_BYTES).unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let listener: TcpListener = socket.listen(16).unwrap();
        let address = listener.local_addr().unwrap();
        let (sent, cuts) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicUsize::new(0)));
        let (counted, cutting) = (Arc::clone(&sent), Arc::clone(&cuts));
        let cuts_before_closed = Arc::new(AtomicUsize::new(usize::MAX));
        let closing = Arc::clone(&cuts_before_closed);
        tokio::spawn(async move {
            while let Ok((mut client, _)) = listener.accept().await {
                if cutting.load(Ordering::Relaxed) >= closing.load(Ordering::Relaxed) {
                    continue;
                }
                let (counted, cutting) = (Arc::clone(&counted), Arc::clone(&cutting));
                tokio::spawn(async move {
                    let Ok(mut server) = TcpStream::connect(receiver).await else { return };
                    let (mut from_client, mut to_client) = client.split();
                    let (mut from_server, mut to_server) = server.split();
                    let up = async {
                        let (mut buffer, mut here) = (vec![0; 64 * 1024], 0);
                        while let Ok(read @ 1..) = from_client.read(&mut buffer).await {
                            counted.fetch_add(read as u64, Ordering::Relaxed);
                            here += read as u64;
                            if to_server.write_all(&buffer[..read]).await.is_err() {
                                return;
                            }
                            if here >= every && cutting.fetch_add(1, Ordering::Relaxed) < cuts_max {
                                return;
                            }
                        }
                    };
                    let down = async { _ = tokio::io::copy(&mut from_server, &mut to_client).await };
                    tokio::select! { () = up => {}, () = down => {} }
                });
            }
        });
        Self { address, sent, cuts, cuts_before_closed }
    }
}

/// What hardly shrinks, a mebibyte at a time: as much of it as is told need not fit into memory.
fn write_noise(path: &Path, bytes: usize) {
    let (mut file, mut random) = (fs::File::create(path).unwrap(), fastrand::Rng::with_seed(11));
    let (mut noise, mut left) = (vec![0; 1 << 20], bytes);
    while left > 0 {
        let part = left.min(noise.len());
        random.fill(&mut noise[..part]);
        file.write_all(&noise[..part]).unwrap();
        left -= part;
    }
}

/// A host with one episode that hardly shrinks, which is sent to `address`.
pub(crate) fn host_with(rig: &Rig, address: SocketAddr, bytes: usize) -> Host {
    let mut host = Host::new(rig);
    host.settings.receiver = serde_json::from_value(serde_json::json!(format!("http://{address}/"))).unwrap();
    host.settings.resume_above = ByteSize::mib(1);
    host.record("ep", "x", None);
    write_noise(&host.path("episodes/ep/noise.bin"), bytes);
    host.mark("ep");
    host
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_that_is_cut_ten_times_arrives_and_each_byte_is_sent_about_once() {
    let bytes = episode_bytes();
    let rig = Rig::real(Arc::new(Off), |_| {}).await;
    let line = Line::to(rig.address, bytes as u64 / 11, CUTS).await;
    let host = host_with(&rig, line.address, bytes);
    host.drains(1).await;
    assert!(line.cuts.load(Ordering::Relaxed) >= CUTS);
    let size = fs::metadata(rig.path("episodes/lab/ep.tar.zst")).unwrap().len();
    let sent = line.sent.load(Ordering::Relaxed);
    println!("{size} bytes arrived, {sent} were sent, cut {CUTS} times");
    assert!(size > bytes as u64 && sent * 1_000 <= size * SENT_PER_MILLE_MAX, "{sent} bytes were sent for {size}");
    assert_eq!((rig.rows().len(), rig.files().len()), (1, 1));
    assert_eq!(
        (host.names("episodes"), host.names("outbox"), host.names("shipped")),
        (vec![], vec![], vec!["ep".to_owned()])
    );
    assert_eq!(fs::read_dir(host.path("outbox/.sending")).unwrap().count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_goes_on_in_the_next_pass_where_it_stopped() {
    let rig = Rig::real(Arc::new(Off), |_| {}).await;
    // The first connection is cut in the middle, and then nobody gets through.
    let line = Line::to(rig.address, 4 << 20, 1).await;
    line.cuts_before_closed.store(1, Ordering::Relaxed);
    let host = host_with(&rig, line.address, 8 << 20);
    let report = host.pass().await;
    assert_eq!(report.reason, Reason::Network, "{}", report.message);
    assert_eq!(fs::read_dir(host.path("outbox/.sending")).unwrap().count(), 1);
    let receiver = rig.address;
    let rig = Rig::real_in(rig.end().await, Arc::new(Off), |settings| settings.listen = receiver).await;
    line.cuts_before_closed.store(usize::MAX, Ordering::Relaxed);
    let before = line.sent.load(Ordering::Relaxed);
    host.drains(1).await;
    let size = fs::metadata(rig.path("episodes/lab/ep.tar.zst")).unwrap().len();
    let more = line.sent.load(Ordering::Relaxed) - before;
    assert!(more < size * 3 / 4, "{more} more bytes were sent for {size}");
}

/// A server of somebody else's, which answers each request from a script and keeps what it was asked.
pub(crate) struct Foreign {
    pub(crate) address: SocketAddr,
    pub(crate) asked: Arc<Mutex<Vec<String>>>,
}

impl Foreign {
    /// `answer` makes of a request's first line and headers what is said, once its body came.
    pub(crate) async fn new(answer: impl Fn(&str, &[u8]) -> String + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, asked) = (listener.local_addr().unwrap(), Arc::<Mutex<Vec<String>>>::default());
        let (keeping, answer) = (Arc::clone(&asked), Arc::new(answer));
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let (keeping, answer) = (Arc::clone(&keeping), Arc::clone(&answer));
                tokio::spawn(async move {
                    let mut ahead = Vec::new();
                    let mut buffer = vec![0; 64 * 1024];
                    loop {
                        let end = loop {
                            if let Some(end) = ahead.windows(4).position(|four| four == b"\r\n\r\n") {
                                break end;
                            }
                            let Ok(read @ 1..) = stream.read(&mut buffer).await else { return };
                            ahead.extend_from_slice(&buffer[..read]);
                        };
                        let head = String::from_utf8(ahead.drain(..end + 4).collect()).unwrap().to_lowercase();
                        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
                        let length: usize = length.map_or(0, |length| length.parse().unwrap());
                        while ahead.len() < length {
                            let Ok(read @ 1..) = stream.read(&mut buffer).await else { return };
                            ahead.extend_from_slice(&buffer[..read]);
                        }
                        let body: Vec<u8> = ahead.drain(..length).collect();
                        let said = answer(&head, &body);
                        keeping.lock().unwrap().push(head);
                        // Nothing to say: the connection breaks off.
                        if said.is_empty() {
                            return;
                        }
                        if stream.write_all(said.as_bytes()).await.is_err() {
                            return;
                        }
                    }
                });
            }
        });
        Self { address, asked }
    }

    /// The methods and addresses of what was asked, without pings.
    fn lines(&self) -> Vec<String> {
        let asked = self.asked.lock().unwrap();
        let lines = asked.iter().map(|head| head.lines().next().unwrap().trim_end_matches(" http/1.1").to_owned());
        lines.filter(|line| !line.ends_with("/ping")).collect()
    }
}

pub(crate) fn say(status: u16, headers: &str) -> String {
    format!("HTTP/1.1 {status} X\r\nContent-Length: 0\r\n{headers}\r\n")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_knows_no_such_uploads_gets_a_put() {
    let rig = Rig::new().await;
    for status in [404, 405, 501] {
        let foreign = Foreign::new(move |head, _| match head {
            head if head.starts_with("put ") => say(201, ""),
            _ => say(status, ""),
        })
        .await;
        let host = host_with(&rig, foreign.address, 2 << 20);
        let report = host.pass().await;
        assert_eq!((report.exit, report.counts.done), (ExitCode::Drained, 1), "{status}: {}", report.message);
        assert_eq!(foreign.lines(), ["post /v1/uploads", "put /v1/episodes/lab/ep"], "{status}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_of_the_core_alone_gets_it_in_parts_and_its_own_word_ends_it() {
    let rig = Rig::new().await;
    let got = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&got);
    // It takes a mebibyte at a time, and gives its address as it believes it to be; who does not speak its protocol is refused,
    // whatever was asked for.
    let foreign = Foreign::new(move |head, body| match head.split(' ').next().unwrap() {
        _ if !head.contains("tus-resumable: 1.0.0") => say(412, "Tus-Resumable: 1.0.0\r\n"),
        "post" => say(201, "Location: http://127.0.0.1/files/7?x=1\r\nTus-Resumable: 1.0.0\r\n"),
        "patch" => {
            let took = body.len().min(1 << 20) as u64;
            let offset = counted.fetch_add(took, Ordering::Relaxed) + took;
            say(204, &format!("Upload-Offset: {offset}\r\nTus-Resumable: 1.0.0\r\n"))
        }
        _ => say(404, ""),
    })
    .await;
    let host = host_with(&rig, foreign.address, 2 << 20);
    let report = host.pass().await;
    assert_eq!((report.exit, report.counts.done), (ExitCode::Drained, 1), "{}", report.message);
    let patch = "patch /files/7?x=1";
    assert_eq!(foreign.lines(), ["post /v1/uploads", patch, patch, patch, "head /v1/episodes/lab/ep"]);
    assert_eq!(host.told().await, ["ep done"], "how many bytes it has is no receipt");
    let asked = foreign.asked.lock().unwrap();
    assert!(asked.iter().all(|head| !head.contains("upload-checksum") && !head.contains("expect:")));
    let of_patch: Vec<_> = asked.iter().filter(|head| head.starts_with("patch")).collect();
    assert!(
        of_patch.iter().all(|head| head.contains("authorization: bearer") && head.contains("tus-resumable: 1.0.0"))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_shows_who_this_host_is_goes_to_no_other_host() {
    let rig = Rig::new().await;
    let foreign = Foreign::new(|head, _| match head.split(' ').next().unwrap() {
        "post" => say(201, "Location: http://localhost:9/files/7\r\nTus-Resumable: 1.0.0\r\n"),
        _ => say(404, ""),
    })
    .await;
    let host = host_with(&rig, foreign.address, 2 << 20);
    let report = host.pass().await;
    assert_eq!(report.counts.review, 1, "{}", report.message);
    let told = host.told().await;
    assert!(told[0].contains("the upload would be at another host, localhost"), "{told:?}");
    assert_eq!(foreign.lines(), ["post /v1/uploads"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_that_is_gone_is_begun_anew_and_not_for_ever() {
    let rig = Rig::new().await;
    let foreign = Foreign::new(|head, _| match head.split(' ').next().unwrap() {
        "post" => say(201, "Location: /files/7\r\nTus-Resumable: 1.0.0\r\n"),
        _ => say(410, ""),
    })
    .await;
    let host = host_with(&rig, foreign.address, 2 << 20);
    let report = host.pass().await;
    assert_eq!((report.reason, report.counts.done), (Reason::Network, 0), "{}", report.message);
    let (post, patch) = ("post /v1/uploads", "patch /files/7");
    assert_eq!(foreign.lines(), [post, patch, post, patch]);
    assert_eq!(host.names("episodes"), ["ep"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_answered_to_a_part_is_told_and_not_that_the_upload_is_lost() {
    let rig = Rig::new().await;
    for status in [409, 423] {
        let foreign = Foreign::new(move |head, _| match head.split(' ').next().unwrap() {
            "post" if head.starts_with("post /v1/uploads") => say(201, "Location: /files/7\r\n"),
            "patch" => say(status, ""),
            _ => say(404, ""),
        })
        .await;
        let host = host_with(&rig, foreign.address, 2 << 20);
        let report = host.pass().await;
        assert_eq!((report.exit, report.counts.done), (ExitCode::Checkpoint, 0), "{}", report.message);
        let told = host.told().await;
        assert!(told[0].contains(&format!("{status}; and asked where the upload is")), "{told:?}");
        assert!(!told[0].contains("lost"), "{told:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_end_that_is_not_told_is_none() {
    let rig = Rig::new().await;
    // It answers each part with success, and says nothing of where the upload is; then that it refuses it, at its end.
    for (said, exit, review) in [
        (say(204, ""), ExitCode::Checkpoint, 0),
        (say(204, "Upload-Offset: 99999999\r\n"), ExitCode::Checkpoint, 0),
        (say(409, "Content-Type: application/problem+json\r\n"), ExitCode::Checkpoint, 0),
        (say(422, ""), ExitCode::Drained, 1),
    ] {
        let foreign = Foreign::new(move |head, _| match head.split(' ').next().unwrap() {
            "post" if head.starts_with("post /v1/uploads") => say(201, "Location: /files/7\r\n"),
            "head" => say(200, "Upload-Offset: 5\r\nTus-Resumable: 1.0.0\r\n"),
            "patch" => said.clone(),
            _ => say(404, ""),
        })
        .await;
        let host = host_with(&rig, foreign.address, 2 << 20);
        let report = host.pass().await;
        assert_eq!((report.exit, report.counts.done, report.counts.review), (exit, 0, review), "{}", report.message);
        assert_eq!((host.names("episodes"), host.names("shipped")), (vec!["ep".to_owned()], vec![]));
        assert!(foreign.lines().len() < 20, "{:?}", foreign.lines());
        if review == 1 {
            assert_eq!(fs::read_dir(host.path("outbox/.sending")).unwrap().count(), 0, "its end is no word for it");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_end_that_nothing_proves_retires_no_episode() {
    let rig = Rig::new().await;
    let other = format!("ETag: \"{}\"\r\n", "c".repeat(64));
    // All of it came, as the upload says; and then, of the episode: is it there?
    for (said, exit, is_begun_anew) in [
        (say(500, ""), ExitCode::Checkpoint, false),
        (say(502, "Content-Type: text/html\r\n"), ExitCode::Checkpoint, false),
        (say(404, "Content-Type: application/problem+json\r\n"), ExitCode::Checkpoint, true),
        (say(200, &other), ExitCode::Checkpoint, true),
        (say(200, "Content-Type: text/html\r\n"), ExitCode::Checkpoint, false),
        (say(304, ""), ExitCode::Checkpoint, false),
        (say(403, ""), ExitCode::Drained, false),
    ] {
        let told = said.lines().next().unwrap().to_owned();
        let foreign = Foreign::new(move |head, body| match head.split(' ').next().unwrap() {
            "post" if head.starts_with("post /v1/uploads") => {
                say(201, "Location: /files/7\r\nTus-Resumable: 1.0.0\r\n")
            }
            "patch" => say(204, &format!("Upload-Offset: {}\r\nTus-Resumable: 1.0.0\r\n", body.len())),
            "head" if head.starts_with("head /v1/episodes/") => said.clone(),
            _ => say(404, ""),
        })
        .await;
        let host = host_with(&rig, foreign.address, 2 << 20);
        let report = host.pass().await;
        assert_eq!((report.exit, report.counts.done), (exit, 0), "{told}: {}", report.message);
        assert_eq!((host.names("episodes"), host.names("shipped")), (vec!["ep".to_owned()], vec![]), "{told}");
        assert_eq!(host.names("outbox"), ["ep.tar.zst"], "{told}");
        let noted = fs::read_dir(host.path("outbox/.sending")).unwrap().count();
        assert_eq!(noted, usize::from(!is_begun_anew), "{told}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn that_all_of_it_is_there_before_anything_was_sent_is_no_word_for_its_end() {
    let rig = Rig::new().await;
    for more in [0, 1, 99_999_999] {
        let foreign = Foreign::new(move |head, _| match head.split(' ').next().unwrap() {
            "post" if head.starts_with("post /v1/uploads") => {
                let length = head.lines().find_map(|line| line.strip_prefix("upload-length: ")).unwrap();
                let offset = length.trim().parse::<u64>().unwrap() + more;
                say(201, &format!("Location: /files/7\r\nTus-Resumable: 1.0.0\r\nUpload-Offset: {offset}\r\n"))
            }
            // A server of uploads alone.
            _ => say(404, ""),
        })
        .await;
        let host = host_with(&rig, foreign.address, 2 << 20);
        let report = host.pass().await;
        assert_eq!((report.exit, report.counts.done), (ExitCode::Checkpoint, 0), "{more}: {}", report.message);
        assert_eq!((host.names("episodes"), host.names("shipped")), (vec!["ep".to_owned()], vec![]), "{more}");
        assert_eq!(host.names("outbox"), ["ep.tar.zst"], "{more}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_takes_a_byte_at_a_time_is_left_after_some() {
    let rig = Rig::new().await;
    let got = Arc::new(AtomicU64::new(0));
    let foreign = Foreign::new(move |head, _| match head.split(' ').next().unwrap() {
        "post" => say(201, "Location: /files/7\r\nTus-Resumable: 1.0.0\r\n"),
        "patch" => {
            let offset = got.fetch_add(1, Ordering::Relaxed) + 1;
            say(204, &format!("Upload-Offset: {offset}\r\nTus-Resumable: 1.0.0\r\n"))
        }
        _ => say(404, ""),
    })
    .await;
    let host = host_with(&rig, foreign.address, 2 << 20);
    let report = host.pass().await;
    assert_eq!((report.exit, report.counts.done), (ExitCode::Checkpoint, 0), "{}", report.message);
    assert_eq!(foreign.lines().len(), 66, "it began, and took 65 bytes");
    assert_eq!(host.names("episodes"), ["ep"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_receiver_has_already_is_not_sent() {
    let rig = Rig::real(Arc::new(Off), |_| {}).await;
    let line = Line::to(rig.address, u64::MAX, 0).await;
    let host = host_with(&rig, line.address, 2 << 20);
    assert_eq!(host.pass().await.counts.done, 1);
    // Killed before it was retired: its archive is packed anew, to the same bytes.
    fs::rename(host.path("shipped/ep"), host.path("episodes/ep")).unwrap();
    let before = line.sent.load(Ordering::Relaxed);
    assert_eq!(host.pass().await.counts.done, 1);
    assert!(line.sent.load(Ordering::Relaxed) - before < 100_000);
    assert_eq!((rig.rows().len(), host.names("shipped")), (1, vec!["ep".to_owned()]));
    // The same name with other content is told before a byte of it is sent.
    host.record("ep", "y", None);
    write_noise(&host.path("episodes/ep/noise.bin"), 3 << 20);
    host.mark("ep");
    let before = line.sent.load(Ordering::Relaxed);
    assert_eq!(host.pass().await.counts.review, 1);
    assert!(line.sent.load(Ordering::Relaxed) - before < 100_000);
    assert_eq!(rig.rows().len(), 1);
}
