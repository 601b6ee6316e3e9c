//! What the binary and the house as a whole must do: one integration binary, one module a subject.

#![allow(clippy::unwrap_used, reason = "a test ends where it cannot go on")]

mod bad_input;
mod beside;
mod commands;
mod cron;
mod documents;
mod endings;
mod episodes;
mod exec_as_pass;
mod exec_at_scale;
mod gate;
mod house;
mod inside;
mod install;
mod kb;
mod kb_adopt;
mod kb_convert;
mod killed;
mod manual;
mod migrate;
mod oai;
mod oai_bad_input;
mod oai_snapshots;
mod oai_take_over;
mod oai_targets;
mod power_loss;
mod receive;
mod recorded;
mod reindex;
mod riders;
mod rig;
mod rollup;
mod rollup_bad_input;
mod rollup_months;
mod rollup_real_shape;
mod rollup_show;
mod ship;
mod steered;
mod stored;
mod surveyed;
mod systemd;
mod takeover;
mod throttled;
mod unsent;
mod unset;
