//! `push` and `setup`.

use indexmap::IndexMap;

use crate::config::check::{Check, below};
use crate::config::code::Code;
use crate::config::model::{
    Cache, CacheKind, CacheName, ClassName, Classes, ExcludeNeeded, NixConf, Push, Setup,
};
use crate::config::nearest::nearest;
use crate::config::problem::Problem;
use crate::config::raw::RawConfig;
use crate::config::raw::forms::{RawClasses, RawNixConf};
use crate::config::raw::phases::RawExcludeNeeded;
use crate::config::units::Size;

/// Checks `setup`.
pub(in crate::config) fn setup(
    check: &mut Check<'_>,
    raw: &RawConfig,
    caches: &IndexMap<CacheName, Cache>,
) -> Setup {
    let pointer = "/setup/nix-conf";
    let nix_conf = match &raw.setup.nix_conf {
        RawNixConf::Dir(dir) => {
            check.path(&below(pointer, "dir"), dir);
            NixConf::Dir(dir.clone())
        }
        RawNixConf::Word(word) => match word.as_str() {
            "user" => NixConf::User,
            "system" => NixConf::System,
            "none" => NixConf::None,
            other => {
                unknown_word(
                    check,
                    pointer,
                    other,
                    &["user", "system", "none"],
                    "`user`, `system`, `none` or `{ dir: PATH }`",
                );
                NixConf::None
            }
        },
    };
    if check.intact("/caches") {
        let known = places(caches);
        let known: Vec<&str> = known.iter().map(String::as_str).collect();
        for (at, name) in raw.setup.prefer.iter().enumerate() {
            let pointer = below("/setup/prefer", at.to_string());
            check.known(&pointer, false, "region or replica", name, &known);
        }
    }
    Setup {
        nix_conf,
        prefer: raw.setup.prefer.clone(),
    }
}

/// By what caches that have replicas, and these, can be preferred.
fn places(caches: &IndexMap<CacheName, Cache>) -> Vec<String> {
    let mut known: Vec<String> = Vec::new();
    let replicated = |name: &CacheName| {
        let mut replicas = caches.values().filter_map(|cache| cache.replica.as_ref());
        replicas.any(|replica| replica.of == *name)
    };
    for (name, cache) in caches {
        if cache.replica.is_some() || replicated(name) {
            known.extend(cache.called(name).into_iter().map(str::to_owned));
        }
    }
    known.sort();
    known.dedup();
    known
}

/// Reports a word that is not one of those possible.
pub(super) fn unknown_word(
    check: &mut Check<'_>,
    pointer: &str,
    word: &str,
    words: &[&str],
    possible: &str,
) {
    let name = pointer.rsplit('/').next().unwrap_or_default();
    let problem = Problem::new(Code::UnknownValue, format!("`{name}` cannot be `{word}`"));
    let help = match nearest(word, words.iter().copied()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("possible: {possible}"),
    };
    check.report(problem.at(check.value(pointer), "").help(help));
}

/// Checks `push`.
pub(in crate::config) fn check(
    check: &mut Check<'_>,
    raw: &RawConfig,
    caches: &IndexMap<CacheName, Cache>,
) -> Push {
    let to = targets(check, raw, caches);
    for (at, path) in raw.push.paths.iter().enumerate() {
        check.path(&below("/push/paths", at.to_string()), path);
    }
    let exclude = raw.push.exclude.iter().enumerate();
    let exclude = exclude
        .filter_map(|(at, pattern)| check.regex(&below("/push/exclude", at.to_string()), pattern))
        .collect();
    if raw.push.enabled {
        useful(check, &to, caches);
    }
    let limits = &raw.push.limits;
    let secrets = super::gate::secrets(check, raw);
    Push {
        enabled: raw.push.enabled,
        to,
        paths: raw.push.paths.clone(),
        exclude,
        exclude_needed: match raw.push.exclude_needed {
            RawExcludeNeeded::HoldBack => ExcludeNeeded::HoldBack,
            RawExcludeNeeded::Push => ExcludeNeeded::Push,
            RawExcludeNeeded::Refuse => ExcludeNeeded::Refuse,
        },
        max_after_build: check
            .size("/push/limits/after-build", &limits.after_build)
            .unwrap_or(Size(0)),
        max_unasked: check
            .size("/push/limits/unasked", &limits.unasked)
            .unwrap_or(Size(0)),
        secrets,
    }
}

