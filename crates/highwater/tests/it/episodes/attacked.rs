//! A receiver that runs, and whoever means it ill: it takes nothing of theirs, leaves nothing behind, stays small, and goes on serving.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

use super::house::{House, TOKEN};
use crate::rig::wait_until;

const IDLE: usize = 1_000;
/// Callers that flood at once.
const FLOODS: usize = 6;
/// What each sends, at most: far more than is taken of it.
const FLOOD_BYTES: usize = 24 << 20;
/// What the receiver holds in memory, whatever comes.
const MEMORY_MIB_MAX: u64 = 64;
/// Names that would lead out of the store, were they taken for paths.
const NAMES: [&str; 15] = [
    "..",
    "%2e%2e",
    "%2E%2e%2F",
    "..%2f..%2f..%2fetc%2fcron.d%2fx",
    "%252e%252e%252fx",
    "a%2fb",
    "a%5cb",
    "a%00",
    "%00",
    ".staging",
    ".hidden",
    "-rf",
    "a%0d%0ab",
    "%c0%ae%c0%ae",
    "%ff",
];

fn auth() -> String {
    format!("Host: localhost\r\nAuthorization: Bearer {TOKEN}\r\n")
}

/// A request as it is, and all that is said to it.
fn raw(house: &House, bytes: impl AsRef<[u8]>) -> (u16, String) {
    let mut caller = house.caller(None).unwrap();
    caller.say(bytes);
    caller.0.conn.send_close_notify();
    caller.say("");
    caller.answer()
}

