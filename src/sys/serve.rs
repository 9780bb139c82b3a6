//! Answering HTTP: a small server for a few requests at a time.
//!
//! Promises: every size and every wait for a client is bounded ([`Limits`]), so whoever is slow or sends much takes
//! one of a few places, for seconds; a request that was read whole is answered, also when the server is told to
//! stop meanwhile; work that was begun goes on to its end when its client goes away. What is asked for and who may
//! ask it, it does not know: each request goes to one function, on a thread where it may block.

use std::convert::Infallible;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::sync::{Notify, Semaphore, watch};

/// What a client may take up.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Clients at a time; others wait to be let in.
    pub clients: usize,
    /// Bytes of the first line and all headers; at least 8 KiB.
    pub head: usize,
    /// Lines of headers.
    pub headers: usize,
    /// Bytes of a body.
    pub body: usize,
    /// How long a client may take to send its headers, to send its body, and to read the answer: each.
    pub patience: Duration,
}

impl Limits {
    /// Enough for every client that means well.
    pub const STANDARD: Self = Self {
        clients: 32,
        head: 16 << 10,
        headers: 64,
        body: 64 << 10,
        patience: Duration::from_secs(10),
    };
}

/// A request, read whole. It may carry a token, so it cannot be printed.
pub struct Asked {
    /// `GET`, `POST` and so on.
    pub method: String,
    /// The path, as it was sent.
    pub path: String,
    /// What follows `?`, as it was sent.
    pub query: Option<String>,
    /// The body.
    pub body: Vec<u8>,
    headers: hyper::HeaderMap,
}

impl Asked {
    /// A request that nobody sent.
    #[must_use]
    pub fn made_up(method: &str, path: &str, headers: &[(&str, &str)]) -> Self {
        let mut map = hyper::HeaderMap::new();
        for (name, value) in headers {
            if let (Ok(name), Ok(value)) =
                (HeaderName::try_from(*name), HeaderValue::from_str(value))
            {
                map.append(name, value);
            }
        }
        Self {
            method: method.to_owned(),
            path: path.to_owned(),
            query: None,
            body: Vec::new(),
            headers: map,
        }
    }

    /// The value of a header; `None` if it is not there, is there more than once, or is no plain text. Names are in
    /// small letters.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut all = self.headers.get_all(name).iter();
        let one = all.next()?.to_str().ok();
        if all.next().is_some() { None } else { one }
    }

    /// Whether a header is there, however often.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.headers.contains_key(name)
    }
}

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The code.
    pub status: u16,
    /// What the body is.
    pub media: &'static str,
    /// The body.
    pub body: String,
    /// Headers besides that of the body.
    pub headers: Vec<(&'static str, String)>,
}

impl Answer {
    fn into_response(self, is_head: bool) -> Response<Full<Bytes>> {
        let length = self.body.len();
        let body = if is_head { String::new() } else { self.body };
        let mut response = Response::new(Full::new(Bytes::from(body)));
        *response.status_mut() =
            StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(self.media));
        headers.insert(hyper::header::CONTENT_LENGTH, HeaderValue::from(length));
        for (name, value) in self.headers {
            if let Ok(value) = HeaderValue::from_str(&value) {
                headers.insert(HeaderName::from_static(name), value);
            }
        }
        response
    }
}

/// Why nothing is served.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The address cannot be listened on.
    #[error("listen on `{address}`")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// The threads could not be started.
    #[error("start the threads that answer")]
    Start(#[source] io::Error),
}

/// An address that is listened on; nobody is let in yet.
#[derive(Debug)]
pub struct Door {
    listener: TcpListener,
    address: SocketAddr,
}

impl Door {
    /// Listens on an address; port 0 takes one that is free.
    ///
    /// # Errors
    /// The address is not ours, is taken, or may not be used.
    pub fn open(address: SocketAddr) -> Result<Self, ServeError> {
        let fail = |source| ServeError::Listen { address, source };
        let listener = TcpListener::bind(address).map_err(fail)?;
        listener.set_nonblocking(true).map_err(fail)?;
        let address = listener.local_addr().map_err(fail)?;
        Ok(Self { listener, address })
    }

    /// The address, with the port that was taken.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }
}

/// Tells a server to stop.
#[derive(Clone, Debug)]
pub struct Stop(Arc<watch::Sender<bool>>);

impl Default for Stop {
    fn default() -> Self {
        Self(Arc::new(watch::channel(false).0))
    }
}

impl Stop {
    /// Nobody else is let in, and the server ends when all that were asked are answered.
    pub fn stop(&self) {
        self.0.send_replace(true);
    }

    /// Waits until it is told.
    async fn told(&self) {
        // The sender lives as long as this does.
        let _ = self.0.subscribe().wait_for(|stopped| *stopped).await;
    }
}

