//! Gathers what doctor judges. Reads only.

use std::collections::{BTreeSet, VecDeque};
use std::os::unix::fs::MetadataExt as _;
use std::time::Duration;

use camino::{Utf8Path, Utf8PathBuf};

use super::machine::Machine;
use super::observe::settings;
use crate::insight::doctor::{Answer, CacheFacts, Facts, NetrcFacts, Remembered, askable, base};
use crate::nix::conf::{Effective, Entry, FileRead};
use crate::nix::hash::Sha256;
use crate::nix::narinfo::NarInfo;
use crate::nix::netrc;
use crate::nix::settings::Version;
use crate::nix::store_path::StorePath;
use crate::plan::address::cache_address;
use crate::plan::desired::Desired;
use crate::plan::observed::Observation;
use crate::plan::place::Place;
use crate::provider::nix_cli::Nix;
use crate::provider::nix_conf;
use crate::provider::upstream::{Login, Look, look, remembered};
use crate::sys::file;
use crate::sys::host::home_of;
use crate::sys::http::Options;

/// Largest small object, in bytes.
const SMALL: usize = 1 << 20;
/// Largest NAR that is read whole, in bytes.
const WHOLE: usize = 512 << 20;
/// Paths of a closure that are looked for.
const CLOSURE: usize = 2000;
/// The first version that finds its folder of memories by `NIX_CACHE_HOME`.
const CACHE_HOME: Version = Version {
    major: 2,
    minor: 25,
};

/// What is asked about.
#[derive(Clone, Debug, Default)]
pub struct Question {
    /// The path; `None`: the caches in general.
    pub path: Option<StorePath>,
    /// Read the NAR, whole.
    pub deep: bool,
    /// The folder whose `flake.nix` counts.
    pub base: Utf8PathBuf,
}

/// Looks at everything. `desired`: of `cache.yaml`, where there is one. Blocks.
#[must_use]
pub fn look_at(machine: &Machine, desired: Option<&Desired>, question: &Question) -> Facts {
    let host = &machine.host;
    let nix = machine.nix.as_ref().ok().and_then(Option::as_ref);
    let entries = nix_conf::entries(host, nix.map(Nix::version));
    let mut unreadable = Vec::new();
    let conf = Effective::load(&entries, |path| {
        let read = nix_conf::read(path);
        if read == FileRead::Unreadable {
            unreadable.push(path.to_owned());
        }
        read
    });
    let is_machine = |entry: &&Entry| matches!(entry, Entry::File(_));
    let machine_entries: Vec<Entry> = entries.iter().take(1).filter(is_machine).cloned().collect();
    let machine_conf = Effective::load(&machine_entries, nix_conf::read);
    let mut facts = Facts {
        now: host.now(),
        changed: machine_conf
            .files
            .iter()
            .filter_map(|file| changed(file))
            .collect(),
        user: host.user.clone(),
        conf,
        machine_conf,
        unreadable,
        path: question.path.clone(),
        flake_config: flake_config(&question.base),
        ..Facts::default()
    };
    if let Ok(location) = &machine.store {
        facts.store_dir = location.store.clone();
    }
    match settings(machine) {
        Observation::Present(seen) => {
            facts.daemon = seen.daemon;
            facts.trusted = seen.trusted;
            let values = seen.settings.into_iter();
            facts.values = values.map(|(name, it)| (name, it.value)).collect();
        }
        Observation::Absent => {}
        Observation::Unknown(why) | Observation::Error(why) => facts.refused = Some(why.0),
    }
    if facts.daemon {
        facts.daemon_started = nix_conf::started();
    }
    facts.caches = caches(&facts, desired);
    let text = login_file(machine, &mut facts);
    let options = Options {
        connect_timeout: Duration::from_secs(3),
        idle_timeout: Duration::from_secs(8),
        tries: 1,
        ..Options::of(host)
    };
    let memory = memory(machine, facts.daemon);
    let (now, path) = (facts.now, facts.path.clone());
    let ask = |cache: &mut CacheFacts| {
        one(
            cache,
            path.as_ref(),
            now,
            text.as_deref(),
            &options,
            memory.as_deref(),
        );
    };
    std::thread::scope(|scope| {
        let asked: Vec<_> = facts
            .caches
            .iter_mut()
            .map(|cache| scope.spawn(|| ask(cache)))
            .collect();
        // A thread that broke off leaves its cache as not asked.
        for thread in asked {
            drop(thread.join());
        }
    });
    whole(&mut facts, text.as_deref(), &options, question.deep);
    facts
}

/// When a file last changed.
fn changed(path: &str) -> Option<(String, i64)> {
    let meta = std::fs::metadata(path).ok()?;
    Some((path.to_owned(), meta.mtime()))
}

