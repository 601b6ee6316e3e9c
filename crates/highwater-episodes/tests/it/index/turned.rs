//! An index whose lines somebody turns: what is in force is so in whatever order they stand.

use std::fs;

use highwater_episodes::digest::Sha256Digest;
use highwater_episodes::index::{Appended, Index, IndexError, PageAsk, Row, View};
use tempfile::TempDir;

use super::edited::{all, at, freed, open, pruned, withdrawn, write};
use crate::rows::{key, row};

/// What is listed as stored, and what as withdrawn, by an index that is opened and by one that is looked at.
fn listed(dir: &TempDir) -> (Vec<String>, Vec<String>) {
    let ask = PageAsk { rows_max: 99, ..PageAsk::default() };
    let page = open(dir).page(&ask).unwrap().rows;
    let mut seen = Vec::new();
    let view = View::read(&dir.path().join("index.jsonl")).unwrap();
    view.each(
        &ask,
        |row| row,
        |row| {
            Ok::<_, IndexError>({
                seen.push(row);
                true
            })
        },
    )
    .unwrap();
    assert_eq!(page, seen);
    let named = |withdrawn| {
        let rows = page.iter().filter(|row| row.withdrawn.is_some() == withdrawn);
        rows.map(|row| row.episode_id.to_string()).collect::<Vec<_>>()
    };
    (named(false), named(true))
}

#[test]
fn a_withdrawal_is_taken_back_by_no_order_of_the_lines() {
    let lines = [
        at(row("lab/a", b"a"), 1),
        at(row("lab/b", b"b"), 2),
        at(freed("lab/b", b"b"), 3),
        at(row("lab/b", b"bb"), 4),
        at(withdrawn("lab/b", b"bb"), 5),
        at(row("lab/c", b"c"), 6),
        at(withdrawn("lab/c", b"c"), 7),
        at(freed("lab/c", b"c"), 8),
        at(row("lab/c", b"cc"), 9),
    ];
    for seed in 0..40 {
        let dir = tempfile::tempdir().unwrap();
        let index = open(&dir);
        for line in &lines {
            assert_eq!(index.append(std::slice::from_ref(line)).unwrap(), [Appended::New]);
        }
        assert_eq!(listed(&dir), (vec!["a".to_owned(), "c".to_owned()], vec!["b".to_owned()]));
        let mut turned = lines.to_vec();
        fastrand::Rng::with_seed(seed).shuffle(&mut turned);
        write(&dir, &turned.iter().map(Row::to_line).collect::<String>(), seed % 2 == 0);
        for index in [&index, &open(&dir)] {
            assert!(index.find(&key("lab/b")).unwrap().is_some_and(|row| row.withdrawn.is_some()), "{seed}");
            assert_eq!(index.append(&[at(row("lab/b", b"b"), 20)]).unwrap(), [Appended::Withdrawn], "{seed}");
            let c = index.find(&key("lab/c")).unwrap().map(|row| row.sha256);
            assert_eq!(c, Some(Sha256Digest::of(b"cc")), "{seed}: a person made its name free");
        }
        let (mut stored, withdrawn) = listed(&dir);
        stored.sort_unstable();
        assert_eq!((stored, withdrawn), (vec!["a".to_owned(), "c".to_owned()], vec!["b".to_owned()]), "{seed}");
    }
}

/// What is stored under two names, and `None` within for one that is withdrawn: by an index that is in use, by one that is opened anew and
/// by one that is looked at.
fn in_force(index: &dyn Index, dir: &TempDir, told: &str) -> [Option<Option<Sha256Digest>>; 2] {
    let of = |row: Row| row.withdrawn.is_none().then_some(row.sha256);
    let found = |index: &dyn Index| ["lab/a", "lab/b"].map(|name| index.find(&key(name)).unwrap().map(of));
    let (this, anew) = (found(index), found(&open(dir)));
    assert_eq!(this, anew, "{told}: opened anew");
    assert_eq!(this, found(&View::read(&dir.path().join("index.jsonl")).unwrap()), "{told}: looked at");
    this
}

