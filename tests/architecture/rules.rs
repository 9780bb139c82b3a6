//! The table of layers, and which outside names stay in which room.

use std::collections::{BTreeMap, BTreeSet};

use super::source::{Name, Source};

/// What each layer may use of ours, besides itself.
const LAYERS: &[(&str, &str)] = &[
    ("text", "nix"),
    ("nix", "text"),
    ("config", "text nix"),
    ("plan", "text nix config"),
    ("insight", "text nix config plan"),
    ("sys", ""),
    ("transfer", "text nix config plan sys"),
    ("ledger", "text nix config plan insight sys"),
    (
        "provider",
        "text nix config plan insight sys transfer ledger",
    ),
    (
        "engine",
        "text nix config plan insight sys transfer ledger provider exit",
    ),
    ("render", "text nix config plan insight"),
    ("exit", ""),
    (
        "cli",
        "text nix config plan insight sys transfer ledger provider engine render exit",
    ),
    ("main", "cli"),
    ("lib", "cli exit"),
];

/// Names from outside that these layers never use: they are pure.
const IMPURE: &[&str] = &[
    "std::fs",
    "std::env",
    "std::net",
    "std::process",
    "std::time::SystemTime",
    "std::time::Instant",
    "std::thread",
    "SystemTime::now",
    "Instant::now",
    "File::open",
    "Command::new",
    "getrandom",
    "tempfile",
    "rustix",
    "rusqlite",
    "tokio",
    "reqwest",
    "object_store",
    "indicatif",
    "tracing_subscriber",
];
const PURE: &[&str] = &["text", "nix", "config", "plan", "insight"];

/// A name that lives in some rooms only: `(name, files or folders below src/, why)`.
const MONOPOLIES: &[(&str, &[&str], &str)] = &[
    ("serde_yaml", &["text/"], "only `text` reads YAML"),
    ("clap", &["cli/"], "only `cli` knows the command line"),
    (
        "clap_complete",
        &["cli/"],
        "only `cli` knows the command line",
    ),
    (
        "object_store",
        &["provider/binary_cache/"],
        "one provider knows cloud stores",
    ),
    ("reqwest::Client::builder", &["sys/http.rs"], ONE_CLIENT),
    ("reqwest::Client::new", &["sys/http.rs"], ONE_CLIENT),
    ("reqwest::ClientBuilder", &["sys/http.rs"], ONE_CLIENT),
    ("reqwest::get", &["sys/http.rs"], ONE_CLIENT),
    (
        "rusqlite::Connection::open",
        &["sys/sqlite.rs"],
        ONE_DATABASE,
    ),
    (
        "rusqlite::Connection::open_with_flags",
        &["sys/sqlite.rs"],
        ONE_DATABASE,
    ),
    ("SystemTime::now", &["sys/clock.rs"], ONE_CLOCK),
    ("Timestamp::now", &["sys/clock.rs"], ONE_CLOCK),
    ("Zoned::now", &["sys/clock.rs"], ONE_CLOCK),
    ("println!", &["cli/output.rs"], ONE_PRINTER),
    ("print!", &["cli/output.rs"], ONE_PRINTER),
    ("eprintln!", &["cli/output.rs"], ONE_PRINTER),
    ("eprint!", &["cli/output.rs"], ONE_PRINTER),
    // Both of `sys` ask only whether it is a terminal.
    (
        "io::stdout",
        &["cli/output.rs", "sys/host.rs", "sys/terminal.rs"],
        ONE_PRINTER,
    ),
    ("anstream::stdout", &["cli/output.rs"], ONE_PRINTER),
    (
        "process::exit",
        &[],
        "the program ends by returning an `Exit`",
    ),
];
const ONE_CLIENT: &str = "one file builds the HTTP client";
const ONE_DATABASE: &str = "one file opens SQLite";
const ONE_CLOCK: &str = "one file reads the clock";
const ONE_PRINTER: &str = "one file prints";

