//! Our formats against the real Nix on this machine: NARs, store paths, hashes, path-info JSON
//! and settings. Each test says so and passes when there is no `nix`.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "helpers of tests: a panic is a failure, and what was skipped is said"
)]

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::{Command, Output};

use nanna_cache::nix::conf::{Effective, Entry, FileRead};
use nanna_cache::nix::content_address::{ContentAddress, Method, path_of_directory};
use nanna_cache::nix::hash::{Hash, Hasher, Sha256};
use nanna_cache::nix::nar;
use nanna_cache::nix::path_info::PathInfos;
use nanna_cache::nix::settings::{self, Kind, Version};
use nanna_cache::nix::store_path::StoreDir;

/// A place of our own: home, store and files.
struct Place(tempfile::TempDir);

impl Place {
    /// None, with a line that says so, when there is no Nix.
    fn new() -> Option<Self> {
        let there = Command::new("nix-store").arg("--version").output();
        if !there.is_ok_and(|output| output.status.success()) {
            println!("SKIPPED: no `nix-store` on the PATH");
            return None;
        }
        Some(Self(tempfile::tempdir().unwrap()))
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.0.path().join(name)
    }

    fn run(&self, program: &str, arguments: &[&str]) -> Output {
        let config = self.path("etc");
        fs::create_dir_all(&config).unwrap();
        let output = Command::new(program)
            .args(arguments)
            .env_remove("NIX_PATH")
            .env("HOME", self.path("home"))
            .env("NIX_CONF_DIR", config)
            .env("NIX_USER_CONF_FILES", "")
            .env(
                "NIX_CONFIG",
                "experimental-features = nix-command\nbuild-users-group =\n",
            )
            .output()
            .unwrap();
        let message = String::from_utf8_lossy(&output.stderr);
        assert!(
            output.status.success(),
            "{program} {arguments:?}: {message}"
        );
        output
    }

    fn text(&self, program: &str, arguments: &[&str]) -> String {
        String::from_utf8(self.run(program, arguments).stdout)
            .unwrap()
            .trim()
            .to_owned()
    }
}

/// A tree with everything that a NAR can hold.
fn make_tree(root: &Path) {
    fs::create_dir_all(root.join("sub/empty")).unwrap();
    for (name, content) in [
        ("A.b", "x".repeat(8)),
        ("B", String::new()),
        ("_", "12345678".repeat(100)),
        ("a b", "q".to_owned()),
        ("a-b", "seven b".to_owned()),
        ("~x", "y".repeat(9)),
        ("ä", "utf-8".to_owned()),
        ("sub/run", "#!/bin/sh\n".to_owned()),
        (&"n".repeat(255), "long".to_owned()),
    ] {
        fs::write(root.join(name), content).unwrap();
    }
    fs::set_permissions(root.join("sub/run"), fs::Permissions::from_mode(0o700)).unwrap();
    fs::set_permissions(root.join("_"), fs::Permissions::from_mode(0o604)).unwrap();
    symlink("nowhere/at all", root.join("a")).unwrap();
    symlink("/", root.join("sub/root")).unwrap();
}

/// Writes the NAR of `path`, and gives the size that its metadata say its node has.
fn write_nar(path: &Path, writer: &mut nar::Writer<&mut Vec<u8>>) -> u64 {
    use std::os::unix::ffi::OsStrExt;

    let metadata = fs::symlink_metadata(path).unwrap();
    if metadata.is_symlink() {
        let target = fs::read_link(path).unwrap();
        let target = target.as_os_str().as_bytes();
        writer.symlink(target).unwrap();
        return nar::size_of_symlink(target.len() as u64);
    }
    if metadata.is_file() {
        let executable = metadata.permissions().mode() & 0o100 != 0;
        writer.regular(executable, metadata.len()).unwrap();
        writer.content(&fs::read(path).unwrap()).unwrap();
        return nar::size_of_regular(metadata.len(), executable);
    }
    let entries: BTreeMap<Vec<u8>, _> = fs::read_dir(path)
        .unwrap()
        .map(|entry| entry.unwrap())
        .map(|entry| (entry.file_name().as_bytes().to_vec(), entry.path()))
        .collect();
    writer.directory().unwrap();
    let mut size = nar::SIZE_OF_DIRECTORY;
    for (name, path) in entries {
        writer.entry(&name).unwrap();
        size += nar::size_of_entry(name.len() as u64, write_nar(&path, writer));
    }
    writer.end().unwrap();
    size
}

