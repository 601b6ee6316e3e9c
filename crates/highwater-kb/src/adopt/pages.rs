//! The text of a long document, which the older kind keeps as JSON, page by page. Owns its shape, and how it becomes Markdown whose
//! pages are known by their lines.

use serde::Deserialize;
use serde_json::Value;

use super::ADOPTED;
use crate::convert::Converted;

/// The most pages of a document.
const PAGES_MAX: usize = 100_000;

/// A page as it is written.
#[derive(Debug, Deserialize)]
struct Written {
    #[serde(default)]
    page: Option<u32>,
    #[serde(default)]
    content: Option<String>,
    #[serde(default)]
    images: Vec<Value>,
}

/// Reads the pages of a document.
pub(super) fn read(json: &[u8]) -> Result<Converted, String> {
    let written: Vec<Written> = serde_json::from_slice(json).map_err(|error| error.to_string())?;
    if written.len() > PAGES_MAX {
        return Err(format!("it has more than {PAGES_MAX} pages"));
    }
    let (mut markdown, mut page_lines, mut lines) = (String::new(), Vec::new(), 0_u32);
    for page in written {
        let number = page.page.map_or(page_lines.len() + 1, |number| number as usize);
        // Pages that are left out, or out of order, begin where the next one does.
        page_lines.resize(number.min(PAGES_MAX).max(page_lines.len() + 1), lines);
        let mut text = page.content.unwrap_or_default().replace("\r\n", "\n").replace('\r', "\n");
        for image in page.images.iter().filter_map(|image| image.get("path")?.as_str()) {
            if !text.contains(image) && !image.contains(['\n', ')', '(']) {
                text.push_str(&format!("\n\n![]({image})"));
            }
        }
        let text = text.trim_matches('\n').trim_end();
        if text.is_empty() {
            continue;
        }
        markdown.push_str(text);
        markdown.push_str("\n\n");
        lines = lines.saturating_add(u32::try_from(text.matches('\n').count() + 2).unwrap_or(u32::MAX));
    }
    if markdown.is_empty() {
        return Err("it has no text".to_owned());
    }
    markdown.truncate(markdown.trim_end().len());
    markdown.push('\n');
    let last = u32::try_from(markdown.matches('\n').count().saturating_sub(1)).unwrap_or(u32::MAX);
    let page_lines = page_lines.into_iter().map(|line| line.min(last)).collect();
    Ok(Converted { title: None, markdown, images: Vec::new(), page_lines, converter: ADOPTED.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_become_a_text_whose_lines_say_where_each_begins() {
        let json = r#"[{"page": 1, "content": "One\ntwo", "images": []}, {"page": 2, "content": ""},
            {"page": 4, "content": "Four", "images": [{"path": "sources/images/x/p4.png"}, 7]}, {"content": "Five"}]"#;
        let converted = read(json.as_bytes()).unwrap();
        assert_eq!(converted.markdown, "One\ntwo\n\nFour\n\n![](sources/images/x/p4.png)\n\nFive\n");
        assert_eq!(converted.page_lines, [0, 3, 3, 3, 7]);
    }

    #[test]
    fn what_is_no_list_of_pages_is_named() {
        for spoilt in ["", "{}", "[1]", "[]", "[{\"content\": \" \"}]", "[{\"page\": -1}]"] {
            assert!(read(spoilt.as_bytes()).is_err(), "{spoilt:?}");
        }
        let far = format!("[{{\"page\": {}, \"content\": \"x\"}}]", u32::MAX);
        assert_eq!(read(far.as_bytes()).unwrap().page_lines.len(), PAGES_MAX);
    }
}
