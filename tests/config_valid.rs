//! Valid files: what they mean, that the schema is their source, that examples and docs are among them.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use std::fs;
use std::path::{Path, PathBuf};

use nanna_cache::config::model::{
    CacheKind, CacheName, ClassName, Classes, ClosureKind, Config, ExcludeNeeded, Foreign, Jobs,
    Method, NixConf, PinName, PinTarget, Storage,
};
use nanna_cache::config::read;
use nanna_cache::config::secret::SecretRef;
use nanna_cache::config::units::{Share, Size, Span};

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Reads a file of the repository; it must have no problem and no warning.
fn good(path: &str) -> Config {
    let bytes = fs::read(root().join(path)).unwrap();
    good_bytes(path, &bytes)
}

fn good_bytes(name: &str, bytes: &[u8]) -> Config {
    match read(name, bytes) {
        Ok((config, warnings)) => {
            assert!(warnings.is_empty(), "{name}: {:#?}", warnings.located());
            config
        }
        Err(problems) => panic!("{name}: {:#?}", problems.located()),
    }
}

/// Everything but the places, which differ between two files that mean the same.
fn meaning(mut config: Config) -> String {
    config.places = nanna_cache::text::place::Places::default();
    format!("{config:#?}")
}

#[test]
fn defaults_are_what_they_are_said_to_be() {
    let said = meaning(good("tests/fixtures/valid/defaults-written-out.yaml"));
    similar_asserts(&meaning(good("tests/fixtures/valid/smallest.yaml")), &said);
}

fn similar_asserts(left: &str, right: &str) {
    let lines = left
        .lines()
        .zip(right.lines())
        .find(|(left, right)| left != right);
    assert!(left == right, "first difference: {lines:?}");
}

