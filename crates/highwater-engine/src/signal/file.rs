//! A number in a file, that another program keeps writing: its age is the file's.

use std::io::Read as _;
use std::path::PathBuf;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;

use super::{NUMBER_BYTES_MAX, Reading, Signal, SignalError, Watched, number};
use crate::clock::{SharedClock, since};

/// The number in a file.
#[derive(Debug)]
pub struct FileSignal {
    /// What people call it, its limit, and how long it is waited for.
    pub watched: Watched,
    /// The file.
    pub path: PathBuf,
    /// How old the file may be.
    pub stale_after: Duration,
    /// The time of day.
    pub clock: SharedClock,
}

#[async_trait]
impl Signal for FileSignal {
    fn name(&self) -> &str {
        &self.watched.name
    }

    fn limit(&self) -> f64 {
        self.watched.limit
    }

    fn timeout(&self) -> Duration {
        self.watched.timeout
    }

    fn stale_after(&self) -> Duration {
        self.stale_after
    }

    async fn read(&self) -> Result<Reading, SignalError> {
        let (path, clock) = (self.path.clone(), self.clock.clone());
        // A file system may hang: the reading is given up then, the thread is not waited for.
        let read = tokio::task::spawn_blocking(move || {
            let mut file = std::fs::File::open(&path)?;
            let written = file.metadata()?.modified()?;
            let mut text = Vec::new();
            (&mut file).take(NUMBER_BYTES_MAX as u64).read_to_end(&mut text)?;
            let written = Timestamp::try_from(written).map_err(std::io::Error::other)?;
            Ok::<_, std::io::Error>((text, since(clock.now(), written)))
        });
        let failed = |source| SignalError::Failed { doing: format!("cannot read {}", self.path.display()), source };
        let (text, age) = match read.await {
            Ok(read) => read.map_err(|source| failed(source.into()))?,
            Err(broke_off) => return Err(failed(broke_off.into())),
        };
        Ok(Reading { value: number(&text)?, age })
    }
}
