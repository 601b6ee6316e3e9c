//! What a base has of its documents, and is gone or damaged: making a document anew brings all of it back, and says `present` of nothing
//! that is not there.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use highwater_engine::report::{ExitCode, PassReport};
use highwater_kb::content::ContentId;
use highwater_kb::lint::{Kind, lint};
use highwater_kb::recompile::Which;
use highwater_kb::{FilePath, Snapshot};

use crate::home::now;
use crate::rebuilt::rows;
use crate::rig::{Edition, Rig, named};

const TIDES: &str =
    "# Tides\n\n![it](it.png)\n\n## Tidal range\n\nThe tidal range is the height between high water and low water.\n";
const HARBOURS: &str =
    "# Harbours\n\n## Tidal range\n\nA harbour has a tidal range of its own: a tidal range of 2 m is small.\n";
const COASTS: &str =
    "# Coasts\n\n## Tidal range\n\nThe tidal range of a coast is told here: the tidal range is great.\n";

async fn full() -> Rig {
    let rig = Rig::new();
    rig.write("in/it.png", highwater_testkit::documents::PNG);
    rig.write("in/a.md", TIDES);
    rig.write("in/b.md", HARBOURS);
    let report = rig.add(Edition::of(1), &["in"]).await;
    assert_eq!((report.exit, report.counts.done), (ExitCode::Drained, 2), "{report:?}");
    rig
}

fn object(rig: &Rig, id: ContentId) -> PathBuf {
    rig.root().join(".highwater/objects").join(id.to_string())
}

fn compiled(rig: &Rig, name: &str) -> PathBuf {
    object(rig, Snapshot::open(rig.home()).unwrap().document(&named(name)).unwrap().unwrap().compiled)
}

/// What lint says of objects that are not there or damaged: what mends each.
fn lacking(rig: &Rig) -> Vec<String> {
    let linted = lint(&rig.home(), true, &mut |_, _| ()).unwrap();
    let told =
        linted.findings.into_iter().filter(|told| matches!(told.kind, Kind::ObjectMissing | Kind::ObjectDamaged));
    told.map(|told| told.mends).collect()
}

async fn recompiled(rig: &Rig, name: &str) -> PassReport {
    let report = rig.recompile(Edition::of(1), Which::These(vec![named(name)])).await;
    assert_eq!(report.exit, ExitCode::Drained, "{report:?}");
    report
}

fn rebuilt(rig: &Rig) {
    let home = rig.home();
    let held = home.try_lock().unwrap().unwrap();
    for rows in ["kb.db", "kb.db-wal", "kb.db-shm"] {
        let _ = fs::remove_file(rig.root().join(".highwater").join(rows));
    }
    drop(highwater_kb::base::rebuild(Arc::clone(&home), &held, now()).unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn every_object_of_a_document_that_is_gone_or_damaged_is_there_again_once_it_is_made_anew() {
    let rig = full().await;
    let (head, had) = (rig.head(), rows(&rig.root()));
    let base = Snapshot::open(rig.home()).unwrap();
    let shown = |path: &str| base.content(&FilePath::new(path).unwrap()).unwrap().map(|id| object(&rig, id));
    let mut objects = vec![compiled(&rig, "a")];
    // Nothing on the disk has their bytes: a person wrote there.
    let pages = ["wiki/sources/a.md", "wiki/summaries/a.md", "wiki/concepts/tidal-range.md"];
    pages
        .iter()
        .for_each(|path| fs::write(rig.root().join(path), format!("{}Mine.\n", rig.page(path).unwrap())).unwrap());
    fs::write(rig.root().join("wiki/sources/images/a/image-1.png"), b"mine").unwrap();
    for path in ["wiki/sources/a.md", "wiki/sources/images/a/image-1.png", "wiki/summaries/a.md"] {
        objects.push(shown(path).unwrap_or_else(|| panic!("{path}")));
    }
    objects.extend(shown("wiki/concepts/tidal-range.md"));
    assert_eq!(objects.len(), 5, "the two share a page");
    for object in &objects {
        let whole = fs::read(object).unwrap();
        let mut flipped = whole.clone();
        flipped[whole.len() / 2] ^= 1;
        for damaged in [None, Some(flipped), Some(whole[..whole.len() - 1].to_vec()), Some(Vec::new())] {
            match &damaged {
                None => fs::remove_file(object).unwrap(),
                Some(bytes) => fs::write(object, bytes).unwrap(),
            }
            let mends = lacking(&rig);
            assert!(mends.len() == 1 && mends[0].contains("`highwater kb recompile a`"), "{mends:?}");
            assert_eq!(recompiled(&rig, "a").await.counts.done, 1, "{}", object.display());
            assert_eq!(fs::read(object).ok(), Some(whole.clone()), "{}", object.display());
            assert_eq!(lacking(&rig), [""; 0]);
            assert_eq!(recompiled(&rig, "a").await.counts.present, 1, "{}", object.display());
        }
    }
    assert_eq!((rig.head(), rows(&rig.root())), (head, had), "the base is what it was: no generation was made");
    assert!(
        pages.iter().all(|path| fs::read_to_string(rig.root().join(path)).unwrap().ends_with("Mine.\n")),
        "and so is what a person wrote"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn r14_a_document_of_which_a_rebuild_could_not_read_what_it_says_says_it_again() {
    let rig = full().await;
    let says = |rows: Vec<String>| -> Vec<String> {
        let follows = ["contribution", "mention", "page", "registered", "(SELECT"];
        rows.into_iter().filter(|row| follows.iter().any(|table| row.starts_with(table))).collect()
    };
    let had = says(rows(&rig.root()));
    let page = rig.page("wiki/concepts/tidal-range.md").unwrap();
    fs::remove_file(compiled(&rig, "a")).unwrap();
    rebuilt(&rig);
    assert_ne!(says(rows(&rig.root())), had, "it says nothing now");
    // One that comes meanwhile finds the pages without it.
    rig.write("in/c.md", COASTS);
    assert_eq!(rig.add(Edition::of(1), &["in/c.md"]).await.counts.done, 1);
    assert!(!rig.page("wiki/concepts/tidal-range.md").unwrap().contains("summaries/a"));
    assert_eq!(recompiled(&rig, "a").await.counts.done, 1);
    let now = rig.page("wiki/concepts/tidal-range.md").unwrap();
    let section = "## [[summaries/a|Tides]]\n\n- The tidal range is the height between";
    assert!(page.contains(section) && now.contains(section) && now.contains("## [[summaries/c|"), "{now}");
    assert!(had.iter().all(|row| says(rows(&rig.root())).contains(row) || row.starts_with("page: ")), "{had:#?}");
    assert_eq!(lacking(&rig), [""; 0]);
    assert_eq!(recompiled(&rig, "a").await.counts.present, 1);
    let made = rows(&rig.root());
    rebuilt(&rig);
    assert_eq!(rows(&rig.root()), made, "and a rebuild gives the same");
}
