//! `highwater install`: a host made ready, once, below a root and in a system of its own.

mod system;

use std::collections::BTreeMap;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use highwater_testkit::not_here::NotHere;

use crate::rig::{Ended, HIGHWATER, KILLED, Rig, dice, end, pause, wait_until};

/// How often a call is killed.
const ROUNDS: usize = 12;
/// Within so many microseconds of its start: about as long as a whole one takes.
const KILL_MICROS_MAX: u64 = 500_000;

/// What a file is: its mode, whether owner and group are root's, and what stands in it. Which number a user gets is useradd's to say.
type Kept = BTreeMap<String, (u32, bool, bool, Vec<u8>)>;

/// Everything below a directory.
fn tree(root: &Path) -> Kept {
    fn walk(root: &Path, below: &Path, kept: &mut Kept) {
        for entry in std::fs::read_dir(below).unwrap() {
            let path = entry.unwrap().path();
            let meta = path.symlink_metadata().unwrap();
            let bytes = if meta.is_file() { std::fs::read(&path).unwrap() } else { Vec::new() };
            let name = path.strip_prefix(root).unwrap().display().to_string();
            kept.insert(name, (meta.mode() & 0o7777, meta.uid() == 0, meta.gid() == 0, bytes));
            if meta.is_dir() {
                walk(root, &path, kept);
            }
        }
    }
    let mut kept = Kept::new();
    walk(root, root, &mut kept);
    kept
}

/// Which file it is, and when what stands in it and what is said of it changed last, in nanoseconds.
type Stamp = (u64, (i64, i64), (i64, i64));

/// That of everything below a directory, and its own: what is written anew is another file, or one that changed just now.
fn stamps(root: &Path) -> BTreeMap<String, Stamp> {
    let paths = std::iter::once(String::new()).chain(tree(root).into_keys());
    let stamp = |path: &str| {
        let meta = root.join(path).symlink_metadata().unwrap();
        (meta.ino(), (meta.mtime(), meta.mtime_nsec()), (meta.ctime(), meta.ctime_nsec()))
    };
    paths.map(|path| (path.clone(), stamp(&path))).collect()
}

fn is_root() -> bool {
    nix::unistd::geteuid().is_root()
}

/// A root below the rig, with a program where one is expected, so that none is copied.
fn root(rig: &Rig) -> String {
    let root = rig.path("root dir");
    std::fs::create_dir_all(root.join("usr/bin")).unwrap();
    std::fs::write(root.join("usr/bin/highwater"), "").unwrap();
    root.to_str().unwrap().to_owned()
}

fn installed(rig: &Rig, root: &str, role: &str) -> Ended {
    rig.run(&["install", role, "--root", root, "--program", "/usr/bin/highwater"])
}

/// Users, so that one can be made.
fn users(root: &str) {
    let etc = Path::new(root).join("etc");
    std::fs::create_dir_all(&etc).unwrap();
    for (name, text) in [
        ("passwd", "root:x:0:0:root:/root:/bin/sh\n"),
        ("group", "root:x:0:\n"),
        ("shadow", "root:*:1::::::\n"),
        ("gshadow", "root:*::\n"),
    ] {
        std::fs::write(etc.join(name), text).unwrap();
    }
}

fn mode(root: &str, path: &str) -> u32 {
    Path::new(root).join(path).metadata().unwrap().mode() & 0o7777
}

#[test]
fn root_is_no_user_of_services_by_whatever_name() {
    let rig = Rig::new("");
    let root = root(&rig);
    users(&root);
    let passwd = Path::new(&root).join("etc/passwd");
    std::fs::write(&passwd, "root:x:0:0:root:/root:/bin/sh\ntoor:x:0:0:root:/root:/bin/sh\n").unwrap();
    let before = tree(Path::new(&root));
    for name in ["root", "0", "toor"] {
        let ended =
            rig.run(&["install", "receiver", "--root", &root, "--program", "/usr/bin/highwater", "--user", name]);
        assert!(ended.code == 2 && ended.stderr.contains("error[HW-UNI-005]: --user: found "), "{name}: {ended:?}");
        assert!(ended.stderr.contains("which is root") && ended.stderr.contains("next: name another"), "{ended:?}");
        assert_eq!(tree(Path::new(&root)), before, "{name}: nothing is made");
    }
}

