//! Documents that are damaged, or made to hurt whoever opens them: each costs itself, within its limits.

use std::fs::File;

use highwater_engine::clock::SystemClock;
use highwater_engine::contact::StopSignal;
use highwater_kb::convert::{Limits, Staged, Subprocess};
use highwater_testkit::documents::{Pdf, archive, docx_of};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use super::*;
use crate::rig::HIGHWATER;

/// Many times the same.
fn many(what: &str, times: usize) -> String {
    what.repeat(times)
}

#[test]
fn what_unfolds_into_more_than_it_may_is_refused() {
    let spaces = vec![b' '; 300 << 20];
    let bomb = archive(&[
        ("[Content_Types].xml", b"<Types xmlns=\"http://schemas.openxmlformats.org/package/2006/content-types\"/>"),
        ("word/document.xml", &spaces),
    ]);
    assert!(bomb.len() < 1 << 20);
    let desk = Desk::with("bomb.docx", &bomb);
    let told = desk.refused(&["bomb.docx", "--memory-max", "256MiB"]);
    assert!(told.starts_with("it is damaged: ") && told.contains("bomb"), "{told}");
    let epub = archive(&[
        ("mimetype", b"application/epub+zip"),
        ("META-INF/container.xml", b"<container><rootfiles><rootfile full-path=\"a.opf\" media-type=\"application/oebps-package+xml\"/></rootfiles></container>"),
        ("a.opf", &spaces),
    ]);
    let desk = Desk::with("bomb.epub", &epub);
    assert_eq!(desk.refused(&["bomb.epub", "--memory-max", "256MiB"]), "it needed more than 256 MiB of memory");
    let desk = Desk::with("large.html", many("<p>x</p>", 2_500_000).as_bytes());
    assert_eq!(desk.refused(&["large.html", "--memory-max", "128MiB"]), "it needed more than 128 MiB of memory");
}

#[test]
fn what_takes_more_time_than_it_may_is_refused() {
    let desk = Desk::with("long.html", many("<p>x <b>y</b> z</p>", 1_000_000).as_bytes());
    let limits = Limits { cpu_secs: 1, secs_per_mib: 0, memory_bytes: 8 << 30, ..Limits::default() };
    let staged = Staged::copy(&desk.0.path("long.html"), &desk.0.path("tmp"), &limits).unwrap();
    let conversion = Subprocess::new(HIGHWATER.as_ref(), limits, SystemClock::shared());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let error = runtime.block_on(conversion.convert(&staged, &StopSignal::default())).unwrap_err();
    assert!(error.to_string().starts_with("it took more than "), "{error}");
}

#[test]
fn what_is_nested_without_end_is_converted_or_refused() {
    let deep = 200_000;
    let documents: [(&str, Vec<u8>); 7] = [
        ("a.html", format!("<html><body>{}x{}</body></html>", many("<div>", deep), many("</div>", deep)).into_bytes()),
        ("b.html", format!("<html><body>{}x", many("<ul><li>", deep)).into_bytes()),
        ("c.html", format!("<html><body>{}x", many("<table><tr><td>", deep)).into_bytes()),
        ("a.docx", docx_of(&format!("{}<w:p/>{}", many("<w:sdt>", deep), many("</w:sdt>", deep)))),
        (
            "b.docx",
            docx_of(&format!("{}<w:p/>{}", many("<w:tbl><w:tr><w:tc>", deep), many("</w:tc></w:tr></w:tbl>", deep))),
        ),
        ("a.json", format!("{}1{}", many("[", deep), many("]", deep)).into_bytes()),
        ("a.md", format!("{}x\n{}\n", many("> ", 20_000), many("[", deep)).into_bytes()),
    ];
    for (name, bytes) in documents {
        let desk = Desk::with(name, &bytes);
        let ended = desk.convert(&[name]);
        if ended.code != 0 {
            let told = said(&ended, &desk);
            assert!(!told.contains("broke"), "{name}: {told}");
        }
    }
}