fn nar_of(path: &Path) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut writer = nar::Writer::new(&mut bytes);
    let size = nar::size_of_nar(write_nar(path, &mut writer));
    writer.finish().unwrap();
    assert_eq!(bytes.len() as u64, size);
    bytes
}

#[test]
fn nars_and_store_paths_are_those_of_nix() {
    let Some(place) = Place::new() else { return };
    let store = place.path("store");
    let store = store.to_str().unwrap();
    let dir = StoreDir::default();
    make_tree(&place.path("tree.d"));
    fs::write(place.path("file.txt"), "Hello Nix cache\n").unwrap();
    symlink("target", place.path("link")).unwrap();
    for name in ["tree.d", "file.txt", "link"] {
        let path = place.path(name);
        let full = path.to_str().unwrap();
        let bytes = nar_of(&path);
        let dumped = place.run("nix-store", &["--dump", full]).stdout;
        assert!(bytes == dumped, "the NAR of {name} differs");
        assert_eq!(
            nar::Reader::new(dumped.as_slice()).finish().unwrap(),
            dumped.len() as u64
        );
        let mut hasher = Hasher::new();
        bytes.chunks(777).for_each(|piece| hasher.update(piece));
        let hash = hasher.finish();
        let sri = place.text("nix", &["hash", "path", full]);
        assert_eq!(hash.to_sri(), sri);
        assert_eq!(Sha256::parse(&sri).unwrap(), hash);
        let base32 = ["hash", "path", "--base32", full];
        assert_eq!(hash.to_nix32(), place.text("nix", &base32));
        let ours = path_of_directory(hash, name, &dir).unwrap();
        let theirs = place.text("nix-store", &["--store", store, "--add", full]);
        assert_eq!(dir.display(&ours).to_string(), theirs);
        assert_eq!(dir.parse(&theirs).unwrap(), ours);
    }
}

#[test]
fn fixed_paths_are_those_of_nix() {
    let Some(place) = Place::new() else { return };
    let store = place.path("store");
    let dir = StoreDir::default();
    let file = place.path("flat.bin");
    fs::write(&file, "flat body").unwrap();
    let file = file.to_str().unwrap();
    for algorithm in ["md5", "sha1", "sha256", "sha512"] {
        for (method, option) in [(Method::Flat, None), (Method::Nar, Some("--recursive"))] {
            let kind = if option.is_some() { "path" } else { "file" };
            let sri = place.text("nix", &["hash", kind, "--type", algorithm, file]);
            let address = ContentAddress {
                method,
                hash: sri.parse::<Hash>().unwrap(),
            };
            let ours = address.store_path([], false, "flat.bin", &dir).unwrap();
            let mut arguments = vec!["--store", store.to_str().unwrap()];
            arguments.push("--add-fixed");
            arguments.extend(option);
            arguments.extend([algorithm, file]);
            let theirs = place.text("nix-store", &arguments);
            assert_eq!(dir.display(&ours).to_string(), theirs, "{address}");
        }
    }
}

#[test]
fn path_info_is_understood() {
    let Some(place) = Place::new() else { return };
    let store = place.path("store");
    let store = store.to_str().unwrap();
    let file = place.path("file.txt");
    fs::write(&file, "Hello Nix cache\n").unwrap();
    let path = place.text(
        "nix-store",
        &["--store", store, "--add", file.to_str().unwrap()],
    );
    let missing = "/nix/store/gjnl1zk0xjcm7h0xqm5wimp3ic42cjf3-ref.txt";
    let offline = ["--option", "substituters", ""];
    let asked = [
        &["path-info", "--store", store, "--json", "-S", &path],
        &offline[..],
    ]
    .concat();
    let json = place.text("nix", &asked);
    let dir = StoreDir::default();
    let infos = PathInfos::parse(&json, &dir).unwrap();
    let info = &infos.known[0];
    assert_eq!(info.nar_hash, Sha256::of(&nar_of(&file)));
    assert_eq!((info.nar_size, info.closure_size), (128, Some(128)));
    assert_eq!(info.ca.unwrap(), ContentAddress::of_nar(info.nar_hash));
    assert_eq!(dir.display(&info.path).to_string(), path);
    let asked = [
        &["path-info", "--store", store, "--json", missing],
        &offline[..],
    ]
    .concat();
    let json = place.text("nix", &asked);
    let infos = PathInfos::parse(&json, &dir).unwrap();
    assert_eq!(infos.unknown, [dir.parse(missing).unwrap()]);
}

