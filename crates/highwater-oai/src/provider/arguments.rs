//! The arguments of a request. Owns how they are unescaped and what of them is legal for which verb; what needs the repository
//! to be judged is `answer`'s.

use percent_encoding::percent_decode_str;

use crate::protocol::{Datestamp, ErrorCode, ProtocolError, Request, Selection, Verb};

/// The day on which time ends before it is over: its midnight is no [`jiff::Timestamp`], and neither is what comes after.
const LAST_DAY: &str = "9999-12-31";

/// What a name of a format or of a set is made of, besides letters and digits.
///
/// # Source
/// The types `metadataPrefixType` and `setSpecType` of the protocol's schema: the unreserved characters of RFC 2396.
const MARKS: &str = "-_.!~*'()";

/// The arguments as they came, unescaped, in their order.
#[derive(Debug, Default)]
pub(super) struct Given {
    pairs: Vec<(String, String)>,
    /// What cannot be unescaped.
    unreadable: Vec<String>,
}

impl Given {
    /// Reads `application/x-www-form-urlencoded` text: a query, or a body.
    pub(super) fn read(text: &str) -> Self {
        let mut given = Self::default();
        for pair in text.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            match (unescape(name), unescape(value)) {
                (Some(name), Some(value)) => given.pairs.push((name, value)),
                _ => given.unreadable.push(pair.to_owned()),
            }
        }
        given
    }

    /// The first argument of that name.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.pairs.iter().find(|(given, _)| given == name).map(|(_, value)| value.as_str())
    }

    /// The verb, if it is one.
    pub(super) fn verb(&self) -> Option<Verb> {
        let verb = self.get("verb")?;
        Verb::ALL.into_iter().find(|known| known.as_str() == verb)
    }

    /// The request that they make, or all that is wrong with them.
    pub(super) fn check(&self) -> Result<Request, Vec<ProtocolError>> {
        let verb = self.the_verb().map_err(|message| vec![error(ErrorCode::BadVerb, message)])?;
        let mut checked = Checked { given: self, verb, wrong: Vec::new() };
        let request = checked.request();
        let Checked { wrong, .. } = checked;
        match request {
            Some(request) if wrong.is_empty() => Ok(request),
            _ => Err(wrong.into_iter().map(|message| error(ErrorCode::BadArgument, message)).collect()),
        }
    }

    fn the_verb(&self) -> Result<Verb, String> {
        match self.pairs.iter().filter(|(name, _)| name == "verb").count() {
            0 => Err("the argument verb is missing".to_owned()),
            1 => self.verb().ok_or_else(|| format!("{:?} is no verb", self.get("verb").unwrap_or_default())),
            _ => Err("the argument verb is repeated".to_owned()),
        }
    }
}

fn unescape(text: &str) -> Option<String> {
    // A plus is a space, and an escaped one is a plus.
    let spaced = text.replace('+', " ");
    Some(percent_decode_str(&spaced).decode_utf8().ok()?.into_owned())
}

/// An error with its message.
pub(super) fn error(code: ErrorCode, message: impl Into<String>) -> ProtocolError {
    ProtocolError { code, message: message.into() }
}

/// What a verb takes, in the order in which it is told.
struct Takes {
    required: &'static [&'static str],
    optional: &'static [&'static str],
    resumes: bool,
}

fn takes(verb: Verb) -> Takes {
    let (required, optional, resumes): (&'static [_], &'static [_], bool) = match verb {
        Verb::Identify => (&[], &[], false),
        Verb::ListMetadataFormats => (&[], &["identifier"], false),
        Verb::ListSets => (&[], &[], true),
        Verb::ListIdentifiers | Verb::ListRecords => (&["metadataPrefix"], &["from", "until", "set"], true),
        Verb::GetRecord => (&["identifier", "metadataPrefix"], &[], false),
    };
    Takes { required, optional, resumes }
}

/// Arguments while they are checked.
struct Checked<'a> {
    given: &'a Given,
    verb: Verb,
    wrong: Vec<String>,
}

