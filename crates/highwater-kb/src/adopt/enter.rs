//! From a survey to generations. Owns that what is taken over is taken once, in an order that a crash cannot spoil: all bytes are
//! objects first, then the documents and the files as they stand, then what this kind renders.

use std::collections::{BTreeMap, BTreeSet};
use std::io;

use highwater_fs::{Fs, FsError};
use jiff::Timestamp;

use super::survey::{JSON_BYTES_MAX, Survey, Taken};
use super::{body, front, kept, pages, registry, shared};
use crate::base::{Base, BaseLock, Committed, Draft, Objects, PAGE_BYTES_MAX};
use crate::compile::{Compiled, Contribution};
use crate::content::ContentId;
use crate::document::Document;
use crate::error::KbError;
use crate::fold;
use crate::page::plain::one_line;
use crate::page::render;
use crate::path::FilePath;
use crate::tree;

/// What the generations are called.
pub(super) const OP: &str = "adopt";
/// What the last of them says.
const LAST: &str = "the index and the log are made anew";
/// How many documents one generation takes over.
const DOCUMENTS_MAX: usize = 500;
/// How many bytes of pages that they share the documents of one generation hold in memory, at most; one document may have more.
const HELD_BYTES_MAX: u64 = 64 << 20;
/// The highest heading of a summary's own text.
const SUMMARY_HIGHEST: pulldown_cmark::HeadingLevel = pulldown_cmark::HeadingLevel::H2;

/// Where taking over a base came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Adopted {
    /// It is done now; so many documents came with this call.
    Now {
        /// How many.
        documents: u64,
        /// What became of the files that the last generation changed.
        last: Option<Committed>,
    },
    /// It was done before; nothing changed.
    Before,
    /// The base was made otherwise, and has a history of its own; nothing changed.
    Other,
}

/// Takes over what a survey found. A call that was cut off goes on with the next.
///
/// # Errors
/// As [`Base::commit`]; [`KbError::Changed`] where a file changed after it was surveyed.
pub fn adopt(
    base: &mut Base,
    held: &BaseLock,
    now: Timestamp,
    disk: &dyn Fs,
    survey: &Survey,
) -> Result<Adopted, KbError> {
    adopt_by(base, held, now, disk, survey, DOCUMENTS_MAX)
}

/// The same, by generations of at most so many documents.
fn adopt_by(
    base: &mut Base,
    held: &BaseLock,
    now: Timestamp,
    disk: &dyn Fs,
    survey: &Survey,
    documents_max: usize,
) -> Result<Adopted, KbError> {
    base.finish(held)?;
    let head = base.head()?.map_or(0, |head| head.number);
    for generation in 1..=head {
        let manifest = base.manifest(generation)?;
        match manifest.filter(|manifest| manifest.op == OP || generation > 1) {
            None => return Ok(Adopted::Other),
            Some(manifest) if manifest.op == OP && manifest.text == LAST => return Ok(Adopted::Before),
            Some(_) => {}
        }
    }
    let mut documents = 0;
    let mut left = Vec::new();
    for taken in &survey.documents {
        if base.document(&taken.name)?.is_none() {
            left.push(taken);
        }
    }
    let mut parts = survey.parted(left, documents_max).into_iter().peekable();
    let mut is_first = head == 0;
    let mut has = BTreeMap::new();
    while is_first || parts.peek().is_some() {
        let part = parts.next().unwrap_or_default();
        let files = if is_first { survey.as_they_are() } else { BTreeSet::new() };
        if !is_first && has.is_empty() {
            has = base.files()?.into_iter().collect();
        }
        take_over(base, held, now, disk, survey, (&part, files), &has)?;
        documents += part.len() as u64;
        is_first = false;
    }
    let is_page = |path: &FilePath| {
        let path = path.as_str();
        path.starts_with("wiki/") && path.ends_with(".md") && !path.starts_with("wiki/sources/")
    };
    let pages: Vec<FilePath> = base.files()?.into_iter().map(|(path, _)| path).filter(is_page).collect();
    let last = base.commit(held, now, OP, LAST, |draft| finish(draft, survey, &pages))?;
    Ok(Adopted::Now { documents, last })
}

