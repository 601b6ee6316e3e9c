//! The databases of others: whether a rollup could be driven there, and whether an advisory lock there would hold. None is taken:
//! a lock that the doctor held for a moment would be one that a pass misses.

use std::time::Duration;

use highwater_db::address::DatabaseAddress;
use highwater_db::postgres::{Address, AdvisoryKey, PostgresSession};
use highwater_db::session::{Dialect, Fault, FaultKind, Session};
use highwater_engine::clock::since;
use highwater_engine::settings::LockAddress;
use highwater_rollup::bound::{self, Bound, Holder};
use highwater_rollup::settings::RollupSettings;
use jiff::Timestamp;

use super::Site;
use super::report::Report;
use crate::bar::span;
use crate::config::{KindSettings, ResourceConfig};

/// How long one database may take to answer, in seconds.
const ANSWER_SECS_MAX: u64 = 30;
/// The oldest PostgreSQL that is driven, as `server_version_num` has it.
const VERSION_MIN: i64 = 130_000;
/// How far the host's clock and a database's may be apart, in milliseconds.
const SKEW_MILLIS_MAX: u64 = 2_000;
/// How long a transaction may hold a watermark back without being a line to fix, in seconds.
const HELD_SECS_MAX: u64 = 3_600;

/// What is wrong, and what to do.
pub(super) type Wrong = (String, String);

pub(super) async fn check(site: &Site, report: &mut Report) {
    let Some(config) = &site.config else { return };
    for (name, resource) in &config.resources {
        let LockAddress::Advisory(key) = &resource.lock else { continue };
        let what = format!("{name}: postgres:{key}");
        let found = within(site, lock(resource, key.as_str())).await;
        tell(report, "lock", &what, found);
    }
    for job in config.jobs.values() {
        let KindSettings::Rollup(settings) = &job.kind else { continue };
        let found = within(site, database(site, settings)).await;
        tell(report, "database", job.name.as_str(), found);
    }
}

pub(super) async fn within<T>(site: &Site, asked: impl Future<Output = Result<T, Wrong>>) -> Result<T, Wrong> {
    tokio::select! {
        answer = asked => answer,
        () = site.clock.sleep(Duration::from_secs(ANSWER_SECS_MAX)) => {
            let found = format!("the server does not answer within {ANSWER_SECS_MAX} s");
            Err((found, "look at the server: what does it wait for?".to_owned()))
        }
    }
}

fn tell(report: &mut Report, what: &'static str, of: &str, found: Result<String, Wrong>) {
    match found {
        Ok(found) => report.ok(what, format_args!("{of} {found}")),
        Err((found, fix)) => report.fix(what, format_args!("{of} {found}"), fix),
    }
}

fn unopened(place: &str, fault: &Fault) -> Wrong {
    let fix = match fault.kind {
        FaultKind::Lost => "see that the server runs and can be reached from here; until then a pass is a checkpoint",
        _ => "correct the address, or let the role in",
    };
    (format!("in {place}: {}", fault.message), fix.to_owned())
}

async fn lock(resource: &ResourceConfig, key: &str) -> Result<String, Wrong> {
    let address = resource.lock_databases.first().and_then(|database| database.expose().parse::<Address>().ok());
    let address = address.expect("invariant: the configuration was checked");
    let key: AdvisoryKey = key.parse().expect("invariant: the configuration was checked");
    let wrong = |fault: Fault| unopened(&address.to_string(), &fault);
    let mut session = PostgresSession::open(&address).await.map_err(wrong)?;
    if session.is_pooled(&address).await.map_err(wrong)? {
        let found = format!(
            "in {address}: a pooler in between gives one server process to several sessions, and a session's lock with it"
        );
        return Err((found, "name the server itself, or a pool in session mode".to_owned()));
    }
    let holder = session.holder(&key).await.map_err(wrong)?;
    let now = holder.map_or_else(|| "free".to_owned(), |holder| format!("held by {holder}"));
    Ok(format!("in {address}, {now}"))
}