/// Every rule broken, as `file:line: what`.
pub(crate) fn check(sources: &[Source]) -> Vec<String> {
    let layers: BTreeMap<&str, &str> = LAYERS.iter().copied().collect();
    let providers = providers(sources);
    let mut broken = Vec::new();
    for source in sources {
        let layer = match source.file.as_str() {
            "lib.rs" => "lib",
            "main.rs" => "main",
            _ => source.layer(),
        };
        let Some(allowed) = layers.get(layer) else {
            broken.push(format!(
                "src/{}:1: `{layer}` is no layer that the table knows",
                source.file
            ));
            continue;
        };
        let imports = imports(source);
        for name in &source.names {
            let full = spelled_out(&imports, name);
            let mut say =
                |what: String| broken.push(format!("src/{}:{}: {what}", source.file, name.line));
            if let Some(what) = between_layers(layer, allowed, name) {
                say(what);
            }
            if let Some(what) = within_provider(source, name, &providers) {
                say(what);
            }
            if let Some(what) = purity(layer, name) {
                say(what);
            }
            for (monopoly, rooms, why) in MONOPOLIES {
                let used = if monopoly.contains("::") || monopoly.ends_with('!') {
                    name.holds(monopoly) || full.holds(monopoly)
                } else {
                    name.begins(monopoly)
                };
                if used && !rooms.iter().any(|room| source.file.starts_with(room)) {
                    say(format!("`{monopoly}` is used here, but {why}"));
                }
            }
        }
    }
    broken.dedup();
    broken
}

fn between_layers(layer: &str, allowed: &str, name: &Name) -> Option<String> {
    let other = (name.begins("crate") && name.path.len() > 1).then(|| name.path[1].as_str())?;
    let is_layer = LAYERS.iter().any(|(each, _)| *each == other);
    if other == layer || allowed.split(' ').any(|each| each == other) {
        let part = name.path.get(2).map_or("", String::as_str);
        let hidden = match layer {
            _ if other != "config" || !part.starts_with(char::is_lowercase) => false,
            "cli" | "config" => false,
            _ => matches!(part, "raw" | "schema" | "validate" | "rules"),
        };
        return hidden.then(|| format!("`{layer}` may not use `config::{part}`"));
    }
    is_layer.then(|| format!("`{layer}` may not use `{other}`"))
}

/// The folders of outside systems.
fn providers(sources: &[Source]) -> BTreeSet<&str> {
    let inside = |source: &&Source| {
        source
            .file
            .strip_prefix("provider/")
            .is_some_and(|rest| rest.contains('/'))
    };
    sources
        .iter()
        .filter(inside)
        .map(|source| source.module[1].as_str())
        .collect()
}

/// A provider's folder knows the shared parts of `provider`, never another provider.
fn within_provider(source: &Source, name: &Name, providers: &BTreeSet<&str>) -> Option<String> {
    let own = source
        .module
        .get(1)
        .filter(|own| providers.contains(own.as_str()))?;
    let other = name
        .path
        .get(2)
        .filter(|_| name.begins("crate::provider"))?;
    (source.layer() == "provider" && own != other && providers.contains(other.as_str()))
        .then(|| format!("the provider `{own}` may not use the provider `{other}`"))
}

fn purity(layer: &str, name: &Name) -> Option<String> {
    if !PURE.contains(&layer) {
        return None;
    }
    // Types of addresses and exit codes do nothing.
    let harmless = [
        "std::net::IpAddr",
        "std::net::Ipv4Addr",
        "std::net::Ipv6Addr",
        "std::process::ExitCode",
    ];
    if harmless.iter().any(|each| name.begins(each)) {
        return None;
    }
    let impure = IMPURE.iter().find(|impure| {
        if impure.starts_with("std::") || !impure.contains("::") {
            name.begins(impure)
        } else {
            name.holds(impure)
        }
    })?;
    Some(format!("`{impure}` is used in `{layer}`, which is pure"))
}

/// What a file calls the things it imports; the first import of a name counts.
fn imports(source: &Source) -> BTreeMap<&str, &Name> {
    let mut imports = BTreeMap::new();
    for name in &source.names {
        if let Some(import) = &name.import {
            imports.entry(import.as_str()).or_insert(name);
        }
    }
    imports
}

/// The name with its first segment replaced by what the file imported under it.
fn spelled_out(imports: &BTreeMap<&str, &Name>, name: &Name) -> Name {
    let mut full = name.clone();
    let imported = name
        .path
        .first()
        .filter(|_| name.import.is_none())
        .and_then(|first| imports.get(first.as_str()));
    if let Some(imported) = imported {
        full.path.splice(..1, imported.path.iter().cloned());
    }
    full
}
