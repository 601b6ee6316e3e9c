//! Licences: Creative Commons by their address, whichever way it is written; others as they are.

use super::work::Licence;

const CREATIVE_COMMONS: &str = "creativecommons.org/";

/// The Creative Commons licence whose address is in the text.
///
/// # Source
/// <https://creativecommons.org/licenses/list.en>
pub(super) fn creative_commons(text: &str) -> Option<Licence> {
    let (_, rest) = text.split_once(CREATIVE_COMMONS)?;
    let rest =
        rest.split(|c: char| c.is_whitespace() || matches!(c, '"' | '<' | '>' | ')' | '?' | '#' | ',' | ';')).next()?;
    let lower = rest.to_ascii_lowercase();
    let mut path = lower.split('/').filter(|part| !part.is_empty());
    let (kind, code) = (path.next()?, path.next()?);
    let (mut version, jurisdiction) = (path.next(), path.next().filter(|part| part.len() == 2));
    // Some write `by-4.0` for `by/4.0`.
    let code = match code.rsplit_once('-') {
        Some((head, tail)) if is_version(tail) => {
            version = Some(tail);
            head
        }
        _ => code,
    };
    let version = version.filter(|version| is_version(version));
    let name = match (kind, code) {
        ("licenses", code) if code.split('-').all(|part| matches!(part, "by" | "nc" | "nd" | "sa")) => {
            format!("CC {}", code.to_uppercase())
        }
        ("publicdomain", "zero") => "CC0".to_owned(),
        ("publicdomain", "mark") => "Public Domain Mark".to_owned(),
        _ => return None,
    };
    let (mut name, mut url) = (name, format!("https://{CREATIVE_COMMONS}{kind}/{code}/"));
    if let Some(version) = version {
        name = format!("{name} {version}");
        url = format!("{url}{version}/");
    }
    if let Some(jurisdiction) = jurisdiction {
        name = format!("{name} {}", jurisdiction.to_uppercase());
        url = format!("{url}{jurisdiction}/");
    }
    Some(Licence { name: Some(name), url: Some(url) })
}

/// What a licence condition says, by its address and its words.
pub(super) fn condition(url: Option<&str>, words: Option<&str>) -> Option<Licence> {
    let known = url.and_then(creative_commons).or_else(|| words.and_then(creative_commons));
    known.or_else(|| {
        // These say that it may be read, not under what.
        let says_nothing = |words: &str| ["n/a", "open access"].iter().any(|empty| words.eq_ignore_ascii_case(empty));
        let name = words.filter(|words| !says_nothing(words)).map(str::to_owned);
        (name.is_some() || url.is_some()).then(|| Licence { name, url: url.map(str::to_owned) })
    })
}

fn is_version(text: &str) -> bool {
    text.split_once('.').is_some_and(|(major, minor)| {
        let digits = |part: &str| !part.is_empty() && part.len() <= 2 && part.bytes().all(|b| b.is_ascii_digit());
        digits(major) && digits(minor)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn licence(name: &str, url: &str) -> Option<Licence> {
        Some(Licence { name: Some(name.to_owned()), url: Some(url.to_owned()) })
    }

    #[test]
    fn a_creative_commons_address_has_one_name_and_one_spelling() {
        let expected = licence("CC BY-NC-ND 4.0", "https://creativecommons.org/licenses/by-nc-nd/4.0/");
        for text in [
            "https://creativecommons.org/licenses/by-nc-nd/4.0/",
            "http://creativecommons.org/licenses/by-nc-nd/4.0",
            "https://creativecommons.org/licenses/by-nc-nd/4.0/legalcode",
            "https://www.creativecommons.org/licenses/by-nc-nd-4.0/",
            "https://creativecommons.org/licenses/BY-NC-ND/4.0/deed.de",
            "Licensed under (https://creativecommons.org/licenses/by-nc-nd/4.0), see there",
        ] {
            assert_eq!(creative_commons(text), expected, "{text}");
        }
    }

    #[test]
    fn others_of_creative_commons_are_known_too() {
        for (text, name, url) in [
            (
                "creativecommons.org/licenses/by/3.0/de/",
                "CC BY 3.0 DE",
                "https://creativecommons.org/licenses/by/3.0/de/",
            ),
            ("creativecommons.org/licenses/by", "CC BY", "https://creativecommons.org/licenses/by/"),
            (
                "creativecommons.org/publicdomain/zero/1.0/",
                "CC0 1.0",
                "https://creativecommons.org/publicdomain/zero/1.0/",
            ),
        ] {
            assert_eq!(creative_commons(text), licence(name, url), "{text}");
        }
        for text in ["https://creativecommons.org/", "https://creativecommons.org/licenses/gpl/3.0/", "CC BY 4.0"] {
            assert_eq!(creative_commons(text), None, "{text}");
        }
    }

    #[test]
    fn a_condition_that_says_nothing_is_no_licence() {
        assert_eq!(condition(None, Some("open access")), None);
        assert_eq!(condition(None, None), None);
        let own = Some(Licence { name: None, url: Some("https://press.example/conditions".to_owned()) });
        assert_eq!(condition(Some("https://press.example/conditions"), Some("n/a")), own);
    }
}
