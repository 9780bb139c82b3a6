//! Cachix, from the plan to the real Nix, against the stand-in; and what becomes of every fault of it.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

#[path = "fake/cachix/mod.rs"]
mod cachix;
mod e2e_world;
#[path = "e2e_cachix/faults.rs"]
mod faults;
#[path = "e2e_cachix/records.rs"]
mod records;
mod support;

use cachix::{CacheSettings, Grant, Settings, StandIn};
use e2e_world::World;
use support::real_nix::RealNix;

/// A host with a project of three paths, and a stand-in with its cache.
pub struct Team {
    pub world: World,
    pub standin: StandIn,
}

const PACKAGES: &str = r#"
  lib = sh "lib" [] "echo lib > $out";
  app = sh "app" [ lib ] "echo $inputs > $out";
"#;

impl Team {
    /// With the Nix that every machine has; none: it is not here.
    fn new(change: impl FnOnce(CacheSettings) -> CacheSettings) -> Option<Self> {
        let nix = RealNix::old()?;
        let standin = StandIn::start(Settings::default().cache(change(CacheSettings::new("team"))));
        let mut world = World::new(nix);
        world.flake(PACKAGES);
        world.bed.set("CACHIX_AUTH_TOKEN", standin.token());
        // Tests do not wait as long as a client would.
        world.bed.set("NANNA_CACHE_TEST_PATIENCE", "0.6");
        let team = Self { world, standin };
        team.declare("", "");
        Some(team)
    }

    /// Writes `cache.yaml`, with more keys of the cache and more of the file.
    fn declare(&self, cache: &str, rest: &str) {
        let key = self.standin.cache("team").public_keys();
        let keys = key
            .first()
            .map_or_else(String::new, |key| format!("public-keys: [{key}]\n    "));
        self.world.whole_config(&format!(
            "version: 1
project: e2e
systems: [@SYSTEM@]
caches:
  team:
    type: cachix
    api: {}
    url: {}
    insecure: true
    {keys}{cache}
artifacts: {{ apps: {{ priority: 50, outputs: ['.#app'], default: true }} }}
{rest}",
            self.standin.api(),
            self.standin.cache("team").url(),
        ));
    }

    /// Base names of what the stand-in has, without the hash, and without our records.
    fn names(&self) -> Vec<String> {
        let paths = self.standin.cache("team").paths();
        let mut names: Vec<String> = paths.iter().map(|path| path[33..].to_owned()).collect();
        names.retain(|name| name != "nanna-cache-record");
        names.sort();
        names
    }

    /// Names of the pins, without those of our records.
    fn pins(&self) -> Vec<String> {
        let pins = self.standin.cache("team").pins().into_iter();
        let mut names: Vec<String> = pins.map(|pin| pin.name).collect();
        names.retain(|name| !name.starts_with("nanna-cache."));
        names
    }

    /// Our records.
    fn records(&self) -> Vec<cachix::Pin> {
        let mut pins = self.standin.cache("team").pins();
        pins.retain(|pin| pin.name.starts_with("nanna-cache."));
        pins
    }

    /// The token is in no file that the program wrote.
    #[track_caller]
    fn assert_no_token(&self) {
        let found = holding(self.world.bed.root(), self.standin.token());
        assert_eq!(found, [""; 0]);
        assert_eq!(self.standin.complaints(), [""; 0]);
    }
}

/// Files below a folder that hold a text, plain or in one of the forms in which it travels.
fn holding(folder: &std::path::Path, text: &str) -> Vec<String> {
    let hex = data_encoding::HEXLOWER.encode(text.as_bytes());
    let base64 = data_encoding::BASE64.encode(text.as_bytes());
    let of_netrc = data_encoding::BASE64.encode(format!("cachix:{text}").as_bytes());
    let forms = [text.to_owned(), hex, base64, of_netrc];
    forms
        .iter()
        .flat_map(|form| holding_one(folder, form))
        .collect()
}

fn holding_one(folder: &std::path::Path, text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_symlink() {
            continue;
        }
        if path.is_dir() {
            found.extend(holding_one(&path, text));
        } else if let Ok(bytes) = std::fs::read(&path)
            && bytes
                .windows(text.len())
                .any(|window| window == text.as_bytes())
        {
            found.push(path.display().to_string());
        }
    }
    found
}

