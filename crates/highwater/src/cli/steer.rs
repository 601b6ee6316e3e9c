//! What a person says of a job or a resource, beside a pass or between two: the arguments of those commands.

use clap::Args;
use highwater_engine::settings::DurationText;

/// `retry`.
#[derive(Debug, Args)]
#[command(
    group = clap::ArgGroup::new("items").required(true).args(["keys", "outcome"]),
    override_usage = "highwater retry [OPTIONS] <JOB> <KEY…|--outcome <OUTCOME>>"
)]
pub(crate) struct Retry {
    /// The job.
    pub(crate) job: String,
    /// The items' keys.
    #[arg(value_name = "KEY")]
    pub(crate) keys: Vec<String>,
    /// All items with this outcome.
    #[arg(long, value_name = "OUTCOME")]
    pub(crate) outcome: Option<String>,
    /// Why, for the audit trail.
    #[arg(long, default_value = "")]
    pub(crate) why: String,
}

/// What the audit trail is told where it must be told something.
pub(super) fn reason(text: &str) -> Result<String, &'static str> {
    if text.trim().is_empty() { Err("it is blank, expected a reason") } else { Ok(text.to_owned()) }
}

/// `skip`.
#[derive(Debug, Args)]
pub(crate) struct Skip {
    /// The job.
    pub(crate) job: String,
    /// The items' keys.
    #[arg(value_name = "KEY", required = true)]
    pub(crate) keys: Vec<String>,
    /// Why, for the audit trail.
    #[arg(long, required = true, value_parser = reason)]
    pub(crate) why: String,
}

/// `halt`, `rearm`.
#[derive(Debug, Args)]
pub(crate) struct Word {
    /// The job.
    pub(crate) job: String,
    /// Why, for the audit trail.
    #[arg(long, required = true, value_parser = reason)]
    pub(crate) why: String,
}

/// `pause`, `resume`.
#[derive(Debug, Args)]
pub(crate) struct Pause {
    /// The job.
    pub(crate) job: String,
    /// Why, for the audit trail.
    #[arg(long, default_value = "")]
    pub(crate) why: String,
}

/// `set`.
#[derive(Debug, Args)]
pub(crate) struct Set {
    /// The job.
    pub(crate) job: String,
    /// What to set, such as `pace=5s concurrency=2`.
    #[arg(value_name = "KEY=VALUE", required = true)]
    pub(crate) values: Vec<String>,
    /// Why, for the audit trail.
    #[arg(long, default_value = "")]
    pub(crate) why: String,
}

/// `unset`.
#[derive(Debug, Args)]
pub(crate) struct Unset {
    /// The job.
    pub(crate) job: String,
    /// Which keys; default: all that are set.
    #[arg(value_name = "KEY")]
    pub(crate) keys: Vec<String>,
    /// Why, for the audit trail.
    #[arg(long, default_value = "")]
    pub(crate) why: String,
}

/// `ban`.
#[derive(Debug, Args)]
pub(crate) struct Ban {
    /// The resource.
    pub(crate) resource: String,
    /// For how long from now.
    #[arg(long = "for", value_name = "TIME", required = true)]
    pub(crate) time: DurationText,
    /// Why, for the audit trail.
    #[arg(long, default_value = "")]
    pub(crate) why: String,
}

/// `lift`.
#[derive(Debug, Args)]
pub(crate) struct Lift {
    /// The resource.
    pub(crate) resource: String,
    /// Why, for the audit trail.
    #[arg(long, required = true, value_parser = reason)]
    pub(crate) why: String,
}
