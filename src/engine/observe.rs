//! Observing: everything at once, bounded, and nothing written.
//!
//! First what does not depend on anything (settings, store, caches, outputs, directories, files, keys);
//! then, for the paths that are wanted and missing, the upstreams: offline by verified signatures, and over
//! the network only for the rest. Each failure is an unknown with its reason.

use std::collections::{BTreeMap, BTreeSet};
use std::thread;

use super::event::{Event, Listener};
use super::explore;
use super::machine::{Machine, sentence};
use super::nearest;
use super::secret;
use super::service;
use super::short;
use crate::config::model::{CacheName, NixConf};
use crate::nix::key::PublicKey;
use crate::nix::store_path::StoreDir;
use crate::plan::desired::{Cache, Desired, Signing, TopSource};
use crate::plan::observed::{
    CacheContent, Directories, LocalStore, NixFacts, Observation, Observed, OutputFacts, Requests,
    Why,
};
use crate::plan::optimize;
use crate::provider::binary_cache::observe::{self as look, Look};
use crate::provider::binary_cache::{CacheView, signers};
use crate::provider::nix_conf::{self, FromNix};
use crate::provider::nix_store::{self, Question};
use crate::provider::{directory, upstream};
use crate::sys::http;
use crate::transfer::progress::Progress;

/// Looks at everything that a plan for `desired` depends on. Blocks.
#[must_use]
pub fn observe(
    desired: &Desired,
    machine: &Machine,
    progress: &Progress,
    listener: Listener<'_>,
) -> Observed {
    // What is read while looking, again and again in an apply, is no part of what is to be done.
    let progress = &progress.unseen();
    listener(Event::Looking("the Nix store, the caches and the outputs"));
    let store_dir = machine
        .store
        .as_ref()
        .map_or_else(|_| StoreDir::default(), |at| at.store.clone());
    let keys = keys(desired, machine, progress);
    let mut observed = thread::scope(|scope| {
        let nix = scope.spawn(|| settings(machine));
        let store = scope.spawn(|| local_store(desired, machine, progress));
        let outputs = scope.spawn(|| outputs(desired, machine, progress));
        let directories = scope.spawn(|| directories(desired, machine, &store_dir, progress));
        let (caches, requests) = caches(desired, machine, &store_dir, &keys, progress);
        let lost = || Why("its observer broke".to_owned());
        let files = files(desired, machine);
        Observed {
            now: machine.now(),
            store_dir: store_dir.clone(),
            nix: nix.join().unwrap_or_else(|_| Observation::Unknown(lost())),
            store: store
                .join()
                .unwrap_or_else(|_| Observation::Unknown(lost())),
            caches,
            upstreams: BTreeMap::new(),
            outputs: outputs.join().unwrap_or_default(),
            directories: directories.join().unwrap_or_default(),
            given: explore::given(desired, machine),
            closed: closed(&files),
            files,
            keys,
            logins: BTreeMap::new(),
            distances: BTreeMap::new(),
            requests,
            environment: nix_conf::environment(&machine.host),
        }
    });
    observed.logins = service::logins(desired, machine, &observed, progress);
    service::fill(desired, machine, &mut observed, progress);
    observed.upstreams = explore::upstreams(desired, &observed, machine, progress, listener);
    short::fill(desired, machine, &mut observed, progress);
    priorities(desired, &mut observed, machine);
    observed.distances = nearest::measure(desired, machine, &observed);
    observed
}

/// The effective settings of Nix, and who the user is to it.
#[must_use]
pub fn settings(machine: &Machine) -> Observation<NixFacts> {
    match &machine.nix {
        Err(why) => Observation::Unknown(Why(why.clone())),
        Ok(None) => nix_conf::facts(&machine.host, None),
        Ok(Some(nix)) => {
            let from_nix = FromNix {
                version: nix.version().to_owned(),
                settings: nix.show_config().map_err(|error| sentence(&error)),
                trusted: nix.trusted().ok().flatten(),
            };
            nix_conf::facts(&machine.host, Some(&from_nix))
        }
    }
}

