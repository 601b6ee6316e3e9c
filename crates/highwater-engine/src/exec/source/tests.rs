//! Of worklist files: every format, and every line that is none.

use std::io::Write;
use std::time::Duration;

use insta::assert_snapshot;
use rustix::fs::{Mode, OFlags};

use super::*;
use crate::clock::later;
use crate::exec::item::ITEM_BYTES_MAX;
use crate::job::WorkItem;

/// A directory with one list in it.
struct Scratch {
    dir: tempfile::TempDir,
    format: WorklistFormat,
}

fn scratch(format: WorklistFormat, bytes: impl AsRef<[u8]>) -> Scratch {
    let scratch = Scratch { dir: tempfile::tempdir().unwrap(), format };
    std::fs::write(scratch.path(), bytes).unwrap();
    scratch
}

fn text(bytes: impl AsRef<[u8]>) -> Scratch {
    scratch(WorklistFormat::Lines, bytes)
}

fn jsonl(bytes: impl AsRef<[u8]>) -> Scratch {
    scratch(WorklistFormat::Jsonl, bytes)
}

fn csv(bytes: impl AsRef<[u8]>) -> Scratch {
    scratch(WorklistFormat::Csv, bytes)
}

impl Scratch {
    fn path(&self) -> PathBuf {
        self.dir.path().join("list")
    }

    fn list(&self, key: Option<&str>) -> WorklistFile {
        WorklistFile::new(self.path(), self.format, key.map(str::to_owned), false)
    }

    /// Key, payload and line of every item.
    fn rows(&self, key: Option<&str>) -> Vec<(String, String, u64)> {
        let row = |listed: Result<Listed, Diagnosis>| {
            let Listed { item, line } = listed.unwrap();
            (item.key().to_string(), String::from_utf8(item.encode()).unwrap(), line)
        };
        self.list(key).items().unwrap().map(row).collect()
    }

    fn keys(&self) -> Vec<String> {
        self.rows(None).into_iter().map(|(key, ..)| key).collect()
    }

    /// The error that reading ends with, without the directory's name.
    fn refused(&self, key: Option<&str>) -> String {
        let error = match self.list(key).items() {
            Ok(items) => items.last().expect("something").expect_err("a refusal"),
            Err(error) => error,
        };
        self.shown(&error)
    }

    fn shown(&self, error: &Diagnosis) -> String {
        error.to_string().replace(&format!("{}/", self.dir.path().display()), "")
    }
}

#[test]
fn lines_are_keys_whatever_their_ends() {
    assert_eq!(text("a\nb\n").keys(), ["a", "b"]);
    assert_eq!(text("a\r\nb").keys(), ["a", "b"]);
    assert_eq!(text("\u{feff}a\n\n\r\n  b c  \n").keys(), ["a", "  b c  "]);
    let rows = text("\n\na\n\nb\n").rows(None);
    assert_eq!(rows, [("a".into(), String::new(), 3), ("b".into(), String::new(), 5)]);
}

