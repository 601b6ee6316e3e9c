//! The fields of jobs of the kinds `oai-harvest` and `oai-backfill`. Owns what they mean and which go together.

use std::path::Path;

use highwater_engine::settings::{COUNT_MAX, CommandLine, DurationText, FilePath, HttpUrl, Percent, Problem, Whole};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::protocol::Datestamp;

/// Which repository, and what of it.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct RepositorySettings {
    /// Where requests go, without a query.
    pub base_url: HttpUrl,
    /// What every identifier begins with, such as `oai:directory.doabooks.org:`; people and users' own systems see what comes
    /// after it. Absent: identifiers as they are.
    #[serde(default)]
    pub identifier_prefix: Option<String>,
    /// Only records of this set. Absent: all.
    #[serde(default)]
    pub set: Option<String>,
    /// The format in which metadata is asked for; the catalogue reads `oai_dc`.
    #[serde(default = "oai_dc")]
    pub metadata_prefix: String,
    /// Whom the repository's people may write to; it is part of the User-Agent. Absent: nobody is named.
    #[serde(default)]
    pub contact: Option<String>,
    /// The time one page may take; a repository that drips is given up after it.
    #[serde(default = "page_time_default")]
    pub page_time: DurationText,
}

impl RepositorySettings {
    fn problems(&self) -> Vec<Problem> {
        let odd = |text: &str| text.is_empty() || text.chars().any(|c| c.is_whitespace() || c.is_control());
        let fields = [
            ("repository.identifier-prefix", self.identifier_prefix.as_deref(), "oai:directory.doabooks.org:"),
            ("repository.set", self.set.as_deref(), "books"),
            ("repository.metadata-prefix", Some(self.metadata_prefix.as_str()), "oai_dc"),
        ];
        let problem = |(field, text, such_as): (&'static str, Option<&str>, &str)| {
            let text = text.filter(|text| odd(text))?;
            let message = format!("found {text:?}, expected a word without white space, such as {such_as:?}");
            Some(Problem::new(field, message, "correct it, or remove it"))
        };
        let mut problems: Vec<_> = fields.into_iter().filter_map(problem).collect();
        if self.page_time.get().is_zero() {
            problems.push(Problem::new(
                "repository.page-time",
                "found no time at all, expected at least a second: no page would come to its end",
                "correct it, or remove it for the default",
            ));
        }
        problems
    }

    /// Where requests go, as it is shown and kept: without a user and a password.
    #[must_use]
    pub fn address(&self) -> String {
        let mut url = self.base_url.expose().clone();
        // Neither fails for an address with a host.
        let _ = url.set_username("").and_then(|()| url.set_password(None));
        url.to_string()
    }
}

fn oai_dc() -> String {
    crate::protocol::OAI_DC.to_owned()
}

fn page_time_default() -> DurationText {
    DurationText::secs(5 * 60)
}

fn types_problem(types: &Option<Vec<String>>) -> Option<Problem> {
    let types = types.as_ref()?;
    let message = match types.iter().find(|kind| kind.trim().is_empty()) {
        Some(blank) => format!("found {blank:?} among the types, expected words such as \"book\""),
        None if types.is_empty() => "found an empty list, expected at least one type: no record would pass".to_owned(),
        None => return None,
    };
    Some(Problem::new("types", message, "name the types that are wanted, or remove `types` to take all"))
}