impl Survey {
    /// Documents in parts, each for one generation.
    fn parted<'t>(&self, documents: Vec<&'t Taken>, documents_max: usize) -> Vec<Vec<&'t Taken>> {
        let mut parts: Vec<Vec<&Taken>> = Vec::new();
        let mut held_bytes = 0;
        for taken in documents {
            let bytes: u64 = taken.shared.iter().map(|place| self.shared[*place].bytes).sum();
            match parts.last_mut().filter(|part| part.len() < documents_max && held_bytes + bytes <= HELD_BYTES_MAX) {
                Some(part) => {
                    part.push(taken);
                    held_bytes += bytes;
                }
                None => {
                    parts.push(vec![taken]);
                    held_bytes = bytes;
                }
            }
        }
        parts
    }

    /// The files that are no document's own.
    fn as_they_are(&self) -> BTreeSet<FilePath> {
        self.files.iter().chain(self.shared.iter().map(|shared| &shared.file)).cloned().collect()
    }

    /// What a page will be called, where that is another name than it has.
    fn called(&self, name: &str) -> Option<String> {
        self.renamed.get(name).cloned()
    }

    /// What a page will be called.
    fn in_full(&self, name: &str) -> Option<String> {
        self.called(name).or_else(|| Some(name.to_owned()))
    }
}

/// Registers documents, with their files and others as they stand; `has` is what generations before this one took over.
fn take_over(
    base: &mut Base,
    held: &BaseLock,
    now: Timestamp,
    disk: &dyn Fs,
    survey: &Survey,
    (part, mut files): (&[&Taken], BTreeSet<FilePath>),
    has: &BTreeMap<FilePath, ContentId>,
) -> Result<(), KbError> {
    for taken in part {
        files.extend(taken.files.iter().cloned());
    }
    let mut placed = BTreeMap::new();
    for path in files {
        let rel = path.to_rel();
        let (content, _) = base.objects().put_stream(|| disk.reader(&rel).map_err(io::Error::other))?;
        placed.insert(path, content);
    }
    for taken in part {
        let (first, then) = (taken.document.content, placed.get(&taken.document.raw).copied());
        if let Some(then) = then.filter(|then| *then != first) {
            return Err(KbError::Changed { first, then });
        }
    }
    // What a page says is taken from its object: whoever edits it meanwhile has edited it afterwards.
    let kept = kept::pages(survey, &placed, base.objects())?;
    let stored = Stored { objects: base.objects(), survey, placed: &placed, has };
    let mut documents = Vec::with_capacity(part.len());
    for taken in part {
        let compiled = stored.compiled(taken)?;
        let (document, made) = stored.made(taken, &compiled)?;
        documents.push((taken, document, compiled, made));
    }
    let text = if part.len() == 1 { "1 document".to_owned() } else { format!("{} documents", part.len()) };
    let committed = base.commit(held, now, OP, &format!("{text} of a base of the older kind"), |draft| {
        draft.keep_log();
        for (path, content) in &placed {
            if draft.content(path)?.is_none() {
                draft.place(path.clone(), *content);
            }
        }
        for (path, page) in &kept {
            draft.write(path.clone(), page.as_bytes())?;
        }
        for (taken, document, compiled, made) in &documents {
            for (path, content) in made {
                draft.place(path.clone(), *content);
            }
            fold::register(draft, &taken.name, document, compiled)?;
        }
        Ok(())
    });
    committed.map(drop)
}

/// Objects of files, as they stood.
struct Stored<'s> {
    objects: Objects<'s>,
    survey: &'s Survey,
    placed: &'s BTreeMap<FilePath, ContentId>,
    has: &'s BTreeMap<FilePath, ContentId>,
}

