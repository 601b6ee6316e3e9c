//! The hundred real records of a real repository: loaded from the file as it was saved, served, harvested.

use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Child, Stdio};

use highwater_testkit::not_here::NotHere;
use serde_json::Value;

use super::{Lines, config};
use crate::rig::Rig;

const PREFIX: &str = "oai:directory.doabooks.org:";

/// The saved answer, where this machine has it.
fn saved(test: &str) -> Option<PathBuf> {
    let beside = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data");
    let data = std::env::var_os("HIGHWATER_SHARED_DATA").map_or_else(|| PathBuf::from(beside), PathBuf::from);
    let path = data.join("doab-listrecords-100.xml");
    match path.metadata() {
        Ok(_) => Some(path),
        Err(error) => {
            NotHere(format!("{}: {error}", path.display())).say(test);
            None
        }
    }
}

/// `oai serve`, until it is dropped.
struct Server(Child);

impl Server {
    /// Serves a catalogue, and says where.
    fn of(rig: &Rig, catalog: &str) -> (Self, String) {
        let args = ["--json", "oai", "serve", "--listen", "127.0.0.1:0", "--page-size", "10", "--catalog", catalog];
        let mut child = rig.command(&args).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        let said: Value = serde_json::from_str(&line).unwrap();
        (Self(child), said["base_url"].as_str().unwrap().to_owned())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A place where the hundred records are served, and are to be harvested and back-filled into two catalogues.
fn served(test: &str, both: &str) -> Option<(Rig, Server)> {
    let file = saved(test)?;
    let rig = Rig::new("");
    let load = ["catalog", "--catalog", "served.db", "load", file.to_str().unwrap()];
    let loaded = rig.ok(&load);
    assert_eq!(loaded.stdout, "95 records loaded, 0 unchanged, 5 deleted, 0 for a person to look at\n");
    let again = rig.ok(&load);
    assert_eq!(again.stdout, "0 records loaded, 95 unchanged, 5 deleted, 0 for a person to look at\n");
    let (server, url) = Server::of(&rig, "served.db");
    let repository = format!(", identifier-prefix = \"{PREFIX}\"");
    let lines = Lines {
        repository: &repository,
        both,
        harvest: "catalog = \"harvested.db\"",
        backfill: "catalog = \"backfilled.db\"",
        ..Lines::default()
    };
    rig.write("highwater.toml", &config(&url, lines));
    Some((rig, server))
}

/// The works of a catalogue: identifier and types.
fn works(rig: &Rig, catalog: &str) -> Vec<(String, BTreeSet<String>)> {
    let exported = rig.ok(&["catalog", "--catalog", catalog, "export"]);
    let works = exported.stdout.lines().map(|line| {
        let work: Value = serde_json::from_str(line).unwrap();
        let types = work["types"].as_array().unwrap().iter().map(|kind| kind.as_str().unwrap().to_owned());
        (work["id"].as_str().unwrap().to_owned(), types.collect())
    });
    works.collect()
}

#[test]
fn a_hundred_real_records_are_loaded_served_and_harvested() {
    let Some((rig, _server)) = served("a_hundred_real_records_are_loaded_served_and_harvested", "") else { return };
    let pass = rig.oai_pass("harvest", &[]);
    assert_eq!((pass.code(), pass.reason()), (0, "drained"), "{:?}", pass.ended);
    let figures = |catalog: &str| rig.ok(&["catalog", "--catalog", catalog, "figures"]).stdout;
    assert_eq!(figures("harvested.db"), "95 live records, 5 deleted, 0 for a person to look at\n");
    assert_eq!(figures("harvested.db"), figures("served.db"));
    let export = |catalog: &str| rig.ok(&["catalog", "--catalog", catalog, "export"]).stdout;
    let sorted = |text: String| text.lines().map(str::to_owned).collect::<BTreeSet<_>>();
    assert_eq!(sorted(export("harvested.db")), sorted(export("served.db")), "as it was read there, it is read here");

    let shown = rig.ok(&["catalog", "--catalog", "harvested.db", "show", "20.500.12854/62752"]);
    insta::assert_snapshot!(shown.stdout, @r"
    Wirtschaftspolitik im Zeichen europäischer Integration

      editor       Belke, Ansgar; Paul, Stephan; Schmidt, Christoph M.; Kotz, Hans-Helmut
      year         2009
      publisher    Duncker & Humblot
      type         book
      language     ger
      subject      HB1-3840
                   Außenwirtschaft
                   Kapitalmarkt
                   Makroökonomie
                   Wirtschaftspolitik
                   Europäische Integration
                   Geld- und Währungspolitik
      doab         20.500.12854/62752
      other        49042
      isbn         9783428532544
      handle       20.500.12854/62752
      doi          10.3790/978-3-428-53254-4
      link         https://directory.doabooks.org/handle/20.500.12854/62752
                   https://www.duncker-humblot.de/9783428532544
                   https://elibrary.duncker-humblot.com/publikation/b/id/31324/
      licence      CC BY-NC-ND 4.0 (https://creativecommons.org/licenses/by-nc-nd/4.0/)
      record       oai:directory.doabooks.org:20.500.12854/62752
      datestamp    2021-02-12T08:44:14Z
      set          com_20.500.12854_5, col_20.500.12854_6
    ");
}

#[test]
fn types_drop_the_same_chapters_in_harvest_and_backfill() {
    let test = "types_drop_the_same_chapters_in_harvest_and_backfill";
    let Some((rig, _server)) = served(test, "types = [\"book\"]") else { return };
    for job in ["harvest", "backfill"] {
        let pass = rig.oai_pass(job, &[]);
        assert_eq!((pass.code(), pass.reason()), (0, "drained"), "{:?}", pass.ended);
    }
    let (harvested, backfilled) = (works(&rig, "harvested.db"), works(&rig, "backfilled.db"));
    let of = |works: &[(String, BTreeSet<String>)]| works.iter().map(|(id, _)| id.clone()).collect::<BTreeSet<_>>();
    assert_eq!(of(&harvested), of(&backfilled));
    let all = works(&rig, "served.db");
    let books = all.iter().filter(|(_, types)| types.contains("book")).map(|(id, _)| id.clone());
    assert_eq!(of(&harvested), books.collect());
    let chapters = all.iter().filter(|(_, types)| types.contains("chapter")).count();
    assert!(chapters > 0, "chapters are among the hundred");
    assert_eq!(harvested.len() + chapters, all.len());

    // What was dropped is not asked for again.
    let again = rig.ok(&["oai", "discover", "backfill"]);
    assert!(again.stdout.contains(&format!("filtered {chapters:>9}")), "{}", again.stdout);
    let pass = rig.oai_pass("backfill", &[]);
    assert_eq!((pass.code(), pass.contacts()), (0, 0), "{:?}", pass.ended);
}
