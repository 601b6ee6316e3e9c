//! `highwater systemd`: units that systemd takes, that are written once, and that confine what can be confined.

use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::Command;

use highwater_testkit::not_here::NotHere;

use crate::rig::{Ended, Rig};

/// Each kind of service: a receiver, a shipper, a job that starts commands, one that does not.
const CONFIG: &str = r#"
state-dir = "/var/lib/lab/state"
[receiver]
listen = "127.0.0.1:8460"
root = "/var/lib/lab/received"
[[receiver.tokens]]
name = "lab"
sha256 = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"
hosts = ["*"]
[job.send]
kind = "ship"
receiver = "https://receiver.example.org"
episodes = "/srv/lab/episodes"
outbox = "/srv/lab/outbox"
shipped = "/srv/lab/shipped"
[job.load]
kind = "exec"
command = ["true"]
timeout = "5m"
recurring = true
[job.rows]
kind = "reindex"
root = "/var/lib/lab/received"
"#;

/// The directory that units are written to, made.
fn units(rig: &Rig) -> String {
    let directory = rig.path("units");
    std::fs::create_dir_all(&directory).unwrap();
    directory.to_str().unwrap().to_owned()
}

fn names(directory: &str) -> Vec<String> {
    let entries = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<_> = entries.collect();
    names.sort();
    names
}

/// What systemd says of the units in a directory; nothing where it takes them.
fn verified(directory: &str) -> Result<String, NotHere> {
    let mut verify = Command::new("systemd-analyze");
    verify.args(["verify", "--man=no"]).args(names(directory).iter().map(|name| format!("{directory}/{name}")));
    let said = verify.output().map_err(|error| NotHere(format!("systemd-analyze cannot be run: {error}")))?;
    let said = Ended::from(said);
    Ok(if said.code == 0 { said.stderr } else { format!("exit {}: {}", said.code, said.stderr) })
}

/// A unit, with what is this call's and this machine's alone left out.
fn unit(rig: &Rig, name: &str) -> String {
    let text = rig.read(&format!("units/{name}"));
    text.replace(rig.dir.path().canonicalize().unwrap().to_str().unwrap(), "/home/lab")
}

#[test]
fn every_job_has_its_units_and_systemd_takes_them() {
    let rig = Rig::new(CONFIG);
    let directory = units(&rig);
    let said = rig.ok(&["systemd", "--write", &directory, "--user", "daemon"]);
    let expected = [
        "highwater-receive.service",
        "highwater-run-load.service",
        "highwater-run-load.timer",
        "highwater-run-rows.service",
        "highwater-run-rows.timer",
        "highwater-ship-send.service",
    ];
    assert_eq!(names(&directory), expected, "{said:?}");
    let enable =
        "systemctl enable --now highwater-receive.service highwater-ship-send.service highwater-run-load.timer";
    assert!(said.stdout.contains(enable), "{said:?}");
    match verified(&directory) {
        Ok(said) => assert_eq!(said, ""),
        Err(not_here) => not_here.say("systemd takes the units"),
    }
}

#[test]
fn each_service_is_confined_to_what_the_configuration_says() {
    let rig = Rig::new(&CONFIG.replace("\"/srv/lab/", "\"/var/spool/lab/"));
    let program = rig.path("bin");
    rig.script("bin", "");
    let directory = units(&rig);
    rig.ok(&["systemd", "--write", &directory, "--user", "daemon", "--program", program.to_str().unwrap()]);
    // The rig lies in a temporary directory, which is a matter of its own.
    let plain = |name: &str| {
        unit(&rig, name).replace("# What it shares with others lies in /tmp or /var/tmp, so these are everybody's.\nPrivateTmp=no\nReadWritePaths=/tmp /var/tmp\n", "PrivateTmp=yes\n")
    };
    for name in [
        "highwater-receive.service",
        "highwater-ship-send.service",
        "highwater-run-load.service",
        "highwater-run-rows.timer",
    ] {
        insta::assert_snapshot!(name, plain(name));
    }
}

