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
