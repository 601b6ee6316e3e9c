//! Episodes, as their users meet them: on real and simulated disks, over real sockets and real TLS.

#![allow(clippy::unwrap_used, reason = "a test ends where it cannot go on")]

mod archive;
mod claim;
mod edited;
mod gate;
mod growing;
mod in_its_place;
mod index;
mod keep;
mod keep_asked;
mod keep_away;
mod keep_looked;
mod keep_many;
mod keep_newest;
mod keep_sequences;
mod life;
mod notes;
mod nothing_left;
mod older_receipt;
mod only_copy;
mod orphan;
mod places;
mod receive;
mod refused;
mod reindex;
mod reopened;
mod resume;
mod retire;
mod rows;
mod same;
mod sequences;
mod slowed;
mod store;
mod withdraw;
