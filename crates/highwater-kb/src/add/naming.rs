//! What documents are called. Owns that a document keeps its name from one addition to the next, that names are given in the order in
//! which documents are found, whatever is prepared first, that no two names differ in case alone, and that none is given which would
//! have a document's files look like versions that lie beside another's.

use std::collections::HashMap;

use crate::document::DocName;
use crate::error::KbError;
use crate::origin::Origin;

/// Hexadecimal digits that tell documents of one name apart.
const MARK_DIGITS: usize = 6;

/// What a base says of names.
pub(super) trait Names {
    /// What the document of this origin is called.
    ///
    /// # Errors
    /// What the rows say.
    fn called(&self, origin: &Origin) -> Result<Option<DocName>, KbError>;

    /// Whether it is no name for another: a document is called so, upper and lower case aside.
    ///
    /// # Errors
    /// What the rows say.
    fn is_taken(&self, name: &DocName) -> Result<bool, KbError>;
}

/// Gives names to the documents of one list.
#[derive(Debug, Default)]
pub(super) struct Naming {
    given: HashMap<String, Origin>,
}

impl Naming {
    /// What the document of this origin is to be called: what it is called already, else by its file's stem ([`DocName::apart`]), else,
    /// where that is another's, with a mark that depends on its origin alone.
    ///
    /// # Errors
    /// What the rows say.
    pub(super) fn name(&mut self, origin: &Origin, base: &impl Names) -> Result<DocName, KbError> {
        if let Some(name) = base.called(origin)? {
            return Ok(name);
        }
        let plain = DocName::of_stem(&origin.stem()).apart();
        let digest = blake3::hash(origin.as_str().as_bytes()).to_hex();
        let mut digits = 0;
        loop {
            let name = if digits == 0 { plain.clone() } else { plain.marked(&digest[..digits]).apart() };
            let folded = name.folded();
            let is_free = self.given.get(&folded).is_none_or(|given| given == origin) && !base.is_taken(&name)?;
            if is_free || digits == digest.len() {
                self.given.insert(folded, origin.clone());
                return Ok(name);
            }
            digits = (digits + MARK_DIGITS).min(digest.len());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    /// A base of these documents.
    struct Known(BTreeMap<Origin, DocName>);

    impl Names for Known {
        fn called(&self, origin: &Origin) -> Result<Option<DocName>, KbError> {
            Ok(self.0.get(origin).cloned())
        }

        fn is_taken(&self, name: &DocName) -> Result<bool, KbError> {
            Ok(self.0.values().any(|other| other.folded() == name.folded()))
        }
    }

    fn origin(path: &str) -> Origin {
        Origin::try_from(path.to_owned()).unwrap()
    }

    #[test]
    fn names_follow_the_order_of_the_list_and_stay() {
        let mut known = Known(BTreeMap::new());
        let list = ["/a/Report.pdf", "/b/report.docx", "/c/report.md", "/c/notes.md"];
        let mut naming = Naming::default();
        let names: Vec<_> = list.iter().map(|path| naming.name(&origin(path), &known).unwrap()).collect();
        let written: Vec<_> = names.iter().map(DocName::as_str).collect();
        assert_eq!((written[0], written[3]), ("Report", "notes"));
        assert!(written[1].starts_with("report-") && written[2].starts_with("report-"), "{written:?}");
        assert_ne!(written[1], written[2]);
        // A second look at the same list, and at a part of it, gives what is there.
        known.0.extend(list.iter().map(|path| origin(path)).zip(names.iter().cloned()));
        let mut naming = Naming::default();
        for (path, name) in list.iter().zip(&names).rev() {
            assert_eq!(naming.name(&origin(path), &known).unwrap(), *name);
        }
        // Nor is a file of it called as one that lies beside another's.
        let beside = ["/d/Report.conflict.md", "/d/report-conflict.md"].map(|path| naming.name(&origin(path), &known));
        let [first, second] = beside.map(|name| name.unwrap().as_str().to_owned());
        assert!(first == "Report-conflict" && second.starts_with("report-conflict-"), "{first} {second}");
        // What comes later gets its mark, which is the same again.
        let later = naming.name(&origin("/d/REPORT.txt"), &known).unwrap();
        assert!(later.as_str().starts_with("REPORT-"), "{later}");
        assert_eq!(Naming::default().name(&origin("/d/REPORT.txt"), &known).unwrap(), later);
    }
}
