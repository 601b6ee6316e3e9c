//! What lets a shipped episode go that the receiver does not have: its own word that this very one was withdrawn, and nobody else's.

use highwater_episodes::ship::{KeepBy, lost};

use crate::keep::{DAY_SECS, Lab, PROBLEM};
use crate::resume::{Foreign, say};

#[tokio::test]
async fn r10_one_that_was_withdrawn_goes_only_where_the_receiver_names_what_was_sent() {
    const GOES: bool = true;
    const STAYS: bool = false;
    let named = |name: &str, hash: &str| format!("{name}: {hash}\r\n");
    let quoted = |hash: &str| format!("\"{hash}\"");
    let others = "ab".repeat(32);
    for by in [KeepBy::Answer, KeepBy::Receipt] {
        for (case, goes) in
            [("content", GOES), ("bytes", GOES), ("both others", STAYS), ("other bytes", STAYS), ("nothing", STAYS)]
        {
            let mut lab = Lab::new().await;
            lab.ship("ep", 100).await;
            lab.host.settings.keep_by = by;
            let (content, bytes) = (lab.stored_as("ep", "content_sha256"), lab.stored_as("ep", "sha256"));
            let names = match case {
                // From another archive of the same files.
                "content" => named("ETag", &quoted(&others)) + &named("X-Episode-Content-SHA256", &content),
                // Of which its row does not say what it held.
                "bytes" => named("ETag", &quoted(&bytes)),
                "both others" => named("ETag", &quoted(&others)) + &named("X-Episode-Content-SHA256", &others),
                "other bytes" => named("ETag", &quoted(&others)),
                _ => String::new(),
            };
            lab.meets(Foreign::new(move |_, _| say(410, &format!("{PROBLEM}{names}"))).await);
            let report = lab.later(11).await;
            assert_eq!(lab.shipped().is_empty(), goes, "{by:?} {case}: {:?}", report.notes);
            let is_told = report.notes.iter().any(|note| note.contains("under another name"));
            assert_eq!(is_told, !goes, "{by:?} {case}: {:?}", report.notes);
        }
    }
}

/// Whatever is said there, and wherever that is.
#[tokio::test]
async fn r10_no_answer_counts_of_where_a_redirect_leads() {
    for host in ["localhost", "127.0.0.1"] {
        for status in [410, 409, 404, 200] {
            let mut lab = Lab::new().await;
            lab.ship("ep", 100).await;
            let content = lab.stored_as("ep", "content_sha256");
            let kind = if status == 200 { "X-Episode-Verified: read\r\n" } else { PROBLEM };
            let names = format!("{kind}X-Episode-Content-SHA256: {content}\r\n");
            let other = Foreign::new(move |_, _| say(status, &names)).await;
            let there = format!("http://{host}:{}", other.address.port());
            let sends_on = move |head: &str, _: &[u8]| {
                let path = head.split_whitespace().nth(1).unwrap();
                say(307, &format!("Location: {there}{path}\r\n"))
            };
            lab.meets(Foreign::new(sends_on).await);
            let report = lab.later(11).await;
            assert_eq!(lab.shipped(), ["ep"], "{host} {status}: {:?}", report.notes);
            let (lost, _) = lost(&lab.host.path("outbox"), &lab.host.path("shipped"));
            assert!(lost.is_empty(), "{host} {status}: {:?}", report.notes);
            let told = report.notes.iter().any(|note| note.contains("a redirect"));
            assert!(told, "{host} {status}: {:?}", report.notes);
        }
    }
}
