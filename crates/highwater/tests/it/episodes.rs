//! Episodes between real processes: a shipper and a receiver that are killed at any moment, and a receiver that loses its power.

mod attacked;
mod broken_line;
mod doctored;
mod extended;
mod gated;
mod hostile;
mod house;
mod killed;
mod life;
mod others;
mod papers;
mod ping;
mod power_loss;
mod reload;
mod reread;

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};

use serde_json::Value;
use sha2::Digest as _;

use crate::rig::{Doomed, Rig};

const TOKEN: &str = "first";

fn sha256(bytes: impl AsRef<[u8]>) -> String {
    hex::encode(sha2::Sha256::digest(bytes))
}

/// A port that nobody listens at now; a receiver that is started again keeps it.
fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// The configuration of a receiver that stores below a directory.
fn receiver(port: u16, root: &Path) -> String {
    format!(
        "[receiver]\nlisten = \"127.0.0.1:{port}\"\nroot = {root:?}\nlimits.free = \"1 MB\"\n\
         [[receiver.tokens]]\nname = \"lab-1\"\nsha256 = \"{}\"\nhosts = [\"lab-1\"]\n",
        sha256(TOKEN)
    )
}

/// Starts `receive` and waits until it listens, or has ended.
fn listening(rig: &Rig, port: u16) -> Doomed {
    let mut receiver = rig.doom(&["receive"]);
    crate::rig::wait_until("a receiver that listens", || {
        !receiver.runs() || TcpStream::connect(("127.0.0.1", port)).is_ok()
    });
    receiver
}

/// The status of a PUT; nothing where no answer came.
fn put(port: u16, episode: &str, body: &[u8]) -> Option<u16> {
    let authorized = format!("Authorization: Bearer {TOKEN}\r\n");
    request(port, "PUT", &format!("/v1/episodes/lab-1/{episode}"), &authorized, body).map(|(status, _)| status)
}

/// The status and the text of an answer.
fn request(port: u16, method: &str, path: &str, headers: &str, body: &[u8]) -> Option<(u16, String)> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    let length = body.len();
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nHost: r\r\nConnection: close\r\n{headers}Content-Length: {length}\r\n\r\n"
    )
    .ok()?;
    stream.write_all(body).ok()?;
    let mut text = String::new();
    stream.take(1 << 20).read_to_string(&mut text).ok()?;
    Some((text.split(' ').nth(1)?.parse().ok()?, text))
}

/// The rows of an index, by episode; each of its lines is whole.
fn rows(root: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(root.join("index.jsonl")).unwrap_or_default();
    text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{line}: {error}"))).collect()
}

/// The names in a directory; none where it is not there.
fn names(directory: &Path) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(directory) else { return Vec::new() };
    let mut names: Vec<String> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

fn stored(root: &Path, episode: &str) -> PathBuf {
    root.join(format!("episodes/lab-1/{episode}.tar.zst"))
}

/// How much memory of its own a process holds now, in MiB: not the pages of its binary, which in a build for tests are most of it.
/// Nothing once it has ended.
fn memory_mib(pid: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:"))?;
    line.trim().strip_suffix(" kB")?.parse::<u64>().ok().map(|kib| kib.div_ceil(1 << 10))
}
