//! `kb`: knowledge bases. Owns the codes of what its commands refuse; each verb is in a file of its own.

mod convert;

use crate::Done;
use crate::cli::{Global, KbVerb};
use crate::output::Output;

/// What is wrong with a document.
const DOCUMENT: &str = "HW-KB-001";
/// No document can be converted on this machine.
const NO_CONVERSION: &str = "HW-KB-002";
/// The directory for what is converted holds something.
const TAKEN: &str = "HW-KB-003";
/// The conversion is to be tried again.
const AGAIN: &str = "HW-KB-004";

pub(crate) fn kb(verb: KbVerb, global: &Global) -> Done {
    let output = Output { json: global.json, quiet: global.quiet };
    match verb {
        KbVerb::Convert(args) => convert::convert(&args, output),
    }
}
