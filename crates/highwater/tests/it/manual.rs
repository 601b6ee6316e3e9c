//! `highwater man`: a page for every command, which `man` renders without a complaint.

use std::process::{Command, Stdio};

use highwater_testkit::not_here::NotHere;

use crate::rig::{Ended, Rig};

#[test]
fn every_command_has_a_page_that_groff_takes_without_a_warning() {
    let rig = Rig::new("");
    std::fs::create_dir(rig.path("man")).unwrap();
    rig.ok(&["man", "--dir", "man"]);
    let pages: Vec<_> = std::fs::read_dir(rig.path("man")).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(pages.len() > 60, "{}", pages.len());
    let completions = rig.ok(&["completions", "bash"]).stdout;
    for command in ["highwater-systemd.1", "highwater-install.1", "highwater-man.1", "highwater-episodes-list.1"] {
        assert!(pages.contains(&rig.path("man").join(command)), "{command}");
    }
    for word in ["systemd", "install", "man"] {
        assert!(completions.contains(&format!("highwater,{word})")), "{word} is not completed");
    }
    let groff = Command::new("groff").args(["-ww", "-man", "-Tascii", "-z"]).args(&pages).output();
    match groff {
        Ok(said) => {
            let said = Ended::from(said);
            assert_eq!((said.code, said.stderr.as_str()), (0, ""));
        }
        Err(error) => NotHere(format!("groff cannot be run: {error}")).say("pages that groff takes"),
    }
}

#[test]
fn the_page_of_the_program_says_what_an_exit_code_is_and_which_files_and_variables_count() {
    let rig = Rig::new("");
    let page = rig.ok(&["man"]).stdout;
    for section in [".SH \"EXIT STATUS\"", ".SH FILES", ".SH ENVIRONMENT", ".SH \"SEE ALSO\""] {
        assert!(page.contains(section), "{section}: {page}");
    }
    assert!(page.starts_with(".ie") && page.is_ascii(), "{page}");
    let run = rig.ok(&["man", "episodes", "list"]).stdout;
    assert!(run.contains(".TH \"HIGHWATER-EPISODES-LIST\" \"1\""), "{run}");
    let mut man = Command::new("man");
    man.args(["-l", "-"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).env("MANWIDTH", "100");
    let Ok(mut man) = man.spawn() else { return NotHere("there is no man".to_owned()).say("a page that man shows") };
    std::io::Write::write_all(&mut man.stdin.take().unwrap(), page.as_bytes()).unwrap();
    let shown = Ended::from(man.wait_with_output().unwrap());
    assert!(shown.code == 0 && shown.stdout.contains("HIGHWATER_STATE_DIR"), "{shown:?}");
}

#[test]
fn a_page_of_no_command_and_a_directory_that_is_not_there_are_refused() {
    let rig = Rig::new("");
    let refused = rig.run(&["man", "rum"]);
    assert!(refused.code == 2 && refused.stderr.contains("HW-CMD-064"), "{refused:?}");
    let refused = rig.run(&["man", "--dir", "nowhere"]);
    assert!(refused.code == 2 && refused.stderr.contains("HW-CMD-065"), "{refused:?}");
    rig.ok(&["man", "--dir", "."]);
    assert!(rig.ok(&["man", "--dir", "."]).stdout.contains(", 0 of them made or changed"));
}
