//! Keys and logins.

use super::{Answer, CacheFacts, Code, Facts, Finding, path, refuses};
use crate::nix::conf::Setting;
use crate::nix::key::{PublicKey, Signature};
use crate::nix::narinfo::NarInfo;
use crate::plan::address::{fragment_address, nix_conf_address};

pub(super) fn check(facts: &Facts) -> Vec<Finding> {
    let mut found: Vec<Finding> = facts
        .words("trusted-public-keys")
        .filter_map(|word| malformed(facts, word))
        .collect();
    for cache in &facts.caches {
        found.extend(declared(facts, cache));
        found.extend(login(facts, cache));
        found.extend(signature(facts, cache));
    }
    found
}

fn malformed(facts: &Facts, word: &str) -> Option<Finding> {
    let error = word.parse::<PublicKey>().err()?;
    // Somebody may have put a secret key there: only the name is said.
    let name = word.split_once(':').map_or("a word", |(name, _)| name);
    let what = format!("{name} in `trusted-public-keys` is no public key: {error}");
    let effect = "Nix 2.8 stops with `public key is not valid` wherever it needs its keys; no Nix trusts anything by it";
    let finding = Finding::new(Code::KeyMalformed, what, effect)
        .remedy("copy the key again, whole, as NAME:BASE64");
    let setting = facts.conf.settings.get("trusted-public-keys");
    let mut lines = setting.into_iter().flat_map(Setting::origins);
    let line = lines.find(|origin| origin.words.iter().any(|it| it == word));
    Some(match line {
        Some(origin) => finding.at(format!("{}:{}", origin.file, origin.line)),
        None => finding,
    })
}

/// Whether a setting or the URL lets unsigned paths in.
fn lets_all_in(facts: &Facts, cache: &CacheFacts) -> bool {
    matches!(cache.parameter("trusted"), Some("1" | "true"))
        || facts
            .values
            .get("require-sigs")
            .is_some_and(|value| value == "false")
}

/// The keys that `cache.yaml` declares for a cache.
fn declared(facts: &Facts, cache: &CacheFacts) -> Option<Finding> {
    let name = cache.name.as_ref()?;
    if cache.keys.is_empty()
        || !cache.in_settings
        || lets_all_in(facts, cache)
        || facts.keys().any(|key| cache.keys.contains(&key))
    {
        return None;
    }
    let keys: Vec<String> = cache.keys.iter().map(ToString::to_string).collect();
    let same_name = facts.keys().find(|key| {
        cache
            .keys
            .iter()
            .any(|declared| declared.name() == key.name())
    });
    let finding = match same_name {
        Some(key) => Finding::new(
            Code::KeyDiffers,
            format!(
                "the key {} that Nix trusts is not the one that cache.yaml declares for {name}",
                key.name()
            ),
            "what the cache signs does not verify: Nix takes its paths for missing",
        ),
        None => Finding::new(
            Code::KeyMissing,
            format!("Nix does not trust the key of {name}"),
            "it asks the cache and then takes its paths for missing, for want of a signature that it trusts",
        ),
    };
    Some(
        finding
            .at(facts
                .place("trusted-public-keys")
                .unwrap_or_else(|| cache.base().to_owned()))
            .remedy("nanna-cache doctor --fix")
            .remedy(format!(
                "which writes: extra-trusted-public-keys = {}",
                keys.join(" ")
            ))
            .mended_by([fragment_address(), nix_conf_address()]),
    )
}

fn login(facts: &Facts, cache: &CacheFacts) -> Option<Finding> {
    let Answer::Got { status, .. } = &cache.info else {
        return None;
    };
    let (host, netrc) = (cache.host()?, &facts.netrc);
    if !refuses(*status) || netrc.hosts.iter().any(|known| known == host) {
        return None;
    }
    let url = cache.base();
    let effect = format!("{url} answers HTTP {status}, and no path comes from it");
    let path = &netrc.path;
    let reader = if facts.daemon {
        "root"
    } else {
        facts.user.as_str()
    };
    Some(if netrc.exists && !netrc.readable {
        Finding::new(
            Code::NetrcUnreadable,
            format!("{path} may not be read by who asks"),
            effect,
        )
        .at(path)
        .remedy(format!(
            "sudo chown {reader} {path} && sudo chmod 600 {path}"
        ))
    } else {
        let what = if netrc.exists {
            format!("{path} has no login for {host}")
        } else {
            format!("{url} wants a login, and there is no {path}")
        };
        Finding::new(Code::NetrcWithoutHost, what, effect)
            .at(path)
            .remedy(format!(
                "add to {path}: machine {host} login NAME password TOKEN"
            ))
            .remedy("or let `netrc-file` name the file that has it; Nix reads only one")
    })
}

/// Whether Nix takes the signatures of the path in this cache.
fn signature(facts: &Facts, cache: &CacheFacts) -> Option<Finding> {
    let info = path::narinfo(facts, cache)?;
    if lets_all_in(facts, cache) || info.has_valid_ca(&facts.store_dir) {
        return None;
    }
    let keys: Vec<PublicKey> = facts.keys().collect();
    if keys
        .iter()
        .any(|key| info.is_signed_by(key, &facts.store_dir))
    {
        return None;
    }
    Some(refused(facts, cache, &info, &keys).at(format!("{}/{}", cache.base(), info.file_name())))
}

fn refused(facts: &Facts, cache: &CacheFacts, info: &NarInfo, keys: &[PublicKey]) -> Finding {
    let url = cache.base();
    let effect = "Nix warns, if at all, and takes the path for missing: it is built";
    let names: Vec<&str> = info.signatures.iter().map(Signature::name).collect();
    if names.is_empty() {
        let full = facts.store_dir.display(&info.store_path);
        return Finding::new(
            Code::Unsigned,
            format!("{url} has the path without a signature"),
            effect,
        )
        .remedy(format!(
            "nix store sign --store '{url}' --key-file KEY {full}"
        ));
    }
    if let Some(key) = keys.iter().find(|key| names.contains(&key.name())) {
        let name = key.name();
        let what =
            format!("the signature by {name} was not made with the key {name} that Nix trusts");
        let finding = Finding::new(Code::KeyDiffers, what, effect);
        return finding.remedy(format!(
            "replace {name}:… in `trusted-public-keys` by the key the cache uses now"
        ));
    }
    let what = format!(
        "{url} has the path signed by {}, which Nix does not trust",
        names.join(", ")
    );
    let finding = Finding::new(Code::SignerNotTrusted, what, effect);
    let declared = cache.keys.iter().find(|key| names.contains(&key.name()));
    match declared {
        Some(key) => finding.remedy(format!("extra-trusted-public-keys = {key}")),
        None => finding.remedy(format!(
            "ask its owner for the public key, and add: extra-trusted-public-keys = {}:…",
            names.first().copied().unwrap_or_default()
        )),
    }
}