#[test]
#[expect(
    clippy::too_many_lines,
    reason = "one file, looked at from top to bottom"
)]
fn every_key_and_form_is_understood() {
    let config = good("tests/fixtures/valid/everything.yaml");
    assert_eq!(
        (
            config.project.as_str(),
            config.flake.as_str(),
            config.systems.len()
        ),
        ("demo_2.x", "./nix", 3)
    );
    let cache = |name: &str| &config.caches[&CacheName::new(name)];
    let CacheKind::File(disk) = &cache("disk").kind else {
        panic!("a file cache")
    };
    assert_eq!(
        (cache("disk").tier, cache("disk").nix_priority),
        (Some(2), 0)
    );
    let key = disk.written.signing_key.as_ref().unwrap();
    assert_eq!(
        key.secret,
        SecretRef::Command(vec!["pass".into(), "show".into(), "key".into()])
    );
    assert_eq!(
        (key.name.as_str(), disk.written.max_size),
        ("demo-disk-7", Some(Size(1_500_000_000_000)))
    );
    assert_eq!(
        (
            disk.written.compression.method,
            disk.written.compression.level
        ),
        (Method::Xz, 0)
    );
    let CacheKind::File(env) = &cache("env").kind else {
        panic!("a file cache")
    };
    assert_eq!(
        (
            env.written.compression.level,
            env.written.signing_key.as_ref().unwrap().name.as_str()
        ),
        (6, "demo_2.x-env-1")
    );
    let priorities: Vec<u32> = config
        .caches
        .values()
        .map(|cache| cache.nix_priority)
        .collect();
    assert_eq!(
        priorities,
        [0, 41, 30, 36, 36, 36, 41, 41, 41, 7, 40],
        "given, tier 1, tier 3, given, with its replicas, upstream without tier"
    );
    let CacheKind::Bucket(bucket) = &cache("bucket").kind else {
        panic!("a bucket")
    };
    assert_eq!(bucket.bucket.storage, Storage::S3);
    assert_eq!(bucket.bucket.prefix, "team/nix");
    let url = bucket.bucket.url.as_deref();
    assert_eq!(url, Some("http://127.0.0.1:9000/team-cache/team/nix"));
    assert_eq!(bucket.written.max_size, Some(Size(50_000_000_000)));
    let replica = |name: &str| {
        let cache = cache(name);
        let CacheKind::Bucket(bucket) = &cache.kind else {
            panic!("{name} is a bucket");
        };
        (cache.replica.clone().unwrap(), bucket.bucket.clone())
    };
    let (far, bucket_there) = replica("bucket@eu-west-1");
    assert_eq!(
        (far.of.as_str(), far.name.as_str(), far.setting.as_str()),
        ("bucket", "eu-west-1", "/caches/bucket/replicas/0")
    );
    assert_eq!(
        (bucket_there.name.as_str(), bucket_there.prefix.as_str()),
        ("team-cache", "team/nix"),
        "what it does not set is that of its cache"
    );
    assert_eq!(bucket_there.region.as_deref(), Some("eu-west-1"));
    assert_eq!(
        bucket_there.endpoint.as_deref(),
        Some("http://127.0.0.1:9001")
    );
    let (_, office) = replica("bucket@office");
    assert_eq!(office.region.as_deref(), Some("eu-central-1"));
    assert_eq!(office.prefix, "nix");
    let (_, blob_there) = replica("blob@far");
    assert_eq!(
        (blob_there.account.as_deref(), blob_there.name.as_str()),
        (Some("teamstoragefar"), "nix")
    );
    // A setting is named where it stands.
    assert_eq!(
        config.setting("/caches/bucket@eu-west-1/endpoint"),
        "/caches/bucket/replicas/0/endpoint"
    );
    assert_eq!(
        config.words("/caches/bucket@eu-west-1/max-size"),
        "caches.bucket.max-size"
    );
    let CacheKind::Bucket(blob) = &cache("blob").kind else {
        panic!("a container")
    };
    assert_eq!(blob.bucket.account.as_deref(), Some("teamstorage"));
    assert_eq!(
        (cache("blob").tier, blob.bucket.name.as_str()),
        (Some(1), "nix-cache")
    );
    let CacheKind::Upstream { url } = &cache("plain").kind else {
        panic!("an upstream")
    };
    assert_eq!(url, "http://127.0.0.1:8080/cache", "no final slash");
    assert_eq!(cache("nixos").tier, None);

    let class = |name: &str| &config.classes[&ClassName::new(name)];
    let one = class("one");
    assert_eq!(
        (one.priority, one.retention, one.max_path_size),
        (100, Span(14 * 24 * 3600), None)
    );
    let closures: Vec<ClosureKind> = one.outputs.iter().map(|output| output.closure).collect();
    assert_eq!(
        closures,
        [
            ClosureKind::Runtime,
            ClosureKind::Runtime,
            ClosureKind::Build,
            ClosureKind::Dev
        ]
    );
    assert_eq!(
        (class("two").max_path_size, class("three").max_path_size),
        (Some(Size(500_000_000)), Some(Size(4 << 30)))
    );
    assert_eq!(
        (class("three").retention, class("three").default),
        (Span(14 * 24 * 3600), true)
    );
    assert!(one.patterns[1].is_match("0123456789abcdfghijklmnpqrsvwxyz-x"));

    assert_eq!(config.setup.nix_conf, NixConf::None);
    let push = &config.push;
    assert_eq!(
        (push.enabled, push.exclude_needed, push.paths.len()),
        (false, ExcludeNeeded::Refuse, 2)
    );
    assert_eq!(
        push.to[&CacheName::new("home")],
        Classes::Only(vec![ClassName::new("one"), ClassName::new("three")])
    );
    assert_eq!(
        (push.max_after_build, push.max_unasked),
        (Size(1 << 30), Size(0))
    );
    let optimize = &config.optimize;
    assert_eq!(
        (optimize.max_jobs, optimize.cores, optimize.http_connections),
        (Some(Jobs::Auto), Some(2), Some(50))
    );
    assert_eq!(
        (optimize.narinfo_ttl_positive, optimize.narinfo_ttl_negative),
        (Some(Span(30 * 86_400)), Some(Span(0)))
    );
    let settings: Vec<String> = optimize
        .nix_settings
        .iter()
        .map(|(name, value)| format!("{name} = {value}"))
        .collect();
    assert_eq!(
        settings,
        [
            "keep-outputs = true",
            "sandbox = relaxed",
            "tarball-ttl = 300",
            "system-features = kvm big-parallel"
        ]
    );
    assert_eq!(
        (
            config.prune.foreign,
            config.prune.grace,
            config.prune.enabled
        ),
        (Foreign::Retention, Span(3600), false)
    );
    assert_eq!(config.prune.limits.share, Share(1250));
    assert_eq!(
        (config.prune.limits.bytes, config.prune.limits.count),
        (Some(Size(20 << 30)), Some(1000))
    );
    let pin = |name: &str| &config.pins[&PinName::new(name)];
    assert_eq!(
        (&pin("v1").target, pin("v1").revisions),
        (&PinTarget::Output(".#a".into()), 3)
    );
    assert_eq!(
        (&pin("v2").target, pin("v2").revisions),
        (&PinTarget::Path("./result".into()), 1)
    );
    assert_eq!(
        pin("v3").target,
        PinTarget::PathsFrom("releases/v3.txt".into())
    );
    let place = config.places.nearest("/artifacts/one/match/1").unwrap();
    assert_eq!(
        (place.line, config.places.file.as_str()),
        (53, "tests/fixtures/valid/everything.yaml")
    );
}

