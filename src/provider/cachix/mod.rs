//! Cachix, a service that keeps binary caches: its HTTP interface, as its own client uses it.
//!
//! Promises: the token goes to the declared host and nowhere else (no redirect is followed, a part is
//! uploaded without it), and is in no message; what the service answers is not believed to be well
//! formed; transient failures are tried again for as long as its own client would. A pin is looked for
//! after it was set, and a path after it was pushed, for the service may act without an answer.
//!
//! The interface is not documented as a whole. `docs/cachix.md` says what of it is only inferred.

mod look;
pub mod pins;
pub mod push;
mod records;
mod sink;
mod token;
mod wire;

use std::time::Duration;

use reqwest::Method;
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::sys::clock;
use crate::sys::http::{self, Answer, Http, HttpError, Patience, Request};
use crate::sys::token::Token;
pub use token::of_client_file;

/// The API's own address.
pub const API: &str = "https://cachix.org/api/v1";
/// So many hashes go into one question for missing paths.
pub const QUESTION: usize = 32_768;
/// Largest answer, in bytes: a list of as many hashes, or of thousands of pins.
const LIMIT: usize = 16 << 20;
/// Characters of an error that are shown.
const SHOWN: usize = 240;

/// Why the service did not do what it was asked to.
#[derive(Debug, thiserror::Error)]
pub enum CachixError {
    /// No answer.
    #[error("{what}: {}; check `api`, and the network, or run again later", source.brief())]
    Http {
        /// What was tried.
        what: &'static str,
        /// What went wrong.
        source: HttpError,
    },
    /// 401 or 403.
    #[error("{what}: {host} refused ({status}){said}; {help}")]
    Refused {
        /// What was tried.
        what: &'static str,
        /// Who.
        host: String,
        /// The status.
        status: u16,
        /// What it said, with a colon before it.
        said: String,
        /// The way out.
        help: &'static str,
    },
    /// 404.
    #[error("{what}: {host} has no such thing (404){said}; check the cache's `name` and `api`")]
    Absent {
        /// What was tried.
        what: &'static str,
        /// Who.
        host: String,
        /// What it said.
        said: String,
    },
    /// A redirect.
    #[error(
        "{what}: {host} leads to another address ({status}); none is followed, for the token would go with it; check `api`"
    )]
    Redirect {
        /// What was tried.
        what: &'static str,
        /// Who.
        host: String,
        /// The status.
        status: u16,
    },
    /// Another status.
    #[error("{what}: {host} answered {status}{said}{tries}")]
    Status {
        /// What was tried.
        what: &'static str,
        /// Who.
        host: String,
        /// The status.
        status: u16,
        /// What it said.
        said: String,
        /// How often it was tried, in words; and the way out.
        tries: String,
    },
    /// An answer that cannot be read.
    #[error(
        "{what}: the answer of {host} cannot be read: {why}; it, or what is between, does not speak as it should: run again later"
    )]
    Malformed {
        /// What was tried.
        what: &'static str,
        /// Who.
        host: String,
        /// What is wrong.
        why: String,
    },
    /// The work was asked to stop.
    #[error("{what}: stopped")]
    Stopped {
        /// What was tried.
        what: &'static str,
    },
}

impl CachixError {
    /// Whether the service itself failed: not the token, not what it was given, and not in what it
    /// said. Only this may be taken lightly.
    #[must_use]
    pub const fn is_outage(&self) -> bool {
        match self {
            Self::Http { source, .. } => matches!(source, HttpError::Transport { .. }),
            Self::Status { status, .. } => *status >= 500 || *status == 429 || *status == 408,
            Self::Refused { .. }
            | Self::Absent { .. }
            | Self::Redirect { .. }
            | Self::Malformed { .. }
            | Self::Stopped { .. } => false,
        }
    }

    /// Whether doing it again may end otherwise.
    #[must_use]
    pub const fn may_pass(&self) -> bool {
        self.is_outage() || matches!(self, Self::Malformed { .. })
    }
}

/// One cache of the service.
#[derive(Clone)]
pub struct Client {
    http: Http,
    api: String,
    url: String,
    name: String,
    host: String,
    token: Option<Token>,
    patience: Patience,
}

/// How patient a client is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Use {
    /// Looking: somebody waits for a plan.
    Look,
    /// Writing: as long as the service's own client.
    Write,
}

impl Client {
    /// A client of the cache `name`, whose interface is at `api` and which Nix reads at `url`.
    ///
    /// # Errors
    /// When HTTP cannot be set up.
    pub fn new(
        (api, url, name): (&str, &str, &str),
        token: Option<Token>,
        options: &http::Options,
        purpose: Use,
    ) -> Result<Self, CachixError> {
        let options = http::Options {
            redirects: 0,
            connect_timeout: match purpose {
                Use::Look => Duration::from_secs(3),
                Use::Write => Duration::from_secs(10),
            },
            idle_timeout: match purpose {
                Use::Look => options.idle_timeout.min(Duration::from_secs(15)),
                Use::Write => options.idle_timeout,
            },
            // Who answers byte by byte is not waited for, either.
            timeout: match purpose {
                Use::Look => Some(options.timeout.unwrap_or(Duration::from_secs(45))),
                Use::Write => Some(options.timeout.unwrap_or(Duration::from_mins(10))),
            },
            ..options.clone()
        };
        let patience = match purpose {
            Use::Look => Patience {
                first: Duration::from_millis(300),
                longest: Duration::from_secs(1),
                total: Duration::from_millis(1200),
                hinted: Duration::from_secs(1),
            },
            Use::Write => Patience {
                first: Duration::from_secs(1),
                longest: Duration::from_secs(15),
                total: Duration::from_secs(90),
                hinted: Duration::from_mins(2),
            },
        };
        let what = "set up HTTP";
        let http = Http::new(&options).map_err(|source| CachixError::Http { what, source })?;
        let host = url::Url::parse(api)
            .ok()
            .and_then(|parsed| {
                let host = parsed.host_str()?.to_owned();
                Some(
                    parsed
                        .port()
                        .map_or(host.clone(), |port| format!("{host}:{port}")),
                )
            })
            .unwrap_or_default();
        Ok(Self {
            http,
            api: api.trim_end_matches('/').to_owned(),
            url: url.trim_end_matches('/').to_owned(),
            name: name.to_owned(),
            host,
            token,
            patience,
        })
    }

