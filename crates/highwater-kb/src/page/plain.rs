//! What a document says, on a page that is not the document: words as one line that Markdown takes for words, an alias that ends no
//! link, and a body that ends where it ends. Owns these three; whatever a document is called, its pages stay whole.

use pulldown_cmark::{Event, HeadingLevel, Parser, Tag, TagEnd};

use super::link::MARKDOWN;

/// The most characters of a heading, of a line in a list, of an alias.
pub const LINE_CHARS_MAX: usize = 300;

/// Says that a line was cut off.
const CUT: char = '…';

/// Words in one line, without what does not print.
#[must_use]
pub fn one_line(text: &str) -> String {
    let mut line = String::with_capacity(text.len().min(4 * LINE_CHARS_MAX));
    let mut chars = 0;
    for word in text.split(|character: char| character.is_whitespace() || character.is_control()) {
        let word: String = word.chars().filter(|character| !turns_text(*character)).collect();
        if word.is_empty() {
            continue;
        }
        if chars > 0 {
            line.push(' ');
            chars += 1;
        }
        for character in word.chars() {
            if chars == LINE_CHARS_MAX {
                line.push(CUT);
                return line;
            }
            line.push(character);
            chars += 1;
        }
    }
    line
}

/// Characters that change the direction of what follows, or that nobody sees.
fn turns_text(character: char) -> bool {
    matches!(character, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

/// Words as Markdown that reads as these words, in one line.
#[must_use]
pub fn line(text: &str) -> String {
    let text = one_line(text);
    let mut escaped = String::with_capacity(text.len() + 8);
    let characters: Vec<char> = text.chars().collect();
    for (n, character) in characters.iter().copied().enumerate() {
        let before = n.checked_sub(1).map(|n| characters[n]);
        let after = characters.get(n + 1).copied();
        let word = |side: Option<char>| side.is_some_and(char::is_alphanumeric);
        let special = match character {
            '\\' | '`' | '*' | '[' | ']' | '<' | '>' | '~' | '$' | '|' => true,
            '_' => !(word(before) && word(after)),
            '&' => word(after) || after == Some('#'),
            // A heading's end, a tag.
            '#' => n == 0 || after.is_none() || word(after),
            '=' | '%' => before == Some(character),
            '^' => before == Some(' '),
            // What would begin a list, a rule, a table.
            '-' | '+' | ':' => n == 0,
            '.' | ')' => n > 0 && characters[..n].iter().all(char::is_ascii_digit),
            '!' => after == Some('['),
            _ => false,
        };
        if special {
            escaped.push('\\');
        }
        escaped.push(character);
    }
    escaped
}

/// Words as the alias of a link: what would end the link, or what is around it, is another sign that looks alike.
#[must_use]
pub fn alias(text: &str) -> String {
    // Two of these, with another link between them, would be a formula or a comment.
    let text = one_line(text).replace('$', "＄").replace("%%", "％％");
    let alike = text.chars().map(|character| match character {
        '[' => '(',
        ']' => ')',
        '|' | '\\' => '/',
        '<' => '‹',
        '>' => '›',
        '`' => '\'',
        other => other,
    });
    alike.collect()
}

/// A body as it is, where it leaves what follows it as it is; else its lines as words. `deepest` is the highest level of heading that
/// it may have, if it may have any.
#[must_use]
pub fn contained(body: &str, deepest: Option<HeadingLevel>) -> String {
    let body = body.trim_matches(['\n', '\r']);
    let body = body.trim_end();
    if body.is_empty() || is_contained(body, deepest) {
        return body.to_owned();
    }
    let lines = body.lines().map(line);
    lines.collect::<Vec<_>>().join("\n")
}

fn is_contained(body: &str, deepest: Option<HeadingLevel>) -> bool {
    const END: &str = "\n\n# end\n";
    if body.contains('\0') {
        return false;
    }
    let (mut depth, mut end) = (0, None);
    let whole = format!("{body}{END}");
    for (event, span) in Parser::new_ext(&whole, MARKDOWN).into_offset_iter() {
        match event {
            Event::Html(_) | Event::InlineHtml(_) | Event::Start(Tag::HtmlBlock) => return false,
            Event::Start(Tag::Heading { level, .. }) if depth == 0 && span.start == body.len() + 2 => {
                end = Some(level);
            }
            Event::Start(Tag::Heading { level, .. }) if deepest.is_none_or(|deepest| level < deepest) => return false,
            _ => {}
        }
        match event {
            Event::Start(_) => depth += 1,
            Event::End(TagEnd::HtmlBlock) | Event::End(_) => depth -= 1,
            _ => {}
        }
    }
    end == Some(HeadingLevel::H1)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What a reader sees of Markdown.
    fn seen(markdown: &str) -> String {
        Parser::new_ext(markdown, MARKDOWN)
            .filter_map(|event| match event {
                Event::Text(text) | Event::Code(text) => Some(text.into_string()),
                _ => None,
            })
            .collect()
    }

    proptest! {
        #[test]
        fn a_line_reads_as_the_words_it_was_made_of(text in any::<String>()) {
            let words = one_line(&text);
            prop_assert_eq!(seen(&format!("# {}\n", line(&text))), words.clone());
            prop_assert_eq!(seen(&format!("- x: {}\n", line(&text))), format!("x: {words}").trim_end().to_owned());
        }

        #[test]
        fn a_line_of_signs_reads_as_these_signs(text in "[-+*_`~#<>&;\\[\\]()!|$\\\\:.0-9a= ]{0,30}") {
            let words = one_line(&text);
            prop_assert_eq!(seen(&format!("# {}\n", line(&text))), words.clone());
            prop_assert_eq!(seen(&format!("{}\n", line(&text))), words);
        }

        #[test]
        fn an_alias_ends_no_link(text in "[-*_`~#<>&;\\[\\]()!|$\\\\a \n]{0,30}") {
            let page = format!("x [[concepts/a|x{}x]] [[concepts/b|y]]", alias(&text));
            let links: Vec<String> = super::super::link::links(&page).into_iter().map(|link| link.target).collect();
            prop_assert_eq!(links, ["concepts/a", "concepts/b"]);
        }

        #[test]
        fn a_body_leaves_what_follows_as_it_is(body in "(```|~~~|<!--|<div>|# |- |> |\\[a\\]: |    |---|[a-z\n`|*]){0,12}") {
            let body = contained(&body, None);
            prop_assert!(is_contained(&format!("{body}\n\nnext"), None) || body.is_empty(), "{:?}", body);
        }
    }

    #[test]
    fn titles_of_every_kind_stay_titles() {
        for (title, expected) in [
            ("Read_write & x_", "Read_write & x\\_"),
            ("a | b ]] [[c", "a \\| b \\]\\] \\[\\[c"),
            ("one\ntwo\u{202e}", "one two"),
            ("---", "\\---"),
            ("<script>", "\\<script\\>"),
            ("1. First", "1\\. First"),
            ("C#", "C\\#"),
        ] {
            assert_eq!(line(title), expected);
        }
        assert_eq!(line(&"x".repeat(1000)).chars().count(), LINE_CHARS_MAX + 1);
    }
}
