//! What was looked at and changed before it was mended.

use super::*;

#[test]
fn bytes_that_are_to_be_stored_from_a_file_which_changed_since_are_passed_over() {
    for is_gone in [false, true] {
        let mut desk = Desk::new();
        let path = "wiki/sources/images/report-1/1.png";
        std::fs::remove_file(desk.object(ContentId::of(b"png 1"))).unwrap();
        desk.write("wiki/explorations/mine.md", "---\ntype: exploration\n---\n[[nowhere]]\n");
        let linted = desk.look();
        match is_gone {
            true => desk.remove(path),
            false => desk.write(path, "another picture"),
        }
        let mended = desk.mend(&linted, false);
        assert_eq!(mended.passed_over, [file(path)]);
        // The rest is mended.
        assert_eq!(mended.findings.len(), 1, "{mended:?}");
        assert!(desk.read("wiki/explorations/mine.md").ends_with("\nnowhere\n"));
    }
}
