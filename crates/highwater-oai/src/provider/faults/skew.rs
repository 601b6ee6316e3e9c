//! Faults of what is answered: well-formed, and wrong.

use super::fault::Fault;
use crate::protocol::Record;
use crate::provider::answer::{Answer, Element, List, ODD};
use crate::provider::token::TokenKey;

/// What a tag is made of that is never closed.
const UNCLOSED: &str = "<dc:title>poison & more</dc:titel>";

impl Fault {
    /// Changes the answer to a request that carried `token`; says whether it did.
    pub(in crate::provider) fn skew(
        &self,
        answer: &mut Answer,
        token: Option<&str>,
        key: &TokenKey,
        page_size: usize,
    ) -> bool {
        match (self, answer) {
            (Self::PoisonXml(suffix), Answer::Record(record)) => poison(record, suffix),
            (Self::PoisonXml(suffix), Answer::List(list)) => {
                list.records.iter_mut().filter_map(|record| poison(record, suffix).then_some(())).count() > 0
            }
            (Self::EmptyLastPage, Answer::List(list)) => go_on_after_the_end(list, key),
            (Self::Unordered, Answer::List(list)) => {
                list.records.reverse();
                list.records.len() > 1
            }
            (_, Answer::List(List { element: Some(element), .. })) => self.skew_element(element, token, page_size),
            _ => false,
        }
    }

    fn skew_element(&self, element: &mut Element, token: Option<&str>, page_size: usize) -> bool {
        match self {
            Self::RepeatToken => element.value = token.map(ToOwned::to_owned),
            Self::OddToken => match &mut element.value {
                Some(value) => value.insert_str(0, ODD),
                None => return false,
            },
            Self::ShortList => element.value = None,
            Self::NoTotal => element.complete_list_size = None,
            Self::WrongTotal(total) => {
                element.complete_list_size = total.or(element.complete_list_size.map(|size| size / 2));
            }
            Self::CursorPages => element.cursor = element.cursor.map(|records| records / page_size.max(1) as u64),
            _ => return false,
        }
        true
    }
}

/// The metadata keeps its outermost element and is broken inside.
fn poison(record: &mut Record, suffix: &str) -> bool {
    let Record { header, metadata: Some(metadata) } = record else { return false };
    if !header.identifier.ends_with(suffix) {
        return false;
    }
    let place = metadata.rfind("</").unwrap_or(metadata.len());
    metadata.insert_str(place, UNCLOSED);
    true
}

fn go_on_after_the_end(list: &mut List, key: &TokenKey) -> bool {
    let size = list.onward.complete_list_size;
    let element = list.element.get_or_insert_with(|| Element {
        complete_list_size: Some(size),
        cursor: Some(0),
        ..Element::default()
    });
    if element.value.is_some() || list.records.is_empty() {
        return false;
    }
    element.value = Some(list.onward.seal(key));
    true
}
