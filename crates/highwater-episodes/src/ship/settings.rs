//! The fields of jobs of the kind `ship`. Owns what they mean and which go together.

use std::path::Path;
use std::time::Duration;

use highwater_engine::settings::{ByteRate, ByteSize, DurationText, FilePath, HttpUrl, Problem, SecretText};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::archive::CompressionSettings;
use crate::gate::Judge;
use crate::name::HostId;
use crate::receive::settings::{HeaderText, LimitSettings};
use crate::wire::CODE_COMMIT_HEADER;

use super::KeepBy;
use super::sending::CodeCommit;

/// Above which an upload goes on after a break, where nothing else is set.
const RESUME_ABOVE_MIB: u64 = 64;

/// How an episode gets from this host to its receiver.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct ShipSettings {
    /// The receiver's address, without `/v1`.
    pub receiver: HttpUrl,
    /// The name under which this host's episodes are stored. Absent: the name in `tls.certificate`, without one the machine's.
    #[serde(default)]
    pub host_id: Option<HostId>,
    /// The directory of what is recorded: an episode is a directory in it that holds `done.marker`.
    #[serde(default = "episodes")]
    pub episodes: FilePath,
    /// The directory of archives that are on their way.
    #[serde(default = "outbox")]
    pub outbox: FilePath,
    /// The directory of what the receiver has; it may be on another file system.
    #[serde(default = "shipped")]
    pub shipped: FilePath,
    /// How archives are compressed.
    #[serde(default)]
    pub compression: CompressionSettings,
    /// Larger archives go on after a break where they stopped, as far as the receiver offers it; smaller ones are sent anew.
    #[serde(default = "resume_above")]
    pub resume_above: ByteSize,
    /// Bytes a second that all uploads of the job may send together. Absent: as many as the line takes. `set bandwidth=…` changes it, also
    /// in the middle of an upload.
    #[serde(default)]
    pub bandwidth: Option<ByteRate>,
    /// How long an episode stays in `shipped`, from when the ledger recorded that the receiver has it; less than `keep-days`. Absent: for
    /// ever.
    #[serde(default)]
    pub keep_time: Option<DurationText>,
    /// How many bytes the episodes in `shipped` may hold together; beyond it the oldest go. Absent: however many.
    #[serde(default)]
    pub keep_size: Option<ByteSize>,
    /// What lets an episode go that is due: `answer`, that the receiver reads its file and names the same content; `receipt`, also the receipt
    /// that it gave, where it says nothing of what it has, as an older receiver.
    #[serde(default)]
    pub keep_by: KeepBy,
    /// Who the receiver is, and who this host is.
    #[serde(default)]
    pub tls: ShipTlsSettings,
    /// The token that this host shows, beside a certificate or instead of one.
    #[serde(default)]
    pub token: Option<SecretText>,
    /// Which code the receiver judges. One that is too old parks the episode with `recorded`, and the rest goes on; it halts the job with
    /// `ships`.
    #[serde(default)]
    pub judge: Judge,
    /// With `judge = "ships"`: the git repository of the code that sends, a file that holds its commit, or a command that says it, as a list of
    /// words: started without a shell in the directory of the configuration, for 30 seconds at most.
    #[serde(default)]
    pub code_commit: Option<CodeCommit>,
    /// The header that carries the judged commit.
    #[serde(default = "commit_header")]
    pub commit_header: HeaderText,
}

/// Certificates of a shipper, as PEM files.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct ShipTlsSettings {
    /// The authorities that the receiver's certificate must come from. Absent: those that the machine trusts.
    pub ca: Option<FilePath>,
    /// This host's certificate, with those between it and its authority.
    pub certificate: Option<FilePath>,
    /// The certificate's private key.
    pub key: Option<FilePath>,
}

fn episodes() -> FilePath {
    FilePath::new("episodes")
}

fn outbox() -> FilePath {
    FilePath::new("outbox")
}

fn shipped() -> FilePath {
    FilePath::new("shipped")
}

fn resume_above() -> ByteSize {
    ByteSize::mib(RESUME_ABOVE_MIB)
}

fn commit_header() -> HeaderText {
    HeaderText::try_from(CODE_COMMIT_HEADER.to_owned()).expect("invariant: it is the name of a header")
}

