//! What a receiver counts, as Prometheus reads it. Owns the names and the text.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::index::Figures;

/// The counters of one receiver.
#[derive(Debug, Default)]
pub(super) struct Counters {
    /// Uploads by what became of them: a fixed set of words.
    ends: Mutex<BTreeMap<&'static str, u64>>,
    received_bytes: AtomicU64,
    found_damaged: AtomicU64,
}

impl Counters {
    /// Counts an upload that ended so.
    pub(super) fn ended(&self, how: &'static str) {
        *self.ends.lock().unwrap_or_else(PoisonError::into_inner).entry(how).or_default() += 1;
    }

    /// Counts bytes of bodies.
    pub(super) fn received(&self, bytes: u64) {
        self.received_bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Counts a stored episode that was read and is not what its row says.
    pub(super) fn found_damaged(&self) {
        self.found_damaged.fetch_add(1, Ordering::Relaxed);
    }

    /// All of it.
    pub(super) fn text(
        &self,
        uploads: usize,
        open: usize,
        figures: Option<Figures>,
        room_bytes: Option<u64>,
    ) -> String {
        let mut text = String::new();
        let mut family = |name: &str, kind: &str, help: &str, lines: &[(String, u64)]| {
            let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}");
            for (labels, value) in lines {
                let _ = writeln!(text, "{name}{labels} {value}");
            }
        };
        let one = |value: u64| vec![(String::new(), value)];
        let ends = self.ends.lock().unwrap_or_else(PoisonError::into_inner);
        let ends: Vec<_> = ends.iter().map(|(how, n)| (format!("{{end=\"{how}\"}}"), *n)).collect();
        family("highwater_receiver_uploads_total", "counter", "Uploads by what became of them.", &ends);
        let received = self.received_bytes.load(Ordering::Relaxed);
        family("highwater_receiver_received_bytes_total", "counter", "Bytes of uploads.", &one(received));
        let damaged = self.found_damaged.load(Ordering::Relaxed);
        let help = "Answers that a stored episode is not what its row says, to who asked for it to be read.";
        family("highwater_receiver_found_damaged_total", "counter", help, &one(damaged));
        family("highwater_receiver_uploads_in_hand", "gauge", "Uploads that are being received.", &one(uploads as u64));
        let help = "Resumable uploads that may go on.";
        family("highwater_receiver_open_uploads", "gauge", help, &one(open as u64));
        if let Some(figures) = figures {
            family("highwater_receiver_index_keys", "gauge", "Episodes with a row.", &one(figures.keys));
            let help = "Lines of the index that are no row.";
            family("highwater_receiver_index_unreadable_lines", "gauge", help, &one(figures.unreadable));
            let help = "Episodes whose row somebody took out of the index since the start.";
            family("highwater_receiver_index_lost_rows", "gauge", help, &one(figures.lost));
        }
        if let Some(room_bytes) = room_bytes {
            family("highwater_receiver_free_bytes", "gauge", "Bytes that can still be stored.", &one(room_bytes));
        }
        text
    }
}
