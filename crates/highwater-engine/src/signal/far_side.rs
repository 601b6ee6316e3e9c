//! What a pass sees of its far side itself: how long answers take, and how many are errors. Owns the last few answers; there is
//! nothing to read before the first one, and that alone is no bad sign.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;

use super::{Reading, Signal, SignalError};

/// How many of the last answers are judged.
pub const ANSWERS_JUDGED: usize = 10;

/// The last answers of a job's far side.
#[derive(Debug, Default)]
pub struct FarSide(Mutex<VecDeque<Answer>>);

#[derive(Debug, Clone, Copy)]
struct Answer {
    took: Duration,
    is_error: bool,
}

impl FarSide {
    /// Counts an answer, or that none came; `is_error` is 5xx or none.
    pub fn answered(&self, took: Duration, is_error: bool) {
        let mut answers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if answers.len() == ANSWERS_JUDGED {
            answers.pop_front();
        }
        answers.push_back(Answer { took, is_error });
    }

    /// The mean time of an answer, in seconds.
    #[must_use]
    pub fn latency_secs(&self) -> f64 {
        let answers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let all: f64 = answers.iter().map(|answer| answer.took.as_secs_f64()).sum();
        all / answers.len().max(1) as f64
    }

    /// The share of errors in [`ANSWERS_JUDGED`] answers, in percent: a first answer that is an error is not yet all of them.
    #[must_use]
    pub fn errors_percent(&self) -> f64 {
        let answers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let errors = answers.iter().filter(|answer| answer.is_error).count();
        100.0 * errors as f64 / ANSWERS_JUDGED as f64
    }
}

/// What of the far side is a signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Aspect {
    /// The mean time of an answer, in seconds.
    Latency,
    /// The share of answers that are 5xx or did not come, in percent.
    ServerErrors,
}

/// A job's own contacts as a signal.
#[derive(Debug)]
pub struct FarSideSignal {
    /// What people call it.
    pub name: String,
    /// The number from which on the far side is unwell; above 0.
    pub limit: f64,
    /// What of it.
    pub aspect: Aspect,
    /// The answers.
    pub far_side: Arc<FarSide>,
}

#[async_trait]
impl Signal for FarSideSignal {
    fn name(&self) -> &str {
        &self.name
    }

    fn limit(&self) -> f64 {
        self.limit
    }

    async fn read(&self) -> Result<Reading, SignalError> {
        Ok(Reading::now(match self.aspect {
            Aspect::Latency => self.far_side.latency_secs(),
            Aspect::ServerErrors => self.far_side.errors_percent(),
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_answers_count_and_older_ones_do_not() {
        let far_side = FarSide::default();
        assert_eq!((far_side.latency_secs(), far_side.errors_percent()), (0.0, 0.0));
        far_side.answered(Duration::from_secs(4), true);
        assert_eq!((far_side.latency_secs(), far_side.errors_percent()), (4.0, 10.0));
        for _ in 0..ANSWERS_JUDGED {
            far_side.answered(Duration::from_secs(1), false);
        }
        assert_eq!((far_side.latency_secs(), far_side.errors_percent()), (1.0, 0.0));
    }
}
