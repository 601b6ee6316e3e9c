//! The index and the log as people edit them: lines that are changed beside theirs are no conflict.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use highwater_kb::{Directory, Home};

use crate::library::{Library, Paper};

fn of(n: u32) -> Paper {
    let own = format!("entities/own-{n}");
    let text = format!("# Paper {n}\n\nWords of paper {n}.\n");
    Paper::new(&format!("paper-{n}"), &text, &[("concepts/tides", false, &[]), (&own, true, &[])])
}

fn beside(root: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut directories = vec![root.join("wiki")];
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => directories.push(path),
                false if path.to_string_lossy().contains(".conflict") => found.push(path),
                false => {}
            }
        }
    }
    found
}

#[test]
fn a_line_that_a_person_changed_beside_a_new_one_stays_and_is_no_conflict() {
    let edits: [(&str, &str, &str); 4] = [
        ("wiki/log.md", "add | paper-2\n", "add | paper-2, which I like\n"),
        ("wiki/log.md", "add | paper-2\n", "add | paper-2\n\nMine.\n"),
        ("wiki/index.md", "- [[summaries/paper-2", "- Mine: [[summaries/paper-2"),
        ("wiki/index.md", "- [[summaries/paper-1", "- Mine.\n- [[summaries/paper-1"),
    ];
    for (page, from, to) in edits {
        let directory = tempfile::tempdir().unwrap();
        let home: Arc<dyn Home> = Arc::new(Directory::open(directory.path()).unwrap());
        let mut library = Library::new(home);
        (1..=2).for_each(|n| library.add(&[&of(n)]));
        let text = fs::read_to_string(directory.path().join(page)).unwrap();
        assert_eq!(text.matches(from).count(), 1, "{page}: {text}");
        fs::write(directory.path().join(page), text.replace(from, to)).unwrap();
        for n in 3..=6 {
            library.add(&[&of(n)]);
            let text = fs::read_to_string(directory.path().join(page)).unwrap();
            assert_eq!(text.matches(to).count(), 1, "{page}: {text}");
            (3..=n).for_each(|n| {
                assert_eq!(
                    text.matches(&format!("paper-{n}|"))
                        .count()
                        .max(text.matches(&format!("add | paper-{n}\n")).count()),
                    1,
                    "{n}: {text}"
                )
            });
            assert_eq!(beside(directory.path()), Vec::<PathBuf>::new(), "{page}: {n}: {text}");
        }
    }
}
