//! Registries and pages that somebody made who means harm, or that a disk spoilt: set aside one by one, and told.

use std::collections::HashSet;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::symlink;

use highwater_kb::adopt::{self, AdoptError};
use highwater_testkit::older_base::{self, Files};

use super::{Older, broken};

fn registry(files: &mut Files, rows: &[(&str, &str)]) {
    let row = |(bytes, fields): &(&str, &str)| format!("\"{}\": {fields}", older_base::sha256(bytes.as_bytes()));
    let more = rows.iter().map(row).collect::<Vec<_>>().join(", ");
    let had = older_base::registry();
    let text = format!("{}, {more}}}", had.trim_end().trim_end_matches('}'));
    files.insert(".openkb/hashes.json".to_owned(), text.into_bytes());
}

fn told(older: &Older) -> String {
    let survey = older.survey();
    survey.not_taken.iter().map(|not| format!("{}: {}\n", not.what, not.why)).collect()
}

#[test]
fn r14_a_row_that_leads_out_of_the_base_is_set_aside_and_the_rest_goes_on() {
    let older = Older::with(|files| {
        registry(
            files,
            &[
                ("1", r#"{"name": "../../../etc/passwd", "doc_name": "passwd"}"#),
                ("2", r#"{"name": "a.md", "doc_name": "../../../etc/passwd"}"#),
                ("3", r#"{"name": "b.md", "doc_name": "b", "raw_path": "../../etc/passwd"}"#),
                ("4", r#"{"name": "c.md", "doc_name": "c", "source_path": "/etc/passwd"}"#),
                ("5", r#"{"name": "d.md", "doc_name": "d", "source_path": "wiki/sources/../../../etc/passwd"}"#),
                ("6", r#"{"name": "e.md", "doc_name": "e\nf"}"#),
                ("7", r#"{"name": "TIDES.md", "doc_name": "TIDES"}"#),
                (
                    "8",
                    r#"{"name": "g.md", "doc_name": "g", "source_path": "wiki/sources/tides.md", "raw_path": "raw/tides.md"}"#,
                ),
                ("9", r#"{"name": "h\u001b[31m.md", "doc_name": "h"}"#),
                ("10", "[]"),
                ("11", r#"{"name": "i.md", "doc_name": "i", "source_path": "wiki/concepts/mine.md"}"#),
                ("12", r#"{"name": "j.md", "doc_name": "j", "raw_path": ".openkb/config.yaml"}"#),
                ("13", r#"{"name": "\ud800.md"}"#),
            ],
        );
        for name in ["b", "c", "d", "g", "h", "i", "j", "passwd"] {
            files.insert(format!("wiki/summaries/{name}.md"), b"---\ntype: Summary\n---\nx\n".to_vec());
        }
        for name in ["b", "h", "j", "passwd"] {
            files.insert(format!("wiki/sources/{name}.md"), b"x\n".to_vec());
        }
    });
    insta::assert_snapshot!("set_aside", told(&older));
    let library = older.taken();
    assert!(library.page("wiki/summaries/tides.md").is_some());
    let held = library.files();
    assert!(!held.values().any(|text| text.contains("root:")), "nothing outside is read");
    assert!(held.keys().all(|path| !path.contains("openkb")));
    assert_eq!(broken(&library), Vec::<String>::new());
}

#[test]
fn symlinks_are_followed_nowhere() {
    let older = Older::new();
    let at = |path: &str| older.directory.path().join(path);
    for (path, to) in [
        ("wiki/concepts/leads-out.md", "/etc/passwd"),
        ("wiki/entities/leads-in.md", "../concepts/mine.md"),
        ("wiki/sources/images/tides/out.png", "/etc/passwd"),
        ("wiki/explorations/pipe.md", "/dev/stdin"),
    ] {
        symlink(to, at(path)).unwrap();
    }
    std::fs::remove_file(at("raw/tides.md")).unwrap();
    symlink("/etc/passwd", at("raw/tides.md")).unwrap();
    std::fs::rename(at("wiki/summaries/far.md"), at("wiki/far.md")).unwrap();
    symlink("../far.md", at("wiki/summaries/far.md")).unwrap();
    std::fs::rename(at("wiki/reports"), at("elsewhere")).unwrap();
    symlink("../elsewhere", at("wiki/reports")).unwrap();
    let odd = std::ffi::OsStr::from_bytes(b"odd\xff.md");
    std::fs::write(at("wiki/concepts").join(odd), "x").unwrap();
    insta::assert_snapshot!("symlinks", told(&older));
    let library = older.taken();
    assert!(!library.files().values().any(|text| text.contains("root:")));
    assert!(at("wiki/concepts/leads-out.md").is_symlink());
}

#[test]
fn r15_a_registry_that_is_none_is_refused_and_nothing_is_made() {
    for (bytes, says) in [
        (&b""[..], "EOF"),
        (b"{", "EOF"),
        (b"[]", "expected a map"),
        (b"null", "expected a map"),
        (b"{\"a\": {}", "EOF"),
        (b"\xff", "expected value"),
    ] {
        let older = Older::with(|files| drop(files.insert(".openkb/hashes.json".to_owned(), bytes.to_vec())));
        let error = adopt::survey(older.home().fs(), older.directory.path(), &HashSet::new()).unwrap_err();
        assert!(matches!(&error, AdoptError::Registry(why) if why.contains(says)), "{bytes:?}: {error}");
        assert_eq!(older.stands(), older.files);
        assert!(!older.directory.path().join(".highwater").exists());
    }
    let older = Older::with(|files| drop(files.remove(".openkb/hashes.json")));
    assert!(matches!(adopt::survey(older.home().fs(), older.directory.path(), &HashSet::new()), Err(AdoptError::None)));
    std::fs::remove_dir_all(older.directory.path().join(".openkb")).unwrap();
    assert!(matches!(adopt::survey(older.home().fs(), older.directory.path(), &HashSet::new()), Err(AdoptError::None)));
}

#[test]
fn pages_that_are_spoilt_cost_no_more_than_themselves() {
    let older = Older::with(|files| {
        let mut put = |path: &str, bytes: &[u8]| files.insert(path.to_owned(), bytes.to_vec());
        put("wiki/concepts/binary.md", b"\xff\xfe\0");
        put(
            "wiki/concepts/large.md",
            format!("---\nsources: [\"summaries/tides.md\"]\n---\n{}", "x".repeat(2 << 20)).as_bytes(),
        );
        put("wiki/concepts/no-yaml.md", b"---\nsources: [\"summaries/tides.md\"\n---\n\nSee [[summaries/tides]].\n");
        put(
            "wiki/concepts/old-way.md",
            b"---\nsources: [tides.md]\n---\n\n<script>alert(1)</script>\n\n# Late\n\n```\nnever closed",
        );
        put("wiki/concepts/Two words.md", b"---\nsources: [\"summaries/tides.md\"]\n---\n\nTwo.\n");
        put("wiki/sources/manual.json", b"[{\"page\": 1, \"content\": ");
        put("wiki/summaries/Storm-notes-v2.md", b"\xff no front matter");
        put("wiki/concepts/empty.md", b"");
    });
    insta::assert_snapshot!("spoilt", told(&older));
    let mut library = older.taken();
    let paper =
        crate::library::Paper::new("x", "X.\n", &[("concepts/old-way", true, &[]), ("concepts/no-yaml", true, &[])]);
    library.add(&[&paper]);
    insta::assert_snapshot!("spoilt_page", library.page("wiki/concepts/old-way.md").unwrap());
    assert!(library.page("wiki/concepts/no-yaml.md").unwrap().contains("See [[summaries/tides]]"));
    assert_eq!(older.stands()["wiki/concepts/binary.md"], older.files["wiki/concepts/binary.md"]);
}

#[test]
fn r14_a_hundred_thousand_rows_without_a_file_cost_a_line_each_and_the_rest_comes() {
    const ROWS: u64 = 100_000;
    let older = Older::with(|files| {
        let rows: String = (0..ROWS).map(|n| format!("\"{n:064x}\": {{\"name\": \"lost-{n}.pdf\"}}, ")).collect();
        let had = older_base::registry();
        files.insert(
            ".openkb/hashes.json".to_owned(),
            format!("{{{rows}{}", had.trim_start().trim_start_matches('{')).into_bytes(),
        );
    });
    let survey = older.survey();
    let lost = survey.not_taken.iter().filter(|not| not.what.starts_with("lost-"));
    assert_eq!((lost.count() as u64, survey.counted.documents), (ROWS, 5));
    assert_eq!(broken(&older.taken()), Vec::<String>::new());
}

#[test]
fn a_page_of_too_many_documents_stays_a_page_of_the_persons() {
    let older = Older::with(|files| {
        let rows: Vec<(String, String)> =
            (0..70).map(|n| (n.to_string(), format!("{{\"name\": \"of-{n}.md\"}}"))).collect();
        let rows: Vec<(&str, &str)> = rows.iter().map(|(bytes, row)| (bytes.as_str(), row.as_str())).collect();
        registry(files, &rows);
        for n in 0..70 {
            files.insert(format!("wiki/summaries/of-{n}.md"), b"x\n".to_vec());
            files.insert(format!("wiki/sources/of-{n}.md"), b"x\n".to_vec());
        }
        let sources: Vec<String> = (0..70).map(|n| format!("\"summaries/of-{n}.md\"")).collect();
        let page = format!("---\nsources: [{}]\n---\n{}", sources.join(", "), "x".repeat(1_000_000));
        files.insert("wiki/concepts/all.md".to_owned(), page.into_bytes());
    });
    let told = told(&older);
    assert!(told.contains("too many for a page of 70 documents: it stays as a page of yours"), "{told}");
    let library = older.taken();
    assert_eq!(library.page("wiki/concepts/all.md"), None);
    assert!(older.directory.path().join("wiki/concepts/all.md").exists());
}

#[test]
fn r15_a_directory_that_is_none_is_refused_before_anything_is_made() {
    for (path, to) in
        [("wiki/explorations", "../elsewhere"), ("wiki/log", "/tmp"), ("raw", "elsewhere"), ("wiki/sources", "nowhere")]
    {
        let older = Older::new();
        let at = |path: &str| older.directory.path().join(path);
        let _ = std::fs::rename(at(path), at("elsewhere"));
        symlink(to, at(path)).unwrap();
        let error = adopt::survey(older.home().fs(), older.directory.path(), &HashSet::new()).unwrap_err();
        assert!(matches!(&error, AdoptError::NoDirectory(named) if named == path), "{path}: {error}");
    }
    let older = Older::with(|files| drop(files.insert("wiki/log".to_owned(), b"mine".to_vec())));
    let error = adopt::survey(older.home().fs(), older.directory.path(), &HashSet::new()).unwrap_err();
    assert_eq!(error.to_string(), "wiki/log is a symlink or a file, where a directory of the base is to be");
}
