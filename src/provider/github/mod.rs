//! GitHub's interface for programs: comments of pull requests.
//!
//! Promises: the token goes to the host of the interface alone, no redirect is followed; an answer is
//! bounded; what cannot be done is an error that says why. What is only known by report stands in
//! `docs/github.md`.

mod comments;

use std::time::Duration;

use reqwest::Method;
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use serde::de::DeserializeOwned;

use crate::sys::clock;
use crate::sys::http::{self, Answer, Http, HttpError, Patience, Request};
use crate::sys::token::Token;

pub use comments::Told;

/// Where the interface of github.com is; a job says where its own is.
pub const API: &str = "https://api.github.com";

/// The version of the interface that is spoken.
const VERSION: &str = "2022-11-28";

/// Largest answer: a page of a hundred long comments.
const LIMIT: usize = 16 << 20;

/// Waits of all tries together; a comment is not worth more of a job's time.
const PATIENCE: Patience = Patience {
    first: Duration::from_millis(500),
    longest: Duration::from_secs(5),
    total: Duration::from_secs(20),
    hinted: Duration::from_secs(20),
};

/// Why GitHub did not do it.
#[derive(Debug, thiserror::Error)]
pub enum GitHubError {
    /// No answer.
    #[error("{what}: {}", source.brief())]
    Http {
        /// What was tried.
        what: &'static str,
        /// Why.
        source: HttpError,
    },
    /// 401, 403, or 404 where the caller may not even know that there is something.
    #[error("{what}: GitHub answered {status}{said}")]
    Refused {
        /// What was tried.
        what: &'static str,
        /// The status.
        status: u16,
        /// What it said.
        said: String,
    },
    /// Another status.
    #[error("{what}: GitHub answered {status}{said}")]
    Status {
        /// What was tried.
        what: &'static str,
        /// The status.
        status: u16,
        /// What it said.
        said: String,
    },
    /// An answer that cannot be read.
    #[error("{what}: the answer of GitHub cannot be read: {why}")]
    Malformed {
        /// What was tried.
        what: &'static str,
        /// What is wrong.
        why: String,
    },
}

/// One repository of GitHub.
pub struct Client {
    http: Http,
    /// The interface, without a final slash.
    api: String,
    /// `owner/name`.
    repository: String,
    token: Token,
    patience: Patience,
}

impl Client {
    /// A client of a repository (`owner/name`) at the interface `api`.
    ///
    /// # Errors
    /// When HTTP cannot be set up.
    pub fn new(
        api: &str,
        repository: &str,
        token: Token,
        options: &http::Options,
        most: Option<Duration>,
    ) -> Result<Self, GitHubError> {
        let options = http::Options {
            redirects: 0,
            timeout: Some(Duration::from_secs(30)),
            ..options.clone()
        };
        let what = "set up HTTP";
        let http = Http::new(&options).map_err(|source| GitHubError::Http { what, source })?;
        let total = most.unwrap_or(PATIENCE.total).min(PATIENCE.total);
        Ok(Self {
            http,
            api: api.trim_end_matches('/').to_owned(),
            repository: repository.to_owned(),
            token,
            patience: Patience { total, ..PATIENCE },
        })
    }

    fn headers(&self) -> HeaderMap {
        let mut headers = HeaderMap::new();
        let json = HeaderValue::from_static("application/vnd.github+json");
        headers.insert(ACCEPT, json);
        let version = HeaderName::from_static("x-github-api-version");
        headers.insert(version, HeaderValue::from_static(VERSION));
        if let Some(value) = self.token.header() {
            headers.insert(AUTHORIZATION, value);
        }
        headers
    }

    /// Asks for something below the interface.
    fn ask(
        &self,
        what: &'static str,
        method: Method,
        rest: &str,
        body: Option<&serde_json::Value>,
    ) -> Result<Answer, GitHubError> {
        let mut headers = self.headers();
        let body = body.map_or_else(Vec::new, |body| body.to_string().into_bytes());
        if !body.is_empty() {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        let request = Request {
            method,
            url: format!("{}{rest}", self.api),
            headers,
            body,
            limit: LIMIT,
        };
        let (http, patience, now) = (self.http.clone(), self.patience, clock::unix());
        let fault = |source| GitHubError::Http { what, source };
        let work = async move { http.send(request, patience, now).await };
        let answer = http::run(work).map_err(fault)?.map_err(fault)?;
        let (status, said) = (answer.status, self.said(&answer.body));
        match status {
            200..=299 => Ok(answer),
            401 | 403 | 404 => Err(GitHubError::Refused { what, status, said }),
            _ => Err(GitHubError::Status { what, status, said }),
        }
    }

    /// What an answer says of itself, without the token.
    fn said(&self, body: &[u8]) -> String {
        let said: Option<serde_json::Value> = serde_json::from_slice(body).ok();
        let message = said.as_ref().and_then(|said| said.get("message")?.as_str());
        message.map_or_else(String::new, |message| {
            let short: String = message.chars().take(200).collect();
            format!(": {}", self.token.hide_in(&short))
        })
    }
}

fn read<T: DeserializeOwned>(what: &'static str, answer: &Answer) -> Result<T, GitHubError> {
    serde_json::from_slice(&answer.body).map_err(|error| GitHubError::Malformed {
        what,
        why: error.to_string(),
    })
}
