//! The client: one request is one contact, its answer is read as it comes, and whatever a repository does has a name. Owns
//! asking and reading; what becomes of an answer, and what is stored between pages, is the caller's.
//!
//! - [`Client::ask`] sends a request under a permit and gives an [`Answer`] to read entries from.
//! - [`Walk`] says which request comes next in a list of many pages, and when the list is at its end.
//! - [`parse::Parser`] is the reading alone, without a network.

mod address;
mod answer;
mod fault;
pub mod filter;
pub mod parse;
mod walk;

use std::time::Duration;

use highwater_engine::clock::SharedClock;
use highwater_engine::contact::Contacts;
use highwater_engine::job::Stop;
use highwater_engine::name::ResourceName;
use jiff::Timestamp;
use reqwest::header::{CONTENT_TYPE, DATE, LOCATION, USER_AGENT};
use reqwest::{Response, Url};

pub use self::answer::Answer;
pub use self::fault::{EXCERPT_BYTES_MAX, Fault, Stranger, Unasked};
pub use self::parse::{Entry, PageEnd};
pub use self::walk::{Progress, Walk, WalkFault};
use crate::protocol::{ErrorCode, Header, Identify, MetadataFormat, ProtocolError, Record, Request, SetInfo, Verb};

/// How much of the body of a refusal is read, in bytes: it may be an error of the protocol.
const REFUSAL_BYTES_MAX: u64 = 64 * 1024;

/// How much of an answer is borne with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of an answer, decompressed.
    pub page_bytes_max: u64,
    /// Bytes of a record; a larger one is unreadable, and the others go on.
    pub record_bytes_max: u64,
    /// Records of an answer.
    pub page_records_max: u64,
    /// Seconds from the request to the end of the answer.
    pub page_secs_max: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            page_bytes_max: 64 * 1024 * 1024,
            record_bytes_max: 8 * 1024 * 1024,
            page_records_max: 100_000,
            page_secs_max: 600,
        }
    }
}

/// A repository, and how it is asked.
#[derive(Debug, Clone)]
pub struct Endpoint {
    /// Where it is asked.
    pub base_url: Url,
    /// What its contacts are counted, paced and banned by.
    pub resource: ResourceName,
    /// A mail address or URL for its operators, shown in the User-Agent.
    pub contact: Option<String>,
    /// What a refusal without `Retry-After` means, if not what the resource's rules say.
    pub fallback_ban: Option<Duration>,
    /// How much of an answer is borne with.
    pub limits: Limits,
}

/// What asking for one record came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GetRecord {
    /// It is there.
    Found(Record),
    /// It was deleted.
    Deleted(Header),
    /// It is there, without metadata.
    NoMetadata(Header),
    /// It is there and cannot be read, or it is another one.
    Unreadable {
        /// What is wrong.
        why: String,
    },
    /// It is not there, or not in this format.
    Missing(ProtocolError),
}

/// A client of one repository.
#[derive(Debug, Clone)]
pub struct Client {
    endpoint: Endpoint,
    user_agent: String,
}

impl Client {
    /// A client of the repository.
    #[must_use]
    pub fn new(endpoint: Endpoint) -> Self {
        let name = concat!("highwater/", env!("CARGO_PKG_VERSION"));
        // A header takes no other characters.
        let plain = |contact: &String| contact.chars().filter(|c| matches!(c, ' '..='~')).collect::<String>();
        let user_agent = match endpoint.contact.as_ref().map(plain) {
            Some(contact) => format!("{name} ({contact})"),
            None => name.to_owned(),
        };
        Self { endpoint, user_agent }
    }

    /// The repository.
    #[must_use]
    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// One contact; returns when the head of the answer is there. An error of the protocol is told by what is read from it,
    /// whatever its status.
    ///
    /// # Errors
    /// [`Unasked::Stop`] as [`Contacts::send_with`], and for a 403, which bans: whoever meets a challenge page is asked to stay
    /// away, and the record in hand is innocent. [`Unasked::Fault`] when there is no answer, or another than a success.
    pub async fn ask(&self, contacts: &Contacts, clock: &SharedClock, request: &Request) -> Result<Answer, Unasked> {
        let Endpoint { base_url, resource, fallback_ban, limits, .. } = &self.endpoint;
        let url = address::address(base_url, request);
        let time = Duration::from_secs(limits.page_secs_max);
        let sent = contacts.send_with(resource, *fallback_ban, |http| {
            http.get(url.clone()).header(USER_AGENT, &self.user_agent).timeout(time)
        });
        let response = sent.await?.map_err(Fault::Unanswered)?;
        let status = response.status();
        if status == 403 {
            let ban = contacts.ban(resource, *fallback_ban, &response).await?;
            return Err(Stop::Ban { resource: resource.clone(), until: ban.until }.into());
        }
        if !status.is_success() {
            return Ok(self.refusal(clock, request.verb(), response).await?);
        }
        Ok(self.answer(clock, request.verb(), *limits, response))
    }

    fn answer(&self, clock: &SharedClock, verb: Verb, limits: Limits, response: Response) -> Answer {
        let charset = header(&response, CONTENT_TYPE).and_then(charset);
        let sent_at = header(&response, DATE).and_then(|date| httpdate::parse_http_date(date).ok());
        let sent_at = sent_at.and_then(|date| Timestamp::try_from(date).ok());
        Answer::new(parse::Parser::with_charset(verb, limits, charset), response, sent_at, clock.clone(), limits)
    }

