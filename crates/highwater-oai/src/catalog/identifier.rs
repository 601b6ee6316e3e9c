//! Identifiers: telling what one is, and bringing it into one spelling. Owns the checksums.

use super::work::Identifier;

/// What an identifier is that nothing else is known of.
const OTHER: &str = "other";

/// A namespace of OAI identifiers, and the type of identifier that a work has there.
const REPOSITORIES: [(&str, &str); 2] = [("directory.doabooks.org", "doab"), ("library.oapen.org", "oapen")];

/// The parts of `oai:namespace:suffix`. What has another shape has no namespace, and is its own suffix.
pub(super) fn parts(oai_id: &str) -> (Option<&str>, &str) {
    match oai_id.strip_prefix("oai:").and_then(|rest| rest.split_once(':')) {
        Some((namespace, suffix)) if !namespace.is_empty() && !suffix.is_empty() => (Some(namespace), suffix),
        _ => (None, oai_id),
    }
}

/// The number that an OAI identifier ends in.
pub(super) fn number(oai_id: &str) -> Option<i64> {
    let digits = oai_id.len() - oai_id.trim_end_matches(|c: char| c.is_ascii_digit()).len();
    oai_id[oai_id.len() - digits..].parse().ok()
}

/// What a record's work is known by in its repository.
pub(super) fn of_repository(oai_id: &str) -> Identifier {
    let (namespace, suffix) = parts(oai_id);
    let known = REPOSITORIES.iter().find(|(known, _)| namespace == Some(known));
    new(known.map_or(namespace.unwrap_or("oai"), |(_, kind)| kind), suffix)
}

/// Reads an identifier whose type the record tells.
pub(super) fn typed(kind: &str, text: &str) -> Vec<Identifier> {
    match kind.to_ascii_lowercase().as_str() {
        "isbn" => several(text).map(isbn).collect(),
        "issn" => several(text).map(issn).collect(),
        "doi" => vec![doi(text)],
        _ => untyped(text),
    }
}

/// Reads an identifier by its looks.
pub(super) fn untyped(text: &str) -> Vec<Identifier> {
    if is_url(text) {
        let resolved = resolved_doi(text).map(doi).or_else(|| handle_in(text).map(|value| new("handle", value)));
        return resolved.into_iter().chain([new("url", text)]).collect();
    }
    for (prefix, kind) in [("urn:isbn:", "isbn"), ("isbn", "isbn"), ("urn:issn:", "issn"), ("issn", "issn")] {
        if let Some(rest) = without_prefix(text, prefix) {
            return typed(kind, rest.trim_start_matches([':', ' ']));
        }
    }
    if text.starts_with("10.") || without_prefix(text, "doi:").is_some() || without_prefix(text, "info:doi/").is_some()
    {
        return vec![doi(text)];
    }
    if let Some(handle) = without_prefix(text, "hdl:") {
        return vec![new("handle", handle.trim())];
    }
    if let Some(number) = without_prefix(text, "ocn:") {
        return vec![new("oclc", number.trim())];
    }
    let issns: Vec<Identifier> = several(text).map(issn).collect();
    if several(text).all(looks_like_issn) && issns.iter().any(|found| found.kind == "issn") {
        return issns;
    }
    match isbn(text) {
        found if found.kind == "isbn" && text.starts_with("97") => vec![found],
        _ => vec![new(OTHER, text)],
    }
}

/// An ISBN as 13 digits.
///
/// # Source
/// ISO 2108; <https://www.isbn-international.org/content/isbn-users-manual>
pub(super) fn isbn(text: &str) -> Identifier {
    let digits = bare(text);
    let isbn = match digits.len() {
        13 if (digits.starts_with("978") || digits.starts_with("979")) && ean_holds(&digits) => Some(digits),
        10 if isbn10_holds(&digits) => {
            let body = format!("978{}", &digits[..9]);
            Some(format!("{body}{}", ean_check_digit(&body)))
        }
        _ => None,
    };
    isbn.map_or_else(|| new("isbn-unverified", text), |isbn| new("isbn", &isbn))
}