fn targets(
    check: &mut Check<'_>,
    raw: &RawConfig,
    caches: &IndexMap<CacheName, Cache>,
) -> IndexMap<CacheName, Classes> {
    let writable = caches
        .iter()
        .filter(|(_, cache)| cache.kind.written().is_some());
    let Some(given) = &raw.push.to else {
        return writable
            .map(|(name, _)| (name.clone(), Classes::All))
            .collect();
    };
    let known_caches = check.names("/caches");
    let known_classes = check.names("/artifacts");
    let mut targets = IndexMap::new();
    for (name, classes) in given {
        let pointer = below("/push/to", name);
        let cache = CacheName::new(name);
        if check.known(&pointer, true, "cache", name, &known_caches)
            && matches!(
                caches.get(&cache).map(|cache| &cache.kind),
                Some(kind) if kind.written().is_none()
            )
        {
            let problem = Problem::new(
                Code::ReadOnlyTarget,
                format!("the cache `{name}` is only read"),
            );
            let declared = check.entry(&below("/caches", name));
            let what = match caches.get(&cache).map(|cache| &cache.kind) {
                Some(CacheKind::Upstream { .. }) => "an upstream",
                _ => "`read-only`",
            };
            let problem = problem
                .at(check.entry(&pointer), "pushed to here")
                .at(declared, what);
            check.report(problem.help("push to a cache of `type: file`"));
        }
        let classes = match classes {
            RawClasses::Word(word) => {
                if word != "all" {
                    let problem =
                        Problem::new(Code::UnknownValue, format!("`{name}` cannot take `{word}`"));
                    let help = if known_classes.contains(&word.as_str()) {
                        format!("write a list: `{name}: [{word}]`")
                    } else {
                        "write `all`, or a list of classes".to_owned()
                    };
                    check.report(problem.at(check.value(&pointer), "").help(help));
                }
                Classes::All
            }
            RawClasses::List(classes) => {
                for (at, class) in classes.iter().enumerate() {
                    check.known(
                        &below(&pointer, at.to_string()),
                        false,
                        "artifact class",
                        class,
                        &known_classes,
                    );
                }
                Classes::Only(classes.iter().map(ClassName::new).collect())
            }
        };
        // A replica takes what its cache takes.
        let is_replica = |other: &Cache| other.replica.as_ref().is_some_and(|it| it.of == cache);
        let replicas = caches.iter().filter(|(_, other)| is_replica(other));
        let replicas: Vec<CacheName> = replicas.map(|(name, _)| name.clone()).collect();
        for name in std::iter::once(cache.clone()).chain(replicas) {
            targets.insert(name, classes.clone());
        }
    }
    targets
}

/// Warns where a push would be of no use.
fn useful(
    check: &mut Check<'_>,
    to: &IndexMap<CacheName, Classes>,
    caches: &IndexMap<CacheName, Cache>,
) {
    if to.is_empty() && check.intact("/push/to") && check.intact("/caches") {
        let problem = Problem::new(
            Code::NowhereToPush,
            "push is on, but no cache takes anything",
        );
        let place = ["/push/to", "/push", "/caches"]
            .into_iter()
            .find(|pointer| check.document.find(pointer).is_some());
        let help = "add a cache of `type: file` and name it in `push.to`, or say `push: { enabled: false }`";
        check.report(
            problem
                .at(check.entry(place.unwrap_or_default()), "")
                .help(help),
        );
    }
    for name in to.keys() {
        // Cachix signs by itself.
        let file = caches
            .get(name)
            .filter(|cache| matches!(cache.kind, CacheKind::File(_)));
        let written = file.and_then(|cache| cache.kind.written());
        let unsigned = written.is_some_and(|written| written.signing_key.is_none());
        let pointer = below("/caches", name.as_str());
        if unsigned && check.intact(&pointer) {
            let problem = Problem::new(
                Code::UnsignedCache,
                format!("what is pushed to `{name}` carries no signature of its own"),
            );
            let help = "Nix takes unsigned paths only from users it trusts; add `signing-key: { file: PATH, generate: true }`";
            check.report(
                problem
                    .at(check.entry(&pointer), "has no `signing-key`")
                    .help(help),
            );
        }
    }
}