#[test]
fn twice_nothing_changes_and_each_role_has_what_it_needs() {
    for (role, unit, directories) in [
        ("receiver", "highwater-receive.service", &[("var/lib/highwater/received", 0o750)][..]),
        (
            "lab-host",
            "highwater-ship-send.service",
            &[("var/lib/highwater/episodes", 0o2770), ("var/lib/highwater/shipped", 0o750)],
        ),
    ] {
        let rig = Rig::new("");
        let root = root(&rig);
        if role == "receiver" && is_root() {
            // With a user of its own, to whom what it has is given.
            users(&root);
        }
        let first = installed(&rig, &root, role);
        assert_eq!(first.code, 0, "{first:?}");
        let service = std::fs::read_to_string(Path::new(&root).join("etc/systemd/system").join(unit)).unwrap();
        assert!(
            service.contains("ExecStart=/usr/bin/highwater ")
                && service.contains("--config /etc/highwater/highwater.toml"),
            "{service}"
        );
        assert!(!service.contains(&root) && service.contains("User=highwater\n"), "{service}");
        for (path, wanted) in directories.iter().chain(&[("etc/highwater", 0o750), ("var/lib/highwater/state", 0o700)])
        {
            assert_eq!(mode(&root, path), *wanted, "{path}");
        }
        for page in
            ["man/man1/highwater-run.1", "bash-completion/completions/highwater", "zsh/site-functions/_highwater"]
        {
            assert!(Path::new(&root).join("usr/share").join(page).is_file(), "{page}");
        }
        let (before, stamped) = (tree(Path::new(&root)), stamps(Path::new(&root)));
        let again = installed(&rig, &root, role);
        assert!(
            again.code == 0 && again.stdout.contains("nothing changed") && !again.stdout.contains("\ndone"),
            "{again:?}"
        );
        assert!(before == tree(Path::new(&root)), "something changed");
        assert_eq!(stamps(Path::new(&root)), stamped, "what is as it was is not written anew");
        let already: Vec<_> = again.stdout.lines().filter(|line| line.starts_with("already so")).collect();
        for path in
            ["/etc/highwater/highwater.toml", unit, "/usr/share/man/man1: ", "completions/highwater", "_highwater"]
        {
            assert!(already.iter().any(|line| line.contains(path)), "{path}: {again:?}");
        }
        assert!(again.stdout.contains(&format!("nothing changed; {} steps were done before", already.len())));
    }
}

#[test]
fn the_units_that_are_installed_are_those_that_systemd_prints() {
    let rig = Rig::new("");
    let root = root(&rig);
    assert_eq!(installed(&rig, &root, "receiver").code, 0);
    let config = rig.ok(&["install", "receiver", "--print-config"]).stdout;
    assert_eq!(config, std::fs::read_to_string(Path::new(&root).join("etc/highwater/highwater.toml")).unwrap());
    rig.write("highwater.toml", &config);
    rig.script("program", "");
    // The rig lies in a temporary directory, which is a matter of its own.
    let in_tmp = "# What it shares with others lies in /tmp or /var/tmp, so these are everybody's.\nPrivateTmp=no\nReadWritePaths=/tmp /var/tmp\n";
    let printed = rig.ok(&["systemd", "--json", "--user", "highwater", "--program", "program"]).json();
    let here = |text: &str| text.replace(rig.dir.path().canonicalize().unwrap().to_str().unwrap(), "/etc/highwater");
    let printed = here(printed["units"][0]["text"].as_str().unwrap())
        .replace("ExecStart=/etc/highwater/program", "ExecStart=/usr/bin/highwater")
        .replace(in_tmp, "PrivateTmp=yes\n");
    let service = Path::new(&root).join("etc/systemd/system/highwater-receive.service");
    assert_eq!(printed, std::fs::read_to_string(service).unwrap());
}

#[test]
fn a_rehearsal_tells_what_it_would_do_and_does_nothing() {
    let rig = Rig::new("");
    let said = rig.ok(&["install", "lab-host", "--root", "nowhere", "--dry-run"]);
    assert!(said.stdout.contains("would do     unit          highwater-ship-send.service"), "{said:?}");
    assert!(!rig.path("nowhere").exists());
    let root = root(&rig);
    installed(&rig, &root, "lab-host");
    let before = tree(Path::new(&root));
    let said = rig
        .ok(&["install", "lab-host", "--root", &root, "--program", "/usr/bin/highwater", "--dry-run", "--json"])
        .json();
    let would = said["steps"].as_array().unwrap().iter().filter(|step| step["state"] == "would-do").count();
    assert_eq!(would, 0, "{said}");
    assert!(before == tree(Path::new(&root)));
}

