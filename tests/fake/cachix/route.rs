//! Which call a request is.

use std::sync::Arc;

use super::account;
use super::answer::{Answer, Outcome};
use super::complete;
use super::pin;
use super::read;
use super::serve::Asked;
use super::stand_in::Shared;
use super::upload;

/// A segment of a path with its `%` digits resolved; none where that is no text.
pub fn decoded(segment: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(segment.len());
    let mut rest = segment.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        rest = tail;
        if first == b'%' {
            let (digits, tail) = rest.split_at_checked(2)?;
            bytes.push(u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?);
            rest = tail;
        } else {
            bytes.push(first);
        }
    }
    String::from_utf8(bytes).ok()
}

/// Answers a request to the service.
pub fn answer(shared: &Arc<Shared>, asked: &Asked) -> Outcome {
    let segments: Option<Vec<String>> = asked.path.split('/').skip(1).map(decoded).collect();
    let segments = segments.ok_or_else(|| Answer::text(400, "the path is no text"))?;
    let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
    match segments.as_slice() {
        ["api", "v1", "user"] => only(asked, &["GET"]).and_then(|()| account::user(shared, asked)),
        ["api", "v1", "cache", name, rest @ ..] => in_cache(shared, asked, name, rest),
        ["api", ..] => Err(Answer::not_found("This call")),
        [name, rest @ ..] => read::answer(shared, asked, name, rest),
        [] => Err(Answer::not_found("This page")),
    }
}

fn in_cache(shared: &Arc<Shared>, asked: &Asked, name: &str, rest: &[&str]) -> Outcome {
    match rest {
        [] => match asked.method.as_str() {
            "GET" => account::cache(shared, asked, name),
            "POST" => account::create(shared, asked, name),
            "DELETE" => account::delete(shared, asked, name),
            _ => Err(wrong_method(&["GET", "POST", "DELETE"])),
        },
        ["key"] => posted(asked).and_then(|()| account::register_key(shared, asked, name)),
        ["narinfo"] => posted(asked).and_then(|()| upload::missing(shared, asked, name)),
        ["multipart-nar"] => posted(asked).and_then(|()| upload::begin(shared, asked, name)),
        ["multipart-nar", id] => posted(asked).and_then(|()| upload::part(shared, asked, name, id)),
        ["multipart-nar", id, "complete"] => {
            posted(asked).and_then(|()| complete::complete(shared, asked, name, id))
        }
        ["multipart-nar", id, "abort"] => {
            posted(asked).and_then(|()| upload::abort(shared, asked, name, id))
        }
        ["pin"] => match asked.method.as_str() {
            "GET" => pin::list(shared, asked, name),
            "POST" => pin::create(shared, asked, name),
            _ => Err(wrong_method(&["GET", "POST"])),
        },
        ["pin", pin] => {
            only(asked, &["DELETE"]).and_then(|()| pin::delete(shared, asked, name, pin))
        }
        ["narurl", file] => {
            only(asked, &["GET"]).and_then(|()| read::nar_url(shared, asked, name, file))
        }
        _ => read::answer(shared, asked, name, rest),
    }
}

fn wrong_method(allowed: &[&str]) -> Answer {
    Answer::text(405, "this call wants another method").with("allow", &allowed.join(", "))
}

/// Refuses every method but these.
pub fn only(asked: &Asked, allowed: &[&str]) -> Result<(), Answer> {
    if allowed.contains(&asked.method.as_str()) {
        Ok(())
    } else {
        Err(wrong_method(allowed))
    }
}

fn posted(asked: &Asked) -> Result<(), Answer> {
    only(asked, &["POST"])
}

/// The body as JSON, if the headers say that it is and the caller takes JSON.
pub fn body<T: serde::de::DeserializeOwned>(asked: &Asked) -> Result<T, Answer> {
    takes_json(asked)?;
    let kind = asked
        .header("content-type")
        .split(';')
        .next()
        .unwrap_or_default()
        .trim();
    if !kind.eq_ignore_ascii_case("application/json") {
        return Err(Answer::text(415, "the body must be application/json"));
    }
    serde_json::from_slice(&asked.body)
        .map_err(|error| Answer::text(400, format!("Error in $: {error}")))
}

/// Refuses callers that take no JSON.
pub fn takes_json(asked: &Asked) -> Result<(), Answer> {
    let accepted = asked.header("accept");
    let takes = |one: &str| {
        let kind = one.split(';').next().unwrap_or_default().trim();
        ["application/json", "application/*", "*/*"].contains(&kind)
    };
    if accepted.is_empty() || accepted.split(',').any(takes) {
        Ok(())
    } else {
        Err(Answer::text(406, "the answer would be application/json"))
    }
}
