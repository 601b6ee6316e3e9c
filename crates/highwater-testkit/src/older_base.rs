//! A knowledge base of the older kind, as its own program left one: written down from a base that version 0.4.5 of it made of such
//! documents, with rows of older versions, and cut off by a kill. Owns its shape; tests plant what is to be wrong with it.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use sha2::{Digest as _, Sha256};

/// The files of a base, from its root.
pub type Files = BTreeMap<String, Vec<u8>>;

/// The document that has two summaries' worth of words, and an image.
pub const TIDES: &str = "# Tides\n\nThe tidal range is the height between high water and low water. The Harbour Office measures it.\n\n\
                         ![gauge](sources/images/tides/gauge.png)\n";
/// The document whose name has signs that no page can bear.
pub const STORMS: &str = "Storms pile up water. The tidal range grows with a storm surge.\n";
/// The document of the oldest kind of row: its pages are called as its file is, with spaces.
pub const PAPER: &str = "# On neap tides\n\nA neap tide comes with the half moon.\n";
/// What the long document is as a file.
pub const MANUAL: &[u8] = b"%PDF-1.7 the manual of the gauges, as it was given";

/// The SHA-256 of bytes, in hexadecimal.
#[must_use]
pub fn sha256(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

/// A base whose documents came from `/papers`, and which its program called `root`.
#[must_use]
pub fn older_base(root: &str) -> Files {
    let mut files = Files::new();
    let mut put = |path: &str, text: &str| files.insert(path.to_owned(), text.as_bytes().to_vec());
    put(".openkb/config.yaml", "model: openai/some\nlanguage: en\npageindex_threshold: 20\n");
    put(".openkb/ingest.lock", "");
    documents(&mut put);
    shared(&mut put);
    put(
        "wiki/index.md",
        "# Knowledge Base Index\n\nRead the manual first, says Ana.\n\n## Documents\n- [[summaries/manual]] (pageindex) — The manual of \
         the gauges.\n- [[summaries/tides]] (short) — What tides are.\n\n## Concepts\n- [[concepts/tidal-range]] — The height between \
         high and low water.\n\n## Entities\n- [[entities/harbour-office]] (organization) — Who measures the tides.\n\n## \
         Explorations\n- [[explorations/what-is-a-tide]]\n",
    );
    put(
        "wiki/log.md",
        "# Operations Log\n\n## [2025-02-03 01:09:31] ingest | tides.md\n\n## [2025-02-03 01:09:47] ingest | Storm notes (v2).txt\n\n",
    );
    put("wiki/AGENTS.md", "# Wiki Schema\n\nAs Ana wants it.\n");
    put(
        "wiki/explorations/what-is-a-tide.md",
        "---\nquery: \"what is a tide?\"\n---\n\nA tide is what [[summaries/tides]] says, see [[tidal-range]] and [[summaries/Old paper (1998)]].\n",
    );
    put("wiki/reports/lint_20250203_011138.md", "# Lint report\n\nAll is well.\n");
    files.insert("wiki/sources/images/tides/gauge.png".to_owned(), crate::documents::PNG.to_vec());
    files.insert("raw/manual.pdf".to_owned(), MANUAL.to_vec());
    files.insert(".openkb/hashes.json".to_owned(), registry().into_bytes());
    journals(root, &mut files);
    files
}

/// The registry, row by row: two of the newest kind, a long document, one that was read elsewhere, and one of the oldest kind.
#[must_use]
pub fn registry() -> String {
    let row = |bytes: &[u8], fields: &str| format!("  \"{}\": {{{fields}}}", sha256(bytes));
    let newest = |name: &str, stem: &str, kind: &str| {
        format!(
            "\n    \"name\": \"{name}\",\n    \"doc_name\": \"{stem}\",\n    \"type\": \"{kind}\",\n    \"path\": \"/papers/{name}\",\n    \
             \"raw_path\": \"raw/{stem}.{kind}\",\n    \"source_path\": \"wiki/sources/{stem}.md\"\n  "
        )
    };
    let rows = [
        row(TIDES.as_bytes(), &newest("tides.md", "tides", "md")),
        row(STORMS.as_bytes(), &newest("Storm notes (v2).txt", "Storm-notes-v2", "txt")),
        row(
            MANUAL,
            "\"name\": \"manual.pdf\", \"doc_name\": \"manual\", \"type\": \"long_pdf\", \"path\": \"raw/manual.pdf\", \
             \"raw_path\": \"raw/manual.pdf\", \"doc_id\": \"doc-0001\"",
        ),
        row(
            b"pageindex-cloud:doc-0002",
            "\"name\": \"far.pdf\", \"doc_name\": \"far\", \"type\": \"pageindex_cloud\", \"origin\": \"cloud\", \"path\": \
             \"pageindex-cloud:doc-0002\", \"source_path\": \"wiki/sources/far.json\", \"doc_id\": \"doc-0002\"",
        ),
        row(PAPER.as_bytes(), "\"name\": \"Old paper (1998).md\", \"type\": \"md\""),
    ];
    format!("{{\n{}\n}}\n", rows.join(",\n"))
}

fn documents(put: &mut impl FnMut(&str, &str) -> Option<Vec<u8>>) {
    let summary = |description: &str, kind: &str, text: &str, body: &str| {
        format!(
            "---\ntype: \"Summary\"\ndescription: \"{description}\"\ndoc_type: {kind}\nfull_text: \"sources/{text}\"\n---\n\n{body}"
        )
    };
    put("raw/tides.md", TIDES);
    put("wiki/sources/tides.md", TIDES);
    put(
        "wiki/summaries/tides.md",
        &summary(
            "What tides are.",
            "short",
            "tides.md",
            "# All about tides\n\nThe [[concepts/tidal-range]] is what [[entities/harbour-office|the office]] measures, as \
             [[Storm-notes-v2]] says, and [[summaries/Old paper (1998)|the old paper]].\n\n## Key points\n\n- high water<br>low water\n\n\
             ## Related Concepts\n- [[concepts/storm-surge]]\n\n## Entities\n- [[entities/harbour-office]]\n",
        ),
    );
    put("raw/Storm-notes-v2.txt", STORMS);
    put("wiki/sources/Storm-notes-v2.md", STORMS);
    put(
        "wiki/summaries/Storm-notes-v2.md",
        &summary("What storms do.", "short", "Storm-notes-v2.md", "Storms add to the [[concepts/tidal-range]].\n"),
    );
    let pages = |count: u32, what: &str| {
        let page = |n| {
            format!(
                "  {{\n    \"page\": {n},\n    \"content\": \"{what} {n}\\nOn page {n} gauge number {n} is told of.\",\n    \"images\": []\n  }}"
            )
        };
        format!("[\n{}\n]", (1..=count).map(page).collect::<Vec<_>>().join(",\n"))
    };
    put("wiki/sources/manual.json", &pages(24, "Chapter"));
    put(
        "wiki/summaries/manual.md",
        &summary(
            "The manual of the gauges.",
            "pageindex",
            "manual.json",
            "# Chapter 1 (pages 1–12)\n\nSummary: Twelve gauges.\n\n## Gauge 2 (pages 2–3)\n\nSummary: One gauge.\n\n# Chapter 2 (pages \
             13–24)\n\nSummary: Twelve more.\n\n## Related Concepts\n- [[concepts/tidal-range]]\n",
        ),
    );
    put("wiki/sources/far.json", &pages(3, "Lighthouse"));
    put(
        "wiki/summaries/far.md",
        &summary("A far lighthouse.", "pageindex", "far.json", "# Light (pages 1–3)\n\nSummary: It turns.\n"),
    );
    put("raw/Old paper (1998).md", PAPER);
    put("wiki/sources/Old paper (1998).md", PAPER);
    put(
        "wiki/summaries/Old paper (1998).md",
        &summary(
            "Of neap tides.",
            "short",
            "Old paper (1998).md",
            "Neap tides have a small [[concepts/tidal-range]].\n",
        ),
    );
    // A document that was being added when its program was killed.
    put("raw/halfway.md", "# Halfway\n\nThis is never done.\n");
    put("wiki/sources/halfway.md", "# Halfway\n\nThis is never done.\n");
}

fn shared(put: &mut impl FnMut(&str, &str) -> Option<Vec<u8>>) {
    put(
        "wiki/concepts/tidal-range.md",
        "---\ntype: \"Concept\"\nsources: [\"summaries/Old paper (1998).md\", \"summaries/manual.md\", \"summaries/Storm-notes-v2.md\", \
         \"summaries/tides.md\"]\ndescription: \"The height between high and low water.\"\n---\n\n# Tidal range\n\nThe tidal range is a \
         height. See [[concepts/storm-surge]] and [[summaries/Storm-notes-v2]].\n\n## Measuring\n\nA gauge measures it, \
         [[Harbour-office|as everybody knows]].\n\n| place | metres |\n|---|---|\n| [[harbour-office]] | 4 |\n",
    );
    put(
        "wiki/concepts/storm-surge.md",
        "---\ntype: \"Concept\"\nsources: [\"summaries/Storm-notes-v2.md\", \"summaries/tides.md\"]\nbrief: \"Water that wind piles \
         up.\"\n---\n\n# Storm surge\n\nWind piles water up at the coast. It adds to the [[concepts/tidal-range|range]].\n\n\
         ## Related Documents\n- [[summaries/tides]]\n\n\nSee also: [[summaries/Storm-notes-v2]]",
    );
    put(
        "wiki/entities/harbour-office.md",
        "---\nsources: [\"summaries/tides.md\"]\ntype: \"Organization\"\ndescription: \"Who measures the tides.\"\naliases: [\"The \
         Office\"]\n---\n\nThe Harbour Office keeps the gauges, see [[concepts/tidal-range]].\n",
    );
    put("wiki/concepts/mine.md", "# Mine\n\nAna wrote this by hand.\n");
}

fn journals(root: &str, files: &mut Files) {
    let backups = ".openkb/staging/rollback-aa86bd165ef04fffa00043f83be5a47d";
    let target = |path: &str, backup: &str| format!("{{\"target\": \"{root}/{path}\", \"backup\": {backup}}}");
    let kept = |path: &str| target(path, &format!("\"{root}/{backups}/{path}\""));
    let targets = [
        kept(".openkb/hashes.json"),
        target("wiki/summaries/halfway.md", "null"),
        kept("wiki/concepts"),
        kept("wiki/index.md"),
        target("raw/halfway.md", "null"),
        target("wiki/sources/halfway.md", "null"),
    ];
    let active = format!(
        "{{\"version\": 1, \"operation\": \"add\", \"status\": \"active\", \"kb_dir\": \"{root}\", \"backup_dir\": \"{root}/{backups}\", \
         \"details\": {{\"name\": \"halfway.md\", \"doc_name\": \"halfway\"}}, \"attempts\": 0, \"entries\": [{}]}}\n",
        targets.join(", ")
    );
    files.insert(".openkb/journal/aa86bd165ef04fffa00043f83be5a47d.json".to_owned(), active.into_bytes());
    files.insert(".openkb/journal/bb.json".to_owned(), b"{\"version\": 1, \"operation\": \"re".to_vec());
    files.insert(format!("{backups}/wiki/index.md"), b"# Knowledge Base Index\n".to_vec());
}

/// Writes files below a directory.
///
/// # Panics
/// What the disk says.
pub fn lay(root: &Path, files: &Files) {
    for (path, bytes) in files {
        let path = root.join(path);
        fs::create_dir_all(path.parent().expect("a file lies in a directory")).expect("the disk takes a directory");
        fs::write(path, bytes).expect("the disk takes a file");
    }
}
