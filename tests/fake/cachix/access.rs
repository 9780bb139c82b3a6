//! Tokens, and what they may do.

use axum::http::{HeaderMap, header};
use data_encoding::BASE64;

use super::answer::Answer;
use super::world::World;

/// What a token was made for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Grant {
    /// Everything in the account.
    Account,
    /// Reading one cache.
    Read(String),
    /// Reading and writing one cache.
    Write(String),
}

/// A token's grant, and whether it still holds.
#[derive(Clone, Debug)]
pub struct Token {
    /// What it may do.
    pub grant: Grant,
    /// Whether it is over.
    pub expired: bool,
}

/// Rights on one cache, the lesser first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Right {
    /// None at all.
    Nothing,
    /// Reading.
    Read,
    /// Reading and writing.
    Write,
    /// Everything.
    Admin,
}

impl Right {
    /// The word in the cache object.
    pub fn word(self) -> &'static str {
        match self {
            Self::Nothing | Self::Read => "Read",
            Self::Write => "Write",
            Self::Admin => "Admin",
        }
    }
}

/// Who asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Caller {
    /// No token, or an empty one.
    Anonymous,
    /// A token that holds.
    Known(Grant),
}

/// The token that a request brings: Bearer, or Basic with any login; empty counts as none.
pub fn token_of(headers: &HeaderMap) -> Option<String> {
    let text = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, rest) = text.split_once(' ').unwrap_or((text, ""));
    let token = if scheme.eq_ignore_ascii_case("bearer") {
        rest.trim().to_owned()
    } else if scheme.eq_ignore_ascii_case("basic") {
        let pair = String::from_utf8(BASE64.decode(rest.trim().as_bytes()).ok()?).ok()?;
        pair.split_once(':')?.1.to_owned()
    } else {
        // A scheme that is not known is as bad as a token that is not known.
        text.to_owned()
    };
    (!token.is_empty()).then_some(token)
}

/// Who it is; a token that is not known, or over, is refused wherever it is shown.
pub fn caller(world: &World, headers: &HeaderMap) -> Result<Caller, Answer> {
    let Some(text) = token_of(headers) else {
        return Ok(Caller::Anonymous);
    };
    match world.tokens.get(&text) {
        None => Err(Answer::unauthorized(None)),
        Some(token) if token.expired => Err(Answer::expired()),
        Some(token) => Ok(Caller::Known(token.grant.clone())),
    }
}

impl Caller {
    /// The right on a cache that is there.
    pub fn right(&self, cache: &str, is_public: bool) -> Right {
        let given = match self {
            Self::Known(Grant::Account) => Right::Admin,
            Self::Known(Grant::Write(name)) if name == cache => Right::Write,
            Self::Known(Grant::Read(name)) if name == cache => Right::Read,
            Self::Known(_) | Self::Anonymous => Right::Nothing,
        };
        given.max(if is_public {
            Right::Read
        } else {
            Right::Nothing
        })
    }
}

/// The right of the caller on a cache, if it is at least `needed`.
pub fn admit(
    world: &World,
    headers: &HeaderMap,
    cache: &str,
    needed: Right,
) -> Result<Right, Answer> {
    let caller = caller(world, headers)?;
    let Some(found) = world.caches.get(cache) else {
        return Err(match caller {
            Caller::Anonymous => Answer::unauthorized(Some(cache)),
            Caller::Known(_) => Answer::not_found(&format!("Binary cache {cache}")),
        });
    };
    let right = caller.right(cache, found.is_public);
    if right < needed {
        return Err(Answer::unauthorized(Some(cache)));
    }
    Ok(right)
}
