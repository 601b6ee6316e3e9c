//! The pages that people type from: README.md and docs/operate.md. Every block of shell in them is run, and every block of
//! configuration is checked, in a place that is as the page supposes it.

use std::path::PathBuf;

use crate::rig::{Ended, Rig};

/// What stands between three backticks, with its tag.
type Block = (String, String);

fn page(name: &str) -> String {
    let root: PathBuf = [env!("CARGO_MANIFEST_DIR"), "..", ".."].iter().collect();
    std::fs::read_to_string(root.join(name)).unwrap()
}

/// The blocks of a page that have this tag, in order.
fn blocks(page: &str, tag: &str) -> Vec<String> {
    let fenced = page.split("```").skip(1).step_by(2);
    let tagged = fenced.filter_map(|block| block.split_once('\n').map(|(tag, text)| (tag.to_owned(), text.to_owned())));
    tagged.filter(|(found, _): &Block| found == tag).map(|(_, text)| text).collect()
}

/// Types a block as it stands; a watch that never ends by itself is for people.
fn typed(rig: &Rig, block: &str) -> Ended {
    let lines: Vec<_> = block.lines().filter(|line| !line.contains("--watch")).collect();
    let ended = rig.sh(&format!("set -e\n{}", lines.join("\n")));
    assert_eq!(ended.code, 0, "{block}: {ended:?}");
    ended
}

/// `load` with an item for a person to look at and one that failed, of six.
fn at_work() -> Rig {
    let rig = Rig::load(
        &["4709", "4710", "4711", "4712", "4713", "4714"],
        "case $1 in 4711) exit 11;; 4712) exit 3;; esac",
        "",
    );
    rig.write(
        "highwater.toml",
        &rig.read("highwater.toml").replace("\"r\"", "\"catalogue\"").replace("resource.r", "resource.catalogue"),
    );
    assert_eq!(rig.pass(), (3, "retry_left".into()));
    rig
}

/// Checks a block of configuration where its paths are below the place and its programs are there.
fn checked(rig: &Rig, block: &str) {
    let here = |path: &str| rig.path(path).display().to_string();
    let config = block.replace("/var/lock", &here("lock")).replace("/srv/old", &here("old"));
    rig.write("highwater.toml", &config);
    let check = rig.command(&["config", "check"]).env("NTFY_URL", "https://ntfy.example/alerts").output().unwrap();
    let check = Ended::from(check);
    assert_eq!(check.code, 0, "{block}: {check:?}");
    assert!(!check.stdout.contains("warning"), "{block}: {check:?}");
}

fn programs(rig: &Rig) {
    for name in ["load", "refresh", "command"] {
        rig.script(name, "");
    }
    for directory in ["lock", "old"] {
        std::fs::create_dir(rig.path(directory)).unwrap();
    }
}

#[test]
fn what_the_readme_types_runs() {
    let blocks = blocks(&page("README.md"), "sh");
    let [exec, look, init, kb, beside] = &blocks[..] else { panic!("other blocks than this test knows: {blocks:#?}") };
    let rig = Rig::load(&["1", "2", "3"], "echo $1 >>log", "");
    std::fs::remove_file(rig.path("highwater.toml")).unwrap();
    typed(&rig, exec);
    assert_eq!(rig.log().len(), 3);
    assert!(typed(&rig, look).stdout.contains("exec: drained"));
    assert!(typed(&rig, init).stdout.contains("hello: drained"));
    let papers = Rig::new("");
    std::fs::create_dir(papers.path("papers")).unwrap();
    papers.write("papers/tides.md", "# Tides\n\nThe tidal range is the height between high and low water.\n");
    std::fs::write(papers.path("report.pdf"), highwater_testkit::documents::pdf()).unwrap();
    let said = typed(&papers, kb);
    assert!(said.stdout.contains("2 done") && said.stdout.contains("summaries/tides"), "{said:?}");
    let said = typed(&at_work(), beside);
    assert!(said.stdout.contains("all is well"), "{said:?}");
}

#[test]
fn what_the_page_on_operating_types_runs() {
    let page = page("docs/operate.md");
    let blocks = blocks(&page, "sh");
    let [units, look, mend, rearm, steer, list, take_over] = &blocks[..] else {
        panic!("other blocks than this test knows: {blocks:#?}")
    };
    let rig = at_work();
    assert!(typed(&rig, units).stdout.contains("OnCalendar=Mon..Fri 06:00"));
    rig.ok(&["halt", "load", "--why", "the mapping is wrong"]);
    assert!(typed(&rig, look).stdout.contains("4711"));
    typed(&rig, mend);
    typed(&rig, rearm);
    typed(&rig, steer);
    assert!(rig.ok(&["status", "--json"]).json()["jobs"][0]["overrides"].is_null(), "all of it is unset");
    rig.script("load", "");
    assert_eq!(rig.pass(), (0, "drained".into()));
    rig.list(&["4709", "4710", "4711", "4712", "4713", "4714", "4715"]);
    assert_eq!(rig.pass(), (2, "refused".into()));
    assert!(typed(&rig, list).stdout.contains("1 item added"));

    let cron = self::blocks(&page, "crontab");
    let [line] = &cron[..] else { panic!("{cron:?}") };
    let command = line.splitn(6, char::is_whitespace).last().unwrap().trim();
    let ran = typed(&rig, &command.replace("/srv/load", &rig.dir.path().display().to_string()));
    assert_eq!((ran.stdout.as_str(), ran.stderr.as_str()), ("", ""));
    assert_eq!(rig.pass(), (0, "already_drained".into()));

    let rig = Rig::new("");
    programs(&rig);
    let config = self::blocks(&page, "toml").into_iter().find(|block| block.contains("[job.old]")).unwrap();
    checked(&rig, &config);
    rig.write("old/.halted", "on which shelf?\n");
    let said = typed(&rig, &take_over.replace("/srv/old", &rig.path("old").display().to_string()));
    assert!(said.stdout.contains("old: halted"), "{said:?}");
    assert!(rig.read("old.log").contains("halted"), "{}", rig.read("old.log"));
}

#[test]
fn the_configurations_that_the_pages_show_are_read_without_a_warning() {
    for name in ["README.md", "docs/operate.md"] {
        let shown = blocks(&page(name), "toml");
        assert!(shown.len() >= 2, "{name}");
        for block in shown {
            let rig = Rig::new("");
            programs(&rig);
            checked(&rig, &block);
        }
    }
}
