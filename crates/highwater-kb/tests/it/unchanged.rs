//! Documents that are added again as they are: nothing is copied for them, and whoever asks the base of them asks for the newest there is.

use std::collections::VecDeque;
use std::fmt;
use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use highwater_db::sqlite::Error;
use highwater_db::sqlite::rusqlite::Connection;
use highwater_engine::report::{ExitCode, PassReport};
use highwater_fs::{FileId, Fs};
use highwater_kb::base::Reader;
use highwater_kb::{BaseLock, ContentId, DocName, Home, KbError, Snapshot, fold};
use jiff::Timestamp;

use crate::library::Paper;
use crate::rig::{Edition, Rig, change, named};

/// What is done just before a reader is given.
type Meddling = Box<dyn FnOnce() + Send>;

/// A base whose readers are counted; before one of them something else may happen.
struct Watched {
    home: Arc<dyn Home>,
    readers: AtomicUsize,
    before: Mutex<VecDeque<Meddling>>,
}

impl Watched {
    /// The first does this before a pass lists its documents, the second before it asks for the first of them.
    fn before<const N: usize>(rig: &Rig, meddling: [Meddling; N]) -> Arc<Self> {
        let before = Mutex::new(meddling.into_iter().collect());
        Arc::new(Self { home: rig.home(), readers: AtomicUsize::new(0), before })
    }
}

impl fmt::Debug for Watched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Watched")
    }
}

impl Home for Watched {
    fn fs(&self) -> &dyn Fs {
        self.home.fs()
    }
    fn open(&self, now: Timestamp) -> Result<Connection, Error> {
        self.home.open(now)
    }
    fn open_reader(&self) -> Result<Connection, Error> {
        let meddling = self.before.lock().unwrap().pop_front();
        meddling.into_iter().for_each(|meddle| meddle());
        self.readers.fetch_add(1, Ordering::Relaxed);
        self.home.open_reader()
    }
    fn has_rows(&self) -> bool {
        self.home.has_rows()
    }
    fn which_rows(&self) -> Option<FileId> {
        self.home.which_rows()
    }
    fn settle(&self, rows: &mut Connection) -> Result<(), Error> {
        self.home.settle(rows)
    }
    fn try_lock(&self) -> std::io::Result<Option<BaseLock>> {
        self.home.try_lock()
    }
}

/// Takes away where a pass prepares.
fn no_desk(rig: &Rig) -> Meddling {
    let desks = rig.root().join(".highwater/desks");
    Box::new(move || fs::remove_dir_all(desks).unwrap())
}

fn nothing() -> Meddling {
    Box::new(|| {})
}

fn filled(rig: &Rig, documents: usize) {
    for n in 0..documents {
        rig.write(&format!("in/report-{n:02}.md"), format!("# Report {n}\n\nOf gauge {n}.\n"));
    }
}

fn counts(report: &PassReport) -> (ExitCode, [u64; 3]) {
    (report.exit, [report.counts.done, report.counts.present, report.counts.review])
}

