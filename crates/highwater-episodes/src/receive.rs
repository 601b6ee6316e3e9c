//! The receiver: takes episodes over HTTP, stores and indexes them, and answers only when both would survive a power cut.
//!
//! Owns the order of checks (auth, names, gate, size, disk, body), the answers, and who may write where. [`Receiver`] is mounted as a
//! [`router`]; [`serve()`] is the server under it. Where episodes lie and what is indexed is the [`Store`]'s and the [`Index`]'s, which code
//! may record is a [`gate::Gate`]'s.

mod admit;
mod body;
pub mod commit;
mod counters;
mod download;
pub mod gate;
pub mod identity;
mod judged;
mod listing;
mod network;
mod openapi;
mod opened;
mod ping;
mod problem;
mod resumable;
mod serve;
pub mod settings;
mod slots;
pub mod tls;
mod upload;
mod verified;

use std::fmt;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderValue, Version, header};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{any, get, post, put};
use highwater_engine::clock::SharedClock;
use highwater_engine::diagnosis::with_causes;
use tokio::sync::OnceCell;

use crate::index::{Figures, Index, LOST_NEXT};
use crate::odd::Odd;
use crate::store::{ContentHash, ELSEWHERE_NEXT, Store, StoreError};

use self::commit::Committer;
use self::counters::Counters;
use self::gate::Gate;
use self::identity::Identities;
use self::problem::{Problem, known};
use self::resumable::OpenUploads;
use self::settings::ReceiverSettings;
use self::slots::Slots;

pub use crate::wire::{
    CODE_JUDGE_HEADER as JUDGE_HEADER, CONTENT_SHA256_HEADER as CONTENT_HEADER,
    RECORDED_COMMIT_HEADER as RECORDED_HEADER,
};
pub use judged::ByVersion;
pub use network::Network;
pub use openapi::openapi;
pub(crate) use opened::{INDEX_FILE, QUARANTINE_DIR};
pub use opened::{OpenError, Opened, TooLow, is_received_into, odd_quarantine, open_files};
pub use problem::DRAIN_BYTES_MAX;
pub use resumable::{METADATA_BYTES_MAX, METADATA_KEYS_MAX, Metadata, MetadataError};
pub use serve::{Doors, LINGER_SECS, STOP_SECS, serve};

/// Most hosts of which nothing can be stored that `/readyz` names.
const APART_TOLD_MAX: usize = 5;
/// How often it is looked whether what is stored lies in its place, in seconds.
const LOOK_SECS: u64 = 5;

/// What a receiver stands on.
#[derive(Debug, Clone)]
pub struct Foundation {
    /// Where episodes lie.
    pub store: Arc<dyn Store>,
    /// What was stored.
    pub index: Arc<dyn Index>,
    /// What an archive holds; without it only equal bytes are the same episode.
    pub content: Option<Arc<dyn ContentHash>>,
    /// Which code may record.
    pub gate: Arc<dyn Gate>,
    /// Time.
    pub clock: SharedClock,
}

/// A receiver; many connections share one.
pub struct Receiver {
    on: Foundation,
    settings: ReceiverSettings,
    identities: RwLock<Arc<Identities>>,
    committer: Committer,
    counters: Counters,
    slots: Arc<Slots>,
    /// How much room there was when the store was last asked, and when that was.
    room: Mutex<Option<(Duration, u64)>>,
    ending: AtomicBool,
    /// Held by the one who puts what was sent in the place of a damaged episode.
    mending: tokio::sync::Mutex<()>,
    /// Uploads that may go on; those of an earlier run once they were looked for.
    open: Arc<OpenUploads>,
    open_loaded: OnceCell<()>,
}

impl Receiver {
    /// A receiver of these settings.
    ///
    /// # Errors
    /// No thread can be started.
    pub fn new(on: Foundation, settings: ReceiverSettings) -> io::Result<Self> {
        let committer = Committer::start(Arc::clone(&on.store), Arc::clone(&on.index))?;
        Ok(Self {
            identities: RwLock::new(Arc::new(Identities::of(&settings))),
            slots: Arc::new(Slots::new(&settings.limits)),
            counters: Counters::default(),
            room: Mutex::default(),
            ending: AtomicBool::new(false),
            mending: tokio::sync::Mutex::default(),
            open: Arc::new(OpenUploads::new(
                settings.limits.resume_time.get(),
                settings.limits.open_uploads.as_usize(),
                settings.limits.open_uploads_per_host.as_usize(),
            )),
            open_loaded: OnceCell::new(),
            committer,
            on,
            settings,
        })
    }

    /// Takes over who may write where from other settings; everything else stays as it is.
    pub fn admit_by(&self, settings: &ReceiverSettings) {
        *self.identities.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(Identities::of(settings));
    }

    /// Says to whoever asks whether it is ready that it will not be: it is about to end.
    pub fn begin_to_end(&self) {
        self.ending.store(true, Ordering::Relaxed);
    }

    /// Looks now and then whether what is stored lies in its place, for ever: the log says so where nobody asks.
    pub async fn keep_watched(self: Arc<Self>) {
        loop {
            // Logged where it is found.
            let _ = self.in_its_place().await;
            self.on.clock.glance(Duration::from_secs(LOOK_SECS)).await;
        }
    }

    fn identities(&self) -> Arc<Identities> {
        Arc::clone(&self.identities.read().unwrap_or_else(PoisonError::into_inner))
    }
}

impl fmt::Debug for Receiver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receiver").field("on", &self.on).finish_non_exhaustive()
    }
}

