//! Namespaces that are declared further out than the metadata that uses them. Owns what is in scope, and declaring it on the
//! metadata's own root so that it is well-formed alone.

use memchr::memmem;
use std::borrow::Cow;

use quick_xml::events::BytesStart;

/// So many declarations are kept; no repository needs more.
const DECLARATIONS_MAX: usize = 64;
/// Longer declarations are not kept, in bytes.
const DECLARATION_BYTES_MAX: usize = 4096;

/// The declarations in scope, the outermost first.
#[derive(Debug, Default)]
pub(super) struct Scope(Vec<Declaration>);

#[derive(Debug)]
struct Declaration {
    /// Empty for the default namespace.
    prefix: String,
    /// As it is written between double quotes.
    value: String,
}

impl Scope {
    /// How many there are: a mark to return to.
    pub(super) fn mark(&self) -> usize {
        self.0.len()
    }

    /// Forgets those declared since.
    pub(super) fn forget_since(&mut self, mark: usize) {
        self.0.truncate(mark);
    }

    /// Takes the declarations of a tag.
    pub(super) fn declare(&mut self, tag: &BytesStart<'_>) {
        for (prefix, value) in declarations(tag) {
            if self.0.len() < DECLARATIONS_MAX && prefix.len() + value.len() <= DECLARATION_BYTES_MAX {
                self.0.push(Declaration { prefix: prefix.to_owned(), value: value.replace('"', "&quot;") });
            }
        }
    }

    /// The text of an element with `root` as its start tag, and declared on it what it uses and does not declare itself.
    /// `unprefixed` says whether any element in it has no prefix.
    ///
    /// A prefix is used where `prefix:` occurs at all: it may also be in a value, such as that of `xsi:type`, and one declared
    /// needlessly does no harm.
    pub(super) fn declared_on(&self, root: &BytesStart<'_>, text: &str, unprefixed: bool) -> String {
        let mut added = String::new();
        for (place, declaration) in self.0.iter().enumerate() {
            let Declaration { prefix, value } = declaration;
            let shadowed = self.0[place + 1..].iter().any(|inner| inner.prefix == *prefix);
            if shadowed || declarations(root).any(|(own, _)| own == prefix) {
                continue;
            }
            if prefix.is_empty() {
                if unprefixed && !value.is_empty() {
                    added.push_str(&format!(" xmlns=\"{value}\""));
                }
            } else if uses(text, prefix) {
                added.push_str(&format!(" xmlns:{prefix}=\"{value}\""));
            }
        }
        if added.is_empty() {
            return text.to_owned();
        }
        let name_end = 1 + root.name().0.len();
        [&text[..name_end], &added, &text[name_end..]].concat()
    }
}

fn uses(text: &str, prefix: &str) -> bool {
    let found = |at: usize| text.as_bytes().get(at + prefix.len()) == Some(&b':');
    memmem::find_iter(text.as_bytes(), prefix.as_bytes()).any(found)
}

/// The namespaces that a tag declares: prefix and value, as written.
fn declarations<'t>(tag: &'t BytesStart<'_>) -> impl Iterator<Item = (&'t str, Cow<'t, str>)> {
    let mut attributes = tag.attributes();
    attributes.with_checks(false);
    attributes.filter_map(Result::ok).filter_map(|attribute| {
        let prefix = match attribute.key.0.strip_prefix("xmlns")? {
            "" => "",
            rest => rest.strip_prefix(':')?,
        };
        Some((prefix, attribute.value))
    })
}
