//! What the front matter of an older page says. Owns its words; what is no YAML says nothing, and the page goes on.

use serde_json::Value;

use crate::page::front;
use crate::page::plain::one_line;

/// The words of an older page, as far as they matter here.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Older {
    /// `type`: `Concept`, `Summary`, or what an entity is.
    pub(super) kind: String,
    /// `description`, which was `brief` once.
    pub(super) description: String,
    /// `sources`, or nothing.
    pub(super) sources: Vec<String>,
    /// `doc_type`: `short` or `pageindex`.
    pub(super) doc_type: String,
    /// `aliases`.
    pub(super) aliases: Vec<String>,
}

/// A page in its two parts.
pub(super) fn read(page: &str) -> (Older, &str) {
    let parted = front::part(page);
    let body = &page[parted.body_at..];
    let fields = match parted.yaml.map(serde_saphyr::from_str::<Value>) {
        Some(Ok(Value::Object(fields))) => fields,
        _ => return (Older::default(), body),
    };
    let line = |name: &str| fields.get(name).and_then(Value::as_str).map(one_line).unwrap_or_default();
    let list = |name: &str| match fields.get(name) {
        Some(Value::Array(list)) => list.iter().filter_map(Value::as_str).map(ToOwned::to_owned).collect(),
        Some(Value::String(one)) => vec![one.clone()],
        _ => Vec::new(),
    };
    let description = [line("description"), line("brief")].into_iter().find(|said| !said.is_empty());
    let older = Older {
        kind: line("type"),
        description: description.unwrap_or_default(),
        sources: list("sources"),
        doc_type: line("doc_type"),
        aliases: list("aliases").iter().map(|alias| one_line(alias)).filter(|alias| !alias.is_empty()).collect(),
    };
    (older, body)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_page_says_of_itself_is_read_in_its_older_words_too() {
        let (older, body) = read(
            "---\ntype: \"Organization\"\nsources: [\"summaries/a.md\", \"summaries/b.md\"]\nbrief: \"Who\\nmeasures.\"\naliases: \
             [\"The Office\", 7]\n---\n\n# H\n",
        );
        assert_eq!(older.description, "Who measures.");
        assert_eq!((older.sources.len(), older.aliases.as_slice()), (2, &["The Office".to_owned()][..]));
        assert_eq!(body, "\n# H\n");
        for spoilt in ["---\n: : [\n---\nbody", "---\n- a\n---\nbody", "body"] {
            assert_eq!(read(spoilt), (Older::default(), "body"), "{spoilt:?}");
        }
    }
}
