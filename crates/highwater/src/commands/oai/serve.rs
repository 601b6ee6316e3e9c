//! `oai serve`: a catalogue, or invented books, as an OAI-PMH 2.0 repository. Owns the listening.

use std::sync::Arc;
use std::time::Duration;

use highwater_engine::clock::SystemClock;
use highwater_engine::contact::Urgency;
use highwater_engine::diagnosis::Diagnosis;
use highwater_engine::report::ExitCode;
use highwater_oai::catalog::Access;
use highwater_oai::provider::{
    FaultRule, Faults, Generated, PATH, ProviderLog, ProviderSettings, Rate, Repository, router, serve as serve_at,
};
use highwater_oai::served::ServedCatalog;
use tokio::net::TcpListener;

use super::super::codes;
use crate::cli::{Global, OaiServe};
use crate::output::Output;
use crate::wiring::oai::open_catalog;
use crate::{Done, in_runtime, logging, signals};

/// One in so many invented books is deleted.
const DELETED_ONE_IN: u64 = 9;

pub(super) fn serve(args: &OaiServe, global: &Global) -> Done {
    let one = |e| vec![e];
    let output = Output { json: global.json, quiet: global.quiet };
    if args.faults {
        output.line(faults());
        return Ok(ExitCode::Drained);
    }
    logging::start(global.log_file.as_deref(), global.log_format.unwrap_or_default(), global).map_err(one)?;
    in_runtime(async { served(args, output).await.map(|()| ExitCode::Drained).map_err(one) })
}

fn faults() -> String {
    let rows = |rows: &[(&str, &str)]| -> Vec<String> {
        rows.iter().map(|(name, does)| format!("  {name:<28} {does}")).collect()
    };
    format!("faults:\n{}\nwhen:\n{}", rows(Faults::CATALOGUE).join("\n"), rows(Faults::WHEN).join("\n"))
}

async fn served(args: &OaiServe, output: Output) -> Result<(), Diagnosis> {
    let settings = settings(args)?;
    let clock = SystemClock::shared();
    let repository: Arc<dyn Repository> = match (&args.catalog, args.generated) {
        (Some(path), _) => {
            let path = std::path::absolute(path).unwrap_or_else(|_| path.clone());
            let catalog = open_catalog(&path, clock.now(), Access::ReadOnly)?;
            Arc::new(ServedCatalog::new(catalog, &args.name, args.admin_email.clone()))
        }
        (None, books) => {
            let books = books.unwrap_or_default();
            let deleted = books / DELETED_ONE_IN;
            Arc::new(Generated { live: books - deleted, deleted, ..Generated::default() }.repository())
        }
    };
    let cannot = |e: std::io::Error| {
        Diagnosis::failure(
            codes::CANNOT_LISTEN,
            format!("{} cannot be listened at: {e}", args.listen),
            "name a free port and an address of this machine, or port 0",
        )
        .at_field("--listen")
    };
    let listener = TcpListener::bind(args.listen).await.map_err(cannot)?;
    let address = listener.local_addr().map_err(cannot)?;
    output.answer(
        &serde_json::json!({ "base_url": format!("http://{address}{PATH}") }),
        format_args!("serving at http://{address}{PATH} until interrupted"),
    );
    let stop = signals::listen();
    let router = router(repository, settings, clock);
    serve_at(listener, router, async move { stop.raised(Urgency::Soon).await }).await.map_err(cannot)
}

fn settings(args: &OaiServe) -> Result<ProviderSettings, Diagnosis> {
    let rules = args.fault.iter().map(|fault| {
        fault.parse::<FaultRule>().map_err(|error| {
            Diagnosis::refusal(
                codes::UNKNOWN_FAULT,
                error.to_string(),
                "`highwater oai serve --faults` prints all that there is",
            )
            .at_field("--fault")
        })
    });
    let log = match &args.access_log {
        Some(path) => ProviderLog::appending_to(path).map_err(|e| {
            Diagnosis::failure("HW-LOG-001", format!("the access log cannot be opened: {e}"), "make its directory")
                .in_file(path)
                .at_field("--access-log")
        })?,
        None => ProviderLog::default(),
    };
    Ok(ProviderSettings {
        base_url: args.base_url.clone(),
        page_size: args.page_size,
        token_life: args.token_life.map(Duration::from),
        rate: args.rate.map(|requests| Rate { requests, per: Duration::from_secs(60) }),
        log: Arc::new(log),
        faults: rules.collect::<Result<Faults, Diagnosis>>()?,
        ..ProviderSettings::default()
    })
}
