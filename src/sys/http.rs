//! HTTP: the one place that builds a client.
//!
//! Promises: certificates are verified with the roots of the system (and those of a file, if one
//! is given); proxies are those that are told here, nothing is read from the environment; no
//! answer is kept beyond a limit; a try has a time limit; transient failures (5xx, 408, 429, no
//! connection, a cut) are tried again with growing waits, as long as `Retry-After` says.
//! Tokens travel in headers that are marked as secret; errors never hold a URL's password.

mod send;

use std::sync::OnceLock;
use std::time::Duration;

use backon::{BackoffBuilder as _, ExponentialBuilder};
use reqwest::header::{HeaderMap, RETRY_AFTER};
use reqwest::{Client, Method, StatusCode};

use super::host::Host;
pub use send::{Patience, Request, run_unless};

/// Longest wait between two tries that a server may ask for.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(20);

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// The client could not be built.
    #[error("set up HTTP")]
    Client(#[source] reqwest::Error),
    /// The file of extra certificates is of no use.
    #[error("read the certificates in `{path}`")]
    Certificates {
        /// The file.
        path: String,
        /// What is wrong.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// Not a URL, or not one of HTTP.
    #[error("read `{0}` as an http or https URL")]
    Url(String),
    /// Nobody answered, or not to the end.
    #[error("reach {host}")]
    Transport {
        /// Host of the URL.
        host: String,
        /// What went wrong.
        #[source]
        source: reqwest::Error,
    },
    /// The answer is larger than allowed.
    #[error("read the answer of {host}: it is larger than {limit} bytes")]
    TooLarge {
        /// Host of the URL.
        host: String,
        /// The limit.
        limit: usize,
    },
    /// No async runtime.
    #[error("start the network threads")]
    Runtime(#[source] std::io::Error),
    /// Work for the network ended without an answer: an internal failure.
    #[error("end the work that was begun: it broke off, which is an internal failure")]
    Broken,
}

impl HttpError {
    /// One line with the essential cause, for a plan.
    #[must_use]
    pub fn brief(&self) -> String {
        let Self::Transport { host, source } = self else {
            return self.to_string();
        };
        if source.is_timeout() {
            return format!("{host} did not answer in time");
        }
        let mut cause: &dyn std::error::Error = source;
        while let Some(inner) = cause.source() {
            cause = inner;
        }
        format!("{host}: {cause}")
    }
}

/// Proxies, as curl takes them from the environment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Proxies {
    /// For `http:` URLs.
    pub http: Option<String>,
    /// For `https:` URLs.
    pub https: Option<String>,
    /// Hosts that are reached directly, comma separated.
    pub direct: Option<String>,
}

impl Proxies {
    /// The variables that curl, and so Nix, goes by (`HTTP_PROXY` in capitals is not one).
    #[must_use]
    pub fn of(host: &Host) -> Self {
        let first = |names: &[&str]| {
            names
                .iter()
                .find_map(|name| host.filled(name))
                .map(str::to_owned)
        };
        Self {
            http: first(&["http_proxy", "all_proxy", "ALL_PROXY"]),
            https: first(&["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"]),
            direct: first(&["no_proxy", "NO_PROXY"]),
        }
    }
}

/// How to talk.
#[derive(Clone, Debug)]
pub struct Options {
    /// Time for a connection.
    pub connect_timeout: Duration,
    /// Time without a byte.
    pub idle_timeout: Duration,
    /// Time for one try, whole.
    pub timeout: Option<Duration>,
    /// Tries of one request, at least one.
    pub tries: usize,
    /// Wait before the second try; it doubles each time.
    pub first_wait: Duration,
    /// Proxies.
    pub proxies: Proxies,
    /// File of further PEM certificates.
    pub certificates: Option<String>,
    /// How many redirects are followed.
    pub redirects: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(5),
            idle_timeout: Duration::from_secs(30),
            timeout: None,
            tries: 4,
            first_wait: Duration::from_millis(250),
            proxies: Proxies::default(),
            certificates: None,
            redirects: 5,
        }
    }
}

impl Options {
    /// The defaults with the proxies and certificates that the environment names
    /// (`NIX_SSL_CERT_FILE`; `SSL_CERT_FILE` replaces the roots of the system by itself).
    #[must_use]
    pub fn of(host: &Host) -> Self {
        Self {
            proxies: Proxies::of(host),
            certificates: host.filled("NIX_SSL_CERT_FILE").map(str::to_owned),
            ..Self::default()
        }
    }
}

/// An answer, whatever its status.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Status code.
    pub status: u16,
    /// Headers.
    pub headers: HeaderMap,
    /// Body, whole.
    pub body: Vec<u8>,
    /// How many tries it took.
    pub tries: usize,
}