impl Stored<'_> {
    fn content(&self, path: &FilePath) -> ContentId {
        let content = self.placed.get(path).or_else(|| self.has.get(path));
        *content.expect("invariant: every file of a survey is stored before it is read")
    }

    fn bytes(&self, path: &FilePath, bytes_max: u64) -> Result<Vec<u8>, KbError> {
        self.objects.read(self.content(path), bytes_max)
    }

    fn text(&self, path: &FilePath) -> Result<String, KbError> {
        Ok(String::from_utf8_lossy(&self.bytes(path, PAGE_BYTES_MAX)?).into_owned())
    }

    fn pages(&self, taken: &Taken) -> Result<crate::convert::Converted, KbError> {
        let json = self.bytes(&taken.text, JSON_BYTES_MAX)?;
        // It could be read a moment ago.
        Ok(pages::read(&json).unwrap_or_default())
    }

    /// What an older document says, as if it had been compiled here.
    fn compiled(&self, taken: &Taken) -> Result<Compiled, KbError> {
        let text = self.text(&taken.summary)?;
        let (older, rest) = front::read(&text);
        // Of a long document the first heading is that of its first section.
        let (title, rest) = if taken.is_paged() { (None, rest) } else { body::titled(rest) };
        let pages: BTreeSet<String> =
            taken.shared.iter().map(|place| self.survey.shared[*place].page.to_string()).collect();
        let summary = body::without_lists(rest, |target| pages.contains(target));
        let summary = body::fitted(&summary, SUMMARY_HIGHEST);
        let survey = self.survey;
        let summary = body::linked(&summary, &survey.names, |name| survey.in_full(name));
        let contributions = taken.shared.iter().map(|place| self.contribution(*place)).collect::<Result<_, _>>()?;
        let tree = if taken.is_paged() { tree::build(&self.pages(taken)?) } else { Vec::new() };
        Ok(Compiled {
            title: title.unwrap_or_else(|| one_line(&registry::stem_of(&taken.file_name))),
            doc_type: if older.doc_type.is_empty() { "document".to_owned() } else { older.doc_type },
            description: older.description,
            summary: summary.trim_matches('\n').trim_end().to_owned(),
            tree,
            contributions,
        })
    }

    fn contribution(&self, place: usize) -> Result<Contribution, KbError> {
        let survey = self.survey;
        let page = &survey.shared[place];
        // As links of the older base name them.
        let own: BTreeSet<&str> = page
            .documents
            .iter()
            .filter_map(|place| survey.documents[*place].summary.as_str().strip_prefix("wiki/")?.strip_suffix(".md"))
            .collect();
        let text = self.text(&page.file)?;
        Ok(shared::contribution(page, &text, &survey.names, |name| survey.in_full(name), |target| own.contains(target)))
    }

    /// What is known of a document, and the pages of it that are made.
    fn made(&self, taken: &Taken, compiled: &Compiled) -> Result<(Document, Vec<(FilePath, ContentId)>), KbError> {
        let mut document = Document { title: compiled.title.clone(), ..taken.document.clone() };
        let mut made = Vec::new();
        if taken.is_paged() {
            let converted = self.pages(taken)?;
            document.pages = u32::try_from(converted.page_lines.len()).ok();
            let page = render::source(&taken.name, &document, &compiled.description, &converted.markdown);
            made.push((document.full_text.clone(), self.objects.put(page.as_bytes())?));
        }
        for (old, new) in taken.moves() {
            made.push((new, self.content(old)));
        }
        Ok((document, made))
    }
}

/// What this kind renders, in the place of what the older one did.
fn finish(draft: &mut Draft<'_>, survey: &Survey, pages: &[FilePath]) -> Result<(), KbError> {
    for (old, _) in survey.documents.iter().flat_map(Taken::moves) {
        draft.remove(old.clone());
    }
    if !survey.renamed.is_empty() {
        pages.iter().try_for_each(|page| rename_links(draft, survey, page))?;
    }
    fold::list_again(draft)
}

