//! The version gate against real repositories: its window is that of `git log`, and a reading holds while another fails.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use highwater_engine::clock::SharedClock;
use highwater_episodes::gate::{self, Allowed, Source, Standing, VersionGate};
use highwater_episodes::index::Commit;
use highwater_testkit::not_here::NotHere;
use highwater_testkit::sim_clock::SimClock;

/// A repository that `git` makes; none where there is no `git`.
struct Repository(PathBuf);

impl Repository {
    fn new(dir: &Path, extra: &[&str]) -> Option<Self> {
        if Command::new("git").arg("--version").stdout(Stdio::null()).status().is_err() {
            NotHere("there is no git".to_owned()).say("the version gate against repositories");
            return None;
        }
        let repository = Self(dir.to_path_buf());
        std::fs::create_dir_all(dir).unwrap();
        repository.git(&[&["init", "--quiet", "--initial-branch=main"], extra].concat());
        Some(repository)
    }

    fn git(&self, args: &[&str]) -> String {
        self.git_with(args, "")
    }

    fn git_with(&self, args: &[&str], input: &str) -> String {
        let mut command = Command::new("git");
        // Nobody's configuration, and dates that differ by what the test says alone.
        command.current_dir(&self.0).args(args).env_clear().env("PATH", std::env::var_os("PATH").unwrap());
        command.env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_SYSTEM", "/dev/null");
        command.env("GIT_COMMITTER_NAME", "A").env("GIT_COMMITTER_EMAIL", "a@example.org");
        command.env("GIT_CONFIG_COUNT", "1").env("GIT_CONFIG_KEY_0", "safe.directory").env("GIT_CONFIG_VALUE_0", "*");
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        std::io::Write::write_all(&mut child.stdin.take().unwrap(), input.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "git {args:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    /// Commits one after the other on `main`, a second apart.
    fn commits(&self, count: usize) {
        let tip = self.git(&["for-each-ref", "--format=%(objectname)", "refs/heads/main"]);
        let mut stream = String::new();
        for n in 0..count {
            let from = if n == 0 && !tip.is_empty() { format!("from {tip}") } else { String::new() };
            stream.push_str(&commit("main", None, 1_700_000_000 + n as u64, &from));
        }
        self.git_with(&["fast-import", "--quiet"], &stream);
    }

    fn source(&self, reference: &str, commits: u32) -> Source {
        Source { repository: self.0.clone(), reference: reference.to_owned(), commits }
    }

    fn log(&self, reference: &str, commits: u32) -> BTreeSet<String> {
        self.git(&["log", "--format=%H", "-n", &commits.to_string(), reference]).lines().map(str::to_owned).collect()
    }

    fn head(&self) -> Commit {
        self.git(&["rev-parse", "main"]).trim().parse().unwrap()
    }
}

fn commit(branch: &str, mark: Option<usize>, at: u64, parents: &str) -> String {
    let mark = mark.map_or_else(String::new, |mark| format!("mark :{mark}\n"));
    format!("commit refs/heads/{branch}\n{mark}committer A <a@example.org> {at} +0000\ndata 0\n{parents}\n")
}

fn check(repository: &Repository, reference: &str, commits: u32) {
    let window = repository.source(reference, commits).read().unwrap_or_else(|error| panic!("{error:?}"));
    let listed = repository.log(reference, commits);
    assert_eq!(window.len(), listed.len(), "{reference} {commits}");
    for commit in &listed {
        assert!(window.contains(&commit.parse().unwrap()), "{commit} of {reference} {commits}");
    }
}

#[test]
fn the_window_is_what_git_log_lists_whatever_the_history_s_shape() {
    for seed in 0..12 {
        let dir = tempfile::tempdir().unwrap();
        let Some(repository) = Repository::new(dir.path(), &[]) else { return };
        let mut random = fastrand::Rng::with_seed(seed);
        let mut stream = String::new();
        for n in 1..=250_usize {
            // Clocks of many people: dates repeat, and go back.
            let at = 1_700_000_000 + (n as u64 * 3).saturating_sub(random.u64(0..60)) / 5 * 5;
            let mut parents = String::new();
            if n > 1 {
                let near = |random: &mut fastrand::Rng| random.usize(n.saturating_sub(12).max(1)..n);
                let from = near(&mut random);
                parents.push_str(&format!("from :{from}\n"));
                let others: BTreeSet<usize> = (0..random.usize(0..3)).map(|_| near(&mut random)).collect();
                for other in others.into_iter().filter(|other| *other != from) {
                    parents.push_str(&format!("merge :{other}\n"));
                }
            }
            let branch = if n % 7 == 0 { "side" } else { "main" };
            stream.push_str(&commit(branch, Some(n), at, &parents));
        }
        repository.git_with(&["fast-import", "--quiet", "--force"], &stream);
        repository.git(&["tag", "-a", "-m", "annotated", "v1", "side"]);
        for commits in [1, 7, 100, 1000] {
            for reference in ["HEAD", "side", "refs/heads/main", "v1"] {
                check(&repository, reference, commits);
            }
        }
        repository.git(&["gc", "--quiet"]);
        repository.git(&["commit-graph", "write", "--reachable"]);
        check(&repository, "HEAD", 100);
    }
}

#[test]
fn a_commit_whose_date_nobody_can_read_is_one_of_the_beginning_of_time() {
    let dir = tempfile::tempdir().unwrap();
    let Some(repository) = Repository::new(dir.path(), &[]) else { return };
    repository.commits(5);
    let tree = repository.git(&["rev-parse", "main^{tree}"]);
    // As `git commit` writes none and other programs have: git reads what it can of them.
    for committer in [
        "A <a@example.org> when +0000",
        "A <a@example.org>",
        "A a@example.org 1700000100 +0000",
        "A <a@example.org> 99999999999999999999999999 +0000",
        "A <a@example.org> -5 +0000",
        "A <a@example.org> 1700000100",
        "A <a@example.org> 1700000100 nowhere",
        "A <a@example.org 1700000100 +0000",
        "",
    ] {
        let tip = repository.git(&["rev-parse", "main"]);
        let object =
            format!("tree {tree}parent {tip}author A <a@example.org> 1700000000 +0000\ncommitter {committer}\n\nodd\n");
        let odd = repository.git_with(&["hash-object", "-t", "commit", "-w", "--stdin", "--literally"], &object);
        repository.git(&["update-ref", "refs/heads/odd", odd.trim()]);
        // Beside it a line of others, so that its date decides who is in the window.
        let stream: String = (0..4)
            .map(|n| {
                let from = if n == 0 { format!("from {tip}") } else { String::new() };
                commit("side", None, 1_600_000_000 + n, &from)
            })
            .collect();
        repository.git_with(&["fast-import", "--quiet", "--force"], &stream);
        let side = repository.git(&["rev-parse", "side"]);
        let merge = format!(
            "tree {tree}parent {odd}parent {side}author A <a@example.org> 1700000200 +0000\n\
             committer A <a@example.org> 1700000200 +0000\n\nmerge\n"
        );
        let merge = repository.git_with(&["hash-object", "-t", "commit", "-w", "--stdin"], &merge);
        repository.git(&["update-ref", "refs/heads/main", merge.trim()]);
        for commits in 1..=12 {
            check(&repository, "main", commits);
            check(&repository, "odd", commits);
        }
    }
}

#[test]
fn a_shallow_clone_and_a_repository_of_sha_256_are_read() {
    let dir = tempfile::tempdir().unwrap();
    let Some(origin) = Repository::new(&dir.path().join("origin"), &[]) else { return };
    origin.commits(30);
    let url = format!("file://{}", origin.0.display());
    origin.git(&["clone", "--quiet", "--depth", "5", &url, "../shallow"]);
    let shallow = Repository(dir.path().join("shallow"));
    check(&shallow, "HEAD", 100);
    assert_eq!(shallow.source("HEAD", 100).read().unwrap().len(), 5);

    let long = Repository::new(&dir.path().join("long"), &["--object-format=sha256"]).unwrap();
    long.commits(3);
    check(&long, "HEAD", 2);
    assert_eq!(long.head().as_str().len(), 64);
}

fn sim() -> (SharedClock, Arc<SimClock>) {
    let clock = SimClock::standing("2026-11-21T12:00:00Z".parse().unwrap());
    (clock.shared(), clock)
}

#[tokio::test]
async fn r12_a_commit_is_accepted_as_soon_as_it_is_read_and_no_longer_than_it_is_among_the_newest() {
    let dir = tempfile::tempdir().unwrap();
    let Some(repository) = Repository::new(&dir.path().join("code"), &[]) else { return };
    repository.commits(1);
    let first = repository.head();
    let gate = VersionGate::new(repository.source("HEAD", 3), dir.path().join("allowed.jsonl"), sim().0);
    assert_eq!(gate.judge(&first), Standing::Unready, "nothing was read yet");
    gate.refresh().await;
    assert_eq!(gate.judge(&first), Standing::Current);
    repository.commits(2);
    let newest = repository.head();
    let outdated = |head: &Commit| Standing::Outdated { head: head.clone() };
    assert_eq!(gate.judge(&newest), outdated(&first), "it is not read yet");
    gate.refresh().await;
    assert_eq!((gate.judge(&newest), gate.judge(&first)), (Standing::Current, Standing::Current));
    repository.commits(1);
    gate.refresh().await;
    assert_eq!(gate.judge(&first), outdated(&repository.head()));
}

#[tokio::test]
async fn r12_a_repository_that_cannot_be_read_for_a_while_leaves_the_last_reading_in_force() {
    let dir = tempfile::tempdir().unwrap();
    let code = dir.path().join("code");
    let gate = VersionGate::new(
        Source { repository: code.clone(), reference: "main".to_owned(), commits: 100 },
        dir.path().join("allowed.jsonl"),
        sim().0,
    );
    gate.refresh().await;
    let unknown: Commit = "0".repeat(40).parse().unwrap();
    assert_eq!(gate.judge(&unknown), Standing::Unready);
    assert!(gate.faults()[0].contains("cannot be opened"), "{:?}", gate.faults());

    let Some(repository) = Repository::new(&code, &[]) else { return };
    gate.refresh().await;
    assert_eq!(gate.judge(&unknown), Standing::Unready, "a repository without a commit");
    assert!(gate.faults()[0].starts_with("main leads to no commit in"), "{:?}", gate.faults());
    repository.commits(3);
    gate.refresh().await;
    assert_eq!((gate.judge(&repository.head()), gate.faults()), (Standing::Current, Vec::new()));

    std::fs::rename(&code, dir.path().join("away")).unwrap();
    gate.refresh().await;
    let head = gate.head().unwrap();
    assert_eq!(gate.judge(&head), Standing::Current);
    assert!(matches!(gate.judge(&unknown), Standing::Outdated { .. }));
    assert_eq!(gate.faults().len(), 1);
}

#[test]
fn a_repository_of_another_user_is_read() {
    if !rustix::process::geteuid().is_root() {
        return NotHere("only root can give files away".to_owned())
            .say("the version gate on another user's repository");
    }
    let dir = tempfile::tempdir().unwrap();
    let Some(repository) = Repository::new(dir.path(), &[]) else { return };
    repository.commits(4);
    let given = Command::new("chown").args(["-R", "65534:65534"]).arg(dir.path()).status().unwrap();
    assert!(given.success());
    check(&repository, "HEAD", 100);
}

#[tokio::test]
async fn what_an_operator_allows_is_let_in_until_then_and_a_damaged_list_allows_what_it_did() {
    let dir = tempfile::tempdir().unwrap();
    let Some(repository) = Repository::new(&dir.path().join("code"), &[]) else { return };
    repository.commits(5);
    let (shared, clock) = sim();
    let file = dir.path().join("allowed.jsonl");
    let gate = VersionGate::new(repository.source("HEAD", 1), file.clone(), Arc::clone(&shared));
    let old: Commit = repository.git(&["rev-parse", "main~3"]).trim().parse().unwrap();
    gate.refresh().await;
    assert!(matches!(gate.judge(&old), Standing::Outdated { .. }));

    let now = shared.now();
    let hours = |hours: i64| now + jiff::SignedDuration::from_hours(hours);
    let allowed = |until| Allowed {
        commit: old.clone(),
        until,
        at: now,
        who: "ann".to_owned(),
        why: "queued before the upgrade".to_owned(),
    };
    gate::allow(&file, &allowed(hours(1))).unwrap();
    gate.refresh().await;
    assert_eq!(gate.judge(&old), Standing::Allowed);
    clock.advance(std::time::Duration::from_secs(3600));
    assert!(matches!(gate.judge(&old), Standing::Outdated { .. }), "its time is over");

    gate::allow(&file, &allowed(hours(9))).unwrap();
    let whole = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, format!("{whole}{{\"commit\":\"torn")).unwrap();
    gate.refresh().await;
    assert_eq!((gate.judge(&old), gate.faults().len()), (Standing::Allowed, 0), "a line without end is being written");
    std::fs::write(&file, format!("{whole}no line of ours\n")).unwrap();
    gate.refresh().await;
    assert_eq!(gate.judge(&old), Standing::Allowed, "what was read before stands");
    assert!(gate.faults()[0].contains("allowed.jsonl line 3: no commit that is allowed"), "{:?}", gate.faults());
    // A time that is past takes it back.
    std::fs::write(&file, whole).unwrap();
    gate::allow(&file, &allowed(now)).unwrap();
    gate.refresh().await;
    assert!(matches!(gate.judge(&old), Standing::Outdated { .. }));
}
