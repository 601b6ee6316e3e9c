//! The faults by name. Owns their names, their arguments and which requests each can strike.

use std::time::Duration;

use super::when::Target;
use crate::protocol::Verb;

/// How each is written, and what it does.
pub(super) const CATALOGUE: &[(&str, &str)] = &[
    ("429[=WAIT]", "429 Too Many Requests; WAIT is SECS, 5m, 24h, date, date+SECS or none (default 120)"),
    ("503[=WAIT]", "503 Service Unavailable, with the same"),
    ("500", "500 Internal Server Error"),
    ("403", "403 Forbidden with a challenge page in HTML"),
    ("404", "404 Not Found"),
    ("html", "200 with a page in HTML"),
    ("redirect[=URL]", "302 Found to the same request, there or here"),
    ("hang", "never answers"),
    ("drop", "closes the connection without an answer"),
    ("cut[=PERCENT]", "promises the whole answer, sends a part (default 50 %) and closes the connection"),
    ("truncate[=PERCENT]", "sends a part of the XML (default 50 %) as if it were all"),
    ("slow[=MILLIS]", "a byte now and then (default every 1000 ms)"),
    ("endless", "a page that repeats its first record for ever"),
    ("expired-token", "a token meets badResumptionToken"),
    ("repeat-token", "the token leads to the next page, which carries the same token again"),
    ("odd-token", "the token has characters that must be escaped in a URL"),
    ("repeat-page", "a token leads to the first page again, which carries a new token"),
    ("overlap", "the next page begins with the last record of this one"),
    ("empty-last-page", "the last page carries a token, which leads to an empty page"),
    ("short-list", "the list ends with this page, before its completeListSize"),
    ("no-total", "no completeListSize"),
    ("wrong-total[=N]", "a wrong completeListSize (default half of it)"),
    ("cursor-pages", "the cursor counts pages"),
    ("unordered", "the datestamps of a page are out of order"),
    ("finer-datestamps", "datestamps are finer than Identify says"),
    ("second-prolog", "a second XML declaration after the first"),
    ("leading-newline", "a newline before the XML declaration"),
    ("control-chars", "control characters in metadata, and a TAB, which is legal"),
    ("bad-utf8", "bytes in metadata that are not UTF-8"),
    ("dtd-entity", "a DTD that declares entities, used in metadata"),
    ("wrong-namespace[=none]", "the namespace of OAI-PMH 1.1, or none"),
    ("poison-xml=SUFFIX", "the metadata of the records whose identifier ends so is not well-formed"),
    ("poison-500=SUFFIX", "GetRecord of them meets 500"),
];

/// What of an answer is sent where nothing is said.
const PERCENT: u8 = 50;
/// How long to wait where nothing is said.
const WAIT_SECS: u64 = 120;
/// Between two bytes where nothing is said.
const SLOW_MILLIS: u64 = 1000;

/// What is said of when to come again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::provider) enum Wait {
    Nothing,
    Seconds(u64),
    /// As a date, so many seconds from now.
    Date(u64),
}

/// What goes wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::provider) enum Fault {
    TooManyRequests(Wait),
    Unavailable(Wait),
    ServerError,
    Challenge,
    NotFound,
    Html,
    Redirect(Option<String>),
    Hang,
    Drop,
    Cut(u8),
    Truncate(u8),
    Slow(Duration),
    Endless,
    ExpiredToken,
    RepeatToken,
    RepeatPage,
    OddToken,
    Overlap,
    EmptyLastPage,
    ShortList,
    NoTotal,
    WrongTotal(Option<u64>),
    CursorPages,
    Unordered,
    FinerDatestamps,
    SecondProlog,
    LeadingNewline,
    ControlChars,
    BadUtf8,
    DtdEntity,
    WrongNamespace,
    NoNamespace,
    PoisonXml(String),
    PoisonServerError(String),
}

impl Fault {
    pub(super) fn read(name: &str, argument: Option<&str>) -> Result<Self, String> {
        let fault = match (name, argument) {
            ("429", wait) => Self::TooManyRequests(Wait::read(wait)?),
            ("503", wait) => Self::Unavailable(Wait::read(wait)?),
            ("redirect", url) => Self::Redirect(url.map(ToOwned::to_owned)),
            ("cut", share) => Self::Cut(percent(share)?),
            ("truncate", share) => Self::Truncate(percent(share)?),
            ("slow", millis) => Self::Slow(Duration::from_millis(number(millis, SLOW_MILLIS)?)),
            ("wrong-total", None) => Self::WrongTotal(None),
            ("wrong-total", total) => Self::WrongTotal(Some(number(total, 0)?)),
            ("wrong-namespace", Some("none")) => Self::NoNamespace,
            ("poison-xml", Some(suffix)) => Self::PoisonXml(suffix.to_owned()),
            ("poison-500", Some(suffix)) => Self::PoisonServerError(suffix.to_owned()),
            ("poison-xml" | "poison-500", None) => return Err("needs the end of an identifier".to_owned()),
            (_, None) => Self::plain(name)?,
            (_, Some(argument)) => {
                Self::plain(name)?;
                return Err(format!("takes no argument {argument:?}"));
            }
        };
        Ok(fault)
    }