/// Lets clients in until it is told to stop; `answer` is called on threads where it may block, several at a time.
///
/// # Errors
/// The threads could not be started.
pub fn serve<A>(door: Door, limits: Limits, stop: &Stop, answer: A) -> Result<(), ServeError>
where
    A: Fn(Asked) -> Answer + Send + Sync + 'static,
{
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .max_blocking_threads(limits.clients)
        .thread_name("serve")
        .enable_all()
        .build()
        .map_err(ServeError::Start)?;
    runtime.block_on(async {
        let listener =
            tokio::net::TcpListener::from_std(door.listener).map_err(ServeError::Start)?;
        let answer = Arc::new(answer);
        let places = Arc::new(Semaphore::new(limits.clients));
        loop {
            let accepted = async {
                // Held for as long as the client is served.
                let place = Arc::clone(&places).acquire_owned().await;
                (place, listener.accept().await)
            };
            let (place, accepted) = tokio::select! {
                biased;
                () = stop.told() => break,
                accepted = accepted => accepted,
            };
            match accepted {
                Ok((stream, _)) => {
                    let client = client(stream, limits, stop.clone(), Arc::clone(&answer));
                    tokio::spawn(async move {
                        client.await;
                        drop(place);
                    });
                }
                Err(error) => {
                    // Out of handles, or the client is gone already: others may still come.
                    tracing::warn!("a client could not be let in: {error}");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
        }
        drop(listener);
        let all = u32::try_from(limits.clients).unwrap_or(u32::MAX);
        // It is never closed, so this only waits.
        let _ = places.acquire_many(all).await;
        Ok(())
    })
}

/// One client, from its first byte to the last that it is sent: one request, for so nobody stays without asking.
async fn client<A>(stream: tokio::net::TcpStream, limits: Limits, stop: Stop, answer: Arc<A>)
where
    A: Fn(Asked) -> Answer + Send + Sync + 'static,
{
    let (begun, answered) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let marks = (Arc::clone(&begun), Arc::clone(&answered));
    let service = service_fn(move |request: Request<Incoming>| {
        let answer = Arc::clone(&answer);
        let (begun, answered) = (Arc::clone(&marks.0), Arc::clone(&marks.1));
        async move {
            begun.notify_one();
            let response = respond(request, limits, answer).await;
            answered.notify_one();
            Ok::<_, Infallible>(response)
        }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.patience)
        .keep_alive(false)
        .max_buf_size(limits.head)
        .max_headers(limits.headers)
        .serve_connection(TokioIo::new(stream), service);
    tokio::pin!(connection);
    let slow = async {
        answered.notified().await;
        tokio::time::sleep(limits.patience).await;
    };
    let idle = async {
        // Whoever is heard is answered; whoever has not asked yet is not waited for.
        tokio::select! {
            () = begun.notified() => std::future::pending().await,
            () = stop.told() => {}
        }
    };
    let ended = tokio::select! {
        biased;
        ended = &mut connection => ended,
        () = slow => return,
        () = idle => return,
    };
    if let Err(error) = ended {
        tracing::debug!("a client was not served to the end: {error}");
    }
}

async fn respond<A>(
    request: Request<Incoming>,
    limits: Limits,
    answer: Arc<A>,
) -> Response<Full<Bytes>>
where
    A: Fn(Asked) -> Answer + Send + Sync + 'static,
{
    let (head, body) = request.into_parts();
    let is_head = head.method == hyper::Method::HEAD;
    let body = Limited::new(body, limits.body).collect();
    let body = match tokio::time::timeout(limits.patience, body).await {
        Err(_) => return plain(408, "the body did not come in time"),
        Ok(Err(error)) if error.is::<LengthLimitError>() => {
            return plain(413, "the body is too large");
        }
        Ok(Err(_)) => return plain(400, "the body cannot be read"),
        Ok(Ok(body)) => body.to_bytes().to_vec(),
    };
    let asked = Asked {
        method: head.method.as_str().to_owned(),
        path: head.uri.path().to_owned(),
        query: head.uri.query().map(str::to_owned),
        body,
        headers: head.headers,
    };
    match tokio::task::spawn_blocking(move || answer(asked)).await {
        Ok(answer) => answer.into_response(is_head),
        Err(_) => plain(500, "the answer broke off, which is an internal failure"),
    }
}

fn plain(status: u16, text: &str) -> Response<Full<Bytes>> {
    let answer = Answer {
        status,
        media: "text/plain; charset=utf-8",
        body: format!("{text}\n"),
        headers: Vec::new(),
    };
    answer.into_response(false)
}

#[cfg(test)]
mod tests;
