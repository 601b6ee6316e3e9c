//! Declared rollups on real databases.

mod fire;
mod usage;
mod wrongs;
