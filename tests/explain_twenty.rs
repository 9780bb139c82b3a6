//! `explain` on a small cache that can be checked by hand: a listing, golden answers, and a naive reader
//! of the listing that shares nothing with the program.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use nanna_cache::config;
use nanna_cache::config::model::{CacheName, ClassName, PinName};
use nanna_cache::nix::store_path::{HashPart, StorePath};
use nanna_cache::plan::desired::{Desired, Extra, Site};
use nanna_cache::plan::explain::{Explanation, Need, Verdict, explain};
use nanna_cache::plan::make;
use nanna_cache::plan::observed::{Environment, Observation, Observed, OutputFacts};
use nanna_cache::plan::record::Intent;
use nanna_cache::plan::simulate::{Item, SimCache, SimNarinfo, World};
use nanna_cache::plan::time::Time;
use nanna_cache::render::explain::text;
use nanna_cache::render::style::Palette;
use nanna_cache::render::text::Layout;

/// 2026-06-01T00:00:00Z.
const NOW: i64 = 1_780_272_000;
const DAY: i64 = 86_400;

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/explain")
}

fn read(name: &str) -> String {
    std::fs::read_to_string(folder().join(name)).unwrap()
}

/// The lines of the listing that begin with this word, without it.
fn lines<'t>(listing: &'t str, word: &str) -> Vec<Vec<&'t str>> {
    let words = listing
        .lines()
        .map(|line| line.split_whitespace().collect());
    words
        .filter(|words: &Vec<&str>| words.first() == Some(&word))
        .map(|words| words[1..].to_vec())
        .collect()
}

fn ago(days: &str) -> Time {
    Time(NOW - days.parse::<i64>().unwrap() * DAY)
}

/// All names, in the order of the listing: the number of a name makes its hash part.
fn names(listing: &str) -> Vec<&str> {
    let mut names: Vec<&str> = Vec::new();
    for word in ["path", "store"] {
        names.extend(lines(listing, word).iter().map(|words| words[0]));
    }
    names.push("nowhere");
    names
}

fn path(listing: &str, name: &str) -> StorePath {
    let number = names(listing).iter().position(|known| *known == name);
    let number = u8::try_from(number.unwrap()).unwrap();
    StorePath::new(HashPart::from_bytes([number + 1; 20]), name).unwrap()
}

fn item(listing: &str, name: &str, size: &str, references: &[&str]) -> Item {
    Item {
        path: path(listing, name),
        nar_size: size.parse().unwrap(),
        references: references
            .iter()
            .map(|to| path(listing, to).hash())
            .collect(),
    }
}

fn world(listing: &str) -> World {
    let hash = |name: &str| path(listing, name).hash();
    let mut cache = SimCache {
        info: Some("StoreDir: /nix/store\n".to_owned()),
        ..SimCache::default()
    };
    let mut store = BTreeMap::new();
    for words in lines(listing, "path") {
        let item = item(listing, words[0], words[1], &words[3..]);
        let nar = format!("nar/{}.nar.zst", words[0]);
        let modified = ago(words[2]);
        cache.nars.insert(nar.clone(), (item.nar_size, modified));
        if words[0] == "libc" {
            store.insert(item.path.hash(), item.clone());
        }
        let narinfo = SimNarinfo {
            item,
            nar,
            modified,
        };
        cache.narinfos.insert(hash(words[0]), narinfo);
    }
    for words in lines(listing, "store") {
        let item = item(listing, words[0], words[1], &words[2..]);
        store.insert(item.path.hash(), item);
    }
    for words in lines(listing, "root") {
        let key = (ClassName::new(words[0]), hash(words[1]));
        cache.roots.insert(key, ago(words[2]));
    }
    for words in lines(listing, "pin") {
        let key = (PinName::new(words[0]), hash(words[2]));
        cache.pins.insert(key, (ago(words[3]), words[1].to_owned()));
    }
    let dead = lines(listing, "dead").concat();
    let dead = dead.iter().map(|name| hash(name)).collect();
    cache.intents.push(("dead".to_owned(), dead));
    let outputs = lines(listing, "output").into_iter().map(|words| {
        let facts = OutputFacts {
            drv: None,
            outputs: BTreeMap::from([("out".to_owned(), path(listing, words[1]))]),
            system: Some("x86_64-linux".to_owned()),
        };
        (words[0].to_owned(), facts)
    });
    let has = lines(listing, "has").concat();
    World {
        now: Time(NOW),
        store,
        builds: BTreeMap::new(),
        outputs: outputs.collect(),
        directories: BTreeMap::new(),
        upstreams: BTreeMap::from([(
            CacheName::new("up"),
            has.iter().map(|name| hash(name)).collect(),
        )]),
        caches: BTreeMap::from([(CacheName::new("dev"), cache)]),
        files: BTreeMap::new(),
        keys: BTreeMap::new(),
        future_keys: BTreeMap::new(),
        environment: Environment::default(),
        hidden: BTreeSet::new(),
    }
}

fn desired() -> Desired {
    let text = read("cache.yaml");
    let config = match config::read("cache.yaml", text.as_bytes()) {
        Ok((config, _)) => config,
        Err(problems) => panic!("{problems}"),
    };
    let site = Site {
        home: "/home/me".into(),
        base: "/project".into(),
        user_conf: "/home/me/.config/nix".into(),
        system_conf: "/etc/nix".into(),
        system: "x86_64-linux".to_owned(),
    };
    Desired::new(config, site, Extra::default())
}

