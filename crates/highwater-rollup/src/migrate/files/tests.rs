//! Directories, and what of them is a migration.

use std::os::unix::fs::symlink;

use tempfile::TempDir;

use super::*;

fn directory(files: &[(&str, &[u8])]) -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    for (name, bytes) in files {
        fs::write(directory.path().join(name), bytes).unwrap();
    }
    directory
}

fn refused(files: &[(&str, &[u8])]) -> String {
    read(directory(files).path()).unwrap_err().to_string()
}

#[test]
fn numbers_order_the_files_and_what_is_for_going_back_is_none() {
    let directory = directory(&[
        ("10_last.sql", b"SELECT 10"),
        ("009_ten_less_one.up.sql", b"SELECT 9"),
        ("009_ten_less_one.down.sql", b"SELECT -9"),
        ("20240101120000_.sql", b"SELECT 0"),
        ("README.md", b"#"),
        (".#010_last.sql", b"an editor's"),
    ]);
    fs::create_dir(directory.path().join("old")).unwrap();
    let files = read(directory.path()).unwrap();
    let found: Vec<_> = files.steps.iter().map(|step| (step.number, step.name.as_str())).collect();
    assert_eq!(found, [(9, "ten_less_one"), (10, "last"), (20_240_101_120_000, "")]);
    // printf 'SELECT 10' | sha256sum
    assert_eq!(files.steps[1].sha256, "e4257f85f204c8827241143e3cca1f296a43a4a29391568aff61e49e56a45b0d");
}

#[test]
fn other_line_ends_and_a_mark_in_front_are_no_other_text() {
    let sum = |bytes: &[u8]| checksum(bytes);
    assert_eq!(sum(b"\xEF\xBB\xBFa\r\nb\r\n"), sum(b"a\nb\n"));
    assert_eq!(sum(b"a\r\n\r\n"), sum(b"a\n\n"));
    assert_ne!(sum(b"a\rb"), sum(b"a\nb"));
    assert_ne!(sum(b"a\nb"), sum(b"a\nb\n"));
}

#[test]
fn r15_a_directory_that_is_no_history_is_refused() {
    assert_eq!(
        refused(&[("7_a.sql", b"1"), ("007_b.up.sql", b"2")]),
        "007_b.up.sql and 7_a.sql have the same number 7: give the later one a number of its own"
    );
    for name in ["schema.sql", "7.sql", "x7_a.sql", "7-a.sql", "-7_a.sql", "1234567890123456789_a.sql"] {
        assert!(refused(&[(name, b"1")]).starts_with(&format!("{name} has no number")), "{name}");
    }
    assert!(read(Path::new("/not/there")).unwrap_err().to_string().contains("/not/there cannot be read"));

    let (inside, outside) = (directory(&[("1_a.sql", b"SELECT 1")]), directory(&[("a.sql", b"SELECT 2")]));
    symlink("1_a.sql", inside.path().join("2_same.sql")).unwrap();
    assert_eq!(read(inside.path()).unwrap().steps.len(), 2, "a link within it is a file");
    symlink(outside.path().join("a.sql"), inside.path().join("3_out.sql")).unwrap();
    assert!(read(inside.path()).unwrap_err().to_string().starts_with("3_out.sql is a link out of the directory"));
    fs::remove_file(inside.path().join("3_out.sql")).unwrap();
    fs::create_dir(inside.path().join("4_folder.sql")).unwrap();
    assert!(read(inside.path()).unwrap_err().to_string().starts_with("4_folder.sql is no regular file"));

    let long = fs::File::create(outside.path().join("1_long.sql")).unwrap();
    long.set_len(FILE_BYTES_MAX + 1).unwrap();
    fs::remove_file(outside.path().join("a.sql")).unwrap();
    assert!(read(outside.path()).unwrap_err().to_string().starts_with("1_long.sql has more than 16777216 bytes"));
}
