//! What a good configuration comes to: defaults, paths, layers, secrets, and how `config show` lists them.

use std::fs;
use std::path::PathBuf;

use highwater_engine::exec::settings::WorklistFormat;
use highwater_engine::settings::{BreakerSettings, DurationText, LockAddress};
use insta::assert_snapshot;

use super::super::{Environment, Flags, KindSettings, LogFormat, NotifyConfig, advise, show};
use super::{Scene, config, shown};

const JOB: &str = "[job.load]\nkind = \"exec\"\ncommand = [\"./load\", \"{}\"]\nworklist = \"ids.csv\"\n";

#[test]
fn an_empty_file_is_a_configuration_without_jobs() {
    let config = config("");
    assert!(config.jobs.is_empty() && config.resources.is_empty() && config.notify.is_empty());
    assert_eq!(config.top.keep_days.get(), 400);
}

#[test]
fn windows_line_ends_and_a_byte_order_mark_are_read_over() {
    let config = config("\u{feff}keep-days = 5\r\n[resource.a]\r\n");
    assert_eq!(config.top.keep_days.get(), 5);
}

#[test]
fn jobs_keep_the_order_of_the_file() {
    let job = |name| format!("[job.{name}]\nkind = \"exec\"\ncommand = [\"true\"]\n");
    let config = config(&["zeta", "alpha", "mid"].map(job).concat());
    let names: Vec<_> = config.jobs.keys().map(ToString::to_string).collect();
    assert_eq!(names, ["zeta", "alpha", "mid"]);
}

#[test]
fn a_job_without_resources_has_one_of_its_own() {
    let scene = Scene::new(JOB);
    let config = scene.config();
    let (name, resource) = config.resource("job:load").expect("the job's own");
    let named = &config.job("load").expect("the job").settings.resources;
    assert_eq!(named.iter().collect::<Vec<_>>(), [name]);
    let LockAddress::File(lock) = &resource.lock else { panic!("{}", resource.lock) };
    assert_eq!(**lock, scene.path(".highwater-state/locks/job/load.lock"));
}

#[test]
fn paths_count_from_the_file_and_not_from_the_working_directory() {
    let toml = format!("log-file = \"./x.log\"\n{JOB}markers = \"../markers\"\n[resource.a]\nlock = \"file:a.lock\"\n");
    let scene = Scene::new(&toml);
    let config = scene.config();
    let job = config.job("load").expect("the job");
    let KindSettings::Exec(exec) = &job.kind else { panic!("another kind") };
    assert_eq!(config.state_dir(), scene.path(".highwater-state"));
    assert_eq!(config.top.log_file.as_deref(), Some(&*scene.path("x.log")));
    assert_eq!(exec.worklist.as_deref(), Some(&*scene.path("ids.csv")));
    assert_eq!(exec.directory.as_deref(), Some(scene.directory.path()));
    assert_eq!(exec.effective_format(), Some(WorklistFormat::Csv));
    assert_eq!(job.settings.markers.as_deref(), Some(&*scene.path("../markers")));
}

#[test]
fn a_kinds_fields_and_every_jobs_fields_stand_in_one_table() {
    let toml = format!(
        "{JOB}timeout = \"45 min\"\nattempts-max = 3\nbudget.max-items = 10\n[job.load.breaker]\nfailed = \"10%\"\n"
    );
    let config = config(&toml);
    let job = config.job("load").expect("the job");
    let KindSettings::Exec(exec) = &job.kind else { panic!("another kind") };
    assert_eq!(exec.timeout, Some(DurationText::secs(45 * 60)));
    assert_eq!(job.settings.attempts_max.get(), 3);
    assert_eq!(job.settings.budget.max_items.map(|items| items.get()), Some(10));
    let breaker = BreakerSettings { failed: "10%".parse().expect("a share"), ..BreakerSettings::default() };
    assert_eq!(job.settings.breaker, breaker);
}