    fn plain(name: &str) -> Result<Self, String> {
        Ok(match name {
            "500" => Self::ServerError,
            "403" => Self::Challenge,
            "404" => Self::NotFound,
            "html" => Self::Html,
            "hang" => Self::Hang,
            "drop" => Self::Drop,
            "endless" => Self::Endless,
            "expired-token" => Self::ExpiredToken,
            "repeat-token" => Self::RepeatToken,
            "repeat-page" => Self::RepeatPage,
            "odd-token" => Self::OddToken,
            "overlap" => Self::Overlap,
            "empty-last-page" => Self::EmptyLastPage,
            "short-list" => Self::ShortList,
            "no-total" => Self::NoTotal,
            "cursor-pages" => Self::CursorPages,
            "unordered" => Self::Unordered,
            "finer-datestamps" => Self::FinerDatestamps,
            "second-prolog" => Self::SecondProlog,
            "leading-newline" => Self::LeadingNewline,
            "control-chars" => Self::ControlChars,
            "bad-utf8" => Self::BadUtf8,
            "dtd-entity" => Self::DtdEntity,
            "wrong-namespace" => Self::WrongNamespace,
            _ => return Err(format!("has no name that is known ({})", names().join(", "))),
        })
    }

    /// Its name, without an argument.
    pub(in crate::provider) fn name(&self) -> &'static str {
        match self {
            Self::TooManyRequests(_) => "429",
            Self::Unavailable(_) => "503",
            Self::ServerError => "500",
            Self::Challenge => "403",
            Self::NotFound => "404",
            Self::Html => "html",
            Self::Redirect(_) => "redirect",
            Self::Hang => "hang",
            Self::Drop => "drop",
            Self::Cut(_) => "cut",
            Self::Truncate(_) => "truncate",
            Self::Slow(_) => "slow",
            Self::Endless => "endless",
            Self::ExpiredToken => "expired-token",
            Self::RepeatToken => "repeat-token",
            Self::RepeatPage => "repeat-page",
            Self::OddToken => "odd-token",
            Self::Overlap => "overlap",
            Self::EmptyLastPage => "empty-last-page",
            Self::ShortList => "short-list",
            Self::NoTotal => "no-total",
            Self::WrongTotal(_) => "wrong-total",
            Self::CursorPages => "cursor-pages",
            Self::Unordered => "unordered",
            Self::FinerDatestamps => "finer-datestamps",
            Self::SecondProlog => "second-prolog",
            Self::LeadingNewline => "leading-newline",
            Self::ControlChars => "control-chars",
            Self::BadUtf8 => "bad-utf8",
            Self::DtdEntity => "dtd-entity",
            Self::WrongNamespace | Self::NoNamespace => "wrong-namespace",
            Self::PoisonXml(_) => "poison-xml",
            Self::PoisonServerError(_) => "poison-500",
        }
    }

    /// Whether it can strike such a request.
    pub(super) fn befalls(&self, target: &Target<'_>) -> bool {
        match self {
            Self::ExpiredToken | Self::RepeatToken | Self::RepeatPage => target.lists() && target.resumes,
            Self::OddToken
            | Self::Overlap
            | Self::EmptyLastPage
            | Self::ShortList
            | Self::NoTotal
            | Self::WrongTotal(_)
            | Self::CursorPages
            | Self::Unordered
            | Self::Endless => target.lists(),
            Self::PoisonServerError(suffix) => target.verb == Some(Verb::GetRecord) && target.names(suffix),
            _ => true,
        }
    }
}

fn names() -> Vec<&'static str> {
    CATALOGUE.iter().map(|(usage, _)| usage.split(['[', '=']).next().unwrap_or(usage)).collect()
}

impl Wait {
    fn read(text: Option<&str>) -> Result<Self, String> {
        let Some(text) = text else { return Ok(Self::Seconds(WAIT_SECS)) };
        let unit = |unit: char, secs: u64| text.strip_suffix(unit).map(|count| (count, secs));
        match text {
            "none" => Ok(Self::Nothing),
            "date" => Ok(Self::Date(WAIT_SECS)),
            _ => {
                if let Some(secs) = text.strip_prefix("date+") {
                    return Ok(Self::Date(number(Some(secs), WAIT_SECS)?));
                }
                let (count, secs) = unit('m', 60).or(unit('h', 3600)).or(unit('d', 24 * 3600)).unwrap_or((text, 1));
                Ok(Self::Seconds(number(Some(count), WAIT_SECS)?.saturating_mul(secs)))
            }
        }
    }
}

fn number(text: Option<&str>, default: u64) -> Result<u64, String> {
    text.map_or(Ok(default), |text| text.parse().map_err(|_| format!("has the argument {text:?}, which is no number")))
}

fn percent(text: Option<&str>) -> Result<u8, String> {
    let share = number(text, PERCENT.into())?;
    u8::try_from(share)
        .ok()
        .filter(|share| *share < 100)
        .ok_or_else(|| format!("has {share} %, expected less than 100"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test ends where it cannot go on")]

    use super::*;

    #[test]
    fn every_fault_of_the_catalogue_is_read_by_its_name_and_says_it_again() {
        for name in names() {
            let argument = name.starts_with("poison").then_some("42");
            assert_eq!(Fault::read(name, argument).unwrap().name(), name);
        }
        assert_eq!(Fault::read("wrong-namespace", Some("none")), Ok(Fault::NoNamespace));
    }

    #[test]
    fn a_wait_is_written_in_seconds_in_units_as_a_date_or_not_at_all() {
        for (text, wait) in [
            (None, Wait::Seconds(120)),
            (Some("0"), Wait::Seconds(0)),
            (Some("5m"), Wait::Seconds(300)),
            (Some("24h"), Wait::Seconds(86_400)),
            (Some("7d"), Wait::Seconds(604_800)),
            (Some("date"), Wait::Date(120)),
            (Some("date+7"), Wait::Date(7)),
            (Some("none"), Wait::Nothing),
        ] {
            assert_eq!(Wait::read(text), Ok(wait), "{text:?}");
        }
    }
}
