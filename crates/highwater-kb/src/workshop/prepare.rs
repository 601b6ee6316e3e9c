//! From a document's bytes to what is ready to be folded in: copied, converted, compiled, stored. Owns these steps, and what a failure
//! of each makes of the document.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use highwater_engine::diagnosis::{Diagnosis, with_causes};
use highwater_engine::job::{Attempt, ReadCx, Stop};
use highwater_engine::outcome::{Outcome, OutcomeKind};
use highwater_engine::report::Reason;

use super::{Fates, Workshop, failed, on_disk};
use crate::base::{Fate, Objects};
use crate::compile::{CompileError, Compiled, Compiler, Source};
use crate::convert::{self, ConvertError, Converted, Format, Limits, Staged, Verdict};
use crate::document::{DocName, Document};
use crate::error::KbError;
use crate::fold::{self, Ready, is_of_base};
use crate::origin::Origin;
use crate::page::{PageKind, PageName};
use crate::path::FilePath;
use crate::tree;

/// The largest document that is read as text in this process, in bytes.
const TEXT_HERE_BYTES_MAX: u64 = 16 << 20;

/// What is said of a file that a document came into conflict with a person about; ledgers have it.
const IN_CONFLICT: &str = " was edited by a person, and what is new lies beside it, as .conflict";

/// The file whose conflict is why a document is for a person to look at, where that is why.
#[must_use]
pub fn conflict_of(why: &str) -> Option<FilePath> {
    let (path, next) = why.split_once(IN_CONFLICT)?;
    // What is to be done came to be said later.
    if next.is_empty() || next.starts_with(": ") { FilePath::new(path).ok() } else { None }
}

/// Why a document is for a person to look at that came into conflict with them about a file.
fn in_conflict(path: &FilePath) -> String {
    format!(
        "{path}{IN_CONFLICT}: `highwater kb resolve {path} --mine` keeps what they wrote, `--theirs` takes what is new"
    )
}

/// A document that is ready to be folded in; its bytes, its text and its images are objects already.
#[derive(Debug)]
pub struct Prepared {
    pub(crate) name: DocName,
    pub(crate) document: Document,
    pub(crate) converted: Converted,
    pub(crate) compiled: Compiled,
}

/// Why a document is not ready.
#[derive(Debug)]
pub(crate) enum Unready {
    /// This is what became of it.
    Outcome(Outcome),
    /// The pass stops, and it stays untried.
    Stop(Stop),
}

impl From<Stop> for Unready {
    fn from(stop: Stop) -> Self {
        Self::Stop(stop)
    }
}

impl From<KbError> for Unready {
    fn from(error: KbError) -> Self {
        Self::Stop(failed(&error))
    }
}

impl From<ConvertError> for Unready {
    /// What a failed conversion makes of a document.
    fn from(error: ConvertError) -> Self {
        let message = with_causes(&error);
        match (&error, error.verdict()) {
            (ConvertError::Unreadable(source), _) if source.kind() == io::ErrorKind::NotFound => {
                Self::because(OutcomeKind::Gone, "it is no longer there")
            }
            (_, Verdict::Document) => Self::because(OutcomeKind::Review, message),
            (_, Verdict::Moment) => Self::because(OutcomeKind::Failed, message),
            (_, Verdict::Machine) => {
                let mends = error.mends().unwrap_or_else(|| "check the disk, its space and its permissions".to_owned());
                let next = format!("{mends}, and call again: what is in the base stays");
                Self::Stop(Stop::Fail(Diagnosis::failure("HW-KB-002", message, next)))
            }
            (_, Verdict::Stop) => Self::Stop(Stop::checkpoint(Reason::Stopped, "stopped by a signal")),
        }
    }
}

impl Unready {
    pub(crate) fn because(kind: OutcomeKind, why: impl Into<String>) -> Self {
        Self::Outcome(Outcome::because(kind, why))
    }
}

/// The same, as the engine has it.
pub(crate) fn attempt<P>(prepared: Result<P, Unready>) -> Result<Attempt<P>, Stop> {
    match prepared {
        Ok(prepared) => Ok(Attempt::Ready(prepared)),
        Err(Unready::Outcome(outcome)) => Ok(Attempt::Outcome(outcome)),
        Err(Unready::Stop(stop)) => Err(stop),
    }
}

impl Prepared {
    pub(crate) fn ready(&self) -> Ready<'_> {
        Ready {
            name: &self.name,
            document: &self.document,
            text: &self.converted.markdown,
            images: &self.converted.images,
            compiled: &self.compiled,
        }
    }

    /// How many bytes it holds in memory, about.
    pub(crate) fn weight(&self) -> u64 {
        let images: usize = self.converted.images.iter().map(|image| image.bytes.len()).sum();
        (images + self.converted.markdown.len()) as u64
    }

    /// What becomes of it once it is in the base: a page that a person had edited may be for them to look at, one that lists it too.
    pub(crate) fn outcome(&self, fates: &Fates) -> Outcome {
        let is_its = |path: &FilePath| {
            let own = [PageKind::Source, PageKind::Summary];
            *path == self.document.raw
                || own.iter().any(|kind| PageName::of_document(*kind, &self.name).path() == *path)
                || self.compiled.contributions.iter().any(|said| said.page.path() == *path)
        };
        let mut conflicts = fates.iter().filter(|(_, fate)| **fate == Fate::Conflict).map(|(path, _)| path);
        let conflict = conflicts.clone().find(|path| is_its(path)).or_else(|| conflicts.find(|path| is_of_base(path)));
        match conflict {
            Some(path) => Outcome::because(OutcomeKind::Review, in_conflict(path)),
            None => Outcome::done(),
        }
    }
}