/// A system of the users' own: what it has, and how it takes a record. Exactly one of the three ways to say what it has.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct OwnSystemSettings {
    /// A file of the identifiers it has, one a line, with or without the prefix.
    #[serde(default)]
    pub have_file: Option<FilePath>,
    /// A command that prints them, one a line; asked once a pass.
    #[serde(default)]
    pub have_command: Option<CommandLine>,
    /// A query whose first column they are, on the SQLite database in `have-database`.
    #[serde(default)]
    pub have_sql: Option<String>,
    /// The SQLite database of `have-sql`.
    #[serde(default)]
    pub have_database: Option<FilePath>,
    /// A command that takes one record's XML on stdin, its identifier in `HIGHWATER_ITEM`. Exit codes as with `exec`: 0 loaded, 3
    /// try again, 4 halt, 10 gone, 11 review, 12 there already, any other a failure.
    pub load: CommandLine,
    /// The time one load may take; then its process group gets SIGTERM. Absent: no limit.
    #[serde(default)]
    pub load_timeout: Option<DurationText>,
}

impl OwnSystemSettings {
    fn resolve(&mut self, base: &Path) {
        for path in [&mut self.have_file, &mut self.have_database].into_iter().flatten() {
            path.resolve(base);
        }
    }

    fn problems(&self) -> Vec<Problem> {
        let ways = [self.have_file.is_some(), self.have_command.is_some(), self.have_sql.is_some()];
        let mut problems = Vec::new();
        if ways.iter().filter(|way| **way).count() != 1 {
            problems.push(Problem::new(
                "target",
                "found none or several of `have-file`, `have-command` and `have-sql`, expected exactly one",
                "keep the one that says what the system has",
            ));
        }
        if self.have_sql.is_some() != self.have_database.is_some() {
            problems.push(Problem::new(
                "target",
                "found one of `have-sql` and `have-database` without the other",
                "name the query and the SQLite database that it is put to",
            ));
        }
        problems
    }
}

/// Keeps a target in step with a repository: each pass fetches what changed since the watermark, nothing is ever outside it. By
/// default such a job is `recurring`, has `concurrency = 1` and `lock-wait = "45m"`, and its resources have `pace = "3s"`.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct HarvestSettings {
    /// Which repository, and what of it.
    pub repository: RepositorySettings,
    /// Only records of these types (`dc:type`), such as `["book"]`. Absent: all.
    #[serde(default)]
    pub types: Option<Vec<String>>,
    /// Where the first harvest begins, `YYYY-MM-DD`. Absent: with the repository's earliest record; a `target` must name it, so
    /// that nothing is loaded that is there already.
    #[serde(default)]
    pub since: Option<String>,
    /// Take a list that ends before the size that the repository says it has: some count wrong.
    #[serde(default)]
    pub accept_short_list: bool,
    /// How far before the watermark a harvest begins; never less than the repository's granularity.
    #[serde(default = "overlap_default")]
    pub overlap: DurationText,
    /// The catalogue to load into. Absent: `catalog.db` in the state directory.
    #[serde(default)]
    pub catalog: Option<FilePath>,
    /// A system of one's own to load into instead of the catalogue. Absent: the catalogue.
    #[serde(default)]
    pub target: Option<OwnSystemSettings>,
}

fn overlap_default() -> DurationText {
    DurationText::secs(3600)
}

impl HarvestSettings {
    /// Makes relative paths absolute, counted from the config file's directory.
    pub fn resolve(&mut self, base: &Path) {
        resolve(&mut self.catalog, &mut self.target, base);
    }

    /// What is wrong with the settings as a whole.
    #[must_use]
    pub fn problems(&self) -> Vec<Problem> {
        let mut problems = target_problems(&self.catalog, &self.target);
        problems.extend(self.repository.problems());
        problems.extend(types_problem(&self.types));
        match &self.since {
            None if self.target.is_some() => problems.push(Problem::new(
                "since",
                "found a `target` without `since`; expected where the first harvest begins",
                "name the day up to which the system has everything, or do the rest with a job of kind `oai-backfill`",
            )),
            Some(since) if Datestamp::parse(since).is_err() => problems.push(Problem::new(
                "since",
                format!("found {since:?}, expected a day such as 2026-01-31"),
                "write it as YYYY-MM-DD",
            )),
            _ => {}
        }
        problems
    }
}

