//! What a page takes of what a model writes, and that it takes nothing else.

use proptest::prelude::*;
use pulldown_cmark::Options;

use super::*;
use crate::page::link::links;
use crate::page::plain::contained;

/// Pages of concepts are there, and one source.
struct Concepts;

impl Leads for Concepts {
    fn page(&self, target: &str) -> Option<PageName> {
        target.parse().ok().filter(|_| target.starts_with("concepts/"))
    }

    fn cited(&self, number: u32) -> Option<String> {
        Some(if number == 1 { "[[sources/a|1]]".to_owned() } else { String::new() })
    }
}

/// Leads nowhere.
struct Nowhere;

impl Leads for Nowhere {
    fn page(&self, _: &str) -> Option<PageName> {
        None
    }
}

#[test]
fn what_a_page_takes_is_written_anew() {
    let text = "# Tides *rise*\n\nThey **rise** and *fall*, `twice` a day.\nAlways [[concepts/tide|the tide]] [1] [7].\n\n\
        1. one\n2. two\n   - deep\n     - deeper\n       - deepest\n         - too deep\n\n| a | b |\n|:--|--|\n| [[concepts/x\\|y]] | `c` |\n\n\
        > said\n\n```dataviewjs\nevil() ``` \n```\n\n---\n- [x] done\n";
    insta::assert_snapshot!(own(text, &Concepts, 9_999));
}

#[test]
fn what_a_page_does_not_take_is_words() {
    let cases = [
        ("[click](https://evil/x) <https://evil/y>", "click `https://evil/y`"),
        ("see https://evil/x and www.evil.org", "see `https://evil/x` and `www.evil.org`"),
        ("![alt](http://evil/p.png)", "alt"),
        ("![[concepts/x]]", "concepts/x"),
        ("[[nobody|words]] [[../../etc/passwd]]", "words ../../etc/passwd"),
        ("<img src=x onerror=alert(1)> <b>x</b>", "‹img src=x onerror=alert(1)> ‹b>x‹/b>"),
        ("a #tag %%hidden%% ==mark== ^block", "a \\#tag \\%\\%hidden\\%\\% \\=\\=mark\\=\\= \\^block"),
        ("`= this.file` `$= dv.pages()`", "\\= this.file \\$= dv.pages()"),
        ("[1] and [^2]\n\n[^2]: note", "\\[1\\] and\n\nnote"),
        ("---\ntype: evil\n---\n", "**type: evil**"),
        ("[a]: http://evil\n\n[a] [b][a]", "a b"),
        ("$x$ a|b \\\\", "\\$x\\$ a\\|b \\\\"),
    ];
    let others = cases.map(|(text, shown)| (text, own(text, &Nowhere, 9_999), shown));
    let others: Vec<_> = others.iter().filter(|(_, own, shown)| own != shown).collect();
    assert!(others.is_empty(), "{others:#?}");
}

#[test]
fn a_link_that_would_be_a_formula_is_its_words() {
    let shown = own("See [[concepts/a$]].", &Concepts, 99);
    assert!(is_own(&shown) && !shown.contains("[["), "{shown}");
    let shown = own("See [a$](concepts/a) and [%%b$](concepts/b).", &Concepts, 99);
    assert_eq!(shown, "See [[concepts/a|a＄]] and [[concepts/b|％％b＄]].");
}

#[test]
fn what_is_too_much_is_left_out_block_by_block() {
    let text = "one two three\n\nfour five six\n\nseven\n";
    assert_eq!(own(text, &Nowhere, 30), "one two three\n\nfour five six");
    assert_eq!(own(text, &Nowhere, 9), "one two…");
}

#[test]
fn a_link_behind_an_exclamation_mark_shows_no_page() {
    for (text, shown) in [
        ("So![1]", "So! [[sources/a|1]]"),
        ("So\\![that](concepts/a)", "So! [[concepts/a|that]]"),
        ("So\\![[1] it is](nowhere)", "So! [[sources/a|1]] it is"),
    ] {
        assert_eq!(own(text, &Concepts, 99), shown, "{text}");
    }
}

/// Whether Markdown shows nothing but what a page takes.
fn is_own(text: &str) -> bool {
    let mut options = MARKDOWN;
    options.insert(Options::ENABLE_MATH);
    Parser::new_ext(text, options).all(|event| match event {
        Event::Html(_) | Event::InlineHtml(_) | Event::InlineMath(_) | Event::DisplayMath(_) => false,
        Event::Start(Tag::Link { link_type, dest_url, .. }) => {
            matches!(link_type, LinkType::WikiLink { .. })
                && (dest_url.starts_with("concepts/") || &*dest_url == "sources/a")
        }
        Event::Start(Tag::CodeBlock(CodeBlockKind::Fenced(language))) => language.is_empty(),
        Event::Start(
            Tag::Image { .. }
            | Tag::Heading { .. }
            | Tag::HtmlBlock
            | Tag::MetadataBlock(_)
            | Tag::FootnoteDefinition(_),
        ) => false,
        _ => true,
    })
}

proptest! {
    #[test]
    fn whatever_is_written_shows_nothing_else(
        parts in proptest::collection::vec(
            prop_oneof![
                "(\\[\\[concepts/a\\|?|\\]\\]|\\[x\\]\\(http://e|\\)|!\\[|<b|>|```|~~~|\\*{1,3}|_|#|- |1\\. |> |\\| |---|\n|\n\n|    |\\[1\\]|\\$|<!--|-->|&lt;|`|\\\\)",
                "[a-zé潮 ]{0,6}",
                any::<char>().prop_map(|character| character.to_string()),
            ],
            0..24,
        ),
        chars_max in 10_usize..400,
    ) {
        let text = parts.concat();
        let shown = own(&text, &Concepts, chars_max);
        prop_assert!(is_own(&shown), "{:?} of {:?}", shown, text);
        prop_assert_eq!(contained(&shown, None), shown.clone(), "of {:?}", text);
        prop_assert!(links(&shown).iter().all(|link| link.wiki && !link.embed), "{:?}", shown);
    }
}