fn local_store(
    desired: &Desired,
    machine: &Machine,
    progress: &Progress,
) -> Observation<LocalStore> {
    let location = match &machine.store {
        Ok(location) => location,
        Err(why) => return Observation::Unknown(Why(why.clone())),
    };
    let mark = match desired
        .extra
        .mark
        .as_ref()
        .map(|name| machine.marks().load(name, location))
    {
        None => None,
        Some(Ok(mark)) => Some(mark),
        Some(Err(error)) => return Observation::Unknown(Why(sentence(&error))),
    };
    let nix = machine.nix.as_ref().ok().and_then(Option::as_ref);
    let ask = || match nix {
        Some(nix) => nix
            .path_info_all(&|| progress.is_stopped())
            .map_err(|error| sentence(&error)),
        None => Err("there is no Nix here".to_owned()),
    };
    let question = Question {
        since: mark.as_ref(),
        fallback: nix.is_some().then_some(&ask),
    };
    nix_store::observe(location, question)
}

fn outputs(
    desired: &Desired,
    machine: &Machine,
    progress: &Progress,
) -> BTreeMap<String, Observation<OutputFacts>> {
    let tops = desired.tops.iter().filter_map(|top| match &top.source {
        TopSource::Output(installable) => Some(installable.clone()),
        TopSource::Directory(_) | TopSource::Path(_) | TopSource::PathsFrom(_) => None,
    });
    let mut wanted: Vec<String> = tops.chain(optimize::warm_outputs(desired)).collect();
    wanted.sort();
    wanted.dedup();
    if wanted.is_empty() {
        return BTreeMap::new();
    }
    let unknown = |why: &str| {
        wanted
            .iter()
            .map(|name| (name.clone(), Observation::Unknown(Why(why.to_owned()))))
            .collect()
    };
    match &machine.nix {
        Err(why) => unknown(why),
        Ok(None) => unknown("there is no Nix here to evaluate it"),
        Ok(Some(nix)) => {
            let stopped = || progress.is_stopped();
            nix.evaluate(&wanted, &desired.config.flake, &desired.site.base, &stopped)
        }
    }
}

fn directories(
    desired: &Desired,
    machine: &Machine,
    store: &StoreDir,
    progress: &Progress,
) -> BTreeMap<String, Observation<Directories>> {
    let memory = machine.directories();
    let memory = (!machine.options.refresh).then_some(memory.as_path());
    let globs = desired.tops.iter().filter_map(|top| match &top.source {
        TopSource::Directory(glob) => Some(glob),
        TopSource::Output(_) | TopSource::Path(_) | TopSource::PathsFrom(_) => None,
    });
    globs
        .map(|glob| {
            (
                glob.clone(),
                directory::observe(camino::Utf8Path::new(glob), store, memory, progress),
            )
        })
        .collect()
}

/// The public halves of the signing keys.
fn keys(
    desired: &Desired,
    machine: &Machine,
    progress: &Progress,
) -> BTreeMap<CacheName, Observation<PublicKey>> {
    let signing = desired
        .caches
        .iter()
        .filter_map(|(name, cache)| Some((name.clone(), cache.signing.as_ref()?)));
    signing
        .map(|(name, signing)| {
            let key = secret::public_key(&machine.host, &desired.site.base, signing, progress);
            (name, key)
        })
        .collect()
}

/// Looks whether the key that is to sign, or was to, has signed this cache so far.
fn signed(
    view: &dyn CacheView,
    store: &StoreDir,
    signing: &Signing,
    key: Option<&Observation<PublicKey>>,
    progress: &Progress,
    content: &mut CacheContent,
) {
    let question = match key {
        Some(Observation::Present(key)) => signers::Question::Key(key),
        Some(Observation::Absent) if signing.generate => signers::Question::Name(&signing.name),
        Some(Observation::Absent | Observation::Unknown(_) | Observation::Error(_)) | None => {
            return;
        }
    };
    match signers::signed(view, store, content, question, progress) {
        Ok(signed) => content.signed = Some(signed),
        Err(error) => {
            let why = || Why(format!("failed to {}", sentence(&error)));
            content.partial.get_or_insert_with(why);
        }
    }
}