impl<C: Compiler + 'static> Workshop<C> {
    /// The directory to prepare in, and the limits of a document.
    pub(crate) fn room(&self) -> Result<(PathBuf, Limits), Stop> {
        Ok((self.desk()?, *self.place().converter.limits()))
    }

    /// A private copy of a document, by `copy`, which is given the directory and the limits for it.
    pub(crate) async fn copied(
        &self,
        copy: impl FnOnce(&Path, &Limits) -> Result<Staged, Unready> + Send + 'static,
    ) -> Result<Staged, Unready> {
        let (desk, limits) = self.room()?;
        on_disk(move || copy(&desk, &limits)).await?
    }

    /// The copy as Markdown; `path` is what its document is called, and where its images lie, unless it is a name alone. What is text
    /// already needs no process of its own. What says no title is called as the file of its origin is, which is not always its name in the base.
    pub(crate) async fn converted(
        &self,
        cx: &ReadCx,
        staged: &Staged,
        path: &Path,
        origin: &Origin,
    ) -> Result<(Converted, Format), Unready> {
        let titled =
            |converted: Converted| Converted { title: converted.title.or_else(|| Some(origin.stem())), ..converted };
        let beside = path.parent().filter(|parent| !parent.as_os_str().is_empty()).map(Path::to_owned);
        let (document, suffix) = (staged.document(), convert::suffix_of(path));
        let limits = *self.place().converter.limits();
        if staged.bytes <= TEXT_HERE_BYTES_MAX {
            let here = tokio::task::spawn_blocking(move || {
                let bytes = std::fs::read(&document).ok()?;
                let format = Format::of(&bytes, &suffix).ok()?;
                let is_text = matches!(format, Format::Markdown | Format::Text);
                is_text.then(|| (convert::convert(&bytes, &suffix, beside.as_deref(), &limits), format))
            });
            match here.await {
                Ok(Some((converted, format))) => {
                    let converted = converted.map_err(|refusal| ConvertError::Refused(refusal.to_string()))?;
                    return Ok((titled(converted), format));
                }
                Ok(None) => {}
                Err(broke) => return Err(ConvertError::Crashed(broke.to_string()).into()),
            }
        }
        let (converted, format) = self.place().converter.convert(staged, cx.stop()).await?;
        Ok((titled(converted), format))
    }

    /// What a text contributes.
    pub(crate) async fn compiled(
        &self,
        cx: &ReadCx,
        name: &DocName,
        converted: Converted,
    ) -> Result<(Converted, Compiled), Unready> {
        let parted = tokio::task::spawn_blocking(move || {
            let tree = tree::build(&converted);
            (converted, tree)
        });
        let (converted, tree) = parted
            .await
            .map_err(|broke| Unready::because(OutcomeKind::Review, format!("its sections cannot be told: {broke}")))?;
        let source = Source { name, converted: &converted, tree: &tree };
        match self.place().compiler.compile(cx, source).await {
            Ok(compiled) => Ok((converted, compiled)),
            Err(CompileError::Review(why)) => Err(Unready::because(OutcomeKind::Review, why)),
            Err(CompileError::Later(outcome)) => Err(Unready::Outcome(outcome)),
            Err(CompileError::Stop(stop)) => Err(stop.into()),
        }
    }

    /// Stores what is a document's own, so that its commit finds it. `bytes` stores those that it was given as, where they are new.
    pub(crate) async fn stored(
        &self,
        prepared: Box<Prepared>,
        bytes: impl FnOnce(Objects<'_>) -> Result<(), KbError> + Send + 'static,
    ) -> Result<Box<Prepared>, Unready> {
        let home = Arc::clone(&self.place().home);
        let stored = on_disk(move || {
            Objects::together(&*home, |objects| {
                bytes(objects)?;
                fold::stage(objects, &prepared.ready())
            })?;
            Ok::<_, KbError>(prepared)
        });
        Ok(stored.await??)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_of_a_conflict_is_known_by_the_reason_that_is_kept_of_it() {
        let path = FilePath::new("wiki/concepts/tides.md").unwrap();
        assert_eq!(conflict_of(&in_conflict(&path)), Some(path.clone()));
        let earlier = "wiki/concepts/tides.md was edited by a person, and what is new lies beside it, as .conflict";
        assert_eq!(conflict_of(earlier), Some(path));
        assert_eq!(conflict_of("it cannot be read"), None);
    }
}
