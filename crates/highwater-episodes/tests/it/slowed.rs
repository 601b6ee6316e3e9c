//! Uploads that are slowed: by a clock on which waiting takes no time, so that what it shows is how long they would have taken.

use std::fs;
use std::sync::Arc;

use highwater_engine::clock::Clock as _;
use highwater_engine::report::ExitCode;
use highwater_engine::settings::ByteSize;
use highwater_episodes::receive::gate::Off;
use highwater_testkit::sim_clock::SimClock;

use crate::life::Host;
use crate::receive::rig::Rig;

#[tokio::test(flavor = "multi_thread")]
async fn all_uploads_of_a_pass_share_the_bandwidth_whole_or_in_parts() {
    const EPISODES: u64 = 3;
    const BYTES: u64 = 1 << 20;
    for resume_above in [ByteSize::mib(64), "1kB".parse().unwrap()] {
        let clock = SimClock::running("2026-11-20T12:00:00Z".parse().unwrap());
        let rig = Rig::real(Arc::new(Off), |_| {}).await;
        let mut host = Host::at(&rig, clock.shared());
        host.settings.bandwidth = Some("64KiB/s".parse().unwrap());
        host.settings.resume_above = resume_above;
        for n in 0..EPISODES {
            host.record(&format!("ep-{n}"), "x", None);
            let noise: Vec<u8> =
                std::iter::repeat_with(|| fastrand::u8(..)).take(usize::try_from(BYTES).unwrap()).collect();
            fs::write(host.path(&format!("episodes/ep-{n}/noise.bin")), noise).unwrap();
        }
        let begun = clock.elapsed();
        let report = host.pass().await;
        assert_eq!((report.exit, report.counts.done), (ExitCode::Drained, EPISODES), "{}", report.message);
        // By the clock that was slept on, not by a wall's: 48 seconds of 64 KiB.
        let secs = (clock.elapsed() - begun).as_secs();
        let whole = EPISODES * BYTES / (64 << 10);
        assert!((whole - 2..whole + 10).contains(&secs), "{secs} of {whole} s, above {resume_above} in parts");
    }
}
