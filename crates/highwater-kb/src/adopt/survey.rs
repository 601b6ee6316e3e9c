//! What an older base has, and what of it is taken over: read, and nothing written. Owns these decisions. A document comes over with
//! its registry's row, its text and its summary; where one of these is not there, it does not, and that is told.

use std::collections::{BTreeMap, HashSet};
use std::path::Path;

use highwater_fs::{Fs, FsError, Kind, RelPath};

use super::places::{origin, raw_of, summary_of};
use super::registry::{self, Row};
use super::shared::{self, Shared};
use super::shelf::{self, Print};
use super::{ADOPTED, AdoptError, Journal, journal, kept, pages};
use crate::base::PAGE_BYTES_MAX;
use crate::content::ContentId;
use crate::document::{DocName, Document};
use crate::page::link::Names;
use crate::page::{PageKind, PageName};
use crate::path::FilePath;

/// The most bytes of what one document says on pages that it shares.
const SHARED_BYTES_MAX: u64 = 32 << 20;
/// The most bytes that a page comes to, which is a part of what is known of each of its documents.
const SPREAD_BYTES_MAX: u64 = 64 << 20;
/// The most bytes of a text that is kept as JSON.
pub(super) const JSON_BYTES_MAX: u64 = 256 << 20;
/// The pages of an older base that are no document's and no kind's.
const OTHERS: [&str; 3] = ["wiki/index.md", "wiki/log.md", "wiki/AGENTS.md"];

/// Where a base writes: what is no directory there is written through by nobody.
const DIRECTORIES: [&str; 9] = [
    "raw",
    "wiki",
    "wiki/sources",
    "wiki/sources/images",
    "wiki/summaries",
    "wiki/concepts",
    "wiki/entities",
    "wiki/explorations",
    "wiki/log",
];

/// What an older base has, and what of it is taken over.
#[derive(Debug)]
pub struct Survey {
    pub(super) documents: Vec<Taken>,
    pub(super) shared: Vec<Shared>,
    /// Other files that are taken in as they are.
    pub(super) files: Vec<FilePath>,
    /// What pages are called in links, and will be, where that differs.
    pub(super) renamed: BTreeMap<String, String>,
    /// The pages that there are, as links find them.
    pub(super) names: Names,
    /// Where the index of the older base is kept, if it says something that ours does not.
    pub(super) index_kept: Option<FilePath>,
    /// How many there are of each.
    pub counted: Counted,
    /// What is not taken over, and why.
    pub not_taken: Vec<NotTaken>,
    /// What else a person should know, a sentence each.
    pub notes: Vec<String>,
    /// The journals that were left.
    pub journals: Vec<Journal>,
}

/// How many there are of what is taken over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counted {
    /// Documents.
    pub documents: u64,
    /// Pages of concepts.
    pub concepts: u64,
    /// Pages of entities.
    pub entities: u64,
    /// Answers that somebody kept.
    pub explorations: u64,
    /// Reports.
    pub reports: u64,
}

/// Something that is not taken over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotTaken {
    /// What: a file, or a document.
    pub what: String,
    /// Why not.
    pub why: String,
}

impl NotTaken {
    pub(super) fn new(what: &str, why: &str) -> Self {
        Self { what: crate::page::plain::one_line(what), why: why.to_owned() }
    }
}

/// A document that is taken over.
#[derive(Debug)]
pub(super) struct Taken {
    pub(super) name: DocName,
    /// All that is known, but for its sequence, its title and what was compiled from it.
    pub(super) document: Document,
    /// What its file was called.
    pub(super) file_name: String,
    /// Its summary, as it stands.
    pub(super) summary: FilePath,
    /// Its text, as it stands.
    pub(super) text: FilePath,
    /// Its files that are taken in as they are, those two included.
    pub(super) files: Vec<FilePath>,
    /// The pages that it shares, by their places in the list.
    pub(super) shared: Vec<usize>,
}

impl Taken {
    /// Whether its text is kept page by page.
    pub(super) fn is_paged(&self) -> bool {
        is_json(&self.text)
    }

    /// Its own pages that are written when it is registered, and were not there.
    fn made(&self) -> impl Iterator<Item = FilePath> {
        let text = self.is_paged().then(|| self.document.full_text.clone());
        self.moves().map(|(_, new)| new).chain(text)
    }

