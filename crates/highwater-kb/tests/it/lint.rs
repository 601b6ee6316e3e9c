//! A look at a base: each sort of fault is planted, found, mended where it can be, and not found again.

mod again;
mod silent;
mod since;
mod stray;

use std::collections::BTreeMap;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::Arc;

use highwater_kb::lint::{Finding, Kind, Linted, Mended, lint, mend};
use highwater_kb::{Base, ContentId, Directory, Fate, Home};

use crate::home::{file, now};
use crate::library::{Library, Paper};

/// A base in a directory, with documents that share pages.
pub(crate) struct Desk {
    pub(crate) directory: tempfile::TempDir,
    pub(crate) library: Library,
}

pub(crate) fn paper(n: u32) -> Paper {
    let own = format!("entities/gauge-{n}");
    Paper::new(
        &format!("report-{n}"),
        &format!("# Report {n}\n\nThe tides, read [elsewhere](other/report.md).\n"),
        &[
            ("concepts/tidal-range", false, &["concepts/storm-surge"]),
            ("concepts/storm-surge", false, &[]),
            (&own, true, &[]),
        ],
    )
    .with_image("1.png", format!("png {n}").as_bytes())
}

impl Desk {
    pub(crate) fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let home: Arc<dyn Home> = Arc::new(Directory::open(directory.path()).unwrap());
        let mut library = Library::new(home);
        library.add(&[&paper(1), &paper(2), &paper(3)]);
        library.change("query", "kept", |draft| {
            let text = b"---\ntype: exploration\n---\n\n# Why\n\nSee [[concepts/tidal-range]].\n";
            draft.write(file("wiki/explorations/why.md"), text)
        });
        library.let_go();
        Self { directory, library }
    }

    pub(crate) fn home(&self) -> Arc<dyn Home> {
        self.library.home.clone()
    }

    pub(crate) fn path(&self, path: &str) -> std::path::PathBuf {
        self.directory.path().join(path)
    }

    pub(crate) fn read(&self, path: &str) -> String {
        std::fs::read_to_string(self.path(path)).unwrap()
    }

    pub(crate) fn write(&self, path: &str, text: &str) {
        std::fs::create_dir_all(self.path(path).parent().unwrap()).unwrap();
        std::fs::write(self.path(path), text).unwrap();
    }

    pub(crate) fn append(&self, path: &str, text: &str) {
        self.write(path, &(self.read(path) + text));
    }

    pub(crate) fn remove(&self, path: &str) {
        std::fs::remove_file(self.path(path)).unwrap();
    }

    fn object(&self, id: ContentId) -> std::path::PathBuf {
        self.path(".highwater/objects").join(id.to_string())
    }

    pub(crate) fn look(&self) -> Linted {
        self.look_into(false)
    }

    fn look_into(&self, verify: bool) -> Linted {
        lint(&self.home(), verify, &mut |seen, all| assert!(seen <= all)).unwrap()
    }

    fn mend(&mut self, linted: &Linted, report: bool) -> Mended {
        let home = self.home();
        let held = home.try_lock().unwrap().unwrap();
        self.library.base = Base::open(home.clone(), now()).unwrap();
        mend(&mut self.library.base, &held, now(), linted, true, report).unwrap()
    }

    pub(crate) fn add(&mut self, paper: &Paper) -> BTreeMap<highwater_kb::FilePath, Fate> {
        let held = self.home().try_lock().unwrap().unwrap();
        self.library.base.commit(&held, now(), "add", "more", |draft| paper.fold(draft)).unwrap().unwrap().fates
    }

    fn undo(&mut self, generation: u32) {
        let held = self.home().try_lock().unwrap().unwrap();
        self.library.base.undo(&held, now(), generation).unwrap().unwrap();
    }

    /// Everything that stands in `wiki/` and `raw/` but the log.
    fn stands(&self) -> BTreeMap<String, Vec<u8>> {
        let mut stands = BTreeMap::new();
        gather(self.directory.path(), Path::new("wiki"), &mut stands);
        gather(self.directory.path(), Path::new("raw"), &mut stands);
        stands.remove("wiki/log.md");
        stands
    }
}