#[test]
fn a_pdf_that_leads_back_to_itself_ends() {
    let pdf = String::from_utf8(documents::pdf()).unwrap();
    for (from, to) in [
        ("/Kids [7 0 R 9 0 R 11 0 R]", "/Kids [2 0 R 2 0 R 2 0 R]"),
        ("/Kids [7 0 R 9 0 R 11 0 R]", "/Kids [7 0 R 7 0 R 2 0 R]"),
        ("/Pages 2 0 R", "/Pages 1 0 R"),
        ("/Contents 8 0 R", "/Contents 7 0 R"),
        ("/Info 6 0 R", "/Prev 0 /Info 6 0 R"),
        ("/Count 3", "/Count 999999999"),
        ("/Length 24577", "/Length 5 0 R"),
        ("/Width 64 /Height 64", "/Width 999999 /Height 999999"),
    ] {
        assert!(pdf.contains(from), "{from}");
        let desk = Desk::with("loop.pdf", pdf.replacen(from, to, 1).as_bytes());
        let ended = desk.convert(&["loop.pdf"]);
        if ended.code != 0 {
            let told = said(&ended, &desk);
            assert!(!told.contains("broke") && !told.contains("took more"), "{from}: {told}");
        }
    }
    // A cross-reference table that follows itself.
    let start = pdf[..pdf.rfind("startxref").unwrap()].rfind("xref\n").unwrap();
    let desk = Desk::with("loop.pdf", pdf.replacen("/Root 1 0 R", &format!("/Root 1 0 R /Prev {start}"), 1).as_bytes());
    assert_eq!(desk.convert(&["loop.pdf"]).code, 0);
}

#[test]
fn a_document_that_was_cut_off_is_converted_or_refused() {
    for (name, bytes) in [("a.pdf", documents::pdf()), ("a.docx", documents::docx()), ("a.epub", documents::epub())] {
        for end in (0..bytes.len()).step_by(bytes.len() / 12) {
            let desk = Desk::with(name, &bytes[..end]);
            let ended = desk.convert(&[name]);
            if ended.code != 0 {
                let told = said(&ended, &desk);
                assert!(!told.contains("broke"), "{name} of {end} bytes: {told}");
            }
        }
    }
}

#[test]
fn what_is_too_large_is_not_even_copied() {
    let desk = Desk::new();
    File::create(desk.0.path("large.txt")).unwrap().set_len(2 << 30).unwrap();
    assert_eq!(desk.refused(&["large.txt"]), "it has 2048 MiB, more than the 512 that are read");
    File::create(desk.0.path("holes.txt")).unwrap().set_len(100 << 20).unwrap();
    assert_eq!(desk.refused(&["holes.txt"]), "it is neither text nor a document that is read");
    let text = many("a line of a text that is longer than it may be\n", (70 << 20) / 47);
    fs::write(desk.0.path("long.txt"), text).unwrap();
    assert_eq!(desk.refused(&["long.txt"]), "its text is longer than 64 MiB");
}

#[test]
fn a_scan_an_archive_and_a_locked_document_are_named() {
    let desk = Desk::with("scan.pdf", &Pdf::titled("Scan").scanned().bytes());
    assert_eq!(desk.refused(&["scan.pdf"]), "it has no text: scanned pages need OCR first");
    let desk = Desk::with("a.zip", &archive(&[("a.txt", b"x")]));
    assert_eq!(desk.refused(&["a.zip"]), "it is a ZIP archive: unpack it, and add what is in it");
    let locked = String::from_utf8(documents::pdf()).unwrap().replace(
        "/Info 6 0 R",
        "/Info 6 0 R /Encrypt << /Filter /Standard /V 1 /R 2 /P -4 /O (01234567890123456789012345678901) /U \
         (01234567890123456789012345678901) >> /ID [(a) (b)]",
    );
    let desk = Desk::with("locked.pdf", locked.as_bytes());
    assert_eq!(desk.refused(&["locked.pdf"]), "it is encrypted: save it without a password first");
}

#[test]
fn whatever_the_bytes_are_they_are_converted_or_refused() {
    let bytes = prop_oneof![
        proptest::collection::vec(any::<u8>(), 0..2000),
        proptest::collection::vec(any::<u8>(), 0..2000).prop_map(|rest| [b"%PDF-1.4\n".to_vec(), rest].concat()),
        proptest::collection::vec(any::<u8>(), 0..2000).prop_map(|rest| [b"PK\x03\x04".to_vec(), rest].concat()),
        "[<>/a-z!\\[\\]()*_#|`~\n &;=\"-]{0,600}".prop_map(String::into_bytes),
    ];
    let suffix =
        prop_oneof![Just("pdf"), Just("docx"), Just("html"), Just("md"), Just("csv"), Just("txt"), Just("xls")];
    let config = Config { cases: 48, max_shrink_iters: 200, failure_persistence: None, ..Config::default() };
    TestRunner::new(config)
        .run(&(bytes, suffix), |(bytes, suffix)| {
            let name = format!("a.{suffix}");
            let desk = Desk::with(&name, &bytes);
            let ended = desk.convert(&[&name]);
            prop_assert!(ended.code == 0 || ended.code == 2, "{:?}", ended);
            prop_assert!(!ended.stderr.contains("broke"), "{:?}", ended);
            Ok(())
        })
        .unwrap();
}
