//! `bans`: the bans that stand.

use highwater_engine::ban::Ban;
use highwater_engine::diagnosis::Diagnosis;
use highwater_engine::ledger::Ledger;
use serde::Serialize;

use super::ban::left;
use super::done;
use crate::Done;
use crate::bar::span;
use crate::site::Site;
use crate::table::{Columns, line, moment};

/// What `--json` prints: one row a ban.
#[derive(Serialize)]
struct Row<'a> {
    resource: &'a str,
    #[serde(flatten)]
    ban: &'a Ban,
    left_secs: u64,
}

pub(crate) async fn bans(site: Site) -> Done {
    done(listed(&site).await)
}

async fn listed(site: &Site) -> Result<(), Diagnosis> {
    let glance = site.ledger_to_read()?;
    let now = site.clock.now();
    let resources = glance.ledger.resources().await?;
    let standing = resources.iter().filter_map(|resource| {
        let ban = resource.ban.as_ref().filter(|ban| ban.stands(now))?;
        Some(Row { resource: resource.name.as_str(), ban, left_secs: left(ban.until, now).as_secs() })
    });
    let standing: Vec<_> = standing.collect();
    if standing.is_empty() {
        site.output.answer(&standing, "no resource is banned");
        return Ok(());
    }
    let rows = standing.iter().map(|Row { resource, ban, .. }| {
        [
            (*resource).to_owned(),
            moment(ban.until).to_string(),
            span(left(ban.until, now)),
            ban.who.0.clone(),
            line(&ban.why),
        ]
    });
    let mut columns = Columns::new(["resource", "until", "left", "who", "why"]);
    let text = columns.page(&rows.collect::<Vec<_>>());
    site.output.answer(&standing, text.trim_end());
    Ok(())
}
