//! What a search finds: texts in parts, and pages as a whole, in a full-text index that keeps no text of its own. Owns how a text is
//! parted, and how what is written without spaces is looked up.

use highwater_db::sqlite::rusqlite::{self, Connection};

use crate::tree::Section;

/// How large a part of a text is, but for its last line.
const PASSAGE_BYTES: usize = 4096;
/// From how many bytes on a heading begins a new part.
const HEADED_BYTES_MIN: usize = 512;

const OF_PAGE: &str = "SELECT id FROM passage WHERE page = ?1";
const CLEAR: &str = "DELETE FROM passage WHERE page = ?1";

#[cfg(test)]
pub(crate) const LOOKUPS: &[&str] = &[OF_PAGE, CLEAR];

/// A part of a text: which lines of its page, under which heading.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Passage {
    pub(crate) heading: String,
    /// From 0, and the line after the last; `None` for a page as a whole.
    pub(crate) lines: Option<(u32, u32)>,
    pub(crate) pages: Option<(u32, u32)>,
}

impl Passage {
    /// A page as a whole.
    pub(crate) fn whole(title: &str) -> Self {
        Self { heading: title.to_owned(), lines: None, pages: None }
    }
}

/// Takes what is indexed of a page away.
pub(crate) fn clear(rows: &Connection, page: &str) -> rusqlite::Result<()> {
    let mut ids = rows.prepare_cached(OF_PAGE)?;
    let ids: Vec<i64> = ids.query_map([page], |row| row.get(0))?.collect::<Result<_, _>>()?;
    if ids.is_empty() {
        return Ok(());
    }
    let mut forget = rows.prepare_cached("DELETE FROM passage_text WHERE rowid = ?1")?;
    ids.iter().try_for_each(|id| forget.execute([id]).map(drop))?;
    rows.prepare_cached(CLEAR)?.execute([page]).map(drop)
}

/// Indexes a part of a page.
pub(crate) fn insert(
    rows: &Connection,
    page: &str,
    passage: &Passage,
    title: &str,
    text: &str,
) -> rusqlite::Result<()> {
    let (lines, pages) = (passage.lines.unzip(), passage.pages.unzip());
    rows.prepare_cached(
        "INSERT INTO passage (page, heading, begin_line, end_line, first_page, last_page) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    )?
    .execute((page, &passage.heading, lines.0, lines.1, pages.0, pages.1))?;
    let (title_words, mut cjk) = parted(title);
    let (words, more) = parted(text);
    if !more.is_empty() {
        cjk.push(' ');
        cjk.push_str(&more);
    }
    rows.prepare_cached("INSERT INTO passage_text (rowid, title, body, cjk) VALUES (?1, ?2, ?3, ?4)")?.execute((
        rows.last_insert_rowid(),
        title_words,
        words,
        cjk,
    ))?;
    Ok(())
}

/// Indexes a text, which begins on this line of its page, in parts.
pub(crate) fn index(
    rows: &Connection,
    page: &str,
    title: &str,
    text: &str,
    first_line: u32,
    tree: &[Section],
) -> rusqlite::Result<()> {
    clear(rows, page)?;
    for (mut passage, part) in parts(title, text, tree) {
        passage.lines = passage.lines.map(|(begin, end)| (begin + first_line, end + first_line));
        let heading = std::mem::take(&mut passage.heading);
        let titled = if heading == title { title.to_owned() } else { format!("{title} {heading}") };
        passage.heading = heading;
        insert(rows, page, &passage, &titled, part)?;
    }
    Ok(())
}

/// A text in its parts: at headings, at sections, and where a part becomes too large.
fn parts<'t>(title: &str, text: &'t str, tree: &[Section]) -> Vec<(Passage, &'t str)> {
    let mut parts = Vec::new();
    let mut heading = title.to_owned();
    let (mut begin_at, mut begin_line, mut at) = (0, 0, 0);
    let (mut fence, mut blank) = (None, false);
    let mut end = |heading: &str, begin_at: usize, begin_line: u32, at: usize, line: u32| {
        let part = &text[begin_at..at];
        if !part.trim().is_empty() {
            let section = innermost(tree, begin_line);
            let heading = section.map_or(heading, |section| section.title.as_str()).to_owned();
            let pages = section.and_then(|section| section.pages);
            parts.push((Passage { heading, lines: Some((begin_line, line)), pages }, part));
        }
    };
    let mut line_number = 0;
    for line in text.split_inclusive('\n') {
        let trimmed = line.trim();
        let mark = trimmed.get(..3).filter(|mark| matches!(*mark, "```" | "~~~"));
        match (fence, mark) {
            (None, Some(mark)) => fence = Some(mark),
            (Some(open), Some(mark)) if open == mark => fence = None,
            _ => {}
        }
        let headed = (fence.is_none() && line.starts_with('#')).then(|| trimmed.trim_start_matches('#'));
        let headed = headed.filter(|rest| rest.starts_with(' ')).map(str::trim);
        let size = at - begin_at;
        let section_begins = size > 0 && starts_section(tree, line_number);
        if section_begins
            || headed.is_some() && size >= HEADED_BYTES_MIN
            || size >= PASSAGE_BYTES
            || size >= PASSAGE_BYTES / 2 && blank
        {
            end(&heading, begin_at, begin_line, at, line_number);
            (begin_at, begin_line) = (at, line_number);
        }
        if let Some(headed) = headed
            && (begin_at == at || heading == title)
        {
            heading = headed.trim_end_matches('#').trim().to_owned();
        }
        blank = trimmed.is_empty();
        at += line.len();
        line_number += 1;
    }
    end(&heading, begin_at, begin_line, at, line_number);
    parts
}

