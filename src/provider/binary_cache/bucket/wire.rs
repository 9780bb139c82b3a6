//! Requests on the wire: sent, tried again where that is harmless, counted.
//!
//! The library above is told to try nothing again, so that one place knows what got no answer. A
//! refusal is read here and travels up as [`Refusal`], without its URL, which may hold a token.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use std::sync::Arc;

use futures_util::StreamExt as _;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse,
    HttpResponseBody, HttpService,
};

use super::fault::Refusal;
use super::lender;
use super::line::{self, Line};
use crate::plan::time::Time;
use crate::sys::clock::{Clock as _, SystemClock};

/// Longest wait that a server may ask for.
const MAX_WAIT: Duration = Duration::from_secs(20);

/// A request is not sent again when it is older: a storage refuses what was signed 15 minutes ago.
const OLDEST: Duration = Duration::from_mins(13);

/// Bytes of a refusal that are read.
const MAX_REFUSAL: usize = 64 << 10;

/// How often a request is sent at most, and the wait before the second time, which doubles.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// How often, at least once.
    pub tries: u32,
    /// The first wait.
    pub first_wait: Duration,
    /// Time until the answer to a question begins; a listing's page and a small object have four times as
    /// long to come whole. Uploads and NARs are only to go on, however slowly.
    pub answer: Duration,
}

/// A question that got no answer in time is asked so often at most: it takes long enough.
const LATE_TRIES: u32 = 2;

impl Default for Patience {
    fn default() -> Self {
        Self {
            tries: 5,
            first_wait: Duration::from_millis(200),
            answer: Duration::from_secs(30),
        }
    }
}

impl Patience {
    /// The same with less patience for answers, if it has more.
    #[must_use]
    pub fn no_longer_than(mut self, answer: Duration) -> Self {
        self.answer = self.answer.min(answer);
        self
    }

    /// Time for a whole page of a listing, or a whole small object.
    pub(super) fn whole(self) -> Duration {
        self.answer.saturating_mul(4)
    }
}

/// What a request does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    List,
    Read,
    Write,
    Delete,
}

impl Kind {
    fn of(request: &HttpRequest) -> Self {
        let query = request.uri().query().unwrap_or_default();
        let has = |name: &str| query.split('&').any(|pair| pair.starts_with(name));
        match request.method().as_str() {
            "GET" if has("list-type=") || has("comp=list") => Self::List,
            "GET" | "HEAD" => Self::Read,
            "DELETE" => Self::Delete,
            "POST" if has("delete") || has("comp=batch") => Self::Delete,
            _ => Self::Write,
        }
    }

    const fn changes(self) -> bool {
        matches!(self, Self::Write | Self::Delete)
    }
}

/// Whether a request is to do something only if the object is, or is not, as it says.
fn is_conditional(request: &HttpRequest) -> bool {
    ["if-none-match", "if-match", "x-goog-if-generation-match"]
        .iter()
        .any(|name| request.headers().contains_key(*name))
}

/// Whether a request is about an upload in parts and not its end: no object shows it, whenever it takes
/// effect.
fn is_of_upload(request: &HttpRequest) -> bool {
    let query = request.uri().query().unwrap_or_default();
    query
        .split('&')
        .any(|pair| match request.method().as_str() {
            "PUT" => pair.starts_with("partNumber=") || pair == "comp=block",
            "POST" => pair == "uploads" || pair == "uploads=",
            "DELETE" => pair.starts_with("uploadId="),
            _ => false,
        })
}

/// How many requests were sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Requests {
    /// Pages of listings.
    pub lists: u64,
    /// Objects that were read or asked for.
    pub reads: u64,
    /// Objects, or parts of them, that were written.
    pub writes: u64,
    /// Requests that delete, each for one or many objects.
    pub deletes: u64,
}

/// What is known from all requests of a store.
#[derive(Debug, Default)]
pub(super) struct Facts {
    lists: AtomicU64,
    reads: AtomicU64,
    writes: AtomicU64,
    deletes: AtomicU64,
    /// A write got no answer: it may take effect later.
    unanswered: AtomicBool,
    /// The server's time when it last answered, by our clock.
    server: Mutex<Option<(Time, Duration)>>,
    clock: SystemClock,
}

impl Facts {
    pub(super) fn requests(&self) -> Requests {
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Requests {
            lists: count(&self.lists),
            reads: count(&self.reads),
            writes: count(&self.writes),
            deletes: count(&self.deletes),
        }
    }

    pub(super) fn has_unanswered(&self) -> bool {
        self.unanswered.load(Ordering::SeqCst)
    }

