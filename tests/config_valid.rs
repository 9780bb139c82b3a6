//! Valid files: what they mean, that the schema is their source, that examples and docs are among them.

use std::fs;
use std::path::{Path, PathBuf};

use nanna_cache::config::model::{
    CacheKind, CacheName, ClassName, Classes, ClosureKind, Config, ExcludeNeeded, Foreign, Jobs, Method, NixConf, PinName,
    PinTarget,
};
use nanna_cache::config::secret::SecretRef;
use nanna_cache::config::units::{Share, Size, Span};
use nanna_cache::config::{read, schema};
use serde_json::Value as Json;

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
    let lines = left.lines().zip(right.lines()).find(|(left, right)| left != right);
    assert!(left == right, "first difference: {lines:?}");
}

/// Each default of the schema, put into a file where the key is missing, changes nothing.
#[test]
fn defaults_of_the_schema_are_written_out() {
    let text = fs::read_to_string(root().join("tests/fixtures/valid/defaults-written-out.yaml")).unwrap();
    let mut missing = Vec::new();
    visit(&schema::schema(), "", &mut |path, _, property| {
        let key = path.rsplit('.').next().unwrap();
        if property.get("default").is_some() && !path.starts_with("pins.") && !text.contains(&format!("{key}:")) {
            missing.push(path.to_owned());
        }
    });
    // Of an upstream, and of the mapping form of an output: both absent from a smallest file.
    missing.retain(|path| !path.ends_with(".insecure") && !path.ends_with(".closure"));
    assert!(missing.is_empty(), "defaults that no test looks at: {missing:?}");
}

#[test]
fn every_key_and_form_is_understood() {
    let config = good("tests/fixtures/valid/everything.yaml");
    assert_eq!((config.project.as_str(), config.flake.as_str(), config.systems.len()), ("demo_2.x", "./nix", 3));
    let cache = |name: &str| &config.caches[&CacheName::new(name)];
    let CacheKind::File(disk) = &cache("disk").kind else { panic!("a file cache") };
    assert_eq!((cache("disk").tier, cache("disk").nix_priority), (Some(2), 0));
    let key = disk.signing_key.as_ref().unwrap();
    assert_eq!(key.secret, SecretRef::Command(vec!["pass".into(), "show".into(), "key".into()]));
    assert_eq!((key.name.as_str(), disk.max_size), ("demo-disk-7", Some(Size(1_500_000_000_000))));
    assert_eq!((disk.compression.method, disk.compression.level), (Method::Xz, 0));
    let CacheKind::File(env) = &cache("env").kind else { panic!("a file cache") };
    assert_eq!((env.compression.level, env.signing_key.as_ref().unwrap().name.as_str()), (6, "demo_2.x-env-1"));
    let priorities: Vec<u32> = config.caches.values().map(|cache| cache.nix_priority).collect();
    assert_eq!(priorities, [0, 41, 30, 7, 40], "given, tier 1, tier 3, given, upstream without tier");
    let CacheKind::Upstream { url } = &cache("plain").kind else { panic!("an upstream") };
    assert_eq!(url, "http://127.0.0.1:8080/cache", "no final slash");
    assert_eq!(cache("nixos").tier, None);

    let class = |name: &str| &config.classes[&ClassName::new(name)];
    let one = class("one");
    assert_eq!((one.priority, one.retention, one.max_path_size), (100, Span(14 * 24 * 3600), None));
    let closures: Vec<ClosureKind> = one.outputs.iter().map(|output| output.closure).collect();
    assert_eq!(closures, [ClosureKind::Runtime, ClosureKind::Runtime, ClosureKind::Build, ClosureKind::Dev]);
    assert_eq!((class("two").max_path_size, class("three").max_path_size), (Some(Size(500_000_000)), Some(Size(4 << 30))));
    assert_eq!((class("three").retention, class("three").default), (Span(14 * 24 * 3600), true));
    assert!(one.patterns[1].is_match("0123456789abcdfghijklmnpqrsvwxyz-x"));

    assert_eq!(config.setup.nix_conf, NixConf::None);
    let push = &config.push;
    assert_eq!((push.enabled, push.exclude_needed, push.paths.len()), (false, ExcludeNeeded::Refuse, 2));
    assert_eq!(push.to[&CacheName::new("home")], Classes::Only(vec![ClassName::new("one"), ClassName::new("three")]));
    assert_eq!((push.max_after_build, push.max_unasked), (Size(1 << 30), Size(0)));
    let optimize = &config.optimize;
    assert_eq!((optimize.max_jobs, optimize.cores, optimize.http_connections), (Some(Jobs::Auto), Some(2), Some(50)));
    assert_eq!((optimize.narinfo_ttl_positive, optimize.narinfo_ttl_negative), (Some(Span(30 * 86_400)), Some(Span(0))));
    let settings: Vec<String> = optimize.nix_settings.iter().map(|(name, value)| format!("{name} = {value}")).collect();
    assert_eq!(settings, ["keep-outputs = true", "sandbox = relaxed", "tarball-ttl = 300", "system-features = kvm big-parallel"]);
    assert_eq!((config.prune.foreign, config.prune.grace, config.prune.enabled), (Foreign::Retention, Span(3600), false));
    assert_eq!(config.prune.limits.share, Share(1250));
    assert_eq!((config.prune.limits.bytes, config.prune.limits.count), (Some(Size(20 << 30)), Some(1000)));
    let pin = |name: &str| &config.pins[&PinName::new(name)];
    assert_eq!((&pin("v1").target, pin("v1").revisions), (&PinTarget::Output(".#a".into()), 3));
    assert_eq!((&pin("v2").target, pin("v2").revisions), (&PinTarget::Path("./result".into()), 1));
    assert_eq!(pin("v3").target, PinTarget::PathsFrom("releases/v3.txt".into()));
    let place = config.places.nearest("/artifacts/one/match/1").unwrap();
    assert_eq!((place.line, config.places.file.as_str()), (34, "tests/fixtures/valid/everything.yaml"));
}