#[test]
fn a_configuration_that_is_there_is_never_touched_and_one_for_something_else_is_refused() {
    let rig = Rig::new("");
    let root = root(&rig);
    installed(&rig, &root, "receiver");
    let file = Path::new(&root).join("etc/highwater/highwater.toml");
    let mine = std::fs::read_to_string(&file).unwrap().replace("0.0.0.0:8460", "0.0.0.0:443");
    std::fs::write(&file, &mine).unwrap();
    let again = installed(&rig, &root, "receiver");
    assert_eq!(again.code, 0, "{again:?}");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), mine);
    let service =
        std::fs::read_to_string(Path::new(&root).join("etc/systemd/system/highwater-receive.service")).unwrap();
    assert!(service.contains("AmbientCapabilities=CAP_NET_BIND_SERVICE\n"), "a port of root's: {service}");

    let other = installed(&rig, &root, "lab-host");
    let told = format!("error[HW-INS-003]: {}: ", file.display());
    assert!(other.code == 2 && other.stderr.contains(&told) && other.stderr.contains("--print-config"), "{other:?}");
    // As it is told.
    let (_, told) = other.stderr.split_once("append what `highwater ").unwrap();
    let (told, _) = told.split_once('`').unwrap();
    let appended = rig.sh(&format!("'{HIGHWATER}' {told} >>'{}'", file.display()));
    assert_eq!(appended.code, 0, "{appended:?}");
    let both = installed(&rig, &root, "lab-host");
    assert!(both.code == 0 && both.stdout.contains("highwater-ship-send.service"), "{both:?}");

    std::fs::write(&file, "[job.send\n").unwrap();
    let broken = installed(&rig, &root, "lab-host");
    assert!(broken.code == 2 && broken.stderr.contains("highwater.toml:1"), "{broken:?}");
}

#[test]
fn a_symlink_in_the_programs_place_stays_whatever_it_leads_to() {
    let rig = Rig::new("");
    let root = root(&rig);
    let below = |path: &str| Path::new(&root).join(path);
    std::fs::create_dir_all(below("usr/local/bin")).unwrap();
    std::fs::create_dir_all(below("srv/versions")).unwrap();
    std::fs::write(below("srv/versions/older"), "another program").unwrap();
    std::fs::copy(HIGHWATER, below("srv/versions/this")).unwrap();
    let link = below("usr/local/bin/highwater");
    let call = ["install", "receiver", "--root", &root];
    for (to, state, found) in [
        ("/srv/versions/older", "left to you", "which is not this program; it stays as it is"),
        ("/nowhere", "left to you", "which is not this program; it stays as it is"),
        ("/srv/versions/this", "already so", "which is this program"),
        ("../../../srv/versions/this", "already so", "which is this program"),
    ] {
        std::os::unix::fs::symlink(to, &link).unwrap();
        let said = rig.ok(&call).stdout;
        let told = format!("/usr/local/bin/highwater is a symlink to {to}, {found}");
        let line = said.lines().find(|line| line.contains(" program ")).unwrap_or_default();
        assert!(line.starts_with(state) && line.contains(&told), "{said}");
        assert_eq!(std::fs::read_link(&link).unwrap(), Path::new(to));
        std::fs::remove_file(&link).unwrap();
    }
    assert_eq!(std::fs::read(below("srv/versions/older")).unwrap(), b"another program");
    rig.ok(&call);
    assert!(link.symlink_metadata().unwrap().is_file(), "where nothing is, it is put");
}

#[test]
fn a_kill_at_any_moment_is_finished_by_the_next_call() {
    let rig = Rig::new("");
    let mut dice = dice("a kill at any moment");
    let whole = root(&rig);
    users(&whole);
    let clean = installed(&rig, &whole, "lab-host");
    assert_eq!(clean.code, 0, "{clean:?}");
    let whole = tree(Path::new(&whole));
    let mut killed = 0;
    for round in 0..ROUNDS {
        let rig = Rig::new("");
        let root = root(&rig);
        users(&root);
        if round % 2 == 0 && is_root() {
            // Past the slowest step.
            installed(&rig, &root, "lab-host");
            for made in ["etc/highwater", "etc/systemd", "var", "usr/share"] {
                std::fs::remove_dir_all(Path::new(&root).join(made)).unwrap();
            }
        }
        let args = ["install", "lab-host", "--root", &root, "--program", "/usr/bin/highwater"];
        let mut child = rig.command(&args).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        pause(Duration::from_micros(dice.u64(0..KILL_MICROS_MAX)));
        let _ = child.kill();
        killed += usize::from(end(child).code == KILLED);
        // A useradd that outlives the kill holds the users' lock for a moment, and the error says so.
        wait_until("an installation after a kill", || {
            let done = installed(&rig, &root, "lab-host");
            assert!(done.code == 0 || done.stderr.contains("lock"), "{round}: {done:?}");
            done.code == 0
        });
        let mut kept = tree(Path::new(&root));
        kept.retain(|path, _| {
            !path.starts_with("etc/") || path.starts_with("etc/highwater") || path.starts_with("etc/systemd")
        });
        for (path, wanted) in &whole {
            if path.starts_with("etc/") && !path.starts_with("etc/highwater") && !path.starts_with("etc/systemd") {
                continue;
            }
            let (mode, uid, gid, bytes) = kept.remove(path).unwrap_or_else(|| panic!("{round}: {path} is not there"));
            let here = (mode, uid, gid, bytes.len());
            assert_eq!(here, (wanted.0, wanted.1, wanted.2, wanted.3.len()), "{round}: {path}");
            assert!(bytes == wanted.3, "{round}: {path} holds something else");
        }
        assert!(kept.is_empty(), "{round}: {:?}", kept.keys());
    }
    eprintln!("killed {killed} of {ROUNDS} before their end");
}

