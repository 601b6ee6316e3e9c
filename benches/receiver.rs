//! A receiver that benches send to: the binary, in a process of its own, with one token for one host.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use sha2::{Digest as _, Sha256};

/// The token that it takes, for `lab-1`.
pub(crate) const TOKEN: &str = "bench";

/// A receiver that runs.
pub(crate) struct Receiver {
    child: Child,
    /// Where it listens: host and port.
    pub(crate) address: String,
    /// What it stores.
    pub(crate) root: PathBuf,
}

impl Receiver {
    /// Starts it in a directory, and waits until it listens.
    pub(crate) fn start(dir: &Path) -> Self {
        let root = dir.join("received");
        fs::create_dir_all(&root).expect("a directory");
        let sha256 = hex::encode(Sha256::digest(TOKEN));
        let config = format!(
            "[receiver]\nlisten = \"127.0.0.1:0\"\nroot = \"received\"\nlimits.free = \"1 MB\"\n\
             [[receiver.tokens]]\nname = \"bench\"\nsha256 = \"{sha256}\"\nhosts = [\"lab-1\"]\n"
        );
        fs::write(dir.join("highwater.toml"), config).expect("it is written");
        let mut child = Command::new(env!("CARGO_BIN_EXE_highwater"))
            .args(["receive", "--json"])
            .current_dir(dir)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("it is started");
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().expect("its output")).read_line(&mut line).expect("it says where");
        let address = line.split("http://").nth(1).and_then(|rest| rest.split('"').next()).expect("an address");
        Self { child, address: address.to_owned(), root }
    }

    /// The most memory that it took so far.
    pub(crate) fn peak_mib(&self) -> u64 {
        peak_mib(&self.child).expect("it runs")
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// The most memory that a process took so far; `None` once it has ended.
pub(crate) fn peak_mib(child: &Child) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{}/status", child.id())).ok()?;
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(peak.trim().trim_end_matches(" kB").parse::<u64>().ok()? >> 10)
}