#[test]
fn plan_apply_empty_plan_and_the_real_nix_substitutes() {
    let Some(team) = Team::new(|cache| cache) else {
        return;
    };
    let world = &team.world;
    team.declare(
        "",
        "pins: { release: { output: '.#app', keep: { revisions: 3 } } }\n",
    );
    let plan = world.run("reconcile").success();
    assert!(plan.stdout.contains("team"), "{plan}");
    assert_eq!(team.names(), [""; 0], "a plan writes nothing");
    let applied = world.run("reconcile --apply").success();
    assert!(!applied.stdout.contains("failed"), "{applied}");
    assert_eq!(team.names(), ["app", "lib"]);
    world.assert_nothing_to_do();
    assert_eq!(team.pins(), ["release"]);
    assert_eq!(team.records().len(), 1);
    assert_eq!(team.standin.uploads(), 0, "uploads are left open");
    // Whoever has nothing but the settings that were written gets it, and checks the signature.
    let other = world.nix.another();
    let _ = world
        .with_nix_in(
            &other,
            "nix build --no-link .#app --max-jobs 0 --option require-sigs true",
        )
        .success();
    team.assert_no_token();
}

/// The number of the first line of `cache.yaml` that begins so, after its indentation.
fn line_of(team: &Team, start: &str) -> String {
    let text = std::fs::read_to_string(team.world.bed.work().join("cache.yaml"));
    let text = text.unwrap();
    let at = text
        .lines()
        .position(|line| line.trim_start().starts_with(start));
    (at.unwrap() + 1).to_string()
}

#[test]
fn drift_made_by_hand_shows_in_the_next_plan() {
    let Some(team) = Team::new(|cache| cache) else {
        return;
    };
    let world = &team.world;
    team.declare(
        "visibility: public",
        "pins: { release: { output: '.#app' } }\n",
    );
    world.converge();
    let cache = team.standin.cache("team");
    // One line of a plan that says this, with the line of cache.yaml.
    let says = |plan: &str, words: &str, line: &str| {
        let mut with = plan.lines().filter(|text| text.contains(words));
        let found = with.next().unwrap_or_else(|| panic!("{words}:\n{plan}"));
        assert!(found.contains(line), "{line} in {found}");
        assert!(with.next().is_none(), "{words} twice:\n{plan}");
    };
    assert!(cache.remove_pin("release"));
    let plan = world.run("reconcile --detailed-exitcode").fails(2);
    let line = format!("cache.yaml:{}", line_of(&team, "pins:"));
    says(&plan.stdout, "+ pin release", &line);
    world.converge();
    cache.set_public(false);
    let plan = world.run("reconcile").success();
    says(&plan.stdout, "it is private, and should be public", "");
    let line = format!("! team  (cache.yaml:{})", line_of(&team, "visibility:"));
    says(&plan.stdout, &line, "");
    cache.set_public(true);
    let stranger = world.nix.generate_key("team.cachix.org-1").public;
    cache.show_keys(Some(vec![stranger.clone()]));
    let plan = world.run("reconcile").fails(4);
    says(&plan.stdout, "team signs with", "");
    let line = format!("(line {})", line_of(&team, "public-keys:"));
    says(&plan.stdout, &line, "");
    let fragment = std::fs::read_to_string(world.bed.home().join(".config/nix/nanna-cache.conf"));
    assert!(
        !fragment.unwrap().contains(&stranger),
        "a key is never learnt"
    );
    cache.show_keys(None);
    let lib = cache
        .paths()
        .into_iter()
        .find(|path| path.ends_with("-lib"));
    assert!(cache.remove_path(&lib.unwrap()[..32]));
    let plan = world.run("reconcile --detailed-exitcode").fails(2);
    assert!(plan.stdout.contains("path"), "{plan}");
    team.assert_no_token();
}

#[test]
fn a_cache_is_made_where_that_is_asked_for() {
    let Some(team) = Team::new(|cache| cache) else {
        return;
    };
    let world = &team.world;
    let declare = |create: &str| {
        world.whole_config(&format!(
            "version: 1
project: e2e
caches:
  fresh: {{ type: cachix, api: '{}', url: '{}/fresh', insecure: true, visibility: private{create} }}
artifacts: {{ apps: {{ priority: 50, outputs: ['.#app'], default: true }} }}
",
            team.standin.api(),
            team.standin.url(),
        ));
    };
    declare("");
    let plan = world.run("reconcile").success();
    assert!(plan.stdout.contains("create: true"), "{plan}");
    declare(", create: true");
    let _ = world.run("reconcile --apply").success();
    let cache = team.standin.cache("fresh");
    assert!(cache.exists());
    assert_eq!(cache.paths().len(), 3, "two, and a record");
    let plan = world.run("reconcile").success();
    assert!(
        plan.stdout.contains(&cache.public_keys()[0]),
        "the key to declare: {plan}"
    );
    let netrc = world.bed.home().join(".config/nix/netrc");
    let found = holding(world.bed.root(), team.standin.token());
    assert_eq!(found, [netrc.display().to_string()]);
}

