//! Files that are refused before they are run, and the words to highwater.

use super::*;

fn script(text: impl AsRef<[u8]>) -> Result<Script, ScriptError> {
    let bytes = text.as_ref().to_vec();
    let (name, file) = ("a".to_owned(), "1_a.up.sql".to_owned());
    Script::read(Dialect::Postgres, &Step { number: 1, name, file, sha256: String::new(), bytes })
}

fn refused(text: impl AsRef<[u8]>) -> String {
    script(text).unwrap_err().to_string()
}

#[test]
fn r15_a_file_that_is_no_migration_is_refused_with_its_line() {
    assert_eq!(refused(b"SELECT '\xFF'"), "it is not UTF-8 from byte 8 on: save it as UTF-8");
    assert_eq!(refused("S\nE\0LECT"), "line 2 has a NUL byte: save it as UTF-8");
    assert!(refused("\u{FEFF} \r\n\t").starts_with("it is empty"));
    assert!(refused("SELECT 1;\nSELECT 'a").contains("Line: 2"));
    assert!(refused("SELECT 1;\n\n/* a */ COMMIT;").starts_with("line 3: COMMIT would end or begin a transaction"));
    assert!(refused("BEGIN; SELECT 1; END;").starts_with("line 1: BEGIN would"));
    assert!(
        refused("SELECT 1;\nCOPY public.t (a, b) FROM stdin;\n1\t'x\n\\.\n")
            .starts_with("line 2: COPY FROM STDIN needs psql")
    );
    assert!(refused("COPY (SELECT 1) TO STDOUT").contains("TO STDOUT"));
    assert!(refused("-- highwater:no-transaction\nSELECT 1;\nBEGIN;\nSELECT 1").contains("line 3 begins has no end"));
}

#[test]
fn a_file_of_comments_does_nothing_and_a_mark_in_front_is_no_letter() {
    let read = script("\u{FEFF}-- superseded by 7\r\n").unwrap();
    assert_eq!((read.statements.len(), read.sql.as_str()), (0, "-- superseded by 7\r\n"));
    assert_eq!(script("\u{FEFF}SELECT 1").unwrap().sql, "SELECT 1");
}

#[test]
fn the_words_at_the_head_are_heeded_and_any_other_place_or_word_is_refused() {
    let read = script(
        "-- Drops what usage replaces.\n\n--highwater:requires usage days\n-- highwater:requires usage\nDROP TABLE t",
    )
    .unwrap();
    assert_eq!(
        (read.requires.as_slice(), read.in_transaction),
        (["usage".to_owned(), "days".to_owned()].as_slice(), true)
    );
    let read = script("-- highwater:no-transaction\r\nBEGIN;\nSELECT 1;\nCOMMIT;\nVACUUM;").unwrap();
    assert_eq!(
        (read.statements.as_slice(), read.in_transaction),
        (["BEGIN", "SELECT 1", "COMMIT", "VACUUM"].map(str::to_owned).as_slice(), false)
    );

    assert!(refused("-- highwater:requires\nSELECT 1").starts_with("line 1: `highwater:requires` names no job"));
    assert!(
        refused("-- highwater:require usage\nSELECT 1").starts_with("line 1: `highwater:require usage` is unknown")
    );
    assert!(refused("-- highwater:no-transaction please\nSELECT 1").contains("is unknown"));
    assert!(
        refused("SELECT 1;\n-- highwater:requires usage").starts_with("line 2: `highwater:requires` comes too late")
    );
    assert!(refused("/* highwater:requires usage */ SELECT 1").contains("comes too late"));
    let many: Vec<String> = (0..=REQUIRES_MAX).map(|job| format!("job{job}")).collect();
    assert!(refused(format!("-- highwater:requires {}\nSELECT 1", many.join(" "))).contains("more than 32"));
    assert!(script("SELECT '-- highwater:requires usage'").unwrap().requires.is_empty());
}