    /// Its own pages that lie elsewhere than ours would: where they are, and where they will be.
    pub(super) fn moves(&self) -> impl Iterator<Item = (&FilePath, FilePath)> {
        let summary = (&self.summary, PageName::of_document(PageKind::Summary, &self.name).path());
        let text = (!self.is_paged()).then(|| (&self.text, self.document.full_text.clone()));
        [summary].into_iter().chain(text).filter(|(old, new)| *old != new)
    }
}

fn is_json(text: &FilePath) -> bool {
    text.as_str().ends_with(".json")
}

/// Looks at the older base below `disk`, whose root a person finds at `root`. `registered` are the documents that a call registered
/// before it was cut off.
///
/// # Errors
/// [`AdoptError`]; what is wrong with one document or page is told in the survey.
pub fn survey(disk: &dyn Fs, root: &Path, registered: &HashSet<DocName>) -> Result<Survey, AdoptError> {
    let (rows, spoilt) = registry::read(disk)?;
    for directory in DIRECTORIES {
        let at = RelPath::new(directory).expect("invariant: it is below the root");
        if !matches!(shelf::kind(disk, &at)?, None | Some(Kind::Dir)) {
            return Err(AdoptError::NoDirectory(directory.to_owned()));
        }
    }
    let mut looked = Looked {
        disk,
        root,
        registered,
        not_taken: Vec::new(),
        notes: Vec::new(),
        folded: HashSet::new(),
        claimed: HashSet::new(),
    };
    for (what, why) in spoilt {
        looked.not_taken.push(NotTaken::new(&what, &why));
    }
    let (mut documents, mut kept) = (Vec::new(), Vec::new());
    for row in rows {
        match looked.document(&row)? {
            Ok(taken) => {
                documents.push(taken);
                kept.push(row);
            }
            Err(why) => looked.not_taken.push(NotTaken::new(&row.file_name, &why)),
        }
    }
    let (shared, files, names) = looked.pages(&mut documents, &kept)?;
    let moves = documents.iter().flat_map(Taken::moves);
    let name_of = |path: &FilePath| below_wiki(path).trim_end_matches(".md").to_owned();
    let renamed: BTreeMap<String, String> = moves.map(|(old, new)| (name_of(old), name_of(&new))).collect();
    let others: Vec<&str> = documents
        .iter()
        .zip(&kept)
        .filter(|(taken, row)| taken.name.as_str() != row.stem)
        .map(|(taken, _)| taken.name.as_str())
        .collect();
    if let Some(first) = others.first() {
        let them = if others.len() == 1 {
            format!("1 document gets another name: {first}")
        } else {
            format!("{} documents get other names: {first} and so on", others.len())
        };
        looked.notes.push(format!("{them}; a link could not name it as it was"));
    }
    let of_kind = |kind| shared.iter().filter(|shared| shared.page.kind() == kind).count() as u64;
    let below = |directory: &str| files.iter().filter(|file| file.as_str().starts_with(directory)).count() as u64;
    let counted = Counted {
        documents: documents.len() as u64,
        concepts: of_kind(PageKind::Concept),
        entities: of_kind(PageKind::Entity),
        explorations: below("wiki/explorations/"),
        reports: below("wiki/reports/"),
    };
    let Looked { not_taken, mut notes, .. } = looked;
    let index_kept = kept::index(disk)?;
    if let Some(kept) = &index_kept {
        notes.push(format!("what the index said besides its lists is in {kept}"));
    }
    let journals = journal::read(disk);
    Ok(Survey { documents, shared, files, renamed, names, index_kept, counted, not_taken, notes, journals })
}

fn of(count: usize, one: &str, more: &str) -> String {
    if count == 1 { format!("1 {one}") } else { format!("{count} {more}") }
}

/// A survey in the making.
struct Looked<'d> {
    disk: &'d dyn Fs,
    root: &'d Path,
    registered: &'d HashSet<DocName>,
    not_taken: Vec<NotTaken>,
    notes: Vec<String>,
    /// Names that are taken, without case.
    folded: HashSet<String>,
    /// Files that are a document's.
    claimed: HashSet<FilePath>,
}