#[test]
fn what_is_in_force_is_so_in_whatever_order_the_lines_stand() {
    for seed in 0..150 {
        let mut dice = fastrand::Rng::with_seed(seed);
        let dir = tempfile::tempdir().unwrap();
        let index = open(&dir);
        for _ in 0..dice.usize(2..14) {
            let (name, bytes) = (["lab/a", "lab/b"][dice.usize(0..2)], [dice.u8(0..3)]);
            let new = match dice.u8(0..6) {
                0 => withdrawn(name, &bytes),
                1 => freed(name, &bytes),
                2 => pruned(name, &bytes),
                _ => row(name, &bytes),
            };
            // The clock goes where it likes.
            index.append(&[at(new, dice.i8(0..60))]).unwrap();
        }
        let before = in_force(&index, &dir, &format!("{seed}"));
        let text = fs::read_to_string(dir.path().join("index.jsonl")).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        for turn in 0..4 {
            let told = format!("{seed}.{turn}\n{text}");
            let mut turned = lines.clone();
            match turn {
                0 => turned.reverse(),
                1 => turned.sort_unstable(),
                _ => dice.shuffle(&mut turned),
            }
            write(&dir, &turned.iter().map(|line| format!("{line}\n")).collect::<String>(), dice.bool());
            assert_eq!(in_force(&index, &dir, &told), before, "{told}");
            assert_eq!(index.figures().unwrap().lost, 0, "{told}");
            // A page shows each of them, where it stands now.
            let listed = all(&index).unwrap();
            assert_eq!(listed, before.iter().flatten().count(), "{told}");
        }
        // Older lines behind it, as a backup has them, are no news.
        for line in &lines[..dice.usize(0..=lines.len())] {
            let file = fs::OpenOptions::new().append(true).open(dir.path().join("index.jsonl"));
            std::io::Write::write_all(&mut file.unwrap(), format!("{line}\n").as_bytes()).unwrap();
        }
        assert_eq!(in_force(&index, &dir, &format!("{seed}: appended")), before, "{seed}");
        // What is appended then is in force, whatever its clock says.
        if before[0] != Some(None) {
            index.append(&[at(row("lab/a", b"new"), 0)]).unwrap();
            assert_eq!(in_force(&index, &dir, "new")[0], Some(Some(Sha256Digest::of(b"new"))), "{seed}");
        }
    }
}

#[test]
fn rows_that_others_wrote_with_one_time_count_by_their_places() {
    let dir = tempfile::tempdir().unwrap();
    let lines =
        [row("lab/a", b"1"), row("lab/a", b"2"), withdrawn("lab/b", b"1"), freed("lab/b", b"1"), row("lab/b", b"2")];
    write(&dir, &lines.iter().map(Row::to_line).collect::<String>(), true);
    let found = in_force(&open(&dir), &dir, "one time");
    assert_eq!(found, [Some(Some(Sha256Digest::of(b"2"))); 2]);
}

#[test]
fn a_tombstone_is_later_than_those_before_it_whatever_the_clock_says() {
    let dir = tempfile::tempdir().unwrap();
    let index = open(&dir);
    for line in [
        at(row("lab/a", b"a"), 9),
        at(withdrawn("lab/a", b"a"), 8),
        at(freed("lab/a", b"a"), 7),
        at(row("lab/a", b"aa"), 6),
        at(withdrawn("lab/a", b"aa"), 5),
    ] {
        assert_eq!(index.append(&[line]).unwrap(), [Appended::New]);
        let stands = index.find(&key("lab/a")).unwrap();
        assert_eq!(open(&dir).find(&key("lab/a")).unwrap(), stands, "read anew it is the same");
    }
    assert!(index.find(&key("lab/a")).unwrap().unwrap().withdrawn.is_some());
}

#[test]
fn a_tombstone_that_was_taken_out_is_missed_although_an_older_one_is_there() {
    for other in [&b"a"[..], b"aa"] {
        let dir = tempfile::tempdir().unwrap();
        let index = open(&dir);
        let last = at(withdrawn("lab/a", other), 5);
        let before = [
            at(row("lab/a", b"a"), 1),
            at(withdrawn("lab/a", b"a"), 2),
            at(freed("lab/a", b"a"), 3),
            at(row("lab/a", other), 4),
        ];
        for line in before.iter().chain([&last]) {
            assert_eq!(index.append(std::slice::from_ref(line)).unwrap(), [Appended::New]);
        }
        for turn in [false, true] {
            let mut left: Vec<String> = before.iter().map(Row::to_line).collect();
            if turn {
                left.reverse();
            }
            write(&dir, &left.concat(), false);
            let figures = index.figures().unwrap();
            assert_eq!((figures.lost, figures.lost_withdrawn), (1, 1));
            assert!(matches!(all(&index), Err(IndexError::Edited { .. })));
            assert_eq!(index.append(&[at(row("lab/a", b"a"), 9)]).unwrap(), [Appended::Withdrawn]);
            assert_eq!(open(&dir).lost_tombstones().unwrap(), std::slice::from_ref(&last), "it is that one");
        }
        // An older one that is put back is not it.
        write(&dir, &[before[1].clone(), before[2].clone()].map(|row| row.to_line()).concat(), true);
        assert_eq!(index.figures().unwrap().lost_withdrawn, 1);
        let other = open(&dir);
        assert_eq!(other.append(&other.lost_tombstones().unwrap()).unwrap(), [Appended::New]);
        assert_eq!(index.figures().unwrap().lost_withdrawn, 0);
        assert!(index.find(&key("lab/a")).unwrap().unwrap().withdrawn.is_some());
    }
}