impl Checked<'_> {
    /// The request; what is wrong is in `wrong`, and then what is returned is not to be used.
    fn request(&mut self) -> Option<Request> {
        let takes = takes(self.verb);
        self.names(&takes);
        if takes.resumes
            && let Some(token) = self.given.get("resumptionToken")
        {
            if self.given.pairs.len() > 2 {
                self.wrong.push("the argument resumptionToken excludes all others".to_owned());
            }
            return Some(Request::Resume { verb: self.verb, token: token.to_owned() });
        }
        for name in takes.required {
            if self.given.get(name).is_none() {
                self.wrong.push(format!("the argument {name} is missing"));
            }
        }
        match self.verb {
            Verb::Identify => Some(Request::Identify),
            Verb::ListSets => Some(Request::ListSets),
            Verb::ListMetadataFormats => Some(Request::ListMetadataFormats { identifier: self.text("identifier") }),
            Verb::ListIdentifiers => Some(Request::ListIdentifiers(self.selection()?)),
            Verb::ListRecords => Some(Request::ListRecords(self.selection()?)),
            Verb::GetRecord => {
                let (identifier, metadata_prefix) = (self.text("identifier"), self.prefix());
                Some(Request::GetRecord { identifier: identifier?, metadata_prefix: metadata_prefix? })
            }
        }
    }

    /// Checks the names: known to the verb, and each but once.
    fn names(&mut self, takes: &Takes) {
        for pair in &self.given.unreadable {
            self.wrong.push(format!("{pair:?} is not UTF-8 when it is unescaped"));
        }
        let mut seen: Vec<&str> = Vec::new();
        for (name, _) in &self.given.pairs {
            let name = name.as_str();
            let legal = name == "verb"
                || takes.required.contains(&name)
                || takes.optional.contains(&name)
                || (takes.resumes && name == "resumptionToken");
            if !legal {
                self.wrong.push(format!("{} takes no argument {name:?}", self.verb.as_str()));
            } else if seen.contains(&name) {
                self.wrong.push(format!("the argument {name} is repeated"));
            }
            seen.push(name);
        }
    }

    fn text(&mut self, name: &str) -> Option<String> {
        let value = self.given.get(name)?;
        if value.is_empty() {
            self.wrong.push(format!("the argument {name} is empty"));
        }
        Some(value.to_owned())
    }

    fn prefix(&mut self) -> Option<String> {
        let prefix = self.given.get("metadataPrefix")?;
        if !is_name(prefix) {
            self.wrong.push(format!("the metadataPrefix {prefix:?} is malformed"));
        }
        Some(prefix.to_owned())
    }

    fn selection(&mut self) -> Option<Selection> {
        let set = self.given.get("set").map(ToOwned::to_owned);
        if let Some(set) = set.as_ref().filter(|set| !set.split(':').all(is_name)) {
            self.wrong.push(format!("the set {set:?} is malformed"));
        }
        let (from, until) = (self.datestamp("from"), self.datestamp("until"));
        if let (Some(from), Some(until)) = (from, until) {
            if from.granularity() != until.granularity() {
                self.wrong.push("from and until differ in granularity".to_owned());
            } else if from > until {
                self.wrong.push("from is later than until".to_owned());
            }
        }
        Some(Selection { metadata_prefix: self.prefix()?, set, from, until })
    }

    /// A datestamp in exactly one of the two spellings.
    fn datestamp(&mut self, name: &str) -> Option<Datestamp> {
        let text = self.given.get(name)?;
        if text.starts_with(LAST_DAY) {
            self.wrong.push(format!("{name} is {text:?}, expected a day before {LAST_DAY}"));
            return None;
        }
        let read = Datestamp::parse(text).ok().filter(|stamp| stamp.to_string() == text);
        if read.is_none() {
            self.wrong.push(format!("{name} is {text:?}, expected YYYY-MM-DD or YYYY-MM-DDThh:mm:ssZ"));
        }
        read
    }
}