#[test]
fn the_files_of_this_repository_are_valid() {
    let own = good("cache.yaml");
    assert_eq!(own.classes.len(), 7);
    let strategy = good("examples/nanna-coder/cache.yaml");
    let matrix: Vec<(u32, u64)> = strategy
        .classes
        .values()
        .map(|class| (class.priority, class.retention.0 / 86_400))
        .collect();
    assert_eq!(
        matrix,
        [
            (100, 30),
            (90, 14),
            (80, 60),
            (60, 90),
            (50, 30),
            (30, 90),
            (20, 180)
        ]
    );
    let first = good("examples/quickstart/cache.yaml");
    assert_eq!(first.setup.nix_conf, NixConf::Dir("out/nix".into()));
    assert!(
        first.classes.values().all(|class| class.outputs.is_empty()),
        "needs no Nix"
    );
    assert!(
        first
            .caches
            .values()
            .all(|cache| matches!(cache.kind, CacheKind::File(_))),
        "needs no network"
    );
}

/// A YAML block of the docs that begins with `version:` is a whole file.
#[test]
fn yaml_blocks_of_the_docs_are_valid() {
    let mut seen = 0;
    for file in ["README.md", "docs/cache-yaml.md"] {
        let Ok(text) = fs::read_to_string(root().join(file)) else {
            continue;
        };
        for block in text.split("```yaml\n").skip(1) {
            let block = block.split("```").next().unwrap();
            if block.contains("version: 1") {
                good_bytes(file, block.as_bytes());
                seen += 1;
            }
        }
    }
    assert!(seen > 0, "the docs hold no whole file");
}

#[test]
fn no_valid_fixture_is_forgotten() {
    for entry in fs::read_dir(root().join("tests/fixtures/valid")).unwrap() {
        let path = entry.unwrap().path();
        let name = Path::new("tests/fixtures/valid").join(path.file_name().unwrap());
        good(name.to_str().unwrap());
    }
}

#[test]
fn a_cache_of_cachix_has_its_usual_settings_and_those_that_are_given() {
    let read = |cache: &str| {
        let text = format!(
            "version: 1\nproject: demo\npush: {{ enabled: false }}\ncaches:\n  team: {{ type: cachix{cache} }}\n\
             artifacts: {{ all: {{ priority: 1, default: true }} }}\n"
        );
        let config = good_bytes("x", text.as_bytes());
        config.caches[&CacheName::new("team")].clone()
    };
    let kind = |cache: &nanna_cache::config::model::Cache| match &cache.kind {
        CacheKind::Cachix(cachix) => cachix.clone(),
        _ => panic!("a cache of cachix"),
    };
    let written_out = ", tier: 1, nix-priority: 41, name: team, url: 'https://team.cachix.org', \
                       api: 'https://cachix.org/api/v1/', insecure: false, visibility: public, \
                       compression: { method: zstd, level: 3 }, create: false, read-only: false, \
                       on-error: fail, records: keep, public-keys: []";
    let (short, long) = (read(""), read(written_out));
    assert_eq!(format!("{short:?}"), format!("{long:?}"));
    assert_eq!((short.tier, short.nix_priority), (Some(1), 41));
    let all = kind(&read(
        ", name: a-1, visibility: private, create: true, on-error: warn, token: { file: t }, \
         signing-key: { env: KEY }, compression: { method: xz }",
    ));
    assert_eq!((&*all.name, &*all.url), ("a-1", "https://a-1.cachix.org"));
    assert_eq!(
        all.visibility,
        nanna_cache::config::model::Visibility::Private
    );
    assert_eq!(all.on_error, nanna_cache::config::model::OnError::Warn);
    assert!(all.create && all.token_given);
    let key = all.written.signing_key.unwrap();
    assert_eq!(key.name, "a-1.cachix.org-1");
    let read_only = read(", read-only: true");
    assert!(read_only.kind.written().is_none());
    assert!(all.records && all.written.max_size.is_none());
    let other = kind(&read(", records: none, max-size: 2 GiB"));
    assert!(!other.records);
    assert_eq!(other.written.max_size.map(|size| size.0), Some(2 << 30));
}
