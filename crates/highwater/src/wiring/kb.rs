//! Jobs that make pages of a knowledge base: where it is, and what converts and compiles.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use highwater_engine::clock::SharedClock;
use highwater_engine::diagnosis::{Diagnosis, with_causes};
use highwater_engine::lock::FileLock;
use highwater_engine::name::ResourceName;
use highwater_engine::pass::Runner;
use highwater_engine::settings::SecretText;
use highwater_engine::spec::ResourceSpec;
use highwater_kb::add::{KbAdd, KbAddSettings, NEXT, Named, Place};
use highwater_kb::compile::{Builtin, Compilers, Llm};
use highwater_kb::convert::{Limits, Subprocess};
use highwater_kb::llm::{LlmSettings, Model, can_be_sent};
use highwater_kb::web::NoAddress;
use highwater_kb::{Directory, Home, KbError};
use sha2::{Digest as _, Sha256};

use crate::owner::become_owner;

/// What a base has below its root, by which it is found.
pub(crate) const ROWS: &str = ".highwater/kb.db";
/// By which it is found where its rows are gone.
const OBJECTS: &str = ".highwater/objects";

/// There is no knowledge base.
pub(crate) const NO_BASE: &str = "HW-KB-023";
/// An address is none that documents are fetched from.
const NO_ADDRESS: &str = "HW-KB-051";
/// This program does not find itself.
const NO_PROGRAM: &str = "HW-KB-002";
/// The variable that should hold a key holds none.
const NO_KEY: &str = "HW-KB-038";
/// The most characters of a host's name.
const HOST_CHARS_MAX: usize = 253;
/// Hexadecimal digits that tell the locks of endpoints apart.
const MARK_DIGITS: usize = 12;

/// Whether a directory is a base: it has rows, or had them, since something is stored.
pub(crate) fn is_base(root: &Path) -> bool {
    let stores = || std::fs::read_dir(root.join(OBJECTS)).is_ok_and(|mut objects| objects.next().is_some());
    root.join(ROWS).is_file() || stores()
}

/// A base's directory, as its owner.
///
/// # Errors
/// A refusal where none was made there, or it is another user's.
pub(crate) fn root(named: &Path) -> Result<PathBuf, Diagnosis> {
    become_owner(&[&named.join(ROWS), named])?;
    let root = named.canonicalize().ok().filter(|root| is_base(root));
    root.ok_or_else(|| {
        Diagnosis::refusal(
            NO_BASE,
            "there is no knowledge base; expected a directory that `highwater kb init` made",
            "correct the path, or make one there: `highwater kb init DIR`",
        )
        .in_file(named)
    })
}

/// The base at this directory, and what makes its pages: a language model that is contacted as this resource, or what is built in.
///
/// # Errors
/// Where there is no base, or no key where one is named.
pub(crate) fn place(
    base: &Path,
    llm: Option<(&LlmSettings, &ResourceName)>,
    clock: &SharedClock,
) -> Result<Place<Compilers>, Diagnosis> {
    let root = root(base)?;
    let home: Arc<dyn Home> = Arc::new(
        Directory::open(&root).map_err(|error| highwater_kb::add::diagnosis(&KbError::from(error)).in_file(&root))?,
    );
    let program = std::env::current_exe()
        .map_err(|error| Diagnosis::failure(NO_PROGRAM, with_causes(&error), "call highwater by its whole path"))?;
    let compiler = match llm {
        None => Compilers::Builtin(Builtin),
        Some((llm, resource)) => Compilers::Llm(Llm::new(Arc::new(model(llm, resource, Arc::clone(&home), &root)?))),
    };
    Ok(Place { home, root, converter: Subprocess::new(&program, Limits::default(), Arc::clone(clock)), compiler })
}

/// The job that adds documents: it contacts its model, if it has one, as `model`, and fetches documents of the web on `resources`.
///
/// # Errors
/// As [`place`], and an address that is none.
pub(crate) fn runner(
    settings: &KbAddSettings,
    model: Option<&ResourceName>,
    resources: Vec<ResourceName>,
    clock: &SharedClock,
) -> Result<Box<dyn Runner>, Diagnosis> {
    let paths = settings.paths.iter().map(|path| path.to_path_buf()).collect();
    let addresses = settings.addresses().map_err(|error| no_address(&error))?;
    let named = Named { paths, addresses, resources, ..Named::default() };
    let llm = settings.llm.as_ref().zip(model);
    Ok(Box::new(Arc::new(KbAdd::new(place(&settings.base, llm, clock)?, named))))
}

/// A model, with the key that its variable holds.
///
/// # Errors
/// Where it holds none.
pub(crate) fn model(
    settings: &LlmSettings,
    resource: &ResourceName,
    home: Arc<dyn Home>,
    root: &Path,
) -> Result<Model, Diagnosis> {
    let key = settings.key_env.as_deref().map(key).transpose()?;
    Model::new(settings.clone(), key, resource.clone(), home, root.to_owned())
}

fn key(variable: &str) -> Result<SecretText, Diagnosis> {
    let key = std::env::var(variable).ok().map(|key| SecretText::new(key.trim()));
    key.filter(can_be_sent).ok_or_else(|| {
        // Somebody may have named the key itself.
        let is_name = variable.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_');
        let variable = if is_name { variable } else { "that is named" };
        Diagnosis::refusal(
            NO_KEY,
            format!("the environment variable {variable} holds no key that can be sent; expected printable ASCII"),
            "set it where highwater is called, or name another: `--llm-key-env NAME`, or `key-env` of the job's `llm`",
        )
    })
}

/// The endpoint of a model as the commands of one base share it: its ban is in the ledger of that base, and passes that ask it wait for
/// each other. `state` is the directory of that ledger.
pub(crate) fn endpoint(settings: &LlmSettings, state: &Path) -> ResourceSpec {
    let url = settings.url.expose();
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    let host: String = url.host_str().unwrap_or_default().chars().take(HOST_CHARS_MAX).collect();
    let name = format!("llm:{host}{port}");
    let mark = hex::encode(Sha256::digest(name.as_bytes()));
    let lock = FileLock::new(state.join(format!("llm-{}.lock", &mark[..MARK_DIGITS])), false);
    ResourceSpec::new(ResourceName::new(name).expect("invariant: a host and a port are a name"), lock)
}

/// A refusal of an address that is none.
pub(crate) fn no_address(error: &NoAddress) -> Diagnosis {
    Diagnosis::refusal(NO_ADDRESS, with_causes(error), NEXT)
}
