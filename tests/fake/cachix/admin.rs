//! `/_stand-in/…`: what a person at a terminal does that the service has no call for. It asks for no
//! token: the stand-in listens on the loopback only.

use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use serde_json::json;

use super::access::Grant;
use super::answer::{Answer, Outcome};
use super::cache_view::CacheView;
use super::fault::Fault;
use super::stand_in::Shared;

/// A change of a cache by hand. What is not named stays.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Change {
    is_public: Option<bool>,
    /// Shown instead of the true keys; an empty list shows the true ones again.
    public_signing_keys: Option<Vec<String>>,
    priority: Option<i32>,
    preferred_compression_method: Option<String>,
}

/// Answers a person.
pub fn answer(shared: &Arc<Shared>, method: &str, path: &str, body: &[u8]) -> Answer {
    ask(shared, method, path, body).unwrap_or_else(|refusal| refusal)
}

fn read<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, Answer> {
    serde_json::from_slice(body).map_err(|error| Answer::bad(error.to_string()))
}

fn ask(shared: &Arc<Shared>, method: &str, path: &str, body: &[u8]) -> Outcome {
    let segments: Vec<&str> = path.split('/').skip(2).collect();
    match (method, segments.as_slice()) {
        ("POST", ["fault"]) => {
            shared.faults.add(read::<Fault>(body)?);
            Ok(Answer::empty())
        }
        ("DELETE", ["fault"]) => {
            shared.faults.clear();
            Ok(Answer::empty())
        }
        ("POST", ["clock"]) => {
            #[derive(Deserialize)]
            struct Step {
                seconds: u64,
            }
            shared
                .clock
                .advance(Duration::from_secs(read::<Step>(body)?.seconds));
            Ok(Answer::empty())
        }
        ("POST", ["limit"]) => {
            #[derive(Deserialize)]
            struct Limit {
                bytes: Option<u64>,
            }
            shared.world().size_limit = read::<Limit>(body)?.bytes;
            Ok(Answer::empty())
        }
        ("POST", ["token"]) => {
            #[derive(Deserialize)]
            struct New {
                cache: String,
                #[serde(default)]
                write: bool,
            }
            let new: New = read(body)?;
            let grant = if new.write {
                Grant::Write(new.cache)
            } else {
                Grant::Read(new.cache)
            };
            Ok(Answer::json(&json!({ "token": shared.new_token(grant) })))
        }
        ("POST", ["expire"]) => {
            #[derive(Deserialize)]
            struct Which {
                token: String,
            }
            let which: Which = read(body)?;
            let mut world = shared.world();
            let found = world.tokens.get_mut(&which.token);
            found.ok_or_else(|| Answer::not_found("The token"))?.expired = true;
            Ok(Answer::empty())
        }
        ("GET", ["state"]) => Ok(state(shared)),
        (_, ["cache", name, ..]) if !shared.world().caches.contains_key(*name) => {
            Err(Answer::not_found("The cache"))
        }
        ("POST", ["cache", name]) => {
            change(&CacheView::new(shared.clone(), name), read(body)?);
            Ok(Answer::empty())
        }
        ("DELETE", ["cache", name, "path", hash]) => {
            let removed = CacheView::new(shared.clone(), name).remove_path(hash);
            removed
                .then(Answer::empty)
                .ok_or_else(|| Answer::not_found("The path"))
        }
        ("DELETE", ["cache", name, "pin", pin]) => {
            let removed = CacheView::new(shared.clone(), name).remove_pin(pin);
            removed
                .then(Answer::empty)
                .ok_or_else(|| Answer::not_found("The pin"))
        }
        _ => Err(Answer::not_found("This")),
    }
}

fn change(cache: &CacheView, change: Change) {
    if let Some(is_public) = change.is_public {
        cache.set_public(is_public);
    }
    if let Some(keys) = change.public_signing_keys {
        cache.show_keys((!keys.is_empty()).then_some(keys));
    }
    if let Some(priority) = change.priority {
        cache.set_priority(priority);
    }
    if let Some(method) = change.preferred_compression_method {
        cache.set_preferred(&method);
    }
}

fn state(shared: &Shared) -> Answer {
    let world = shared.world();
    let caches = world.caches.iter().map(|(name, cache)| {
        let paths: Vec<&str> = cache
            .entries
            .values()
            .map(|one| one.base_name.as_str())
            .collect();
        let pins: Vec<&str> = cache.pins.iter().map(|pin| pin.name.as_str()).collect();
        let shown = json!({
            "isPublic": cache.is_public,
            "publicSigningKeys": cache.public_keys(),
            "bytes": cache.size(),
            "paths": paths,
            "pins": pins,
        });
        (name.clone(), shown)
    });
    Answer::json(&json!({
        "caches": caches.collect::<serde_json::Map<_, _>>(),
        "uploads": world.uploads.len(),
        "complaints": world.complaints,
        "faultsStruck": shared.faults.struck(),
    }))
}
