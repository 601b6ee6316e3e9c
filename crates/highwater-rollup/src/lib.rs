//! Rollups: an aggregate table that is seeded from years of events, kept in step with them, and proved against them, on
//! SQLite and on PostgreSQL.
//!
//! A **declared** rollup is built from what [`declare`] says: [`ddl`] writes its tables and triggers, [`recompute`] is the one
//! place that turns raw rows into buckets, [`drain`] finds what changed and has just that recomputed, [`verify`] compares every
//! bucket with a fresh grouping. The words: a **bucket** is a span of time of the length of the **grain**; a **cell** is one
//! bucket with one value of each key, and is one row of the target.
//!
//! A [`window`] of somebody's own is driven as it is. [`guard`] tells of either kind whether it is complete, so that what it
//! replaces may be taken away; [`migrate`] asks it before a step that does that.

pub mod bound;
pub mod bypass;
pub mod change;
pub mod ddl;
pub mod declare;
pub mod drain;
pub mod freeze;
pub mod guard;
pub mod job;
pub mod migrate;
pub mod precheck;
pub mod recompute;
pub mod settings;
pub mod show;
mod sql;
pub mod state;
pub mod tick;
pub mod told;
pub mod verify;
pub mod window;
