//! Notices, from the end of real passes over a real ledger to webhooks and commands.

mod changes;
mod commands;
mod cron;
mod house;
mod retries;
mod webhooks;
