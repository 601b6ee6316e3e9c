//! Names and what those who bear them did. Owns the suffixes that catalogues write behind names.

use super::work::Contributor;

/// Who is named as creator and not called anything else.
pub(super) const AUTHOR: &str = "author";
const EDITOR: &str = "editor";
const TRANSLATOR: &str = "translator";
/// Who is named as contributor and not called anything else.
pub(super) const CONTRIBUTOR: &str = "contributor";

/// What stands in brackets behind a name, without its final dot and in lower case, and the role it means.
const SUFFIXES: [(&str, &str); 32] = [
    ("hrsg", EDITOR),
    ("hg", EDITOR),
    ("hgg", EDITOR),
    ("hrsgg", EDITOR),
    ("herausgeber", EDITOR),
    ("herausgeberin", EDITOR),
    ("ed", EDITOR),
    ("eds", EDITOR),
    ("éd", EDITOR),
    ("éds", EDITOR),
    ("edt", EDITOR),
    ("edit", EDITOR),
    ("editor", EDITOR),
    ("editors", EDITOR),
    ("dir", EDITOR),
    ("cur", EDITOR),
    ("a cura di", EDITOR),
    ("red", EDITOR),
    ("translator", TRANSLATOR),
    ("translators", TRANSLATOR),
    ("translated by", TRANSLATOR),
    ("transl", TRANSLATOR),
    ("trans", TRANSLATOR),
    ("trad", TRANSLATOR),
    ("trl", TRANSLATOR),
    ("übers", TRANSLATOR),
    ("übersetzer", TRANSLATOR),
    ("übersetzerin", TRANSLATOR),
    ("author", AUTHOR),
    ("authors", AUTHOR),
    ("aut", AUTHOR),
    ("autor", AUTHOR),
];

/// Reads a name that the record gives `role` to, unless what stands behind the name says otherwise.
pub(super) fn read(text: &str, role: &str) -> Contributor {
    let (name, suffix) = split(text);
    let name = name.replace(" ,", ",");
    Contributor { name, role: suffix.unwrap_or(role).to_owned() }
}

/// The role that a record names by a word of its own, such as `Editor` or `ProjectLeader`.
pub(super) fn role(word: &str) -> String {
    word.trim().to_lowercase()
}

fn split(text: &str) -> (&str, Option<&'static str>) {
    for (open, close) in [('(', ')'), ('[', ']')] {
        let Some((name, suffix)) = text.strip_suffix(close).and_then(|text| text.rsplit_once(open)) else { continue };
        let suffix = suffix.trim().trim_end_matches('.').to_lowercase();
        let known = SUFFIXES.iter().find(|(known, _)| *known == suffix);
        if let (Some((_, role)), name) = (known, name.trim_end().trim_end_matches(',').trim_end())
            && !name.is_empty()
        {
            return (name, Some(role));
        }
    }
    (text, None)
}

/// Adds somebody, once a role; who has a role is not listed as a mere contributor besides.
pub(super) fn add(list: &mut Vec<Contributor>, new: Contributor) {
    let same_name = |other: &Contributor| other.name == new.name;
    if new.role == CONTRIBUTOR && list.iter().any(same_name) {
        return;
    }
    list.retain(|other| !(same_name(other) && other.role == CONTRIBUTOR));
    super::work::push_new(list, new);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_behind_a_name_is_its_role() {
        for (text, role) in [
            ("Belke, Ansgar (Hrsg.)", EDITOR),
            ("Belke, Ansgar (Hg.)", EDITOR),
            ("Belke, Ansgar (Ed.)", EDITOR),
            ("Belke, Ansgar (Eds)", EDITOR),
            ("Belke, Ansgar (Eds.)", EDITOR),
            ("Belke, Ansgar (editor)", EDITOR),
            ("Belke, Ansgar [dir.]", EDITOR),
            ("Belke, Ansgar, (Translator)", TRANSLATOR),
            ("Belke, Ansgar(transl.)", TRANSLATOR),
            ("Belke , Ansgar", AUTHOR),
        ] {
            let expected = Contributor { name: "Belke, Ansgar".to_owned(), role: role.to_owned() };
            assert_eq!(read(text, AUTHOR), expected, "{text}");
        }
    }

    #[test]
    fn other_brackets_belong_to_the_name() {
        for name in ["Universität Wien (Austria)", "(Hrsg.)", "Smith, J. (1950-)"] {
            assert_eq!(read(name, AUTHOR), Contributor { name: name.to_owned(), role: AUTHOR.to_owned() });
        }
    }

    #[test]
    fn who_has_a_role_is_not_a_mere_contributor_besides() {
        let mut list = Vec::new();
        for (name, role) in
            [("A", CONTRIBUTOR), ("A", EDITOR), ("A", EDITOR), ("A", CONTRIBUTOR), ("A", AUTHOR), ("B", CONTRIBUTOR)]
        {
            add(&mut list, read(name, role));
        }
        let list: Vec<_> = list.iter().map(|c| (c.name.as_str(), c.role.as_str())).collect();
        assert_eq!(list, [("A", EDITOR), ("A", AUTHOR), ("B", CONTRIBUTOR)]);
    }
}
