//! What is wrong with a document, and what must not happen whatever it is. What costs time or memory is tried in the process
//! that a conversion really has, by the tests of the binary.

use super::*;

#[test]
fn what_is_no_document_is_named() {
    for (bytes, suffix, says) in [
        (b"".to_vec(), "txt", "it is empty"),
        (b"  \n".to_vec(), "txt", "it has no text"),
        (b"a\0b".to_vec(), "txt", "it is neither text nor a document that is read"),
        (b"\x01\x02\x03\x04\x05\x06abc".to_vec(), "txt", "it is neither text nor a document that is read"),
        (documents::PNG.to_vec(), "pdf", "it is an image: only text is read"),
        (b"{\\rtf1 x}".to_vec(), "doc", "it is RTF, which is not read: save it as DOCX"),
        (b"\x1f\x8b\x08\0".to_vec(), "txt", "it is compressed: unpack it first"),
        (documents::archive(&[("a.txt", b"x")]), "zip", "it is a ZIP archive: unpack it, and add what is in it"),
        (
            documents::archive(&[("a.txt", b"x")]),
            "docx",
            "it is a ZIP archive with no `word/document.xml` in it: a damaged DOCX, or none",
        ),
        (
            documents::archive(&[("a.txt", b"x")]),
            "odt",
            "it is a ZIP archive that does not begin with its `mimetype`: a damaged OpenDocument file, or none",
        ),
        (b"<html><body></body></html>".to_vec(), "html", "it has no text"),
        (
            b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1rest".to_vec(),
            "doc",
            "it is an older Office file that is damaged, or of a kind that is not read",
        ),
        (b"%PDF-1.4\n".to_vec(), "pdf", ""),
    ] {
        let said = refusal(&bytes, suffix);
        assert!(said == says || says.is_empty(), "{said}");
        assert!(said.starts_with("it ") || said.starts_with("its "), "{said}");
    }
}

#[test]
fn a_scan_needs_ocr() {
    assert_eq!(refusal(&Pdf::titled("Scan").scanned().scanned().bytes(), "pdf"), Refusal::Scanned.to_string());
    assert_eq!(refusal(&Pdf::titled("Blank").page(&[]).bytes(), "pdf"), Refusal::NoText.to_string());
}

#[test]
fn a_pdf_that_lost_pages_is_refused() {
    let text = String::from_utf8(documents::pdf()).unwrap();
    let lost = text.replace("11 0 obj", "99 0 obj");
    let said = refusal(lost.as_bytes(), "pdf");
    assert!(said.starts_with("it is damaged: of its 3 pages, "), "{said}");
}

#[test]
fn a_text_is_no_longer_than_it_may_be() {
    let limits = Limits { text_bytes: 10, ..Limits::default() };
    let said = convert(b"more than ten bytes", "txt", None, &limits).unwrap_err();
    assert_eq!(said, Refusal::LongText { limit: 10 });
}

#[test]
fn images_are_no_more_and_no_larger_than_they_may_be() {
    let one = |limits: Limits| convert(&documents::docx(), "docx", None, &limits).map(|c| c.images.len());
    assert_eq!(one(Limits { images: 1, ..Limits::default() }), Ok(1), "shown twice, kept once");
    assert!(matches!(one(Limits { images: 0, ..Limits::default() }), Err(Refusal::Images { .. })));
    assert!(matches!(one(Limits { images_bytes: 10, ..Limits::default() }), Err(Refusal::Images { .. })));
}

#[test]
fn every_beginning_of_a_document_is_converted_or_refused() {
    for (bytes, suffix) in [
        (documents::pdf(), "pdf"),
        (documents::docx(), "docx"),
        (documents::xlsx(), "xlsx"),
        (documents::pptx(), "pptx"),
        (documents::ods(), "ods"),
        (documents::epub(), "epub"),
    ] {
        for end in (0..bytes.len()).step_by(100) {
            if let Err(refusal) = of(&bytes[..end], suffix) {
                assert!(!refusal.to_string().contains('\n'));
            }
        }
    }
}