    /// The same with less patience, if it has more.
    #[must_use]
    pub fn no_longer_than(mut self, total: Duration) -> Self {
        self.patience.total = self.patience.total.min(total);
        self
    }

    /// Whether it has a token.
    #[must_use]
    pub const fn has_token(&self) -> bool {
        self.token.is_some()
    }

    /// An address below the cache's own.
    fn of_cache(&self, rest: &str) -> String {
        format!("{}/cache/{}{rest}", self.api, self.name)
    }

    fn headers(&self) -> HeaderMap {
        let mut headers = HeaderMap::new();
        let json = HeaderValue::from_static("application/json;charset=utf-8");
        headers.insert(
            ACCEPT,
            HeaderValue::from_static("application/json;charset=utf-8, application/json"),
        );
        headers.insert(CONTENT_TYPE, json);
        if let Some(value) = self.token.as_ref().and_then(Token::header) {
            headers.insert(AUTHORIZATION, value);
        }
        headers
    }

    /// Asks, and takes 2xx for an answer.
    fn ask(
        &self,
        what: &'static str,
        (method, url): (Method, String),
        body: Vec<u8>,
        patience: Patience,
        is_stopped: &dyn Fn() -> bool,
    ) -> Result<Answer, CachixError> {
        let mut headers = self.headers();
        if body.is_empty() {
            headers.remove(CONTENT_TYPE);
        }
        let request = Request {
            method,
            url,
            headers,
            body,
            limit: LIMIT,
        };
        self.judge(what, self.exchange(what, request, patience, is_stopped)?)
    }

    /// Sends a request and waits, unless asked to stop.
    fn exchange(
        &self,
        what: &'static str,
        request: Request,
        patience: Patience,
        is_stopped: &dyn Fn() -> bool,
    ) -> Result<Answer, CachixError> {
        let fault = |source| CachixError::Http { what, source };
        let http = self.http.clone();
        let now = clock::unix();
        let work = async move { http.send(request, patience, now).await };
        match http::run_unless(work, is_stopped).map_err(fault)? {
            Some(answer) => answer.map_err(fault),
            None => Err(CachixError::Stopped { what }),
        }
    }

    fn judge(&self, what: &'static str, answer: Answer) -> Result<Answer, CachixError> {
        let (status, host) = (answer.status, self.host.clone());
        let said = || self.said(&answer.body);
        match status {
            200..=299 => Ok(answer),
            300..=399 => Err(CachixError::Redirect { what, host, status }),
            401 | 403 => Err(CachixError::Refused {
                what,
                host,
                status,
                said: said(),
                help: if self.has_token() {
                    "the token is wrong, has expired, or has no right to it"
                } else {
                    "there is no token: set CACHIX_AUTH_TOKEN, or name where it is by `token`"
                },
            }),
            404 => Err(CachixError::Absent {
                what,
                host,
                said: said(),
            }),
            _ => Err(CachixError::Status {
                what,
                host,
                status,
                said: said(),
                tries: match answer.tries {
                    0 | 1 => String::new(),
                    tries => format!(" ({tries} tries)"),
                } + if status >= 500 || status == 429 {
                    "; the fault is its own: run again later"
                } else {
                    ""
                },
            }),
        }
    }

    /// What an error says, in one short line: `error` of a JSON body, then `message`, `detail` or `title`,
    /// else the text; nothing of a web page. With a colon before it.
    fn said(&self, body: &[u8]) -> String {
        let text = String::from_utf8_lossy(body);
        let of_json = serde_json::from_slice::<serde_json::Value>(body)
            .ok()
            .and_then(|json| {
                let keys = ["error", "message", "detail", "title"];
                keys.iter()
                    .find_map(|key| Some(json.get(key)?.as_str()?.to_owned()))
            });
        let text = of_json.unwrap_or_else(|| {
            let page = text.trim_start().starts_with('<');
            if page {
                String::new()
            } else {
                text.into_owned()
            }
        });
        let text = match &self.token {
            Some(token) => token.hide_in(&text),
            None => text,
        };
        let words: Vec<&str> = text.split_whitespace().collect();
        let mut line: String = words.join(" ");
        line.retain(|c| !c.is_control());
        if line.chars().count() > SHOWN {
            line = line.chars().take(SHOWN).chain(['…']).collect();
        }
        if line.is_empty() {
            line
        } else {
            format!(": {line}")
        }
    }

    fn read<T: DeserializeOwned>(
        &self,
        what: &'static str,
        answer: &Answer,
    ) -> Result<T, CachixError> {
        serde_json::from_slice(&answer.body).map_err(|error| CachixError::Malformed {
            what,
            host: self.host.clone(),
            // What was read is not repeated: a portal may echo what it was sent.
            why: format!(
                "it is not what was expected at line {}, column {}",
                error.line(),
                error.column()
            ),
        })
    }

    fn body<T: Serialize>(&self, what: &'static str, value: &T) -> Result<Vec<u8>, CachixError> {
        serde_json::to_vec(value).map_err(|error| CachixError::Malformed {
            what,
            host: self.host.clone(),
            why: error.to_string(),
        })
    }
}

#[cfg(test)]
mod tests;
