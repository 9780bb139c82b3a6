//! Pins: names for paths that the collector spares.

use jiff::{SignedDuration, Timestamp};
use nanna_cache::nix::store_path::StoreDir;
use serde::Deserialize;
use serde_json::{Value, json};

use super::access::{self, Right};
use super::answer::{Answer, Outcome};
use super::nar_file;
use super::route;
use super::serve::Asked;
use super::stand_in::Shared;
use super::world::{Cache, Pin, Revision};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct NewPin {
    name: String,
    store_path: String,
    artifacts: Vec<String>,
    keep: Option<Keep>,
}

#[derive(Deserialize)]
#[serde(tag = "tag", content = "contents")]
enum Keep {
    Days(u32),
    Revisions(u32),
    Forever,
}

impl Keep {
    fn to_json(&self) -> Value {
        match self {
            Self::Days(days) => json!({ "tag": "Days", "contents": days }),
            Self::Revisions(count) => json!({ "tag": "Revisions", "contents": count }),
            Self::Forever => json!({ "tag": "Forever" }),
        }
    }
}

/// `POST /cache/{name}/pin`.
pub fn create(shared: &Shared, asked: &Asked, name: &str) -> Outcome {
    let mut world = shared.world();
    access::admit(&world, &asked.headers, name, Right::Write)?;
    let new: NewPin = route::body(asked)?;
    if new.name.is_empty() {
        return Err(Answer::bad("a pin needs a name"));
    }
    if matches!(new.keep, Some(Keep::Days(0) | Keep::Revisions(0))) {
        return Err(Answer::bad("keep must be greater than 0"));
    }
    let limit = world.size_limit;
    let cache = world.caches.get_mut(name).unwrap();
    let path = StoreDir::default().parse(&new.store_path);
    let path = path.map_err(|_| Answer::bad(format!("{} is no store path", new.store_path)))?;
    let entry = cache.entries.get(&path.hash().to_string());
    let Some(entry) = entry
        .filter(|entry| entry.base_name == path.to_string())
        .cloned()
    else {
        let why = format!(
            "Store path {} is not in binary cache {name}",
            new.store_path
        );
        return Err(Answer::bad(why));
    };
    let before = cache.pins.clone();
    insert(cache, &new, shared.clock.now());
    if limit.is_some_and(|limit| pinned_size(cache) > limit) {
        cache.pins = before;
        return Err(Answer::bad(
            "the revisions of this pin do not fit into the storage limit",
        ));
    }
    trim(cache, shared.clock.now());
    drop(world);
    let file = nar_file::path(shared, &entry.file_name());
    for artifact in new.artifacts {
        if nar_file::content(&file, &artifact).is_none() {
            shared.complain(format!(
                "pin {}: {artifact} is no file in the path",
                new.name
            ));
        }
    }
    Ok(Answer::empty())
}

fn insert(cache: &mut Cache, new: &NewPin, now: Timestamp) {
    let keep = new.keep.as_ref().map_or(Value::Null, Keep::to_json);
    let known = cache.pins.iter().position(|pin| pin.name == new.name);
    let at = known.unwrap_or_else(|| {
        let pin = Pin {
            name: new.name.clone(),
            keep: Value::Null,
            created: now,
            revisions: Vec::new(),
        };
        cache.pins.push(pin);
        cache.pins.len() - 1
    });
    let pin = &mut cache.pins[at];
    pin.keep = keep;
    pin.revisions.push(Revision {
        number: pin.revisions.last().map_or(1, |last| last.number + 1),
        store_path: new.store_path.clone(),
        artifacts: new.artifacts.clone(),
        created: now,
    });
}

/// Bytes of the files of every kept revision: at the moment of replacing, the old and the new.
fn pinned_size(cache: &Cache) -> u64 {
    let pinned = cache.pinned();
    let sizes = pinned.iter().filter_map(|hash| cache.entries.get(hash));
    sizes.map(|entry| entry.file_size).sum()
}

/// Lets go of revisions, and of pins, that are kept no longer.
fn trim(cache: &mut Cache, now: Timestamp) {
    for pin in &mut cache.pins {
        let contents = pin.keep["contents"].as_u64().unwrap_or_default();
        match pin.keep["tag"].as_str() {
            Some("Revisions") => {
                let kept = usize::try_from(contents).unwrap_or(usize::MAX);
                let gone = pin.revisions.len().saturating_sub(kept);
                pin.revisions.drain(..gone);
            }
            Some("Days") => {
                let hours = i64::try_from(contents)
                    .unwrap_or(i64::MAX)
                    .saturating_mul(24);
                let life = SignedDuration::from_hours(hours);
                pin.revisions
                    .retain(|one| now.duration_since(one.created) <= life);
            }
            _ => {}
        }
    }
    cache.pins.retain(|pin| !pin.revisions.is_empty());
}

/// Lets pins run out in every cache.
pub fn run_out(shared: &Shared) {
    let now = shared.clock.now();
    for cache in shared.world().caches.values_mut() {
        trim(cache, now);
    }
}

/// `GET /cache/{name}/pin`.
pub fn list(shared: &Shared, asked: &Asked, name: &str) -> Outcome {
    route::takes_json(asked)?;
    run_out(shared);
    let world = shared.world();
    access::admit(&world, &asked.headers, name, Right::Read)?;
    let shown = |pin: &Pin| {
        let last = pin.revisions.last().unwrap();
        json!({
            "name": pin.name,
            "createdOn": pin.created.to_string(),
            "keep": pin.keep,
            "lastRevision": {
                "revision": last.number,
                "storePath": last.store_path,
                "artifacts": last.artifacts,
                "createdOn": last.created.to_string(),
            },
        })
    };
    Ok(Answer::json(
        &world.caches[name].pins.iter().map(shown).collect(),
    ))
}

/// `DELETE /cache/{name}/pin/{pin}`.
pub fn delete(shared: &Shared, asked: &Asked, name: &str, pin: &str) -> Outcome {
    let mut world = shared.world();
    access::admit(&world, &asked.headers, name, Right::Write)?;
    let cache = world.caches.get_mut(name).unwrap();
    let before = cache.pins.len();
    cache.pins.retain(|one| one.name != pin);
    if cache.pins.len() == before {
        return Err(Answer::not_found("The pin"));
    }
    let mut answer = Answer::empty();
    answer.status = shared.settings.pin_deleted;
    Ok(answer)
}
