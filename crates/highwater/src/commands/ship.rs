//! `ship`: a host's episodes to their receiver. Owns the choice between a pass, a look at the way there, and going on for ever.

mod daemon;
mod ping;

use highwater_engine::diagnosis::Diagnosis;

use super::episodes::resolve::shipping;
use super::{needs_config, run};
use crate::Done;
use crate::cli::{Global, Limits, Run, RunRollup, Ship};
use crate::site::Site;

pub(crate) async fn ship(args: Ship, site: Site, flags: Global) -> Done {
    let one = |error: Diagnosis| vec![error];
    let Some(config) = &site.config else { return Err(one(needs_config("ship"))) };
    let job = shipping(config, args.job.as_deref()).map_err(one)?.name.to_string();
    if args.ping {
        return ping::ping(&job, &site).await.map_err(one);
    }
    if args.daemon {
        return daemon::daemon(&job, site, &flags).await.map_err(one);
    }
    let args = Run {
        jobs: vec![job],
        all: false,
        until_drained: false,
        dry_run: false,
        cron: false,
        limits: Limits { max_items: None, max_contacts: None, max_bytes: None, max_time: None },
        rollup: RunRollup::default(),
    };
    run::run(args, site).await
}
