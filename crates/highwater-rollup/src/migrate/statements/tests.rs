//! Files taken apart, as both databases would take them.

use super::*;

fn apart(dialect: Dialect, text: &str) -> Vec<String> {
    let found = read(dialect, text);
    assert!(found.unreadable.is_none(), "{text}: {:?}", found.unreadable);
    found.statements.iter().map(|one| one.sql.to_owned()).collect()
}

#[test]
fn a_semicolon_in_a_string_a_comment_or_a_body_ends_nothing() {
    let postgres = [
        "SELECT 'a;''b', E'\\';', U&'\\0061;', \"c;\"\"d\", $$;$$, $t$ $$;COMMIT; $t$, a$b$c",
        "/* a /* b; */ ; */ SELECT 1 -- ;\n + 2",
        "CREATE RULE r AS ON INSERT TO t DO ALSO (DELETE FROM u; DELETE FROM v)",
        "CREATE OR REPLACE FUNCTION f() RETURNS int LANGUAGE SQL BEGIN ATOMIC SELECT CASE WHEN true THEN 1 END; SELECT 2; END",
        "SELECT 1 <#> 2, a @> b, c #>> '{}', d ?| e, 'ä' ^@ f, 5::int4[1:2]",
        "BEGIN",
        "CREATE TABLE begin_end (\"end\" int)",
    ];
    let text = format!("-- é\r\n;;{};\n", postgres.join(";\r\n"));
    let expected: Vec<&str> = postgres.iter().map(|one| one.trim_start_matches("/* a /* b; */ ; */ ")).collect();
    assert_eq!(apart(Dialect::Postgres, &text), expected);
    let sqlite = [
        "SELECT [a;b], `c;d`, \"e;f\", 'g;''h', x'00', $$, @a, :b, ?1",
        "CREATE TEMP TRIGGER t AFTER INSERT ON u BEGIN\n  SELECT CASE WHEN 1 THEN 2 END; DELETE FROM v;\nEND",
        "COMMIT",
    ];
    assert_eq!(apart(Dialect::Sqlite, &sqlite.join(";")), sqlite);
    // SQLite's comments do not nest.
    assert_eq!(apart(Dialect::Sqlite, "/* a /* b */ SELECT 1; SELECT 2"), ["SELECT 1", "SELECT 2"]);
}

#[test]
fn what_begins_or_ends_a_transaction_is_known_and_a_savepoint_is_neither() {
    let begins = |sql: &str| read(Dialect::Postgres, sql).statements[0].control().map(|control| control.begins);
    for sql in ["BEGIN", "begin isolation level serializable", "START TRANSACTION", "COMMIT AND CHAIN", "/* x */ BEGIN"]
    {
        assert_eq!(begins(sql), Some(true), "{sql}");
    }
    for sql in
        ["COMMIT", "END", "Rollback", "ABORT", "COMMIT AND NO CHAIN", "PREPARE TRANSACTION 'x'", "COMMIT PREPARED 'x'"]
    {
        assert_eq!(begins(sql), Some(false), "{sql}");
    }
    let harmless =
        ["SAVEPOINT a", "ROLLBACK TO a", "ROLLBACK WORK TO a", "RELEASE a", "PREPARE p AS SELECT 1", "SELECT 'COMMIT'"];
    for sql in harmless.into_iter().chain(["(SELECT 1)", "\"BEGIN\"", "SET TRANSACTION READ ONLY"]) {
        assert_eq!(begins(sql), None, "{sql}");
    }
}

#[test]
fn what_does_not_end_is_told_with_its_place() {
    for (dialect, text) in [(Dialect::Postgres, "SELECT 1;\nSELECT 'a"), (Dialect::Sqlite, "SELECT 1;\n/* a")] {
        let message = read(dialect, text).unreadable.unwrap().message;
        assert!(message.contains("Line: 2"), "{message}");
    }
}
