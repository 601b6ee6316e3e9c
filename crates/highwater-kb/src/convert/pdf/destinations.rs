//! Where the entries of a PDF's outline lead. Owns that a place which the document calls by a name becomes the page that it is on: the
//! converter knows the page of an entry only where the entry itself says it. What stands on that page is `outline`'s.
//!
//! What cannot be read here, as in a damaged document, costs the pages of these entries, and no more.

use std::collections::{HashMap, HashSet};

use unpdf::Document;
use unpdf::model::OutlineItem;
use unpdf::parser::raw::tokenizer::dict_get;
use unpdf::parser::raw::{PdfDict, PdfObject, RawDocument};

/// Most items of an outline that are followed.
const ITEMS_MAX: usize = 50_000;
/// How deep an outline is followed; the converter goes as deep.
const DEPTH_MAX: usize = 64;
/// Most nodes of the tree of names that are looked at.
const NODES_MAX: usize = 100_000;
/// Most names that are kept.
const NAMES_MAX: usize = 1_000_000;

/// Tells the entries of a document's outline their pages, where they do not know them.
pub(super) fn tell(document: &mut Document, bytes: &[u8]) {
    let Some(outline) = &mut document.outline else { return };
    if !lacks_a_page(&outline.items) {
        return;
    }
    let Ok(raw) = RawDocument::load(bytes) else { return };
    let Some(places) = Places::of(&raw) else { return };
    let Some(pages) = places.of_outline() else { return };
    let mut items = 0;
    count(&outline.items, &mut items);
    // Both go through the same items in the same order, or it cannot be told which page is whose.
    if items == pages.len() {
        fill(&mut outline.items, &mut pages.into_iter());
    }
}

fn lacks_a_page(items: &[OutlineItem]) -> bool {
    items.iter().any(|item| item.page.is_none() || lacks_a_page(&item.children))
}

fn count(items: &[OutlineItem], counted: &mut usize) {
    for item in items {
        *counted += 1;
        count(&item.children, counted);
    }
}

fn fill(items: &mut [OutlineItem], pages: &mut std::vec::IntoIter<Option<u32>>) {
    for item in items {
        let page = pages.next().flatten();
        item.page = item.page.or(page);
        fill(&mut item.children, pages);
    }
}

/// The number of an object, and its generation.
type Id = (u32, u16);

/// The places of a document.
struct Places<'d> {
    raw: &'d RawDocument,
    catalog: &'d PdfDict,
    /// The number of each page, from 1.
    pages: HashMap<Id, u32>,
    /// What each name stands for.
    names: HashMap<&'d [u8], &'d PdfObject>,
}

impl<'d> Places<'d> {
    fn of(raw: &'d RawDocument) -> Option<Self> {
        let pages = raw.pages().into_iter().map(|(number, id)| (id, number)).collect();
        let mut places = Self { raw, catalog: raw.catalog().ok()?, pages, names: HashMap::new() };
        places.gather();
        Some(places)
    }

    /// The names of a document: in a tree of them, and, as older documents have them, in a dictionary.
    fn gather(&mut self) {
        if let Some(older) = self.dict(dict_get(self.catalog, b"Dests")) {
            self.names.extend(older.iter().take(NAMES_MAX).map(|(name, place)| (name.as_slice(), place)));
        }
        let names = self.dict(dict_get(self.catalog, b"Names"));
        let mut nodes: Vec<&'d PdfObject> = names.and_then(|names| dict_get(names, b"Dests")).into_iter().collect();
        let (mut met, mut looked_at) = (HashSet::new(), 0);
        while let Some(node) = nodes.pop() {
            looked_at += 1;
            if looked_at > NODES_MAX || node.as_reference().is_some_and(|id| !met.insert(id)) {
                continue;
            }
            let Some(dict) = self.dict(Some(node)) else { continue };
            for pair in self.array(dict_get(dict, b"Names")).chunks_exact(2) {
                if self.names.len() < NAMES_MAX
                    && let Some(name) = self.raw.resolve(&pair[0]).as_str_bytes()
                {
                    self.names.entry(name).or_insert(&pair[1]);
                }
            }
            let room = NODES_MAX.saturating_sub(nodes.len());
            nodes.extend(self.array(dict_get(dict, b"Kids")).iter().take(room));
        }
    }

