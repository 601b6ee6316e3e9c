//! misbehaviour.
