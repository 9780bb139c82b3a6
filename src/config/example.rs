//! The first `cache.yaml` of a project: commented, valid, made of what was found.
//!
//! Promise: whatever was found, [`text`] gives a file that [`super::read`] takes without a problem
//! or a warning. What cannot be used is left out and, where a person should know, said in a comment.
//! A secret that was found among public things is not repeated.

use std::collections::BTreeSet;
use std::fmt::Write;

use super::check::Check;
use super::leak;
use super::rules::places::normal_path;
use crate::nix::key::PublicKey;
use crate::text::yaml::Document;

/// What was found on the machine and in the project.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// A name for the project, such as that of its folder.
    pub project: String,
    /// Whether there is a flake.nix.
    pub flake: bool,
    /// Names of the flake's packages for this system, if they were looked up.
    pub packages: Vec<String>,
    /// Whether the flake has a default development shell.
    pub dev_shell: bool,
    /// The system of the machine, such as `x86_64-linux`.
    pub system: Option<String>,
    /// Substituters of the effective nix.conf, with their parameters; `None`: not known.
    pub substituters: Option<Vec<String>>,
    /// Trusted public keys of the effective nix.conf.
    pub public_keys: Vec<String>,
    /// A folder that is a binary cache already.
    pub cache_folder: Option<String>,
}

/// The upstream that every Nix knows.
const NIXOS: (&str, &str) = (
    "https://cache.nixos.org",
    "cache.nixos.org-1:6NCHdD59X431o0gWypbMrAURkbJ16ZPMQFGspcDShjY=",
);

/// How many packages become outputs; more is seldom meant.
const PACKAGES: usize = 8;

/// The text of a first `cache.yaml`.
#[must_use]
pub fn text(found: &Found) -> String {
    let project = name(&found.project);
    let mut out = String::new();
    out += "# How the binary caches of this project should be.\n";
    out += "# `nanna-cache reconcile` shows what would change, and with --apply changes it.\n";
    out += "# An editor completes and explains every key after `nanna-cache schema > cache.schema.json`, if\n";
    out += "# the first line is then `# yaml-language-server: $schema=cache.schema.json`.\n";
    out += "version: 1\n";
    let _ = writeln!(out, "project: {}", quote(&project));
    if found.flake {
        out += "flake: .                    # the folder of flake.nix\n";
    }
    let systems = found.system.as_deref().filter(|system| plain(system));
    if let Some(system) = systems {
        let _ = writeln!(out, "systems: [{system}]     # what {{system}} stands for");
    }
    caches(&mut out, found, &project);
    classes(&mut out, found);
    out += "\nsetup: { nix-conf: user }     # whose nix.conf learns of the caches: user, system, none or { dir: PATH }\n";
    out += "\npush:\n  to: { dev: all }            # or a list of classes\n";
    out += "  exclude: ['-source$']       # base names that are not pushed\n";
    if found.flake {
        // The installers of Nix set `max-jobs` already, and what is set here is set for the whole machine.
        let jobs = "max-jobs: auto            # as many builds at once as there are CPUs";
        if found.dev_shell && systems.is_some() {
            let _ = writeln!(out, "\noptimize:\n  # {jobs}");
            out +=
                "  warm: ['.#devShells.{system}.default']   # fetched before anything is built\n";
        } else {
            let _ = writeln!(out, "\n# optimize:\n#   {jobs}");
        }
    }
    out += "\nprune:\n  grace: 24h                  # nothing younger is deleted\n";
    out += "  limits: { share: 30% }      # deleting more of a cache at once is refused\n";
    out
}