/// Whether a token gets to the receiver as it is.
fn can_be_said(token: &str) -> bool {
    !token.contains(|c: char| c.is_ascii_control()) && !token.is_empty() && token.trim() == token
}

impl ShipSettings {
    /// Makes relative paths count from the directory of the configuration.
    pub fn resolve(&mut self, base: &Path) {
        let Self { episodes, outbox, shipped, tls, code_commit, .. } = self;
        let ShipTlsSettings { ca, certificate, key } = tls;
        code_commit.iter_mut().for_each(|code| code.resolve(base));
        let optional = [ca, certificate, key].into_iter().filter_map(Option::as_mut);
        [episodes, outbox, shipped].into_iter().chain(optional).for_each(|path| path.resolve(base));
    }

    /// What no single field shows.
    #[must_use]
    pub fn problems(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        let url = self.receiver.expose();
        if url.query().is_some() || url.fragment().is_some() {
            problems.push(Problem::new(
                "receiver",
                "found a query or a fragment, expected the address alone",
                "remove it",
            ));
        }
        // A longer path may end so behind a proxy that takes it away.
        if url.path().trim_end_matches('/') == "/v1" {
            problems.push(Problem::new(
                "receiver",
                "found an address with the path `/v1`, expected what comes before that: a shipper adds `/v1/…` itself",
                "remove `/v1` from its end",
            ));
        }
        problems.extend(self.commit_header.shipper_problem());
        match (&self.tls.certificate, &self.tls.key) {
            (Some(_), None) => problems.push(Problem::new(
                "tls.key",
                "found nothing, expected the private key of `tls.certificate`",
                "name the key's file, or remove the certificate",
            )),
            (None, Some(_)) => problems.push(Problem::new(
                "tls.certificate",
                "found nothing, expected the certificate of `tls.key`",
                "name the certificate's file, or remove the key",
            )),
            _ => {}
        }
        let has_tls = self.tls != ShipTlsSettings::default();
        if url.scheme() == "http" && has_tls {
            problems.push(Problem::new(
                "receiver",
                "found an http:// address beside `tls`, expected https://: certificates would not be used",
                "write https://, or remove `tls`",
            ));
        }
        if self.token.as_ref().is_some_and(|token| !can_be_said(token.expose())) {
            problems.push(Problem::new(
                "token",
                "found an empty text, or one with a line's end, a space around it or another character that no header can carry",
                "correct it; of a file it is `$(cat FILE)`, which has no line's end",
            ));
        }
        let (judges_ships, has_commit) = (self.judge == Judge::Ships, self.code_commit.is_some());
        if judges_ships != has_commit {
            problems.push(if judges_ships {
                Problem::new(
                    "code-commit",
                    "found nothing beside judge = \"ships\", expected the repository of the code that sends, a file with its commit, or a command that says it",
                    "name it",
                )
            } else {
                Problem::new(
                    "code-commit",
                    "found a place for the commit of the code that sends, while the code that recorded is judged",
                    "remove it, or set judge = \"ships\"",
                )
            });
        }
        if self.keep_time.is_some_and(|time| time.get().is_zero()) {
            problems.push(Problem::new("keep-time", "found 0s, expected more", "correct it, or remove it to keep all"));
        }
        let most = LimitSettings::default().upload_time;
        let slowest = |rate: ByteRate| Duration::from_secs(self.resume_above.bytes() / rate.bytes());
        if let Some(rate) = self.bandwidth.filter(|rate| slowest(*rate) > most.get()) {
            problems.push(Problem::new(
                "bandwidth",
                format!(
                    "found {rate}: an archive of {} (`resume-above`) would take longer than the {most} for which a receiver waits",
                    self.resume_above
                ),
                "set a higher rate, or a smaller `resume-above`",
            ));
        }
        let places = [("episodes", &self.episodes), ("outbox", &self.outbox), ("shipped", &self.shipped)];
        for (at, (field, path)) in places.iter().enumerate() {
            if let Some((other, _)) = places[..at].iter().find(|(_, other)| other == path) {
                problems.push(Problem::new(
                    *field,
                    format!("found the directory of `{other}`, expected one of its own"),
                    "name another directory",
                ));
            }
        }
        problems
    }
}
