//! `set`: a person steers a job, and a pass of it that runs, until `unset`.

use highwater_engine::diagnosis::Diagnosis;
use highwater_engine::ledger::{JobRecord, Ledger, Override};
use highwater_engine::name::JobName;
use highwater_engine::steering::{SteeringError, SteeringKey};
use highwater_store::Access;
use serde::Serialize;

use super::{call, codes, done, job_with_row, next_pass};
use crate::Done;
use crate::cli::Set;
use crate::config::{Config, suggestion, uploads, works_in_slices};
use crate::site::Site;

#[derive(Serialize)]
struct Answer<'a> {
    job: &'a JobName,
    /// Everything that is set of the job now.
    overrides: &'a [Override],
}

pub(crate) async fn set(args: Set, site: Site) -> Done {
    done(setting(&args, &site).await)
}

async fn setting(args: &Set, site: &Site) -> Result<(), Diagnosis> {
    // Before anything is opened or made.
    let values = args.values.iter().map(|word| read(word)).collect::<Result<Vec<_>, _>>()?;
    site.refuse_no_job(&args.job)?;
    let keys: Vec<SteeringKey> = values.iter().map(|(key, _)| *key).collect();
    let declared = site.config.iter().flat_map(Config::declared_jobs).find(|(name, _)| name.as_str() == args.job);
    if let Some((_, kind)) = declared {
        refuse_of_other_kinds(&args.job, kind, &keys)?;
    }
    let ledger = site.ledger(Access::ReadWrite)?;
    let job = job_with_row(site, &*ledger, &args.job).await?;
    if let Some(record) = ledger.job(&job).await? {
        refuse_of_other_kinds(&args.job, &record.kind, &keys)?;
    }
    let pairs: Vec<_> = values.into_iter().map(|(key, value)| (key.word().to_owned(), value)).collect();
    ledger.set_overrides(&job, &pairs, &site.word(&args.why)).await?;
    let record = ledger.job(&job).await?;
    let overrides = record.as_ref().map(|record| record.overrides.as_slice()).unwrap_or_default();
    let said = pairs.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join(", ");
    let text = format!(
        "{job}: set {said}, until {}; {}",
        call(site, format_args!("unset {job}")),
        seen(site, record.as_ref(), &job, &keys)
    );
    site.output.answer(&Answer { job: &job, overrides }, text);
    Ok(())
}

/// When what was set is heeded: an upload in hand takes its bandwidth anew.
fn seen(site: &Site, record: Option<&JobRecord>, job: &JobName, keys: &[SteeringKey]) -> String {
    let next = next_pass(site, record, job);
    let running = record.filter(|record| record.halt.is_none() && record.paused.is_none());
    let running = running.and_then(|record| record.last_pass.as_ref()).filter(|pass| pass.ended_at.is_none());
    match running {
        Some(pass) if keys == [SteeringKey::Bandwidth] => format!("pass {} sees it in mid-upload", pass.id),
        Some(_) if keys.contains(&SteeringKey::Bandwidth) => format!("{next}; the bandwidth in mid-upload"),
        _ => next,
    }
}

/// `pace=5s`.
fn read(word: &str) -> Result<(SteeringKey, String), Diagnosis> {
    let Some((key, value)) = word.split_once('=') else {
        let message = format!("found {word:?}, expected KEY=VALUE, such as pace=5s");
        return Err(Diagnosis::refusal(
            codes::UNKNOWN_SETTING,
            message,
            "write the key, `=` and the value as one word",
        ));
    };
    let key = named(key)?;
    let value = key.check(value).map_err(|error| {
        Diagnosis::refusal(codes::BAD_SETTING, error.to_string(), "correct the value; nothing was changed")
    })?;
    Ok((key, value))
}

/// The key that a person named.
pub(super) fn named(key: &str) -> Result<SteeringKey, Diagnosis> {
    key.parse().map_err(|error: SteeringError| {
        let next = match suggestion(key, SteeringKey::ALL.into_iter().map(SteeringKey::word)) {
            Some(known) => format!("did you mean `{known}`?"),
            None => "correct the key; the rest is set in the configuration".to_owned(),
        };
        Diagnosis::refusal(codes::UNKNOWN_SETTING, error.to_string(), next)
    })
}

/// Refuses keys that mean nothing to jobs of this kind.
fn refuse_of_other_kinds(job: &str, kind: &str, keys: &[SteeringKey]) -> Result<(), Diagnosis> {
    if keys.contains(&SteeringKey::Slice) && !works_in_slices(kind) {
        return Err(Diagnosis::refusal(
            codes::NO_SLICES,
            format!("found `slice` for {job}, a job of kind `{kind}`, which does not work in slices of time"),
            "leave `slice` out; `concurrency` and `pace` slow any job down",
        ));
    }
    if keys.contains(&SteeringKey::Bandwidth) && !uploads(kind) {
        return Err(Diagnosis::refusal(
            codes::NO_UPLOADS,
            format!("found `bandwidth` for {job}, a job of kind `{kind}`, which uploads nothing"),
            "leave `bandwidth` out; `concurrency` and `pace` slow any job down",
        ));
    }
    Ok(())
}