fn caches(out: &mut String, found: &Found, project: &str) {
    let usual = format!("~/.cache/{project}/binary-cache");
    let folder = found
        .cache_folder
        .as_deref()
        .filter(|folder| usable_folder(folder));
    *out +=
        "\ncaches:\n  dev:                        # the cache of this machine\n    type: file\n";
    let _ = writeln!(out, "    path: {}", quote(folder.unwrap_or(&usual)));
    let key = format!("~/.config/nanna-cache/{project}-dev.sec");
    let _ = writeln!(
        out,
        "    signing-key: {{ file: {}, generate: true }}",
        quote(&key)
    );
    *out += "    max-size: 20 GiB\n";
    let (upstreams, without_key) = upstreams(found);
    for upstream in &upstreams {
        let _ = writeln!(out, "  {}:", quote(&upstream.name));
        *out += "    type: upstream            # only read: what it has is never pushed\n";
        let _ = writeln!(out, "    url: {}", quote(&upstream.url));
        if upstream.url.starts_with("http:") {
            *out += "    insecure: true            # as in nix.conf; https:// is better\n";
        }
        *out += "    public-keys:\n";
        for key in &upstream.keys {
            let _ = writeln!(out, "      - {}", quote(&key.to_string()));
        }
    }
    if found.substituters.as_ref().is_some_and(Vec::is_empty) {
        *out += "  # no upstream: `substituters` of nix.conf is empty\n";
    }
    for url in without_key {
        let _ = writeln!(
            out,
            "  # not taken over, for no public key in nix.conf is of its name: {url}"
        );
    }
}

fn classes(out: &mut String, found: &Found) {
    *out += "\ndefaults: { retention: 30d, max-path-size: 4 GiB }\n";
    *out += "\nartifacts:                    # a path belongs to the first class that matches it\n";
    let mut packages: Vec<&str> = found
        .packages
        .iter()
        .map(String::as_str)
        .filter(|name| plain(name))
        .collect();
    packages.dedup();
    let packages: BTreeSet<&str> = packages.into_iter().take(PACKAGES).collect();
    *out += "  dependencies:    { priority: 100, retention: 30d, match: ['-deps-', 'vendor-cargo-deps'] }\n";
    if !packages.is_empty() {
        let outputs: Vec<String> = packages.iter().map(|name| format!("'.#{name}'")).collect();
        let _ = writeln!(
            out,
            "  build-artifacts: {{ priority: 60, retention: 90d, outputs: [{}] }}",
            outputs.join(", ")
        );
    } else if found.flake {
        *out += "  # build-artifacts: { priority: 60, retention: 90d, outputs: ['.#default'] }\n";
    }
    *out += "  everything-else: { priority: 20, retention: 30d, default: true }\n";
}

struct Upstream {
    name: String,
    url: String,
    keys: Vec<PublicKey>,
}

/// The substituters that can be upstreams, and those that lack a key.
fn upstreams(found: &Found) -> (Vec<Upstream>, Vec<String>) {
    let keys: Vec<PublicKey> = found
        .public_keys
        .iter()
        .filter_map(|key| key.parse().ok())
        .collect();
    let mut upstreams: Vec<Upstream> = Vec::new();
    let mut without_key = Vec::new();
    let mut names = BTreeSet::from(["dev".to_owned()]);
    for substituter in found.substituters.iter().flatten() {
        let url = substituter.split('?').next().unwrap_or_default();
        let Some(url) = usable_url(url) else { continue };
        if upstreams
            .iter()
            .any(|known| known.url.eq_ignore_ascii_case(&url))
        {
            continue;
        }
        let host = url
            .split('/')
            .nth(2)
            .unwrap_or_default()
            .split(':')
            .next()
            .unwrap_or_default()
            .to_owned();
        // Of two keys of one name Nix keeps one; which, is not for us to choose.
        let mut own: Vec<PublicKey> = Vec::new();
        for key in keys.iter().filter(|key| of_host(key.name(), &host)) {
            if own.iter().all(|known| known.name() != key.name()) {
                own.push(key.clone());
            }
        }
        if own.is_empty() && url == NIXOS.0 {
            own.extend(NIXOS.1.parse().ok());
        }
        if own.is_empty() {
            without_key.push(url);
            continue;
        }
        let mut short = name(
            host.strip_prefix("cache.")
                .unwrap_or(&host)
                .split('.')
                .next()
                .unwrap_or_default(),
        );
        while !names.insert(short.clone()) {
            short += "-2";
            short = name(&short);
            if short.len() > 90 {
                break;
            }
        }
        upstreams.push(Upstream {
            name: short,
            url,
            keys: own,
        });
    }
    // Who says that Nix is to ask nobody is not overruled.
    if found.substituters.is_none() {
        let keys = NIXOS.1.parse().into_iter().collect();
        upstreams.push(Upstream {
            name: "nixos".to_owned(),
            url: NIXOS.0.to_owned(),
            keys,
        });
    }
    (upstreams, without_key)
}

