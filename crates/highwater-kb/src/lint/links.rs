//! Links: whether each leads somewhere, as Obsidian follows it. Owns what a link to nothing is made into: the one page whose name says
//! the same, else the words it reads as.
//!
//! What names a page in full is looked up as the page is read. What is left is settled at the end, together: by then it is known what
//! people made, and of all names only those are held that some link may mean.
//!
//! Of the text of a document, only images are looked at: its other links lead where the document came from. Whether a page has the heading
//! that a link names is not looked for.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::rc::Rc;

use super::alike::loose;
use super::mend::{Decision, Rewrite};
use super::standing::Page;
use super::{Finding, Kind, Look, ROWS};
use crate::content::ContentId;
use crate::error::KbError;
use crate::fold::is_log;
use crate::page::PageKind;
use crate::page::link::{self, Link, Names, Resolved};
use crate::path::FilePath;

/// How many links that do not name their page in full are held.
const OPEN_MAX: usize = 500_000;

/// A link whose page is to be found by its name alone.
pub(super) struct Open {
    page: Rc<Origin>,
    link: Link,
    line: u32,
}

/// Where it stands.
struct Origin {
    path: FilePath,
    content: ContentId,
    /// Whether it stands as the generation has it.
    as_generated: bool,
    /// Whether the base renders it.
    rendered: bool,
    /// Whether its links are such as make a page one that is linked.
    counts: bool,
}

impl Origin {
    /// Whether what stands there can be mended where it stands: what is rendered is rendered again.
    fn is_mendable(&self) -> bool {
        !(is_log(&self.path) || self.rendered && self.as_generated)
    }

    /// A link that rows do not tell of.
    fn led(&self, look: &mut Look<'_>, to: String) {
        if self.counts && to != self.path.as_str() {
            look.led_to.insert(to);
        }
    }
}

/// Where a link may lead, from the base's root.
enum Leads {
    /// To one of these.
    To(Vec<String>),
    /// Out of the base.
    Out,
}

pub(super) fn look(look: &mut Look<'_>, page: &Page<'_>) -> Result<(), KbError> {
    let found = link::links(page.text);
    if found.is_empty() {
        return Ok(());
    }
    let origin = Rc::new(Origin {
        path: page.path.clone(),
        content: page.content,
        as_generated: page.is_as_generated(),
        rendered: page.is_rendered(),
        counts: page.is_told_of(),
    });
    // Lines are counted as links come.
    let (mut line, mut counted) = (1, 0);
    for link in found {
        let lines = page.text[counted..link.span.start.max(counted)].matches('\n').count();
        line += u32::try_from(lines).unwrap_or(0);
        counted = counted.max(link.span.start);
        let quoted = page.kind == Some(PageKind::Source) && !link.wiki && !link.target.starts_with("images/");
        if link.target.is_empty() || quoted {
            continue;
        }
        let Leads::To(named) = leads(&origin.path, &link) else { continue };
        if let Some(path) = named.iter().find_map(|path| stands(look, path, origin.rendered).transpose()).transpose()? {
            origin.led(look, path);
        } else if look.open.len() < OPEN_MAX {
            look.open.push(Open { page: Rc::clone(&origin), link, line });
        } else {
            return Err(KbError::Links { limit: OPEN_MAX });
        }
    }
    Ok(())
}

/// Which of the generation's files a path is. What the base renders may link a page that a person deleted: that is told of the page.
fn stands(look: &Look<'_>, path: &str, rendered: bool) -> Result<Option<String>, KbError> {
    let Ok(path) = FilePath::new(path) else { return Ok(None) };
    let is_there = look.snapshot.content(&path)?.is_some() && (rendered || !look.deleted.contains(path.as_str()));
    Ok(is_there.then(|| path.to_string()))
}

/// The files that a link names in full: from the wiki's root, and as Markdown does, from where it stands.
fn leads(page: &FilePath, link: &Link) -> Leads {
    let mut named = Vec::new();
    if !link.wiki {
        let directory = page.as_str().rsplit_once('/').map_or("", |(directory, _)| directory);
        match plain(&format!("{directory}/{}", link.target)) {
            Some(path) => named.push(path),
            None => return Leads::Out,
        }
    }
    named.extend(plain(&format!("wiki/{}", link.target)));
    let pages = named.iter().filter(|path| !path.ends_with(".md")).map(|path| format!("{path}.md")).collect::<Vec<_>>();
    // A page is meant before a file without a suffix.
    Leads::To(if link.wiki { [pages, named].concat() } else { [named, pages].concat() })
}

/// A path without `.` and `..`; `None` for one that leads out.
fn plain(path: &str) -> Option<String> {
    let mut names = Vec::new();
    for name in path.split('/') {
        match name {
            "" | "." => {}
            ".." => drop(names.pop()?),
            name => names.push(name),
        }
    }
    Some(names.join("/"))
}

pub(super) fn settle(look: &mut Look<'_>) -> Result<(), KbError> {
    let open = std::mem::take(&mut look.open);
    if open.is_empty() {
        return Ok(());
    }
    let known = Known::gather(look, &open)?;
    for Open { page, link, line } in open {
        if let Leads::To(named) = leads(&page.path, &link)
            && let Some(path) = there(look, &named)?
        {
            page.led(look, path);
            continue;
        }
        match known.names.resolve(&link.target) {
            Resolved::One(name) => page.led(look, known.file(name)),
            Resolved::Several(names) => {
                let finding = Finding {
                    kind: Kind::AmbiguousLink,
                    file: page.path.to_string(),
                    line: Some(line),
                    what: format!("{} may be {}", short(&link), names.join(" or ")),
                    mends: "write its directory, too".to_owned(),
                    fix: false,
                };
                look.tell(finding);
            }
            Resolved::Nothing => broken(look, &page, &link, line, known.alike(&link)),
        }
    }
    Ok(())
}

