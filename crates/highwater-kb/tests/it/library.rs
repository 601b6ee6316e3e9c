//! Documents that tests make, and bases that they are folded into.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use highwater_kb::base::Collected;
use highwater_kb::compile::{Compiled, Contribution};
use highwater_kb::convert::Image;
use highwater_kb::fold::{self, Ready};
use highwater_kb::tree::Section;
use highwater_kb::{Base, BaseLock, Committed, ContentId, DocName, Document, Draft, FilePath, Home, KbError, PageName};

use jiff::Timestamp;

use crate::home::{file, now};

/// A document as it comes out of the compiler.
#[derive(Debug, Clone)]
pub(crate) struct Paper {
    pub(crate) name: DocName,
    pub(crate) document: Document,
    pub(crate) text: String,
    pub(crate) images: Vec<Image>,
    pub(crate) compiled: Compiled,
}

/// What a document says on a page: its name, whether it would have it alone, what else it links.
pub(crate) type Says<'a> = (&'a str, bool, &'a [&'a str]);

impl Paper {
    pub(crate) fn new(stem: &str, text: &str, says: &[Says<'_>]) -> Self {
        let name = DocName::of_stem(stem);
        let contribution = |(page, alone, links): &Says<'_>| {
            let page: PageName = page.parse().unwrap();
            let links: String = links.iter().map(|link| format!(" See [[{link}|{link}]].")).collect();
            Contribution {
                title: page.stem().replace('-', " "),
                description: format!("What {stem} calls {}.", page.stem()),
                body: format!("- {stem} says it so.{links}"),
                page,
                alone: *alone,
            }
        };
        let document = Document {
            sequence: 0,
            origin: highwater_kb::Origin::of_file(std::path::Path::new(&format!("/papers/{stem}.txt"))),
            raw: FilePath::new(format!("raw/{name}.txt")).unwrap(),
            content: ContentId::of(text.as_bytes()),
            sha256: String::new(),
            bytes: text.len() as u64,
            title: String::new(),
            full_text: file("wiki/sources/none.md"),
            images: Vec::new(),
            pages: None,
            converter: "test/1".to_owned(),
            compiler: "test/1".to_owned(),
            compiled: ContentId::of(b""),
        };
        let compiled = Compiled {
            title: format!("The {stem}"),
            doc_type: "notes".to_owned(),
            description: format!("What {stem} is about."),
            summary: format!("{stem} is [[summaries/{name}|itself]]."),
            tree: Vec::new(),
            contributions: says.iter().map(contribution).collect(),
        };
        Self { name, document, text: text.to_owned(), images: Vec::new(), compiled }
    }

    pub(crate) fn with_image(mut self, name: &str, bytes: &[u8]) -> Self {
        self.text.push_str(&format!("\n![it](images/{name})\n"));
        self.images.push(Image { name: name.to_owned(), bytes: bytes.to_vec() });
        self
    }

    pub(crate) fn with_section(mut self, title: &str, begin_line: u32, end_line: u32) -> Self {
        self.compiled.tree.push(Section {
            title: title.to_owned(),
            begin_line,
            end_line,
            pages: Some((begin_line + 1, end_line)),
            summary: String::new(),
            children: Vec::new(),
        });
        self
    }

    pub(crate) fn ready(&self) -> Ready<'_> {
        Ready {
            name: &self.name,
            document: &self.document,
            text: &self.text,
            images: &self.images,
            compiled: &self.compiled,
        }
    }

    pub(crate) fn fold(&self, draft: &mut Draft<'_>) -> Result<(), KbError> {
        self.fold_given(draft, &format!("given: {}", self.text))
    }

    /// The same of one that was given as just this.
    pub(crate) fn fold_given(&self, draft: &mut Draft<'_>, given: &str) -> Result<(), KbError> {
        // The bytes as they were given are an object first, as a conversion leaves them.
        draft.write(self.document.raw.clone(), given.as_bytes())?;
        let document = Document { content: ContentId::of(given.as_bytes()), ..self.document.clone() };
        fold::fold(draft, &Ready { document: &document, ..self.ready() })
    }
}

/// A base with a place to be.
pub(crate) struct Library {
    pub(crate) home: Arc<dyn Home>,
    pub(crate) base: Base,
    held: Option<BaseLock>,
}

impl Library {
    pub(crate) fn new(home: Arc<dyn Home>) -> Self {
        let mut library = Self::bare(home);
        library.change("init", "a library", fold::furnish);
        library
    }

    /// A base with no generation.
    pub(crate) fn bare(home: Arc<dyn Home>) -> Self {
        let base = Base::init(home.clone(), now()).unwrap();
        let held = home.try_lock().unwrap();
        Self { home, base, held }
    }

    /// A base that is there already.
    pub(crate) fn open(home: Arc<dyn Home>) -> Self {
        let base = Base::open(home.clone(), now()).unwrap();
        let held = home.try_lock().unwrap();
        Self { home, base, held }
    }

    pub(crate) fn add(&mut self, papers: &[&Paper]) {
        let names: Vec<&str> = papers.iter().map(|paper| paper.name.as_str()).collect();
        self.change("add", &names.join(", "), |draft| papers.iter().try_for_each(|paper| paper.fold(draft)));
    }

    pub(crate) fn remove(&mut self, name: &str) {
        let name = DocName::of_stem(name);
        self.change("remove", name.as_str(), |draft| fold::unfold(draft, &name, false).map(drop));
    }

    pub(crate) fn change(&mut self, op: &str, text: &str, draft: impl FnOnce(&mut Draft<'_>) -> Result<(), KbError>) {
        let held = self.held.as_ref().unwrap();
        self.base.commit(held, now(), op, text, draft).unwrap();
    }

    pub(crate) fn try_change(
        &mut self,
        draft: impl FnOnce(&mut Draft<'_>) -> Result<(), KbError>,
    ) -> Result<Option<Committed>, KbError> {
        let held = self.held.as_ref().unwrap();
        self.base.commit(held, now(), "add", "a test", draft)
    }

    pub(crate) fn collect(&mut self, at: Timestamp, grace: Duration) -> Result<Collected, KbError> {
        self.base.collect(self.held.as_ref().unwrap(), at, grace, true)
    }

    /// What a collection would do.
    pub(crate) fn garbage(&mut self, at: Timestamp, grace: Duration) -> Result<Collected, KbError> {
        self.base.garbage(self.held.as_ref().unwrap(), at, grace, true)
    }

    /// Does something that takes the base and its lock.
    pub(crate) fn under_lock<T>(&mut self, work: impl FnOnce(&mut Base, &BaseLock) -> T) -> T {
        work(&mut self.base, self.held.as_ref().unwrap())
    }

    pub(crate) fn undo(&mut self, generation: u32) {
        self.base.undo(self.held.as_ref().unwrap(), now(), generation).unwrap();
    }

    pub(crate) fn let_go(&mut self) {
        self.held = None;
    }

    /// Every file of the newest generation, but the log.
    pub(crate) fn files(&self) -> BTreeMap<String, String> {
        let files = self.base.files().unwrap().into_iter().filter(|(path, _)| !path.as_str().starts_with("wiki/log"));
        let read = files.map(|(path, _)| {
            let bytes = self.base.read(&path).unwrap().unwrap();
            (path.to_string(), String::from_utf8_lossy(&bytes).into_owned())
        });
        read.collect()
    }

    pub(crate) fn page(&self, path: &str) -> Option<String> {
        self.base.read(&file(path)).unwrap().map(|bytes| String::from_utf8(bytes).unwrap())
    }
}
