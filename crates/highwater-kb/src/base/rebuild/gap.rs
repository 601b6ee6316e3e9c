//! What only a lost generation changed, as rows tell it that can still be used. Owns how a generation says it again, so that it is known
//! also to those who have lost these rows, and that nothing of what people have in `wiki/` and `raw/` is touched by that.

use highwater_db::sqlite::rusqlite::Connection;

use crate::base::Draft;
use crate::base::lost;
use crate::base::objects::Standing;
use crate::base::project::{Found, look};
use crate::base::rows::derived::{Lacking, take_log};
use crate::base::rows::{self, registry, survey};
use crate::compile::Compiled;
use crate::content::ContentId;
use crate::document::{DocName, Document};
use crate::error::KbError;
use crate::fold::LOG_PAGE;
use crate::path::FilePath;

/// Rows that are read at a time.
const ROWS: u32 = 1_000;
/// The most generations that are named.
const NAMED_MAX: usize = 5;

/// A file, what it is to have, and what people had made of it where it goes.
struct File {
    path: FilePath,
    new: Option<ContentId>,
    own: Option<(ContentId, bool)>,
}

/// What rows that were made again lack of those that were there.
pub(super) struct Gap {
    files: Vec<File>,
    /// What is known of documents; `None` of those that are gone.
    documents: Vec<(String, Option<String>)>,
}

impl Gap {
    /// What `known` tells, and `made` does not.
    pub(super) fn between(known: &Connection, made: &Connection) -> Result<Self, KbError> {
        let mut gap = Self { files: Vec::new(), documents: Vec::new() };
        each(
            |after| survey::files_after(known, after, ROWS),
            |path, content| {
                if rows::file(made, &path)? != Some(content) {
                    gap.files.push(File { path, new: Some(content), own: None });
                }
                Ok(())
            },
        )?;
        each(
            |after| survey::files_after(made, after, ROWS),
            |path, _| {
                if rows::file(known, &path)?.is_none() {
                    let own = rows::own(known, &path)?;
                    gap.files.push(File { path, new: None, own });
                }
                Ok(())
            },
        )?;
        each(
            |after| survey::records_after(known, after, ROWS),
            |name, record| {
                if rows::document(made, &name)?.map(|made| made.to_string()).as_ref() != Some(&record) {
                    gap.documents.push((name, Some(record)));
                }
                Ok(())
            },
        )?;
        each(
            |after| survey::records_after(made, after, ROWS),
            |name, _| {
                if rows::document(known, &name)?.is_none() {
                    gap.documents.push((name, None));
                }
                Ok(())
            },
        )?;
        Ok(gap)
    }

    /// Says it, as far as its bytes are there; what lacks is told.
    pub(super) fn say(self, draft: &mut Draft<'_>, lacking: &mut Vec<Lacking>) -> Result<(), KbError> {
        let Self { files, documents } = self;
        draft.says_again = true;
        for File { path, new, own } in files {
            if let Some(id) = new
                && lost::standing(draft.objects(), &path, id)? != Standing::There
            {
                lacking.push(Lacking::File(path, id, KbError::ObjectMissing { id }));
                continue;
            }
            // All of it stood: what is there otherwise is what people made of it.
            match look(draft.objects().fs(), &path.to_rel())? {
                Found::File(there) if Some(there) != new => draft.stand(path.clone(), Some(there), Some(there)),
                Found::Nothing if new.is_some() => draft.stand(path.clone(), None, None),
                Found::File(_) | Found::Nothing | Found::Other => {}
            }
            match new {
                Some(new) => draft.place(path, new),
                None => {
                    match own {
                        Some(_) => draft.own(path.clone(), own),
                        None => draft.went(path.clone()),
                    }
                    draft.remove(path);
                }
            }
        }
        // Who goes makes room for who comes: their names may differ in case alone.
        let (come, go): (Vec<_>, Vec<_>) = documents.into_iter().partition(|(_, record)| record.is_some());
        go.into_iter().chain(come).try_for_each(|(name, record)| document(draft, name, record, lacking))
    }
}

fn document(
    draft: &mut Draft<'_>,
    name: String,
    record: Option<String>,
    lacking: &mut Vec<Lacking>,
) -> Result<(), KbError> {
    let called = DocName::try_from(name.clone())?;
    let record = record.map(|record| serde_json::from_str::<Document>(&record)).transpose();
    let record = match record.map_err(|source| KbError::Record { name: name.clone(), source }) {
        Ok(record) => record,
        Err(error) => {
            lacking.push(Lacking::Document(name, error));
            return Ok(());
        }
    };
    match (draft.set_document(&called, record.as_ref()), record) {
        (Err(error @ (KbError::ObjectMissing { .. } | KbError::ObjectDamaged { .. })), Some(record)) => {
            lacking.push(Lacking::Compiled(called.clone(), record.compiled, error));
            draft.put_document(&called, Some((&record, &Compiled::nothing(&record.title))))
        }
        (set, _) => set,
    }
}

/// Notes what follows from no generation's newest state: how many there were, what the log told, and which numbers documents had.
pub(super) fn note(known: &Connection, made: &Connection) -> Result<(), KbError> {
    take_log(known, made)?;
    // It grows by what is said again: what was told before is what it has.
    let log = FilePath::new(LOG_PAGE)?;
    if let Some(content) = rows::file(known, &log)? {
        rows::put_file(made, &log, content)?;
    }
    rows::stand_at(made, rows::standing(known)?.head)?;
    registry::given(made, registry::tally(known)?.sequence_last)
}

/// What it is called in the log.
pub(super) fn told(lost: &[u32]) -> String {
    let mut named: Vec<String> = lost.iter().take(NAMED_MAX).map(ToString::to_string).collect();
    if lost.len() > NAMED_MAX {
        named.push(format!("{} more", lost.len() - NAMED_MAX));
    }
    let are = if lost.len() == 1 { "generation" } else { "generations" };
    match named.split_last() {
        Some((last, before)) if !before.is_empty() => {
            format!("what the database knew of {are} {} and {last}", before.join(", "))
        }
        _ => format!("what the database knew of {are} {}", named.concat()),
    }
}

/// Goes through rows, a piece after another.
fn each<K: ToString + Clone, V>(
    piece: impl Fn(&str) -> Result<Vec<(K, V)>, KbError>,
    mut one: impl FnMut(K, V) -> Result<(), KbError>,
) -> Result<(), KbError> {
    let mut after = String::new();
    loop {
        let rows = piece(&after)?;
        let Some((last, _)) = rows.last() else { return Ok(()) };
        after = last.to_string();
        rows.into_iter().try_for_each(|(key, value)| one(key, value))?;
    }
}
