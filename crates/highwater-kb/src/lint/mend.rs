//! What was found, mended, by one commit: links that lead nowhere, and objects whose bytes still stand on the disk, or follow from the
//! rows. Owns that only what was looked at is changed: a page that somebody wrote to since is left as it is.
//!
//! A page that the base keeps as it was written is changed as any file of it. One that a person has otherwise than the base is changed
//! where it stands ([`Draft::edit`]): what the base has there stays, so that what comes is merged as before. Both are taken back by
//! `undo`.

use std::collections::{BTreeMap, BTreeSet};
use std::io;

use highwater_fs::FsError;
use jiff::Timestamp;
use pulldown_cmark::{Event, Parser, Tag, TagEnd};

use super::{Finding, Kind, Linted, report};
use crate::base::{Base, BaseLock, Committed, Draft, Found, ObjectStanding, PAGE_BYTES_MAX, look};
use crate::content::ContentId;
use crate::error::KbError;
use crate::fold;
use crate::page::link::{self, Link, MARKDOWN};
use crate::page::plain::line;
use crate::path::FilePath;

/// How often a page is gone through: a link may stand within another.
const ROUNDS_MAX: usize = 4;

/// What the links of a page are made into that lead nowhere.
#[derive(Debug)]
pub(super) struct Rewrite {
    /// What the page was.
    pub(super) was: ContentId,
    /// Whether that is what the generation has.
    pub(super) as_generated: bool,
    /// By whether they are wikilinks, and what they name.
    pub(super) decisions: BTreeMap<(bool, String), Decision>,
}

/// What a link that leads nowhere is made into.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Decision {
    /// A link to this file, from the wiki's root.
    To(String),
    /// The words that it reads as.
    Words,
}

/// An object that is not there, or not whole, and the file that still has its bytes.
#[derive(Debug)]
pub(super) struct Lost {
    pub(super) path: FilePath,
    pub(super) content: ContentId,
}

/// What was mended.
#[derive(Debug, Default)]
pub struct Mended {
    /// The generation that it is; `None` where nothing changed.
    pub committed: Option<Committed>,
    /// What was found and is mended.
    pub findings: Vec<Finding>,
    /// Files that somebody wrote to since they were looked at: they are as they were.
    pub passed_over: Vec<FilePath>,
    /// The page that tells of all that was found; it lies beside one of that day that a person edited.
    pub report: Option<FilePath>,
}

impl Mended {
    /// Takes in what was mended after this. What was passed over then is what is.
    pub fn take(&mut self, later: Self) {
        let Self { committed, findings, passed_over, report } = later;
        self.committed = committed.or_else(|| self.committed.take());
        self.findings.extend(findings);
        self.passed_over = passed_over;
        self.report = report.or_else(|| self.report.take());
    }
}

/// Mends what can be mended, and keeps a page in `reports/` that tells what was found, where that is asked for. A generation that a
/// crash left is finished first.
///
/// # Errors
/// As [`Base::commit`].
pub fn mend(
    base: &mut Base,
    held: &BaseLock,
    at: Timestamp,
    linted: &Linted,
    fixes: bool,
    reports: bool,
) -> Result<Mended, KbError> {
    let mut mended = Mended::default();
    let finished = base.finish(held)?.is_some();
    let text = match (fixes, reports) {
        (true, _) => "what was found is mended",
        (false, _) => "a report",
    };
    mended.committed = base.commit(held, at, "lint", text, |draft| {
        if fixes {
            for lost in &linted.lost {
                if !restore(draft, lost)? && !mended.passed_over.contains(&lost.path) {
                    mended.passed_over.push(lost.path.clone());
                }
            }
            if !linted.rendered.is_empty() {
                fold::show_again(draft, &linted.rendered)?;
            }
            let left = lost_still(draft, &linted.rendered)?;
            for (path, rewrite) in &linted.rewrites {
                if !page(draft, path, rewrite)? && !mended.passed_over.contains(path) {
                    mended.passed_over.push(path.clone());
                }
            }
            let is_mended = |finding: &&Finding| {
                finding.fix
                    && (finding.kind != Kind::Unapplied || finished)
                    && !mended.passed_over.iter().chain(&left).any(|path| path.as_str() == finding.file)
            };
            mended.findings = linted.findings.iter().filter(is_mended).cloned().collect();
        }
        if reports {
            let path = report::path(at);
            let before = draft.content(&path)?;
            // It is asked for: one of that day that a person deleted comes back.
            if before.is_some() && look(draft.objects().fs(), &path.to_rel())? == Found::Nothing {
                draft.edit(path.clone(), None, before);
            }
            draft.write(path.clone(), report::page(linted, &mended.findings, at).as_bytes())?;
            mended.report = Some(path);
        }
        let count = mended.findings.len();
        if count > 0 {
            draft.log("lint", format!("{count} of {} mended", linted.faults()));
        }
        Ok(())
    })?;
    if let Some(report) = &mut mended.report {
        *report = lies(base, report)?;
    }
    Ok(mended)
}