/// Whether a key is of a host: `cache.nixos.org-1` of `cache.nixos.org`.
fn of_host(key: &str, host: &str) -> bool {
    let number = key
        .strip_prefix(host)
        .map(|rest| rest.trim_start_matches('-'));
    !host.is_empty() && number.is_some_and(|rest| rest.bytes().all(|byte| byte.is_ascii_digit()))
}

/// Runs a rule of the reader on one value.
fn accepted<T>(rule: impl FnOnce(&mut Check<'_>) -> T) -> Option<T> {
    let document = Document::parse(b"x: y").ok()?;
    let mut check = Check::new(&document);
    let value = rule(&mut check);
    check.problems.is_empty().then_some(value)
}

fn usable_url(url: &str) -> Option<String> {
    if leak::is_secret(url) {
        return None;
    }
    accepted(|check| check.url("/x", url, true)).flatten()
}

fn usable_folder(folder: &str) -> bool {
    let shown = !leak::is_secret(folder) && normal_path(folder) != ".";
    shown && accepted(|check| check.cache_path("/x", folder)).is_some()
}

/// Whether a word needs no quotes and can be part of an installable.
fn plain(word: &str) -> bool {
    let first = word.starts_with(|c: char| c.is_ascii_alphabetic());
    first
        && word.len() <= 100
        && word
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte))
}

/// A name that is allowed, as near to `from` as can be.
fn name(from: &str) -> String {
    let from = leak::conceal(from);
    let kept = from.chars().map(|c| {
        if c.is_ascii_alphanumeric() || "._-".contains(c) {
            c
        } else {
            '-'
        }
    });
    let kept: String = kept.take(80).collect();
    let kept = kept
        .trim_start_matches(['.', '_', '-'])
        .trim_end_matches('-');
    if kept.is_empty() {
        "project".to_owned()
    } else {
        kept.to_owned()
    }
}