    /// The page of each entry of the outline, an entry before those below it; none where there are too many.
    fn of_outline(&self) -> Option<Vec<Option<u32>>> {
        let root = self.dict(dict_get(self.catalog, b"Outlines"))?;
        let mut found = Vec::new();
        let mut met = HashSet::new();
        // What comes next, with its depth: the last of these first.
        let mut open: Vec<(Id, usize)> = Vec::new();
        open.extend(reference(root, b"First").map(|first| (first, 0)));
        while let Some((id, depth)) = open.pop() {
            if !met.insert(id) || depth > DEPTH_MAX {
                continue;
            }
            let Ok(item) = self.raw.get_dict(id) else { continue };
            if found.len() >= ITEMS_MAX {
                return None;
            }
            found.push(self.of_item(item));
            open.extend(reference(item, b"Next").map(|next| (next, depth)));
            open.extend(reference(item, b"First").map(|first| (first, depth + 1)));
        }
        Some(found)
    }

    /// The page that an entry leads to, by itself or by an action that stays in this document.
    fn of_item(&self, item: &'d PdfDict) -> Option<u32> {
        let place = dict_get(item, b"Dest").or_else(|| {
            let action = self.dict(dict_get(item, b"A"))?;
            let stays = self.raw.resolve(dict_get(action, b"S")?).as_name() == Some(b"GoTo");
            dict_get(action, b"D").filter(|_| stays)
        })?;
        let place = self.raw.resolve(place);
        let named = place.as_str_bytes().or_else(|| place.as_name());
        let place = match named {
            Some(name) => self.raw.resolve(self.names.get(name)?),
            None => place,
        };
        // A named place may say more than where it is.
        let place = place.as_dict().map_or(Some(place), |dict| dict_get(dict, b"D"))?;
        match self.array(Some(place)).first()? {
            // Some count the pages from 0 instead.
            PdfObject::Integer(at) => {
                let number = u32::try_from(*at).ok()?.checked_add(1)?;
                (number as usize <= self.pages.len()).then_some(number)
            }
            page => self.pages.get(&page.as_reference()?).copied(),
        }
    }

