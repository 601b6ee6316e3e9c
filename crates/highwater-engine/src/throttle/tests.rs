//! The rule, at the rule: a throttle whose rounds the test makes, by a clock that it sets.

#![allow(clippy::unwrap_used, reason = "a test ends where it cannot go on")]

use std::sync::Mutex;

use async_trait::async_trait;

use super::*;
use crate::clock::{Clock, Sleep, later};
use crate::signal::Reading;

/// A clock that a test sets; every sleep is over at once.
#[derive(Debug, Default)]
struct Hand(Mutex<Duration>);

impl Hand {
    fn forward(&self, secs: u64) {
        *self.0.lock().unwrap() += Duration::from_secs(secs);
    }
}

impl Clock for Hand {
    fn now(&self) -> Timestamp {
        later(Timestamp::UNIX_EPOCH, self.elapsed())
    }

    fn elapsed(&self) -> Duration {
        *self.0.lock().unwrap()
    }

    fn sleep(&self, _: Duration) -> Sleep<'_> {
        Box::pin(async {})
    }

    fn glance(&self, span: Duration) -> Sleep<'_> {
        self.sleep(span)
    }
}

/// What a scripted signal says.
#[derive(Debug, Clone, Copy)]
enum Says {
    Number(f64),
    Aged(f64, u64),
    Fails,
    NotANumber,
    Nothing,
}

struct Scripted {
    name: &'static str,
    says: Arc<Mutex<Says>>,
}

#[async_trait]
impl Signal for Scripted {
    fn name(&self) -> &str {
        self.name
    }

    fn limit(&self) -> f64 {
        10.0
    }

    async fn read(&self) -> Result<Reading, SignalError> {
        let says = *self.says.lock().unwrap();
        match says {
            Says::Number(value) => Ok(Reading::now(value)),
            Says::Aged(value, secs) => Ok(Reading { value, age: Duration::from_secs(secs) }),
            Says::Fails => Err(SignalError::Refused { said: "the command ended with exit 1".to_owned() }),
            Says::NotANumber => crate::signal::number(b"up").map(Reading::now),
            Says::Nothing => std::future::pending().await,
        }
    }
}

/// A throttle over two signals, of which the test says what they say.
struct Rig {
    throttle: Throttle,
    clock: Arc<Hand>,
    says: [Arc<Mutex<Says>>; 2],
}

impl Rig {
    fn new() -> Self {
        let says = [(); 2].map(|()| Arc::new(Mutex::new(Says::Number(0.0))));
        let signal = |name, says: &Arc<_>| Arc::new(Scripted { name, says: Arc::clone(says) }) as Arc<dyn Signal>;
        let signals = vec![signal("lag", &says[0]), signal("load", &says[1])];
        let clock = Arc::new(Hand::default());
        let spec = ThrottleSpec { signals, ..ThrottleSpec::default() };
        let throttle = Throttle::new(spec, Arc::clone(&clock) as SharedClock);
        throttle.begin();
        Self { throttle, clock, says }
    }

    async fn round(&self, lag: Says, load: Says) -> ThrottleState {
        *self.says[0].lock().unwrap() = lag;
        *self.says[1].lock().unwrap() = load;
        self.clock.forward(2);
        self.throttle.round().await
    }

    fn is_closed(&self) -> bool {
        self.throttle.closed().is_some()
    }
}

use Says::{Aged, Fails, NotANumber, Nothing, Number};

#[test]
fn the_rule_is_below_40_faster_above_70_slower_and_at_100_half() {
    for (worst, share) in [
        (0.0, 0.625),
        (0.399, 0.625),
        (0.4, 0.5),
        (0.7, 0.5),
        (0.701, 0.425),
        (0.999, 0.425),
        (1.0, 0.25),
        (99.0, 0.25),
    ] {
        assert_eq!(next_share(0.5, worst), share, "{worst}");
    }
    assert_eq!(next_share(1.0, 0.0), 1.0);
    assert_eq!(next_share(SHARE_MIN, 5.0), SHARE_MIN);
    assert_eq!(next_share(1.0, f64::INFINITY), 0.5);
}

#[tokio::test]
async fn without_signals_or_before_the_pass_heeds_them_nothing_is_slow() {
    let clock = Arc::new(Hand::default());
    let idle = Throttle::new(ThrottleSpec::default(), Arc::clone(&clock) as SharedClock);
    idle.begin();
    idle.first_round().await;
    assert_eq!((idle.share(), idle.closed()), (1.0, None));
}