#[test]
fn a_receiver_outlives_what_is_done_to_it_and_takes_nothing_of_it() {
    let mut house = House::new(
        "limits.free = \"1 MB\"\nlimits.size = \"1 MiB\"\nlimits.idle-time = \"2s\"\nlimits.head-time = \"3s\"\nlimits.uploads = 64\n",
        "[[receiver.tokens]]\nname = \"all\"\nsha256 = \"SHA\"\nhosts = [\"*\"]\n"
            .replace("SHA", &super::sha256("master"))
            .as_str(),
    );
    house.open();
    let (nothing, around) = (house.stored(), super::names(house.rig.dir.path()));

    // A thousand who say nothing, half a hello, or half a head, and do not go.
    let mut idle: Vec<TcpStream> = Vec::new();
    for n in 0..IDLE {
        let mut stream = TcpStream::connect(("127.0.0.1", house.port)).unwrap();
        if n % 2 == 0 {
            stream.write_all(b"\x16\x03\x01\x02\x00\x01").unwrap();
        }
        idle.push(stream);
    }
    let mut heads: Vec<_> = (0..40).map(|_| house.caller(None).unwrap()).collect();
    heads.iter_mut().for_each(|caller| caller.say("PUT /v1/episodes/lab-1/x HTTP/1.1\r\nHost:"));

    // Names, wherever one can be said.
    let master = "Authorization: Bearer master\r\n";
    for name in NAMES {
        for path in [format!("{name}/ep"), format!("lab-1/{name}"), format!("{name}/{name}")] {
            for method in ["PUT", "GET", "HEAD", "DELETE"] {
                let (status, said) = house.ask(None, method, &format!("/v1/episodes/{path}"), master, b"bytes");
                assert!(matches!(status, 400 | 404 | 405), "{method} {path}: {said}");
            }
        }
        let encoded = BASE64_STANDARD.encode(name.replace("%2e", ".").replace("%2f", "/").replace("%00", "\0"));
        for pairs in [format!("host {encoded},episode ZXA="), format!("host bGFiLTE=,episode {encoded}")] {
            let begin = format!("{master}Tus-Resumable: 1.0.0\r\nUpload-Length: 5\r\nUpload-Metadata: {pairs}\r\n");
            let (status, said) = house.ask(None, "POST", "/v1/uploads", &begin, b"");
            assert_eq!(status, 400, "{pairs}: {said}");
        }
        let (status, said) =
            house.ask(None, "HEAD", &format!("/v1/uploads/{name}"), &format!("{master}Tus-Resumable: 1.0.0\r\n"), b"");
        assert!(matches!(status, 400 | 404), "{name}: {said}");
        let (status, said) =
            house.ask(None, "GET", &format!("/v1/episodes?host={name}&cursor={name}&since={name}"), master, b"");
        assert!((400..500).contains(&status), "{name}: {said}");
    }

    // Lengths that lie: never two answers, never a body taken for a request.
    let put = |rest: &str| format!("PUT /v1/episodes/lab-1/liar HTTP/1.1\r\n{}{rest}", auth());
    let hidden = put("Content-Length: 1\r\n\r\nx").replace("liar", "hidden");
    for rest in [
        "Content-Length: 5\r\nContent-Length: 6\r\n\r\nbytes",
        "Content-Length: 5, 6\r\n\r\nbytes",
        "Content-Length: -1\r\n\r\n",
        "Content-Length: 99999999999999999999\r\n\r\nbytes",
        "Transfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n",
        "Transfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\nabc\r\n0\r\n\r\n",
        "Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
        "Content-Length: 5\r\n folded\r\n\r\nbytes",
    ] {
        let (status, said) = raw(&house, put(rest) + &hidden);
        assert!(matches!(status, 0 | 400) && said.matches("HTTP/1.1").count() <= 1, "{rest:?}: {said}");
    }
    let digest = "Transfer-Encoding: chunked\r\nTrailer: X-Sha256\r\nX-Sha256: SHA\r\n\r\n3\r\nabc\r\n0\r\nX-Sha256: zz\r\nHost: other\r\n\r\n";
    let wrong = digest.replace("SHA", &super::sha256("abd"));
    assert_eq!(raw(&house, put(&wrong)).0, 400, "trailers mend no digest");
    assert_eq!(house.stored(), nothing);

    // Heads that are too large or too many.
    for head in [
        format!("X-Large: {}\r\n", "x".repeat(64 << 10)),
        (0..200).map(|n| format!("X-{n}: y\r\n")).collect(),
        format!("Authorization: Bearer {}\r\n", "x".repeat(40 << 10)),
        format!("Cookie: {}\r\n", "a=b; ".repeat(20_000)),
    ] {
        let (status, said) = raw(&house, put(&format!("{head}Content-Length: 5\r\n\r\nbytes")));
        assert!(matches!(status, 0 | 400 | 431), "{status} {said}");
    }

    // Bodies without an end, many at once; and bodies that stand still.
    let chunk = [b"10000\r\n".as_slice(), &[7; 0x10000], b"\r\n"].concat();
    let most_mib = std::thread::scope(|scope| {
        let mut floods = Vec::new();
        for n in 0..FLOODS {
            let (house, chunk) = (&house, &chunk);
            floods.push(scope.spawn(move || {
                let mut caller = house.caller(None).unwrap();
                caller.say(put_chunked(&format!("flood-{n}")));
                for _ in 0..FLOOD_BYTES / chunk.len() {
                    if caller.0.write_all(chunk).is_err() {
                        break;
                    }
                }
                let (status, said) = caller.answer();
                assert!(matches!(status, 413 | 0), "{said}");
            }));
        }
        for _ in 0..FLOODS {
            let house = &house;
            scope.spawn(move || {
                let mut caller = house.caller(None).unwrap();
                caller
                    .say(format!("PUT /v1/episodes/lab-1/slow HTTP/1.1\r\n{}Content-Length: 1000\r\n\r\nhalf", auth()));
                assert_eq!(caller.answer().0, 408);
            });
        }
        let mut most_mib = 0;
        while floods.iter().any(|flood| !flood.is_finished()) {
            most_mib = house.memory_mib().max(most_mib);
            std::thread::yield_now();
        }
        most_mib
    });
    assert!((1..MEMORY_MIB_MAX).contains(&most_mib), "{most_mib} MiB");
    wait_until("what came of them to go", || house.stored() == nothing);
    assert_eq!(super::names(house.rig.dir.path()), around);

    // Those who said nothing are gone; whoever means well was never kept waiting.
    assert_eq!(house.put("well", "", b"bytes").0, 201);
    for caller in &mut heads {
        assert!(matches!(caller.answer().0, 0 | 408));
    }
    for stream in &mut idle {
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        let _ = stream.read_to_end(&mut Vec::new());
    }
    assert_eq!(house.put("well", "", b"bytes").0, 200);
    assert_eq!(house.indexed(), ["well"]);
    assert!(!house.log().contains("panicked") && !house.log().contains("ERROR"), "{}", house.log());
    assert_eq!(house.close(), Some(0));
}

fn put_chunked(episode: &str) -> String {
    format!("PUT /v1/episodes/lab-1/{episode} HTTP/1.1\r\n{}Transfer-Encoding: chunked\r\n\r\n", auth())
}