fn innermost(tree: &[Section], line: u32) -> Option<&Section> {
    // Siblings are in order and do not overlap.
    let next = tree.partition_point(|section| section.begin_line <= line);
    let section = tree.get(next.checked_sub(1)?).filter(|section| line < section.end_line)?;
    Some(innermost(&section.children, line).unwrap_or(section))
}

fn starts_section(tree: &[Section], line: u32) -> bool {
    innermost(tree, line).is_some_and(|section| section.begin_line == line)
}

/// A text in two: the words that have spaces between them, and what has none, as pairs of characters.
fn parted(text: &str) -> (String, String) {
    let (mut words, mut pairs) = (String::with_capacity(text.len()), String::new());
    let mut before = None;
    for (character, after) in text.chars().zip(text.chars().skip(1).map(Some).chain([None])) {
        if !is_dense(character) {
            words.push(character);
            before = None;
            continue;
        }
        let next = after.filter(|after| is_dense(*after));
        match (before, next) {
            (_, Some(next)) => pairs.extend([character, next, ' ']),
            (None, None) => pairs.extend([character, ' ']),
            (Some(_), None) => {}
        }
        if !words.ends_with(' ') {
            words.push(' ');
        }
        before = Some(character);
    }
    (words, pairs)
}

/// Whether a character is of a script that is written without spaces.
fn is_dense(character: char) -> bool {
    matches!(character,
        '\u{3005}' | '\u{3041}'..='\u{30ff}' | '\u{31f0}'..='\u{31ff}' | '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}'
        | '\u{f900}'..='\u{faff}' | '\u{ac00}'..='\u{d7af}' | '\u{20000}'..='\u{3ffff}')
}

/// What is asked for, word by word, as the index looks it up. Empty for what has no words.
pub(crate) fn terms(query: &str, terms_max: usize) -> Vec<String> {
    let mut terms = Vec::new();
    let mut words = query.split(|character: char| !character.is_alphanumeric()).filter(|word| !word.is_empty());
    while let Some(word) = words.next().filter(|_| terms.len() < terms_max) {
        let (plain, pairs) = parted(word);
        terms.extend(plain.split_whitespace().map(|word| format!("{{title body}} : \"{word}\"")));
        let pairs = pairs.trim_end();
        if pairs.chars().count() == 1 {
            terms.push(format!("cjk : \"{pairs}\" *"));
        } else if !pairs.is_empty() {
            terms.push(format!("cjk : \"{pairs}\""));
        }
    }
    terms
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_parted_at_headings_and_every_line_is_in_one_part() {
        let filler = "word ".repeat(150);
        let text = format!("# One\n\n{filler}\n\n## Two\n\n```\n# code\n```\n{filler}\n{filler}\n\n## Three\nend");
        let parts = parts("T", &text, &[]);
        let headings: Vec<&str> = parts.iter().map(|(passage, _)| passage.heading.as_str()).collect();
        assert_eq!(headings, ["One", "Two", "Three"]);
        let mut line = 0;
        for (passage, _) in &parts {
            assert_eq!(passage.lines.unwrap().0, line);
            line = passage.lines.unwrap().1;
        }
        assert_eq!(line as usize, text.lines().count());
    }

    #[test]
    fn a_text_without_headings_is_parted_by_size() {
        let text = "word word word\n".repeat(2000);
        let parts = parts("T", &text, &[]);
        assert!(parts.len() > 5);
        assert!(parts.iter().all(|(_, part)| part.len() < 2 * PASSAGE_BYTES));
        assert_eq!(parts.iter().map(|(_, part)| part.len()).sum::<usize>(), text.len());
    }

    #[test]
    fn a_part_is_in_its_innermost_section() {
        let section = |title: &str, begin_line, end_line, children| Section {
            title: title.to_owned(),
            begin_line,
            end_line,
            pages: Some((1, 2)),
            summary: String::new(),
            children,
        };
        let tree = vec![section("A", 0, 4, vec![section("A1", 2, 4, vec![])]), section("B", 4, 6, vec![])];
        let found = parts("T", "a\na\nb\nb\nc\nc\n", &tree);
        let found: Vec<_> =
            found.iter().map(|(passage, _)| (passage.heading.as_str(), passage.lines.unwrap())).collect();
        assert_eq!(found, [("A", (0, 2)), ("A1", (2, 4)), ("B", (4, 6))]);
    }

    #[test]
    fn what_has_no_spaces_is_looked_up_by_pairs() {
        assert_eq!(parted("a 東京都 b 山"), ("a  b ".to_owned(), "東京 京都 山 ".to_owned()));
        assert_eq!(
            terms("tidal 東京都 \"x*", 9),
            ["{title body} : \"tidal\"", "cjk : \"東京 京都\"", "{title body} : \"x\""]
        );
        assert_eq!(terms("山", 9), ["cjk : \"山\" *"]);
        assert!(terms(" ?! ", 9).is_empty());
        assert_eq!(terms(&"a ".repeat(99), 9).len(), 9);
    }
}
