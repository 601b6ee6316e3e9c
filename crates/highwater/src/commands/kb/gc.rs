//! `kb gc`: what nothing refers to is condemned, and removed after its time of grace.

use highwater_engine::clock::Clock as _;
use highwater_engine::diagnosis::Diagnosis;
use highwater_engine::report::ExitCode;
use highwater_kb::KbError;
use highwater_kb::add::desks;
use highwater_kb::base::Collected;
use indicatif::DecimalBytes;
use serde_json::json;

use super::place::Place;
use crate::bar::counted;
use crate::cli::KbGc;
use crate::output::Output;
use crate::{Done, in_runtime};

pub(super) fn gc(args: &KbGc, output: Output) -> Done {
    let place = Place::find(args.which.kb.as_deref()).map_err(|error| vec![error])?;
    in_runtime(async { collected(&place, args, output).await.map_err(|error| vec![error]) })
}

async fn collected(place: &Place, args: &KbGc, output: Output) -> Result<ExitCode, Diagnosis> {
    let failed = |error: &KbError| place.failed(error);
    let (grace, is_dry) = (args.grace.get(), args.dry_run);
    let (mut all, mut left) = (Collected::default(), 0);
    // Between two parts of a round the lock is free for others.
    while !all.is_round_end {
        let (mut base, held) = place.locked().await?;
        let desks = desks(&place.root, &held, !is_dry).map_err(|error| failed(&KbError::io("clear away")(error)))?;
        let (now, alone) = (place.clock.now(), desks.leased == 0);
        let part = match is_dry {
            true => base.garbage(&held, now, grace, alone),
            false => base.collect(&held, now, grace, alone),
        };
        let part = part.map_err(|error| failed(&error))?;
        left += desks.left;
        all = Collected {
            condemned: all.condemned + part.condemned,
            waiting: all.waiting + part.waiting,
            removed: all.removed + part.removed,
            bytes: all.bytes + part.bytes,
            is_round_end: part.is_round_end,
            keeps_objects: part.keeps_objects,
        };
    }
    let Collected { condemned, waiting, removed, bytes, keeps_objects, .. } = all;
    let json = json!({ "condemned": condemned, "waiting": waiting, "removed": removed, "bytes": bytes,
        "desks": left, "keeps_objects": keeps_objects, "dry_run": is_dry });
    let files = |n: u64| counted(n, "file");
    let does = if is_dry { "would remove" } else { "removed" };
    let mut told = format!("{does} {}, {}", files(removed), DecimalBytes(bytes));
    if condemned + waiting > 0 {
        let rest = files(condemned + waiting);
        told.push_str(&format!(
            "\n  nothing refers to {rest} more: removed by a call {} after they were found",
            args.grace
        ));
    }
    if keeps_objects {
        told.push_str("\n  it is lost what a generation changed, and any object may be of that: all of them stay");
    }
    if left > 0 {
        let was = if left == 1 { "was" } else { "were" };
        told.push_str(&format!("\n  {does} what {} left that {was} killed", counted(left, "pass")));
    }
    output.answer(&json, told);
    Ok(ExitCode::Drained)
}
