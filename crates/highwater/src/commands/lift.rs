//! `lift`: ends a ban; the only way to shorten one.

use highwater_engine::diagnosis::Diagnosis;
use highwater_engine::ledger::Ledger;
use highwater_engine::name::ResourceName;
use serde::Serialize;

use super::ban::{file, longest};
use super::{call, codes, done};
use crate::Done;
use crate::cli::Lift;
use crate::site::Site;

#[derive(Serialize)]
struct Answer<'a> {
    resource: &'a ResourceName,
    lifted: bool,
}

pub(crate) async fn lift(args: Lift, site: Site) -> Done {
    done(lifted(&args, &site).await)
}

async fn lifted(args: &Lift, site: &Site) -> Result<(), Diagnosis> {
    let glance = site.ledger_to_mend()?;
    let ledger = &*glance.ledger;
    let resource = site.resource(ledger, &args.resource).await?;
    let word = site.word(&args.why);
    // The file first: while it holds a ban, the ledger would learn it again.
    let in_file = match file(site, &resource) {
        Some(file) => file.lift(word.at, longest(site, &resource), &site.clock).await?,
        None => false,
    };
    let in_ledger = ledger.lift_ban(&resource, &word).await?;
    if in_file && !in_ledger {
        ledger.add_event("lift", None, Some(&resource), &word).await?;
    }
    if !in_file && !in_ledger {
        return Err(Diagnosis::refusal(
            codes::NOT_BANNED,
            format!("{resource} is not banned; expected a resource that is, and nothing was changed"),
            format!("look with {}", call(site, "bans")),
        ));
    }
    let text = format!("{resource}: the ban is lifted; the next pass of its jobs may contact it");
    site.output.answer(&Answer { resource: &resource, lifted: true }, text);
    Ok(())
}