/// Where a page lies: beside what stands in its place, where a person has that otherwise.
fn lies(base: &Base, path: &FilePath) -> Result<FilePath, KbError> {
    let generated = base.content(path)?;
    if matches!(look(base.objects().fs(), &path.to_rel())?, Found::File(stands) if Some(stands) == generated) {
        return Ok(path.clone());
    }
    let beside = base.beside()?.versions(path)?;
    let found = beside.into_iter().find(|(_, content)| Some(*content) == generated);
    Ok(found.map_or_else(|| path.clone(), |(beside, _)| beside))
}

/// Those of these files whose bytes are not stored.
fn lost_still(draft: &Draft<'_>, files: &BTreeSet<FilePath>) -> Result<Vec<FilePath>, KbError> {
    let mut lost = Vec::new();
    for path in files {
        if let Some(content) = draft.content(path)?
            && draft.objects().standing(content, true)? != ObjectStanding::There
        {
            lost.push(path.clone());
        }
    }
    Ok(lost)
}

/// `false` where the file has other bytes than when it was looked at, or is gone.
fn restore(draft: &Draft<'_>, lost: &Lost) -> Result<bool, KbError> {
    let fs = draft.objects().fs();
    if look(fs, &lost.path.to_rel())? != Found::File(lost.content) {
        return Ok(false);
    }
    let open = || fs.reader(&lost.path.to_rel()).map_err(|error| io::Error::new(error.kind(), error.to_string()));
    match draft.objects().restore(lost.content, open) {
        Ok(()) => Ok(true),
        Err(KbError::Changed { .. }) => Ok(false),
        Err(KbError::Source(error)) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// `false` where it is another page than was looked at.
fn page(draft: &mut Draft<'_>, path: &FilePath, rewrite: &Rewrite) -> Result<bool, KbError> {
    let bytes = match draft.objects().fs().read(&path.to_rel(), PAGE_BYTES_MAX) {
        Ok(bytes) if ContentId::of(&bytes) == rewrite.was => bytes,
        Ok(_) | Err(FsError::TooLarge { .. }) => return Ok(false),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(error.into()),
    };
    let Ok(text) = String::from_utf8(bytes) else { return Ok(false) };
    let directory = path.as_str().rsplit_once('/').map_or("", |(directory, _)| directory);
    let new = rewritten(&text, directory, &rewrite.decisions);
    // The generation may have moved since: what stands there is what counts.
    if rewrite.as_generated && draft.content(path)? == Some(rewrite.was) {
        draft.write(path.clone(), new.as_bytes())?;
    } else {
        let (from, to) = (draft.objects().put(text.as_bytes())?, draft.objects().put(new.as_bytes())?);
        draft.edit(path.clone(), Some(from), Some(to));
    }
    Ok(true)
}

/// A page with what was decided of its links. `directory` is where it lies, from the base's root.
fn rewritten(text: &str, directory: &str, decisions: &BTreeMap<(bool, String), Decision>) -> String {
    let mut text = text.to_owned();
    for _ in 0..ROUNDS_MAX {
        let tables = tables(&text);
        let new = link::rewritten(&text, |link| {
            let decision = decisions.get(&(link.wiki, link.target.clone()))?;
            let in_table = tables.iter().any(|(begin, end)| (*begin..*end).contains(&link.span.start));
            let written = &text[link.span.clone()];
            Some(match decision {
                Decision::To(file) => led(link, written, file, directory, in_table),
                Decision::Words if link.wiki => line(link.reads()),
                Decision::Words => label(written).to_owned(),
            })
        });
        if new == text {
            break;
        }
        text = new;
    }
    text
}

/// A link as it was, but to this file.
fn led(link: &Link, written: &str, file: &str, directory: &str, in_table: bool) -> String {
    if link.wiki {
        let alias = link.alias.clone().or_else(|| (!link.embed).then(|| link.reads().to_owned()));
        let target = file.strip_suffix(".md").unwrap_or(file).to_owned();
        let to = Link { target, alias, ..link.clone() }.to_string();
        return if in_table { to.replace('|', "\\|") } else { to };
    }
    let heading = link.heading.as_ref().map_or(String::new(), |heading| format!("#{heading}"));
    let embed = if link.embed { "!" } else { "" };
    let up: String = directory.split('/').skip(1).map(|_| "../").collect();
    format!("{embed}[{}](<{up}{file}{heading}>)", label(written))
}

/// What stands between the brackets of a Markdown link, as it is written.
fn label(written: &str) -> &str {
    let Some(begin) = written.find('[') else { return written };
    let (mut depth, mut escaped) = (0, false);
    for (at, character) in written.char_indices().skip_while(|(at, _)| *at < begin) {
        match character {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '[' => depth += 1,
            ']' => depth -= 1,
            _ => {}
        }
        if depth == 0 && !escaped {
            return &written[begin + 1..at];
        }
    }
    written
}

/// Where tables are: there, a bar parts cells.
fn tables(text: &str) -> Vec<(usize, usize)> {
    let body_at = crate::page::front::part(text).body_at;
    let mut tables = Vec::new();
    for (event, span) in Parser::new_ext(&text[body_at..], MARKDOWN).into_offset_iter() {
        if matches!(event, Event::Start(Tag::Table(_)) | Event::End(TagEnd::Table)) {
            tables.push((body_at + span.start, body_at + span.end));
        }
    }
    tables
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(text: &str) -> String {
        let to = |name: &str| Decision::To(name.to_owned());
        let decisions = BTreeMap::from([
            ((true, "Tidal Range".to_owned()), to("concepts/tidal-range.md")),
            ((true, "gone".to_owned()), Decision::Words),
            ((false, "gone.md".to_owned()), Decision::Words),
            ((false, "gone.png".to_owned()), Decision::Words),
            ((false, "Tides.md".to_owned()), to("concepts/tide.md")),
        ]);
        rewritten(text, "wiki/explorations", &decisions)
    }

    #[test]
    fn a_link_reads_as_before_wherever_it_leads_now() {
        for (text, expected) in [
            ("[[Tidal Range]]", "[[concepts/tidal-range|Tidal Range]]"),
            ("[[Tidal Range#Height|high]]", "[[concepts/tidal-range#Height|high]]"),
            ("![[Tidal Range]]", "![[concepts/tidal-range]]"),
            ("| a |\n|---|\n| [[Tidal Range]] |\n", "| a |\n|---|\n| [[concepts/tidal-range\\|Tidal Range]] |\n"),
            ("[[gone]] and [[gone|*so*]]", "gone and \\*so\\*"),
            ("[*so* [x]](gone.md) and `[[gone]]`", "*so* [x] and `[[gone]]`"),
            ("[the tides](Tides.md#High%20water \"t\")", "[the tides](<../concepts/tide.md#High water>)"),
            ("[![a chart](gone.png)](gone.md)", "a chart"),
            ("[x][r]\n\n[r]: gone.md\n", "x\n\n[r]: gone.md\n"),
        ] {
            assert_eq!(made(text), expected, "{text}");
            assert_eq!(made(expected), expected, "{text}");
        }
    }
}
