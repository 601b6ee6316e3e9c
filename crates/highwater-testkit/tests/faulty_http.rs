//! The faulty server's faults, seen from the other end of a socket.

#![allow(clippy::unwrap_used, reason = "a test ends where it cannot go on")]

use std::io;
use std::time::Duration;

use highwater_testkit::faulty_http::{Answer, FaultyHttp, in_turn};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// Sends bytes, and reads until the server closes.
async fn exchange(server: &FaultyHttp, request: &str) -> io::Result<String> {
    let mut stream = TcpStream::connect(server.address()).await?;
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    Ok(answer)
}

fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
}

/// The part after the headers.
fn body(answer: &str) -> &str {
    answer.split_once("\r\n\r\n").unwrap().1
}

#[tokio::test]
async fn answers_come_in_turn_and_requests_are_recorded() {
    let script = in_turn([Answer::ok("first"), Answer::status(429).header("Retry-After", "120").body("slow down")]);
    let server = FaultyHttp::start(script).await.unwrap();

    let first = exchange(&server, &get("/a?x=1")).await.unwrap();
    assert!(first.starts_with("HTTP/1.1 200 OK\r\n"), "{first}");
    assert_eq!(body(&first), "first");

    let put = "PUT /b HTTP/1.1\r\nHost: x\r\nConnection: close\r\nX-Key: k\r\nContent-Length: 5\r\n\r\nhello";
    let second = exchange(&server, put).await.unwrap();
    assert!(second.starts_with("HTTP/1.1 429 "), "{second}");
    assert!(second.contains("retry-after: 120\r\n"), "{second}");

    let third = exchange(&server, &get("/c")).await.unwrap();
    assert!(third.starts_with("HTTP/1.1 500 "), "{third}");
    assert_eq!(body(&third), "no answer is scripted for GET /c");

    let requests = server.stop().await;
    let seen: Vec<_> =
        requests.iter().map(|r| (r.method.as_str(), r.path.as_str(), r.body.as_ref(), r.complete)).collect();
    assert_eq!(seen, [("GET", "/a?x=1", &b""[..], true), ("PUT", "/b", b"hello", true), ("GET", "/c", b"", true)]);
    assert_eq!(requests[1].header("x-key"), Some("k"));
}

#[tokio::test]
async fn a_script_may_look_at_the_request() {
    let server = FaultyHttp::start(|request| Answer::ok(format!("you asked for {}", request.path))).await.unwrap();
    assert_eq!(body(&exchange(&server, &get("/z")).await.unwrap()), "you asked for /z");
}

#[tokio::test]
async fn a_cut_body_is_promised_whole_and_ends_early() {
    let server = FaultyHttp::start(|_| Answer::ok("0123456789").cut_after(4)).await.unwrap();
    let answer = exchange(&server, &get("/")).await.unwrap();
    assert!(answer.contains("content-length: 10\r\n"), "{answer}");
    assert_eq!(body(&answer), "0123");
}

#[tokio::test]
async fn a_hang_up_sends_no_byte() {
    let server = FaultyHttp::start(|_| Answer::hang_up()).await.unwrap();
    assert_eq!(exchange(&server, &get("/")).await.unwrap(), "");
    assert_eq!(server.requests().len(), 1);
}

#[tokio::test]
async fn silence_lasts_until_the_server_stops() {
    let server = FaultyHttp::start(|_| Answer::silence()).await.unwrap();
    let mut stream = TcpStream::connect(server.address()).await.unwrap();
    stream.write_all(get("/").as_bytes()).await.unwrap();
    let mut byte = [0];
    let waited = tokio::time::timeout(Duration::from_millis(50), stream.read(&mut byte)).await;
    assert!(waited.is_err(), "it said something: {waited:?}");
    assert_eq!(server.stop().await.len(), 1);
    assert_eq!(stream.read(&mut byte).await.unwrap(), 0);
}

#[tokio::test]
async fn a_stalled_body_comes_in_part_and_the_connection_stays_open() {
    let server = FaultyHttp::start(|_| Answer::ok("0123456789").stall_after(4)).await.unwrap();
    let mut stream = TcpStream::connect(server.address()).await.unwrap();
    stream.write_all(get("/").as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n0123") {
        assert_ne!(stream.read_buf(&mut answer).await.unwrap(), 0, "closed after {answer:?}");
    }
    let waited = tokio::time::timeout(Duration::from_millis(50), stream.read_buf(&mut answer)).await;
    assert!(waited.is_err(), "it went on: {waited:?}");
    server.stop().await;
}

#[tokio::test]
async fn a_delayed_answer_does_not_hold_up_another() {
    let server = FaultyHttp::start(|request| match request.path.as_str() {
        "/slow" => Answer::ok("slow").after(Duration::from_secs(3600)),
        _ => Answer::ok("quick"),
    })
    .await
    .unwrap();
    let mut slow = TcpStream::connect(server.address()).await.unwrap();
    slow.write_all(get("/slow").as_bytes()).await.unwrap();
    assert_eq!(body(&exchange(&server, &get("/quick")).await.unwrap()), "quick");
    // Stopping does not wait for the hour.
    server.stop().await;
    let mut answer = String::new();
    slow.read_to_string(&mut answer).await.unwrap();
    assert_eq!(body(&answer), "slow");
}

#[tokio::test]
async fn a_body_that_the_client_breaks_off_is_recorded_as_broken() {
    let server = FaultyHttp::start(|_| Answer::status(201)).await.unwrap();
    let mut stream = TcpStream::connect(server.address()).await.unwrap();
    stream.write_all(b"PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabc").await.unwrap();
    stream.shutdown().await.unwrap();
    // Whatever the answer, the request is recorded once the server is done with the connection.
    let _ = stream.read(&mut [0; 1024]).await;
    let requests = server.stop().await;
    assert_eq!((requests[0].body.as_ref(), requests[0].complete), (&b"abc"[..], false));
}

#[tokio::test]
async fn dropping_the_server_closes_its_connections() {
    let server = FaultyHttp::start(|_| Answer::silence()).await.unwrap();
    let mut stream = TcpStream::connect(server.address()).await.unwrap();
    stream.write_all(get("/").as_bytes()).await.unwrap();
    drop(server);
    assert!(!matches!(stream.read(&mut [0]).await, Ok(1..)));
}
