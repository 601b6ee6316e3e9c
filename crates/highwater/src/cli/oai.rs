//! What can be typed about repositories and catalogues: `oai …`, `catalog …`.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use highwater_engine::settings::DurationText;

/// `oai`.
#[derive(Debug, Subcommand)]
pub(crate) enum OaiVerb {
    /// Crawls a repository's identifiers, compares them with the target, pins what is missing and drains nothing.
    ///
    /// Its reports (`missing.csv`, `stale.csv`, `orphans.csv`, `difference.json`) are in the state directory.
    Discover(OaiDiscover),
    /// Writes or reads the list of a crawl, so that one crawl serves every host.
    #[command(subcommand)]
    Snapshot(OaiSnapshot),
    /// Serves a catalogue as an OAI-PMH 2.0 repository.
    Serve(OaiServe),
}

/// `oai discover`.
#[derive(Debug, Args)]
pub(crate) struct OaiDiscover {
    /// A job of kind `oai-backfill`.
    pub(crate) job: String,
    /// Crawls anew although a crawl is recent enough to plan from.
    #[arg(long)]
    pub(crate) recrawl: bool,
    /// Pins anew although a worklist is open; its outcomes are left behind.
    #[arg(long, conflicts_with = "extend")]
    pub(crate) replace: bool,
    /// Adds what is new to the open worklist; outcomes stay.
    #[arg(long)]
    pub(crate) extend: bool,
}

/// `oai snapshot`.
#[derive(Debug, Subcommand)]
pub(crate) enum OaiSnapshot {
    /// Writes the newest crawl as `FILE.active`, `FILE.deleted` and `FILE.manifest.json`.
    Export(SnapshotExport),
    /// Reads such files in place of a crawl, without any contact.
    Import(SnapshotImport),
}

/// `oai snapshot export`.
#[derive(Debug, Args)]
pub(crate) struct SnapshotExport {
    /// A job of kind `oai-backfill`.
    pub(crate) job: String,
    /// The snapshot's name, with its directory.
    pub(crate) file: PathBuf,
}

/// `oai snapshot import`.
#[derive(Debug, Args)]
pub(crate) struct SnapshotImport {
    /// A job of kind `oai-backfill`.
    pub(crate) job: String,
    /// The snapshot's name, with its directory.
    pub(crate) file: PathBuf,
    /// Pins anew from it although a worklist is open; its outcomes are left behind.
    #[arg(long)]
    pub(crate) replace: bool,
}

/// `oai serve`.
#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("what").required(true).args(["catalog", "generated", "faults"]))]
pub(crate) struct OaiServe {
    /// The catalogue to serve.
    #[arg(long, value_name = "FILE")]
    pub(crate) catalog: Option<PathBuf>,
    /// So many invented books instead, one in nine of them deleted: to try a harvest on.
    #[arg(long, value_name = "N")]
    pub(crate) generated: Option<u64>,
    /// Where to listen; port 0 takes a free one, which is printed.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8411", value_parser = address)]
    pub(crate) listen: std::net::SocketAddr,
    /// Where it says that it is asked, when that is not where it listens.
    #[arg(long, value_name = "URL")]
    pub(crate) base_url: Option<String>,
    /// What it calls itself.
    #[arg(long, default_value = "A highwater catalogue")]
    pub(crate) name: String,
    /// Whom harvesters may write to.
    #[arg(long, value_name = "MAIL", default_value = "root@localhost")]
    pub(crate) admin_email: Vec<String>,
    /// Records on a page.
    #[arg(long, value_name = "N", default_value_t = highwater_oai::provider::PAGE_RECORDS, value_parser = page_size)]
    pub(crate) page_size: usize,
    /// How long a resumption token is good for. Default: for ever.
    #[arg(long, value_name = "TIME")]
    pub(crate) token_life: Option<DurationText>,
    /// So many requests a minute, then 429 with `Retry-After`. Default: as many as come.
    #[arg(long, value_name = "N", value_parser = rate)]
    pub(crate) rate: Option<std::num::NonZeroU32>,
    /// Appends a line a request to this file.
    #[arg(long, value_name = "FILE")]
    pub(crate) access_log: Option<PathBuf>,
    /// Something that goes wrong on purpose, `NAME[=ARGUMENT]@WHEN`; `--faults` prints all that there is.
    #[arg(long, value_name = "FAULT")]
    pub(crate) fault: Vec<String>,
    /// Serves nothing: prints what can go wrong on purpose, and when.
    #[arg(long)]
    pub(crate) faults: bool,
}

fn page_size(text: &str) -> Result<usize, String> {
    let most = highwater_oai::provider::PAGE_RECORDS_MAX;
    text.parse().ok().filter(|size| (1..=most).contains(size)).ok_or_else(|| format!("expected 1 to {most}"))
}

fn rate(text: &str) -> Result<std::num::NonZeroU32, String> {
    text.parse().map_err(|_| format!("expected a whole number from 1 to {}", u32::MAX))
}

fn address(text: &str) -> Result<std::net::SocketAddr, String> {
    text.parse().map_err(|_| "expected an address and a port, such as 127.0.0.1:8411 or [::1]:8411".to_owned())
}

/// `catalog`.
#[derive(Debug, Args)]
pub(crate) struct Catalog {
    /// The catalogue's file. Default: `catalog.db` in the state directory of the configuration.
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) catalog: Option<PathBuf>,
    #[command(subcommand)]
    pub(crate) verb: CatalogVerb,
}

/// What to do with a catalogue.
#[derive(Debug, Subcommand)]
pub(crate) enum CatalogVerb {
    /// Searches titles, names and subjects; `"a phrase"`, `begin*`; where nothing matches, an ISBN, a DOI or another identifier.
    Search(CatalogSearch),
    /// Shows a work by its OAI identifier, what comes after its prefix, an ISBN or a DOI.
    Show {
        /// The identifier.
        id: String,
    },
    /// Prints every work, a JSON object a line or as CSV.
    Export {
        /// Prints CSV.
        #[arg(long, conflicts_with = "json")]
        csv: bool,
    },
    /// Loads saved answers to ListRecords or GetRecord, without any contact.
    Load {
        /// The files.
        #[arg(required = true)]
        files: Vec<PathBuf>,
    },
    /// Lists the records that could not be read, for a person to look at, each with the reason; as JSON with what came.
    Review,
    /// Prints how much is in it.
    Figures,
}

/// `catalog search`.
#[derive(Debug, Args)]
pub(crate) struct CatalogSearch {
    /// What to look for.
    #[arg(required = true)]
    pub(crate) query: Vec<String>,
    /// Most hits.
    #[arg(long, value_name = "N", default_value = "20")]
    pub(crate) limit: usize,
    /// Leaves out the first so many.
    #[arg(long, value_name = "N", default_value = "0")]
    pub(crate) offset: u64,
}