/// An ISSN as `1234-567X`.
///
/// # Source
/// ISO 3297
fn issn(text: &str) -> Identifier {
    let digits = bare(text);
    if digits.len() != 8 || !weighted_holds(&digits, 8) {
        return new("issn-unverified", text);
    }
    new("issn", &format!("{}-{}", &digits[..4], &digits[4..]))
}

/// A DOI in lower case, without a resolver.
///
/// # Source
/// <https://www.doi.org/doi-handbook/HTML/index.html>: DOIs are not case-sensitive.
pub(super) fn doi(text: &str) -> Identifier {
    let mut bare = resolved_doi(text).unwrap_or(text);
    for prefix in ["info:doi/", "doi:"] {
        bare = without_prefix(bare, prefix).unwrap_or(bare);
    }
    let bare = bare.trim().to_lowercase();
    let holds = bare.strip_prefix("10.").and_then(|rest| rest.split_once('/')).is_some_and(|(registrant, suffix)| {
        registrant.starts_with(|c: char| c.is_ascii_digit())
            && registrant.chars().all(|c| c.is_ascii_digit() || c == '.')
            && !suffix.is_empty()
            && !suffix.contains(' ')
    });
    if holds { new("doi", &bare) } else { new("doi-unverified", text) }
}

pub(super) fn is_url(text: &str) -> bool {
    (without_prefix(text, "http://").is_some() || without_prefix(text, "https://").is_some()) && !text.contains(' ')
}

fn resolved_doi(url: &str) -> Option<&str> {
    let rest = without_prefix(url, "https://").or_else(|| without_prefix(url, "http://"))?;
    ["doi.org/", "dx.doi.org/", "www.doi.org/"].iter().find_map(|host| without_prefix(rest, host))
}

fn handle_in(url: &str) -> Option<&str> {
    let (_, handle) = url.split_once("hdl.handle.net/").or_else(|| url.split_once("/handle/"))?;
    let handle = handle.split(['?', '#']).next()?;
    handle.contains('/').then_some(handle)
}

/// The values of a field into which somebody wrote several.
fn several(text: &str) -> impl Iterator<Item = &str> {
    text.split([';', ',']).map(str::trim).filter(|value| !value.is_empty())
}

/// Digits and a final X, without hyphens and without what stands in brackets behind them.
fn bare(text: &str) -> String {
    let text = text.split('(').next().unwrap_or_default();
    text.chars().filter(|c| !matches!(c, '-' | ' ' | '\u{2010}'..='\u{2013}')).map(|c| c.to_ascii_uppercase()).collect()
}

/// Eight digits alone may be anything; with a hyphen, or an X at their end, they are meant as an ISSN.
fn looks_like_issn(text: &str) -> bool {
    let text = text.split('(').next().unwrap_or_default().trim();
    text.chars().all(|c| c.is_ascii_digit() || matches!(c, '-' | 'x' | 'X'))
        && (text.find('-') == Some(4) || text.ends_with(['x', 'X']))
}

fn isbn10_holds(digits: &str) -> bool {
    weighted_holds(digits, 10)
}

/// Digits weighted downwards from `weight` have a sum that 11 divides; an X at the end is ten.
fn weighted_holds(digits: &str, weight: usize) -> bool {
    let mut sum = 0;
    for (i, c) in digits.chars().enumerate() {
        let value = match c {
            'X' if i + 1 == weight => 10,
            _ => match c.to_digit(10) {
                Some(value) => value as usize,
                None => return false,
            },
        };
        sum += value * (weight - i);
    }
    sum % 11 == 0
}

fn ean_holds(digits: &str) -> bool {
    digits.chars().all(|c| c.is_ascii_digit()) && digits.ends_with(ean_check_digit(&digits[..12]))
}

fn ean_check_digit(twelve: &str) -> char {
    let weighted = |(i, digit): (usize, u32)| if i % 2 == 0 { digit } else { 3 * digit };
    let sum: u32 = twelve.chars().filter_map(|c| c.to_digit(10)).enumerate().map(weighted).sum();
    char::from_digit((10 - sum % 10) % 10, 10).expect("invariant: below ten")
}

/// What follows `prefix`, whichever case it is in.
fn without_prefix<'a>(text: &'a str, prefix: &str) -> Option<&'a str> {
    let head = text.get(..prefix.len())?;
    head.eq_ignore_ascii_case(prefix).then(|| &text[prefix.len()..])
}

