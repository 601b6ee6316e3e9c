//! The receiver has it, and nothing of it is left here, or something odd lies in its place: what is told, and what a retry comes to.

use std::fs;
use std::os::unix::fs::symlink;
use std::process::Command;

use highwater_engine::ledger::{ItemFilter, Who, Word};
use highwater_engine::name::ItemKey;
use highwater_engine::report::{ExitCode, Reason};
use highwater_episodes::ship::parked::parked;

use crate::in_its_place::packed;
use crate::life::Host;

/// As `highwater retry` does.
async fn retry(host: &Host) {
    let keys = ItemFilter::Keys(vec![ItemKey::new("ep").unwrap()]);
    let word = Word { why: "look again".to_owned(), who: Who("alice@a".to_owned()), at: host.engine.clock.now() };
    assert_eq!(host.engine.ledger.retry_items(&host.spec.name, &keys, &word).await.unwrap(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retry_of_what_the_receiver_has_and_is_nowhere_here_ends_at_once_and_says_so() {
    let (mut host, rig) = packed("x").await;
    fs::remove_dir_all(host.path("episodes/ep")).unwrap();
    assert_eq!(host.pass().await.counts.review, 1);
    let told = host.told().await;
    assert!(told[0].starts_with("ep review: the receiver has it; its directory is gone"), "{told:?}");
    // While nobody is there to be asked, it waits.
    retry(&host).await;
    let receiver = host.settings.receiver.clone();
    host.settings.receiver = serde_json::from_str("\"http://127.0.0.1:1/\"").unwrap();
    assert_eq!(host.pass().await.reason, Reason::Network);
    host.settings.receiver = receiver;
    let report = host.pass().await;
    let told = host.told().await;
    assert_eq!((report.exit, report.counts.present), (ExitCode::Drained, 1), "{told:?}");
    assert!(told[0].starts_with("ep present: the receiver has an episode of its name, which holds "), "{told:?}");
    assert!(told[0].contains("nothing of it is left here"), "{told:?}");
    assert_eq!(rig.files(), ["lab/ep.tar.zst"]);
    // Of one that nobody has, a person is told at once, and once.
    fs::remove_file(rig.path("episodes/lab/ep.tar.zst")).unwrap();
    retry(&host).await;
    let report = host.pass().await;
    let told = host.told().await;
    assert_eq!((report.exit, report.counts.review), (ExitCode::Drained, 1), "{told:?}");
    assert!(told[0].contains("does not say that it has it: there is nothing to send"), "{told:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_lies_in_the_place_of_a_directory_and_is_none_is_named_until_it_is_away() {
    for is_symlink in [true, false] {
        let (host, rig) = packed("x").await;
        let (dir, elsewhere) = (host.path("episodes/ep"), host.path("elsewhere"));
        fs::rename(&dir, &elsewhere).unwrap();
        let kind = if is_symlink {
            symlink(&elsewhere, &dir).unwrap();
            "a symlink"
        } else {
            fs::write(&dir, "a note").unwrap();
            "no directory"
        };
        let report = host.pass().await;
        assert_eq!((report.exit, report.counts.review), (ExitCode::Drained, 1), "{:?}", host.told().await);
        let listed = || parked(&host.path("episodes"), &host.path("outbox")).unwrap();
        for _ in 0..2 {
            let all = listed();
            assert_eq!(all.len(), 1, "{kind}");
            let told = &all[0].parked.told;
            assert!(
                told.contains(&format!("the receiver has it; what has the name of its directory is {kind}")),
                "{told}"
            );
            assert!(told.contains("move it out of `episodes`"), "{told}");
            assert!(!all[0].directory_gone, "no archive is left that may be the only copy");
            let again = host.pass().await;
            assert!(
                again.notes.iter().any(|note| note.contains("ep (something else in its directory's place)")),
                "{:?}",
                again.notes
            );
        }
        assert!(
            report.notes.iter().any(|note| note.contains("ep (something else in its directory's place)")),
            "{:?}",
            report.notes
        );
        fs::remove_file(&dir).unwrap();
        assert!(listed().is_empty(), "{kind}");
        assert!(host.pass().await.notes.is_empty());
        assert_eq!(host.names("outbox/.parked"), Vec::<String>::new(), "nothing is kept of it");
        // The directory itself, which was there all the time, is an episode as any.
        fs::rename(&elsewhere, &dir).unwrap();
        host.drains(1).await;
        assert_eq!((rig.files(), host.names("shipped")), (vec!["lab/ep.tar.zst".to_owned()], vec!["ep".to_owned()]));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_whole_archive_under_another_episodes_name_is_told_as_whose_it_is_with_the_way_back() {
    // One that is not sealed says whose it is by its paths, however they begin.
    for (is_sealed, top) in [(true, "ep"), (false, "ep"), (false, "./ep")] {
        let (host, rig) = packed("x").await;
        let (right, wrong) = (host.path("outbox/ep.tar.zst"), host.path("outbox/other.tar.zst"));
        if !is_sealed {
            // As `tar` makes it.
            let made = Command::new("tar")
                .args(["--zstd", "-cf"])
                .arg(&right)
                .arg("-C")
                .arg(host.path("episodes"))
                .arg(top)
                .status();
            assert!(made.unwrap().success());
        }
        fs::remove_dir_all(host.path("episodes/ep")).unwrap();
        fs::rename(&right, &wrong).unwrap();
        host.pass().await;
        let all = parked(&host.path("episodes"), &host.path("outbox")).unwrap();
        assert_eq!(all.len(), 1, "{:?}", host.told().await);
        let told = &all[0].parked.told;
        assert!(all[0].episode_id.as_str() == "other" && !told.contains("damaged"), "{told}");
        assert!(told.contains("is whole, and ep's"), "{told}");
        let lines: Vec<_> = told.split('`').filter(|part| part.starts_with("mv -n ")).collect();
        assert_eq!(lines.len(), 1, "{told}");
        assert!(Command::new("sh").args(["-c", lines[0]]).status().unwrap().success());
        assert!(right.exists() && !wrong.exists());
        host.pass().await;
        assert_eq!(rig.files(), ["lab/ep.tar.zst"], "{:?}", host.told().await);
        assert!(parked(&host.path("episodes"), &host.path("outbox")).unwrap().is_empty());
    }
}
