//! The receiver: takes episodes over HTTP, stores and indexes them, and answers only when both would survive a power cut.

pub mod commit;