    /// The server's now, if it has ever said so.
    pub(super) fn now(&self) -> Option<Time> {
        let last = *self.server.lock().unwrap_or_else(PoisonError::into_inner);
        let (time, at) = last?;
        let passed = self.clock.elapsed().saturating_sub(at).as_secs();
        Some(Time(
            time.0
                .saturating_add(i64::try_from(passed).unwrap_or(i64::MAX)),
        ))
    }

    fn count(&self, kind: Kind) {
        let counter = match kind {
            Kind::List => &self.lists,
            Kind::Read => &self.reads,
            Kind::Write => &self.writes,
            Kind::Delete => &self.deletes,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    fn note_time(&self, response: &HttpResponse) {
        let date = response.headers().get("date");
        let date = date.and_then(|date| date.to_str().ok());
        let parsed = date.and_then(|date| jiff::fmt::rfc2822::parse(date).ok());
        if let Some(time) = parsed {
            let mut server = self.server.lock().unwrap_or_else(PoisonError::into_inner);
            *server = Some((Time(time.timestamp().as_second()), self.clock.elapsed()));
        }
    }

    fn note_unanswered(&self) {
        self.unanswered.store(true, Ordering::SeqCst);
    }
}

/// Sends requests by our client.
#[derive(Clone, Debug)]
pub(super) struct Wire {
    pub(super) client: reqwest::Client,
    /// The same for requests with a body, which have limits by their size.
    pub(super) sender: reqwest::Client,
    /// The same for questions to services that hand out credentials.
    pub(super) lender: reqwest::Client,
    /// Whether it leads to the storage, and not to such a service.
    pub(super) is_storage: Arc<AtomicBool>,
    /// That of each that the library asked for.
    pub(super) made: Arc<Mutex<Vec<Arc<AtomicBool>>>>,
    pub(super) line: Arc<Line>,
    pub(super) patience: Patience,
    pub(super) facts: Arc<Facts>,
}

impl HttpConnector for Wire {
    fn connect(&self, _: &object_store::ClientOptions) -> object_store::Result<HttpClient> {
        let is_storage = Arc::<AtomicBool>::default();
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        made.push(Arc::clone(&is_storage));
        let wire = Self {
            is_storage,
            ..self.clone()
        };
        Ok(HttpClient::new(wire))
    }
}

impl Wire {
    /// A store was built with it: the wire that the library asked for last is the one to the storage,
    /// those before it are for credentials.
    pub(super) fn built(&self) {
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(last) = made.drain(..).next_back() {
            last.store(true, Ordering::Relaxed);
        }
    }
}

/// What is to be done with an answer.
enum Next {
    /// It is one.
    Answer(HttpResponse),
    /// It is a refusal that may pass, after this time if the server says so.
    Again(Refusal, Option<Duration>),
    /// It is a refusal.
    Refused(Refusal),
}

#[async_trait::async_trait]
impl HttpService for Wire {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        if !self.is_storage.load(Ordering::Relaxed) {
            return lender::ask(&self.lender, request).await;
        }
        let kind = Kind::of(&request);
        // No change without a condition fails by one, whatever number an answer has.
        let by_condition = !kind.changes() || is_conditional(&request);
        let is_seen = !is_of_upload(&request);
        let begun = Instant::now();
        let mut was_late = false;
        let mut wait = self.patience.first_wait;
        let mut tries = 0;
        loop {
            tries += 1;
            let bytes = request.body().content_length();
            let alone = if was_late {
                self.line.alone(bytes).await
            } else {
                None
            };
            self.facts.count(kind);
            let answer = self.send(kind, &request, bytes).await;
            was_late |= answer
                .as_ref()
                .is_err_and(|error| error.kind() == HttpErrorKind::Timeout);
            let is_last = tries >= self.patience.tries.max(1) || begun.elapsed() > OLDEST;
            let (error, pause) = match answer {
                Ok(response) => match self.judge(kind, by_condition, is_seen, response).await? {
                    Next::Answer(response) if kind == Kind::List => return whole(response).await,
                    Next::Answer(response) => return Ok(response),
                    Next::Refused(refusal) => {
                        return Err(HttpError::new(HttpErrorKind::Unknown, refusal));
                    }
                    Next::Again(refusal, pause) => {
                        (HttpError::new(HttpErrorKind::Unknown, refusal), pause)
                    }
                },
                Err(error) => {
                    // What could not even connect was not sent.
                    let was_sent = error.kind() != HttpErrorKind::Connect;
                    if was_sent && kind.changes() && is_seen {
                        self.facts.note_unanswered();
                    }
                    if was_sent && kind == Kind::Delete {
                        return Err(error);
                    }
                    (error, None)
                }
            };
            // A large part that was late has more of the line the next time.
            let is_late = error.kind() == HttpErrorKind::Timeout
                && tries >= LATE_TRIES
                && !line::is_large(bytes);
            if is_last || is_late {
                return Err(error);
            }
            drop(alone);
            tokio::time::sleep(pause.unwrap_or(wait).min(MAX_WAIT)).await;
            wait = (wait * 2).min(MAX_WAIT);
        }
    }
}

/// So much of a refusal as is of use; the rest is not waited for.
async fn beginning(body: HttpResponseBody) -> Vec<u8> {
    let mut pieces = body.bytes_stream();
    let mut read = Vec::new();
    while let Some(Ok(piece)) = pieces.next().await {
        read.extend_from_slice(&piece);
        if read.len() >= MAX_REFUSAL {
            read.truncate(MAX_REFUSAL);
            break;
        }
    }
    read
}

/// A page of a listing, read to its end. The library above does not see whether a page says that there
/// is more; one that says so, and not how to go on, would pass for the last.
async fn whole(response: HttpResponse) -> Result<HttpResponse, HttpError> {
    let (parts, body) = response.into_parts();
    let body = body.bytes().await?;
    let text = String::from_utf8_lossy(&body);
    let has = |word: &str| text.contains(word);
    if has("<IsTruncated>true<") && !has("<NextContinuationToken>") {
        return Err(HttpError::new(
            HttpErrorKind::Unknown,
            Refusal::cut_listing(),
        ));
    }
    Ok(HttpResponse::from_parts(parts, body.into()))
}

impl Wire {
    /// Sends it once: what has a body within the time that its bytes take; and who begins an answer to a
    /// question and does not go on with it is not waited for.
    async fn send(
        &self,
        kind: Kind,
        request: &HttpRequest,
        bytes: usize,
    ) -> Result<HttpResponse, HttpError> {
        let late = |late| Err(HttpError::new(HttpErrorKind::Timeout, late));
        if bytes == 0 {
            let sent = self.client.call(request.clone());
            return match kind {
                Kind::List | Kind::Read => tokio::time::timeout(self.patience.answer, sent)
                    .await
                    .unwrap_or_else(late),
                Kind::Write | Kind::Delete => sent.await,
            };
        }
        let begun = Instant::now();
        let sent = self.sender.call(request.clone());
        let sent = tokio::time::timeout(self.line.limit(bytes), sent).await;
        let answer = sent.unwrap_or_else(late);
        match &answer {
            Ok(_) => self.line.was_through(bytes, begun.elapsed()),
            Err(error) if error.kind() == HttpErrorKind::Timeout => self.line.was_late(bytes),
            Err(_) => {}
        }
        answer
    }

