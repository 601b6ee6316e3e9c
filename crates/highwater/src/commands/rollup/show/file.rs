//! The file that a chart is written to. Owns that only an SVG is ever replaced.

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::Path;

use highwater_engine::diagnosis::Diagnosis;
use highwater_fs::{Mode, publish_at};

/// How much of a file is read to tell what it is.
const HEAD_BYTES: u64 = 4096;

/// Puts an SVG at a path, whole, unless something else is there.
pub(super) fn publish(path: &Path, svg: &str) -> Result<(), Diagnosis> {
    match head(path) {
        Ok(None) => {}
        Ok(Some(head)) if is_svg(&head) => {}
        Ok(Some(_)) => {
            return Err(Diagnosis::refusal(
                "HW-ROL-029",
                "found a file that is no SVG, expected an SVG to replace, or nothing",
                "name another file, or remove this one",
            )
            .in_file(path)
            .at_field("--svg"));
        }
        Err(error) => return Err(unwritten(path, &error)),
    }
    publish_at(path, svg.as_bytes(), Mode::Umask).map_err(|error| unwritten(path, &error))
}

/// The beginning of a file; `None` where there is none.
fn head(path: &Path) -> std::io::Result<Option<Vec<u8>>> {
    // A pipe or a device has no beginning that could be read twice; it is no SVG.
    match std::fs::metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
        Ok(there) if !there.is_file() => return Ok(Some(Vec::new())),
        Ok(_) => {}
    }
    let mut head = Vec::new();
    File::open(path)?.take(HEAD_BYTES).read_to_end(&mut head)?;
    Ok(Some(head))
}

/// Whether the first element is an SVG's.
fn is_svg(head: &[u8]) -> bool {
    let text = String::from_utf8_lossy(head);
    let mut rest = text.trim_start_matches('\u{feff}').trim_start();
    loop {
        let end = match rest {
            before if before.starts_with("<!--") => before.find("-->").map(|at| at + 3),
            before if before.starts_with("<?") || before.starts_with("<!") => before.find('>').map(|at| at + 1),
            element => {
                let name = element.strip_prefix("<svg").or_else(|| element.strip_prefix("<svg:svg"));
                return name.is_some_and(|rest| rest.starts_with([' ', '>', '\n', '\r', '\t']));
            }
        };
        let Some(end) = end else { return false };
        rest = rest[end..].trim_start();
    }
}

fn unwritten(path: &Path, error: &dyn std::error::Error) -> Diagnosis {
    Diagnosis::failure(
        "HW-ROL-035",
        format!("the chart cannot be written: {}", highwater_engine::diagnosis::with_causes(error)),
        "make the directory, free space or let this user write there",
    )
    .in_file(path)
    .at_field("--svg")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_svg_is_replaced() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("chart.svg");
        publish(&path, "<svg xmlns=\"a\"/>").unwrap();
        publish(&path, "<svg xmlns=\"b\"/>").unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "<svg xmlns=\"b\"/>");
        for other in ["", "# notes", "<html><svg></svg></html>", "<svgx>", "<!-- <svg> -->"] {
            std::fs::write(&path, other).unwrap();
            let refused = publish(&path, "<svg/>").unwrap_err();
            assert_eq!(refused.code, "HW-ROL-029", "{other:?}");
            assert_eq!(std::fs::read_to_string(&path).unwrap(), other);
        }
        let directory_there = publish(directory.path(), "<svg/>").unwrap_err();
        assert_eq!(directory_there.code, "HW-ROL-029");
        let nowhere = publish(&directory.path().join("nowhere/chart.svg"), "<svg/>").unwrap_err();
        assert_eq!(nowhere.code, "HW-ROL-035");
    }

    #[test]
    fn an_svg_of_any_tool_is_known_for_one() {
        for svg in [
            "<svg>",
            "\u{feff}<?xml version=\"1.0\"?>\n<!-- made > by hand -->\n<!DOCTYPE svg PUBLIC \"a\" \"b\">\n<svg width=\"1\">",
            "<svg\n  xmlns=\"x\">",
        ] {
            assert!(is_svg(svg.as_bytes()), "{svg}");
        }
    }
}
