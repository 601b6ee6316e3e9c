//! What an answer says that it is. Owns how its media type becomes the suffix by which a document is kept, where its bytes do not tell.

use reqwest::Url;

use crate::convert::{Format, suffix_of};

/// Media types that are documents, and the suffixes of such files.
///
/// # Source
/// The IANA registry of media types.
const KNOWN: [(&str, &str); 20] = [
    ("text/html", "html"),
    ("application/xhtml+xml", "html"),
    ("application/pdf", "pdf"),
    ("text/markdown", "md"),
    ("text/x-markdown", "md"),
    ("text/csv", "csv"),
    ("text/tab-separated-values", "tsv"),
    ("application/epub+zip", "epub"),
    ("application/msword", "doc"),
    ("application/vnd.ms-excel", "xls"),
    ("application/vnd.ms-powerpoint", "ppt"),
    ("application/vnd.ms-excel.sheet.binary.macroenabled.12", "xlsb"),
    ("application/vnd.oasis.opendocument.spreadsheet", "ods"),
    ("application/vnd.openxmlformats-officedocument.wordprocessingml.document", "docx"),
    ("application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", "xlsx"),
    ("application/vnd.openxmlformats-officedocument.presentationml.presentation", "pptx"),
    ("application/json", "json"),
    ("application/xml", "xml"),
    ("text/xml", "xml"),
    ("application/yaml", "yaml"),
];
/// What is no document, whatever its bytes are.
const NEVER: [&str; 5] = ["image/", "audio/", "video/", "font/", "model/"];

/// The suffix of a document that was sent as this type from there; empty where nobody said what it is.
///
/// # Errors
/// What it is instead, as a sentence about it.
pub(super) fn suffix(content_type: Option<&str>, from: &Url) -> Result<String, String> {
    let media = content_type.unwrap_or_default().split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    if NEVER.iter().any(|never| media.starts_with(never)) {
        return Err(format!("its server says that it is {media}, which is no document"));
    }
    if let Some((_, suffix)) = KNOWN.iter().find(|(known, _)| *known == media) {
        return Ok((*suffix).to_owned());
    }
    // What says nothing more is called by its address.
    let named = suffix_of(std::path::Path::new(from.path()));
    match Format::is_named(&named) {
        true => Ok(named),
        false if media.starts_with("text/") => Ok("txt".to_owned()),
        false => Ok(String::new()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_is_kept_as_what_its_server_says_else_as_its_address_does() {
        let of = |media: Option<&str>, path: &str| {
            suffix(media, &Url::parse(&format!("https://example.org{path}")).unwrap())
        };
        assert_eq!(of(Some("text/html; charset=utf-8"), "/tides.php").as_deref(), Ok("html"));
        assert_eq!(of(Some("Application/PDF"), "/get?id=7").as_deref(), Ok("pdf"));
        assert_eq!(of(Some("text/plain"), "/README.md").as_deref(), Ok("md"));
        assert_eq!(of(Some("text/plain"), "/LICENSE").as_deref(), Ok("txt"));
        assert_eq!(of(Some("application/octet-stream"), "/a.docx").as_deref(), Ok("docx"));
        assert_eq!(of(None, "/a").as_deref(), Ok(""));
        assert!(of(Some("image/png"), "/a.pdf").unwrap_err().contains("image/png"));
    }
}
