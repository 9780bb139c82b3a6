//! The account, the cache objects, and the keys of self-signed caches.

use data_encoding::BASE64;
use nanna_cache::nix::key::{PublicKey, SecretKey};
use serde::Deserialize;
use serde_json::json;

use super::access::{self, Caller, Grant, Right};
use super::answer::{Answer, Outcome};
use super::collect;
use super::route;
use super::serve::Asked;
use super::settings::CacheSettings;
use super::stand_in::{Shared, random};
use super::world::{Cache, Signing, World};

/// The id of the one account.
pub const ACCOUNT: u64 = 4711;

/// The login of the one account.
const LOGIN: &str = "stand-in";

/// Refuses names that the service forbids: `^[a-z][a-z0-9-]*$`.
pub fn check_name(name: &str) -> Result<(), Answer> {
    let begins = name.starts_with(|first: char| first.is_ascii_lowercase());
    let holds = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    // The two first words of addresses that are taken.
    if begins && name.chars().all(holds) && !["api", "_stand-in"].contains(&name) {
        Ok(())
    } else {
        Err(Answer::bad(format!(
            "{name} is not a valid name of a binary cache"
        )))
    }
}

/// A cache without anything in it.
pub fn new_cache(settings: &CacheSettings) -> Cache {
    let signing = if settings.is_managed {
        let key = SecretKey::generate(&key_name(&settings.name), random());
        Signing::Managed(Box::new(key.ok().unwrap()))
    } else {
        Signing::Client(Vec::new())
    };
    Cache {
        name: settings.name.clone(),
        is_public: settings.is_public,
        signing,
        shown_keys: None,
        preferred: settings.preferred.clone(),
        priority: 41,
        entries: std::collections::BTreeMap::new(),
        pins: Vec::new(),
        upstream: std::collections::BTreeMap::new(),
        whole: std::collections::BTreeSet::new(),
    }
}

/// What every key of a cache is called.
pub fn key_name(cache: &str) -> String {
    format!("{cache}.cachix.org-1")
}

fn owner(world: &World, asked: &Asked) -> Result<(), Answer> {
    match access::caller(world, &asked.headers)? {
        Caller::Known(Grant::Account) => Ok(()),
        _ => Err(Answer::unauthorized(None)),
    }
}

/// `GET /user`: only for a token of the account.
pub fn user(shared: &Shared, asked: &Asked) -> Outcome {
    route::takes_json(asked)?;
    owner(&shared.world(), asked)?;
    Ok(Answer::json(&json!({
        "id": ACCOUNT,
        "githubUsername": LOGIN,
        "email": "stand-in@example.org",
        "fullname": "A stand-in",
        "subscriptionPlan": "Starter",
    })))
}

/// `GET /cache/{name}`.
pub fn cache(shared: &Shared, asked: &Asked, name: &str) -> Outcome {
    route::takes_json(asked)?;
    let world = shared.world();
    let right = access::admit(&world, &asked.headers, name, Right::Read)?;
    let cache = &world.caches[name];
    let slash = if shared.settings.uri_slash { "/" } else { "" };
    Ok(Answer::json(&json!({
        "name": cache.name,
        "uri": format!("{}/{}{slash}", shared.service, cache.name),
        "isPublic": cache.is_public,
        "publicSigningKeys": cache.public_keys(),
        "githubUsername": LOGIN,
        "permission": right.word(),
        "preferredCompressionMethod": cache.preferred,
    })))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct NewCache {
    is_public: bool,
    generate_signing_key: bool,
    #[serde(rename = "accountID")]
    account: u64,
}

/// `POST /cache/{name}`: answers with nothing.
pub fn create(shared: &Shared, asked: &Asked, name: &str) -> Outcome {
    let mut world = shared.world();
    owner(&world, asked)?;
    let new: NewCache = route::body(asked)?;
    check_name(name)?;
    if new.account != ACCOUNT {
        return Err(Answer::bad(format!("there is no account {}", new.account)));
    }
    if world.caches.contains_key(name) {
        return Err(Answer::bad(format!("Binary cache {name} already exists")));
    }
    let cache = new_cache(&CacheSettings {
        name: name.to_owned(),
        is_public: new.is_public,
        is_managed: new.generate_signing_key,
        preferred: "ZSTD".to_owned(),
    });
    world.caches.insert(name.to_owned(), cache);
    Ok(Answer::empty())
}

/// `DELETE /cache/{name}`.
pub fn delete(shared: &Shared, asked: &Asked, name: &str) -> Outcome {
    let mut world = shared.world();
    access::admit(&world, &asked.headers, name, Right::Admin)?;
    world.caches.remove(name);
    world.uploads.retain(|_, upload| upload.cache != name);
    drop(world);
    collect::sweep_files(shared);
    Ok(Answer::empty())
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct NewKey {
    public_key: String,
}

/// `POST /cache/{name}/key`: the bare key of a self-signed cache.
pub fn register_key(shared: &Shared, asked: &Asked, name: &str) -> Outcome {
    let mut world = shared.world();
    access::admit(&world, &asked.headers, name, Right::Write)?;
    let new: NewKey = route::body(asked)?;
    let wrong = || Answer::bad("publicKey must be the base64 of 32 bytes, without a name");
    let bytes = BASE64
        .decode(new.public_key.as_bytes())
        .map_err(|_| wrong())?;
    if bytes.len() != 32 {
        return Err(wrong());
    }
    let key: PublicKey = format!("{}:{}", key_name(name), new.public_key)
        .parse()
        .map_err(|_| wrong())?;
    let cache = world.caches.get_mut(name).unwrap();
    match &mut cache.signing {
        Signing::Managed(_) => Err(Answer::bad(format!("{name} is signed by the service"))),
        Signing::Client(keys) => {
            if !keys.contains(&key) {
                keys.push(key);
            }
            Ok(Answer::empty())
        }
    }
}
