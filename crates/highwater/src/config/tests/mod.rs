//! How the configuration behaves, told from outside: what it refuses and how it says so, what it takes and shows.

use std::fs;
use std::path::{Path, PathBuf};

use super::{Config, Environment, Flags, load};

mod effective;
mod found;
mod generated;
mod initialised;
mod refused;
mod shared;

/// A directory with a configuration in it.
struct Scene {
    directory: tempfile::TempDir,
    environment: Environment,
    flags: Flags,
}

impl Scene {
    fn new(toml: &str) -> Self {
        let scene = Self {
            directory: tempfile::tempdir().expect("a temporary directory"),
            environment: Environment::from_iter([("TOKEN", "s3cret-value"), ("PATH", "/usr/bin:/bin")]),
            flags: Flags::default(),
        };
        fs::write(scene.path("highwater.toml"), toml).expect("a written file");
        scene
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn load(&self) -> Result<Config, String> {
        load(&self.path("highwater.toml"), &self.environment, &self.flags).map_err(|errors| {
            assert!(errors.iter().all(|error| error.exit.number() == 2), "{errors:?}");
            let errors: Vec<_> = errors.iter().map(ToString::to_string).collect();
            self.placed(&errors.join("\n"))
        })
    }

    fn config(&self) -> Config {
        self.load().unwrap_or_else(|errors| panic!("{errors}"))
    }

    /// The text with this directory as `/hw`.
    fn placed(&self, text: &str) -> String {
        text.replace(&self.directory.path().display().to_string(), "/hw")
    }
}

fn config(toml: &str) -> Config {
    Scene::new(toml).config()
}

/// What `config check` says about a bad configuration, and whether an editor with the schema sees it too.
fn refused(toml: &str) -> String {
    let scene = Scene::new(toml);
    let told = match scene.load() {
        Err(told) => told,
        Ok(config) => {
            let unset: Vec<_> = config.unset().iter().map(ToString::to_string).collect();
            assert!(!unset.is_empty(), "no refusal: {toml}");
            scene.placed(&unset.join("\n"))
        }
    };
    match editor_accepts(toml) {
        Some(true) => told + "\n(an editor accepts it)",
        Some(false) => told + "\n(an editor marks it)",
        None => told,
    }
}

/// Whether the schema accepts a text; `None` if it is no TOML.
fn editor_accepts(toml: &str) -> Option<bool> {
    let value: toml::Table = toml::from_str(toml).ok()?;
    let json = serde_json::to_value(value).expect("JSON of TOML");
    let validator = jsonschema::validator_for(&super::schema()).expect("a valid schema");
    Some(validator.is_valid(&json))
}

/// What `config show` prints, its columns closed up: their width depends on the directory's name.
fn shown(scene: &Scene) -> String {
    let show = super::show(&scene.config());
    let closed_up = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ") + "\n";
    scene.placed(&show.to_string()).lines().map(closed_up).collect()
}

/// The root of the repository.
fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).expect("crates/highwater").to_owned()
}
