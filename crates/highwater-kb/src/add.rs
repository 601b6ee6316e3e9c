//! Documents into a base: the job `kb-add`. Owns which documents there are, and what becomes of each.

pub mod scan;