    fn dict(&self, object: Option<&'d PdfObject>) -> Option<&'d PdfDict> {
        self.raw.resolve(object?).as_dict()
    }

    fn array(&self, object: Option<&'d PdfObject>) -> &'d [PdfObject] {
        object.and_then(|object| self.raw.resolve(object).as_array()).unwrap_or_default()
    }
}

fn reference(dict: &PdfDict, key: &[u8]) -> Option<Id> {
    dict.get(key)?.as_reference()
}

#[cfg(test)]
mod tests {
    use unpdf::ParseOptions;

    use super::*;
    use crate::convert::Limits;
    use crate::convert::gallery::Gallery;

    /// Where the pages are: `10 0 R` is the first.
    const FIRST_PAGE: usize = 10;

    /// A PDF of three pages with these objects, the first of which is the catalog's inside; it has no table of where they are.
    fn pdf(catalog: &str, objects: &[(usize, String)]) -> Vec<u8> {
        let mut text = format!("%PDF-1.7\n1 0 obj\n<< /Type /Catalog /Pages 2 0 R {catalog} >>\nendobj\n");
        text.push_str("2 0 obj\n<< /Type /Pages /Kids [10 0 R 11 0 R 12 0 R] /Count 3 >>\nendobj\n");
        text.push_str("3 0 obj\n<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>\nendobj\n");
        for page in 0..3 {
            let content = format!("BT /F1 12 Tf 72 700 Td (Text of page {page}) Tj ET");
            let (own, of_content) = (FIRST_PAGE + page, 20 + page);
            text.push_str(&format!(
                "{own} 0 obj\n<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents {of_content} 0 R \
                 /Resources << /Font << /F1 3 0 R >> >> >>\nendobj\n{of_content} 0 obj\n<< /Length {} >>\nstream\n{content}\n\
                 endstream\nendobj\n",
                content.len()
            ));
        }
        for (number, object) in objects {
            text.push_str(&format!("{number} 0 obj\n{object}\nendobj\n"));
        }
        text.push_str("trailer\n<< /Root 1 0 R >>\n%%EOF\n");
        text.into_bytes()
    }

    /// An outline whose entries have these places, as objects from 100 on; the second is below the first.
    fn outline(places: &[&str]) -> Vec<(usize, String)> {
        let entry = |at: usize| 101 + at;
        let mut objects = vec![(100, format!("<< /Type /Outlines /First {} 0 R >>", entry(0)))];
        for (at, place) in places.iter().enumerate() {
            let link = match at {
                0 if places.len() > 2 => format!("/First {} 0 R /Next {} 0 R", entry(1), entry(2)),
                0 if places.len() > 1 => format!("/First {} 0 R", entry(1)),
                1 => String::new(),
                _ if at + 1 < places.len() => format!("/Next {} 0 R", entry(at + 1)),
                _ => String::new(),
            };
            objects.push((entry(at), format!("<< /Title (Entry {at}) {place} {link} >>")));
        }
        objects
    }

    /// The pages of the entries, after they were told.
    fn told(bytes: &[u8]) -> Vec<Option<u32>> {
        let mut document = unpdf::parse_bytes_with_options(bytes, ParseOptions::new().lenient().sequential()).unwrap();
        assert_eq!(document.pages.len(), 3, "the text is whole");
        tell(&mut document, bytes);
        fn walk(items: &[OutlineItem], pages: &mut Vec<Option<u32>>) {
            for item in items {
                pages.push(item.page);
                walk(&item.children, pages);
            }
        }
        let mut pages = Vec::new();
        walk(&document.outline.map(|outline| outline.items).unwrap_or_default(), &mut pages);
        pages
    }

    #[test]
    fn names_in_a_tree_are_places() {
        let mut objects =
            outline(&["/Dest (c)", "/A << /S /GoTo /D (a) >>", "/Dest (b)", "/Dest [10 0 R /Fit]", "/Dest (none)"]);
        objects.push((200, "<< /Kids [201 0 R 202 0 R] >>".to_owned()));
        objects.push((201, "<< /Limits [(a) (b)] /Names [(a) [11 0 R /XYZ 0 0 0] (b) 203 0 R] >>".to_owned()));
        objects.push((202, "<< /Names [(c) << /D [12 0 R /Fit] >>] >>".to_owned()));
        objects.push((203, "[10 0 R /Fit]".to_owned()));
        let bytes = pdf("/Outlines 100 0 R /Names << /Dests 200 0 R >>", &objects);
        assert_eq!(told(&bytes), [Some(3), Some(2), Some(1), Some(1), None]);
    }

    #[test]
    fn names_in_a_dictionary_are_places() {
        let mut objects = outline(&["/Dest /late", "/A 210 0 R", "/Dest /early"]);
        objects.push((200, "<< /early [10 0 R /Fit] /late << /D [12 0 R /Fit] >> /middle [1 /Fit] >>".to_owned()));
        objects.push((210, "<< /S /GoTo /D /middle >>".to_owned()));
        assert_eq!(told(&pdf("/Outlines 100 0 R /Dests 200 0 R", &objects)), [Some(3), Some(2), Some(1)]);
    }

    #[test]
    fn a_place_that_is_not_there_or_not_here_is_no_page() {
        let places = [
            "/Dest (gone)",
            "/Dest [99 0 R /Fit]",
            "/A << /S /GoToR /F (other.pdf) /D [0 /Fit] >>",
            "/Dest [7 /Fit]",
            "/Dest [-1 /Fit]",
            "/Dest []",
            "/Dest (loop)",
            "",
            "/Dest (here)",
        ];
        let mut objects = outline(&places);
        objects.push((200, "<< /Names [(gone) [77 0 R /Fit] (here) [11 0 R /Fit] (loop) (loop) (odd)] >>".to_owned()));
        let pages = told(&pdf("/Outlines 100 0 R /Names << /Dests 200 0 R >>", &objects));
        assert_eq!(pages[..8], [None; 8]);
        assert_eq!(pages[8], Some(2));
    }

    #[test]
    fn a_tree_of_names_that_leads_back_to_itself_ends() {
        let mut objects = outline(&["/Dest (a)", "/Dest (b)"]);
        objects.push((200, "<< /Kids [201 0 R 200 0 R 202 0 R] >>".to_owned()));
        objects.push((201, "<< /Kids [200 0 R 201 0 R] /Names [(a) [11 0 R /Fit]] >>".to_owned()));
        objects.push((202, "<< /Kids 202 0 R /Names [(b) 203 0 R] >>".to_owned()));
        objects.push((203, "203 0 R".to_owned()));
        let bytes = pdf("/Outlines 100 0 R /Names << /Dests 200 0 R >>", &objects);
        assert_eq!(told(&bytes), [Some(2), None]);
    }

    #[test]
    fn a_tree_of_names_is_as_deep_as_it_likes() {
        let mut objects = outline(&["/Dest (a)"]);
        for node in 200..5_200 {
            objects.push((node, format!("<< /Kids [{} 0 R] >>", node + 1)));
        }
        objects.push((5_200, "<< /Names [(a) [12 0 R /Fit]] >>".to_owned()));
        assert_eq!(told(&pdf("/Outlines 100 0 R /Names << /Dests 200 0 R >>", &objects)), [Some(3)]);
    }

    #[test]
    fn an_outline_that_leads_back_to_itself_has_the_pages_of_what_is_read_of_it() {
        let mut objects = outline(&["/Dest (a)", "/Dest (b)", "/Dest (a)"]);
        objects[2].1 = "<< /Title (Below) /Dest (b) /First 101 0 R /Next 103 0 R >>".to_owned();
        objects.push((200, "<< /Names [(a) [11 0 R /Fit] (b) [12 0 R /Fit]] >>".to_owned()));
        let bytes = pdf("/Outlines 100 0 R /Names << /Dests 200 0 R >>", &objects);
        assert_eq!(told(&bytes), [Some(2), Some(3), Some(2)]);
    }

    #[test]
    fn a_section_begins_on_the_page_that_its_name_stands_for() {
        let mut objects = outline(&["/Dest (b)", "/Dest (c)", "/Dest (b)"]);
        objects[1].1 = "<< /Title (Text of page 1) /Dest (b) /First 103 0 R /Next 102 0 R >>".to_owned();
        objects[2].1 = "<< /Title (Text of page 2) /Dest (c) >>".to_owned();
        objects[3].1 = "<< /Title (It stands nowhere) /Dest (b) >>".to_owned();
        objects.push((200, "<< /Names [(b) [11 0 R /Fit] (c) [12 0 R /Fit]] >>".to_owned()));
        let bytes = pdf("/Outlines 100 0 R /Names << /Dests 200 0 R >>", &objects);
        let paged = super::super::convert(&bytes, &mut Gallery::new(&Limits::default())).unwrap();
        let pages = ["Text of page 0", "# Text of page 1\n\n## It stands nowhere", "# Text of page 2"];
        assert_eq!(paged.pages.iter().map(|page| page.trim()).collect::<Vec<_>>(), pages);
    }

    #[test]
    fn what_is_no_tree_of_names_costs_the_pages_alone() {
        for names in
            ["/Names 1", "/Names << /Dests 10 0 R >>", "/Names << /Dests [(a)] >>", "/Names 500 0 R", "/Dests (a)", ""]
        {
            assert_eq!(told(&pdf(&format!("/Outlines 100 0 R {names}"), &outline(&["/Dest (a)"]))), [None], "{names}");
        }
    }
}