#[test]
fn below_a_root_with_users_the_service_has_its_own() {
    if !is_root() {
        return NotHere("not root".to_owned()).say("an installation with a user of its own");
    }
    let rig = Rig::new("");
    let root = root(&rig);
    users(&root);
    // A group of its name that an older call left.
    let groups = Path::new(&root).join("etc/group");
    std::fs::write(&groups, "root:x:0:\nhighwater:x:777:\n").unwrap();
    let said = installed(&rig, &root, "receiver");
    assert!(said.code == 0 && said.stdout.contains("done         user          highwater"), "{said:?}");
    let passwd = std::fs::read_to_string(Path::new(&root).join("etc/passwd")).unwrap();
    let line = passwd.lines().find(|line| line.starts_with("highwater:")).unwrap();
    let fields: Vec<_> = line.split(':').collect();
    assert_eq!((fields[3], fields[5], fields[6]), ("777", "/var/lib/highwater", "/usr/sbin/nologin"), "{line}");
    let uid: u32 = fields[2].parse().unwrap();
    let owner = |path: &str| {
        let meta = Path::new(&root).join(path).metadata().unwrap();
        (meta.uid(), meta.gid(), meta.mode() & 0o7777)
    };
    assert_eq!(owner("var/lib/highwater/received"), (uid, 777, 0o750));
    assert_eq!(owner("var/lib/highwater/state"), (uid, 777, 0o700));
    assert_eq!(owner("etc/highwater"), (0, 777, 0o750));
    assert_eq!(owner("etc/highwater/highwater.toml"), (0, 777, 0o640));

    // What somebody chose stays; what an interrupted call left is mended; what is a stranger's is told.
    let path = |path: &str| Path::new(&root).join(path);
    std::fs::set_permissions(path("var/lib/highwater/received"), PermissionsExt::from_mode(0o755)).unwrap();
    std::os::unix::fs::chown(path("var/lib/highwater/state"), Some(0), Some(0)).unwrap();
    std::os::unix::fs::chown(path("etc/highwater/highwater.toml"), Some(0), Some(0)).unwrap();
    std::fs::create_dir_all(path("etc/highwater/tls")).unwrap();
    std::fs::write(path("etc/highwater/tls/receiver.key"), "key").unwrap();
    std::fs::set_permissions(path("etc/highwater/tls/receiver.key"), PermissionsExt::from_mode(0o600)).unwrap();
    let said = installed(&rig, &root, "receiver");
    assert_eq!(said.code, 0, "{said:?}");
    assert_eq!(owner("var/lib/highwater/received").2, 0o755);
    assert_eq!(owner("var/lib/highwater/state"), (uid, 777, 0o700));
    assert_eq!(owner("etc/highwater/highwater.toml"), (0, 777, 0o640));
    assert!(said.stdout.contains("receiver.key cannot be read by highwater"), "{said:?}");
    // A link that the service's user may have put where its own directory was.
    std::fs::create_dir_all(path("usr/secret/of-root")).unwrap();
    std::fs::remove_dir(path("var/lib/highwater/state")).unwrap();
    std::os::unix::fs::symlink(path("usr/secret"), path("var/lib/highwater/state")).unwrap();
    let said = installed(&rig, &root, "receiver");
    assert!(said.stdout.contains("/var/lib/highwater/state is a link"), "{said:?}");
    assert_eq!(owner("usr/secret").0, 0, "nothing of root's is handed over");
    std::os::unix::fs::chown(path("var/lib/highwater/received"), Some(uid + 1), Some(0)).unwrap();
    let said = installed(&rig, &root, "receiver");
    assert!(said.stdout.contains("/var/lib/highwater/received belongs to"), "{said:?}");
}