/// In which order what is missing is drained.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(inline)]
pub enum DrainOrder {
    /// By the number that an identifier ends with, the greatest first.
    #[default]
    NewestFirst,
    /// By that number, the least first.
    OldestFirst,
    /// As the repository, the snapshot or the file lists them.
    AsGiven,
}

/// Drains what a target lacks of a repository, record by record. By default such a job has `concurrency = 1` and
/// `budget.max-contacts = 500`, and its resources have `pace = "3s"`.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct BackfillSettings {
    /// Which repository, and what of it.
    pub repository: RepositorySettings,
    /// Only records of these types (`dc:type`), such as `["book"]`; others are asked for once and remembered. Absent: all.
    #[serde(default)]
    pub types: Option<Vec<String>>,
    /// A file of the identifiers to drain, one a line. Absent: a crawl of the repository, or an imported snapshot, says what there
    /// is.
    #[serde(default)]
    pub ids: Option<FilePath>,
    /// In which order.
    #[serde(default)]
    pub order: DrainOrder,
    /// Drain only identifiers that end with a number not below this; the rest stay open. Absent: no limit.
    #[serde(default)]
    pub number_min: Option<Whole<0, COUNT_MAX>>,
    /// Drain only identifiers that end with a number not above this; the rest stay open. Absent: no limit.
    #[serde(default)]
    pub number_max: Option<Whole<0, COUNT_MAX>>,
    /// The share of crawled identifiers that must begin with `identifier-prefix`: below it the namespace has moved, and nothing is
    /// drained.
    #[serde(default = "min_recognised_default")]
    pub min_recognised: Percent,
    /// Plan from a list that ends before the size that the repository says it has: some count wrong.
    #[serde(default)]
    pub accept_short_list: bool,
    /// How long a finished crawl is planned from before the repository is crawled again.
    #[serde(default = "crawl_age_default")]
    pub crawl_age: DurationText,
    /// The catalogue to load into. Absent: `catalog.db` in the state directory.
    #[serde(default)]
    pub catalog: Option<FilePath>,
    /// A system of one's own to load into instead of the catalogue. Absent: the catalogue.
    #[serde(default)]
    pub target: Option<OwnSystemSettings>,
}

fn min_recognised_default() -> Percent {
    Percent::whole(99)
}

fn crawl_age_default() -> DurationText {
    DurationText::days(1)
}

impl BackfillSettings {
    /// Makes relative paths absolute, counted from the config file's directory.
    pub fn resolve(&mut self, base: &Path) {
        resolve(&mut self.catalog, &mut self.target, base);
        if let Some(ids) = &mut self.ids {
            ids.resolve(base);
        }
    }

    /// What is wrong with the settings as a whole.
    #[must_use]
    pub fn problems(&self) -> Vec<Problem> {
        let mut problems = target_problems(&self.catalog, &self.target);
        problems.extend(self.repository.problems());
        problems.extend(types_problem(&self.types));
        if let (Some(min), Some(max)) = (self.number_min, self.number_max)
            && min.get() > max.get()
        {
            problems.push(Problem::new(
                "number-max",
                format!("found {max}, below `number-min` = {min}; no identifier is in between"),
                "correct one of the two",
            ));
        }
        problems
    }
}

fn resolve(catalog: &mut Option<FilePath>, target: &mut Option<OwnSystemSettings>, base: &Path) {
    if let Some(catalog) = catalog {
        catalog.resolve(base);
    }
    if let Some(target) = target {
        target.resolve(base);
    }
}

fn target_problems(catalog: &Option<FilePath>, target: &Option<OwnSystemSettings>) -> Vec<Problem> {
    let mut problems = target.as_ref().map(OwnSystemSettings::problems).unwrap_or_default();
    if catalog.is_some() && target.is_some() {
        problems.push(Problem::new(
            "catalog",
            "found both `catalog` and `target`, expected one",
            "keep the one that records are loaded into",
        ));
    }
    problems
}