/// The first of these that is on the disk.
fn there(look: &Look<'_>, named: &[String]) -> Result<Option<String>, KbError> {
    for path in named {
        let Ok(rel) = highwater_fs::RelPath::new(path) else { continue };
        if look.foreign.contains(path) || look.snapshot.disk().stat(&rel)?.is_some() {
            return Ok(Some(path.clone()));
        }
    }
    Ok(None)
}

fn broken(look: &mut Look<'_>, page: &Origin, link: &Link, line: u32, alike: Option<String>) {
    // What a page says of another is not said of itself.
    let alike = alike.filter(|file| page.path.as_str().strip_prefix("wiki/") != Some(file));
    let mendable = page.is_mendable();
    let name = alike.as_ref().map(|file| file.strip_suffix(".md").unwrap_or(file));
    let mends = match (name, mendable) {
        (Some(name), true) => format!("it is made to lead to {name}"),
        (None, true) => "it is made the words that it reads as".to_owned(),
        (Some(name), false) => format!("write {name}"),
        (None, false) if is_log(&page.path) => "take it out".to_owned(),
        (None, false) => "report it: what renders this page makes no such links".to_owned(),
    };
    let what = format!("{} leads nowhere", short(link));
    let kind = Kind::BrokenLink;
    let told = look.tell(Finding { kind, file: page.path.to_string(), line: Some(line), what, mends, fix: mendable });
    if told && mendable {
        let rewrite = look.rewrites.entry(page.path.clone()).or_insert_with(|| Rewrite {
            was: page.content,
            as_generated: page.as_generated,
            decisions: BTreeMap::new(),
        });
        let decision = alike.map_or(Decision::Words, Decision::To);
        rewrite.decisions.insert((link.wiki, link.target.clone()), decision);
    }
}

/// As it is written, but not longer than a line.
fn short(link: &Link) -> String {
    const CHARS_MAX: usize = 120;
    let written = crate::page::plain::one_line(&link.to_string());
    if written.chars().count() <= CHARS_MAX {
        return written;
    }
    written.chars().take(CHARS_MAX).chain(['…']).collect()
}

/// The names of files that some open link may mean.
struct Known {
    names: Names,
    /// Files from the wiki's root, by what their names say.
    alike: HashMap<String, BTreeSet<String>>,
    /// Files that are no pages.
    files: HashSet<String>,
}

impl Known {
    fn gather(look: &Look<'_>, open: &[Open]) -> Result<Self, KbError> {
        let stems: HashSet<String> = open.iter().map(|open| stem_of(&open.link.target).to_lowercase()).collect();
        let wanted: HashSet<String> = open.iter().map(|open| loose(stem_of(&open.link.target))).collect();
        let mut known = Self { names: Names::default(), alike: HashMap::new(), files: HashSet::new() };
        let mut take = |path: &str| {
            let Some(file) = path.strip_prefix("wiki/") else { return };
            let name = file.strip_suffix(".md").unwrap_or(file);
            let stem = stem_of(name);
            if stems.contains(&stem.to_lowercase()) {
                known.names.insert(file);
            }
            let key = loose(stem);
            if !key.is_empty() && wanted.contains(&key) {
                known.alike.entry(key).or_default().insert(file.to_owned());
            }
            if name.len() == file.len() {
                known.files.insert(file.to_owned());
            }
        };
        let mut after = "wiki/".to_owned();
        loop {
            let files = look.snapshot.files_after(&after, ROWS)?;
            let Some((last, _)) = files.last().filter(|(last, _)| last.as_str().starts_with("wiki/")) else { break };
            after = last.to_string();
            let standing = files.iter().filter(|(path, _)| !look.deleted.contains(path.as_str()));
            standing.for_each(|(path, _)| take(path.as_str()));
        }
        look.foreign.iter().for_each(|path| take(path));
        Ok(known)
    }

    /// The file of a name.
    fn file(&self, name: &str) -> String {
        if self.files.contains(name) { format!("wiki/{name}") } else { format!("wiki/{name}.md") }
    }

    /// The one file whose name says the same: in the directory that the link names, else anywhere.
    fn alike(&self, link: &Link) -> Option<String> {
        let target = link.target.strip_suffix(".md").unwrap_or(&link.target);
        let found = self.alike.get(&loose(stem_of(target)))?;
        let directory = target.rsplit_once('/').map(|(directory, _)| loose(stem_of(directory)));
        let beside = |name: &&String| {
            let of = name.rsplit_once('/').map(|(directory, _)| loose(stem_of(directory)));
            directory.is_some() && of == directory
        };
        let near: Vec<&String> = found.iter().filter(beside).collect();
        // Of a document, its summary is meant before its text.
        let is_text = |name: &str| {
            let document = name.strip_prefix("sources/");
            document.is_some_and(|document| found.contains(&format!("summaries/{document}")))
        };
        let all: Vec<&String> = found.iter().filter(|name| !is_text(name)).collect();
        match (near.as_slice(), all.as_slice()) {
            ([one], _) | ([], [one]) => Some((*one).clone()),
            _ => None,
        }
    }
}

fn stem_of(target: &str) -> &str {
    let name = target.strip_suffix(".md").unwrap_or(target);
    name.rsplit('/').next().unwrap_or(name)
}
