//! What a pass tells of pages that a person had edited, and of documents that are for a person to look at.

use std::io;

use highwater_engine::report::ExitCode;
use highwater_fs::{FsError, Op};
use highwater_kb::KbError;

use crate::rig::{Edition, Rig};

/// A page of the base as a whole, a line of it that each addition changes or follows, and what a person makes of that.
const OF_BASE: [(&str, &str, &str); 2] =
    [("wiki/index.md", "Documents: 1", "Documents: one"), ("wiki/log.md", "<!-- highwater:end -->", "My own end.")];

#[tokio::test(flavor = "multi_thread")]
async fn a_conflict_of_a_page_of_the_base_is_told_like_that_of_any_page() {
    for (path, line, mine) in OF_BASE {
        let rig = Rig::new();
        rig.write("in/a.md", "# Tides\n\nThe moon pulls.\n");
        rig.write("other/b.md", "# Harbours\n\nShips come in.\n");
        assert_eq!(rig.add(Edition::of(1), &["in"]).await.counts.done, 1);
        let page = std::fs::read_to_string(rig.root().join(path)).unwrap();
        assert!(page.contains(line), "{page}");
        rig.write(&format!("notes/{path}"), page.replace(line, mine));
        let report = rig.add(Edition::of(1), &["other"]).await;
        let counts = (report.counts.done, report.counts.review);
        assert_eq!((report.exit, counts), (ExitCode::Drained, (0, 1)), "{path}: {report:?}");
        let next = format!("`highwater kb resolve {path} --mine`");
        let told = report.notes.join("\n");
        assert!(told.contains("b.md is for you to look at: ") && told.contains(&next), "{path}: {told}");
        let outcomes = rig.outcomes("add-other").await;
        let [(_, kind, why)] = outcomes.as_slice() else { panic!("{outcomes:?}") };
        assert!(kind == "review" && why.contains(&next), "{outcomes:?}");
        assert_eq!(highwater_kb::add::conflict_of(why), Some(crate::home::file(path)));
        assert!(rig.root().join(path.replace(".md", ".conflict.md")).exists());
    }
}

#[test]
fn of_a_change_that_is_committed_and_not_written_it_is_told_what_is_in_the_way_and_what_writes_it() {
    for (kind, mends) in [
        (io::ErrorKind::StorageFull, "free space on the disk of /srv/my notes, and "),
        (
            io::ErrorKind::QuotaExceeded,
            "free space in this user's quota on the disk of /srv/my notes, or raise it, and ",
        ),
        (io::ErrorKind::PermissionDenied, "remove what is in the way, and "),
    ] {
        let refused = FsError::Io { op: Op::Rename, path: "/srv/my notes/wiki/log.md".into(), source: kind.into() };
        let (root, source) = ("/srv/my notes".into(), Box::new(KbError::Fs(refused)));
        let told = highwater_kb::add::diagnosis(&KbError::Unapplied { generation: 3, root, source });
        let next = format!("next: {mends}`highwater kb lint --fix --kb '/srv/my notes'` writes it");
        assert!(told.code == "HW-KB-022" && told.to_string().contains(&next), "{told}");
    }
}