async fn database(site: &Site, settings: &RollupSettings) -> Result<String, Wrong> {
    let address = settings.address().expect("invariant: the configuration was checked");
    let wrong = |fault: Fault| unopened(&address.to_string(), &fault);
    if let DatabaseAddress::Sqlite(path) = &address
        && !path.is_file()
    {
        return Err((
            format!("in {address}: there is no such file"),
            "correct the path: highwater makes no database".to_owned(),
        ));
    }
    let mut session = address.open(settings.busy_timeout.get()).await.map_err(wrong)?;
    if session.dialect() == Dialect::Sqlite {
        session.first("SELECT count(*) FROM sqlite_schema", &[]).await.map_err(wrong)?;
        return Ok(format!("in {address}: it opens"));
    }
    let (version, skew) = server(site, &mut *session).await.map_err(wrong)?;
    version.map_err(|(found, fix)| (format!("in {address}: {found}"), fix))?;
    if skew > Duration::from_millis(SKEW_MILLIS_MAX) {
        let found = format!("in {address}: its clock and this host's are {} apart", span(skew));
        let fix = "set both by NTP: a watermark follows the database's clock, and events that an application dates follow another";
        return Err((found, fix.to_owned()));
    }
    let bound = bound::read(&mut *session, settings.lag.get(), &settings.bound_ignores).await.map_err(wrong)?;
    judged(site, bound)
        .map(|found| format!("in {address}: {found}"))
        .map_err(|(found, fix)| (format!("in {address}: {found}"), fix))
}

/// Its version, where it is one that is driven, and how far its clock is from the host's.
async fn server(site: &Site, session: &mut dyn Session) -> Result<(Result<(), Wrong>, Duration), Fault> {
    let before = site.clock.now();
    let sql = "SELECT floor(extract(epoch FROM clock_timestamp()) * 1000000)::bigint, \
               current_setting('server_version_num')::bigint, current_setting('server_version')";
    let row = session.first(sql, &[]).await?.unwrap_or_default();
    let after = site.clock.now();
    let int = |at: usize| row.get(at).and_then(highwater_db::session::Value::int).unwrap_or(0);
    let theirs = Timestamp::from_microsecond(int(0)).unwrap_or(before);
    // It was read at some moment between the two.
    let skew = since(before, theirs).max(since(theirs, after));
    let version = if int(1) < VERSION_MIN {
        let name = row.get(2).and_then(highwater_db::session::Value::text).unwrap_or_default();
        Err((format!("PostgreSQL {name}, expected 13 or newer"), "upgrade the server".to_owned()))
    } else {
        Ok(())
    };
    Ok((version, skew))
}

/// How far a watermark could go now.
fn judged(site: &Site, bound: Bound) -> Result<String, Wrong> {
    match bound {
        Bound::Until { at, held_by: None } => Ok(format!("a watermark may go up to {at:.0} now")),
        Bound::Until { at, held_by: Some(holder) } => held(at, site.clock.now(), &holder),
        Bound::Prepared { transactions } => Err((
            format!("{transactions} prepared, which hold every watermark"),
            "COMMIT PREPARED or ROLLBACK PREPARED them; pg_prepared_xacts lists them".to_owned(),
        )),
        Bound::Standby => Err(("the server is a standby".to_owned(), "name the primary in `database`".to_owned())),
        Bound::Blind { role } => Err((
            format!("the role {role} does not see when others' transactions began"),
            format!("GRANT pg_read_all_stats TO \"{role}\";"),
        )),
        Bound::Hidden { pid } => Err((
            format!("process {pid} does not tell when its transaction began"),
            "turn `track_activities` on for its role, or name that in `bound-ignores` if it only reads".to_owned(),
        )),
    }
}

/// What a transaction that holds a watermark back is: a line to fix once it is old.
fn held(at: Timestamp, now: Timestamp, holder: &Holder) -> Result<String, Wrong> {
    let found = format!("no watermark may go further than {at:.0}: the transaction of {holder} is open since then");
    if since(now, at) < Duration::from_secs(HELD_SECS_MAX) {
        return Ok(found);
    }
    let fix = format!(
        "end it (SELECT pg_terminate_backend({});), or name its role or application in `bound-ignores` if it only reads",
        holder.pid
    );
    Err((found, fix))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_transaction_that_is_open_for_an_hour_is_a_line_to_fix() {
        let time = |text: &str| text.parse::<Timestamp>().expect("a time");
        let at = time("2026-01-01T12:00:00Z");
        let holder = Holder { pid: 7, role: "ann".to_owned(), application: "psql".to_owned() };
        let fresh = held(at, time("2026-01-01T12:59:59Z"), &holder).expect("well");
        assert!(
            fresh.ends_with("the transaction of process 7 (application psql, role ann) is open since then"),
            "{fresh}"
        );
        let (found, fix) = held(at, time("2026-01-01T13:00:00Z"), &holder).expect_err("to fix");
        assert!(found.contains("role ann") && fix.contains("pg_terminate_backend(7)"), "{found}; {fix}");
    }
}
