//! Bad input to rollups (R15): one error with file, line, field, what was found, what was expected and what to do, told before
//! anything is made. Each case compares the catalogue of the database before and after.

mod columns;
mod names;
mod place;
mod put_back;
mod rig;
mod rights;
mod tables;
