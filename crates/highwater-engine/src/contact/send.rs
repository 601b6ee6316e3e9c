//! Sending a request under a permit. Owns what an answer does to the resource: a ban, a wait, a redirect that is a contact of its own;
//! what else it means is the caller's.

use std::time::Duration;

use jiff::Timestamp;
use reqwest::Url;

use super::http::{at_next, http_client, may_follow, redirected};
use super::problem::problem_told;
use super::{Contacts, Unanswered};
use crate::clock::{later, since};
use crate::diagnosis::Diagnosis;
use crate::job::Stop;
use crate::name::ResourceName;
use crate::report::Reason;

impl Contacts {
    /// Sends a request under a permit of its own. 429 and 503 extend the ban; one no longer than the resource's
    /// `max-retry-after` is waited out once a pass and the request is asked once more, after which the pass ends whatever the
    /// answer.
    ///
    /// # Errors
    /// [`Stop`] as [`Contacts::permit`], and a ban. The inner error is a request without an answer.
    pub async fn send(
        &self,
        resource: &ResourceName,
        request: impl Fn(&reqwest::Client) -> reqwest::RequestBuilder + Send + Sync,
    ) -> Result<Result<reqwest::Response, Unanswered>, Stop> {
        self.send_with(resource, None, request).await
    }

    /// The same, where an absent `Retry-After` means `fallback` rather than what the resource's rules say.
    ///
    /// # Errors
    /// As [`Contacts::send`].
    pub async fn send_with(
        &self,
        resource: &ResourceName,
        fallback: Option<Duration>,
        request: impl Fn(&reqwest::Client) -> reqwest::RequestBuilder + Send + Sync,
    ) -> Result<Result<reqwest::Response, Unanswered>, Stop> {
        self.send_by(self.http()?, resource, fallback, request).await
    }

    /// The same by a client of the job's own, for a far side that asks who is calling: a [`client_builder`](super::client_builder) with a certificate.
    ///
    /// # Errors
    /// As [`Contacts::send`].
    pub async fn send_by(
        &self,
        http: &reqwest::Client,
        resource: &ResourceName,
        fallback: Option<Duration>,
        request: impl Fn(&reqwest::Client) -> reqwest::RequestBuilder + Send + Sync,
    ) -> Result<Result<reqwest::Response, Unanswered>, Stop> {
        self.send_within(http, resource, fallback, |_| true, request).await
    }

    /// The same, and what answers with a redirect is answer enough: what is sent is for this address alone.
    ///
    /// # Errors
    /// As [`Contacts::send`].
    pub async fn send_here(
        &self,
        http: &reqwest::Client,
        resource: &ResourceName,
        request: impl Fn(&reqwest::Client) -> reqwest::RequestBuilder + Send + Sync,
    ) -> Result<Result<reqwest::Response, Unanswered>, Stop> {
        self.send_within(http, resource, None, |_| false, request).await
    }

    /// The same, where a redirect is followed only to where `may_go` lets it; the answer of one that is not is given as it came.
    ///
    /// # Errors
    /// As [`Contacts::send`].
    pub async fn send_within(
        &self,
        http: &reqwest::Client,
        resource: &ResourceName,
        fallback: Option<Duration>,
        may_go: impl Fn(&Url) -> bool + Send + Sync,
        request: impl Fn(&reqwest::Client) -> reqwest::RequestBuilder + Send + Sync,
    ) -> Result<Result<reqwest::Response, Unanswered>, Stop> {
        let mut permit = self.permit(resource).await?;
        let mut asked_at: Vec<Url> = Vec::new();
        let mut next: Option<Url> = None;
        loop {
            let sent = match request(http).build() {
                Ok(request) => {
                    let request = at_next(request, next.as_ref());
                    let (method, asked_at) = (request.method().clone(), self.clock.elapsed());
                    let answer = http.execute(request).await;
                    let is_error = answer.as_ref().map_or(true, |answer| answer.status().is_server_error());
                    self.far_side.answered(self.clock.elapsed().saturating_sub(asked_at), is_error);
                    answer.map(|response| (response, method))
                }
                Err(source) => Err(source),
            };
            let (mut response, method) = match sent {
                Ok(sent) => sent,
                Err(source) => {
                    let address = source.url().map(|url| url.origin().ascii_serialization());
                    return Ok(Err(Unanswered { resource: permit.resource, address, source }));
                }
            };
            asked_at.push(response.url().clone());
            if let Some(there) =
                redirected(&response, &method).filter(|there| may_follow(&asked_at, there) && may_go(there))
            {
                // Paced, counted and bannable like any other.
                next = Some(there);
                permit = self.permit(resource).await?;
                continue;
            }
            if !matches!(response.status().as_u16(), 429 | 503) {
                return Ok(Ok(response));
            }
            let mut asked = self.asked(resource, fallback, &response);
            if let Some(said) = problem_told(&mut response).await {
                asked.why = format!("{}: {said}", asked.why);
            }
            // Before the ban is in the ledger, or another item would obey it and end the pass. A ban file rounds up to a second.
            let (waits_out, waited_until) = (self.rules(resource).wait_out_max, whole_second_after(asked.until));
            let wait = since(asked.until, self.clock.now());
            let waited = wait <= waits_out && self.waited_out.set(waited_until).is_ok();
            let stands = self.extend_ban(resource, asked).await?;
            if !waited || stands.until > waited_until {
                return Err(Stop::Ban { resource: permit.resource, until: stands.until });
            }
            tracing::info!(%resource, wait_secs = wait.as_secs(), "waiting the ban out, once");
            let why = "the far side asked for less: a ban was waited out once";
            self.wind_down(Stop::checkpoint(Reason::BannedUntil, why));
            permit = self.permit(resource).await?;
        }
    }

    fn http(&self) -> Result<&reqwest::Client, Stop> {
        if let Some(client) = self.http.get() {
            return Ok(client);
        }
        let client = http_client().map_err(|e| {
            Stop::Fail(Diagnosis::failure(
                "HW-NET-001",
                format!("the HTTP client cannot start: {e}"),
                "check the machine's TLS certificates and proxy settings",
            ))
        })?;
        Ok(self.http.get_or_init(|| client))
    }
}

/// The next whole second, or `at` itself where it is one.
fn whole_second_after(at: Timestamp) -> Timestamp {
    let second = Timestamp::from_second(at.as_second()).unwrap_or(at);
    if second < at { later(second, Duration::from_secs(1)) } else { at }
}
