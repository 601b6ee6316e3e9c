//! The user that services run as. Owns how it is found, on the machine and below a root, and how it is made.

use std::fs;
use std::path::Path;
use std::process::Command;

use highwater_engine::diagnosis::Diagnosis;
use nix::unistd::{Group, User};

use super::CANNOT;
use super::stage::Stage;

/// Where what is the service's lies.
pub(super) const HOME: &str = "/var/lib/highwater";
/// It logs in nowhere.
const SHELL: &str = "/usr/sbin/nologin";
/// Where useradd is, for a root without the directories of administrators on its path.
const USERADD: [&str; 2] = ["useradd", "/usr/sbin/useradd"];
/// The users of a root, and its groups.
const PASSWD: &str = "/etc/passwd";
const GROUPS: &str = "/etc/group";

/// A user.
#[derive(Debug, Clone)]
pub(super) struct Account {
    /// Its name.
    pub(super) name: String,
    /// Its numbers, and those of its group; none where it is not there.
    pub(super) ids: Option<(u32, u32)>,
}

impl Account {
    /// Nobody yet.
    pub(super) fn unknown() -> Self {
        Self { name: String::new(), ids: None }
    }

    /// The user of this name, made where there is none and one can be made from here.
    ///
    /// # Errors
    /// `useradd` does not make it.
    pub(super) fn ready(stage: &mut Stage, name: &str) -> Result<Self, Diagnosis> {
        let root = stage.root().map(Path::to_owned);
        let ids = ids_of(root.as_deref(), name);
        if ids.is_some() {
            stage.as_it_was("user", name.to_owned());
            return Ok(Self { name: name.to_owned(), ids });
        }
        let words = words(root.as_deref(), name);
        let by_hand = || {
            format!(
                "`useradd {}`",
                words.iter().map(|word| highwater_engine::shell::quoted(word)).collect::<Vec<_>>().join(" ")
            )
        };
        // A root that is no system yet, such as a package's, has no users; nor may anyone but root make one.
        let has_users = root.as_deref().is_none_or(|root| super::stage::below(Some(root), Path::new(PASSWD)).is_file());
        if root.is_some() && !(has_users && stage.is_root()) {
            let found = format!("{name} is not made below a root without users, or by another than root");
            stage.left("user", found, &format!("on the machine: `useradd {}`", self::words(None, name).join(" ")));
            return Ok(Self { name: name.to_owned(), ids });
        }
        if stage.rehearses() {
            stage.would("user", name.to_owned());
            return Ok(Self { name: name.to_owned(), ids });
        }
        let made = made(&words);
        // Another call's useradd, which outlived a kill of it, may have been first.
        let ids = ids_of(root.as_deref(), name);
        if let (Err(why), None) = (made, ids) {
            return Err(Diagnosis::failure(
                CANNOT,
                format!("the user {name} cannot be made: {why}"),
                format!("make it, and call again: {}", by_hand()),
            ));
        }
        stage.done("user", name.to_owned());
        Ok(Self { name: name.to_owned(), ids })
    }
}

/// What useradd is told: a user of the system's, with a group of its own, or that which is there of its name.
fn words(root: Option<&Path>, name: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    if let Some(root) = root {
        words.extend(["--prefix".to_owned(), root.display().to_string()]);
    }
    words.extend(["--system", "--home-dir", HOME, "--no-create-home", "--shell", SHELL].map(str::to_owned));
    if group_of(root, name).is_some() {
        words.extend(["--gid".to_owned(), name.to_owned()]);
    } else {
        words.push("--user-group".to_owned());
    }
    words.push(name.to_owned());
    words
}

fn made(words: &[String]) -> Result<(), String> {
    let mut last = "there is no useradd here".to_owned();
    for program in USERADD {
        match Command::new(program).args(words).output() {
            Ok(said) if said.status.success() => return Ok(()),
            Ok(said) => return Err(String::from_utf8_lossy(&said.stderr).trim().to_owned()),
            Err(error) => last = format!("useradd cannot be started: {error}"),
        }
    }
    Err(last)
}

fn ids_of(root: Option<&Path>, name: &str) -> Option<(u32, u32)> {
    match root {
        None => User::from_name(name).ok().flatten().map(|user| (user.uid.as_raw(), user.gid.as_raw())),
        Some(_) => {
            let fields = line_of(root, PASSWD, name)?;
            Some((fields.get(2)?.parse().ok()?, fields.get(3)?.parse().ok()?))
        }
    }
}

fn group_of(root: Option<&Path>, name: &str) -> Option<u32> {
    match root {
        None => Group::from_name(name).ok().flatten().map(|group| group.gid.as_raw()),
        Some(_) => line_of(root, GROUPS, name)?.get(2)?.parse().ok(),
    }
}

/// The fields of a line of a root's users or groups.
fn line_of(root: Option<&Path>, file: &str, name: &str) -> Option<Vec<String>> {
    let text = fs::read_to_string(super::stage::below(root, Path::new(file))).ok()?;
    let line = text.lines().find(|line| line.split(':').next() == Some(name))?;
    Some(line.split(':').map(str::to_owned).collect())
}
