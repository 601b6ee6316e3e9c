//! Answers. Owns what a request gets of a repository: the records of a page, where the list goes on, and the errors that need
//! the repository to be seen. Knows neither HTTP nor XML.

use jiff::Timestamp;
use jiff::civil::Time;
use jiff::tz::TimeZone;

use super::arguments::error;
use super::repository::{Identity, Repository, RepositoryError};
use super::token::Token;
use super::{PAGE_RECORDS_MAX, ProviderSettings};
use crate::protocol::{
    Datestamp, DeletedRecord, ErrorCode, Granularity, Identify, MetadataFormat, ProtocolError, Record, Request,
    Selection, SetInfo, Verb,
};

/// What a request gets.
#[derive(Debug)]
pub(super) enum Answer {
    Identify(Identify),
    Formats(Vec<MetadataFormat>),
    Sets(Vec<SetInfo>),
    Record(Record),
    List(List),
    /// One at least.
    Errors(Vec<ProtocolError>),
}

impl Answer {
    /// Whether the arguments themselves were wrong, so that the answer does not repeat them.
    pub(super) fn blames_arguments(&self) -> bool {
        let Self::Errors(errors) = self else { return false };
        errors.iter().any(|error| matches!(error.code, ErrorCode::BadVerb | ErrorCode::BadArgument))
    }
}

/// A page of a list of headers or records.
#[derive(Debug)]
pub(super) struct List {
    pub(super) verb: Verb,
    pub(super) records: Vec<Record>,
    /// None on the only page of a list.
    pub(super) element: Option<Element>,
    /// What leads on from here, whether there is more or not.
    pub(super) onward: Token,
}

/// The element `resumptionToken`.
#[derive(Debug, Default)]
pub(super) struct Element {
    /// None on the last page.
    pub(super) value: Option<String>,
    pub(super) complete_list_size: Option<u64>,
    pub(super) cursor: Option<u64>,
    pub(super) expires: Option<Timestamp>,
}

/// Why a request gets no answer but an error.
enum Refusal {
    Protocol(ProtocolError),
    Repository(RepositoryError),
}

impl From<ProtocolError> for Refusal {
    fn from(error: ProtocolError) -> Self {
        Self::Protocol(error)
    }
}

impl From<RepositoryError> for Refusal {
    fn from(error: RepositoryError) -> Self {
        Self::Repository(error)
    }
}

/// What must be escaped in a URL, before a token that need not.
pub(super) const ODD: &str = "+ %2F/&=?#;é|";

/// How a list is to be answered wrongly.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Deviation {
    /// A token leads to the first page again.
    pub(super) from_the_start: bool,
    /// The next page begins with the last record of this one.
    pub(super) overlap: bool,
    /// A token may have [`ODD`] before it.
    pub(super) odd_token: bool,
    /// A token leads to an empty page, which is given as such.
    pub(super) empty_page: bool,
}

/// Where requests are answered.
pub(super) struct Desk<'a> {
    pub(super) repository: &'a dyn Repository,
    pub(super) settings: &'a ProviderSettings,
    pub(super) base_url: &'a str,
    pub(super) now: Timestamp,
    pub(super) deviation: Deviation,
}

