//! The knowledge base, from outside: on a simulated disk that is crashed everywhere, and on a real one.

mod edits;
mod histories;
mod home;
mod power_loss;
mod simulated;