#[test]
fn a_line_may_be_as_long_as_a_key_and_no_longer() {
    let long = "x".repeat(4096);
    assert_eq!(text(&long).keys(), [long.as_str()]);
    assert_snapshot!(text(format!("a\n{long}x\n")).refused(None), @r#"
    error[HW-WRK-015]: list:2: item key: expected 1 to 4096 bytes of UTF-8 without NUL, found "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx…"
      next: correct the line: a key is what names the item for good
    "#);
}

#[test]
fn r15_a_text_that_is_no_list_of_lines_is_refused_with_its_line() {
    assert_snapshot!(text(b"a\nb\xffc\n").refused(None), @"
    error[HW-WRK-014]: list:2: found a byte that is no UTF-8 (byte 2), expected UTF-8
      next: convert it, for example `iconv -f LATIN1 -t UTF-8 OLD > NEW`
    ");
    assert_snapshot!(text(b"\xff\xfea\0\n\0").refused(None), @"
    error[HW-WRK-014]: list:1: found UTF-16, expected UTF-8
      next: convert it: `iconv -f UTF-16 -t UTF-8 OLD > NEW`
    ");
    assert_snapshot!(text(b"a\nb\0c\0").refused(None), @r"
    error[HW-WRK-014]: list:2: found a NUL at byte 2, expected text
      next: one item a line, not NUL-separated: `tr '\0' '\n'` turns `find -print0` into lines
    ");
    assert_snapshot!(text("x".repeat(ITEM_BYTES_MAX + 1)).refused(None), @"
    error[HW-WRK-013]: list:1: the line is longer than 1048576 bytes, expected one item a line
      next: check that this is a list, and its line ends (LF or CRLF) and quotes; put large data into files and list their paths
    ");
}

#[test]
fn a_list_without_items_is_refused_unless_it_recurs() {
    for empty in [text(""), text("\n\r\n\n"), text("\u{feff}"), jsonl(" \n"), csv(""), csv("id,title\n"), csv("\n")] {
        assert!(empty.refused(None).starts_with("error[HW-WRK-012]: list: it holds no items, "));
        let recurring = WorklistFile::new(empty.path(), empty.format, None, true);
        assert_eq!(recurring.items().unwrap().count(), 0);
    }
}

#[test]
fn reading_ends_at_the_first_error() {
    let list = text(b"a\n\xff\nb\n");
    let items: Vec<_> = list.list(None).items().unwrap().map(|listed| listed.is_ok()).collect();
    assert_eq!(items, [true, false]);
}

#[test]
fn json_lines_are_objects_or_texts() {
    let list = jsonl("\u{feff}{\"id\": 7, \"n\": 1.10}\r\n\n  {\"id\":\"a b\"}  \n\"plain\"\n{\"id\":-1}");
    let rows = list.rows(None);
    let rows: Vec<_> = rows.iter().map(|(key, payload, line)| (key.as_str(), payload.as_str(), *line)).collect();
    assert_eq!(
        rows,
        [
            ("7", r#"{"id": 7, "n": 1.10}"#, 1),
            ("a b", r#"{"id":"a b"}"#, 3),
            ("plain", "", 4),
            ("-1", r#"{"id":-1}"#, 5)
        ]
    );
    let named = jsonl(r#"{"id":1,"isbn":"x"}"#).rows(Some("isbn"));
    assert_eq!(named[0].0, "x");
    let large = jsonl(r#"{"id":12345678901234567890123}"#).keys();
    assert_eq!(large, ["12345678901234567890123"], "a number is not rounded");
}

#[test]
fn r15_a_json_line_that_names_no_item_is_refused_with_its_line() {
    assert_snapshot!(jsonl("{\"id\":1}\n{\"title\":\"x\",\"Id\":2}\n").refused(None), @"
    error[HW-WRK-015]: list:2: id: found no such field among: title, Id, expected a text or a whole number, which names the item
      next: correct the line, or name another field in `key`
    ");
    assert_snapshot!(jsonl(r#"{"id":1.5}"#).refused(None), @"
    error[HW-WRK-015]: list:1: id: found 1.5, expected a text or a whole number, which names the item
      next: correct the line, or name another field in `key`
    ");
    assert_snapshot!(jsonl(r#"{"id":null}"#).refused(None), @"
    error[HW-WRK-015]: list:1: id: found null, expected a text or a whole number, which names the item
      next: correct the line, or name another field in `key`
    ");
    assert_snapshot!(jsonl(r#"{"id":["a"]}"#).refused(None), @"
    error[HW-WRK-015]: list:1: id: found a list or an object, expected a text or a whole number, which names the item
      next: correct the line, or name another field in `key`
    ");
    assert_snapshot!(jsonl(r#"{"id":""}"#).refused(None), @r#"
    error[HW-WRK-015]: list:1: id: item key: expected 1 to 4096 bytes of UTF-8 without NUL, found ""
      next: correct the line: a key is what names the item for good
    "#);
    assert_snapshot!(jsonl(r#"{"id":"a\u0000b"}"#).refused(None), @r#"
    error[HW-WRK-015]: list:1: id: item key: expected 1 to 4096 bytes of UTF-8 without NUL, found "a\0b"
      next: correct the line: a key is what names the item for good
    "#);
}

#[test]
fn r15_a_line_that_is_no_json_is_refused_with_its_line() {
    assert_snapshot!(jsonl("{\"id\":1},\n{\"id\":2},\n").refused(None), @"
    error[HW-WRK-017]: list:1: found what is no JSON at column 9: trailing characters
      next: correct the line: one whole JSON object a line, no commas between lines
    ");
    assert_snapshot!(jsonl("[\n{\"id\":1}\n]").refused(None), @r#"
    error[HW-WRK-017]: list:1: found `[`, expected a JSON object such as {"id": …}, or a JSON text
      next: write one object a line; a list in brackets becomes one by `jq -c '.[]' OLD.json > NEW.jsonl`
    "#);
    assert_snapshot!(jsonl("{\"id\":1}\n{\"id\":2").refused(None), @"
    error[HW-WRK-017]: list:2: found what is no JSON at column 7: EOF while parsing an object
      next: correct the line: one whole JSON object a line, no commas between lines
    ");
    assert_snapshot!(jsonl(r#"{"id":1,"id":2}"#).refused(None), @r#"
    error[HW-WRK-017]: list:1: found what is no JSON at column 12: the field "id" is there twice
      next: correct the line: one whole JSON object a line, no commas between lines
    "#);
    assert_snapshot!(jsonl("\"a\n").refused(None), @"
    error[HW-WRK-017]: list:1: found what is no JSON at column 2: EOF while parsing a string
      next: correct the line: one whole JSON object a line, no commas between lines
    ");
}

#[test]
fn tables_have_their_key_in_the_named_column_else_id_else_the_first() {
    let table = "isbn, id ,title\r\nx,7,\"A, \"\"B\"\"\nC\"\r\n\r\ny,8,ü\r\n";
    let rows = csv(table).rows(None);
    let rows: Vec<_> = rows.iter().map(|(key, payload, line)| (key.as_str(), payload.as_str(), *line)).collect();
    let objects = [r#"{"isbn":"x","id":"7","title":"A, \"B\"\nC"}"#, r#"{"isbn":"y","id":"8","title":"ü"}"#];
    assert_eq!(rows, [("7", objects[0], 2), ("8", objects[1], 5)]);
    assert_eq!(csv(table).rows(Some("isbn"))[1].0, "y");
    assert_eq!(csv("\u{feff}name,n\na,1").keys(), ["a"]);
}

#[test]
fn r15_a_table_that_is_none_is_refused_with_its_line() {
    assert_snapshot!(csv("id,title\n1,a\n2\n").refused(None), @"
    error[HW-WRK-016]: list:3: found 1 values, expected 2, one for each column of the header
      next: correct the line: a value that holds a comma, a quote or a line end stands in quotes, and a quote in it is doubled
    ");
    assert_snapshot!(csv("id\n1\n2,3\n").refused(None), @"
    error[HW-WRK-016]: list:3: found 2 values, expected 1, one for each column of the header
      next: correct the line: a value that holds a comma, a quote or a line end stands in quotes, and a quote in it is doubled
    ");
    assert_snapshot!(csv("id,id\n1,2\n").refused(None), @"
    error[HW-WRK-016]: list:1: the column `id` is there twice, expected each name once
      next: rename or remove one
    ");
    assert_snapshot!(csv("id,,title\n1,2,3\n").refused(None), @"
    error[HW-WRK-016]: list:1: column 2 has no name, expected one
      next: name it in the header, or remove the column
    ");
    assert_snapshot!(csv("id,title\n1,2\n").refused(Some("isbn")), @"
    error[HW-WRK-016]: list:1: found no column `isbn`, which `key` names, among: id, title
      next: name one of them in `key`, or add a header line
    ");
    assert_snapshot!(csv("id,title\n1,2\n,3\n").refused(None), @r#"
    error[HW-WRK-015]: list:3: id: item key: expected 1 to 4096 bytes of UTF-8 without NUL, found ""
      next: correct the line: a key is what names the item for good
    "#);
    assert_snapshot!(csv(b"id,title\n1,\xfc\n").refused(None), @"
    error[HW-WRK-014]: list:2: found a byte that is no UTF-8 (byte 2), expected UTF-8
      next: convert it, for example `iconv -f LATIN1 -t UTF-8 OLD > NEW`
    ");
}

#[test]
fn r15_a_quote_that_is_never_closed_swallows_no_items() {
    assert_snapshot!(csv("id\n1\n\"2\n3\n4\n").refused(None), @r#"
    error[HW-WRK-016]: list:3: found a quote in this record that is never closed, expected `"` at the end of the value
      next: close it, or double it (`""`) where it is part of the value
    "#);
    let endless = format!("id\n1\n\"{}", "x\n".repeat(ITEM_BYTES_MAX));
    assert_snapshot!(csv(endless).refused(None), @"
    error[HW-WRK-013]: list:3: the line is longer than 1048576 bytes, expected one item a line
      next: check that this is a list, and its line ends (LF or CRLF) and quotes; put large data into files and list their paths
    ");
    assert_eq!(csv("id\n1\n\"2\"").keys(), ["1", "2"], "a last quote that is closed");
    assert_eq!(csv("id,n\n1,5\" pipe\n").keys(), ["1"], "a quote within a value is one");
    assert_eq!(csv("id\n\u{1e}end\n").keys(), ["\u{1e}end"], "what we end a table with may stand in one");
}

#[test]
fn a_record_may_be_as_long_as_a_line_and_no_longer() {
    let rows = |bytes| format!("id,x\n1,{}\n2,y\n", "x".repeat(bytes));
    assert_eq!(csv(rows(ITEM_BYTES_MAX - 10)).keys(), ["1", "2"]);
    assert!(csv(rows(ITEM_BYTES_MAX)).refused(None).starts_with("error[HW-WRK-013]: list:2:"));
}

#[test]
fn r15_what_is_no_file_of_items_is_refused() {
    let list = text("a\n");
    let refused = |path: &Path| {
        let file = WorklistFile::new(path, WorklistFormat::Lines, None, false);
        let error = file.items().err().expect("a refusal");
        assert_eq!(file.input(None, Timestamp::UNIX_EPOCH).expect_err("a refusal"), error);
        list.shown(&error)
    };
    assert_snapshot!(refused(&list.dir.path().join("none")), @"
    error[HW-WRK-010]: none: the worklist cannot be opened: No such file or directory (os error 2)
      next: make the file, or correct its path: in a configuration a relative one counts from the file's own directory
    ");
    assert_snapshot!(refused(list.dir.path()).replace(&list.dir.path().display().to_string(), "DIR"), @"
    error[HW-WRK-010]: DIR: it is a directory, expected a file of items
      next: name a file; a list of a directory's files is made by `find DIR -type f > files.txt`
    ");
    assert_snapshot!(refused(&list.dir.path().join("-")), @"
    error[HW-WRK-011]: -: it can be read only once, expected a regular file: a worklist is pinned by its hash and compared again by every pass
      next: write the list to a file first (`… > ids.txt`) and name that
    ");
    let pipe = list.dir.path().join("pipe");
    let mode = Mode::RUSR | Mode::WUSR;
    rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, mode, 0).unwrap();
    assert!(refused(&pipe).starts_with("error[HW-WRK-011]: pipe: "));
    assert!(refused(Path::new("/dev/stdin")).starts_with("error[HW-WRK-011]: /dev/stdin: "));
    assert!(refused(Path::new("/dev/null")).starts_with("error[HW-WRK-011]: /dev/null: "));
}

fn now() -> Timestamp {
    crate::clock::Clock::now(&crate::clock::SystemClock::new())
}

#[test]
fn r06_an_input_is_known_by_its_sign_and_else_by_its_hash() {
    let list = text("a\n");
    let file = list.list(None);
    let tomorrow = later(now(), Duration::from_secs(86_400));
    let first = file.input(None, tomorrow).unwrap();
    assert_eq!(first.sha256, "87428fc522803d31065e7bce3cf03fe475096631e5e07bbd7a0fde60c4cf25c7");
    assert_eq!(first.source, list.path().display().to_string());
    // Only one that trusts the sign takes another's hash for its own.
    let known = Input { sha256: "known".to_owned(), ..first.clone() };
    assert_eq!(file.input(Some(&known), tomorrow).unwrap(), known);
    let moved = Input { source: "elsewhere".to_owned(), ..known.clone() };
    assert_eq!(file.input(Some(&moved), tomorrow).unwrap(), first);
    std::fs::write(list.path(), "b\n").unwrap();
    let second = file.input(Some(&known), tomorrow).unwrap();
    assert_ne!((&second.sign, &second.sha256), (&first.sign, &first.sha256));
}

#[test]
fn r06_bytes_that_changed_under_the_same_size_and_time_are_seen() {
    let list = text("a\n");
    let file = list.list(None);
    let tomorrow = later(now(), Duration::from_secs(86_400));
    let first = file.input(None, tomorrow).unwrap();
    let modified = std::fs::metadata(list.path()).unwrap().modified().unwrap();
    // As `cp -p` and `touch -r` do, in place.
    let mut same = std::fs::OpenOptions::new().write(true).open(list.path()).unwrap();
    same.write_all(b"b\n").unwrap();
    same.set_modified(modified).unwrap();
    assert_ne!(file.input(Some(&first), tomorrow).unwrap().sha256, first.sha256);
}

#[test]
fn r06_a_file_that_changed_just_now_has_no_cheap_sign() {
    let list = text("a\n");
    let file = list.list(None);
    let fresh = file.input(None, now()).unwrap();
    assert_eq!(fresh.sign, format!("sha256:{}", fresh.sha256));
    // One that is trusted although the next tick of the file system's clock was not over would hide the second change.
    let known = Input { sha256: "known".to_owned(), ..fresh.clone() };
    assert_eq!(file.input(Some(&known), now()).unwrap(), fresh);
}

#[test]
fn a_list_is_never_in_memory_whole() {
    // A sparse file of 4 GiB: reading on to its end would take its size.
    let list = text("a\n");
    let file = rustix::fs::open(list.path(), OFlags::WRONLY, Mode::empty()).unwrap();
    rustix::fs::ftruncate(&file, 4 << 30).unwrap();
    assert!(list.refused(None).starts_with("error[HW-WRK-013]: list:2:"));
    let list = csv("id\na\n");
    let file = rustix::fs::open(list.path(), OFlags::WRONLY, Mode::empty()).unwrap();
    rustix::fs::ftruncate(&file, 4 << 30).unwrap();
    assert!(list.refused(None).starts_with("error[HW-WRK-013]: list:3:"));
}
