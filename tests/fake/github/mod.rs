//! A stand-in for the part of GitHub's interface that comments need: stateful, strict about headers and rights,
//! able to fail on command. It is not GitHub; what is only known by report says so.
//!
//! Known: routes, field names, statuses of success, pages, the body's limit of 65,536 characters (422).
//! By report: 403 with `Resource not accessible by integration` for a token without the right; a job's token may
//! not ask `/user`.

#![allow(
    dead_code,
    unreachable_pub,
    missing_docs,
    clippy::unwrap_used,
    clippy::missing_panics_doc,
    clippy::result_large_err,
    reason = "only tests use it, each a part of it"
)]

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, patch};
use serde_json::{Value, json};

/// Who writes with a job's token.
pub const JOB: &str = "github-actions[bot]";

/// What a token may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Right {
    Read,
    Write,
}

#[derive(Clone, Debug)]
pub struct Comment {
    pub id: u64,
    pub number: u64,
    pub author: String,
    pub body: String,
}

#[derive(Default)]
struct Inner {
    comments: Vec<Comment>,
    tokens: BTreeMap<String, (String, Right)>,
    /// Answers that come before anything is done: (method, status, body), once each.
    faults: Vec<(Method, u16, String)>,
    requests: Vec<String>,
    next: u64,
}

/// A stand-in under way; its thread ends with the process.
#[derive(Clone)]
pub struct GitHub {
    inner: Arc<Mutex<Inner>>,
    pub url: String,
}

type Shared = Arc<Mutex<Inner>>;

impl GitHub {
    pub fn start() -> Self {
        let inner = Shared::default();
        inner.lock().unwrap().next = 100;
        let shared = Arc::clone(&inner);
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build();
            runtime.unwrap().block_on(async move {
                let issues = "/repos/{owner}/{name}/issues";
                let router = Router::new()
                    .route("/user", get(user))
                    .route(
                        &format!("{issues}/{{number}}/comments"),
                        get(list).post(create),
                    )
                    .route(
                        &format!("{issues}/comments/{{id}}"),
                        patch(update).delete(delete),
                    )
                    .with_state(shared);
                let listener = tokio::net::TcpListener::from_std(listener).unwrap();
                axum::serve(listener, router).await.unwrap();
            });
        });
        Self { inner, url }
    }

    pub fn permit(&self, token: &str, login: &str, right: Right) {
        let entry = (login.to_owned(), right);
        self.inner
            .lock()
            .unwrap()
            .tokens
            .insert(token.to_owned(), entry);
    }

    /// The next request of this method is answered so, and nothing else happens.
    pub fn fail(&self, method: Method, status: u16, body: &str) {
        let fault = (method, status, body.to_owned());
        self.inner.lock().unwrap().faults.push(fault);
    }

    /// Nothing fails any more.
    pub fn recover(&self) {
        self.inner.lock().unwrap().faults.clear();
    }

    /// Somebody else writes.
    pub fn comment(&self, number: u64, author: &str, body: &str) {
        self.inner.lock().unwrap().add(number, author, body);
    }

    pub fn comments(&self) -> Vec<Comment> {
        self.inner.lock().unwrap().comments.clone()
    }

    pub fn requests(&self) -> Vec<String> {
        std::mem::take(&mut self.inner.lock().unwrap().requests)
    }
}

impl Inner {
    fn add(&mut self, number: u64, author: &str, body: &str) -> Comment {
        self.next += 1;
        let comment = Comment {
            id: self.next,
            number,
            author: author.to_owned(),
            body: body.to_owned(),
        };
        self.comments.push(comment.clone());
        comment
    }

    /// Judges a request; the login of who sends it.
    fn judge(
        &mut self,
        (method, uri): (&Method, &Uri),
        headers: &HeaderMap,
        needs: Right,
    ) -> Result<String, Response> {
        self.requests.push(format!("{method} {uri}"));
        if let Some(at) = self.faults.iter().position(|(of, ..)| of == method) {
            let (_, status, body) = self.faults.remove(at);
            return Err((StatusCode::from_u16(status).unwrap(), body).into_response());
        }
        let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        if header("user-agent").is_none() || header("accept") != Some("application/vnd.github+json")
        {
            return Err(said(400, "Bad headers"));
        }
        if header("x-github-api-version") != Some("2022-11-28") {
            return Err(said(400, "Bad version"));
        }
        let token = header("authorization").and_then(|value| value.strip_prefix("Bearer "));
        let Some((login, right)) = token.and_then(|token| self.tokens.get(token)) else {
            return Err(said(401, "Bad credentials"));
        };
        if needs == Right::Write && *right == Right::Read {
            return Err(said(403, "Resource not accessible by integration"));
        }
        Ok(login.clone())
    }
}

