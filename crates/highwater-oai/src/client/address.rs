//! Where a request goes: base URL and arguments as one URL. Owns the escaping.

use reqwest::Url;

use crate::protocol::Request;

/// The URL of a request. A query that the base URL has already stays in front.
///
/// # Source
/// OAI-PMH 2.0 §3.1.1.3 (escaping): a space is `%20`, not the `+` of forms.
pub(super) fn address(base: &Url, request: &Request) -> Url {
    let mut form = base.clone();
    form.set_query(None);
    form.query_pairs_mut().extend_pairs(request.arguments());
    // A plus of a value is escaped, so each one that is left is a space.
    let arguments = form.query().unwrap_or_default().replace('+', "%20");
    let query = match base.query().filter(|query| !query.is_empty()) {
        Some(own) => format!("{own}&{arguments}"),
        None => arguments,
    };
    let mut url = base.clone();
    url.set_query(Some(&query));
    url
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test ends where it cannot go on")]

    use super::*;
    use crate::protocol::Verb;

    #[test]
    fn a_token_is_escaped_whatever_is_in_it() {
        let base = Url::parse("https://a.example/oai/request?site=1+2").unwrap();
        let token = "a b+c&d=e/f?g#h%20é\"<>".to_owned();
        let url = address(&base, &Request::Resume { verb: Verb::ListRecords, token: token.clone() });
        assert_eq!(
            url.as_str(),
            "https://a.example/oai/request?site=1+2&verb=ListRecords&resumptionToken=a%20b%2Bc%26d%3De%2Ff%3Fg%23h%2520%C3%A9%22%3C%3E"
        );
        assert_eq!(url.query_pairs().find(|(name, _)| name == "resumptionToken").unwrap().1, token);
    }

    #[test]
    fn a_base_without_a_query_gets_one() {
        let base = Url::parse("https://a.example/oai").unwrap();
        let request = Request::GetRecord { identifier: "oai:a:1/2".to_owned(), metadata_prefix: "oai_dc".to_owned() };
        assert_eq!(
            address(&base, &request).as_str(),
            "https://a.example/oai?verb=GetRecord&identifier=oai%3Aa%3A1%2F2&metadataPrefix=oai_dc"
        );
    }
}