/// The receiver's addresses. Each request carries an [`identity::Peer`] as its extension; one that does not has no identity but a token's.
pub fn router(receiver: Arc<Receiver>) -> Router {
    Router::new()
        .route("/v1/episodes/{host}/{episode}", put(upload::put).get(download::get).head(download::head))
        .route("/v1/episodes", get(listing::list))
        .route("/v1/uploads", any(resumable::all))
        .route("/v1/uploads/", any(resumable::all))
        .route("/v1/uploads/{id}", any(resumable::one))
        .route("/v1/ping", post(ping::ping))
        .route("/healthz", get(async || "ok\n"))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
        .route("/openapi.json", get(openapi::show))
        .fallback(async || Problem::new(&known::NO_SUCH_ADDRESS))
        .method_not_allowed_fallback(async || Problem::new(&known::NO_SUCH_METHOD))
        .layer(from_fn(to_one_host))
        .with_state(receiver)
}

/// Refuses what names no host, or two: what stands between may have taken the other one of them (RFC 9112, section 3.2).
async fn to_one_host(request: Request, next: Next) -> Response {
    let hosts = request.headers().get_all(header::HOST).iter().count();
    let is_named = hosts == 1 || hosts == 0 && request.version() != Version::HTTP_11;
    if is_named {
        return next.run(request).await;
    }
    let (head, body) = request.into_parts();
    let found = if hosts == 0 { "none".to_owned() } else { format!("{hosts} of them") };
    let problem = Problem::new(&known::BAD_HOST).detail(format!("expected one Host header, found {found}"));
    problem.remediation("send one Host header: the receiver's name and its port").refuse(&head, body).await
}

/// Does what waits for a disk where waiting holds nobody up.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Problem> {
    tokio::task::spawn_blocking(work).await.map_err(|error| {
        tracing::error!(error = %error, "a request ends because its work did");
        Problem::new(&known::BUG)
    })
}

async fn ready(State(receiver): State<Arc<Receiver>>) -> Response {
    let problem = if receiver.ending.load(Ordering::Relaxed) {
        Some("it is ending".to_owned())
    } else if !receiver.committer.is_at_work() {
        Some("what writes its rounds has failed: see its log, and start it again".to_owned())
    } else if let gate::Verdict::Unready { .. } = receiver.on.gate.judge(&gate::Claim::default()) {
        Some("its gate has no commits yet".to_owned())
    } else {
        let on = receiver.on.clone();
        let looked = blocking(move || {
            on.store.in_its_place().map_err(|error| told(&error))?;
            let figures = on.index.figures().map_err(|error| told(&error))?;
            let room = on.store.room_bytes().map_err(|error| told(&error))?;
            let apart = apart(&*on.store).map_err(|error| told(&error))?;
            Ok((figures, room, apart))
        });
        match looked.await {
            Ok(Ok((_, room, _))) if room < receiver.settings.limits.free.bytes() => {
                Some("its disk is as full as it may be".to_owned())
            }
            Ok(Ok((figures, ..))) if figures.lost > 0 => Some(lost(&figures)),
            // What keeps nobody else from sending is told beside it.
            Ok(Ok((figures, _, mut told))) if figures.unreadable > 0 || !told.is_empty() => {
                // They are kept and passed over, and nothing but a person takes them away.
                match figures.unreadable {
                    0 => {}
                    1 => told.push("1 line of its index is no row".to_owned()),
                    more => told.push(format!("{more} lines of its index are no rows")),
                }
                return format!("ready\n{}\n", told.join("\n")).into_response();
            }
            Ok(Ok(_)) => None,
            Ok(Err(error)) => Some(error),
            Err(problem) => return problem.into_response(),
        }
    };
    match problem {
        None => "ready\n".into_response(),
        Some(why) => Problem::new(&known::NOT_READY).detail(why).retry_after(admit::BUSY_SECS).into_response(),
    }
}

/// The hosts of which nothing can be stored while all others can be, the first of them.
fn apart(store: &dyn Store) -> Result<Vec<String>, StoreError> {
    let apart = store.other_disks(&store.hosts()?)?;
    Ok(apart.iter().take(APART_TOLD_MAX).map(|apart| format!("{apart}; {}", apart.next())).collect())
}

/// An error, and what is to be done where something odd is its cause.
fn told(error: &(dyn std::error::Error + 'static)) -> String {
    let why = with_causes(error);
    if let Some(StoreError::Elsewhere { .. }) = error.downcast_ref() {
        return format!("{why} next: {ELSEWHERE_NEXT}");
    }
    Odd::of(error).map_or_else(|| why.clone(), |odd| format!("{why}; {}", odd.next()))
}

/// What is missed of the index, and the way out.
fn lost(figures: &Figures) -> String {
    let (lost, withdrawn) = (figures.lost, figures.lost_withdrawn);
    let rows = if lost == 1 { "1 row".to_owned() } else { format!("{lost} rows") };
    let of = match withdrawn {
        0 => String::new(),
        1 if lost == 1 => " of a withdrawn episode".to_owned(),
        _ if withdrawn == lost => " of withdrawn episodes".to_owned(),
        1 => ", 1 of them of a withdrawn episode,".to_owned(),
        _ => format!(", {withdrawn} of them of withdrawn episodes,"),
    };
    let were = if lost == 1 { "was" } else { "were" };
    format!("{rows}{of} {were} taken out of its index by hand: {LOST_NEXT}")
}

async fn metrics(State(receiver): State<Arc<Receiver>>) -> Response {
    let on = receiver.on.clone();
    let looked = blocking(move || (on.index.figures().ok(), on.store.room_bytes().ok())).await;
    let (figures, room_bytes) = looked.unwrap_or_default();
    let text = receiver.counters.text(receiver.slots.in_hand(), receiver.open.open(), figures, room_bytes);
    let kind = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    ([(header::CONTENT_TYPE, kind)], text).into_response()
}