fn new(kind: &str, value: &str) -> Identifier {
    Identifier { kind: kind.to_owned(), value: value.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(found: &[Identifier]) -> Vec<(&str, &str)> {
        found.iter().map(|id| (id.kind.as_str(), id.value.as_str())).collect()
    }

    #[test]
    fn an_isbn_has_thirteen_digits_and_a_checksum_that_holds() {
        for text in ["9783428532544", "978-3-428-53254-4", "3-428-53254-6", "9783428532544 (print)"] {
            assert_eq!(isbn(text), new("isbn", "9783428532544"), "{text}");
        }
        assert_eq!(isbn("961650092-9"), new("isbn", "9789616500920"));
        assert_eq!(isbn("0-8044-2957-X"), new("isbn", "9780804429573"));
        for text in ["9783428532545", "3428532548", "X428532548", "97834285325", "9773428532544", "９７８3428532", ""]
        {
            assert_eq!(isbn(text).kind, "isbn-unverified", "{text}");
        }
    }

    #[test]
    fn several_isbns_in_one_field_are_several() {
        let found = typed("ISBN", "9783944675961;9783944675688, 9783944675000");
        assert_eq!(
            pairs(&found),
            [("isbn", "9783944675961"), ("isbn", "9783944675688"), ("isbn-unverified", "9783944675000")]
        );
    }

    #[test]
    fn a_doi_is_in_lower_case_without_a_resolver() {
        for text in
            ["10.5445/KSP/1", "https://doi.org/10.5445/KSP/1", "http://dx.doi.org/10.5445/ksp/1", "DOI:10.5445/ksp/1"]
        {
            assert_eq!(doi(text), new("doi", "10.5445/ksp/1"), "{text}");
        }
        for text in ["10.5445", "11.5445/x", "10.x/1", "10.5445/a b", "https://doi.org/"] {
            assert_eq!(doi(text).kind, "doi-unverified", "{text}");
        }
    }

    #[test]
    fn an_identifier_without_a_type_is_told_by_its_looks() {
        let cases: [(&str, &[(&str, &str)]); 14] = [
            ("https://doi.org/10.1/A", &[("doi", "10.1/a"), ("url", "https://doi.org/10.1/A")]),
            ("https://x.org/handle/2/3?a", &[("handle", "2/3"), ("url", "https://x.org/handle/2/3?a")]),
            ("https://x.org/a.pdf", &[("url", "https://x.org/a.pdf")]),
            ("urn:ISBN:3-428-53254-6", &[("isbn", "9783428532544")]),
            ("ISBN 3428532546", &[("isbn", "9783428532544")]),
            ("9783428532544", &[("isbn", "9783428532544")]),
            ("10.1/A", &[("doi", "10.1/a")]),
            ("hdl:2/3", &[("handle", "2/3")]),
            ("OCN: 982228660", &[("oclc", "982228660")]),
            ("2232-3759;2385-9598", &[("issn", "2232-3759"), ("issn", "2385-9598")]),
            ("1860093X", &[("issn", "1860-093X")]),
            ("49042", &[("other", "49042")]),
            ("9783428532545", &[("other", "9783428532545")]),
            ("ONIX_20220401_9616500929_126", &[("other", "ONIX_20220401_9616500929_126")]),
        ];
        for (text, expected) in cases {
            assert_eq!(pairs(&untyped(text)), expected, "{text}");
        }
    }

    #[test]
    fn an_oai_id_has_a_namespace_a_suffix_and_a_number() {
        assert_eq!(
            parts("oai:directory.doabooks.org:20.500.12854/62752"),
            (Some("directory.doabooks.org"), "20.500.12854/62752")
        );
        assert_eq!(parts("ark:/1/2"), (None, "ark:/1/2"));
        assert_eq!(number("oai:x:20.500.12854/62752"), Some(62_752));
        assert_eq!(number("oai:x:abc"), None);
        assert_eq!(number("oai:x:99999999999999999999"), None);
        assert_eq!(of_repository("oai:directory.doabooks.org:20/1"), new("doab", "20/1"));
        assert_eq!(of_repository("oai:zenodo.org:7"), new("zenodo.org", "7"));
    }
}
