//! A language model, asked by whoever has a question: a compiler, a query, a chat. Owns that an answer is paid for once: it is kept, durably,
//! before anybody sees it, and of all who have the same question at the same time one asks. What is asked, and what an answer is good
//! for, is the askers'.

pub mod answers;
mod budget;
mod endpoint;
pub mod fault;
mod lease;
pub mod markdown;
mod material;
mod mended;
pub mod request;
pub mod settings;
pub mod tokens;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use highwater_engine::contact::Urgency;
use highwater_engine::diagnosis::Diagnosis;
use highwater_engine::job::{ReadCx, Stop};
use highwater_engine::name::ResourceName;
use highwater_engine::settings::SecretText;
use highwater_fs::FsError;
use tokio::sync::watch;
use tokio::task::JoinError;

pub use self::answers::{Answer, Answers};
pub use self::endpoint::ANSWER_BYTES_MAX;
pub use self::fault::Unsaid;
pub use self::material::{MATERIAL, between, object, words};
pub use self::request::{Form, Message, Request, RequestKey, Role};
pub use self::settings::LlmSettings;

use self::budget::Purse;
use self::endpoint::Endpoint;
use self::lease::Lease;
use crate::add::diagnosis;
use crate::base::Home;
use crate::error::KbError;

/// How often one who has to wait for another's answer looks whether it is there, in milliseconds.
const LOOK_MS: u64 = 50;
/// How long what is under way is waited for when a person wants the end, in seconds.
const STOPPED_WAIT_SECS: u64 = 20;

/// A model, and the base that keeps its answers.
#[derive(Debug)]
pub struct Model {
    shared: Arc<Shared>,
}

/// What a request needs to come to its end when nobody waits for it any more.
#[derive(Debug)]
struct Shared {
    settings: LlmSettings,
    endpoint: Endpoint,
    purse: Purse,
    home: Arc<dyn Home>,
    root: PathBuf,
    /// How many requests are under way.
    under_way: watch::Sender<usize>,
}

/// A request that is under way, until it is dropped.
#[derive(Debug)]
struct UnderWay(Arc<Shared>);

/// A key that can be sent: what an HTTP header cannot bear is no key.
#[must_use]
pub fn can_be_sent(key: &SecretText) -> bool {
    let key = key.expose();
    !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_graphic())
}

impl Model {
    /// The model of these settings, contacted as `resource`; `root` is the directory of the base.
    ///
    /// # Errors
    /// When no HTTP client can be had.
    pub fn new(
        settings: LlmSettings,
        key: Option<SecretText>,
        resource: ResourceName,
        home: Arc<dyn Home>,
        root: PathBuf,
    ) -> Result<Self, Diagnosis> {
        let endpoint = Endpoint::new(&settings, key, resource)?;
        let purse = Purse::new(settings.tokens.map(|tokens| tokens.get()), settings.is_of_a_call);
        let under_way = watch::Sender::new(0);
        Ok(Self { shared: Arc::new(Shared { settings, endpoint, purse, home, root, under_way }) })
    }

    /// What is known of it.
    #[must_use]
    pub fn settings(&self) -> &LlmSettings {
        &self.shared.settings
    }

    /// How many tokens were paid since the pass began, or the call.
    #[must_use]
    pub fn spent(&self) -> u64 {
        self.shared.purse.spent()
    }

    /// What the model answers: what it once did, else what it does now. What is asked comes to its end and is kept also where nobody waits
    /// for it any more: it may be paid for.
    ///
    /// # Errors
    /// [`Unsaid`].
    pub async fn ask(&self, cx: &ReadCx, request: &Request) -> Result<Answer, Unsaid> {
        let key = request.key(&self.shared.settings);
        loop {
            if let Some(answer) = self.shared.kept(move |answers| answers.get(key)).await? {
                return Ok(answer);
            }
            self.shared.kept(move |answers| answers.make_room(key)).await?;
            let root = self.shared.root.clone();
            let taken = on_disk(move || Lease::try_take(&root, key)).await?;
            let taken = taken.map_err(|error| failed(&KbError::io("make a file to ask by")(error)))?;
            let Some(lease) = taken else {
                cx.rest(Duration::from_millis(LOOK_MS)).await?;
                continue;
            };
            let (under_way, cx, request) = (UnderWay::new(&self.shared), cx.clone(), request.clone());
            let asked = tokio::spawn(async move {
                let answer = under_way.0.asked(&cx, &request, key).await;
                drop(lease);
                answer
            });
            return asked.await.map_err(broke)?;
        }
    }

    /// Waits until nothing is under way any more, for who no longer waits for an answer: what was asked may be paid for. A person who wants
    /// the end waits a while, and one who wants it at once not at all.
    pub async fn settled(&self, cx: &ReadCx) {
        let mut under_way = self.shared.under_way.subscribe();
        let asked = *under_way.borrow_and_update();
        if asked == 0 {
            return;
        }
        tracing::info!(asked, "waiting for answers that may be paid for");
        let patience = async {
            cx.stop().raised(Urgency::Soon).await;
            cx.clock.sleep(Duration::from_secs(STOPPED_WAIT_SECS)).await;
        };
        tokio::select! {
            _ = under_way.wait_for(|asked| *asked == 0) => {}
            () = cx.stop().raised(Urgency::Now) => {}
            () = patience => {}
        }
    }
}

impl UnderWay {
    fn new(shared: &Arc<Shared>) -> Self {
        shared.under_way.send_modify(|asked| *asked += 1);
        Self(Arc::clone(shared))
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.under_way.send_modify(|asked| *asked -= 1);
    }
}

impl Shared {
    /// Asks, with the lease for that in hand, and keeps the answer.
    async fn asked(&self, cx: &ReadCx, request: &Request, key: RequestKey) -> Result<Answer, Unsaid> {
        // Another may have let it go with its answer.
        if let Some(answer) = self.kept(move |answers| answers.get_whole(key)).await? {
            return Ok(answer);
        }
        let expected = request.tokens().saturating_add(self.settings.answer_tokens_max());
        let spending = self.purse.begin(cx.pass, expected)?;
        let answer = self.endpoint.ask(cx, request).await?;
        spending.pay(answer.prompt_tokens.saturating_add(answer.answer_tokens));
        let (now, paid) = (cx.clock.now(), answer.clone());
        self.kept(move |answers| answers.put(key, &paid, now)).await?;
        Ok(answer)
    }

    async fn kept<T: Send + 'static>(
        &self,
        work: impl FnOnce(Answers<'_>) -> Result<T, FsError> + Send + 'static,
    ) -> Result<T, Stop> {
        let home = Arc::clone(&self.home);
        on_disk(move || work(Answers::of(&*home))).await?.map_err(|error| failed(&error.into()))
    }
}

fn failed(error: &KbError) -> Stop {
    Stop::Fail(diagnosis(error))
}

async fn on_disk<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Stop> {
    tokio::task::spawn_blocking(work).await.map_err(broke)
}

fn broke(error: JoinError) -> Stop {
    Stop::Fail(Diagnosis::failure("HW-BUG-001", error.to_string(), "report it with this message"))
}
