//! Each format, as it is usually written.

use encoding_rs::SHIFT_JIS;

use super::*;

macro_rules! snapshot {
    ($name:literal, $bytes:expr, $suffix:literal) => {{
        let given = $bytes;
        let bytes: &[u8] = given.as_ref();
        let converted = of(bytes, $suffix).unwrap();
        assert_eq!(of(bytes, $suffix).unwrap(), converted, "the same bytes give the same answer");
        insta::assert_snapshot!($name, shown(&converted));
        converted
    }};
}

#[test]
fn a_link_in_preformatted_text_is_its_words() {
    let page = "<p>See <a href=\"a.html\">a</a>.</p><PRE class='c'>int <a title=\"x > y\" href='f.html'>f</a>(<b>void</b>);</PRE>";
    let (markdown, _) = crate::convert::html::to_markdown(page, &mut 0).unwrap();
    assert!(markdown.contains("See [a](a.html)."), "{markdown}");
    assert!(markdown.contains("int f(void);"), "{markdown}");
}

#[test]
fn a_pdf_keeps_its_headings_its_images_and_where_its_pages_begin() {
    let converted = snapshot!("pdf", documents::pdf(), "pdf");
    let lines: Vec<&str> = converted.markdown.lines().collect();
    let begins: Vec<&str> = converted.page_lines.iter().map(|line| lines[*line as usize]).collect();
    assert_eq!(begins, ["# Tides of the North", "## Computing", "## Printing"]);
}

#[test]
fn a_docx_keeps_headings_lists_tables_notes_links_and_images() {
    snapshot!("docx", documents::docx(), "docx");
}

#[test]
fn a_line_that_breaks_in_a_docx_breaks_in_the_text() {
    let body = "<w:p><w:r><w:t>Old harbour</w:t><w:br/><w:t>Cuxhaven</w:t></w:r></w:p>";
    let text = of(&documents::docx_of(body), "docx").unwrap().markdown;
    assert!(text.starts_with("Old harbour  \nCuxhaven\n"), "{text}");
}

