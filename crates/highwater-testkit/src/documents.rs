//! Documents as people have them, made byte for byte: PDF, DOCX, XLSX, PPTX, ODS, EPUB. Owns samples that use what a format is
//! used for (headings, lists, tables, notes, links, code, images), and the makers of them, for tests that spoil them.

use std::io::{Cursor, Write};

use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

mod office;
mod pdf;

pub use office::{docx, docx_of, ods, pptx, xlsx};
pub use pdf::{Pdf, pdf};

/// An image of one red point.
pub const PNG: &[u8] = &[
    0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a, 0x00, 0x00, 0x00, 0x0d, 0x49, 0x48, 0x44, 0x52, 0x00, 0x00, 0x00,
    0x01, 0x00, 0x00, 0x00, 0x01, 0x08, 0x02, 0x00, 0x00, 0x00, 0x90, 0x77, 0x53, 0xde, 0x00, 0x00, 0x00, 0x0c, 0x49,
    0x44, 0x41, 0x54, 0x08, 0xd7, 0x63, 0xf8, 0xcf, 0xc0, 0x00, 0x00, 0x03, 0x01, 0x01, 0x00, 0x18, 0xdd, 0x8d, 0xb0,
    0x00, 0x00, 0x00, 0x00, 0x49, 0x45, 0x4e, 0x44, 0xae, 0x42, 0x60, 0x82,
];

/// The same, in base64.
pub const PNG_BASE64: &str =
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVQI12P4z8AAAAMBAQAY3Y2wAAAAAElFTkSuQmCC";

/// A ZIP archive of these files in this order; one that is called `mimetype` is not compressed.
///
/// # Panics
/// Where a name cannot be one.
#[must_use]
pub fn archive(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in files {
        let method = if *name == "mimetype" { CompressionMethod::Stored } else { CompressionMethod::Deflated };
        zip.start_file(*name, SimpleFileOptions::default().compression_method(method)).expect("a name");
        zip.write_all(bytes).expect("memory takes every write");
    }
    zip.finish().expect("memory takes every write").into_inner()
}

/// A book of two chapters, with a picture, a note and a link from one to the other.
#[must_use]
pub fn epub() -> Vec<u8> {
    let chapter = |title: &str, body: &str| {
        format!(
            "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<!DOCTYPE html>\n<html xmlns=\"http://www.w3.org/1999/xhtml\" \
             xmlns:epub=\"http://www.idpf.org/2007/ops\"><head><title>{title}</title></head><body>{body}</body></html>"
        )
    };
    let one = chapter(
        "One",
        "<h1>The sea</h1><p>It <em>rises</em> twice a day.<a epub:type=\"noteref\" role=\"doc-noteref\" \
         href=\"#n1\">1</a></p><p><img src=\"../images/sea.png\" alt=\"The sea\"/></p><p>See \
         <a href=\"two.xhtml\">the moon</a>.</p><aside epub:type=\"footnote\" role=\"doc-footnote\" id=\"n1\"><p>In most \
         places.</p></aside>",
    );
    let two = chapter(
        "Two",
        "<p>There is no heading here.</p><ul><li>First</li><li>Second<ul><li>Within</li></ul></li></ul>\
         <pre><code>moon --full</code></pre>",
    );
    archive(&[
        ("mimetype", b"application/epub+zip"),
        (
            "META-INF/container.xml",
            b"<?xml version=\"1.0\"?><container version=\"1.0\" xmlns=\"urn:oasis:names:tc:opendocument:xmlns:container\">\
              <rootfiles><rootfile full-path=\"OPS/book.opf\" media-type=\"application/oebps-package+xml\"/></rootfiles>\
              </container>",
        ),
        (
            "OPS/book.opf",
            b"<?xml version=\"1.0\"?><package xmlns=\"http://www.idpf.org/2007/opf\" version=\"3.0\" \
              unique-identifier=\"id\"><metadata xmlns:dc=\"http://purl.org/dc/elements/1.1/\"><dc:identifier \
              id=\"id\">urn:uuid:0</dc:identifier><dc:title>On Tides</dc:title><dc:language>en</dc:language></metadata>\
              <manifest><item id=\"nav\" href=\"nav.xhtml\" media-type=\"application/xhtml+xml\" properties=\"nav\"/>\
              <item id=\"c1\" href=\"text/one.xhtml\" media-type=\"application/xhtml+xml\"/>\
              <item id=\"c2\" href=\"text/two.xhtml\" media-type=\"application/xhtml+xml\"/>\
              <item id=\"i1\" href=\"images/sea.png\" media-type=\"image/png\"/></manifest>\
              <spine><itemref idref=\"nav\"/><itemref idref=\"c1\"/><itemref idref=\"c2\"/></spine></package>",
        ),
        (
            "OPS/nav.xhtml",
            chapter(
                "Contents",
                "<nav epub:type=\"toc\"><ol><li><a href=\"text/one.xhtml\">The sea</a></li>\
                 <li><a href=\"text/two.xhtml\">The moon</a></li></ol></nav>",
            )
            .as_bytes(),
        ),
        ("OPS/text/one.xhtml", one.as_bytes()),
        ("OPS/text/two.xhtml", two.as_bytes()),
        ("OPS/images/sea.png", PNG),
    ])
}
