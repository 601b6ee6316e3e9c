//! Notices, from the end of real passes over a real ledger to webhooks and commands.

#![allow(clippy::unwrap_used, reason = "a test ends where it cannot go on")]

mod changes;
mod commands;
mod cron;
mod house;
mod retries;
mod webhooks;