fn gather(root: &Path, below: &Path, stands: &mut BTreeMap<String, Vec<u8>>) {
    for entry in std::fs::read_dir(root.join(below)).unwrap() {
        let entry = entry.unwrap();
        let (path, kind) = (below.join(entry.file_name()), entry.file_type().unwrap());
        if kind.is_dir() {
            gather(root, &path, stands);
            continue;
        }
        // What a link leads to is not the base's, and others may change it meanwhile.
        let stood = if kind.is_symlink() {
            std::fs::read_link(entry.path()).unwrap().into_os_string().into_encoded_bytes()
        } else {
            std::fs::read(entry.path()).unwrap()
        };
        stands.insert(path.to_string_lossy().into_owned(), stood);
    }
}

/// What was found, but for what every base here has.
pub(crate) fn told(linted: &Linted) -> Vec<String> {
    let told = |finding: &Finding| {
        let line = finding.line.map_or(String::new(), |line| format!(":{line}"));
        let fix = if finding.fix { " (fix)" } else { "" };
        format!("{}{line} {}{fix}", finding.file, finding.kind.word())
    };
    linted.findings.iter().filter(|finding| !is_usual(finding)).map(told).collect()
}

/// Nobody links what somebody asked.
fn is_usual(finding: &Finding) -> bool {
    finding.kind == Kind::Orphan && finding.file == "wiki/explorations/why.md"
}

#[test]
fn a_base_that_nobody_touched_has_no_fault() {
    let desk = Desk::new();
    for verify in [false, true] {
        let linted = desk.look_into(verify);
        assert_eq!(told(&linted), Vec::<String>::new());
        assert_eq!((linted.faults(), linted.documents, linted.pages), (0, 3, 15), "{linted:?}");
    }
    let empty = tempfile::tempdir().unwrap();
    let home: Arc<dyn Home> = Arc::new(Directory::open(empty.path()).unwrap());
    drop(Base::init(home.clone(), now()).unwrap());
    let linted = lint(&home, true, &mut |_, _| {}).unwrap();
    assert_eq!((linted.generation, linted.findings), (None, Vec::new()));
}