impl Desk<'_> {
    /// Answers, with errors of the protocol too.
    pub(super) async fn answer(&self, request: &Request) -> Result<Answer, RepositoryError> {
        match self.respond(request).await {
            Ok(answer) => Ok(answer),
            Err(Refusal::Protocol(error)) => Ok(Answer::Errors(vec![error])),
            Err(Refusal::Repository(error)) => Err(error),
        }
    }

    async fn respond(&self, request: &Request) -> Result<Answer, Refusal> {
        match request {
            Request::Identify => Ok(Answer::Identify(self.identify(self.repository.identify().await?))),
            Request::ListMetadataFormats { identifier: None } => Ok(Answer::Formats(self.repository.formats().await?)),
            Request::ListMetadataFormats { identifier: Some(identifier) } => self.formats_of(identifier).await,
            Request::ListSets => self.sets().await,
            Request::ListIdentifiers(select) => self.first_page(Verb::ListIdentifiers, select).await,
            Request::ListRecords(select) => self.first_page(Verb::ListRecords, select).await,
            Request::GetRecord { identifier, metadata_prefix } => self.record(identifier, metadata_prefix).await,
            Request::Resume { verb: Verb::ListSets, .. } => {
                Err(error(ErrorCode::BadResumptionToken, "the list of sets has one page only").into())
            }
            Request::Resume { verb, token } => self.next_page(*verb, token).await,
        }
    }

    fn identify(&self, identity: Identity) -> Identify {
        Identify {
            repository_name: identity.name,
            base_url: self.base_url.to_owned(),
            earliest: identity.earliest,
            deleted_record: DeletedRecord::Persistent,
            granularity: identity.earliest.granularity(),
            admin_emails: identity.admin_emails,
        }
    }

    async fn formats_of(&self, identifier: &str) -> Result<Answer, Refusal> {
        let mut formats = Vec::new();
        for format in self.repository.formats().await? {
            let record =
                self.repository.record(identifier, &format.prefix).await?.ok_or_else(|| unknown(identifier))?;
            // A deleted record is deleted in every format.
            if record.header.deleted || record.metadata.is_some() {
                formats.push(format);
            }
        }
        if formats.is_empty() {
            return Err(error(ErrorCode::NoMetadataFormats, format!("{identifier} has no metadata")).into());
        }
        Ok(Answer::Formats(formats))
    }

    async fn sets(&self) -> Result<Answer, Refusal> {
        let sets = self.repository.sets().await?;
        if sets.is_empty() { Err(no_sets().into()) } else { Ok(Answer::Sets(sets)) }
    }

    async fn record(&self, identifier: &str, prefix: &str) -> Result<Answer, Refusal> {
        self.check_format(prefix).await?;
        let mut record = self.repository.record(identifier, prefix).await?.ok_or_else(|| unknown(identifier))?;
        if record.header.deleted {
            record.metadata = None;
        } else if record.metadata.is_none() {
            let message = format!("{identifier} is not to be had as {prefix}");
            return Err(error(ErrorCode::CannotDisseminateFormat, message).into());
        }
        Ok(Answer::Record(record))
    }

    async fn first_page(&self, verb: Verb, select: &Selection) -> Result<Answer, Refusal> {
        let granularity = self.repository.identify().await?.earliest.granularity();
        if [select.from, select.until].into_iter().flatten().any(|stamp| stamp.granularity() > granularity) {
            let message = format!("datestamps are no finer than {} here", granularity.as_str());
            return Err(error(ErrorCode::BadArgument, message).into());
        }
        self.check_format(&select.metadata_prefix).await?;
        if select.set.is_some() && self.repository.sets().await?.is_empty() {
            return Err(no_sets().into());
        }
        let size = self.repository.count(&to_the_second(select)).await?;
        match self.page(verb, select, None, size).await? {
            Some(list) => Ok(Answer::List(list)),
            None => Err(error(ErrorCode::NoRecordsMatch, "the list is empty").into()),
        }
    }

    async fn next_page(&self, verb: Verb, sealed: &str) -> Result<Answer, Refusal> {
        let refuse = |message: String| error(ErrorCode::BadResumptionToken, message);
        let ProviderSettings { token_key, token_life, .. } = self.settings;
        let sealed = if self.deviation.odd_token { sealed.strip_prefix(ODD).unwrap_or(sealed) } else { sealed };
        let token =
            Token::open(sealed, token_key, verb, self.now, *token_life).map_err(|error| refuse(error.to_string()))?;
        let size = token.complete_list_size;
        match self.page(verb, &token.select, Some(&token), size).await? {
            Some(list) => Ok(Answer::List(list)),
            None if self.deviation.empty_page => {
                let element =
                    Element { complete_list_size: Some(size), cursor: Some(token.cursor), ..Element::default() };
                Ok(Answer::List(List { verb, records: Vec::new(), element: Some(element), onward: token }))
            }
            // What was left has changed and gone beyond `until`. An empty list would be no list, and no end either.
            None => Err(refuse("what was left of the list has gone; begin it again".to_owned()).into()),
        }
    }

    /// A page that follows `token`, or the first; `None`: nothing is there.
    async fn page(
        &self,
        verb: Verb,
        select: &Selection,
        token: Option<&Token>,
        size: u64,
    ) -> Result<Option<List>, RepositoryError> {
        let limit = self.settings.page_size.clamp(1, PAGE_RECORDS_MAX);
        let after = token.map(|token| token.after).filter(|_| !self.deviation.from_the_start);
        let with_metadata = verb == Verb::ListRecords;
        // One more than is given shows whether there is more.
        let mut found = self.repository.page(&to_the_second(select), after, limit + 1, with_metadata).await?;
        let more = found.len() > limit;
        found.truncate(limit);
        let given = found.len() - usize::from(self.deviation.overlap && found.len() > 1);
        let Some((last, _)) = given.checked_sub(1).and_then(|last| found.get(last)) else { return Ok(None) };
        let cursor = token.map_or(0, |token| token.cursor);
        // The list may have grown since it was counted.
        let size = size.max(cursor + found.len() as u64);
        let onward = Token {
            verb,
            select: select.clone(),
            after: *last,
            complete_list_size: size,
            cursor: cursor + found.len() as u64,
            issued: self.now,
        };
        // The only page of a list has none, the last of several has an empty one.
        let element = (more || token.is_some()).then(|| Element {
            value: more.then(|| onward.seal(&self.settings.token_key)),
            complete_list_size: Some(size),
            cursor: Some(cursor),
            expires: onward.expires(self.settings.token_life).filter(|_| more),
        });
        let records = found.into_iter().map(|(_, record)| record).collect();
        Ok(Some(List { verb, records, element, onward }))
    }

    async fn check_format(&self, prefix: &str) -> Result<(), Refusal> {
        if self.repository.formats().await?.iter().any(|format| format.prefix == prefix) {
            return Ok(());
        }
        Err(error(ErrorCode::CannotDisseminateFormat, format!("there is no format {prefix} here")).into())
    }
}

