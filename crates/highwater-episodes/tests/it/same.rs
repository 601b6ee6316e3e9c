//! R11 with a real receiver: the same episode is taken once, however it is packed and whatever happened in between.

use std::collections::BTreeSet;
use std::fs;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use highwater_engine::report::ExitCode;
use highwater_episodes::receive::gate::Off;

use crate::life::Host;
use crate::receive::rig::Rig;

/// Records one in which the compression levels differ: text that repeats, and directories of its own.
fn record(host: &Host) {
    let text: String = (0..40_000).map(|n| format!("{n},{},{}\n", n % 17, n * n % 1_009)).collect();
    host.record("ep", &text, None);
    fs::create_dir_all(host.path("episodes/ep/camera/left")).unwrap();
    let frame = host.path("episodes/ep/camera/left/frame.txt");
    fs::write(&frame, text.repeat(3)).unwrap();
    let at = UNIX_EPOCH + Duration::from_secs(1_700_000_123);
    fs::File::options().append(true).open(frame).unwrap().set_modified(at).unwrap();
}

/// What the receiver counts: uploads that were stored, those that were there, and the bytes of both.
async fn counted(rig: &Rig) -> [u64; 3] {
    let metrics = rig.connect().await.ask("GET", "/metrics", &[], b"").await;
    let text = String::from_utf8(metrics.body).unwrap();
    ["uploads_total{end=\"stored\"}", "uploads_total{end=\"present\"}", "received_bytes_total"].map(|what| {
        let label = format!("highwater_receiver_{what} ");
        text.lines().find_map(|line| line.strip_prefix(&label)).map_or(0, |count| count.parse().unwrap())
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn r11_however_it_is_packed_it_is_stored_once_and_then_always_there() {
    let mut rig = Rig::real(Arc::new(Off), |_| {}).await;
    let address = rig.address;
    let mut host = Host::new(&rig);
    record(&host);
    let mut sizes = BTreeSet::new();
    let mut sent = 0;
    let mut again = async |host: &mut Host, rig: &Rig, what: &str| {
        if sent > 0 {
            fs::rename(host.path("shipped/ep"), host.path("episodes/ep")).unwrap();
        }
        let before = counted(rig).await;
        let report = host.pass().await;
        assert_eq!((report.exit, report.counts.done), (ExitCode::Drained, 1), "{what}: {:?}", host.told().await);
        let after = counted(rig).await;
        let [stored, present, bytes] = [0, 1, 2].map(|n| after[n] - before[n]);
        let one = if sent == 0 { (1, 0) } else { (0, 1) };
        assert_eq!((stored, present), one, "{what}: first it is stored, then it is there");
        assert_eq!((rig.rows().len(), rig.files().len(), host.names("shipped").len()), (1, 1, 1), "{what}");
        sent += 1;
        bytes
    };
    for level in [1, 3, 19] {
        for threads in [1, 4] {
            let settings = serde_json::json!({ "level": level, "threads": threads });
            host.settings.compression = serde_json::from_value(settings).unwrap();
            sizes.insert(again(&mut host, &rig, &format!("level {level}, {threads} threads")).await);
        }
    }
    assert!(sizes.len() >= 3, "other bytes were sent for each level: {sizes:?}");
    for dir in ["shipped/ep", "shipped/ep/camera"] {
        let touched = UNIX_EPOCH + Duration::from_secs(1_800_000_000);
        fs::File::open(host.path(dir)).unwrap().set_modified(touched).unwrap();
    }
    again(&mut host, &rig, "a directory was touched").await;
    rig = Rig::real_in(rig.end().await, Arc::new(Off), |settings| settings.listen = address).await;
    again(&mut host, &rig, "the receiver was started again").await;
    fs::remove_dir_all(host.path("outbox")).unwrap();
    fs::create_dir(host.path("outbox")).unwrap();
    again(&mut host, &rig, "the outbox was lost").await;
    // A shipper that knows nothing: another ledger, another outbox, the same episode.
    let mut another = Host::new(&rig);
    record(&another);
    fs::create_dir_all(another.path("shipped")).unwrap();
    fs::rename(another.path("episodes/ep"), another.path("shipped/ep")).unwrap();
    again(&mut another, &rig, "another shipper").await;
    // And by an upload in parts.
    host.settings.resume_above = "1kB".parse().unwrap();
    again(&mut host, &rig, "in parts").await;
}
