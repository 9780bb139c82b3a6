//! The real Nix substitutes from the stand-in, with `require-sigs`.

use nanna_cache::nix::hash::Sha256;

use crate::cachix::CacheSettings;
use crate::client::{Client, Thing};
use crate::support::real_nix::RealNix;
use crate::world;

/// Pushes everything that a path needs; the path itself first, as no order is asked for.
fn push_all(nix: &RealNix, client: &Client) -> (String, usize) {
    let population = nix.populate(9);
    let base = |full: &String| full.trim_start_matches("/nix/store/").to_owned();
    let infos = nix.paths();
    let mut wanted: Vec<_> = infos
        .iter()
        .filter(|info| population.paths.contains(&info.path))
        .collect();
    wanted.sort_by_key(|info| info.path != population.top);
    for (number, info) in wanted.iter().enumerate() {
        let dump = nix
            .command("nix-store")
            .args(["--dump", &nix.real(&info.path).to_string_lossy()])
            .output();
        let nar = dump.unwrap().stdout;
        assert_eq!(Sha256::of(&nar).to_hex(), info.nar_hash);
        let name = base(&info.path);
        let mut references: Vec<String> = info.references.iter().map(base).collect();
        references.sort();
        let thing = Thing {
            hash: name[..32].to_owned(),
            name: name[33..].to_owned(),
            nar,
            references,
            deriver: info.deriver.as_ref().map(base),
        };
        let method = if number % 2 == 0 { "zst" } else { "xz" };
        let reply = client.push_with(&thing, method, 1 << 20, |_| ());
        assert_eq!(reply.status, 200, "{}", reply.text());
    }
    (population.top, wanted.len())
}

#[test]
fn nix_substitutes_from_a_public_cache() {
    for nix in RealNix::all() {
        substitutes_from_a_public_cache(&nix);
    }
}

fn substitutes_from_a_public_cache(nix: &RealNix) {
    let (standin, client) = world(|cache| cache);
    let (top, count) = push_all(nix, &client);
    let cache = standin.cache("team");
    assert_eq!(cache.paths().len(), count);
    let key = cache.public_keys()[0].clone();
    let stranger = nix.generate_key("team.cachix.org-1").public;
    let other = nix.another();
    assert!(
        other.substitute(&cache.url(), &top, &[&stranger]).is_err(),
        "another key"
    );
    let other = nix.another();
    other.substitute(&cache.url(), &top, &[&key]).unwrap();
    assert_eq!(other.closure([&top]).len(), count);
    other.verify();
    assert!(standin.requests().count("GET", "/storage/nar/*") >= count);
    assert_eq!(standin.complaints(), [""; 0]);

    // A closure with a hole is not offered at all.
    let below = nix
        .path_info(&top)
        .unwrap()
        .references
        .into_iter()
        .find(|one| *one != top)
        .unwrap();
    assert!(cache.remove_path(&below["/nix/store/".len()..][..32]));
    assert!(
        nix.another()
            .substitute(&cache.url(), &top, &[&key])
            .is_err()
    );
}

#[test]
fn nix_substitutes_from_a_private_cache_through_netrc() {
    for nix in RealNix::all() {
        substitutes_through_netrc(&nix);
    }
}

fn substitutes_through_netrc(nix: &RealNix) {
    let (standin, client) = world(CacheSettings::private);
    let (top, count) = push_all(nix, &client);
    let cache = standin.cache("team");
    let key = cache.public_keys()[0].clone();
    assert!(
        nix.another()
            .substitute(&cache.url(), &top, &[&key])
            .is_err(),
        "no token"
    );
    let reader = standin.new_token(crate::cachix::Grant::Read("team".to_owned()));
    let other = nix.another();
    let netrc = other.scratch().join("netrc");
    std::fs::write(&netrc, format!("machine 127.0.0.1 password {reader}\n")).unwrap();
    let (url, netrc) = (cache.url(), netrc.to_string_lossy().into_owned());
    let mut arguments = vec!["--realise", &top, "--max-jobs", "0"];
    for (name, value) in [
        ("substituters", url.as_str()),
        ("require-sigs", "true"),
        ("trusted-public-keys", key.as_str()),
        ("netrc-file", netrc.as_str()),
    ] {
        arguments.extend(["--option", name, value]);
    }
    other.try_run("nix-store", arguments).unwrap();
    assert_eq!(other.closure([&top]).len(), count);
    other.verify();
}
