//! Rollups through the built binary, on a PostgreSQL of the tests: the lock that a pass lives in, what ends it in the middle, what
//! is refused, and a window of somebody's own.

mod rig;

mod doctor;
mod ended_in_mid_slice;
mod fence;
mod locks;
mod month;
mod own_window;
mod own_window_proof;
mod pooler;
mod refused;