/// A client. Cheap to clone; clones share connections.
#[derive(Clone, Debug)]
pub struct Http {
    client: Client,
    backoff: ExponentialBuilder,
}

impl Http {
    /// Builds a client.
    ///
    /// # Errors
    /// When certificates or a proxy are malformed.
    pub fn new(options: &Options) -> Result<Self, HttpError> {
        install_provider();
        let certificates = options
            .certificates
            .as_deref()
            .map(read_certificates)
            .transpose()?;
        let builder = || -> Result<reqwest::ClientBuilder, HttpError> {
            let mut builder = Client::builder()
                .user_agent(concat!("nanna-cache/", env!("CARGO_PKG_VERSION")))
                .connect_timeout(options.connect_timeout)
                .read_timeout(options.idle_timeout)
                .redirect(match options.redirects {
                    0 => reqwest::redirect::Policy::none(),
                    most => reqwest::redirect::Policy::limited(most),
                })
                .http2_adaptive_window(true)
                .no_proxy();
            if let Some(timeout) = options.timeout {
                builder = builder.timeout(timeout);
            }
            let direct = options.proxies.direct.as_deref().map_or_else(
                || "localhost,127.0.0.0/8,::1".to_owned(),
                |direct| format!("{direct},localhost,127.0.0.0/8,::1"),
            );
            let direct = || reqwest::NoProxy::from_string(&direct);
            if let Some(url) = &options.proxies.http {
                let proxy = reqwest::Proxy::http(url).map_err(HttpError::Client)?;
                builder = builder.proxy(proxy.no_proxy(direct()));
            }
            if let Some(url) = &options.proxies.https {
                let proxy = reqwest::Proxy::https(url).map_err(HttpError::Client)?;
                builder = builder.proxy(proxy.no_proxy(direct()));
            }
            Ok(builder)
        };
        let extra = certificates.clone().unwrap_or_default();
        let built = if extra.is_empty() {
            builder()?.build()
        } else {
            builder()?.tls_certs_merge(extra).build()
        };
        // A machine without any root certificates can still talk plain HTTP; every https
        // connection then fails to verify, as it must.
        let client = match built {
            Ok(client) => client,
            Err(_) => builder()?
                .tls_certs_only(certificates.unwrap_or_default())
                .build()
                .map_err(HttpError::Client)?,
        };
        let backoff = ExponentialBuilder::default()
            .with_min_delay(options.first_wait)
            .with_max_delay(Duration::from_secs(10))
            .with_max_times(options.tries.saturating_sub(1))
            .with_jitter();
        Ok(Self { client, backoff })
    }

    /// The client itself, for what speaks more than questions and answers. It tries nothing again.
    #[must_use]
    pub fn client(&self) -> Client {
        self.client.clone()
    }

    /// Asks with GET; at most `limit` bytes of body.
    ///
    /// # Errors
    /// When there is no whole answer after all tries. A status is not an error, except that 5xx,
    /// 408 and 429 are tried again first.
    pub async fn get(&self, url: &str, limit: usize) -> Result<Answer, HttpError> {
        self.ask(&Method::GET, url, &HeaderMap::new(), limit).await
    }

    /// Asks with HEAD.
    ///
    /// # Errors
    /// As [`Self::get`].
    pub async fn head(&self, url: &str) -> Result<Answer, HttpError> {
        self.ask(&Method::HEAD, url, &HeaderMap::new(), 0).await
    }

    /// Asks with any safe method and these headers.
    ///
    /// # Errors
    /// As [`Self::get`].
    pub async fn ask(
        &self,
        method: &Method,
        url: &str,
        headers: &HeaderMap,
        limit: usize,
    ) -> Result<Answer, HttpError> {
        let url = parse(url)?;
        let host = host_of(&url);
        let mut waits = self.backoff.build();
        let mut tries = 0;
        loop {
            tries += 1;
            let outcome = self.once(method, &url, headers, limit, &host).await;
            let wait = match &outcome {
                Ok(answer) if transient(answer.status) => waits
                    .next()
                    .map(|wait| retry_after(&answer.headers).unwrap_or(wait)),
                Err(HttpError::Transport { source, .. }) if again(source) => waits.next(),
                Ok(_) | Err(_) => None,
            };
            match wait {
                Some(wait) => tokio::time::sleep(wait.min(MAX_RETRY_AFTER)).await,
                None => return outcome.map(|answer| Answer { tries, ..answer }),
            }
        }
    }

    async fn once(
        &self,
        method: &Method,
        url: &url::Url,
        headers: &HeaderMap,
        limit: usize,
        host: &str,
    ) -> Result<Answer, HttpError> {
        let fault = |source: reqwest::Error| HttpError::Transport {
            host: host.to_owned(),
            // The URL may hold a password.
            source: source.without_url(),
        };
        let request = self
            .client
            .request(method.clone(), url.clone())
            .headers(headers.clone());
        let mut response = request.send().await.map_err(fault)?;
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
        let headers = response.headers().clone();
        Ok(Answer {
            status: response.status().as_u16(),
            headers,
            body,
            tries: 1,
        })
    }
}

