//! Answers as the service words them.

use axum::body::{Body, Bytes};
use axum::http::{HeaderName, HeaderValue, Response, StatusCode, header};
use serde_json::{Value, json};

/// What [`super::route`] gives back: an answer, or an answer that refuses.
pub type Outcome = Result<Answer, Answer>;

/// One answer, before a fault has had its way with it.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// Its headers.
    pub headers: Vec<(HeaderName, String)>,
    /// Its body.
    pub body: Bytes,
}

impl Answer {
    /// 200 with nothing in it: what every call without content answers.
    pub fn empty() -> Self {
        Self::bytes(200, "application/json;charset=utf-8", Bytes::new())
    }

    /// Bytes of a content type.
    pub fn bytes(status: u16, kind: &str, body: impl Into<Bytes>) -> Self {
        Self {
            status,
            headers: vec![(header::CONTENT_TYPE, kind.to_owned())],
            body: body.into(),
        }
    }

    /// Plain text.
    pub fn text(status: u16, body: impl Into<String>) -> Self {
        Self::bytes(status, "text/plain; charset=utf-8", body.into())
    }

    /// 200 with JSON.
    pub fn json(body: &Value) -> Self {
        Self::bytes(200, "application/json;charset=utf-8", body.to_string())
    }

    /// 400 with `{"error": …}`.
    pub fn bad(why: impl Into<String>) -> Self {
        let body = json!({ "error": why.into() }).to_string();
        Self::bytes(400, "application/json;charset=utf-8", body)
    }

    /// An error of the object storage, in its XML.
    pub fn storage(status: u16, code: &str, message: &str) -> Self {
        let body = format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>{code}</Code><Message>{message}</Message></Error>"
        );
        Self::bytes(status, "application/xml", body)
    }

    /// 401: one text for a cache that is not there and one that is not for the caller.
    pub fn unauthorized(cache: Option<&str>) -> Self {
        let name = cache.unwrap_or("this");
        Self::text(
            401,
            format!(
                "Binary cache {name} doesn't exist or you're not authorized to access it. Check that its name is right and that a token with access to it is given. This is a stand-in: no support will answer."
            ),
        )
    }

    /// 401 for a token that was good once.
    pub fn expired() -> Self {
        Self::text(401, "The token has expired or was revoked.")
    }

    /// 404.
    pub fn not_found(what: &str) -> Self {
        Self::text(404, format!("{what} not found"))
    }

    /// 302 to another address.
    pub fn redirect(status: u16, to: &str) -> Self {
        let mut answer = Self::text(status, "");
        answer.headers.push((header::LOCATION, to.to_owned()));
        answer
    }

    /// With one more header.
    pub fn with(mut self, name: &'static str, value: &str) -> Self {
        self.headers
            .push((HeaderName::from_static(name), value.to_owned()));
        self
    }

    /// The 502 of the proxy in front, as problem details.
    pub fn problem(retry_after: Option<u64>) -> Self {
        let body = json!({
            "type": "about:blank",
            "title": "Error 502: Bad gateway",
            "status": 502,
            "detail": "The origin web server returned an invalid or incomplete response.",
            "instance": "stand-in",
            "error_code": 502,
            "error_name": "bad_gateway",
            "error_category": "origin",
            "ray_id": "stand-in",
            "timestamp": "2026-01-01T00:00:00Z",
            "zone": "stand-in",
            "cloudflare_error": true,
            "retryable": true,
            "retry_after": retry_after,
            "owner_action_required": false,
            "what_you_should_do": "Wait and retry.",
        });
        Self::bytes(502, "application/problem+json", body.to_string())
    }

    /// A web page.
    pub fn page(status: u16, title: &str) -> Self {
        let body = format!(
            "<!DOCTYPE html>\n<html><head><title>{title}</title></head><body><h1>{title}</h1></body></html>\n"
        );
        Self::bytes(status, "text/html; charset=UTF-8", body)
    }

    /// The answer on the wire; `HEAD` gets the headers only.
    pub fn into_response(self, is_head: bool) -> Response<Body> {
        let length = self.body.len();
        let body = if is_head {
            Body::empty()
        } else {
            Body::from(self.body)
        };
        let mut response = Response::new(body);
        *response.status_mut() = StatusCode::from_u16(self.status).unwrap();
        for (name, value) in self.headers {
            response
                .headers_mut()
                .append(name, HeaderValue::from_str(&value).unwrap());
        }
        if is_head {
            response
                .headers_mut()
                .insert(header::CONTENT_LENGTH, HeaderValue::from(length));
        }
        response
    }
}