/// A text as a YAML scalar on one line.
fn quote(text: &str) -> String {
    let bare = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '~' || c == '/')
        && text.len() > 1
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"~/._-".contains(&byte));
    let word = ["null", "true", "false"].contains(&text.to_ascii_lowercase().as_str());
    let url = text.starts_with("https://") && !text.contains([' ', '#', '\'', '"']);
    if (bare && !word) || url {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', "''"))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::model::{CacheKind, Config};
    use super::super::read;
    use super::*;

    fn config(found: &Found) -> Config {
        let text = text(found);
        match read("cache.yaml", text.as_bytes()) {
            Ok((config, warnings)) if warnings.is_empty() => config,
            Ok((_, problems)) | Err(problems) => panic!("{text}\n{:#?}", problems.located()),
        }
    }

    fn some() -> Found {
        let strings =
            |items: &[&str]| -> Vec<String> { items.iter().map(ToString::to_string).collect() };
        Found {
            project: "nanna coder".into(),
            flake: true,
            packages: strings(&["default", "harness"]),
            dev_shell: true,
            system: Some("x86_64-linux".into()),
            substituters: Some(strings(&[
                "https://cache.nixos.org/",
                "https://nanna-coder.cachix.org?priority=41",
                "https://nobody.example.org",
                "file:///x",
                "https://joe:hunter2@x.org",
            ])),
            public_keys: strings(&[
                NIXOS.1,
                "nanna-coder.cachix.org-1:U/8OwBxzrmKhrghm7KtNA3cRnYR5ioKlB637gbc2BF4=",
            ]),
            cache_folder: Some("/srv/it's a cache".into()),
        }
    }

    #[test]
    fn what_was_found_is_in_it() {
        insta::assert_snapshot!(text(&some()));
        let config = config(&some());
        assert_eq!(config.project, "nanna-coder");
        let caches: Vec<String> = config
            .caches
            .iter()
            .map(|(name, cache)| match &cache.kind {
                CacheKind::File(file) => format!("{name} {}", file.path),
                CacheKind::Cachix(cachix) => format!("{name} {}", cachix.url),
                CacheKind::Bucket(bucket) => format!("{name} {}", bucket.bucket.name),
                CacheKind::Upstream { url } => format!("{name} {url} {}", cache.public_keys.len()),
            })
            .collect();
        assert_eq!(
            caches,
            [
                "dev /srv/it's a cache",
                "nixos https://cache.nixos.org 1",
                "nanna-coder https://nanna-coder.cachix.org 1"
            ]
        );
        assert_eq!(config.optimize.warm.len(), 1);
        assert!(!text(&some()).contains("hunter2"));
    }

    #[test]
    fn nothing_found_is_enough() {
        insta::assert_snapshot!(text(&Found::default()));
        assert_eq!(config(&Found::default()).caches.len(), 2);
    }

    #[test]
    fn who_asks_nobody_is_not_overruled() {
        for (substituters, said) in [(vec![], true), (vec!["file:///x".to_owned()], false)] {
            let found = Found {
                substituters: Some(substituters),
                ..Found::default()
            };
            assert_eq!(config(&found).caches.len(), 1);
            let text = text(&found);
            assert!(!text.contains("nixos.org"), "{text}");
            assert_eq!(
                text.contains("no upstream: `substituters` of nix.conf is empty"),
                said
            );
        }
    }

    #[test]
    fn keys_belong_to_hosts_by_name() {
        assert!(of_host("cache.nixos.org-1", "cache.nixos.org") && of_host("x.org", "x.org"));
        assert!(
            !of_host("cache.nixos.org-1", "nixos.org")
                && !of_host("x.organ-1", "x.org")
                && !of_host("1", "")
        );
    }

    fn url() -> impl Strategy<Value = String> {
        prop_oneof![
            r"https?://[a-z.]{1,12}(:[0-9]{1,5})?(/[a-z'# ]{0,5})?(\?priority=[0-9])?",
            r"\PC{0,20}",
            Just("https://cache.nixos.org".to_owned())
        ]
    }

    proptest! {
        #[test]
        fn whatever_was_found_the_text_is_valid(
            project in r"\PC{0,120}", flake: bool, dev_shell: bool,
            packages in prop::collection::vec(r"[a-zA-Z0-9 '#._-]{0,10}", 0..12),
            system in prop::option::of(prop::sample::select(vec!["x86_64-linux", "aarch64-darwin"])),
            substituters in prop::option::of(prop::collection::vec(url(), 0..6)),
            hosts in prop::collection::vec(r"[a-z.]{1,12}(-[0-9])?", 0..4),
            cache_folder in prop::option::of(r"\PC{0,20}|[~/.a$ ']{0,8}"),
        ) {
            let mut public_keys: Vec<String> = hosts.iter().map(|host| NIXOS.1.replace("cache.nixos.org-1", host)).collect();
            for url in substituters.iter().flatten() {
                let host = url.split('/').nth(2).unwrap_or_default().split([':', '?']).next().unwrap_or_default();
                public_keys.push(NIXOS.1.replace("cache.nixos.org-1", host));
            }
            config(&Found { project, flake, packages, dev_shell, system: system.map(str::to_owned), substituters, public_keys, cache_folder });
        }
    }
}