fn said(status: u16, message: &str) -> Response {
    let body = json!({"message": message, "documentation_url": "https://docs.example"}).to_string();
    (StatusCode::from_u16(status).unwrap(), body).into_response()
}

fn shown(comment: &Comment) -> Value {
    json!({"id": comment.id, "body": comment.body, "user": {"login": comment.author, "type": "Bot"}})
}

/// The text of a request, if there may be such a comment.
fn text(body: &Bytes) -> Result<String, Response> {
    let body: Value =
        serde_json::from_slice(body).map_err(|_| said(400, "Problems parsing JSON"))?;
    let text = body["body"]
        .as_str()
        .ok_or_else(|| said(422, "Validation Failed"))?;
    if text.chars().count() > 65_536 {
        return Err(said(422, "Body is too long (maximum is 65536 characters)"));
    }
    Ok(text.to_owned())
}

async fn user(
    State(shared): State<Shared>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
) -> Response {
    match shared
        .lock()
        .unwrap()
        .judge((&method, &uri), &headers, Right::Read)
    {
        Ok(login) if login == JOB => said(403, "Resource not accessible by integration"),
        Ok(login) => json!({"login": login, "id": 1}).to_string().into_response(),
        Err(refused) => refused,
    }
}

async fn list(
    State(shared): State<Shared>,
    Path((_, _, number)): Path<(String, String, u64)>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
) -> Response {
    let mut inner = shared.lock().unwrap();
    if let Err(refused) = inner.judge((&method, &uri), &headers, Right::Read) {
        return refused;
    }
    let query = uri.query().unwrap_or_default();
    let asked = |name: &str, usual: usize| {
        let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
        let found = pairs.find(|(key, _)| *key == name);
        found.map_or(usual, |(_, value)| value.parse().unwrap())
    };
    let (each, page) = (asked("per_page", 30).min(100), asked("page", 1));
    let of_it = inner
        .comments
        .iter()
        .filter(|comment| comment.number == number);
    let comments: Vec<Value> = of_it
        .skip((page - 1) * each)
        .take(each)
        .map(shown)
        .collect();
    Value::from(comments).to_string().into_response()
}

async fn create(
    State(shared): State<Shared>,
    Path((_, _, number)): Path<(String, String, u64)>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let mut inner = shared.lock().unwrap();
    match (
        inner.judge((&method, &uri), &headers, Right::Write),
        text(&body),
    ) {
        (Ok(login), Ok(text)) => {
            let comment = inner.add(number, &login, &text);
            (StatusCode::CREATED, shown(&comment).to_string()).into_response()
        }
        (Err(refused), _) | (_, Err(refused)) => refused,
    }
}

async fn update(
    State(shared): State<Shared>,
    Path((_, _, id)): Path<(String, String, u64)>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let mut inner = shared.lock().unwrap();
    match (
        inner.judge((&method, &uri), &headers, Right::Write),
        text(&body),
    ) {
        (Ok(_), Ok(text)) => match inner.comments.iter_mut().find(|comment| comment.id == id) {
            Some(comment) => {
                comment.body = text;
                shown(comment).to_string().into_response()
            }
            None => said(404, "Not Found"),
        },
        (Err(refused), _) | (_, Err(refused)) => refused,
    }
}

async fn delete(
    State(shared): State<Shared>,
    Path((_, _, id)): Path<(String, String, u64)>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
) -> Response {
    let mut inner = shared.lock().unwrap();
    if let Err(refused) = inner.judge((&method, &uri), &headers, Right::Write) {
        return refused;
    }
    let before = inner.comments.len();
    inner.comments.retain(|comment| comment.id != id);
    if inner.comments.len() == before {
        return said(404, "Not Found");
    }
    StatusCode::NO_CONTENT.into_response()
}