#[test]
fn a_row_that_was_taken_out_is_missed_although_an_older_one_says_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let index = open(&dir);
    let lines = [at(row("lab/a", b"a"), 1), at(freed("lab/a", b"a"), 2), at(row("lab/a", b"a"), 3)];
    for line in &lines {
        assert_eq!(index.append(std::slice::from_ref(line)).unwrap(), [Appended::New]);
    }
    let left = [lines[0].to_line(), lines[1].to_line()];
    for text in [left.concat(), [left[1].clone(), left[0].clone()].concat()] {
        write(&dir, &text, false);
        assert_eq!(index.figures().unwrap().lost, 1, "{text}");
    }
    // Nor is it back where an older one is appended.
    write(&dir, &[left.concat(), left[0].clone()].concat(), true);
    assert_eq!(index.figures().unwrap().lost, 1);
    write(&dir, &[left.concat(), lines[2].to_line()].concat(), false);
    assert_eq!((index.figures().unwrap().lost, all(&index).unwrap()), (0, 1));
}

#[test]
fn a_withdrawal_while_rows_are_missed_is_one_of_what_comes_back_too() {
    let dir = tempfile::tempdir().unwrap();
    let index = open(&dir);
    let before = [at(row("lab/a", b"a"), 1), at(withdrawn("lab/a", b"a"), 2)];
    let cut = [at(freed("lab/a", b"a"), 3), at(row("lab/a", b"aa"), 4)];
    for line in before.iter().chain(&cut) {
        assert_eq!(index.append(std::slice::from_ref(line)).unwrap(), [Appended::New]);
    }
    let text = |rows: &[Row]| rows.iter().map(Row::to_line).collect::<String>();
    write(&dir, &text(&before), false);
    assert_eq!(index.figures().unwrap().lost, 1);
    // By another process, which is told that rows are missed and not which.
    let other = open(&dir);
    assert_eq!(other.append(&[at(withdrawn("lab/a", b"a"), 6)]).unwrap(), [Appended::New]);
    let now = fs::read_to_string(dir.path().join("index.jsonl")).unwrap();
    write(&dir, &format!("{now}{}", text(&cut)), false);
    for index in [&index, &other, &open(&dir)] {
        assert!(index.find(&key("lab/a")).unwrap().unwrap().withdrawn.is_some());
        assert_eq!(index.append(&[at(row("lab/a", b"aa"), 9)]).unwrap(), [Appended::Withdrawn]);
    }
    assert_eq!(index.append(&[at(withdrawn("lab/a", b"a"), 9)]).unwrap(), [Appended::Present], "nothing is missed");
}

#[test]
fn a_line_of_a_time_that_nothing_can_follow_counts_for_nothing_in_whatever_order_the_lines_stand() {
    let never = |row: Row| Row { received_at_wall: jiff::Timestamp::MAX, ..row };
    let foreign = [never(row("lab/a", b"old")), never(withdrawn("lab/b", b"b"))];
    let dir = tempfile::tempdir().unwrap();
    write(&dir, &foreign.iter().map(Row::to_line).collect::<String>(), true);
    let index = open(&dir);
    assert_eq!((index.figures().unwrap().keys, index.figures().unwrap().unreadable), (0, 2), "they are told, and kept");
    let new =
        [at(row("lab/a", b"a"), 1), at(freed("lab/a", b"a"), 1), at(row("lab/a", b"aa"), 1), at(row("lab/b", b"b"), 1)];
    for row in &new {
        assert_eq!(index.append(std::slice::from_ref(row)).unwrap(), [Appended::New]);
    }
    let text = fs::read_to_string(dir.path().join("index.jsonl")).unwrap();
    let turned: String = text.split_inclusive('\n').rev().collect();
    write(&dir, &turned, true);
    for index in [&index, &open(&dir)] {
        let found = |name: &str| index.find(&key(name)).unwrap().map(|row| row.sha256);
        assert_eq!(found("lab/a"), Some(Sha256Digest::of(b"aa")));
        assert_eq!(found("lab/b"), Some(Sha256Digest::of(b"b")));
    }
    assert_eq!(listed(&dir).1, Vec::<String>::new());
}