/// Whether it may name a format or one level of a set.
fn is_name(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || MARKS.contains(c))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test ends where it cannot go on")]

    use super::*;

    /// The codes and messages of a query that is refused.
    fn refused(query: &str) -> Vec<String> {
        let errors = Given::read(query).check().expect_err(query);
        errors.into_iter().map(|ProtocolError { code, message }| format!("{}: {message}", code.as_str())).collect()
    }

    #[test]
    fn every_request_is_read_back_from_its_own_arguments() {
        let select = Selection {
            metadata_prefix: "oai_dc".to_owned(),
            set: Some("a:b".to_owned()),
            from: Some(Datestamp::parse("2021-02-12").unwrap()),
            until: Some(Datestamp::parse("2021-02-12").unwrap()),
        };
        let plain = Selection { metadata_prefix: "oai_dc".to_owned(), ..Selection::default() };
        for request in [
            Request::Identify,
            Request::ListSets,
            Request::ListMetadataFormats { identifier: None },
            Request::ListMetadataFormats { identifier: Some("oai:x:1/2".to_owned()) },
            Request::ListIdentifiers(plain),
            Request::ListRecords(select),
            Request::GetRecord { identifier: "oai:x:ä &=+%".to_owned(), metadata_prefix: "oai_dc".to_owned() },
            Request::Resume { verb: Verb::ListSets, token: "t o/k".to_owned() },
            Request::Resume { verb: Verb::ListRecords, token: String::new() },
        ] {
            let escape = |text: &str| {
                percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string()
            };
            let query: Vec<String> =
                request.arguments().iter().map(|(name, value)| format!("{name}={}", escape(value))).collect();
            assert_eq!(Given::read(&query.join("&")).check(), Ok(request));
        }
    }

    #[test]
    fn a_plus_is_a_space_and_an_escaped_one_a_plus() {
        assert_eq!(Given::read("verb=a+b%2Bc").get("verb"), Some("a b+c"));
    }

    #[test]
    fn a_verb_that_is_missing_repeated_or_unknown_is_refused_before_all_else() {
        assert_eq!(refused(""), ["badVerb: the argument verb is missing"]);
        assert_eq!(refused("set=x"), ["badVerb: the argument verb is missing"]);
        assert_eq!(refused("verb=identify&x=y"), ["badVerb: \"identify\" is no verb"]);
        assert_eq!(refused("verb=Identify&verb=Identify"), ["badVerb: the argument verb is repeated"]);
    }

    #[test]
    fn all_that_is_wrong_with_the_arguments_is_told_at_once() {
        assert_eq!(
            refused("verb=ListRecords&from=2021-02-30&until=now&set=a::b&identifier=x&set=c"),
            [
                "badArgument: ListRecords takes no argument \"identifier\"",
                "badArgument: the argument set is repeated",
                "badArgument: the argument metadataPrefix is missing",
                "badArgument: the set \"a::b\" is malformed",
                "badArgument: from is \"2021-02-30\", expected YYYY-MM-DD or YYYY-MM-DDThh:mm:ssZ",
                "badArgument: until is \"now\", expected YYYY-MM-DD or YYYY-MM-DDThh:mm:ssZ",
            ]
        );
    }

    #[test]
    fn what_the_protocol_does_not_allow_is_refused() {
        let list = "verb=ListIdentifiers&metadataPrefix=oai_dc";
        for (query, message) in [
            ("verb=Identify&metadataPrefix=oai_dc", "Identify takes no argument \"metadataPrefix\""),
            ("verb=Identify&resumptionToken=x", "Identify takes no argument \"resumptionToken\""),
            ("verb=ListSets&set=x", "ListSets takes no argument \"set\""),
            ("verb=GetRecord&metadataPrefix=oai_dc", "the argument identifier is missing"),
            ("verb=GetRecord&identifier=x", "the argument metadataPrefix is missing"),
            ("verb=GetRecord&identifier=&metadataPrefix=oai_dc", "the argument identifier is empty"),
            ("verb=GetRecord&identifier=x&metadataPrefix=oai/dc", "the metadataPrefix \"oai/dc\" is malformed"),
            ("verb=Identify&%FF=x", "\"%FF=x\" is not UTF-8 when it is unescaped"),
            (&format!("{list}&resumptionToken=x"), "the argument resumptionToken excludes all others"),
            (&format!("{list}&from=2021-01-01&until=2021-01-01T00:00:00Z"), "from and until differ in granularity"),
            (&format!("{list}&from=2021-01-02&until=2021-01-01"), "from is later than until"),
            (
                &format!("{list}&from=2021-01-02T00:00:00.5Z"),
                "from is \"2021-01-02T00:00:00.5Z\", expected YYYY-MM-DD or YYYY-MM-DDThh:mm:ssZ",
            ),
            (&format!("{list}&until=9999-12-31"), "until is \"9999-12-31\", expected a day before 9999-12-31"),
        ] {
            assert_eq!(refused(query), [format!("badArgument: {message}")], "{query}");
        }
    }
}
