//! Episodes that an older version shipped: its receipts do not say what was sent, so only the receiver's word lets one go.

use std::fs;
use std::sync::Arc;

use futures::Stream;
use highwater_engine::job::{Attempt, CommitCx, Job, ReadCx, Stop, WorkItem};
use highwater_engine::name::ItemKey;
use highwater_engine::outcome::{Outcome, OutcomeKind};
use highwater_engine::pass::{Mode, Runner as _};
use highwater_engine::report::{ExitCode, PassReport};
use highwater_engine::settings::DurationText;
use highwater_episodes::archive::{TreeLimits, content_of};
use highwater_episodes::name::EpisodeId;
use highwater_episodes::ship::MARKER;
use highwater_testkit::sim_clock::SimClock;

use crate::life::Host;
use crate::receive::rig::Rig;
use crate::resume::{Foreign, say};

const DAY_SECS: i64 = 86_400;
/// What an older version kept of the episode below.
const RECEIPT: &str = "the receiver has it: 2 files of 1 bytes, the last written at 2023-11-14T22:13:20Z";

/// An older version of the job: of its one episode it keeps such a receipt.
struct Older;

struct Item;

impl WorkItem for Item {
    fn key(&self) -> ItemKey {
        ItemKey::new("ep").unwrap()
    }

    fn encode(&self) -> Vec<u8> {
        Vec::new()
    }

    fn decode(_: &ItemKey, _: &[u8]) -> Result<Self, String> {
        Ok(Self)
    }
}

impl Job for Older {
    type Item = Item;
    type Prepared = ();

    fn plan(&self, _: ReadCx) -> impl Stream<Item = Result<Item, Stop>> + Send {
        futures::stream::iter([Ok(Item)])
    }

    async fn prepare(&self, _: ReadCx, _: Arc<Item>) -> Result<Attempt<()>, Stop> {
        Ok(Attempt::Ready(()))
    }

    async fn commit(&self, _: &mut CommitCx, _: &Item, (): ()) -> Result<Outcome, Stop> {
        Ok(Outcome::because(OutcomeKind::Done, RECEIPT))
    }

    async fn seal(&self, _: &mut CommitCx, _: &PassReport) -> Result<(), Stop> {
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_what_the_receiver_names_goes() {
    let (same, other) = (None, Some("0".repeat(64)));
    let (read, problem) = ("x-episode-verified: read\r\n", "content-type: application/problem+json\r\n");
    for (says, read, status, goes, note) in [
        (same.clone(), read, 200, true, "removed 1 shipped episode"),
        // A receiver that says what its row says, as older ones do: the row is no proof of the file.
        (same, "", 200, false, "received by an older version"),
        (other, read, 200, false, "is no longer what was sent"),
        (Some(String::new()), read, 200, false, "received by an older version"),
        (Some(String::new()), read, 404, false, "received by an older version"),
        (Some(String::new()), read, 409, false, "the receiver does not say to this host what it has"),
        // One that says itself that it has none, or a damaged one.
        (Some(String::new()), problem, 404, false, "received by an older version"),
        (Some(String::new()), problem, 409, false, "received by an older version"),
        (Some(String::new()), read, 500, false, "ep: 500: the receiver cannot say what it has"),
    ] {
        let clock = SimClock::running("2026-11-20T12:00:00Z".parse().unwrap());
        let rig = Rig::new().await;
        let mut host = Host::at(&rig, clock.shared());
        host.record("ep", "x", None);
        fs::rename(host.path("episodes/ep"), host.path("shipped/ep")).unwrap();
        let id = EpisodeId::new("ep").unwrap();
        let content = content_of(&host.path("shipped/ep"), &id, TreeLimits::default()).unwrap().content_sha256;
        let says = says.unwrap_or_else(|| content.to_string());
        let named =
            if says.is_empty() { read.to_owned() } else { format!("x-episode-content-sha256: {says}\r\n{read}") };
        let far = Foreign::new(move |head, _| match head {
            head if head.starts_with("head ") => say(status, &named),
            _ => say(404, ""),
        })
        .await;
        host.settings.receiver = serde_json::from_value(serde_json::json!(format!("http://{}/", far.address))).unwrap();
        host.settings.keep_time = Some(DurationText::days(10));
        let older = Arc::new(Older).run(&host.engine, &host.spec, Mode::Run).await;
        assert_eq!((older.exit, older.counts.done), (ExitCode::Drained, 1), "{}", older.message);
        assert_eq!(host.told().await, [format!("ep done: {RECEIPT}")]);
        clock.jump_secs(11 * DAY_SECS);
        let report = host.pass().await;
        assert_eq!(report.exit, ExitCode::Drained, "{status}: {}", report.message);
        assert_eq!(!host.path("shipped/ep").join(MARKER).exists(), goes, "{status} {says}: {:?}", report.notes);
        assert!(report.notes.join("\n").contains(note), "{status} {says}: {:?}", report.notes);
        // What nobody said anything of is asked again, and all else once.
        let asked = far.asked.lock().unwrap().len();
        host.pass().await;
        let again = note.contains("the receiver ");
        assert_eq!(far.asked.lock().unwrap().len() > asked, again, "{status} {says}");
    }
}
