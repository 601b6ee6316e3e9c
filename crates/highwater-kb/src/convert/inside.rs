//! A conversion, in the process that was started for it: it binds itself to its limits first, then reads the document, and leaves
//! its answer as a directory. Owns what such a process says when it ends otherwise.

use std::any::Any;
use std::path::Path;
use std::thread;

use super::limits::Limits;
use super::{Format, answer, convert, stage};

/// The largest stack of a conversion, in bytes: what is nested is read by calls within calls.
const STACK_BYTES_MAX: u64 = 256 << 20;
/// The part of its memory that the stack may be.
const STACK_ONE_IN: u64 = 8;

/// How a conversion ended that has no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Broken {
    /// The document is refused: a sentence about it.
    Refused(String),
    /// The converter broke, or the machine refused: what is known of it.
    Failed(String),
    /// What was converted cannot be written: what the disk says.
    Unwritten(String),
}

/// Converts the file `document`, which may show images of the directory `beside`, and writes what comes of it to the directory
/// `to`. This process is bound to the limits from then on: it can do nothing else afterwards.
///
/// # Errors
/// [`Broken`].
pub fn run(limits: &Limits, document: &Path, to: &Path, beside: Option<&Path>) -> Result<(), Broken> {
    let failed = |doing: &str, error: &dyn std::fmt::Display| Broken::Failed(format!("{doing}: {error}"));
    let bytes = std::fs::metadata(document).map_err(|error| failed("its copy", &error))?.len();
    limits.bind(bytes).map_err(|error| failed("its limits", &error))?;
    // What a panic says is told once, below.
    std::panic::set_hook(Box::new(|_| {}));
    let stack_bytes = (limits.memory_bytes / STACK_ONE_IN).min(STACK_BYTES_MAX);
    thread::scope(|scope| {
        let conversion = thread::Builder::new()
            .stack_size(usize::try_from(stack_bytes).unwrap_or(usize::MAX))
            .spawn_scoped(scope, || {
                let bytes = std::fs::read(document).map_err(|error| failed("its copy", &error))?;
                let suffix = stage::suffix_of(document);
                let refused = |refusal: super::Refusal| Broken::Refused(refusal.to_string());
                let format = Format::of(&bytes, &suffix).map_err(refused)?;
                let converted = convert(&bytes, &suffix, beside, limits).map_err(refused)?;
                answer::write(to, &converted, format).map_err(|error| Broken::Unwritten(error.to_string()))
            })
            .map_err(|error| failed("its thread", &error))?;
        conversion.join().unwrap_or_else(|panic| Err(Broken::Failed(said(&*panic))))
    })
}

fn said(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("it panicked").to_owned()
}