#[test]
fn the_files_of_this_repository_are_valid() {
    let own = good("cache.yaml");
    assert_eq!(own.classes.len(), 7);
    let strategy = good("examples/nanna-coder/cache.yaml");
    let matrix: Vec<(u32, u64)> = strategy.classes.values().map(|class| (class.priority, class.retention.0 / 86_400)).collect();
    assert_eq!(matrix, [(100, 30), (90, 14), (80, 60), (60, 90), (50, 30), (30, 90), (20, 180)]);
    let first = good("examples/quickstart/cache.yaml");
    assert_eq!(first.setup.nix_conf, NixConf::Dir("out/nix".into()));
    assert!(first.classes.values().all(|class| class.outputs.is_empty()), "needs no Nix");
    assert!(first.caches.values().all(|cache| matches!(cache.kind, CacheKind::File(_))), "needs no network");
}

/// A YAML block of the docs that begins with `version:` is a whole file.
#[test]
fn yaml_blocks_of_the_docs_are_valid() {
    let mut seen = 0;
    for file in ["README.md", "docs/cache-yaml.md"] {
        let Ok(text) = fs::read_to_string(root().join(file)) else { continue };
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
fn the_schema_file_is_not_stale() {
    let path = root().join("schema/cache.schema.json");
    let text = schema::text();
    if std::env::var_os("NANNA_WRITE_SCHEMA").is_some() {
        fs::write(&path, &text).unwrap();
    }
    let found = fs::read_to_string(path).unwrap_or_default();
    assert!(found == text, "schema/cache.schema.json is stale; run with NANNA_WRITE_SCHEMA=1");
    assert_eq!(text, schema::text(), "the same text every time");
}

/// Calls `f` with the dotted path, the required keys beside it, and the schema of every key.
fn visit(schema: &Json, path: &str, f: &mut impl FnMut(&str, &[Json], &Json)) {
    let required: Vec<Json> = schema.get("required").and_then(Json::as_array).cloned().unwrap_or_default();
    for (key, property) in schema.get("properties").and_then(Json::as_object).into_iter().flatten() {
        let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
        f(&path, &required, property);
        visit(property, &path, f);
        for inner in ["additionalProperties", "items"] {
            if let Some(inner) = property.get(inner).filter(|inner| inner.is_object()) {
                visit(inner, &format!("{path}.*"), f);
            }
        }
    }
}

#[test]
fn every_key_helps_in_an_editor() {
    let mut count = 0;
    visit(&schema::schema(), "", &mut |path, required, property| {
        count += 1;
        let key = path.rsplit('.').next().unwrap();
        let text = property["description"].as_str().unwrap_or_else(|| panic!("{path} has no description"));
        assert!(text.len() > 20 && text.ends_with(['.', '`']), "{path}: {text}");
        assert!(property.get("type").is_some(), "{path} has no type of its own");
        let examples = property["examples"].as_array().unwrap_or_else(|| panic!("{path} has no example"));
        assert!(!examples.is_empty(), "{path}");
        let validator = jsonschema::draft202012::new(property).unwrap();
        for value in examples.iter().chain(property.get("default")) {
            assert!(validator.is_valid(value), "{path}: {value} does not fit its own schema");
        }
        let optional = !required.contains(&Json::from(key));
        let says = ["ithout", "not given", "One of", "Keep", "must"].iter().any(|word| text.contains(word));
        let secret = path.contains("signing-key");
        let phase = property["type"] == "object" || path.starts_with("optimize.") || path.starts_with("caches.");
        assert!(!optional || property.get("default").is_some() || says || secret || phase, "{path} does not say what it is by default");
        for (of, texts) in [("enum", "enumDescriptions")] {
            if property[of][0].is_string() {
                assert_eq!(property[of].as_array().unwrap().len(), property[texts].as_array().map_or(0, Vec::len), "{path}");
            }
        }
    });
    assert!(count > 50, "only {count} keys");
    let text = schema::text();
    for hidden in ["\"oneOf\"", "\"anyOf\"", "\"$ref\"", "\"null\"", "null"] {
        assert!(!text.contains(hidden), "{hidden} hides what an editor should show");
    }
}

/// The table of all keys, as docs/cache-yaml.md has it.
fn reference() -> String {
    let mut lines = vec!["| key | what it says |".to_owned(), "|---|---|".to_owned()];
    visit(&schema::schema(), "", &mut |path, required, property| {
        let key = path.rsplit('.').next().unwrap();
        let text = property["description"].as_str().unwrap();
        let code = |value: &Json| format!("`{}`", value.to_string().replace('|', "\\|"));
        let mut facts = Vec::new();
        if required.contains(&Json::from(key)) {
            facts.push("Required.".to_owned());
        }
        if let Some(values) = property.get("enum").and_then(Json::as_array) {
            let texts = property.get("enumDescriptions").and_then(Json::as_array);
            let value = |(at, value): (usize, &Json)| match texts.and_then(|texts| texts.get(at)).and_then(Json::as_str) {
                Some(text) => format!("{} ({text})", code(value)),
                None => code(value),
            };
            facts.push(format!("One of {}.", values.iter().enumerate().map(value).collect::<Vec<_>>().join(", ")));
        }
        if let Some(default) = property.get("default") {
            facts.push(format!("Default: {}.", code(default)));
        }
        facts.push(format!("Example: {}.", code(&property["examples"][0])));
        lines.push(format!("| `{}` | {text} {} |", path.replace(".*", ".NAME"), facts.join(" ")));
    });
    lines.join("\n")
}

#[test]
fn every_key_is_in_the_reference() {
    let path = root().join("docs/cache-yaml.md");
    let docs = fs::read_to_string(&path).unwrap();
    let (before, rest) = docs.split_once("<!-- keys").unwrap();
    let (mark, rest) = rest.split_once("-->").unwrap();
    let (_, after) = rest.split_once("<!-- end of keys -->").unwrap();
    let wanted = format!("{before}<!-- keys{mark}-->\n\n{}\n\n<!-- end of keys -->{after}", reference());
    if std::env::var_os("NANNA_WRITE_DOCS").is_some() {
        fs::write(&path, &wanted).unwrap();
    }
    let found = fs::read_to_string(&path).unwrap();
    assert!(found == wanted, "docs/cache-yaml.md is stale; run with NANNA_WRITE_DOCS=1");
}

#[test]
fn no_valid_fixture_is_forgotten() {
    for entry in fs::read_dir(root().join("tests/fixtures/valid")).unwrap() {
        let path = entry.unwrap().path();
        let name = Path::new("tests/fixtures/valid").join(path.file_name().unwrap());
        good(name.to_str().unwrap());
    }
}