/// The value of a setting in the JSON of Nix, as words.
fn words(value: &serde_json::Value) -> Vec<String> {
    use serde_json::Value;

    match value {
        Value::Array(list) => list.iter().flat_map(words).collect(),
        Value::Object(map) => map
            .iter()
            .map(|(key, value)| format!("{key}={}", words(value).join(" ")))
            .collect(),
        Value::String(text) => text.split_whitespace().map(str::to_owned).collect(),
        other => vec![other.to_string()],
    }
}

fn settings_of(place: &Place) -> BTreeMap<String, serde_json::Value> {
    serde_json::from_str(&place.text("nix", &["show-config", "--json"])).unwrap()
}

#[test]
fn the_table_of_settings_is_that_of_nix() {
    let Some(place) = Place::new() else { return };
    let version = Version::parse(&place.text("nix", &["--version"])).unwrap();
    let theirs = settings_of(&place);
    for (name, setting) in &theirs {
        let info = settings::find(name).unwrap_or_else(|| panic!("`{name}` is not in the table"));
        assert!(info.is_known_to(version), "{name}");
        for alias in words(&setting["aliases"]) {
            assert_eq!(settings::find(&alias), Some(info), "{alias}");
        }
        let default = &setting["defaultValue"];
        if let Some(ours) = info.default {
            let ours: Vec<_> = ours.split_whitespace().map(str::to_owned).collect();
            assert_eq!(ours, words(default), "{name}");
        }
        // `sandbox` prints as a bool where it is one, experimental features as numbers.
        let fits = match info.kind {
            Kind::Bool => default.is_boolean(),
            Kind::Integer | Kind::IntegerOrAuto => default.is_number(),
            Kind::List | Kind::Set => default.is_array() || default.is_object(),
            Kind::Map => default.is_object(),
            Kind::OneOf(_) => default.is_boolean() || default.is_string(),
            Kind::Path | Kind::OptionalPath | Kind::Text => {
                default.is_string() || default.is_null() || default.is_array()
            }
        };
        assert!(fits, "{name}: {default} is no {:?}", info.kind);
    }
    for info in settings::all()
        .iter()
        .filter(|info| info.is_known_to(version))
    {
        let elsewhere = matches!(info.name, "darwin-log-sandbox-violations");
        // The main name was another one before 2.23.
        let renamed = info.aliases.iter().any(|alias| theirs.contains_key(*alias));
        assert!(
            elsewhere || renamed || theirs.contains_key(info.name),
            "{} is extra",
            info.name
        );
    }
}

#[test]
fn settings_come_out_as_nix_has_them() {
    let Some(place) = Place::new() else { return };
    let etc = place.path("etc");
    fs::create_dir_all(etc.join("more")).unwrap();
    let main = "cores = 3 # comment\r\nbuild-max-jobs = auto\nextra-substituters = https://a\n\
        include more/one.conf\n!include missing.conf\nextra-system-features = zz kvm aa\n\
        extra-trusted-users = me\naccess-tokens = b=2 nothing a=1\nfoo-bar = 1\n\
        extra-platforms = p2 p1 p2\nextra-extra-platforms = p0\nfallback = yes\n\
        trusted-public-keys = k:1\nextra-binary-cache-public-keys = k:2 k:1\n";
    fs::write(etc.join("nix.conf"), main).unwrap();
    let one = "substituters = https://b https://c https://b\nextra-binary-caches = https://d\n\
        !include ../nested.conf\n";
    fs::write(etc.join("more/one.conf"), one).unwrap();
    fs::write(
        etc.join("nested.conf"),
        "keep-outputs = 1\nsandbox = relaxed\n",
    )
    .unwrap();
    let theirs = settings_of(&place);
    let entry = Entry::File(etc.join("nix.conf").to_str().unwrap().to_owned());
    let ours = Effective::load(&[entry], |path| match fs::read(path) {
        Ok(bytes) => FileRead::Bytes(bytes),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => FileRead::Missing,
        Err(_) => FileRead::Unreadable,
    });
    assert_eq!(ours.errors, []);
    assert_eq!(ours.warnings.len(), 1);
    let mut compared = 0;
    for name in ours.settings.keys() {
        let Some(value) = ours.words(name) else {
            continue;
        };
        let value: Vec<String> = match (settings::find(name).unwrap().kind, value.as_slice()) {
            (Kind::Bool, [word]) => {
                vec![matches!(word.as_str(), "true" | "yes" | "1").to_string()]
            }
            (Kind::IntegerOrAuto, [word]) if word == "auto" => continue,
            _ => value,
        };
        assert_eq!(value, words(&theirs[*name]["value"]), "{name}");
        compared += 1;
    }
    assert!(compared >= 9, "{compared}");
}