/// The flake here, if its `nixConfig` seems to name caches. Evaluating it would cost more than it tells.
fn flake_config(folder: &Utf8Path) -> Option<String> {
    let path = folder.join("flake.nix");
    let bytes = file::read_if_there(path.as_std_path(), SMALL as u64).ok()??;
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let lines = text
        .lines()
        .map(|line| line.split('#').next().unwrap_or_default());
    let code: String = lines.flat_map(|line| [line, "\n"]).collect();
    let (_, rest) = code.split_once("nixConfig")?;
    rest.contains("substituters").then(|| path.into_string())
}

/// The caches: those of the settings in their order, then those that are only declared.
fn caches(facts: &Facts, desired: Option<&Desired>) -> Vec<CacheFacts> {
    let mut caches: Vec<CacheFacts> = Vec::new();
    for url in facts.words("substituters") {
        if !caches.iter().any(|cache| cache.url == url) {
            let mut cache = CacheFacts::new(url);
            cache.in_settings = true;
            caches.push(cache);
        }
    }
    let Some(desired) = desired.filter(|desired| desired.conf.is_some()) else {
        return caches;
    };
    let mut declare = |url: String, name: &str| -> usize {
        let at = caches.iter().position(|cache| cache.base() == base(&url));
        let at = at.unwrap_or_else(|| {
            caches.push(CacheFacts::new(url));
            caches.len() - 1
        });
        if let Some(cache) = caches.get_mut(at) {
            cache.name = Some(name.to_owned());
        }
        at
    };
    let mut more = Vec::new();
    for (name, cache) in &desired.caches {
        let made_by = matches!(cache.place, Place::Folder(_)).then(|| cache_address(name));
        let at = declare(cache.place.substituter(), name.as_str());
        more.push((at, cache.public_keys.clone(), made_by));
    }
    for (name, cache) in &desired.upstreams {
        let at = declare(cache.url.clone(), name.as_str());
        more.push((at, cache.public_keys.clone(), None));
    }
    for (at, keys, made_by) in more {
        if let Some(cache) = caches.get_mut(at) {
            cache.keys = keys;
            cache.made_by = made_by;
        }
    }
    caches
}

/// Reads the netrc file; its text, for logins.
fn login_file(machine: &Machine, facts: &mut Facts) -> Option<String> {
    let system = nix_conf::system_folder(&machine.host)
        .join("netrc")
        .into_string();
    let path = facts.values.get("netrc-file").cloned().unwrap_or(system);
    let path = Utf8PathBuf::from(path);
    let text = match file::read_if_there(path.as_std_path(), SMALL as u64) {
        Ok(Some(bytes)) => Ok(Some(String::from_utf8_lossy(&bytes).into_owned())),
        Ok(None) => Ok(None),
        Err(error) => Err(error),
    };
    facts.netrc = NetrcFacts {
        path: path.to_string(),
        exists: path.exists() || text.is_err(),
        readable: matches!(text, Ok(Some(_))),
        hosts: Vec::new(),
    };
    let text = text.ok().flatten()?;
    for cache in &facts.caches {
        if let Some(host) = cache.host()
            && let Some(password) = netrc::password(&text, host)
        {
            machine.host.hide(password);
            facts.netrc.hosts.push(host.to_owned());
        }
    }
    Some(text)
}

/// The file in which Nix remembers what caches answered: of who asks them, which is root behind a daemon.
fn memory(machine: &Machine, daemon: bool) -> Option<Utf8PathBuf> {
    let host = &machine.host;
    let nix = machine.nix.as_ref().ok().and_then(Option::as_ref);
    let version = nix.and_then(|nix| Version::parse(nix.version()));
    let own = || {
        let knows = version.is_none_or(|version| version >= CACHE_HOME);
        let named = host.filled("NIX_CACHE_HOME").filter(|_| knows);
        let usual = || {
            let folder = host.filled("XDG_CACHE_HOME").map(Utf8PathBuf::from);
            folder
                .unwrap_or_else(|| host.home.join(".cache"))
                .join("nix")
        };
        named.map_or_else(usual, Utf8PathBuf::from)
    };
    let folder = if daemon && host.uid != 0 {
        home_of(0)?.join(".cache/nix")
    } else {
        own()
    };
    let newer = version.is_none_or(|version| {
        version
            >= Version {
                major: 2,
                minor: 31,
            }
    });
    let names = if newer {
        ["binary-cache-v7.sqlite", "binary-cache-v6.sqlite"]
    } else {
        ["binary-cache-v6.sqlite", "binary-cache-v7.sqlite"]
    };
    names
        .iter()
        .take(1)
        .map(|name| folder.join(name))
        .find(|path| path.exists())
}

/// The login for a cache.
fn login(cache: &CacheFacts, netrc: Option<&str>) -> Option<Login> {
    let (text, host) = (netrc?, cache.host()?);
    Some(Login {
        password: netrc::password(text, host)?.to_owned(),
        name: netrc::login(text, host).unwrap_or_default().to_owned(),
    })
}

