//! Answers of a language model, on a disk that is crashed at every operation: one that was kept is there, whole, and never another.

use highwater_fs::{Mode, RelPath, ensure_dir, publish};
use highwater_kb::llm::Form;
use highwater_kb::llm::{Answer, Answers, LlmSettings, Message, Request, RequestKey, Role, answers};
use highwater_testkit::sim_fs::{Scenario, SimFs, crash_everywhere, fail_everywhere, forget_each_sync, random_runs};

use crate::home::{Simulated, now};

/// Answers that come one after the other, two of them to one request.
struct Paid;

/// Longer than a sector, so that it can be torn.
const WORDS: usize = 200;

fn key(n: usize) -> RequestKey {
    let request = Request { messages: vec![Message::new(Role::User, format!("question {n}"))], form: Form::Words };
    request.key(&LlmSettings::new("http://localhost/v1".parse().unwrap(), "small"))
}

fn answer(n: usize) -> Answer {
    Answer {
        text: format!("answer {n} ").repeat(WORDS),
        is_cut: false,
        model: "small".to_owned(),
        prompt_tokens: 1,
        answer_tokens: 2,
    }
}

impl Scenario for Paid {
    fn before(&self) -> SimFs {
        let fs = SimFs::new();
        ensure_dir(&fs, &RelPath::new(".highwater").unwrap(), Mode::Umask).unwrap();
        fs
    }

    fn steps(&self) -> usize {
        3
    }

    fn work(&self, fs: &SimFs) -> usize {
        let home = Simulated::home(fs);
        let answers = Answers::of(&*home);
        for n in 0..self.steps() {
            match answers.get_whole(key(n)) {
                Ok(Some(_)) => {}
                Ok(None) if answers.put(key(n), &answer(n), now()).is_ok() => {}
                _ => return n,
            }
        }
        self.steps()
    }

    fn recover(&self, _: &SimFs) -> Result<(), String> {
        Ok(())
    }

    fn check(&self, fs: &SimFs, acknowledged: usize) -> Result<(), String> {
        let home = Simulated::home(fs);
        let answers = Answers::of(&*home);
        for n in 0..self.steps() {
            let found = answers.get(key(n)).map_err(|error| error.to_string())?;
            if found.as_ref().is_some_and(|found| *found != answer(n)) {
                return Err(format!("{n} is answered with {found:?}"));
            }
            if n < acknowledged && found.is_none() {
                return Err(format!("{n} was paid, and is lost"));
            }
        }
        Ok(())
    }
}

#[test]
fn r05_an_answer_that_was_kept_is_there_wherever_the_power_is_cut() {
    let tally = crash_everywhere(&Paid).unwrap_or_else(|found| panic!("{found}"));
    assert!(tally.disks > 20, "{tally:?}");
    fail_everywhere(&Paid).unwrap_or_else(|found| panic!("{found}"));
    random_runs(0..200, |_| Paid).unwrap_or_else(|found| panic!("{found}"));
}

#[test]
fn without_a_sync_of_the_answer_or_of_its_directory_it_would_be_lost() {
    let omissions = forget_each_sync(&Paid).unwrap_or_else(|found| panic!("{found}"));
    let noticed: Vec<String> =
        omissions.iter().filter(|omission| omission.noticed.is_some()).map(ToString::to_string).collect();
    assert!(noticed.iter().any(|what| what.contains("hw-partial")), "{noticed:?}");
    assert!(noticed.iter().any(|what| what.contains("sync directory")), "{noticed:?}");
}

#[test]
fn an_answer_that_is_damaged_is_not_believed_and_set_aside() {
    let home = Simulated::home(&Paid.before());
    let kept = Answers::of(&*home);
    kept.put(key(1), &answer(1), now()).unwrap();
    let whole = home.fs().read(&answers::path(key(1)), 1 << 20).unwrap();
    let text = String::from_utf8(whole.clone()).unwrap();
    for damaged in [
        text[..text.len() / 2].to_owned(),
        String::new(),
        text.replace("answer 1 answer", "answer 2 answer"),
        text.replacen("\"format\":1", "\"format\":9", 1),
        text.replacen(&key(1).to_string(), &key(2).to_string(), 1),
    ] {
        publish(home.fs(), &answers::path(key(1)), damaged.as_bytes(), Mode::Umask).unwrap();
        assert_eq!(kept.get(key(1)).unwrap(), None, "{damaged:.80}");
        assert_eq!(kept.get_whole(key(1)).unwrap(), None);
        assert!(home.fs().stat(&answers::path(key(1))).unwrap().is_none(), "it is set aside");
        kept.put(key(1), &answer(1), now()).unwrap();
        assert_eq!(kept.get(key(1)).unwrap(), Some(answer(1)));
    }
    let aside = home.fs().list(&RelPath::new(".highwater/quarantine").unwrap()).unwrap();
    assert_eq!(aside.len(), 10, "five, and why");
}
