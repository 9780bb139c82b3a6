//! From a connection to an answer: records the request, lets a fault strike, asks [`super::route`].

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes, HttpBody};
use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderMap, Response};
use url::form_urlencoded;

use super::access;
use super::answer::Answer;
use super::connection::{Door, Hand};
use super::fault::Kind;
use super::request::{Place, Recorded, kept};
use super::stand_in::Shared;
use super::{admin, read, route, storage};

/// A request whose body was read.
pub struct Asked {
    /// The method.
    pub method: String,
    /// The path, without query.
    pub path: String,
    /// The query's pairs, decoded.
    pub query: Vec<(String, String)>,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
}

impl Asked {
    /// A value of the query.
    pub fn value(&self, name: &str) -> Option<&str> {
        let pair = self.query.iter().find(|(key, _)| key == name);
        pair.map(|(_, value)| value.as_str())
    }

    /// A header; empty where it is not there or no text.
    pub fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
    }
}

/// Answers whatever comes through a door, until the runtime ends.
pub async fn serve(door: tokio::net::TcpListener, shared: Arc<Shared>, place: Place) {
    let router = Router::new().fallback(answer).with_state((shared, place));
    let service = router.into_make_service_with_connect_info::<Hand>();
    let _ = axum::serve(Door(door), service).await;
}

async fn answer(
    State((shared, place)): State<(Arc<Shared>, Place)>,
    ConnectInfo(hand): ConnectInfo<Hand>,
    request: Request,
) -> Response<Body> {
    hand.steady();
    let (head, body) = request.into_parts();
    let method = head.method.as_str().to_owned();
    let path = head.uri.path().to_owned();
    let query = head.uri.query().unwrap_or_default();
    let pairs: Vec<(String, String)> = form_urlencoded::parse(query.as_bytes())
        .into_owned()
        .collect();
    let is_head = method == "HEAD";
    if path.starts_with("/_stand-in/") && place == Place::Service {
        let body = axum::body::to_bytes(body, 1 << 20)
            .await
            .unwrap_or_default();
        return admin::answer(&shared, &method, &path, &body).into_response(is_head);
    }
    let record = Recorded {
        place,
        method: method.clone(),
        path: path.clone(),
        query: if place == Place::Service {
            query.to_owned()
        } else {
            String::new()
        },
        headers: kept(&head.headers),
        has_token: access::token_of(&head.headers).is_some(),
        status: 0,
        at: shared.clock.now(),
    };
    let running = shared.requests.begin(record);
    let fault = shared.faults.strike(&method, &path);
    if let Some(Kind::Delay { millis }) = fault {
        tokio::time::sleep(Duration::from_millis(millis)).await;
    }
    if let Some(Kind::Reset { after_bytes }) = fault {
        read_some(body, after_bytes).await;
        hand.cut();
        return Answer::empty().into_response(false);
    }
    let limit = body_limit(&shared, place);
    let Ok(body) = axum::body::to_bytes(body, limit).await else {
        running.answered(413);
        return Answer::text(413, "the body is too long").into_response(is_head);
    };
    let asked = Asked {
        method,
        path,
        query: pairs,
        headers: head.headers,
        body,
    };
    let answer = if let Some(answer) = fault.as_ref().and_then(|kind| refusal(&shared, kind)) {
        answer
    } else {
        let (shared, fault) = (shared.clone(), fault.clone());
        // Files and hashes: no work for the threads that keep connections going.
        let work = move || {
            let answer = ask(&shared, place, &asked);
            match &fault {
                Some(kind) => spoil(&shared, kind, &asked, answer),
                None => answer,
            }
        };
        tokio::task::spawn_blocking(work).await.unwrap()
    };
    match fault {
        Some(Kind::AnswerLost) => hand.cut(),
        Some(Kind::Silence) => std::future::pending::<()>().await,
        Some(Kind::AnswerCut { after_bytes }) => {
            running.answered(answer.status);
            hand.cut_after(after_bytes);
        }
        Some(Kind::Drip { millis }) => {
            running.answered(answer.status);
            hand.drip(Duration::from_millis(millis));
        }
        _ => running.answered(answer.status),
    }
    answer.into_response(is_head)
}

fn body_limit(shared: &Shared, place: Place) -> usize {
    match place {
        Place::Service => shared.settings.json_limit,
        Place::Storage => shared.settings.part_limit,
        Place::Stranger => 1 << 30,
    }
}

/// Reads at least so many bytes of a body, or all.
async fn read_some(mut body: Body, bytes: u64) {
    let mut read = 0;
    while read < bytes {
        let next =
            std::future::poll_fn(|context| std::pin::Pin::new(&mut body).poll_frame(context));
        match next.await {
            Some(Ok(frame)) => read += frame.into_data().map_or(0, |data| data.len() as u64),
            _ => return,
        }
    }
}

fn ask(shared: &Arc<Shared>, place: Place, asked: &Asked) -> Answer {
    match place {
        Place::Service => route::answer(shared, asked),
        Place::Storage => storage::answer(shared, asked),
        // Whoever follows a redirect to it gets something that looks like success.
        Place::Stranger => Ok(Answer::bytes(200, "application/json;charset=utf-8", "{}")),
    }
    .unwrap_or_else(|refusal| refusal)
}

/// The answer of a fault that leaves no effect.
fn refusal(shared: &Shared, kind: &Kind) -> Option<Answer> {
    let answer = match kind {
        Kind::Unauthorized => Answer::unauthorized(None),
        Kind::ExpiredToken => Answer::expired(),
        Kind::NotFound => Answer::not_found("This"),
        Kind::TooMany { retry_after } => {
            after(Answer::text(429, "too many requests"), retry_after.as_ref())
        }
        Kind::ServerError => Answer::text(500, "Something went wrong"),
        Kind::BadGatewayProblem { retry_after } => Answer::problem(*retry_after),
        Kind::BadGatewayPage { retry_after } => {
            after(Answer::page(502, "502 Bad Gateway"), retry_after.as_ref())
        }
        Kind::Portal => Answer::page(200, "Please log in"),
        Kind::Redirect { status } => {
            Answer::redirect(*status, &format!("{}/elsewhere", shared.stranger))
        }
        _ => return None,
    };
    debug_assert!(!kind.keeps_effect());
    Some(answer)
}

fn after(answer: Answer, retry_after: Option<&String>) -> Answer {
    match retry_after {
        Some(value) => answer.with("retry-after", value),
        None => answer,
    }
}

/// The answer of a fault that changes a good one.
fn spoil(shared: &Shared, kind: &Kind, asked: &Asked, mut answer: Answer) -> Answer {
    match kind {
        Kind::NoETag => answer.headers.retain(|(name, _)| name != "etag"),
        Kind::OtherNarInfo if answer.status == 200 => {
            answer.body = read::other_narinfo(shared, &asked.path, &answer.body);
        }
        Kind::WrongBytes if !answer.body.is_empty() => {
            let mut bytes = answer.body.to_vec();
            let middle = bytes.len() / 2;
            bytes[middle] ^= 1;
            answer.body = bytes.into();
        }
        Kind::BrokenJson => answer.body.truncate(answer.body.len() / 2),
        Kind::PinsRepeat | Kind::PinsSkip => {
            if let Ok(mut list) = serde_json::from_slice::<Vec<serde_json::Value>>(&answer.body) {
                if *kind == Kind::PinsSkip && !list.is_empty() {
                    let _ = list.pop();
                } else if let Some(first) = list.first().cloned() {
                    list.push(first);
                }
                answer.body = serde_json::Value::Array(list).to_string().into();
            }
        }
        _ => {}
    }
    answer
}
