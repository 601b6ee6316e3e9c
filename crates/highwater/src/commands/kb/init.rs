//! `kb init`: a directory becomes a knowledge base.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use highwater_engine::clock::{Clock as _, SystemClock};
use highwater_engine::diagnosis::Diagnosis;
use highwater_engine::report::ExitCode;
use highwater_engine::shell::quoted_path;
use highwater_kb::add::scan::is_own;
use highwater_kb::adopt::REGISTRY;
use highwater_kb::{Base, Directory, Home, KbError, Snapshot, fold};
use serde_json::json;

use super::{IS_OLDER, NOT_MADE};
use crate::Done;
use crate::cli::KbInit;
use crate::output::Output;
use crate::owner::{become_owner, become_owner_of_new};
use crate::wiring::kb::{ROWS, is_base};

pub(super) fn init(args: &KbInit, output: Output) -> Done {
    made(args, output).map_err(|error| vec![error])
}

fn made(args: &KbInit, output: Output) -> Result<ExitCode, Diagnosis> {
    let root = &args.directory;
    become_owner(&[&root.join(ROWS), root])?;
    become_owner_of_new(root)?;
    let refused = |error: std::io::Error| {
        let message = format!("a knowledge base cannot be made there: {error}");
        Diagnosis::refusal(NOT_MADE, message, "name a directory of yours: `highwater kb init DIR`").in_file(root)
    };
    if root.join(REGISTRY).is_file() && !root.join(ROWS).is_file() {
        let next = format!("take it over as it is: `highwater kb init --adopt {}`", quoted_path(root));
        return Err(Diagnosis::refusal(IS_OLDER, "a base of the older kind is there", next).in_file(root));
    }
    if !root.join(ROWS).is_file()
        && let Some(of) = other(root)
    {
        let message = format!("it is of the knowledge base {}, which writes there itself", of.display());
        return Err(
            Diagnosis::refusal(NOT_MADE, message, "name another directory: `highwater kb init DIR`").in_file(root)
        );
    }
    std::fs::create_dir_all(root).map_err(refused)?;
    let root = root.canonicalize().map_err(refused)?;
    let failed = |error: &KbError| highwater_kb::add::diagnosis(error).in_file(&root);
    let is_there = root.join(ROWS).is_file();
    if !is_there {
        let now = SystemClock::new().now();
        let home = Arc::new(Directory::open(&root).map_err(|error| failed(&error.into()))?);
        let mut base = Base::init(Arc::clone(&home) as Arc<dyn Home>, now).map_err(|error| failed(&error))?;
        if let Some(held) = home.try_lock().map_err(refused)? {
            base.commit(&held, now, "init", "a new knowledge base", fold::furnish).map_err(|error| failed(&error))?;
        }
    }
    if is_there {
        // One that cannot be used is not told to be one.
        match Directory::open(&root).map_err(KbError::from).and_then(|home| Snapshot::open(Arc::new(home))) {
            Ok(_) | Err(KbError::Older) => {}
            Err(error) => return Err(failed(&error)),
        }
    }
    let json = json!({ "kb": root, "made": !is_there });
    let told = match is_there {
        true => format!("{} is a knowledge base already; nothing changed", root.display()),
        false => format!(
            "{} is a knowledge base now\n  add documents: highwater kb add PATH --kb {0}\n  read it: open {0}/wiki in Obsidian, or {0}/wiki/index.md in an editor",
            root.display()
        ),
    };
    output.answer(&json, told);
    Ok(ExitCode::Drained)
}

/// The base above a directory that has it as its own.
fn other(root: &Path) -> Option<PathBuf> {
    let named = std::path::absolute(root).ok()?;
    // As much of it as is there.
    let lies = named.ancestors().find_map(|above| {
        let lies = above.canonicalize().ok()?;
        Some(lies.join(named.strip_prefix(above).ok()?))
    })?;
    lies.ancestors().skip(1).find(|above| is_own(&lies, above) && is_base(above)).map(Path::to_owned)
}
