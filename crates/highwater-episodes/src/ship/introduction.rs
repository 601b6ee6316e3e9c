//! What a host says of itself before it sends anything: by which name, and of which code. Owns where the two are found.

use std::io::Read as _;
use std::path::Path;

use highwater_engine::job::{CommitCx, Stop};
use jiff::Timestamp;

use super::{Code, Finished, Ship, scan, scan_failed};
use crate::archive::meta::{META_BYTES_MAX, META_NAME, recorded_commit};
use crate::gate::Judge;
use crate::name::{EpisodeId, HostId};
use crate::pem::{self, PemError};
use crate::receive::tls::look::term;

/// Of how much code the receiver is asked by a probe.
const ASKED_CODES_MAX: usize = 8;
/// Most episodes that are named of those with one code.
const NAMED_MAX: usize = 5;

impl Ship {
    /// Takes up a certificate, its key and the authorities that were written anew since the last pass. Where they cannot be used, as when
    /// only one of a pair is there yet, the last ones stay, and it is told.
    pub(super) async fn renew(&self, cx: &mut CommitCx) -> Result<(), Stop> {
        let shown = self.place.receiver.shown.clone();
        match Self::on_disk(move || Ok(shown.renew())).await? {
            Ok(false) => {}
            Ok(true) => tracing::info!("the files of `tls` were renewed, and are used from now on"),
            Err((field, unusable)) => {
                tracing::warn!(field, "the files of `tls` were renewed and cannot be used: {unusable}");
                cx.notes.push(format!(
                    "`{field}` was written anew and cannot be used, so what it was stays in use: {}; {}",
                    unusable.message, unusable.next
                ));
            }
        }
        // A receiver that refuses it may end the connection before it says why.
        if let Some((path, ended)) = shown_until(self.place.receiver.shown.certificate(), cx.read.clock.now()) {
            cx.notes.push(format!(
                "this host's certificate, {}, ended at {ended}: renew it; the next pass takes the new one up",
                path.display()
            ));
        }
        Ok(())
    }

    /// The code of which the receiver is to be asked before anything is sent: that which sends, or what recorded the episodes that
    /// are finished, each once, with whose it is.
    ///
    /// # Errors
    /// When the episodes, or the commit of the code that sends, cannot be read.
    pub async fn codes(&self) -> Result<Vec<(String, Code)>, Stop> {
        if self.place.receiver.judge == Judge::Ships {
            return Ok(vec![("the code that sends".to_owned(), self.code(None).await?)]);
        }
        let episodes = self.place.shelves.episodes.clone();
        Self::on_disk(move || {
            let finished = scan(&episodes).map_err(|error| scan_failed(&error, &episodes))?.finished;
            let mut codes: Vec<(Vec<EpisodeId>, Code)> = Vec::new();
            for Finished { episode, .. } in finished {
                let meta = episodes.join(episode.as_str()).join(META_NAME);
                let mut text = Vec::new();
                let read = std::fs::File::open(&meta)
                    .and_then(|file| file.take(META_BYTES_MAX as u64 + 1).read_to_end(&mut text));
                let recorded = read.ok().and_then(|_| recorded_commit(&text).ok().flatten());
                let code = Code { judged: recorded.clone(), recorded };
                match codes.iter_mut().find(|(_, known)| *known == code) {
                    Some((of, _)) => of.push(episode),
                    None => codes.push((vec![episode], code)),
                }
                if codes.len() == ASKED_CODES_MAX {
                    break;
                }
            }
            Ok(codes.into_iter().map(|(of, code)| (named(&of), code)).collect())
        })
        .await
    }
}

/// The first few of these, by name.
fn named(episodes: &[EpisodeId]) -> String {
    let names: Vec<_> = episodes.iter().take(NAMED_MAX).map(ToString::to_string).collect();
    let more = episodes.len().saturating_sub(NAMED_MAX);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("{}{more}", names.join(", "))
}

/// Which certificate is over, and since when.
fn shown_until(path: Option<&Path>, now: Timestamp) -> Option<(&Path, Timestamp)> {
    let until = term(path?).ok().flatten()?.until;
    (until < now).then_some((path?, until))
}

/// The name by which a certificate's host is known: the first of its names that can be one. `None` where it has none.
///
/// # Errors
/// When the file cannot be read as certificates.
pub fn certificate_name(certificate: &Path) -> Result<Option<HostId>, PemError> {
    let chain = pem::certificates(certificate)?;
    let names = chain.first().and_then(|own| crate::receive::identity::names_of(own)).unwrap_or_default();
    Ok(names.iter().find_map(|name| HostId::new(name).ok()))
}
