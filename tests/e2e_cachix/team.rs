//! A project whose cache is one of the stand-in's.

#![allow(
    dead_code,
    unreachable_pub,
    missing_docs,
    clippy::unwrap_used,
    reason = "each test binary uses a part of it"
)]

use std::path::Path;

use crate::cachix::{CacheSettings, Pin, Settings, StandIn};
use crate::e2e_world::World;
use crate::support::checker::Checker;
use crate::support::planted::Planted;
use crate::support::real_nix::RealNix;

/// A host with a project of three paths, and a stand-in with its cache.
pub struct Team {
    pub world: World,
    pub standin: StandIn,
}

/// The token of the account, with signs that change in each encoding.
pub const TOKEN: &str = "planted-token/of+cachix%and=more";

const PACKAGES: &str = r#"
  lib = sh "lib" [] "echo lib > $out";
  app = sh "app" [ lib ] "echo $inputs > $out";
"#;

impl Team {
    /// With the Nix that every machine has; none: it is not here.
    pub fn new(change: impl FnOnce(CacheSettings) -> CacheSettings) -> Option<Self> {
        Self::beside(change, [])
    }

    /// The same, with more caches of the stand-in.
    pub fn beside(
        change: impl FnOnce(CacheSettings) -> CacheSettings,
        others: impl IntoIterator<Item = CacheSettings>,
    ) -> Option<Self> {
        let nix = RealNix::old()?;
        let settings = Settings {
            token: Some(TOKEN.to_owned()),
            ..Settings::default()
        };
        let settings = settings.cache(change(CacheSettings::new("team")));
        let settings = others.into_iter().fold(settings, Settings::cache);
        let standin = StandIn::start(settings);
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
    pub fn declare(&self, cache: &str, rest: &str) {
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
    pub fn names(&self) -> Vec<String> {
        let paths = self.standin.cache("team").paths();
        let mut names: Vec<String> = paths.iter().map(|path| path[33..].to_owned()).collect();
        names.retain(|name| name != "nanna-cache-record");
        names.sort();
        names
    }

    /// Names of the pins, without those of our records.
    pub fn pins(&self) -> Vec<String> {
        let pins = self.standin.cache("team").pins().into_iter();
        let mut names: Vec<String> = pins.map(|pin| pin.name).collect();
        names.retain(|name| !name.starts_with("nanna-cache."));
        names
    }

    /// Our records.
    pub fn records(&self) -> Vec<Pin> {
        let mut pins = self.standin.cache("team").pins();
        pins.retain(|pin| pin.name.starts_with("nanna-cache."));
        pins
    }

    /// The token is in no file that the program wrote, nor in what it stored.
    #[track_caller]
    pub fn assert_no_token(&self) {
        self.assert_none_of(&[self.standin.token()]);
    }

    /// The same for these tokens.
    #[track_caller]
    pub fn assert_none_of(&self, tokens: &[&str]) {
        let copy = tempfile::tempdir().unwrap();
        self.copy_to(copy.path());
        let planted = Planted::of(tokens.iter().copied());
        let mut found = planted.found_below(self.world.bed.root());
        found.extend(planted.found_below(copy.path()));
        assert_eq!(found, [""; 0]);
        assert_eq!(self.standin.complaints(), [""; 0]);
    }

    /// Copies the cache as a reader sees it.
    pub fn copy_to(&self, folder: &Path) {
        let cache = self.standin.cache("team");
        std::fs::create_dir_all(folder.join("nar")).unwrap();
        std::fs::write(folder.join("nix-cache-info"), "StoreDir: /nix/store\n").unwrap();
        for path in cache.paths() {
            let hash = &path[..32];
            let Some(mut narinfo) = cache.narinfo(hash) else {
                continue;
            };
            // The service leaves an empty one out, which readers take for empty.
            if !narinfo.contains("References: ") {
                narinfo.push_str("References: \n");
            }
            let url = narinfo.lines().find_map(|line| line.strip_prefix("URL: "));
            std::fs::write(folder.join(url.unwrap()), cache.file(hash).unwrap()).unwrap();
            std::fs::write(folder.join(format!("{hash}.narinfo")), narinfo).unwrap();
        }
        for pin in cache.pins() {
            std::fs::write(folder.join(format!("pin-{}", pin.name)), format!("{pin:?}")).unwrap();
        }
    }

    /// The independent checker finds every promise kept.
    #[track_caller]
    pub fn assert_whole(&self) {
        let copy = tempfile::tempdir().unwrap();
        self.copy_to(copy.path());
        let keys = self.standin.cache("team").public_keys();
        let checker = Checker::new().deep();
        keys.iter()
            .fold(checker, |checker, key| checker.key(key))
            .assert_whole(copy.path());
    }
}
