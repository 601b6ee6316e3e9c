//! Whose a ledger is, or will be. Owns the rule that commands run as its owner: root drops to it, anyone else is refused with the line
//! that works, so that nothing of another user is left in the state directory.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use highwater_engine::diagnosis::Diagnosis;
use highwater_engine::shell::quoted;
use nix::unistd::{Gid, Uid, User, geteuid, initgroups, setgid, setgroups, setuid};

/// The name a person is known by in the audit trail: the one who called `sudo`, else the user.
pub(crate) fn person() -> String {
    let sudo = std::env::var("SUDO_USER").ok().filter(|name| !name.is_empty() && geteuid().is_root());
    sudo.unwrap_or_else(|| name_of(geteuid()))
}

/// A user's name, else its number.
pub(crate) fn name_of(uid: Uid) -> String {
    match User::from_uid(uid) {
        Ok(Some(user)) => user.name,
        _ => uid.to_string(),
    }
}

/// Becomes the owner of the first of these paths that is there.
///
/// # Errors
/// A refusal for another user than the owner; a failure when root cannot drop to it.
pub(crate) fn become_owner(paths: &[&Path]) -> Result<(), Diagnosis> {
    // A closed directory hides what is in it, but not whose it is.
    let mut closed = None;
    for path in paths {
        let meta = match fs::metadata(path) {
            Ok(meta) => meta,
            Err(e) if e.kind() == ErrorKind::NotFound || e.kind() == ErrorKind::NotADirectory => continue,
            Err(e) if e.kind() == ErrorKind::PermissionDenied => {
                closed.get_or_insert(path);
                continue;
            }
            Err(e) => {
                return Err(Diagnosis::failure(
                    "HW-OWN-002",
                    format!("cannot be read: {e}"),
                    "mend the path or its disk, and call again",
                )
                .in_file(*path));
            }
        };
        let (owner, group) = (Uid::from_raw(meta.uid()), Gid::from_raw(meta.gid()));
        let me = geteuid();
        if me == owner {
            return Ok(());
        }
        return if me.is_root() {
            drop_to(owner, group, path)
        } else {
            Err(refusal(closed.unwrap_or(path), Some(owner)))
        };
    }
    closed.map_or(Ok(()), |path| Err(refusal(path, None)))
}

/// As root, becomes the owner of a path, or of the nearest directory above it that is there: what is about to be made there is
/// theirs. Anyone else stays who they are: what they may make is the system's to say.
///
/// # Errors
/// As [`become_owner`].
pub(crate) fn become_owner_of_new(path: &Path) -> Result<(), Diagnosis> {
    if !geteuid().is_root() {
        return Ok(());
    }
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    match absolute.ancestors().find(|above| above.exists()) {
        Some(above) => become_owner(&[above]),
        None => Ok(()),
    }
}

fn refusal(path: &Path, owner: Option<Uid>) -> Diagnosis {
    let me = name_of(geteuid());
    let whose = owner.map_or_else(|| "another user".to_owned(), name_of);
    let command: Vec<String> = std::env::args().skip(1).map(|word| quoted(&word)).collect();
    let user = if owner.is_some() { whose.as_str() } else { "OWNER" };
    Diagnosis::refusal(
        "HW-OWN-001",
        format!("it belongs to {whose} and this is {me}; expected its owner, so that its files stay readable to their passes"),
        format!("sudo -u {user} highwater {}", command.join(" ")),
    )
    .in_file(path)
}

fn drop_to(owner: Uid, group: Gid, path: &Path) -> Result<(), Diagnosis> {
    let dropped = match User::from_uid(owner) {
        Ok(Some(user)) => match std::ffi::CString::new(user.name) {
            Ok(name) => initgroups(&name, user.gid).and_then(|()| setgid(user.gid)),
            Err(_) => setgroups(&[]).and_then(|()| setgid(group)),
        },
        _ => setgroups(&[]).and_then(|()| setgid(group)),
    };
    dropped.and_then(|()| setuid(owner)).map_err(|e| {
        Diagnosis::failure(
            "HW-OWN-002",
            format!("root could not become its owner, {}: {e}", name_of(owner)),
            format!("run it as that user: sudo -u {} highwater …", name_of(owner)),
        )
        .in_file(path)
    })
}