#[test]
fn without_a_token_a_public_cache_is_planned() {
    let Some(mut team) = Team::new(|cache| cache) else {
        return;
    };
    team.world.bed.unset("CACHIX_AUTH_TOKEN");
    let plan = team.world.run("reconcile").success();
    assert!(plan.stdout.contains("there is no token here"), "{plan}");
    let _ = team.world.run("reconcile --apply").fails(6);
    assert_eq!(team.names(), [""; 0]);
    team.assert_no_token();
}

#[test]
fn who_signs_himself_makes_the_cache_registers_the_key_and_signs_what_he_pushes() {
    let Some(mut team) = Team::new(|cache| cache) else {
        return;
    };
    // As the client of Cachix keeps a key: without the name. And as Nix does, by whatever name.
    for (cache, is_bare) in [("own", true), ("named", false)] {
        let key = team.world.nix.generate_key("some-key-1");
        let secret = std::fs::read_to_string(&key.secret_file).unwrap();
        let bare = secret.trim().split_once(':').unwrap().1.to_owned();
        let given = if is_bare { &*bare } else { secret.trim() };
        team.world.bed.set("CACHIX_SIGNING_KEY", given);
        team.world.whole_config(&format!(
            "version: 1
project: e2e
caches:
  {cache}:
    type: cachix
    api: {}
    url: {}/{cache}
    insecure: true
    create: true
    signing-key: {{ env: CACHIX_SIGNING_KEY }}
    compression: {{ method: xz, level: 1 }}
artifacts: {{ apps: {{ priority: 50, outputs: ['.#app'], default: true }} }}
",
            team.standin.api(),
            team.standin.url(),
        ));
        team.world.converge();
        let public = key
            .public
            .replace("some-key-1:", &format!("{cache}.cachix.org-1:"));
        assert_eq!(team.standin.cache(cache).public_keys(), [public]);
        let other = team.world.nix.another();
        let _ = team
            .world
            .with_nix_in(
                &other,
                "nix build --no-link .#app --max-jobs 0 --option require-sigs true",
            )
            .success();
        let found = holding(team.world.bed.root(), &bare);
        assert!(
            found
                .iter()
                .all(|file| *file == key.secret_file.display().to_string()),
            "{found:?}"
        );
        std::fs::remove_file(&key.secret_file).unwrap();
    }
    team.assert_no_token();
}

#[test]
fn a_token_that_may_only_read_refuses_the_push() {
    let Some(mut team) = Team::new(|cache| cache) else {
        return;
    };
    let token = team.standin.new_token(Grant::Read("team".to_owned()));
    team.world.bed.set("CACHIX_AUTH_TOKEN", &token);
    let plan = team.world.run("reconcile --apply").fails(4);
    assert!(
        plan.to_string().contains("may read it, and not write"),
        "{plan}"
    );
    assert_eq!(team.names(), [""; 0]);
    assert!(!plan.to_string().contains(&token));
}

#[test]
fn nix_reads_a_private_cache_by_the_netrc_file_that_setup_keeps() {
    let Some(team) = Team::new(CacheSettings::private) else {
        return;
    };
    let world = &team.world;
    let netrc = world.bed.home().join(".config/nix/netrc");
    std::fs::create_dir_all(netrc.parent().unwrap()).unwrap();
    let mine = "# mine\nmachine a.example login me password other\n";
    std::fs::write(&netrc, mine).unwrap();
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o644);
    std::fs::set_permissions(&netrc, open).unwrap();
    team.declare("visibility: private", "");
    let plan = world.run("reconcile --format json").success();
    assert!(!plan.to_string().contains(team.standin.token()));
    assert!(plan.stdout.contains("write-login"), "{plan}");
    world.converge();
    let text = std::fs::read_to_string(&netrc).unwrap();
    assert!(text.ends_with(mine), "what is the user's stays");
    assert!(text.contains(team.standin.token()));
    let mode = std::os::unix::fs::PermissionsExt::mode(&netrc.metadata().unwrap().permissions());
    assert_eq!(mode & 0o777, 0o640);
    let other = world.nix.another();
    let line = "nix build --no-link .#app --max-jobs 0 --option require-sigs true";
    let _ = world.with_nix_in(&other, line).success();
    assert_eq!(
        holding(world.bed.root(), team.standin.token()),
        [netrc.display().to_string()]
    );
    // Another token is drift.
    std::fs::write(&netrc, text.replace(team.standin.token(), "other")).unwrap();
    let plan = world.run("reconcile").success();
    assert!(plan.stdout.contains("another password"), "{plan}");
}