#[tokio::test]
async fn r17_a_signal_that_was_not_read_yet_is_unhealthy() {
    let rig = Rig::new();
    assert_eq!(rig.throttle.share(), SHARE_MIN);
    let closed = rig.throttle.closed().unwrap();
    assert_eq!(closed.why, "load was not read yet and counts as unhealthy");
    rig.round(Number(0.0), Number(0.0)).await;
    assert_eq!((rig.throttle.share(), rig.is_closed()), (1.0, false));
}

#[tokio::test]
async fn r17_a_signal_without_a_reading_closes_and_is_slowest_until_it_is_back() {
    for (says, why) in [
        (Fails, "the command ended with exit 1"),
        (NotANumber, "found \"up\", expected a number of at least 0"),
        (Nothing, "no answer within 5s"),
        (Aged(1.0, 61), "stale: 1m 1s old, at most 1m"),
    ] {
        let rig = Rig::new();
        // Slow by reason, so that it can be told from the slowest.
        rig.round(Number(8.0), Number(1.0)).await;
        assert_eq!((rig.throttle.share(), rig.is_closed()), (SLOW_DOWN, false));
        // That the other is well changes nothing.
        let state = rig.round(says, Number(0.0)).await;
        assert_eq!((rig.throttle.share(), state.share), (SHARE_MIN, SHARE_MIN), "{says:?}");
        let told = format!("lag cannot be read and counts as unhealthy: {why}");
        assert_eq!(rig.throttle.closed().unwrap().why, told);
        assert_eq!(state.worst().unwrap().sentence(), told);
        assert_eq!(state.closed_since, Some(rig.clock.now()));

        rig.round(Number(5.0), Number(0.0)).await;
        assert_eq!((rig.throttle.share(), rig.is_closed()), (SLOW_DOWN, false), "as it was before: {says:?}");
    }
}

#[tokio::test]
async fn r17_readings_that_nobody_renews_are_stale() {
    let rig = Rig::new();
    rig.round(Number(0.0), Number(0.0)).await;
    rig.clock.forward(THROTTLE_EVERY_SECS + 5 + ROUND_LATE_SECS);
    assert!(!rig.is_closed());
    rig.clock.forward(7);
    assert_eq!(rig.throttle.share(), SHARE_MIN);
    assert_eq!(rig.throttle.closed().unwrap().span, Duration::from_secs(7));
    rig.round(Number(0.0), Number(0.0)).await;
    assert_eq!((rig.throttle.share(), rig.is_closed()), (1.0, false));
}

#[tokio::test]
async fn the_worst_signal_decides() {
    let rig = Rig::new();
    let state = rig.round(Number(0.0), Number(20.0)).await;
    assert_eq!((rig.throttle.share(), rig.is_closed()), (0.5, true));
    assert_eq!(state.worst().unwrap().sentence(), "load is 20, its limit is 10");
    let state = rig.round(Number(12.345678), Number(9.0)).await;
    assert_eq!(rig.throttle.share(), 0.25);
    assert_eq!(state.worst().unwrap().sentence(), "lag is 12.346, its limit is 10");
    // Between the limits it stays as it is; it is open from below the limit on.
    rig.round(Number(5.0), Number(6.0)).await;
    assert_eq!((rig.throttle.share(), rig.is_closed()), (0.25, false));
    rig.round(Number(3.9), Number(0.0)).await;
    assert_eq!(rig.throttle.share(), 0.3125);
}

#[tokio::test]
async fn it_is_closed_since_it_closed_however_often_it_is_read() {
    let rig = Rig::new();
    rig.round(Number(0.0), Number(0.0)).await;
    let first = rig.round(Number(10.0), Number(0.0)).await;
    let again = rig.round(Fails, Number(0.0)).await;
    assert_eq!(again.closed_since, first.closed_since);
    assert_eq!(rig.throttle.closed().unwrap().span, Duration::from_secs(2));
    let open = rig.round(Number(9.9), Number(0.0)).await;
    assert_eq!((open.closed_since, rig.is_closed()), (None, false));
}

#[tokio::test]
async fn what_people_should_see_is_news_and_numbers_alone_are_now_and_then() {
    let rig = Rig::new();
    let noted = rig.round(Number(1.0), Number(0.0)).await;
    assert!(!is_news(&noted, &rig.round(Number(1.5), Number(0.0)).await));
    assert!(is_news(&noted, &rig.round(Number(8.0), Number(0.0)).await), "it is slower");
    assert!(is_news(&noted, &rig.round(Fails, Number(0.0)).await));
    rig.clock.forward(NOTE_EVERY_SECS);
    assert!(is_news(&noted, &rig.round(Number(1.5), Number(0.0)).await));
}