fn caches(
    desired: &Desired,
    machine: &Machine,
    store: &StoreDir,
    keys: &BTreeMap<CacheName, Observation<PublicKey>>,
    progress: &Progress,
) -> (
    BTreeMap<CacheName, Observation<CacheContent>>,
    BTreeMap<CacheName, Requests>,
) {
    let one = |name: &CacheName, declared: &Cache| {
        if let Some(service) = declared.place.service() {
            return (
                service::observe(machine, desired, service, store, progress),
                None,
            );
        }
        let cache = match machine.view(declared) {
            Ok(cache) => cache,
            Err(error) => {
                let why = format!("failed to {}", sentence(&error));
                return (Observation::Unknown(Why(why)), None);
            }
        };
        let view: &dyn CacheView = cache.as_ref();
        let index = machine.index(&declared.place);
        let index = (!machine.options.refresh).then_some(index.as_std_path());
        let seen = look::observe(
            view,
            &Look {
                store_dir: store,
                index,
                thorough: false,
                threads: 0,
            },
            progress,
        );
        let seen = match seen {
            Observation::Present(mut content) => {
                if let Some(signing) = &declared.signing {
                    signed(view, store, signing, keys.get(name), progress, &mut content);
                }
                // The clock of a folder is that of the machine, unless it is to be another time.
                let now = machine.options.now.unwrap_or(content.now);
                Observation::Present(CacheContent { now, ..content })
            }
            other => other,
        };
        (seen, view.sent())
    };
    let mut requests = BTreeMap::new();
    let caches = thread::scope(|scope| {
        let looks: Vec<_> = desired
            .caches
            .iter()
            .map(|(name, cache)| (name, scope.spawn(move || one(name, cache))))
            .collect();
        looks
            .into_iter()
            .map(|(name, look)| {
                // A failure of the program is nothing that could not be seen.
                let seen = look.join();
                let (seen, sent) = seen.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
                requests.extend(sent.map(|sent| (name.clone(), sent)));
                (name.clone(), seen)
            })
            .collect()
    });
    (caches, requests)
}

fn files(
    desired: &Desired,
    machine: &Machine,
) -> BTreeMap<String, Observation<crate::plan::observed::FileFacts>> {
    let Some(conf) = &desired.conf else {
        return BTreeMap::new();
    };
    let paths = [
        conf.nix_conf.as_path(),
        conf.fragment.as_path(),
        conf.tuning.as_path(),
    ];
    nix_conf::files(&machine.host, paths)
}

/// The absent files that cannot be made.
fn closed(
    files: &BTreeMap<String, Observation<crate::plan::observed::FileFacts>>,
) -> BTreeSet<String> {
    let absent = files
        .iter()
        .filter(|(_, seen)| matches!(seen, Observation::Absent));
    absent
        .filter(|(path, _)| !nix_conf::may_create(camino::Utf8Path::new(path)))
        .map(|(path, _)| path.clone())
        .collect()
}

/// Fills in the priorities of the substituters in effect: from our own look at a cache, else asked.
fn priorities(desired: &Desired, observed: &mut Observed, machine: &Machine) {
    if matches!(
        desired.config.setup.nix_conf,
        NixConf::Dir(_) | NixConf::None
    ) {
        return;
    }
    let Observation::Present(nix) = &mut observed.nix else {
        return;
    };
    let open: Vec<String> = nix
        .substituters
        .iter()
        .filter(|one| one.priority.is_none())
        .map(|one| one.url.clone())
        .collect();
    if open.is_empty() {
        return;
    }
    let brief = http::Options {
        connect_timeout: std::time::Duration::from_secs(2),
        idle_timeout: std::time::Duration::from_secs(2),
        ..http::Options::of(&machine.host)
    };
    let found = upstream::priorities(&open, &brief);
    for one in &mut nix.substituters {
        one.priority = one
            .priority
            .or_else(|| found.get(&one.url).copied().flatten());
    }
}