    async fn judge(
        &self,
        kind: Kind,
        by_condition: bool,
        is_seen: bool,
        response: HttpResponse,
    ) -> Result<Next, HttpError> {
        self.facts.note_time(&response);
        let status = response.status().as_u16();
        if response.status().is_success() || (by_condition && matches!(status, 304 | 412)) {
            return Ok(Next::Answer(response));
        }
        let header = |name: &str| {
            let value = response.headers().get(name)?.to_str().ok()?;
            Some(value.to_owned())
        };
        let after = header("retry-after").and_then(|seconds| seconds.trim().parse().ok());
        let after = after.map(Duration::from_secs);
        let region = header("x-amz-bucket-region");
        let code = header("x-ms-error-code");
        let (parts, body) = response.into_parts();
        let body = beginning(body).await;
        let text = String::from_utf8_lossy(&body).into_owned();
        let refusal = Refusal::read(status, &text, region, code);
        let answer = |body: HttpResponseBody| Next::Answer(HttpResponse::from_parts(parts, body));
        Ok(match status {
            // A listing of nothing is an empty one: what is not there is the bucket, or the whole storage.
            404 if !refusal.is_of_bucket() && kind != Kind::List => answer(body.into()),
            // Another writer is at it right now; what exists already is another matter.
            409 if refusal.is_conflict() => Next::Again(refusal, after),
            409 if by_condition => answer(body.into()),
            409 if kind == Kind::Write => Next::Again(refusal, after),
            // It says that it did nothing.
            429 | 503 => Next::Again(refusal, after),
            408 | 500 | 502 | 504 => {
                if kind.changes() && is_seen {
                    self.facts.note_unanswered();
                }
                if kind == Kind::Delete {
                    Next::Refused(refusal)
                } else {
                    Next::Again(refusal, after)
                }
            }
            _ => Next::Refused(refusal),
        })
    }
}