fn unknown(identifier: &str) -> ProtocolError {
    error(ErrorCode::IdDoesNotExist, format!("there is no {identifier} here"))
}

fn no_sets() -> ProtocolError {
    error(ErrorCode::NoSetHierarchy, "there are no sets here")
}

/// The same selection to the second: an `until` of a day means its whole day.
fn to_the_second(select: &Selection) -> Selection {
    let last_second = |stamp: Datestamp| match stamp.granularity() {
        Granularity::Second => stamp.at(),
        Granularity::Day => {
            let date = stamp.at().to_zoned(TimeZone::UTC).date();
            let end = date.to_datetime(Time::constant(23, 59, 59, 0));
            // The last day of time has no end that can be written; its beginning will do.
            end.to_zoned(TimeZone::UTC).map_or(stamp.at(), |end| end.timestamp())
        }
    };
    Selection {
        from: select.from.map(|from| Datestamp::new(from.at(), Granularity::Second)),
        until: select.until.map(|until| Datestamp::new(last_second(until), Granularity::Second)),
        ..select.clone()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test ends where it cannot go on")]

    use super::*;

    #[test]
    fn a_day_reaches_from_its_first_second_to_its_last() {
        let day = |text| Some(Datestamp::parse(text).unwrap());
        let select = Selection { from: day("2024-02-29"), until: day("2024-02-29"), ..Selection::default() };
        let exact = to_the_second(&select);
        assert_eq!(exact.from.unwrap().to_string(), "2024-02-29T00:00:00Z");
        assert_eq!(exact.until.unwrap().to_string(), "2024-02-29T23:59:59Z");
        assert_eq!(to_the_second(&exact), exact);
    }
}