#[test]
fn variables_reach_the_values_and_stay_out_of_everything_printed() {
    let toml = "[[notify]]\nurl = \"https://example.org/${TOKEN}\"\nheaders = { Authorization = \"Bearer ${TOKEN}\" }\n\n\
                [job.load]\nkind = \"exec\"\ncommand = [\"sh\", \"-c\", \"echo $$1 $2\", \"--key=${TOKEN}\"]\nenv = { KEY = \"${TOKEN}\" }\n";
    let scene = Scene::new(toml);
    let config = scene.config();
    let KindSettings::Exec(exec) = &config.job("load").expect("the job").kind else { panic!("another kind") };
    assert_eq!(exec.command.arguments, ["-c", "echo $1 $2", "--key=s3cret-value"]);
    assert_eq!(exec.env["KEY"].expose(), "s3cret-value");
    let NotifyConfig::Known(notify) = &config.notify[0] else { panic!("it lacks a variable") };
    assert_eq!(notify.url.as_ref().map(|url| url.expose().as_str()), Some("https://example.org/s3cret-value"));
    let json = serde_json::to_string(&show(&config)).expect("JSON");
    for printed in [shown(&scene), json, format!("{config:?} {:?}", config.notify)] {
        assert!(!printed.contains("s3cret-value"), "{printed}");
    }
    assert_eq!(config.redact("curl: s3cret-value refused"), "curl: ${TOKEN} refused");
}