#[tokio::test(flavor = "multi_thread")]
async fn unchanged_documents_need_no_copy_and_one_reader_of_the_base() {
    let rig = Rig::new();
    filled(&rig, 40);
    // Of one content, under two names.
    rig.write("in/twin.md", "# Report 7\n\nOf gauge 7.\n");
    let first = rig.add(Edition::of(1), &["in"]).await;
    assert_eq!(counts(&first), (ExitCode::Drained, [40, 1, 0]), "{first:?}");
    let before = rig.outcomes("add-in").await;
    let home = Watched::before(&rig, [no_desk(&rig)]);
    let again = rig.add_at(home.clone(), &["in"]).await;
    assert_eq!(counts(&again), (ExitCode::Drained, [0, 41, 0]), "{again:?}");
    assert_eq!(home.readers.load(Ordering::Relaxed), 2, "one for the list, one for its documents");
    let after = rig.outcomes("add-in").await;
    assert_eq!(before.last(), after.last(), "a copy of another is told of as that");
    // What is new is told by the copy that it has no place for.
    rig.write("in/report-11.md", "# Report 11\n\nOf another gauge.\n");
    let home = Watched::before(&rig, [no_desk(&rig)]);
    let report = rig.add_at(home, &["in"]).await;
    assert!(report.diagnosis.as_ref().is_some_and(|why| why.code == "HW-KB-002"), "{report:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_changed_document_among_many_comes_in_alone() {
    let rig = Rig::new();
    filled(&rig, 40);
    rig.add(Edition::of(1), &["in"]).await;
    let head = rig.head();
    rig.write("in/report-11.md", "# Report 11\n\nOf another gauge.\n");
    let report = rig.add(Edition::of(1), &["in"]).await;
    assert_eq!(counts(&report), (ExitCode::Drained, [1, 39, 0]), "{report:?}");
    assert_eq!(rig.head(), head + 1);
    assert!(rig.page("wiki/sources/report-11.md").unwrap().contains("another gauge"));
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_that_are_gone_are_stored_again_once_the_document_is_added_again() {
    let rig = Rig::new();
    filled(&rig, 2);
    rig.add(Edition::of(1), &["in"]).await;
    let id = ContentId::of(b"# Report 1\n\nOf gauge 1.\n");
    let object = rig.root().join(format!(".highwater/objects/{id}"));
    let was = fs::read(&object).unwrap();
    for is_directory in [false, true] {
        fs::remove_file(&object).unwrap();
        if is_directory {
            fs::create_dir(&object).unwrap();
        }
        let head = rig.head();
        let report = rig.add(Edition::of(1), &["in"]).await;
        assert_eq!(counts(&report), (ExitCode::Drained, [0, 2, 0]), "{report:?}");
        assert_eq!((fs::read(&object).unwrap(), rig.head()), (was.clone(), head));
        let told = rig.outcomes("add-in").await;
        assert!(told.iter().any(|told| told.2.contains("its bytes, which were gone, are stored again")), "{told:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_damaged_and_brought_again_is_stored_anew() {
    let rig = Rig::new();
    filled(&rig, 1);
    rig.add(Edition::of(1), &["in"]).await;
    rig.write("in/report-00.md", "# Report 0\n\nOf another gauge.\n");
    rig.add(Edition::of(1), &["in"]).await;
    // Everything that the first version stored is other bytes now.
    for entry in fs::read_dir(rig.root().join(".highwater/objects")).unwrap() {
        let path = entry.unwrap().path();
        let bytes = fs::read(&path).unwrap();
        if !path.to_string_lossy().contains("generation-") && !bytes.windows(13).any(|part| part == b"another gauge") {
            fs::write(&path, bytes.iter().map(|byte| byte ^ 1).collect::<Vec<_>>()).unwrap();
        }
    }
    rig.write("in/report-00.md", "# Report 0\n\nOf gauge 0.\n");
    let report = rig.add(Edition::of(1), &["in"]).await;
    assert_eq!(counts(&report), (ExitCode::Drained, [1, 0, 0]), "{report:?}");
    assert!(rig.page("wiki/sources/report-00.md").unwrap().contains("Of gauge 0"));
    assert_eq!(fs::read_to_string(rig.root().join("raw/report-00.md")).unwrap(), "# Report 0\n\nOf gauge 0.\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_named_twice_is_one_document_and_that_is_told() {
    let rig = Rig::new();
    fs::create_dir(rig.path("in/deep")).unwrap();
    filled(&rig, 3);
    rig.write("in/deep/below.md", "# Below\n\nOf the deep.\n");
    let named = ["in", "in/deep", "in/report-01.md", "in"];
    for expected in [[4, 0, 0], [0, 4, 0]] {
        let report = rig.add(Edition::of(1), &named).await;
        assert_eq!(counts(&report), (ExitCode::Drained, expected), "{report:?}");
        assert!(report.notes.iter().any(|note| note.starts_with("6 lines repeat a key")), "{report:?}");
    }
    assert_eq!(Snapshot::open(rig.home()).unwrap().counts().unwrap().documents, 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_document_that_is_removed_after_the_list_was_made_is_added_again() {
    let rig = Rig::new();
    filled(&rig, 3);
    rig.add(Edition::of(1), &["in"]).await;
    let root = rig.root();
    let removed = move || change(&root, |draft| fold::unfold(draft, &named("report-01"), false).map(drop));
    let home = Watched::before(&rig, [nothing(), Box::new(removed)]);
    let report = rig.add_at(home, &["in"]).await;
    assert_eq!(counts(&report), (ExitCode::Drained, [1, 2, 0]), "{report:?}");
    assert!(rig.page("wiki/sources/report-01.md").is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_changes_after_it_was_hashed_in_its_place_is_what_its_copy_says() {
    let rig = Rig::new();
    filled(&rig, 1);
    rig.add(Edition::of(1), &["in"]).await;
    rig.write("in/report-00.md", "# Report 0\n\nThe second version.\n");
    let file = rig.path("in/report-00.md");
    let later = move || fs::write(file, "# Report 0\n\nThe third version.\n").unwrap();
    let report = rig.add_at(Watched::before(&rig, [nothing(), Box::new(later)]), &["in"]).await;
    assert_eq!(counts(&report), (ExitCode::Drained, [1, 0, 0]), "{report:?}");
    assert!(rig.page("wiki/sources/report-00.md").unwrap().contains("third version"));
    let report = rig.add(Edition::of(1), &["in"]).await;
    assert_eq!(counts(&report), (ExitCode::Drained, [0, 1, 0]), "it is known by the same bytes: {report:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_may_not_be_read_is_told_as_ever() {
    let rig = Rig::new();
    rig.write("in/kept.md", "# Kept\n\nIt stays.\n");
    std::os::unix::fs::symlink(rig.path("in/kept.md"), rig.path("in/link.md")).unwrap();
    rustix::fs::mknodat(rustix::fs::CWD, rig.path("in/pipe.md"), rustix::fs::FileType::Fifo, rustix::fs::Mode::RUSR, 0)
        .unwrap();
    for _ in 0..2 {
        let report = rig.add(Edition::of(1), &["in"]).await;
        assert_eq!((report.exit, report.counts.review), (ExitCode::Drained, 2), "{report:?}");
        let told: Vec<_> = rig.outcomes("add-in").await.into_iter().map(|(_, _, why)| why).collect();
        assert!(told[1].contains("link") && told[2].contains("a pipe"), "{told:?}");
    }
}

fn has(reader: &Reader, name: &str) -> Result<Option<DocName>, KbError> {
    let folded = named(name).folded();
    reader.look(|base| base.document_called(&folded))
}

fn rows(root: &Path, ending: &str) -> std::path::PathBuf {
    root.join(format!(".highwater/kb.db{ending}"))
}

/// Shortens the write-ahead log; whether somebody was in the way.
fn shortened(root: &Path) -> bool {
    let rows = Connection::open(rows(root, "")).unwrap();
    let busy: i64 = rows.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0)).unwrap();
    busy == 0
}

#[test]
fn r08_each_look_is_of_the_newest_generation_and_between_two_of_them_the_log_can_be_shortened() {
    let rig = Rig::new();
    let home = Watched::before(&rig, []);
    let reader = Reader::new(home.clone());
    assert_eq!(has(&reader, "tides").unwrap(), None);
    let paper = Paper::new("Tides", "Of tides.\n", &[]);
    // During a look nothing changes.
    let during = reader.look(|base| {
        change(&rig.root(), |draft| paper.fold(draft));
        base.document_called("tides")
    });
    assert_eq!(during.unwrap(), None);
    assert_eq!(has(&reader, "tides").unwrap(), Some(named("Tides")));
    assert!(shortened(&rig.root()), "a reader that does not look is in nobody's way");
    change(&rig.root(), |draft| fold::unfold(draft, &named("Tides"), false).map(drop));
    assert_eq!(has(&reader, "tides").unwrap(), None);
    assert_eq!(home.readers.load(Ordering::Relaxed), 1);
    // After an error it is opened anew.
    let failed = reader.look(|_| Err::<(), _>(KbError::Reopen));
    assert!(matches!(failed, Err(KbError::Reopen)), "{failed:?}");
    assert_eq!(has(&reader, "tides").unwrap(), None);
    assert_eq!(home.readers.load(Ordering::Relaxed), 2);
}

#[test]
fn rows_that_are_put_in_the_place_of_others_are_those_that_are_looked_at_and_refused_where_they_are_behind() {
    let rig = Rig::new();
    let root = rig.root();
    assert!(shortened(&root));
    fs::copy(rows(&root, ""), rows(&root, ".earlier")).unwrap();
    for title in ["Tides", "Harbour"] {
        let paper = Paper::new(title, "Words.\n", &[]);
        change(&root, |draft| paper.fold(draft));
    }
    assert!(shortened(&root));
    fs::copy(rows(&root, ""), rows(&root, ".same")).unwrap();
    let reader = Reader::new(rig.home());
    assert_eq!(has(&reader, "tides").unwrap(), Some(named("Tides")));
    let put = |ending: &str| {
        for beside in ["-wal", "-shm"] {
            let _ = fs::remove_file(rows(&root, beside));
        }
        fs::rename(rows(&root, ending), rows(&root, "")).unwrap();
    };
    put(".same");
    let paper = Paper::new("Gauges", "More words.\n", &[]);
    change(&root, |draft| paper.fold(draft));
    assert_eq!(has(&reader, "gauges").unwrap(), Some(named("Gauges")));
    put(".earlier");
    let refused = has(&reader, "tides");
    assert!(matches!(refused, Err(KbError::RowsBehind { .. })), "{refused:?}");
}