#[test]
fn a_root_whose_links_lead_out_of_it_is_refused_and_nothing_is_written_there() {
    let rig = Rig::new("");
    for (link, to) in [("etc", "out"), ("etc/systemd", "out"), ("var/lib", "out"), ("etc", "/")] {
        let (root, out) = (rig.path("root"), rig.path("out"));
        std::fs::create_dir_all(root.join(link).parent().unwrap()).unwrap();
        std::fs::create_dir_all(&out).unwrap();
        std::os::unix::fs::symlink(rig.path(to), root.join(link)).unwrap();
        for more in [&[][..], &["--dry-run"]] {
            let refused = rig.run(&[&["install", "receiver", "--root", "root"], more].concat());
            assert!(refused.code == 2 && refused.stderr.contains("it leads out of"), "{link}: {refused:?}");
        }
        assert_eq!(std::fs::read_dir(&out).unwrap().count(), 0, "{link}");
        std::fs::remove_dir_all(&root).unwrap();
    }
    // One that stays within is as good as a directory.
    std::fs::create_dir_all(rig.path("root/data")).unwrap();
    std::os::unix::fs::symlink("data", rig.path("root/etc")).unwrap();
    assert_eq!(rig.run(&["install", "receiver", "--root", "root"]).code, 0);
    assert!(rig.path("root/data/highwater").is_dir());
}

#[test]
fn wrong_calls_are_refused_and_change_nothing() {
    let rig = Rig::new("");
    rig.write("file", "");
    let root = root(&rig);
    let before = tree(Path::new(&root));
    let calls: [(&[&str], i32, &str); 7] = [
        (&["receiver", "--root", "file"], 2, "HW-INS-004"),
        (&["receiver", "--root", &root, "--user", "a b"], 2, "HW-UNI-005"),
        (&["receiver", "--root", &root, "--config", "lab.toml"], 2, "HW-INS-004"),
        (&["receiver", "--root", &root, "--program", "highwater"], 2, "HW-INS-004"),
        (&["receiver", "--root", &root, "--every", "0s"], 2, "HW-UNI-005"),
        (&["receiver", "--root", &root, "--ledger", "file"], 2, "HW-CMD-001"),
        (&["reciever", "--root", &root], 2, "receiver"),
    ];
    for (args, code, told) in calls {
        let refused = rig.run(&[&["install"], args].concat());
        assert!(refused.code == code && refused.stderr.contains(told), "{args:?}: {refused:?}");
    }
    assert!(before == tree(Path::new(&root)));

    std::fs::create_dir_all(Path::new(&root).join("var/lib")).unwrap();
    std::fs::write(Path::new(&root).join("var/lib/highwater"), "").unwrap();
    let blocked = installed(&rig, &root, "receiver");
    assert!(
        blocked.code == 1 && blocked.stderr.contains("HW-INS-002") && blocked.stdout.contains("done"),
        "{blocked:?}"
    );
    std::fs::remove_file(Path::new(&root).join("var/lib/highwater")).unwrap();
    assert_eq!(installed(&rig, &root, "receiver").code, 0, "the next call goes on");
}

#[test]
fn anyone_but_root_is_refused_on_the_machine_itself() {
    let rig = Rig::new("");
    let mut command = rig.command(&["install", "receiver"]);
    command.current_dir("/");
    if is_root() {
        // nobody
        command.uid(65_534).gid(65_534);
    }
    match command.output() {
        Ok(said) => {
            let said = Ended::from(said);
            assert!(said.code == 2 && said.stderr.contains("HW-INS-001"), "{said:?}");
        }
        Err(error) => {
            NotHere(format!("nobody cannot start the program: {error}")).say("an installation by another than root")
        }
    }
}

#[test]
fn a_configuration_with_a_name_of_its_own_is_where_the_call_says() {
    let rig = Rig::new("");
    let root = root(&rig);
    let said = rig.ok(&[
        "install",
        "receiver",
        "--root",
        &root,
        "--program",
        "/usr/bin/highwater",
        "--config",
        "/etc/my lab/50%.toml",
    ]);
    assert!(said.stdout.contains("/etc/my lab/50%.toml"), "{said:?}");
    let service =
        std::fs::read_to_string(Path::new(&root).join("etc/systemd/system/highwater-receive.service")).unwrap();
    assert!(service.contains("--config \"/etc/my lab/50%%.toml\""), "{service}");
    assert!(Path::new(&root).join("etc/my lab/50%.toml").is_file());
}