    /// What a status that is no success means. Some repositories send errors of the protocol with a 4xx.
    async fn refusal(&self, clock: &SharedClock, verb: Verb, response: Response) -> Result<Answer, Fault> {
        let status = response.status();
        if let Some(location) = header(&response, LOCATION).filter(|_| status.is_redirection()) {
            return Err(Fault::Status {
                status: status.as_u16(),
                body: Stranger::other(&format!("it redirects to {location}")),
            });
        }
        let limits = Limits { page_bytes_max: REFUSAL_BYTES_MAX, ..self.endpoint.limits };
        let mut answer = self.answer(clock, verb, limits, response);
        let body = match answer.next().await {
            Err(Fault::Protocol(error)) if status.is_client_error() => return Ok(answer.refusing(error)),
            Err(Fault::NotOai(body)) => body,
            Err(fault) => Stranger::other(&fault.to_string()),
            Ok(_) => Stranger::other("an answer to the request"),
        };
        Err(Fault::Status { status: status.as_u16(), body })
    }

    /// What the repository says of itself.
    ///
    /// # Errors
    /// As [`Client::ask`] and [`Answer::next`].
    pub async fn identify(&self, contacts: &Contacts, clock: &SharedClock) -> Result<Identify, Unasked> {
        let (children, _) = self.ask(contacts, clock, &Request::Identify).await?.elements().await?;
        Ok(parse::identify(&children))
    }

    /// The repository's sets; none where it has no set hierarchy. One contact a page.
    ///
    /// # Errors
    /// As [`Client::ask`] and [`Answer::next`]; a list that does not end is [`Fault::Malformed`].
    pub async fn list_sets(&self, contacts: &Contacts, clock: &SharedClock) -> Result<Vec<SetInfo>, Unasked> {
        let mut walk = Walk::sets();
        let mut sets = Vec::new();
        while let Some(request) = walk.request() {
            let page = match self.ask(contacts, clock, &request).await {
                Ok(answer) => answer.elements().await,
                Err(Unasked::Fault(fault)) => Err(fault),
                Err(stop) => return Err(stop),
            };
            let (children, end) = match page {
                Ok(page) => page,
                Err(Fault::Protocol(error)) if error.code == ErrorCode::NoSetHierarchy => break,
                Err(fault) => return Err(fault.into()),
            };
            sets.extend(children.iter().filter_map(|child| parse::set(child)));
            walk.page(&end).map_err(|fault| Fault::Malformed { at_byte: end.bytes, what: fault.to_string() })?;
        }
        Ok(sets)
    }

    /// The repository's formats, or those of a record; none where the record has none.
    ///
    /// # Errors
    /// As [`Client::ask`] and [`Answer::next`].
    pub async fn list_metadata_formats(
        &self,
        contacts: &Contacts,
        clock: &SharedClock,
        identifier: Option<&str>,
    ) -> Result<Vec<MetadataFormat>, Unasked> {
        let request = Request::ListMetadataFormats { identifier: identifier.map(str::to_owned) };
        let page = match self.ask(contacts, clock, &request).await {
            Ok(answer) => answer.elements().await,
            Err(Unasked::Fault(fault)) => Err(fault),
            Err(stop) => return Err(stop),
        };
        match page {
            Ok((children, _)) => Ok(children.iter().filter_map(|child| parse::format(child)).collect()),
            Err(Fault::Protocol(error)) if error.code == ErrorCode::NoMetadataFormats => Ok(Vec::new()),
            Err(fault) => Err(fault.into()),
        }
    }

    /// One record.
    ///
    /// # Errors
    /// As [`Client::ask`] and [`Answer::next`], but for what is said of this record alone.
    pub async fn get_record(
        &self,
        contacts: &Contacts,
        clock: &SharedClock,
        identifier: &str,
        metadata_prefix: &str,
    ) -> Result<GetRecord, Unasked> {
        let request =
            Request::GetRecord { identifier: identifier.to_owned(), metadata_prefix: metadata_prefix.to_owned() };
        let read = match self.ask(contacts, clock, &request).await {
            Ok(mut answer) => {
                let read = answer.only(identifier).await;
                contacts.meter().bytes(answer.received_bytes());
                read
            }
            Err(Unasked::Fault(fault)) => Err(fault),
            Err(stop) => return Err(stop),
        };
        match read {
            Ok(record) => Ok(record),
            Err(Fault::Protocol(error))
                if matches!(error.code, ErrorCode::IdDoesNotExist | ErrorCode::CannotDisseminateFormat) =>
            {
                Ok(GetRecord::Missing(error))
            }
            Err(fault) => Err(fault.into()),
        }
    }
}

fn header(response: &Response, name: reqwest::header::HeaderName) -> Option<&str> {
    response.headers().get(name)?.to_str().ok()
}

/// The charset of a `Content-Type`.
fn charset(content_type: &str) -> Option<&str> {
    content_type.split(';').skip(1).find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        name.trim().eq_ignore_ascii_case("charset").then(|| value.trim().trim_matches('"'))
    })
}

#[cfg(test)]
mod tests {
    use super::charset;

    #[test]
    fn the_charset_of_a_content_type_is_found() {
        assert_eq!(charset("text/xml; q=1; Charset=\"ISO-8859-1\""), Some("ISO-8859-1"));
        assert_eq!(charset("text/xml"), None);
    }
}