/// A fault, how it is planted, and what is found of it.
type Planted = (&'static str, fn(&Desk), &'static [&'static str]);

const PLANTED: &[Planted] = &[
    (
        "a link of a person's page that is written otherwise",
        |desk| desk.append("wiki/explorations/why.md", "\n[[Tidal Ranges]] and [[tidal_range|so]].\n"),
        &[
            "wiki/explorations/why.md:9 broken-link (fix)",
            "wiki/explorations/why.md:9 broken-link (fix)",
            "wiki/explorations/why.md edited",
        ],
    ),
    (
        "a link with another directory, and one to nothing, in a page that a person edited",
        |desk| {
            desk.append("wiki/concepts/tidal-range.md", "\n[[entities/storm surge]]\n[[no such page]] ![](no.png)\n")
        },
        &[
            "wiki/concepts/tidal-range.md:33 broken-link (fix)",
            "wiki/concepts/tidal-range.md:34 broken-link (fix)",
            "wiki/concepts/tidal-range.md:34 broken-link (fix)",
            "wiki/concepts/tidal-range.md edited",
        ],
    ),
    (
        "a page of a person's own, with links of every kind",
        |desk| {
            let text = "---\ntype: exploration\n---\n[a](../concepts/Storm%20Surge.md) [[why]] [[Concepts/Storm-Surge]] \
                        ![](../sources/images/report-1/1.png) [w](../../raw/report-1.txt) [o](../../../elsewhere.md) \
                        [[report-1]] `[[code]]` [[#here]] <https://example.org> [x](https://example.org/a.md)\n";
            desk.write("wiki/explorations/mine.md", text);
        },
        &[
            "wiki/explorations/mine.md:4 broken-link (fix)",
            "wiki/explorations/mine.md:4 ambiguous-link",
            "wiki/explorations/mine.md orphan",
            "wiki/explorations/mine.md foreign",
        ],
    ),
    (
        "a page that a person deleted",
        |desk| desk.remove("wiki/entities/gauge-2.md"),
        &["wiki/entities/gauge-2.md deleted"],
    ),
    (
        "a link of a person to a page that a person deleted",
        |desk| {
            desk.remove("wiki/concepts/tidal-range.md");
        },
        &["wiki/explorations/why.md:7 broken-link (fix)", "wiki/concepts/tidal-range.md deleted"],
    ),
    (
        "a page that nobody links any more",
        |desk| {
            let page = desk.read("wiki/summaries/report-1.md");
            desk.write("wiki/summaries/report-1.md", &page.replace("[[entities/gauge-1|gauge 1]]", "gauge 1"));
            for other in ["concepts/tidal-range", "concepts/storm-surge", "entities/gauge-2", "entities/gauge-3"] {
                let other = format!("wiki/{other}.md");
                let page = desk.read(&other);
                desk.write(&other, &page.replace("- [[entities/gauge-1|gauge 1]]\n", ""));
            }
        },
        &[
            "wiki/entities/gauge-1.md orphan",
            "wiki/concepts/storm-surge.md edited",
            "wiki/concepts/tidal-range.md edited",
            "wiki/summaries/report-1.md edited",
        ],
    ),
    (
        "a file in raw/ that nobody added, and a document's that is gone",
        |desk| {
            desk.write("raw/new.txt", "new");
            desk.remove("raw/report-2.txt");
        },
        &["raw/report-2.txt document-without-raw", "raw/new.txt raw-without-document"],
    ),
    (
        "front matter that is none",
        |desk| {
            desk.write("wiki/concepts/none.md", "# None\n");
            desk.write("wiki/entities/broken.md", "---\na: [\n---\n");
            desk.write(
                "wiki/explorations/untyped.md",
                "---\ndescription: x\n---\n[[concepts/none]] [[entities/broken]] [[untyped]] [[other]]\n",
            );
            desk.write("wiki/explorations/other.md", "---\ntype: novel\n---\n[[untyped]]\n");
            desk.write("wiki/my own/diary.md", "# Anything\n");
        },
        &[
            "wiki/concepts/none.md:1 front-matter",
            "wiki/entities/broken.md:1 front-matter",
            "wiki/explorations/other.md:1 unknown-type",
            "wiki/explorations/untyped.md:1 unknown-type",
            "wiki/concepts/none.md foreign",
            "wiki/entities/broken.md foreign",
            "wiki/explorations/other.md foreign",
            "wiki/explorations/untyped.md foreign",
            "wiki/my own/diary.md foreign",
        ],
    ),
    (
        "the index and the log edited",
        |desk| {
            desk.append("wiki/index.md", "\nMine.\n");
            desk.append("wiki/log.md", "\n[[nowhere]]\n");
        },
        &["wiki/log.md:16 broken-link", "wiki/index.md edited", "wiki/log.md edited"],
    ),
    (
        "something else in the place of a page",
        |desk| {
            desk.remove("wiki/entities/gauge-1.md");
            symlink("/etc/hostname", desk.path("wiki/entities/gauge-1.md")).unwrap();
            symlink("/etc", desk.path("wiki/etc")).unwrap();
        },
        &["wiki/entities/gauge-1.md edited", "wiki/etc foreign"],
    ),
    (
        "a directory in the place of a page",
        |desk| {
            desk.remove("wiki/entities/gauge-2.md");
            desk.write("wiki/entities/gauge-2.md/mine.txt", "mine");
        },
        &["wiki/entities/gauge-2.md edited", "wiki/entities/gauge-2.md/mine.txt foreign"],
    ),
    (
        "an image of another length",
        |desk| desk.write("wiki/sources/images/report-1/1.png", "another picture"),
        &["wiki/sources/images/report-1/1.png edited"],
    ),
    (
        "an object that is gone, and one that only rows have still",
        |desk| {
            std::fs::remove_file(desk.object(ContentId::of(b"png 1"))).unwrap();
            std::fs::remove_file(desk.object(ContentId::of(b"png 2"))).unwrap();
            desk.remove("wiki/sources/images/report-2/1.png");
        },
        &[
            "wiki/sources/images/report-1/1.png object-missing (fix)",
            "wiki/sources/images/report-2/1.png object-missing",
            "wiki/sources/images/report-2/1.png deleted",
        ],
    ),
    (
        "what a generation changed is gone",
        |desk| desk.remove(".highwater/objects/generation-0000000002"),
        &[".highwater/objects/generation-0000000002 object-missing"],
    ),
];

#[test]
fn each_fault_that_is_planted_is_found_and_what_is_mended_is_not_found_again() {
    for (name, plant, expected) in PLANTED {
        let mut desk = Desk::new();
        plant(&desk);
        let before = desk.stands();
        let linted = desk.look();
        assert_eq!(told(&linted), *expected, "{name}: {linted:#?}");
        assert_eq!(desk.stands(), before, "{name}: a look writes nothing");
        let mended = desk.mend(&linted, false);
        let is_mendable = |finding: &&Finding| finding.fix;
        let those: Vec<&Finding> = linted.findings.iter().filter(is_mendable).collect();
        assert_eq!(mended.findings.iter().collect::<Vec<_>>(), those, "{name}");
        let again = desk.look();
        assert!(!again.is_mendable(), "{name}: {again:#?}");
        let left = |finding: &&Finding| !finding.fix && finding.kind != Kind::Edited;
        let (left, again): (Vec<_>, Vec<_>) =
            (linted.findings.iter().filter(left).collect(), again.findings.iter().filter(left).collect());
        // What nothing links any more is told now, and no other thing.
        let orphans = |found: &[&Finding]| found.iter().filter(|finding| finding.kind == Kind::Orphan).count();
        assert_eq!(again.len() - orphans(&again), left.len() - orphans(&left), "{name}: {again:#?}");
        if let Some(committed) = mended.committed {
            desk.undo(committed.generation - 1);
            assert_eq!(desk.stands(), before, "{name}: taken back");
        }
    }
}

#[test]
fn all_faults_at_once_are_mended_by_one_generation_which_a_report_tells_of() {
    let mut desk = Desk::new();
    for (name, plant, _) in PLANTED {
        // Each other way to treat the same page is left out.
        if !name.contains("deleted") && !name.contains("any more") && !name.contains("length") {
            plant(&desk);
        }
    }
    let linted = desk.look();
    let mendable = linted.findings.iter().filter(|finding| finding.fix).count();
    assert_eq!(mendable, 7, "{linted:#?}");
    let mended = desk.mend(&linted, true);
    assert_eq!(mended.findings.len(), mendable);
    assert_eq!(mended.committed.unwrap().generation, 4);
    let report = desk.read("wiki/reports/lint-2026-11-21.md");
    for finding in &linted.findings {
        assert!(report.contains(&finding.file.replace('_', "\\_")), "{}", finding.file);
    }
    assert_eq!(report.matches("\n- Mended: ").count(), mendable, "{report}");
    let again = desk.look();
    assert!(!again.is_mendable(), "{again:#?}");
    assert!(again.findings.iter().all(|finding| !finding.file.contains("reports/")), "{again:#?}");
    assert_eq!(again.counts.get(&Kind::BrokenLink), Some(&1), "the log's");
}

#[test]
fn a_report_is_told_where_it_lies_and_one_that_was_deleted_comes_back() {
    const REPORT: &str = "wiki/reports/lint-2026-11-21.md";
    let mut desk = Desk::new();
    let told = |desk: &mut Desk| {
        let linted = desk.look();
        desk.mend(&linted, true).report.unwrap().to_string()
    };
    assert_eq!(told(&mut desk), REPORT);
    let first = desk.read(REPORT);
    desk.remove(REPORT);
    assert_eq!(told(&mut desk), REPORT);
    assert_eq!(desk.read(REPORT), desk.library.page(REPORT).unwrap());
    // A line of theirs in the place of what each report tells otherwise.
    let theirs = first.replace("generation 3", "the third generation");
    assert_ne!(theirs, first);
    desk.write(REPORT, &theirs);
    desk.add(&paper(9));
    let beside = told(&mut desk);
    assert_eq!(beside, "wiki/reports/lint-2026-11-21.conflict.md");
    assert_eq!(desk.read(&beside), desk.library.page(REPORT).unwrap());
    assert_eq!(desk.read(REPORT), theirs);
    assert_eq!(told(&mut desk), beside, "and once more");
}

#[test]
fn a_link_is_made_to_lead_where_its_words_say_or_is_the_words() {
    let mut desk = Desk::new();
    let text = "---\ntype: exploration\n---\n| a |\n|---|\n| [[Tidal Range]] |\n\n[[concepts/Tidal_Ranges#How|that]], \
                [[ｓｔｏｒｍ surges]], [[report 1]], [[gone|a *page*]], [pic](images/gone.png), [s](Storm_Surge.md).\n";
    desk.write("wiki/explorations/mine.md", text);
    let linted = desk.look();
    let mended = desk.mend(&linted, false);
    assert_eq!(mended.findings.len(), 7, "{linted:#?}");
    let expected = "---\ntype: exploration\n---\n| a |\n|---|\n| [[concepts/tidal-range\\|Tidal Range]] |\n\n\
                    [[concepts/tidal-range#How|that]], [[concepts/storm-surge|ｓｔｏｒｍ surges]], [[summaries/report-1|report 1]], \
                    a \\*page\\*, pic, [s](<../concepts/storm-surge.md>).\n";
    assert_eq!(desk.read("wiki/explorations/mine.md"), expected);
    assert!(!desk.look().is_mendable());
    // What the base has is as it was: the page is none of it.
    assert_eq!(desk.library.page("wiki/explorations/mine.md"), None);
}

#[test]
fn an_edited_page_that_was_mended_takes_in_what_comes() {
    let mut desk = Desk::new();
    let generated = desk.library.page("wiki/concepts/tidal-range.md").unwrap();
    desk.write(
        "wiki/concepts/tidal-range.md",
        &generated.replacen("# tidal range\n", "# tidal range\n\nMine: [[nowhere]].\n", 1),
    );
    let linted = desk.look();
    desk.mend(&linted, false);
    assert!(desk.read("wiki/concepts/tidal-range.md").contains("Mine: nowhere."));
    assert_eq!(desk.library.page("wiki/concepts/tidal-range.md").unwrap(), generated, "what the base has stays");
    let fates = desk.add(&paper(4));
    assert_eq!(fates[&file("wiki/concepts/tidal-range.md")], Fate::Merged);
    let page = desk.read("wiki/concepts/tidal-range.md");
    assert!(page.contains("Mine: nowhere.") && page.contains("report-4 says it so"), "{page}");
    // Taken back beyond both, what came goes, and the person's page keeps what was mended of it.
    desk.undo(3);
    let page = desk.read("wiki/concepts/tidal-range.md");
    assert!(page.contains("Mine: ") && !page.contains("report-4"), "{page}");
}

#[test]
fn a_page_that_somebody_wrote_to_since_it_was_looked_at_is_left_as_it_is() {
    let mut desk = Desk::new();
    desk.append("wiki/explorations/why.md", "[[nowhere]]\n");
    desk.write("wiki/explorations/gone.md", "---\ntype: exploration\n---\n[[nowhere]]\n");
    let linted = desk.look();
    desk.append("wiki/explorations/why.md", "[[nowhere else]]\n");
    desk.remove("wiki/explorations/gone.md");
    let mended = desk.mend(&linted, false);
    assert_eq!((mended.committed, mended.findings), (None, Vec::new()));
    assert_eq!(mended.passed_over, [file("wiki/explorations/gone.md"), file("wiki/explorations/why.md")]);
    assert!(desk.read("wiki/explorations/why.md").ends_with("[[nowhere]]\n[[nowhere else]]\n"));
}

#[test]
fn an_object_that_is_damaged_is_seen_by_its_bytes_alone_and_stored_again_from_the_file() {
    let mut desk = Desk::new();
    let id = ContentId::of(b"png 1");
    std::fs::write(desk.object(id), b"gnp 1").unwrap();
    assert_eq!(told(&desk.look()), Vec::<String>::new());
    let linted = desk.look_into(true);
    assert_eq!(told(&linted), ["wiki/sources/images/report-1/1.png object-damaged (fix)"]);
    desk.mend(&linted, false);
    assert_eq!(std::fs::read(desk.object(id)).unwrap(), b"png 1");
    assert_eq!(std::fs::read(desk.path(&format!(".highwater/quarantine/{id}.0"))).unwrap(), b"gnp 1");
    assert_eq!(told(&desk.look_into(true)), Vec::<String>::new());
}

#[test]
fn concepts_whose_names_say_the_same_are_told() {
    let mut desk = Desk::new();
    for (n, page) in ["concepts/tidal-ranges", "concepts/storm-sruge", "concepts/tide-gauge"].into_iter().enumerate() {
        desk.add(&Paper::new(&format!("other-{n}"), "Other.\n", &[(page, true, &[])]));
    }
    let linted = desk.look();
    assert_eq!(
        told(&linted),
        ["wiki/concepts/storm-sruge.md near-duplicate", "wiki/concepts/tidal-ranges.md near-duplicate"]
    );
    assert_eq!(linted.faults(), 0);
    let what = &linted.findings[1].what;
    assert!(what.contains("concepts/tidal-range (") && what.contains("1 document here, 3 documents there"), "{what}");
}

#[test]
fn a_conflict_and_what_was_kept_of_a_document_are_told() {
    let mut desk = Desk::new();
    let page = "wiki/summaries/report-1.md";
    desk.write(page, "mine\n");
    let mut changed = paper(1);
    changed.compiled.description = "Something else.".to_owned();
    let fates = desk.add(&changed);
    assert_eq!(fates[&file(page)], Fate::Conflict);
    let held = desk.home().try_lock().unwrap().unwrap();
    let unfold =
        |draft: &mut highwater_kb::Draft<'_>| highwater_kb::fold::unfold(draft, &paper(3).name, true).map(drop);
    desk.library.base.commit(&held, now(), "remove", "report-3", unfold).unwrap();
    drop(held);
    let linted = desk.look();
    assert_eq!(
        told(&linted),
        [
            "wiki/summaries/report-1.conflict.md conflict",
            "wiki/summaries/report-1.md:1 front-matter",
            "wiki/summaries/report-1.md edited",
            "raw/report-3.txt raw-kept",
        ],
        "{linted:#?}"
    );
}

#[test]
fn a_generation_that_does_not_stand_in_the_wiki_is_told_and_nothing_that_it_changes() {
    let mut desk = Desk::new();
    let outside = tempfile::tempdir().unwrap();
    std::fs::rename(desk.path("wiki/concepts"), desk.path("concepts")).unwrap();
    symlink(outside.path(), desk.path("wiki/concepts")).unwrap();
    let held = desk.home().try_lock().unwrap().unwrap();
    desk.library.base.commit(&held, now(), "add", "more", |draft| paper(4).fold(draft)).unwrap_err();
    drop(held);
    desk.remove("wiki/concepts");
    std::fs::rename(desk.path("concepts"), desk.path("wiki/concepts")).unwrap();
    let linted = desk.look();
    assert_eq!(told(&linted), ["wiki unapplied (fix)"], "{linted:#?}");
    // Whoever is at work is not in the way.
    let held = desk.home().try_lock().unwrap().unwrap();
    assert_eq!(told(&desk.look()), Vec::<String>::new());
    drop(held);
    let mended = desk.mend(&linted, false);
    assert_eq!(mended.findings.len(), 1);
    assert_eq!(told(&desk.look()), Vec::<String>::new());
    assert!(desk.read("wiki/concepts/tidal-range.md").contains("report-4"));
}