#[test]
fn a_listing_in_a_docx_is_one_block_with_its_lines_as_they_are() {
    let styled = |style: &str, text: &str| {
        format!(
            r#"<w:p><w:pPr><w:pStyle w:val="{style}"/></w:pPr><w:r><w:t xml:space="preserve">{text}</w:t></w:r></w:p>"#
        )
    };
    let mono = |text: &str| {
        let font = r#"<w:rPr><w:rFonts w:ascii="Courier New" w:hAnsi="Courier New"/></w:rPr>"#;
        format!(r#"<w:p><w:r>{font}<w:t xml:space="preserve">{text}</w:t></w:r></w:p>"#)
    };
    let words = |text: &str| format!("<w:p><w:r><w:t>{text}</w:t></w:r></w:p>");
    let text = |body: &[String]| of(&documents::docx_of(&body.concat()), "docx").unwrap().markdown;
    let empty = "<w:p><w:pPr><w:jc w:val=\"left\"/></w:pPr></w:p>".to_owned();
    let before = words("The gauge is read by a small program that stands below, and highwaterlisting0 is a word.");
    let lines = [mono("def tide(gauge):"), mono("    return gauge * 2  # ``` and *"), empty.clone(), mono("tide(3)")];
    let after = words("It prints six, which is what the gauge on the pier would have said as well.");
    let code = "```\ndef tide(gauge):\n    return gauge * 2  # ``` and *\n\ntide(3)\n```".replace("```\n", "````\n");
    let code = format!("{}````", code.trim_end_matches('`'));
    let told = text(&[&[before.clone()][..], &lines, &[empty, after.clone()]].concat());
    assert!(told.contains(&format!("is a word.\n\n{code}\n\nIt prints")), "{told}");
    // By its style, whatever its font.
    let told = text(&[before.clone(), styled("SourceCode", "a"), styled("SourceCode", "  b"), after]);
    assert!(told.contains("\n\n```\na\n  b\n```\n\n"), "{told}");
    // Where all is typewritten, the font tells nothing.
    let told = text(&[mono("It was a dark and stormy night."), mono("The rain fell in torrents.")]);
    assert!(!told.contains("```"), "{told}");
}

#[test]
fn a_workbook_is_a_table_a_sheet() {
    snapshot!("xlsx", documents::xlsx(), "xlsx");
    snapshot!("ods", documents::ods(), "ods");
}

#[test]
fn a_slide_is_a_page() {
    snapshot!("pptx", documents::pptx(), "pptx");
}

#[test]
fn a_book_is_its_chapters_in_their_order() {
    snapshot!("epub", documents::epub(), "epub");
}

#[test]
fn a_page_of_the_web_keeps_what_it_says_and_links_only_to_what_is_somewhere() {
    let page = format!(
        "<!DOCTYPE html><html><head><title>Tides &amp; moons</title><style>p {{}}</style></head><body>\
         <nav><a href=\"index.html\">Home</a></nav><h1>Tides</h1><p>Twice a <em>day</em>, 2 * 3 &lt; 7, __init__, \
         &lt;tag&gt;, [[not a link]].<br>Next.</p><h2 id=\"h\">Harbours</h2><ol><li>Cuxhaven<ul><li>Old</li></ul></li>\
         <li>Dover</li></ol><table><thead><tr><th>Harbour</th><th>Range</th></tr></thead><tbody><tr><td>Cuxhaven</td>\
         <td>3 m</td></tr></tbody></table><pre><code class=\"language-sh\">moon --full | sort\n# [[kept]]</code></pre>\
         <blockquote><p>Said.</p></blockquote><p><a href=\"https://example.org/a_b\">far</a>, <a href=\"other.html\">near</a>, \
         <a href=\"#h\">here</a>, <a href=\"javascript:alert(1)\">bad</a></p>\
         <p><img src=\"data:image/png;base64,{}\" alt=\"red\"><img src=\"https://example.org/x.png\" alt=\"far\">\
         <img src=\"../../etc/passwd\" alt=\"secret\"></p><dl><dt>Ebb</dt><dd>Down</dd></dl>\
         <script>alert(1)</script><form><p>In a form.</p></form></body></html>",
        documents::PNG_BASE64
    );
    snapshot!("html", page.as_bytes(), "html");
}

#[test]
fn a_note_of_a_page_is_a_footnote() {
    let page = b"<html><body><p>High.<a href=\"#fn1\" class=\"footnote-ref\" id=\"fnref1\" role=\"doc-noteref\"><sup>1</sup></a> \
                 Low.<a href=\"#fn2\" class=\"footnote-ref\" id=\"fnref2\" role=\"doc-noteref\"><sup>2</sup></a></p>\
                 <section class=\"footnotes\" role=\"doc-endnotes\"><hr/><ol><li id=\"fn1\"><p>At noon.<a href=\"#fnref1\" \
                 class=\"footnote-back\" role=\"doc-backlink\">back</a></p></li><li id=\"fn2\"><p>At <em>six</em>.\
                 <a href=\"#fnref2\" class=\"footnote-back\" role=\"doc-backlink\">back</a></p></li></ol></section></body></html>";
    snapshot!("html_notes", page, "html");
}

#[test]
fn images_beside_a_page_are_taken_and_no_others() {
    let dir = tempfile::tempdir().unwrap();
    let place = dir.path().join("doc");
    fs::create_dir_all(place.join("img")).unwrap();
    fs::write(place.join("img/a b.png"), documents::PNG).unwrap();
    fs::write(place.join("same.png"), documents::PNG).unwrap();
    fs::write(place.join("text.png"), "no image").unwrap();
    fs::write(dir.path().join("outside.png"), documents::PNG).unwrap();
    std::os::unix::fs::symlink("../outside.png", place.join("link.png")).unwrap();
    std::os::unix::fs::symlink("..", place.join("up")).unwrap();
    let page: String = [
        "img/a%20b.png",
        "same.png?v=1",
        "text.png",
        "none.png",
        "link.png",
        "up/outside.png",
        "../outside.png",
        "/etc/hostname",
        "file:///etc/hostname",
    ]
    .iter()
    .map(|source| format!("<p><img src=\"{source}\" alt=\"of {source}\"></p>"))
    .collect();
    let page = format!("<html><body>{page}</body></html>");
    let converted = convert(page.as_bytes(), "html", Some(&place), &Limits::default()).unwrap();
    insta::assert_snapshot!("html_images", shown(&converted));
    let markdown =
        b"# A\n\n![one](same.png \"A title\") ![two](../outside.png) [![in a link](same.png)](https://example.org)\n";
    let converted = convert(markdown, "md", Some(&place), &Limits::default()).unwrap();
    insta::assert_snapshot!("markdown_images", shown(&converted));
}

#[test]
fn markdown_stays_as_it_is_but_for_what_leads_nowhere() {
    let text = "---\ntitle: \"On tides\"\ntags: [a]\n---\n# Tides *and* moons\n\nA [link](https://example.org), a [dead one](x.md), a \
                [[wikilink]], [[1]](https://example.org/1), [[2]](#n2), `[[code]]`, 50%% off.\n\n    [[indented]]\n\n| a | b |\n|---|---|\n\
                | 1 | [x](y.md) |\n\nA note.[^1]\n\n[^1]: The note.\n\n<div>kept</div>\n";
    snapshot!("markdown", text.as_bytes(), "md");
    let plain = "# Title\n\nNothing to change.\n";
    assert_eq!(of(plain.as_bytes(), "md").unwrap().markdown, plain);
}

#[test]
fn a_text_shows_what_looks_like_markup() {
    let text = "USAGE\n=====\n\nput <file> here, or <b>there</b>\r\nsee <https://example.org>\n\n  two  spaces\n";
    snapshot!("text", text.as_bytes(), "txt");
    snapshot!("json", br#"{"a": "```"}"#, "json");
}

#[test]
fn a_text_is_read_in_its_encoding() {
    let japanese = "潮汐表\n\n東京湾の満潮は一日に二回あります。漁師は潮の満ち引きを知っています。\n";
    let (bytes, _, _) = SHIFT_JIS.encode(japanese);
    assert_eq!(of(&bytes, "txt").unwrap().markdown, japanese);
    let german = "Häfen: Cuxhaven, Büsum, Tönning. Das Wasser steigt höher als früher.\n";
    let latin: Vec<u8> = german.chars().map(|c| u8::try_from(u32::from(c)).unwrap()).collect();
    assert_eq!(of(&latin, "txt").unwrap().markdown, german);
    let wide: Vec<u8> = "\u{feff}Häfen\r\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
    assert_eq!(of(&wide, "txt").unwrap().markdown, "Häfen\n");
    let named = b"<html><head><meta charset=\"iso-8859-2\"></head><body><p>\xb3\xf3d\xbc</p></body></html>";
    assert_eq!(of(named, "html").unwrap().markdown, "łódź\n");
    assert_eq!(of(b"\xef\xbb\xbfone\rtwo\n", "txt").unwrap().markdown, "one\ntwo\n");
}

#[test]
fn rows_are_a_table_whatever_separates_them() {
    let latin = b"Hafen;Breite;Bemerkung\nB\xfcsum;54,13;\"steigt; f\xe4llt\"\nT\xf6nning;54,32;*alt* | neu\n";
    snapshot!("csv_latin", latin, "csv");
    let wide: Vec<u8> = "\u{feff}Harbour\tRange\r\nDover\t6.0\r\n".encode_utf16().flat_map(u16::to_be_bytes).collect();
    snapshot!("csv_utf16", wide, "csv");
    snapshot!("tsv", b"name\tsnake_case\nx\t\"two\nlines\"\nshort\n", "tsv");
    assert!(of(b"sep=|\na|b\n1|2\n", "csv").unwrap().markdown.starts_with("| a | b |\n"));
}

#[test]
fn a_document_is_what_its_bytes_say_and_not_what_it_is_called() {
    for (bytes, suffix, format) in [
        (documents::pdf(), "txt", Format::Pdf),
        (documents::docx(), "pdf", Format::Docx),
        (documents::xlsx(), "docx", Format::Xlsx),
        (documents::pptx(), "zip", Format::Pptx),
        (documents::epub(), "", Format::Epub),
        (documents::ods(), "xls", Format::Ods),
        (b"<?xml version=\"1.0\"?>\n<!-- x --><html></html>".to_vec(), "md", Format::Html),
        (b"plain words".to_vec(), "pdf", Format::Text),
        (b"plain words".to_vec(), "docx", Format::Text),
        (b"The mark of a PDF is %PDF-1.4".to_vec(), "txt", Format::Text),
        (b"BMW is a car".to_vec(), "txt", Format::Text),
    ] {
        assert_eq!(Format::of(&bytes, suffix), Ok(format), "{suffix}");
    }
}

#[test]
fn a_converter_says_the_version_that_is_built() {
    let lock = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../Cargo.lock")).unwrap();
    for (bytes, suffix, package) in [
        (documents::pdf(), "pdf", "unpdf"),
        (documents::docx(), "docx", "undoc"),
        (documents::ods(), "ods", "calamine"),
        (documents::epub(), "epub", "rbook"),
        (b"<html><p>x".to_vec(), "html", "html-to-markdown"),
        (b"a,b".to_vec(), "csv", "csv"),
    ] {
        let converter = of(&bytes, suffix).unwrap().converter;
        let version = converter.strip_prefix(&format!("{package}/")).unwrap().split('+').next().unwrap().to_owned();
        let crate_name = if package == "html-to-markdown" { "html-to-markdown-rs" } else { package };
        assert!(lock.contains(&format!("name = \"{crate_name}\"\nversion = \"{version}\"")), "{converter}");
    }
}
