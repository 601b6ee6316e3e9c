//! `kill -9` of either end at any moment of shipping (R5, R9, R11), by PUT and in parts: one copy, one row, one retirement of each episode.

use std::fs;
use std::time::Duration;

use super::{TOKEN, free_port, listening, names, receiver, rows, sha256, stored};
use crate::rig::{KILLED, Rig, dice, pause};

const EPISODES: usize = 50;
const KILLS: usize = 200;
/// Longest that both ends run beside each other before one of them is killed.
const MILLIS_MAX: u64 = 120;
/// Passes without a kill that may be needed after the last one.
const PASSES_MAX: usize = 10;

/// A lab host and a receiver, with fifty episodes that were recorded.
struct Lab {
    rig: Rig,
    port: u16,
}

impl Lab {
    fn new(dice: &mut fastrand::Rng) -> Self {
        let (rig, port) = (Rig::new(""), free_port());
        let root = rig.path("received");
        fs::create_dir(&root).unwrap();
        let ship = format!(
            "[job.send]\nkind = \"ship\"\nreceiver = \"http://127.0.0.1:{port}\"\nhost-id = \"lab-1\"\ntoken = \"{TOKEN}\"\n\
             resume-above = \"20KiB\"\n"
        );
        rig.write("highwater.toml", &(receiver(port, &root) + &ship));
        for n in 0..EPISODES {
            let episode = rig.path(&format!("episodes/ep-{n:02}"));
            fs::create_dir_all(&episode).unwrap();
            let bytes: Vec<u8> = (0..dice.usize(1..60_000)).map(|_| dice.u8(..)).collect();
            fs::write(episode.join("telemetry.bin"), bytes).unwrap();
            fs::write(episode.join("meta.json"), "{}").unwrap();
            fs::write(episode.join("done.marker"), "").unwrap();
        }
        Self { rig, port }
    }

    fn left(&self) -> usize {
        names(&self.rig.path("episodes")).len()
    }

    /// What must be so once all is shipped.
    fn assert_one_of_each(&self) {
        let root = self.rig.path("received");
        let all: Vec<String> = (0..EPISODES).map(|n| format!("ep-{n:02}")).collect();
        assert_eq!(names(&self.rig.path("shipped")), all, "one retirement each");
        assert_eq!(names(&self.rig.path("episodes")), Vec::<String>::new());
        let archives: Vec<String> = all.iter().map(|name| format!("{name}.tar.zst")).collect();
        assert_eq!(names(&root.join("episodes/lab-1")), archives, "one copy each, and nothing beside them");
        let mut rows: Vec<(String, String)> = rows(&root)
            .iter()
            .map(|row| ["episode_id", "sha256"].map(|field| row[field].as_str().unwrap().to_owned()))
            .map(|[episode, sha256]| (episode, sha256))
            .collect();
        rows.sort();
        let hashes = |name: &String| (name.clone(), sha256(fs::read(stored(&root, name)).unwrap()));
        assert_eq!(rows, all.iter().map(hashes).collect::<Vec<_>>(), "one row each, of the bytes that are stored");
        let left: Vec<String> =
            names(&self.rig.path("outbox")).into_iter().filter(|name| name.contains("ep-")).collect();
        assert_eq!(left, Vec::<String>::new(), "nothing is left to send");
    }
}

#[test]
fn r09_two_hundred_kills_of_either_end_leave_one_copy_one_row_and_one_retirement() {
    let mut dice = dice("r09_two_hundred_kills_of_either_end_leave_one_copy_one_row_and_one_retirement");
    let (mut kills, mut labs) = (0, 0);
    while kills < KILLS {
        labs += 1;
        let lab = Lab::new(&mut dice);
        let (mut receiver, mut sender) = (listening(&lab.rig, lab.port), lab.rig.doom(&["run", "send"]));
        while lab.left() > 0 && kills < KILLS {
            pause(Duration::from_millis(dice.u64(0..MILLIS_MAX)));
            if dice.bool() {
                kills += usize::from(receiver.kill_9().code == KILLED);
                receiver = listening(&lab.rig, lab.port);
            } else {
                kills += usize::from(sender.kill_9().code == KILLED);
                sender = lab.rig.doom(&["run", "send"]);
            }
            if !sender.runs() {
                let ended = sender.end();
                assert!([0, 3].contains(&ended.code), "{ended:?}");
                sender = lab.rig.doom(&["run", "send"]);
            }
        }
        drop(sender);
        let passes = (0..PASSES_MAX).map(|_| lab.rig.run(&["run", "send"])).take_while(|ended| ended.code != 0);
        let passes: Vec<_> = passes.collect();
        assert!(passes.len() < PASSES_MAX, "{passes:?}");
        lab.assert_one_of_each();
        receiver.kill_9();
    }
    eprintln!("{kills} kills, {} episodes", labs * EPISODES);
}
