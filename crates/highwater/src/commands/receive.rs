//! `receive`: the receiver of the configuration, listening. Owns what is told at its start, and what signals do; receiving is the
//! domain's.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use highwater_engine::contact::Urgency;
use highwater_engine::diagnosis::{Diagnosis, mends_disk, mends_limit, with_causes};
use highwater_engine::report::ExitCode;
use highwater_engine::settings::Problem;
use highwater_episodes::archive::ArchiveContent;
use highwater_episodes::gate::{ALLOWED_FILE, Source, VersionGate};
use highwater_episodes::index::{Index, Recovered};
use highwater_episodes::odd::Odd;
use highwater_episodes::receive::gate::{Gate, Off};
use highwater_episodes::receive::settings::ReceiverSettings;
use highwater_episodes::receive::tls::TlsKeeper;
use highwater_episodes::receive::{
    ByVersion, Doors, Foundation, OpenError, Opened, Receiver, odd_quarantine, open_files, router, serve,
};
use highwater_episodes::store::Store;
use highwater_episodes::survey::sample;
use rustix::fs::{Access, access};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use super::codes;
use crate::cli::{Global, Receive};
use crate::site::{Site, configuration};
use crate::{Done, signals};

/// Most lines of a damaged index that are told at the start; all are counted.
const UNREADABLE_TOLD_MAX: usize = 5;
/// The unit of a receiver, as `highwater systemd` names it.
const UNIT: &str = "highwater-receive";

pub(crate) async fn receive(args: Receive, site: Site, flags: Global) -> Done {
    received(&args, &site, &flags).await.map(|()| ExitCode::Drained).map_err(|error| vec![error])
}

async fn received(args: &Receive, site: &Site, flags: &Global) -> Result<(), Diagnosis> {
    let Some(config) = &site.config else { return Err(super::needs_config("receive")) };
    let mut settings = config.receiver()?.clone();
    if let Some(listen) = args.listen {
        settings.listen = listen;
        // What the file was checked for holds for the flag too.
        if let Some(Problem { message, next, .. }) =
            settings.problems().into_iter().find(|problem| problem.field == "listen")
        {
            return Err(Diagnosis::refusal(codes::CANNOT_LISTEN, message, next).at_field("--listen"));
        }
    }
    let tls = match settings.tls.clone() {
        None => None,
        Some(tls) => Some(Arc::new(TlsKeeper::open(tls).map_err(|error| {
            Diagnosis::refusal("HW-EPI-003", with_causes(&error), error.next())
                .in_file(&config.file)
                .at_field(format!("receiver.{}", error.field()))
        })?)),
    };
    let Opened { store, index, found, odd, held } =
        open_files(&settings.root).await.map_err(|error| not_opened(&error, &settings))?;
    tell(&found, site);
    if let Some(odd) = &odd {
        site.output.note(format!("{odd}: nothing can be set aside until it is away; {}", odd.next()));
    }
    let (gate, fresh) = gate_of(&settings, site).await;
    let (store, index) = (Arc::new(store), Arc::new(index));
    tell_missing(&*store, &*index, site);
    let on = Foundation {
        store,
        index,
        content: Some(Arc::new(ArchiveContent::default())),
        gate: Arc::clone(&gate),
        clock: Arc::clone(&site.clock),
    };
    let cannot = |error: std::io::Error| {
        Diagnosis::failure(
            codes::CANNOT_LISTEN,
            format!("{} cannot be listened at: {error}", settings.listen),
            "name a free port and an address of this machine, or port 0",
        )
        .at_field("receiver.listen")
    };
    let listener = TcpListener::bind(settings.listen).await.map_err(cannot)?;
    let address = listener.local_addr().map_err(cannot)?;
    let receiver = Arc::new(Receiver::new(on, settings.clone()).map_err(|error| {
        Diagnosis::failure("HW-ENV-002", format!("no thread can be started: {error}"), "raise the limits of this user")
    })?);
    let stop = signals::listen_as_server();
    let mut hangups = signals::hangups();
    let scheme = if tls.is_some() { "https" } else { "http" };
    site.output.answer(
        &serde_json::json!({ "listens": format!("{scheme}://{address}"), "episodes": found.keys }),
        format_args!("receiving at {scheme}://{address} into {} until SIGTERM", settings.root),
    );
    let doors = Doors::of(listener, tls.clone(), &settings, Arc::clone(&site.clock));
    let ending = {
        let (stop, receiver) = (stop.clone(), Arc::clone(&receiver));
        async move {
            stop.raised(Urgency::Soon).await;
            receiver.begin_to_end();
        }
    };
    let swept = tokio::spawn(Arc::clone(&receiver).keep_swept());
    let watched = tokio::spawn(Arc::clone(&receiver).keep_watched());
    let mut watching = tls.clone().map(|tls| tokio::spawn(tls.watch(Arc::clone(&site.clock))));
    let served = async {
        let mut serving = std::pin::pin!(serve(doors, router(Arc::clone(&receiver)), ending));
        loop {
            tokio::select! {
                served = &mut serving => break served,
                // A second signal: at once.
                () = stop.raised(Urgency::Now) => break Ok(()),
                () = signals::next_hangup(&mut hangups) => reload(&receiver, &settings, args.listen, tls.as_deref(), flags),
            }
        }
    };
    let served = served.await;
    for task in [watching.take(), fresh, Some(swept), Some(watched)].into_iter().flatten() {
        task.abort();
    }
    drop(held);
    served.map_err(cannot)
}