fn answer(look: Result<Look, String>) -> Answer {
    match look {
        Ok(look) => Answer::Got {
            status: look.status,
            body: String::from_utf8_lossy(&look.body).into_owned(),
            size: look.size,
        },
        Err(why) => Answer::Silent(why),
    }
}

/// Asks one cache what it is, and whether it has the path.
fn one(
    cache: &mut CacheFacts,
    path: Option<&StorePath>,
    now: i64,
    netrc: Option<&str>,
    options: &Options,
    memory: Option<&Utf8Path>,
) {
    let url = cache.base().to_owned();
    if !askable(&url) {
        return;
    }
    let login = login(cache, netrc);
    let seen = look(&url, "nix-cache-info", login.as_ref(), SMALL, options);
    if let Ok(seen) = &seen {
        cache.took_ms = seen.took_ms;
        cache.ahead = seen.date.map(|date| date.saturating_sub(now));
    }
    cache.info = answer(seen);
    if let Some(memory) = memory
        && let Some((priority, of_path)) =
            remembered(memory, &url, path.map(StorePath::hash).as_ref())
    {
        cache.remembered_priority = Some(priority);
        cache.remembered = of_path.map(|(present, time)| Remembered { present, time });
    }
    let answers = matches!(cache.info, Answer::Got { status: 200, .. });
    if let Some(path) = path.filter(|_| answers) {
        let name = format!("{}.narinfo", path.hash());
        cache.narinfo = answer(look(&url, &name, login.as_ref(), SMALL, options));
    }
}

/// What the caches say of one path of the closure.
enum Found {
    /// One has it, with these references.
    There(Vec<StorePath>),
    /// None has it.
    Absent,
    /// One that may have it could not tell.
    Untold,
}

/// The closure and the NAR of the path, in each cache that has it.
fn whole(facts: &mut Facts, netrc: Option<&str>, options: &Options, deep: bool) {
    let Some(path) = facts.path.clone() else {
        return;
    };
    let asked: Vec<(usize, String, Option<Login>)> = facts
        .caches
        .iter()
        .enumerate()
        .filter(|(_, cache)| matches!(cache.narinfo, Answer::Got { .. }))
        .map(|(at, cache)| (at, cache.base().to_owned(), login(cache, netrc)))
        .collect();
    let dir = facts.store_dir.clone();
    let find = |path: &StorePath| {
        let name = format!("{}.narinfo", path.hash());
        let mut told = Found::Absent;
        for (_, url, login) in &asked {
            match look(url, &name, login.as_ref(), SMALL, options) {
                Ok(seen) if seen.status == 200 => {
                    // A narinfo that is none is said by `verify`; here the path is not "missing".
                    let info = NarInfo::parse(&String::from_utf8_lossy(&seen.body), &dir);
                    return info.map_or(Found::Untold, |info| Found::There(info.references));
                }
                Ok(seen) if matches!(seen.status, 403 | 404 | 410) => {}
                Ok(_) | Err(_) => told = Found::Untold,
            }
        }
        told
    };
    let (mut missing, mut walked) = (Vec::new(), false);
    let (mut untold, mut cut) = (0, false);
    for (at, url, login) in &asked {
        let Some(cache) = facts.caches.get_mut(*at) else {
            continue;
        };
        let Answer::Got {
            status: 200, body, ..
        } = &cache.narinfo
        else {
            continue;
        };
        let Ok(info) = NarInfo::parse(body, &dir) else {
            continue;
        };
        cache.nar = answer(look(url, &info.url, login.as_ref(), 0, options));
        // What is larger is for `verify`, which streams.
        let fits = info.file_size.is_some_and(|size| size <= WHOLE as u64);
        if deep
            && fits
            && let Some(hash) = info.file_hash
        {
            cache.damage = damage(look(url, &info.url, login.as_ref(), WHOLE, options), hash);
        }
        if !walked {
            walked = true;
            let mut known = BTreeSet::from([path.hash()]);
            let mut open: VecDeque<StorePath> = info.references.iter().cloned().collect();
            while let Some(next) = open.pop_front() {
                if !known.insert(next.hash()) {
                    continue;
                }
                if known.len() > CLOSURE {
                    cut = true;
                    break;
                }
                match find(&next) {
                    Found::Absent => missing.push(next),
                    Found::There(references) => open.extend(references),
                    Found::Untold => untold += 1,
                }
            }
        }
        cache.missing.clone_from(&missing);
        (cache.untold, cache.cut) = (untold, cut);
    }
}

/// What is wrong with the bytes of a NAR.
fn damage(look: Result<Look, String>, hash: Sha256) -> Option<String> {
    match look {
        Err(why) => Some(why),
        Ok(look) if look.status != 200 => None,
        Ok(look) => {
            let found = Sha256::of(&look.body);
            (found != hash).then(|| {
                format!(
                    "its hash is {} and should be {}",
                    found.to_nix32(),
                    hash.to_nix32()
                )
            })
        }
    }
}
