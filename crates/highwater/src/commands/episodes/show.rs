//! `episodes show`: one episode, as its row and its archive say. Owns what is told where the two do not agree.

use highwater_engine::diagnosis::{Diagnosis, with_causes};
use highwater_engine::report::ExitCode;
use highwater_episodes::archive::{Archive, Limits, Reader};
use highwater_episodes::index::{Gate, Index as _, Row};
use highwater_episodes::odd::Odd;
use highwater_episodes::store::{Store as _, StoreError, extent};
use serde_json::{Value, json};

use super::super::codes;
use super::{files, size, unusable, view};
use crate::Done;
use crate::bar::{counted, grouped};
use crate::cli::{EpisodesShow, Global};
use crate::output::Output;
use crate::table::{Facts, line, lines, moment};

/// Most of a `meta.json` that is shown to people, in characters.
const META_CHARS_MAX: usize = 4_000;

pub(super) fn show(args: &EpisodesShow, global: &Global, output: Output) -> Done {
    let one = |error| vec![error];
    let files = files(args.root.as_deref(), global)?;
    shown(args, &files, output).map_err(one)
}

/// What is stored of it.
enum Stored {
    Nothing,
    Archive(Box<Archive>),
    Unread { size_bytes: u64, why: String },
}

fn shown(
    args: &EpisodesShow,
    files: &highwater_episodes::reindex::Files,
    output: Output,
) -> Result<ExitCode, Diagnosis> {
    let key = &args.key;
    let row = view(files, output)?.find(key).map_err(unusable)?;
    let store = files.open_store()?;
    let failed = |error: StoreError| {
        let next = Odd::next_of(&error, "check the disk and that this user may read it");
        Diagnosis::failure(codes::EPISODES_UNUSABLE, with_causes(&error), next)
    };
    let stored = match (extent(&store, key).map_err(failed)?, store.read(key, 0).map_err(failed)?) {
        (Some(extent), Some(source)) => {
            let read =
                Reader::new(Limits::default()).and_then(|mut reader| reader.read_whole(source, extent, &key.episode));
            match read {
                Ok(archive) => Stored::Archive(Box::new(archive)),
                Err(error) => Stored::Unread { size_bytes: extent.size_bytes, why: with_causes(&error) },
            }
        }
        _ => Stored::Nothing,
    };
    if row.is_none() && matches!(stored, Stored::Nothing) {
        return Err(Diagnosis::refusal(
            codes::NO_EPISODE,
            format!("found neither a row nor a stored archive of {key}"),
            format!("`highwater episodes list --host {}` shows what there is", key.host),
        )
        .at_field("HOST/ID"));
    }
    let (verdict, agrees) = verdict(row.as_ref(), &stored);
    let path = files.episodes.join(format!("{key}.tar.zst"));
    if output.json {
        let meta = match &stored {
            Stored::Archive(archive) => archive.meta.as_deref().map(|meta| {
                serde_json::from_slice(meta)
                    .unwrap_or_else(|_| Value::String(String::from_utf8_lossy(meta).into_owned()))
            }),
            _ => None,
        };
        let stored = match &stored {
            Stored::Nothing => Value::Null,
            Stored::Archive(archive) => {
                json!({ "path": path.to_string_lossy(), "sha256": archive.sha256, "size_bytes": archive.size_bytes,
                "content_sha256": archive.content_sha256, "files": archive.files, "content_bytes": archive.bytes })
            }
            Stored::Unread { size_bytes, why } => {
                json!({ "path": path.to_string_lossy(), "size_bytes": size_bytes, "unreadable": why })
            }
        };
        output.json(&json!({ "row": row, "stored": stored, "meta": meta, "agrees": agrees, "verdict": verdict }));
    } else {
        output.line(facts(&key.to_string(), row.as_ref(), &stored, &path.display().to_string(), &verdict));
    }
    Ok(if agrees { ExitCode::Drained } else { ExitCode::Halted })
}

/// Whether row and archive agree, and what is to be done where they do not.
fn verdict(row: Option<&Row>, stored: &Stored) -> (String, bool) {
    match (row, stored) {
        (Some(Row { withdrawn: Some(_), .. }), Stored::Nothing) => ("withdrawn".to_owned(), true),
        (Some(Row { withdrawn: Some(_), .. }), _) => {
            ("withdrawn, and stored all the same: call `highwater episodes withdraw` again".to_owned(), false)
        }
        (None, Stored::Unread { .. }) => ("no row, and no archive that can be read".to_owned(), false),
        (None, _) => ("no row: `highwater reindex` gives it one".to_owned(), false),
        (Some(_), Stored::Nothing) => ("not stored: send it again, or `highwater reindex --prune`".to_owned(), false),
        (Some(_), Stored::Unread { .. }) => ("the archive cannot be read".to_owned(), false),
        (Some(row), Stored::Archive(archive)) => {
            if (row.sha256, row.size_bytes) != (archive.sha256, archive.size_bytes) {
                ("the archive is another than the row says".to_owned(), false)
            } else if row.content_sha256.is_some_and(|content| content != archive.content_sha256) {
                ("the bytes are those of the row, but not what its sender said that they hold".to_owned(), false)
            } else {
                ("row and archive agree".to_owned(), true)
            }
        }
    }
}

fn facts(key: &str, row: Option<&Row>, stored: &Stored, path: &str, verdict: &str) -> Facts {
    let mut facts = Facts::default();
    facts.heading(format_args!("{key}: {verdict}"));
    match row {
        None => facts.fact("row", "none"),
        Some(row) => {
            facts.fact("received", moment(row.received_at_wall));
            facts.fact("size", format_args!("{} bytes ({})", grouped(row.size_bytes), size(row.size_bytes)));
            facts.fact("sha256", row.sha256);
            if let Some(content) = row.content_sha256 {
                facts.fact("content", content);
            }
            if let Some(commit) = &row.commit {
                facts.fact("commit", commit);
            }
            match row.gate {
                Some(Gate::Off) => facts.fact("gate", "not judged"),
                Some(Gate::Allowed) => facts.fact("gate", "let in by an operator"),
                None => {}
            }
            if row.backfilled {
                facts.fact("row", "made by `reindex`");
            }
            if let Some(why) = &row.withdrawn {
                facts.fact("withdrawn", line(why));
            }
        }
    }
    match stored {
        Stored::Nothing => facts.fact("stored", "nothing"),
        Stored::Archive(archive) => {
            facts.fact("stored", path);
            facts
                .fact("", format_args!("{}, {} bytes of them", counted(archive.files, "file"), grouped(archive.bytes)));
            if row.is_none_or(|row| row.sha256 != archive.sha256) {
                facts.fact("", format_args!("{} bytes, sha256 {}", grouped(archive.size_bytes), archive.sha256));
            }
            if row.is_none_or(|row| row.content_sha256 != Some(archive.content_sha256)) {
                facts.fact("", format_args!("content {}", archive.content_sha256));
            }
            if let Some(meta) = &archive.meta {
                let text = String::from_utf8_lossy(meta);
                let cut: String = text.chars().take(META_CHARS_MAX).collect();
                let more = if cut.len() < text.len() { "\n…" } else { "" };
                facts.fact("meta", format_args!("{}{more}", lines(cut.trim_end())));
            }
        }
        Stored::Unread { size_bytes, why } => {
            facts.fact("stored", path);
            facts.fact("", format_args!("{} bytes, no archive: {}", grouped(*size_bytes), line(why)));
        }
    }
    facts
}
