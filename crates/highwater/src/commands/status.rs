//! `status`: state, progress and the last pass of every job, once or again every second. Owns which jobs and how often; what
//! is read of a job is in `view`, how it is said in `words`.

mod screen;
mod view;
pub(super) mod words;

use std::time::Duration;

use highwater_engine::contact::Urgency;
use highwater_engine::diagnosis::Diagnosis;

use self::screen::Screen;
use self::view::View;
use super::done;
use super::listing::Reader;
use crate::cli::Status;
use crate::site::Site;
use crate::{Done, signals};

/// How often a watched status is shown again, in seconds.
const WATCH_EVERY_SECS: u64 = 1;

pub(crate) async fn status(args: Status, site: Site) -> Done {
    if args.watch {
        return done(watched(&args, &site).await);
    }
    done(once(&args, &site).await)
}

async fn once(args: &Status, site: &Site) -> Result<(), Diagnosis> {
    let glance = site.ledger_to_read()?;
    let view = View::of(site, &*glance.ledger, args.job.as_deref()).await?;
    site.output.answer(&view, words::text(&view, site));
    Ok(())
}

/// Until a signal comes or nobody looks any more. The ledger is opened each time: it may come into being meanwhile.
async fn watched(args: &Status, site: &Site) -> Result<(), Diagnosis> {
    let stop = signals::listen();
    let mut screen = Screen::of(site.output);
    loop {
        let glance = site.ledger_to_read()?;
        let view = View::of(site, &*glance.ledger, args.job.as_deref()).await?;
        let text = if site.output.json { screen::json(&view) } else { words::text(&view, site) };
        if screen.show(&text, view.at)? == Reader::Gone {
            return Ok(());
        }
        tokio::select! {
            () = site.clock.sleep(Duration::from_secs(WATCH_EVERY_SECS)) => {}
            () = stop.raised(Urgency::Soon) => return Ok(()),
        }
    }
}
