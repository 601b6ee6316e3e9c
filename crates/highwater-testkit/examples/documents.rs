//! `documents DIRECTORY`: a handful of documents of many formats, as the demo and whoever tries a knowledge base need them.

use std::error::Error;
use std::fs;
use std::path::Path;

use highwater_testkit::documents;

const PAGE: &str = "<!doctype html><html><head><title>The lighthouse</title></head><body><h1>The lighthouse</h1>\
    <p>The lighthouse of the North Harbour was built in 1871. Its lamp is seen from eighteen miles.</p>\
    <h2>The keepers</h2><p>A keeper wrote down each storm surge beside the tidal range.</p></body></html>\n";
const GAUGES: &str =
    "station,height of the gauge (m),first year\nNorth Harbour,4.2,1871\nSouth Pier,3.9,1902\nIsland,5.1,1933\n";

fn main() -> Result<(), Box<dyn Error>> {
    let directory = std::env::args().nth(1).ok_or("usage: documents DIRECTORY")?;
    let directory = Path::new(&directory);
    fs::create_dir_all(directory)?;
    for (name, bytes) in [
        ("tides.pdf", documents::pdf()),
        ("harbour.docx", documents::docx()),
        ("figures.xlsx", documents::xlsx()),
        ("talk.pptx", documents::pptx()),
        ("book.epub", documents::epub()),
        ("lighthouse.html", PAGE.as_bytes().to_vec()),
        ("gauges.csv", GAUGES.as_bytes().to_vec()),
    ] {
        fs::write(directory.join(name), bytes)?;
    }
    Ok(())
}
