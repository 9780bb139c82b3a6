//! Requests with a body, and the patience of a client that writes.

use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::time::Duration;

use reqwest::Method;
use reqwest::header::HeaderMap;

use super::{Answer, Http, HttpError, again, host_of, parse, shared, transient};

/// A request with all that belongs to it. Not printable: its headers may hold a token.
pub struct Request {
    /// Method.
    pub method: Method,
    /// Address.
    pub url: String,
    /// Headers.
    pub headers: HeaderMap,
    /// Body, whole.
    pub body: Vec<u8>,
    /// Largest answer, in bytes.
    pub limit: usize,
}

/// How long a client goes on trying.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// The first wait is at most so long; the bound doubles each time.
    pub first: Duration,
    /// No wait of our own is longer.
    pub longest: Duration,
    /// All waits together.
    pub total: Duration,
    /// The longest wait that a server may ask for.
    pub hinted: Duration,
}

impl Patience {
    /// None: one try.
    pub const NONE: Self = Self {
        first: Duration::ZERO,
        longest: Duration::ZERO,
        total: Duration::ZERO,
        hinted: Duration::ZERO,
    };
}

impl Http {
    /// Sends a request, again after transient failures (5xx, 408, 429, no connection, a cut), as long as
    /// there is patience. What the server asks for (`Retry-After` in seconds or as a date, else
    /// `retry_after` in a JSON body) comes before our own schedule, which is exponential with full jitter.
    ///
    /// # Errors
    /// When there is no whole answer after all tries. A status is not an error.
    pub async fn send(
        &self,
        request: Request,
        patience: Patience,
        now: i64,
    ) -> Result<Answer, HttpError> {
        let url = parse(&request.url)?;
        let host = host_of(&url);
        let limit = request.limit;
        let fault = |source: reqwest::Error| HttpError::Transport {
            host: host.clone(),
            source: source.without_url(),
        };
        let mut built = self
            .client
            .request(request.method, url)
            .headers(request.headers);
        if !request.body.is_empty() {
            built = built.body(request.body);
        }
        let built = built.build().map_err(fault)?;
        let (mut spent, mut bound, mut tries) = (Duration::ZERO, patience.first, 0);
        loop {
            tries += 1;
            let Some(again_later) = built.try_clone() else {
                return Err(HttpError::Url(host));
            };
            let outcome = self.try_once(again_later, limit, &host).await;
            let hint = match &outcome {
                Ok(answer) if transient(answer.status) => hinted(answer, now),
                Err(HttpError::Transport { source, .. }) if again(source) => None,
                Ok(_) | Err(_) => return outcome.map(|answer| Answer { tries, ..answer }),
            };
            let wait = match hint {
                Some(hint) => hint.min(patience.hinted),
                None => bound.mul_f64(share()),
            };
            // A wait of our own always counts as a little, so that the tries are bounded, too.
            spent += wait.max(bound / 4);
            if spent > patience.total || patience.total.is_zero() {
                return outcome.map(|answer| Answer { tries, ..answer });
            }
            bound = (bound * 2).min(patience.longest);
            tokio::time::sleep(wait).await;
        }
    }

    async fn try_once(
        &self,
        request: reqwest::Request,
        limit: usize,
        host: &str,
    ) -> Result<Answer, HttpError> {
        let fault = |source: reqwest::Error| HttpError::Transport {
            host: host.to_owned(),
            source: source.without_url(),
        };
        let mut response = self.client.execute(request).await.map_err(fault)?;
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(fault)? {
            if body.len() + chunk.len() > limit {
                return Err(HttpError::TooLarge {
                    host: host.to_owned(),
                    limit,
                });
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Answer {
            status: response.status().as_u16(),
            headers: response.headers().clone(),
            body,
            tries: 1,
        })
    }
}

/// A random share of one.
fn share() -> f64 {
    let mut bytes = [0; 4];
    // Without randomness the waits are whole, which is as good for one client.
    match getrandom::fill(&mut bytes) {
        Ok(()) => f64::from(u32::from_le_bytes(bytes)) / f64::from(u32::MAX),
        Err(_) => 1.0,
    }
}

/// How long the server asks us to wait. What is not positive is no hint.
fn hinted(answer: &Answer, now: i64) -> Option<Duration> {
    let header = answer.headers.get(reqwest::header::RETRY_AFTER);
    let header = header.and_then(|value| value.to_str().ok()).map(str::trim);
    let of_header = |text: &str| {
        let date = || {
            let date = jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(text);
            Some(date.ok()?.as_second().saturating_sub(now))
        };
        let seconds = text.parse::<i64>().ok().or_else(date)?;
        (seconds > 0).then(|| Duration::from_secs(seconds.unsigned_abs()))
    };
    let of_body = || {
        let json: serde_json::Value = serde_json::from_slice(&answer.body).ok()?;
        let seconds = json.get("retry_after")?.as_f64()?;
        (seconds > 0.0).then(|| Duration::from_secs_f64(seconds.min(86_400.0)))
    };
    header.and_then(of_header).or_else(of_body)
}

/// Runs async work to its end on the threads that the whole process shares, unless somebody wants to
/// stop: then it is given up, and there is nothing.
///
/// # Errors
/// When the threads cannot be started, or the work panicked.
pub fn run_unless<F>(work: F, is_stopped: &dyn Fn() -> bool) -> Result<Option<F::Output>, HttpError>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    let (send, receive) = sync_channel(1);
    let task = shared()?.spawn(async move {
        // Whoever asked waits, or gave up.
        let _ = send.send(work.await);
    });
    loop {
        match receive.recv_timeout(Duration::from_millis(50)) {
            Ok(output) => return Ok(Some(output)),
            Err(RecvTimeoutError::Timeout) if is_stopped() => {
                task.abort();
                return Ok(None);
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => {
                let why = "the work ended without an answer";
                return Err(HttpError::Runtime(std::io::Error::other(why)));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use reqwest::header::{HeaderValue, RETRY_AFTER};

    fn answer(header: Option<&str>, body: &str) -> Answer {
        let mut headers = HeaderMap::new();
        if let Some(text) = header {
            headers.insert(RETRY_AFTER, HeaderValue::from_str(text).unwrap());
        }
        Answer {
            status: 502,
            headers,
            body: body.as_bytes().to_vec(),
            tries: 1,
        }
    }

    #[test]
    fn what_a_server_asks_for_is_understood_in_three_forms() {
        let seconds =
            |header, body| hinted(&answer(header, body), 784_111_770).map(|d| d.as_secs());
        assert_eq!(seconds(Some("7"), ""), Some(7));
        assert_eq!(seconds(Some("Sun, 06 Nov 1994 08:49:37 GMT"), ""), Some(7));
        assert_eq!(seconds(None, r#"{"retry_after": 60}"#), Some(60));
        assert_eq!(seconds(Some("7"), r#"{"retry_after": 60}"#), Some(7));
        for none in [
            Some("0"),
            Some("Sun, 06 Nov 1994 08:49:00 GMT"),
            Some("soon"),
            None,
        ] {
            assert_eq!(seconds(none, "<html>"), None, "{none:?}");
        }
        assert_eq!(seconds(None, r#"{"retry_after": -1}"#), None);
    }
}