/// Runs async work to its end from blocking code, wherever that is called from.
///
/// # Errors
/// When the threads of the runtime cannot be started.
pub fn block_on<F>(work: F) -> Result<F::Output, HttpError>
where
    F: Future + Send,
    F::Output: Send,
{
    // A thread of its own, because a runtime must not be started inside another.
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build();
            runtime
                .map(|runtime| runtime.block_on(work))
                .map_err(HttpError::Runtime)
        });
        thread
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

/// Runs async work to its end on threads that the whole process shares, so that connections outlive
/// a question; called from blocking code.
///
/// # Errors
/// When the threads cannot be started.
///
/// # Panics
/// When the work does: a failure of the program is never an answer of somebody else.
pub fn run<F>(work: F) -> Result<F::Output, HttpError>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    let (send, receive) = std::sync::mpsc::sync_channel(1);
    let task = async move {
        // Whoever asked waits; if not, nobody wants the answer.
        let _ = send.send(work.await);
    };
    let shared = shared()?;
    let task = shared.spawn(task);
    receive.recv().map_err(|_| {
        let ended = shared.block_on(task);
        match ended.map_err(tokio::task::JoinError::try_into_panic) {
            Err(Ok(panic)) => std::panic::resume_unwind(panic),
            Ok(()) | Err(Err(_)) => HttpError::Broken,
        }
    })
}

/// Begins async work on the threads that the whole process shares.
///
/// # Errors
/// When they cannot be started.
pub fn spawn(work: impl Future<Output = ()> + Send + 'static) -> Result<(), HttpError> {
    shared()?.spawn(work);
    Ok(())
}

fn shared() -> Result<&'static tokio::runtime::Runtime, HttpError> {
    static SHARED: OnceLock<Result<tokio::runtime::Runtime, String>> = OnceLock::new();
    let start = || {
        tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .thread_name("network")
            .enable_all()
            .build()
            .map_err(|error| error.to_string())
    };
    let shared = SHARED.get_or_init(start).as_ref();
    shared.map_err(|error| HttpError::Runtime(std::io::Error::other(error.clone())))
}

/// Chooses the cryptography of TLS for the whole process, once.
fn install_provider() {
    static ONCE: OnceLock<()> = OnceLock::new();
    ONCE.get_or_init(|| {
        // Fails only when one is installed already, which does as well.
        drop(rustls::crypto::ring::default_provider().install_default());
    });
}

fn read_certificates(path: &str) -> Result<Vec<reqwest::Certificate>, HttpError> {
    let fault = |source: Box<dyn std::error::Error + Send + Sync>| HttpError::Certificates {
        path: path.to_owned(),
        source,
    };
    let pem = std::fs::read(path).map_err(|error| fault(error.into()))?;
    reqwest::Certificate::from_pem_bundle(&pem).map_err(|error| fault(error.into()))
}

fn parse(url: &str) -> Result<url::Url, HttpError> {
    // Before its `@` the text may hold a password, and behind its `?` a signature.
    let shown = || {
        let text = url.split(['?', '#']).next().unwrap_or_default();
        HttpError::Url(text.split('@').next_back().unwrap_or_default().to_owned())
    };
    let parsed = url::Url::parse(url).map_err(|_| shown())?;
    if matches!(parsed.scheme(), "http" | "https") {
        Ok(parsed)
    } else {
        Err(shown())
    }
}

fn host_of(url: &url::Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port()
        .map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

/// Whether the same question may get another answer soon.
fn transient(status: u16) -> bool {
    status == StatusCode::REQUEST_TIMEOUT
        || status == StatusCode::TOO_MANY_REQUESTS
        || status >= 500
}

/// Whether a transport error may pass: not a certificate that does not verify.
fn again(error: &reqwest::Error) -> bool {
    !error.is_builder() && !error.is_redirect() && !is_tls(error)
}

/// Whether the cause is in TLS. Errors of the system hide what they wrap from `source`.
fn is_tls(error: &(dyn std::error::Error + 'static)) -> bool {
    let wrapped = error
        .downcast_ref::<std::io::Error>()
        .and_then(std::io::Error::get_ref);
    error.is::<rustls::Error>()
        || wrapped.is_some_and(|wrapped| is_tls(wrapped))
        || error.source().is_some_and(is_tls)
}

/// Seconds that the server asks us to wait; a date is not understood, the own wait is used then.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    headers
        .get(RETRY_AFTER)?
        .to_str()
        .ok()?
        .trim()
        .parse()
        .ok()
        .map(Duration::from_secs)
}

#[cfg(test)]
mod tests;