#[test]
fn a_flag_stands_above_the_environment_and_the_environment_above_the_file() {
    let mut scene = Scene::new("state-dir = \"of-file\"\nlog-format = \"human\"\n");
    scene.environment = Environment::from_iter([
        ("HIGHWATER_STATE_DIR", "of-environment"),
        ("HIGHWATER_LOG_FORMAT", "json"),
        ("HIGHWATER_LOG_FILE", "of-environment.log"),
    ]);
    scene.flags = Flags { state_dir: Some(PathBuf::from("of-flag")), ..Flags::default() };
    let config = scene.config();
    assert_eq!(config.state_dir(), scene.path("of-flag"));
    assert_eq!(config.top.log_format, LogFormat::Json);
    assert_snapshot!(shown(&scene), @r#"
    # /hw/highwater.toml
    state-dir = "/hw/of-flag" # flag
    log-file = "/hw/of-environment.log" # environment (HIGHWATER_LOG_FILE)
    log-format = "json" # environment (HIGHWATER_LOG_FORMAT)
    backups-keep = 7 # default
    keep-days = 400 # default
    "#);
}

#[test]
fn a_variable_of_highwaters_own_that_does_not_fit_is_named() {
    let mut scene = Scene::new("");
    scene.environment =
        Environment::from_iter([("HIGHWATER_LOG_FORMAT", "xml"), ("HIGHWATER_LOG_FILE", "/nonexistent/x.log")]);
    assert_snapshot!(scene.load().expect_err("a refusal"), @r#"
    error[HW-CFG-005]: HIGHWATER_LOG_FORMAT: found "xml", expected one of `human`, `json`
      next: set the variable to one of them, or unset it
    "#);
    scene.environment = Environment::from_iter([("HIGHWATER_LOG_FILE", "/nonexistent/x.log")]);
    assert_snapshot!(scene.load().expect_err("a refusal"), @"
    error[HW-CFG-012]: HIGHWATER_LOG_FILE: found a log file in /nonexistent, which is no directory; expected one that exists
      next: create it (`mkdir -p /nonexistent`), or correct the path
    ");
    scene.environment = Environment::default();
    scene.flags.log_file = Some(PathBuf::from("/nonexistent/x.log"));
    assert_snapshot!(scene.load().expect_err("a refusal"), @"
    error[HW-CFG-012]: --log-file: found a log file in /nonexistent, which is no directory; expected one that exists
      next: create it (`mkdir -p /nonexistent`), or correct the path
    ");
}

#[test]
fn every_effective_value_is_listed_with_its_origin() {
    let scene = Scene::new(
        "keep-days = 30\n\n[resource.api]\npace = \"2s\"\nlock = \"file:api.lock\"\n\n[job.load]\nkind = \"exec\"\n\
         command = [\"curl\", \"-H\", \"Authorization: ${TOKEN}\"]\nresources = [\"api\"]\nbudget = { max-bytes = 1024 }\n\n\
         [[notify]]\nurl = \"https://example.org/hook\"\n",
    );
    assert_snapshot!(shown(&scene), @r#"
    # /hw/highwater.toml
    state-dir = "/hw/.highwater-state" # default
    # log-file: not set
    log-format = "human" # default
    backups-keep = 7 # default
    keep-days = 30 # highwater.toml:1

    [resource.api]
    lock = "file:/hw/api.lock" # highwater.toml:5
    # lock-database: not set
    allow-network-fs = false # default
    pace = "2s" # highwater.toml:4
    jitter = "20%" # default
    max-retry-after = "5m" # default
    fallback-ban = "1m" # default
    ban-max = "30 days" # default
    # ban-file: not set

    [job.load]
    kind = "exec" # highwater.toml:8
    resources = ["api"] # highwater.toml:10
    armed = true # default
    recurring = false # default
    concurrency = 2 # default
    prefetch-bytes = "64MiB" # default
    record-items = 256 # default
    record-delay = "100ms" # default
    lock-wait = "0s" # default
    # budget.max-items: not set
    # budget.max-contacts: not set
    budget.max-bytes = 1024 # highwater.toml:11
    # budget.max-time: not set
    breaker.failed = "5%" # default
    breaker.failed-after = 50 # default
    breaker.gone = "30%" # default
    breaker.gone-after = 100 # default
    attempts-max = 5 # default
    # markers: not set
    # silent-after: not set
    command = ["curl", "-H", "Authorization: ${TOKEN}"] # highwater.toml:9
    # worklist: not set
    # format: not set
    # key: not set
    stdin = "none" # default
    # timeout: not set
    grace = "10s" # default
    on-unknown = "rerun" # default
    directory = "/hw" # default
    env = {} # default

    [[notify]]
    url = "https://example.org/hook" # highwater.toml:14
    # command: not set
    template = "json" # default
    on = ["halted", "drained", "review", "failed", "silent"] # default
    timeout = "10s" # default
    headers = {} # default
    "#);
}

#[test]
fn programs_read_the_same_list() {
    let scene = Scene::new("keep-days = 30\nlog-file = \"${TOKEN}\"\n");
    let json = serde_json::to_string_pretty(&show(&scene.config())).expect("JSON");
    assert_snapshot!(scene.placed(&json), @r#"
    {
      "file": "/hw/highwater.toml",
      "values": [
        {
          "field": "state-dir",
          "value": "/hw/.highwater-state",
          "origin": "default"
        },
        {
          "field": "log-file",
          "value": "${TOKEN}",
          "origin": "highwater.toml:2",
          "secret": true
        },
        {
          "field": "log-format",
          "value": "human",
          "origin": "default"
        },
        {
          "field": "backups-keep",
          "value": 7,
          "origin": "default"
        },
        {
          "field": "keep-days",
          "value": 30,
          "origin": "highwater.toml:1"
        }
      ]
    }
    "#);
}

#[test]
fn a_name_of_the_command_line_is_looked_up_with_a_suggestion() {
    let scene = Scene::new(JOB);
    let config = scene.config();
    assert_snapshot!(scene.placed(&config.job("laod").expect_err("no such job").to_string()), @r#"
    error[HW-CFG-014]: /hw/highwater.toml: found no job "laod", expected `load`
      next: did you mean `load`?
    "#);
    assert_snapshot!(scene.placed(&config.resource("api").expect_err("no such resource").to_string()), @r#"
    error[HW-CFG-014]: /hw/highwater.toml: found no resource "api", expected `job:load`
      next: correct the name, or add `[resource.api]`
    "#);
}

#[test]
fn a_check_warns_of_what_will_disappoint() {
    let scene = Scene::new(
        "[resource.api]\npace = \"2s\"\n\n[job.a]\nkind = \"exec\"\ncommand = [\"./load\"]\nworklist = \"ids.txt\"\n\n\
         [job.b]\nkind = \"exec\"\ncommand = [\"no-such-program-here\"]\n\n[job.c]\nkind = \"exec\"\ncommand = [\"./data.txt\"]\n\n\
         [job.d]\nkind = \"exec\"\ncommand = [\"sh\", \"-c\", \"true\"]\n\n[[notify]]\ncommand = [\"./tell\"]\n",
    );
    fs::write(scene.path("data.txt"), "").expect("a file");
    let advice: Vec<_> = advise(&scene.config(), &scene.environment).iter().map(ToString::to_string).collect();
    assert_snapshot!(scene.placed(&advice.join("\n")), @r#"
    warning[HW-CFG-018]: /hw/highwater.toml:6: job.a.command: found no file /hw/load
      next: install it or correct the command; until then a pass halts at its first item
    warning[HW-CFG-018]: /hw/highwater.toml:11: job.b.command: found no program "no-such-program-here" on PATH
      next: install it or correct the command; until then a pass halts at its first item
    warning[HW-CFG-018]: /hw/highwater.toml:15: job.c.command: found "./data.txt", which is not an executable file
      next: install it or correct the command; until then a pass halts at its first item
    warning[HW-CFG-018]: /hw/highwater.toml:22: notify[0].command: found no file /hw/tell
      next: install it or correct the command
    warning[HW-CFG-019]: /hw/highwater.toml:1: resource.api: found a resource that no job names: its pace and its lock protect nothing
      next: add `resources = ["api"]` to its jobs
    "#);
}