impl Looked<'_> {
    /// One document, or why it is not taken over.
    fn document(&mut self, row: &Row) -> Result<Result<Taken, String>, FsError> {
        let name = DocName::of_stem(&row.stem);
        if self.folded.contains(&name.folded()) {
            return Ok(Err(format!("another document is called {name}")));
        }
        let (summary, text, raw) = match (summary_of(&row.stem), self.text(row)?, raw_of(row)) {
            (Ok(summary), Ok(text), Ok(raw)) => (summary, text, raw),
            (Err(why), ..) | (_, Err(why), _) | (.., Err(why)) => return Ok(Err(why)),
        };
        if let Err(why) = shelf::read(self.disk, &summary, PAGE_BYTES_MAX)? {
            return Ok(Err(format!("its summary ({summary}): {why}: add it again")));
        }
        if let Err(why) = self.readable(&text)? {
            return Ok(Err(format!("its text ({text}): {why}: add it again")));
        }
        for (old, kind) in [(&summary, PageKind::Summary), (&text, PageKind::Source)] {
            let page = PageName::of_document(kind, &name).path();
            let is_there = || shelf::kind(self.disk, &page.to_rel());
            if *old != page && !self.registered.contains(&name) && is_there()?.is_some() {
                return Ok(Err(format!("its page would be called {page}, which is there already")));
            }
        }
        if [&summary, &text, &raw].into_iter().any(|file| self.claimed.contains(file)) {
            return Ok(Err("another document has its files".to_owned()));
        }
        self.claimed.extend([summary.clone(), text.clone(), raw.clone()]);
        let (raw, print) = self.raw(row, raw, &text)?;
        let mut files = vec![summary.clone(), text.clone()];
        if raw != text {
            files.push(raw.clone());
        }
        let mut images = shelf::list(self.disk, &format!("wiki/sources/images/{}", row.stem), &mut self.not_taken)?;
        files.extend(images.iter().cloned());
        // What the text is made of goes with it.
        if is_json(&text) && raw != text {
            images.push(text.clone());
        }
        let document = Document {
            sequence: 0,
            origin: origin(self.root, row, &raw),
            content: print.content,
            sha256: print.sha256,
            bytes: print.bytes,
            title: String::new(),
            full_text: PageName::of_document(PageKind::Source, &name).path(),
            images,
            pages: None,
            converter: ADOPTED.to_owned(),
            compiler: ADOPTED.to_owned(),
            compiled: ContentId::of(b""),
            raw,
        };
        self.folded.insert(name.folded());
        let file_name = row.file_name.clone();
        Ok(Ok(Taken { name, document, file_name, summary, text, files, shared: Vec::new() }))
    }

    /// Where its text is.
    fn text(&self, row: &Row) -> Result<Result<FilePath, String>, FsError> {
        let below = |path: String| {
            let path = FilePath::new(path).map_err(|fault| format!("its text: {fault}"))?;
            match path.as_str().starts_with("wiki/sources/") {
                true => Ok(path),
                false => Err(format!("its text: {path} is not below wiki/sources/")),
            }
        };
        if let Some(said) = &row.text {
            return Ok(below(said.clone()));
        }
        let plain = below(format!("wiki/sources/{}.md", row.stem));
        if let Ok(plain) = &plain
            && !shelf::is_file(self.disk, plain)?
            && let Ok(paged) = below(format!("wiki/sources/{}.json", row.stem))
            && shelf::is_file(self.disk, &paged)?
        {
            return Ok(Ok(paged));
        }
        Ok(plain)
    }

    /// Whether its text can be read.
    fn readable(&self, text: &FilePath) -> Result<Result<(), String>, FsError> {
        if !shelf::is_file(self.disk, text)? {
            return Ok(Err("it is not there".to_owned()));
        }
        if !is_json(text) {
            return Ok(Ok(()));
        }
        Ok(shelf::read(self.disk, text, JSON_BYTES_MAX)?.and_then(|json| pages::read(&json)).map(drop))
    }

    /// Its bytes as they were given: where these are not what was registered, its text stands for them.
    fn raw(&mut self, row: &Row, raw: FilePath, text: &FilePath) -> Result<(FilePath, Print), FsError> {
        if !row.is_remote {
            let found = if shelf::is_file(self.disk, &raw)? { Some(shelf::print(self.disk, &raw)?) } else { None };
            match found {
                Some(print) if print.sha256 == row.sha256 => return Ok((raw, print)),
                found => {
                    let is = if found.is_some() { "is another than was registered" } else { "is not there" };
                    let note = format!(
                        "{}: {raw} {is}; its pages and its text are taken over, and it is replaced when it is added again",
                        crate::page::plain::one_line(&row.file_name)
                    );
                    self.notes.push(note);
                }
            }
        }
        let print = shelf::print(self.disk, text)?;
        Ok((text.clone(), print))
    }

    /// Every page that is no document's own, and what documents share.
    fn pages(&mut self, documents: &mut [Taken], rows: &[Row]) -> Result<(Vec<Shared>, Vec<FilePath>, Names), FsError> {
        let (mut names, mut files) = (Names::default(), Vec::new());
        let own: HashSet<FilePath> = documents.iter().flat_map(|taken| taken.files.iter().cloned()).collect();
        // What a call made that was cut off is none of the older base's.
        let is_ours = |taken: &&Taken| self.registered.contains(&taken.name);
        let made: HashSet<FilePath> = documents.iter().filter(is_ours).flat_map(Taken::made).collect();
        let mut strays = 0;
        for kind in [PageKind::Summary, PageKind::Source] {
            for file in shelf::list(self.disk, &format!("wiki/{}", kind.directory()), &mut self.not_taken)? {
                if made.contains(&file) && !own.contains(&file) {
                    continue;
                }
                names.insert(below_wiki(&file));
                if !own.contains(&file) {
                    strays += 1;
                    files.push(file);
                }
            }
        }
        if strays > 0 {
            let (pages, it) = (of(strays, "page", "pages"), if strays == 1 { "it" } else { "they" });
            self.notes.push(format!(
                "{pages} below wiki/summaries and wiki/sources {} of no document that is taken over: {it} stay{} until one of that name \
                 is added",
                if strays == 1 { "is" } else { "are" },
                if strays == 1 { "s" } else { "" },
            ));
        }
        for kind in [PageKind::Exploration, PageKind::Report] {
            let listed = shelf::list(self.disk, &format!("wiki/{}", kind.directory()), &mut self.not_taken)?;
            listed.iter().for_each(|file| names.insert(below_wiki(file)));
            files.extend(listed);
        }
        for other in OTHERS.map(|path| FilePath::new(path).expect("invariant: it is below wiki/")) {
            if shelf::is_file(self.disk, &other)? {
                names.insert(below_wiki(&other));
                files.push(other);
            }
        }
        let (lookup, mut shared) = (shared::lookup(rows.iter()), Vec::new());
        for kind in [PageKind::Concept, PageKind::Entity] {
            let listed = shelf::list(self.disk, &format!("wiki/{}", kind.directory()), &mut self.not_taken)?;
            listed.iter().for_each(|file| names.insert(below_wiki(file)));
            shared.extend(shared::read(self.disk, kind, listed, &lookup, &mut self.not_taken)?);
        }
        let mut bytes = vec![0_u64; documents.len()];
        let not_taken = &mut self.not_taken;
        shared.retain(|shared| {
            let spread = shared.bytes.saturating_mul(shared.documents.len() as u64);
            let why = if spread > SPREAD_BYTES_MAX {
                let documents = shared.documents.len();
                format!("{} bytes are too many for a page of {documents} documents", shared.bytes)
            } else if shared.documents.iter().any(|place| bytes[*place] + shared.bytes > SHARED_BYTES_MAX) {
                format!("one of its documents has more than {SHARED_BYTES_MAX} bytes of such pages")
            } else {
                shared.documents.iter().for_each(|place| bytes[*place] += shared.bytes);
                return true;
            };
            not_taken.push(NotTaken::new(shared.file.as_str(), &format!("{why}: it stays as a page of yours")));
            false
        });
        for (n, page) in shared.iter().enumerate() {
            page.documents.iter().for_each(|place| documents[*place].shared.push(n));
        }
        Ok((shared, files, names))
    }
}

/// A file as the wiki names it.
fn below_wiki(file: &FilePath) -> &str {
    file.as_str().strip_prefix("wiki/").unwrap_or(file.as_str())
}
