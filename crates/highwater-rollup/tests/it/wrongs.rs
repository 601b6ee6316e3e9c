//! The wrongs.
