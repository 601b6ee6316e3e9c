//! Episodes, as their users meet them.

mod gate;