fn observed(listing: &str, desired: &Desired) -> Observed {
    let mut observed = world(listing).observe(desired);
    let dev = observed.caches.get_mut(&CacheName::new("dev"));
    let Some(Observation::Present(content)) = dev else {
        panic!("dev is there");
    };
    for words in lines(listing, "open") {
        content.intents.push(Intent {
            id: "open".to_owned(),
            modified: Time(NOW),
            gone: false,
            paths: words
                .iter()
                .map(|name| path(listing, name).hash())
                .collect(),
            absent: Vec::new(),
        });
    }
    observed
}

fn answers(listing: &str) -> Vec<(String, Explanation)> {
    let desired = desired();
    let observed = observed(listing, &desired);
    let plan = make::plan(&desired, &observed, "digest");
    assert!(plan.refusals.is_empty(), "{:?}", plan.refusals);
    let explained = |name: &str| {
        let path = path(listing, name);
        explain(&desired, &observed, &plan, &path, &[])
    };
    names(listing)
        .into_iter()
        .map(|name| (name.to_owned(), explained(name)))
        .collect()
}

#[test]
fn each_answer_is_as_it_was_checked() {
    let answers = answers(&read("listing.txt"));
    assert!(answers.len() >= 20, "{}", answers.len());
    let layout = Layout::new(None, Palette::PLAIN);
    let all: Vec<String> = answers.iter().map(|(_, one)| text(one, layout)).collect();
    let all = all.join("\n");
    if std::env::var_os("ACCEPT").is_some() {
        std::fs::write(folder().join("answers.txt"), &all).unwrap();
    }
    assert_eq!(all, read("answers.txt"), "ACCEPT=1 rewrites the answers");
}

/// What the rules make of the listing, by plain recursion.
struct Naive<'t> {
    references: BTreeMap<&'t str, Vec<&'t str>>,
    roots: Vec<(&'t str, &'t str, i64)>,
}

impl<'t> Naive<'t> {
    fn new(listing: &'t str) -> Self {
        let paths = lines(listing, "path").into_iter();
        let roots = lines(listing, "root").into_iter();
        Self {
            references: paths.map(|words| (words[0], words[3..].to_vec())).collect(),
            roots: roots
                .map(|words| (words[0], words[1], words[2].parse().unwrap()))
                .collect(),
        }
    }

    fn reaches(&self, from: &str, to: &str) -> bool {
        from == to
            || self
                .references
                .get(from)
                .is_some_and(|all| all.iter().any(|next| self.reaches(next, to)))
    }

    /// Days until each root that reaches a path keeps it, with the priority of its class.
    fn roots(&self, name: &str) -> BTreeSet<(i64, u32)> {
        let classes = [("apps", 30, 60), ("system", 180, 80), ("rest", 10, 10)];
        let of = |(class, path, age): &(&str, &str, i64)| {
            let class = classes.iter().find(|known| known.0 == *class)?;
            self.reaches(path, name).then_some((class.1 - age, class.2))
        };
        self.roots.iter().filter_map(of).collect()
    }
}

#[test]
fn each_answer_follows_from_the_listing_of_roots() {
    let listing = read("listing.txt");
    let naive = Naive::new(&listing);
    let days = |time: Time| (time.0 - NOW) / DAY;
    for (name, answer) in answers(&listing) {
        let dev = &answer.caches[0];
        let there = naive.references.contains_key(name.as_str());
        assert_eq!(dev.present, Some(there), "{name}");
        let expected = if there {
            naive.roots(&name)
        } else {
            BTreeSet::new()
        };
        let said: BTreeSet<(i64, u32)> = dev
            .roots
            .iter()
            .map(|root| (days(root.until), root.priority))
            .collect();
        assert_eq!(said, expected, "{name}");
        let longest = expected.iter().map(|root| root.0).max();
        let highest = expected.iter().map(|root| root.1).max();
        assert_eq!(dev.priority, highest, "{name}");
        let pinned = naive.reaches("app-1", &name) && there;
        match &dev.need {
            Need::Pinned { pin } => assert!(pinned && pin.as_str() == "v1", "{name}"),
            Need::Until { time } => assert_eq!(Some(days(*time)), longest, "{name}"),
            Need::Foreign { .. } | Need::Unreached => assert_eq!(longest, None, "{name}"),
            Need::Unknown { why } => panic!("{name}: {why:?}"),
        }
        // Nothing that a pin or a root within its retention reaches goes, but for the size.
        if matches!(dev.verdict, Verdict::Deleted { .. }) && name != "nightly" && name != "weekly" {
            assert!(!pinned && longest.is_none_or(|days| days < 0), "{name}");
        }
    }
}

/// The verdicts in a word, as somebody reads them off the listing.
#[test]
fn the_verdicts_in_a_word() {
    let verdicts: Vec<String> = answers(&read("listing.txt"))
        .into_iter()
        .map(|(name, answer)| {
            let word = match &answer.caches[0].verdict {
                Verdict::Pushed { .. } => "pushed".to_owned(),
                Verdict::Kept { why } => format!("kept: {why}"),
                Verdict::AfterBuild { .. } => "after a build".to_owned(),
                Verdict::NotWanted => "not wanted".to_owned(),
                Verdict::HeldBack { reason, .. } => format!("held back: {reason:?}"),
                Verdict::Deleted { reason } => format!("deleted: {reason:?}"),
                Verdict::Undecided { why } => format!("undecided: {}", why.0),
            };
            format!("{name}: {word}")
        })
        .collect();
    insta::assert_snapshot!(verdicts.join("\n"));
}