/// Makes links to pages that are called otherwise now lead there.
fn rename_links(draft: &mut Draft<'_>, survey: &Survey, path: &FilePath) -> Result<(), KbError> {
    let bytes = match draft.read(path, PAGE_BYTES_MAX) {
        Ok(Some(bytes)) => bytes,
        // What is too large to be read as a page has its links looked at by nobody.
        Ok(None) | Err(KbError::Fs(FsError::TooLarge { .. })) => return Ok(()),
        Err(error) => return Err(error),
    };
    let Ok(text) = String::from_utf8(bytes) else { return Ok(()) };
    let mut new = body::linked(&text, &survey.names, |name| survey.called(name));
    let body_at = crate::page::front::part(&new).body_at;
    // What the front matter names stands between quotation marks.
    let parts =
        new[..body_at].split('"').map(|part| match part.strip_suffix(".md").and_then(|name| survey.called(name)) {
            Some(name) => format!("{name}.md"),
            None => part.to_owned(),
        });
    let yaml = parts.collect::<Vec<_>>().join("\"");
    new.replace_range(..body_at, &yaml);
    if new != text {
        draft.write(path.clone(), new.as_bytes())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::path::Path;
    use std::sync::Arc;

    use highwater_testkit::older_base;

    use super::*;
    use crate::adopt::{registered, survey};
    use crate::base::{Directory, Home, Snapshot};

    fn now() -> Timestamp {
        "2026-01-02T03:04:05Z".parse().unwrap()
    }

    /// What a base has that was taken over by generations of so many documents, and how many those are; one call is cut off after so
    /// many of them.
    fn taken(documents_max: usize, cut_off: Option<usize>) -> (BTreeMap<FilePath, Vec<u8>>, u32) {
        let directory = tempfile::tempdir().unwrap();
        older_base::lay(directory.path(), &older_base::older_base("/kb"));
        let home: Arc<dyn Home> = Arc::new(Directory::open(directory.path()).unwrap());
        let mut base = Base::init(home.clone(), now()).unwrap();
        let held = home.try_lock().unwrap().unwrap();
        if let Some(parts) = cut_off {
            let found = survey(home.fs(), Path::new("/kb"), &HashSet::new()).unwrap();
            let mut files = found.as_they_are();
            for part in found.parted(found.documents.iter().collect(), documents_max).into_iter().take(parts) {
                let has = base.files().unwrap().into_iter().collect();
                take_over(&mut base, &held, now(), home.fs(), &found, (&part, std::mem::take(&mut files)), &has)
                    .unwrap();
            }
        }
        let known = registered(&Snapshot::open(home.clone()).unwrap()).unwrap();
        let found = survey(home.fs(), Path::new("/kb"), &known).unwrap();
        adopt_by(&mut base, &held, now(), home.fs(), &found, documents_max).unwrap();
        let files = base.files().unwrap().into_iter().map(|(path, _)| path);
        let files = files.map(|path| (path.clone(), base.read(&path).unwrap().unwrap()));
        let files = files.filter(|(path, _)| path.as_str() != "wiki/log.md").collect();
        (files, base.head().unwrap().unwrap().number)
    }

    #[test]
    fn however_many_generations_it_takes_the_base_is_the_same() {
        let (whole, generations) = taken(DOCUMENTS_MAX, None);
        assert_eq!(generations, 2);
        assert_eq!(taken(2, None), (whole.clone(), 4));
        // Links between documents of different generations were renamed by the last.
        assert_eq!(taken(1, None), (whole.clone(), 6));
        for parts in 1..=5 {
            assert_eq!(taken(1, Some(parts)), (whole.clone(), 6), "cut off after {parts}");
        }
    }
}