/// The gate of the settings, and what keeps it fresh.
async fn gate_of(settings: &ReceiverSettings, site: &Site) -> (Arc<dyn Gate>, Option<JoinHandle<()>>) {
    let judging = settings.gate.as_ref().filter(|gate| gate.enabled);
    let Some((gate, repository)) = judging.and_then(|gate| Some((gate, gate.repository.as_ref()?))) else {
        return (Arc::new(Off), None);
    };
    let source =
        Source { repository: repository.to_path_buf(), reference: gate.reference.clone(), commits: gate.window.get() };
    let version = VersionGate::new(source, settings.root.join(ALLOWED_FILE), Arc::clone(&site.clock));
    // Before the first upload, which would else be put off.
    version.refresh().await;
    (Arc::new(ByVersion::new(version.clone(), gate)), Some(tokio::spawn(version.keep_fresh())))
}

/// SIGHUP: who may write where, and TLS, from the file. What else differs from what this receiver runs by is told, field by field.
fn reload(
    receiver: &Receiver,
    running: &ReceiverSettings,
    listen: Option<SocketAddr>,
    tls: Option<&TlsKeeper>,
    flags: &Global,
) {
    let taken_up = match configuration(flags).and_then(|config| config.receiver().cloned().map_err(|error| vec![error]))
    {
        Ok(mut settings) => {
            // A flag stands above the file as it did.
            settings.listen = listen.unwrap_or(settings.listen);
            // First who signs, then what the names of who is signed may do: else a name that was meant for another signer counts already.
            let is_other = tls.zip(settings.tls.as_ref()).is_some_and(|(tls, settings)| !tls.is_by(settings));
            let taken_up =
                tls.map(|tls| settings.tls.as_ref().map_or_else(|| tls.reload(), |settings| tls.take_up(settings)));
            if is_other && matches!(taken_up, Some(Err(_))) {
                tracing::error!("tokens, certificates and proxies stay as they were, too");
            } else {
                receiver.admit_by(&settings);
                tracing::info!("tokens, certificates and proxies are read again");
            }
            for field in running.waits_for_restart(&settings) {
                tracing::error!(
                    "`receiver.{field}` was changed and waits for a restart (`systemctl restart {UNIT}`): what it was stays in force"
                );
            }
            // Whether there is TLS at all is settled at the start.
            taken_up
        }
        Err(errors) => {
            let told = errors.first().map(Diagnosis::told).unwrap_or_default();
            tracing::error!(error = %told, "the configuration cannot be read again; the old one stays");
            tls.map(TlsKeeper::reload)
        }
    };
    match taken_up {
        Some(Err(error)) => {
            let field = format!("receiver.{}", error.field());
            tracing::error!(%field, error = %with_causes(&error), "the files of TLS cannot be used; the old ones stay");
        }
        Some(Ok(true)) => tracing::info!("the files of TLS are read again"),
        Some(Ok(false)) | None => {}
    }
}

fn tell(found: &Recovered, site: &Site) {
    if let Some(torn) = &found.torn {
        site.output.note(format!("the index had a torn end, which is in {} now", torn.path));
    }
    for line in found.named.iter().take(UNREADABLE_TOLD_MAX) {
        site.output.note(format!("line {} of the index is kept and skipped: {}", line.line, line.why));
    }
    let more = found.unreadable.saturating_sub(UNREADABLE_TOLD_MAX as u64);
    if more > 0 {
        site.output.note(format!("{more} more lines of the index are kept and skipped"));
    }
}

/// Says so where rows have lost their files: a disk that is not mounted looks like it. What is sent is received all the same.
fn tell_missing(store: &dyn Store, index: &dyn Index, site: &Site) {
    match sample(index, store) {
        Ok(sample) => {
            if let Some(told) = sample.told() {
                site.output.note(format!("{told}: is the disk of the episodes mounted?"));
            }
        }
        Err(error) => tracing::warn!(error = %with_causes(&error), "whether rows have their files cannot be told"),
    }
}

fn not_opened(error: &OpenError, settings: &ReceiverSettings) -> Diagnosis {
    let told = with_causes(error);
    let root = &settings.root;
    if let Some(mend) = mends_limit(error) {
        return Diagnosis::failure("HW-ENV-002", told, mend).in_file_once(&**root).at_field("receiver.root");
    }
    let diagnosis = match error {
        OpenError::Taken { .. } => {
            Diagnosis::refusal("HW-EPI-002", told, "stop the other receiver, or name another `root`")
        }
        OpenError::Elsewhere(elsewhere) => elsewhere.refusal(),
        OpenError::TooLow(too_low) => Diagnosis::refusal("HW-EPI-004", told, too_low.next()),
        OpenError::Limited(limited) => return (**limited).clone(),
        OpenError::Root(_) | OpenError::Lock(_) | OpenError::Store(_) | OpenError::Index(_) => Diagnosis::failure(
            "HW-EPI-001",
            told,
            mends_disk(error, root)
                // A lock tells no cause.
                .or_else(|| {
                    mends_disk(&io::Error::from(access(&**root, Access::WRITE_OK | Access::EXEC_OK).err()?), root)
                })
                .or_else(|| odd_quarantine(root).map(|odd| odd.next()))
                .unwrap_or_else(|| {
                    Odd::next_of(error, format!("make the directory (`mkdir -p {root}`) and let this user write in it"))
                }),
        ),
    };
    diagnosis.in_file_once(&**root).at_field("receiver.root")
}