#[test]
fn paths_with_spaces_percent_quotes_and_dollars_are_read_by_systemd_as_they_are() {
    let rig = Rig::new("");
    let odd = rig.path("a b/50%n $HOME \"q\" \\ ü;'");
    std::fs::create_dir_all(&odd).unwrap();
    let config = odd.join("high water.toml");
    let text = CONFIG.replace("/srv/lab/", odd.to_str().unwrap().replace('\\', "\\\\").replace('"', "\\\"").as_str());
    std::fs::write(&config, text.replace("/var/lib/lab/state", "state 100%")).unwrap();
    let directory = units(&rig);
    rig.ok(&["systemd", "--write", &directory, "--user", "daemon", "--config", config.to_str().unwrap()]);
    let service = rig.read("units/highwater-run-load.service");
    let line = service.lines().find(|line| line.starts_with("ExecStart=")).unwrap();
    assert!(line.contains(r#"/a b/50%%n $$HOME \"q\" \\ ü;'/high water.toml""#), "{line}");
    let rows = rig.read("units/highwater-run-rows.service");
    assert!(rows.contains(r#"/a b/50%%n $HOME \"q\" \\ ü;'/state 100%%""#), "{rows}");
    match verified(&directory) {
        Ok(said) => assert_eq!(said, ""),
        Err(not_here) => not_here.say("systemd reads odd paths"),
    }
}

#[test]
fn a_lock_that_others_take_too_can_be_opened_by_them_and_lies_where_the_service_may_write() {
    let shared = "\nresources = [\"source\"]\n[resource.source]\nlock = \"file:/var/lock/source.lock\"\nban-file = \"/srv/bans/source\"\n";
    let rig = Rig::new(&format!("{CONFIG}{shared}"));
    let service = rig.ok(&["systemd", "--job", "rows", "--user", "daemon"]).stdout;
    for line in ["ReadWritePaths=/var/lock\n", "ReadWritePaths=/srv/bans\n", "ReadWritePaths=/var/lib/lab/received\n"] {
        assert!(service.contains(line), "{line}: {service}");
    }
    assert!(!service.contains("UMask="), "{service}");
    assert!(rig.ok(&["systemd", "--job", "send", "--user", "daemon"]).stdout.contains("UMask=0027\n"));
}

#[test]
fn a_database_a_socket_and_a_certificate_in_a_home_stay_within_reach() {
    let job = |database: &str| {
        format!(
            "[job.usage]\nkind = \"rollup\"\ndatabase = \"{database}\"\nsource = \"s\"\nevent-time = \"at\"\ngrain = \"hour\"\ntarget = \"t\"\naggregates = {{ n = \"count\" }}\n"
        )
    };
    let service = |database: &str| {
        let rig = Rig::new(&format!("state-dir = \"/var/lib/lab/state\"\n{}", job(database)));
        rig.ok(&["systemd", "--user", "daemon"]).stdout
    };
    assert!(service("sqlite:/var/lib/app/usage.db").contains("ReadWritePaths=/var/lib/app\n"));
    let over_socket = service("postgres://lab@%2Ftmp/usage?sslrootcert=%2Fhome%2Flab%2Fca.pem");
    assert!(
        over_socket.contains("PrivateTmp=no\n") && over_socket.contains("ProtectHome=read-only\n"),
        "{over_socket}"
    );
    assert!(!over_socket.contains("lab@"), "an address may hold a password: {over_socket}");
}

#[test]
fn written_again_nothing_changes_and_what_changed_is_told() {
    let rig = Rig::new(CONFIG);
    let directory = units(&rig);
    rig.ok(&["systemd", "--write", &directory]);
    let inode = || rig.path("units/highwater-receive.service").metadata().unwrap().ino();
    let before = inode();
    let again = rig.ok(&["systemd", "--write", &directory]);
    assert!(again.stdout.ends_with("nothing changed\n") && !again.stdout.contains("made"), "{again:?}");
    assert_eq!(inode(), before);

    rig.write("highwater.toml", &CONFIG.replace("timeout = \"5m\"", "timeout = \"10m\""));
    let changed = rig.ok(&["systemd", "--write", &directory, "--json"]).json();
    let put = |name: &str| {
        let all = changed["units"].as_array().unwrap();
        all.iter().find(|unit| unit["unit"] == name).unwrap()["put"].clone()
    };
    assert_eq!(put("highwater-run-load.service"), "changed");
    assert_eq!(put("highwater-run-load.timer"), "as-it-was");

    rig.write("highwater.toml", &CONFIG[..CONFIG.find("[job.rows]").unwrap()]);
    let gone = rig.ok(&["systemd", "--write", &directory]);
    assert!(gone.stderr.contains("no longer has highwater-run-rows.service highwater-run-rows.timer"), "{gone:?}");
    assert!(names(&directory).contains(&"highwater-run-rows.timer".to_owned()), "a person removes it");
}

#[test]
fn a_timer_keeps_its_times_until_it_is_told_otherwise() {
    let rig = Rig::new(CONFIG);
    let directory = units(&rig);
    let timer = || rig.read("units/highwater-run-load.timer");
    rig.ok(&["systemd", "--write", &directory]);
    assert!(timer().contains("OnCalendar=*:0/30\n"), "{}", timer());
    rig.ok(&["systemd", "--write", &directory, "--job", "load", "--on-calendar", "Mon 06:00"]);
    rig.ok(&["systemd", "--write", &directory]);
    assert!(timer().contains("OnCalendar=Mon 06:00\n") && !timer().contains("0/30"), "{}", timer());
    assert!(rig.read("units/highwater-run-rows.timer").contains("0/30"), "the other job's is its own");
    rig.ok(&["systemd", "--write", &directory, "--every", "15m"]);
    assert!(timer().contains("OnUnitInactiveSec=900s\n") && !timer().contains("OnCalendar"), "{}", timer());
}

#[test]
fn what_somebody_else_wrote_stays_and_nothing_is_written_beside_it() {
    for (name, theirs) in [("a unit", Some("[Service]\nExecStart=/bin/true\n")), ("a masked one", None)] {
        let rig = Rig::new(CONFIG);
        let directory = units(&rig);
        let path = rig.path("units/highwater-run-rows.service");
        match theirs {
            Some(text) => std::fs::write(&path, text).unwrap(),
            None => std::os::unix::fs::symlink("/dev/null", &path).unwrap(),
        }
        let refused = rig.run(&["systemd", "--write", &directory]);
        assert_eq!((refused.code, names(&directory).len()), (2, 1), "{name}: {refused:?}");
        assert!(refused.stderr.contains("HW-UNI-003"), "{name}: {refused:?}");
        rig.ok(&["systemd", "--write", &directory, "--prefix", "lab"]);
        assert_eq!(names(&directory).len(), 7, "{name}");
    }
}

#[test]
fn the_units_of_another_configuration_are_not_overwritten() {
    let (one, other) = (Rig::new(CONFIG), Rig::new(CONFIG));
    let directory = units(&one);
    one.ok(&["systemd", "--write", &directory]);
    let before = one.read("units/highwater-receive.service");
    let refused = other.run(&["systemd", "--write", &directory]);
    assert!(refused.code == 2 && refused.stderr.contains("a unit of another configuration"), "{refused:?}");
    assert_eq!(one.read("units/highwater-receive.service"), before);
    other.ok(&["systemd", "--write", &directory, "--prefix", "other"]);
    assert_eq!(names(&directory).len(), 12);
}

#[test]
fn a_wrong_call_is_refused_with_one_error_and_writes_nothing() {
    let rig = Rig::new(CONFIG);
    let directory = units(&rig);
    rig.write("file", "");
    let nothing = tempfile::tempdir().unwrap();
    std::fs::write(nothing.path().join("highwater.toml"), "").unwrap();
    let empty = nothing.path().join("highwater.toml");
    let missing = nothing.path().join("none.toml");
    let calls: [(&[&str], &str, &str); 13] = [
        (&["--job", "laod"], "HW-CFG-014", "did you mean `load`?"),
        (&["--write", "nowhere"], "HW-UNI-002", "make it"),
        (&["--write", "file"], "HW-UNI-002", "no directory"),
        (&["--user", "lab user"], "HW-UNI-005", "--user"),
        (&["--user", ""], "HW-UNI-005", "--user"),
        (&["--prefix", "a/b"], "HW-UNI-005", "--prefix"),
        (&["--prefix", ""], "HW-UNI-005", "--prefix"),
        (&["--every", "0s"], "HW-UNI-005", "--every"),
        (&["--on-calendar", "daily\nExecStart=/bin/sh"], "HW-UNI-005", "--on-calendar"),
        (&["--program", "/nowhere/highwater"], "HW-UNI-005", "--program"),
        (&["--config", empty.to_str().unwrap()], "HW-UNI-004", "highwater init"),
        (&["--config", missing.to_str().unwrap()], "HW-CFG-", "none.toml"),
        (&["--receiver", "--config", empty.to_str().unwrap()], "HW-CFG-", "[receiver]"),
    ];
    for (more, code, told) in calls {
        let args: Vec<&str> = ["systemd", "--write", &directory].iter().chain(more).copied().collect();
        // The last of two directories that a call names.
        let args: Vec<&str> = if more[0] == "--write" { [&["systemd"], more].concat() } else { args };
        let refused = rig.run(&args);
        assert_eq!(refused.code, 2, "{more:?}: {refused:?}");
        assert!(refused.stderr.contains(code) && refused.stderr.contains(told), "{more:?}: {refused:?}");
        assert_eq!(refused.stderr.matches("error[").count(), 1, "{more:?}: {refused:?}");
    }
    assert!(names(&directory).is_empty());
    if Command::new("systemd-analyze").arg("--version").output().is_ok() {
        let refused = rig.run(&["systemd", "--on-calendar", "never"]);
        assert!(refused.code == 2 && refused.stderr.contains("--on-calendar: found \"never\""), "{refused:?}");
    }
}

#[test]
fn a_path_with_a_line_break_is_refused_before_anything_is_written() {
    let rig = Rig::new("");
    rig.write("highwater.toml", "[job.load]\nkind = \"reindex\"\nroot = \"a\\nExecStartPre=/bin/sh\"\n");
    let directory = units(&rig);
    let refused = rig.run(&["systemd", "--write", &directory]);
    assert!(refused.code == 2 && refused.stderr.contains("HW-UNI-001"), "{refused:?}");
    assert!(names(&directory).is_empty());
}

#[test]
fn a_job_that_lacks_a_variable_is_refused_alone_and_the_file_of_variables_gives_it() {
    let rig = Rig::new(&CONFIG.replace("kind = \"ship\"", "kind = \"ship\"\ntoken = \"${LAB_TOKEN}\""));
    let directory = units(&rig);
    let refused = rig.run(&["systemd", "--write", &directory]);
    assert!(refused.code == 2 && refused.stderr.contains("LAB_TOKEN"), "{refused:?}");
    assert_eq!(names(&directory).len(), 5, "the others have theirs");
    rig.write("highwater.env", "LAB_TOKEN=secret-of-the-lab\n");
    rig.ok(&["systemd", "--write", &directory]);
    let service = unit(&rig, "highwater-ship-send.service");
    assert!(service.contains("EnvironmentFile=-/home/lab/highwater.env\n"), "{service}");
    for name in names(&directory) {
        assert!(!rig.read(&format!("units/{name}")).contains("secret-of-the-lab"), "{name}");
    }
    rig.write("highwater.env", "");
    let refused = rig.run(&["systemd", "--write", &directory]);
    assert!(refused.code == 2 && !refused.stderr.contains("no longer has"), "its unit stays: {refused:?}");
}

#[test]
fn what_the_call_gave_over_the_file_is_in_the_units() {
    let rig = Rig::new(CONFIG);
    let said = rig
        .command(&["systemd", "--job", "load", "--log-format", "json"])
        .env("HIGHWATER_STATE_DIR", "else where")
        .output();
    let said = Ended::from(said.unwrap());
    let line = said.stdout.lines().find(|line| line.starts_with("ExecStart=")).unwrap_or_else(|| panic!("{said:?}"));
    assert!(line.contains("/else where\" --log-format json"), "{line}");
    assert!(!said.stdout.contains("highwater-receive"), "{said:?}");
}

#[test]
fn a_disarmed_job_has_no_unit_and_a_state_of_somebody_else_is_told() {
    let rig = Rig::new(&CONFIG.replace("recurring = true", "recurring = true\narmed = false"));
    let said = rig.ok(&["systemd", "--job", "load"]);
    assert!(said.stdout.is_empty() && said.stderr.contains("armed = false"), "{said:?}");

    let rig = Rig::new("[job.load]\nkind = \"exec\"\ncommand = [\"true\"]\n");
    std::fs::create_dir(rig.path(".highwater-state")).unwrap();
    let owner = rig.path(".highwater-state").metadata().unwrap().uid();
    let other = if owner == 0 { "nobody" } else { "root" };
    let said = rig.ok(&["systemd", "--user", other]);
    assert!(said.stderr.contains("whom highwater refuses there"), "{said:?}");
    assert!(rig.ok(&["systemd", "--user", "no-such-user"]).stderr.contains("no user no-such-user"));
}

#[test]
fn printed_as_json_the_units_are_what_is_written() {
    let rig = Rig::new(CONFIG);
    let directory = units(&rig);
    rig.ok(&["systemd", "--write", &directory]);
    let printed = rig.ok(&["systemd", "--json"]).json();
    for unit in printed["units"].as_array().unwrap() {
        let path = Path::new("units").join(unit["name"].as_str().unwrap());
        assert_eq!(unit["text"].as_str().unwrap(), rig.read(path.to_str().unwrap()));
    }
}

#[test]
fn a_row_that_is_lost_after_the_first_drain_comes_back_by_the_command_of_its_unit() {
    let config = "state-dir = \"state\"\n[job.rows]\nkind = \"reindex\"\nroot = \"received\"\n[[notify]]\ncommand = [\"./page\"]\n";
    let rig = Rig::new(config);
    rig.script("page", "cat >/dev/null; echo told >>told");
    crate::recorded::store(&rig.path("received/episodes"), "lab-1/ep-1", "a", None);
    let directory = units(&rig);
    rig.ok(&["systemd", "--write", &directory]);
    let unit = rig.read("units/highwater-run-rows.service");
    let start = unit.lines().find_map(|line| line.strip_prefix("ExecStart=")).unwrap();
    let passes = || {
        let mut words = start.split_whitespace();
        let mut call = Command::new(words.next().unwrap());
        let ended = Ended::from(call.args(words).current_dir(rig.dir.path()).output().unwrap());
        assert_eq!(ended.code, 0, "{ended:?}");
    };
    let rows = || rig.read("received/index.jsonl").lines().count();
    passes();
    assert_eq!(rows(), 1);
    assert_eq!(rig.read("told"), "told\n");
    passes();
    assert_eq!(rows(), 1, "what has its row gets no other");
    assert_eq!(rig.read("told"), "told\n", "nothing to do is no news");
    rig.write("received/index.jsonl", "");
    passes();
    assert_eq!(rows(), 1);
    crate::recorded::store(&rig.path("received/episodes"), "lab-1/ep-2", "b", None);
    passes();
    assert_eq!(rows(), 2);
}

#[test]
fn a_shelf_of_a_shipper_that_is_missing_is_named() {
    let rig = Rig::new(
        "state-dir = \"state\"\n[job.send]\nkind = \"ship\"\nreceiver = \"http://127.0.0.1:1\"\nhost-id = \"lab\"\nepisodes = \"in/episodes\"\noutbox = \"in/outbox\"\nshipped = \"in/shipped\"\n",
    );
    std::fs::create_dir(rig.path("in")).unwrap();
    let said = rig.ok(&["systemd"]).stderr;
    assert!(said.contains(rig.path("in/episodes").to_str().unwrap()), "{said}");
    std::fs::create_dir(rig.path("in/episodes")).unwrap();
    let said = rig.ok(&["systemd"]).stderr;
    assert!(!said.contains(rig.path("in/episodes").to_str().unwrap()), "{said}");
}
