//! Random worlds, and what a naive reader of the rules says of them.
//!
//! Shares no code with the planner where it judges: liveness and wholeness are worked out here by
//! plain recursion over the world's own maps.

use std::collections::{BTreeMap, BTreeSet};

use camino::Utf8PathBuf;
use indexmap::IndexMap;
use nanna_cache::config::model::{
    Cache, CacheKind, CacheName, Class, ClassName, Classes, ClosureKind, Compression, Config,
    ExcludeNeeded, FileCache, Foreign, Method, NixConf, Optimize, Output, Pin, PinName, PinTarget,
    Prune, PruneLimits, Push, Setup, SigningKey, Written,
};
use nanna_cache::config::secret::SecretRef;
use nanna_cache::config::units::{Share, Size, Span};
use nanna_cache::nix::hash::Sha256;
use nanna_cache::nix::key::SecretKey;
use nanna_cache::nix::store_path::{HashPart, StorePath};
use nanna_cache::plan::desired::{Desired, Extra, Site};
use nanna_cache::plan::drops::DropReason;
use nanna_cache::plan::observed::{DirectoryFacts, Environment, OutputFacts};
use nanna_cache::plan::plan::{Plan, Refusal};
use nanna_cache::plan::prune::UNREACHABLE;
use nanna_cache::plan::simulate::{Item, SimCache, SimNarinfo, World};
use nanna_cache::plan::step::{Op, Step};
use nanna_cache::plan::time::Time;
use regex::Regex;

const DAY: u64 = 86_400;
const NOW: i64 = 1_800_000_000;

/// A small generator of numbers (splitmix64): worlds depend on nothing but their seed.
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }

    fn percent(&mut self, share: u64) -> bool {
        self.below(100) < share
    }

    fn index(&mut self, limit: usize) -> usize {
        usize::try_from(self.below(limit as u64)).unwrap()
    }
}

/// A configuration and a world.
#[derive(Clone)]
pub(crate) struct Case {
    pub(crate) desired: Desired,
    pub(crate) world: World,
}

/// How many worlds have each of the hard things.
#[derive(Default)]
pub(crate) struct Traits {
    counts: BTreeMap<&'static str, u32>,
}

impl Traits {
    pub(crate) fn count(&mut self, case: &Case, plan: &Plan) {
        let mut add = |what, is: bool| *self.counts.entry(what).or_default() += u32::from(is);
        let caches = || case.world.caches.values();
        add(
            "shared NARs",
            caches().any(|cache| cache.narinfos.len() > cache.named().len()),
        );
        add("foreign content", caches().any(has_foreign));
        add("a missing reference", !dangling(&case.world).is_empty());
        add("an unknown", !plan.unknowns.is_empty());
        add(
            "something to prune",
            plan.steps
                .iter()
                .any(|step| matches!(step.op, Op::Prune { .. })),
        );
        add("something to push", !pushed(plan).is_empty());
        add(
            "something to build",
            plan.steps
                .iter()
                .any(|step| matches!(step.op, Op::Build { .. })),
        );
        add("something held back", !plan.held_back.is_empty());
        let over = |reason: DropReason| reason == DropReason::OverMaxSize;
        let for_size =
            |step: &Step| matches!(&step.op, Op::Prune { paths, .. } if paths.reasons().any(over));
        let unreachable = |refusal: &Refusal| refusal.code == UNREACHABLE;
        add(
            "a max-size that matters",
            plan.steps.iter().any(for_size) || plan.refusals.iter().any(unreachable),
        );
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = (&'static str, u32)> {
        self.counts.iter().map(|(what, number)| (*what, *number))
    }
}

trait Named {
    fn named(&self) -> BTreeSet<&String>;
}

impl Named for SimCache {
    fn named(&self) -> BTreeSet<&String> {
        self.narinfos.values().map(|narinfo| &narinfo.nar).collect()
    }
}

fn has_foreign(cache: &SimCache) -> bool {
    let roots = cache.roots.keys().map(|(_, hash)| *hash);
    cache.narinfos.len() > reach(cache, roots).len()
}

/// Everything that these reach within a cache.
fn reach(cache: &SimCache, from: impl Iterator<Item = HashPart>) -> BTreeSet<HashPart> {
    let mut seen = BTreeSet::new();
    let mut open: Vec<HashPart> = from.collect();
    while let Some(hash) = open.pop() {
        if let Some(narinfo) = cache.narinfos.get(&hash)
            && seen.insert(hash)
        {
            open.extend(&narinfo.item.references);
        }
    }
    seen
}

/// What must stay in each cache, whatever its max-size: what pins that stay declared, kept roots of
/// caches without max-size, and young narinfos reach.
pub(crate) fn live(case: &Case, world: &World) -> BTreeMap<CacheName, BTreeSet<HashPart>> {
    let config = &case.desired.config;
    let of = |(name, cache): (&CacheName, &SimCache)| {
        let limited = case.desired.caches[name].max_size.is_some();
        let roots = cache.roots.iter().filter(|((class, _), time)| {
            !limited
                && config.classes.get(class).is_none_or(|class| {
                    world.now.0 <= time.0 + i64::try_from(class.retention.0).unwrap()
                })
        });
        let pins = cache.pins.iter().filter(|((pin, _), (_, project))| {
            project != &config.project && !config.pins.contains_key(pin)
        });
        let young = cache.narinfos.iter().filter(|(_, narinfo)| {
            world.now.0 - narinfo.modified.0 < i64::try_from(config.prune.grace.0).unwrap()
        });
        let from = roots.map(|((_, hash), _)| *hash);
        let from = from.chain(pins.map(|((_, hash), _)| *hash));
        let from = from.chain(young.map(|(hash, _)| *hash));
        (name.clone(), reach(cache, from))
    };
    world.caches.iter().map(of).collect()
}

/// (cache, narinfo, what it lacks): a reference that neither the cache nor an upstream has, or its NAR.
pub(crate) fn dangling(world: &World) -> BTreeSet<(CacheName, HashPart, String)> {
    let mut found = BTreeSet::new();
    for (name, cache) in &world.caches {
        for (hash, narinfo) in &cache.narinfos {
            for to in &narinfo.item.references {
                let upstream = world.upstreams.values().any(|has| has.contains(to));
                if !cache.narinfos.contains_key(to) && !upstream {
                    found.insert((name.clone(), *hash, to.to_string()));
                }
            }
            if !cache.nars.contains_key(&narinfo.nar) {
                found.insert((name.clone(), *hash, narinfo.nar.clone()));
            }
        }
    }
    found
}

/// What a plan deletes: (cache, object).
pub(crate) fn dropped(plan: &Plan) -> BTreeSet<(CacheName, String)> {
    let mut all: BTreeSet<(CacheName, String)> = dropped_paths(plan)
        .into_iter()
        .map(|(cache, path)| (cache, path.to_string()))
        .collect();
    for step in &plan.steps {
        match &step.op {
            Op::Prune { cache, roots, .. } => {
                all.extend(roots.iter().map(|root| (cache.clone(), root.clone())));
            }
            Op::Sweep { cache, objects } => {
                all.extend(
                    objects
                        .iter()
                        .map(|object| (cache.clone(), object.key.clone())),
                );
            }
            Op::Pin { cache, remove, .. } => {
                all.extend(
                    remove
                        .iter()
                        .map(|path| (cache.clone(), format!("pin {path}"))),
                );
            }
            _ => {}
        }
    }
    all
}

/// The paths that a plan deletes.
pub(crate) fn dropped_paths(plan: &Plan) -> BTreeSet<(CacheName, StorePath)> {
    let mut all = BTreeSet::new();
    for step in &plan.steps {
        if let Op::Prune { cache, paths, .. } = &step.op {
            all.extend(paths.iter().map(|path| (cache.clone(), path.path)));
        }
    }
    all
}

fn pushed(plan: &Plan) -> BTreeSet<(CacheName, StorePath)> {
    let mut all = BTreeSet::new();
    for step in &plan.steps {
        if let Op::Push { cache, paths, .. } = &step.op {
            all.extend(paths.iter().map(|path| (cache.clone(), path.path.clone())));
        }
    }
    all
}

/// The part of a world that plans are about, for comparison.
pub(crate) fn state(world: &World) -> impl PartialEq + std::fmt::Debug {
    let caches: BTreeMap<_, _> = world
        .caches
        .iter()
        .map(|(name, cache)| {
            let narinfos: BTreeSet<_> = cache.narinfos.keys().copied().collect();
            let roots: BTreeSet<_> = cache.roots.keys().cloned().collect();
            let pins: BTreeSet<_> = cache.pins.keys().cloned().collect();
            let nars: BTreeSet<_> = cache.nars.keys().cloned().collect();
            (
                name.clone(),
                (cache.info.clone(), narinfos, nars, roots, pins),
            )
        })
        .collect();
    (caches, world.files.clone(), world.environment.clone())
}

impl Case {
    pub(crate) fn random(seed: u64) -> Self {
        let mut dice = Dice(seed);
        let config = config(&mut dice);
        let site = Site {
            home: "/home/me".into(),
            base: "/project".into(),
            user_conf: "/home/me/.config/nix".into(),
            system_conf: "/etc/nix".into(),
            system: "x86_64-linux".to_owned(),
        };
        let desired = Desired::new(config, site, Extra::default());
        let world = world(&mut dice, &desired);
        Self { desired, world }
    }

    fn again(&self, change: impl FnOnce(&mut Config)) -> Self {
        let mut config = self.desired.config.clone();
        change(&mut config);
        let desired = Desired::new(config, self.desired.site.clone(), Extra::default());
        Self {
            desired,
            world: self.world.clone(),
        }
    }

    fn with_max_size(&self, change: impl Fn(Option<Size>) -> Option<Size>) -> Self {
        self.again(|config| {
            for cache in config.caches.values_mut() {
                if let CacheKind::File(file) = &mut cache.kind {
                    let written = &mut file.written;
                    written.max_size = change(written.max_size);
                }
            }
        })
    }

    pub(crate) fn without_max_size(&self) -> Self {
        self.with_max_size(|_| None)
    }

    pub(crate) fn with_larger_max_size(&self, factor: u64) -> Self {
        self.with_max_size(|size| size.map(|size| Size(size.0 * factor)))
    }

    pub(crate) fn with_longer_retention(&self, factor: u64) -> Self {
        self.again(|config| {
            for class in config.classes.values_mut() {
                class.retention = Span(class.retention.0 * factor);
            }
        })
    }

    /// The names of one kind of thing, to be hidden.
    pub(crate) fn names_of_kind(&self, kind: usize) -> Vec<String> {
        match kind {
            0 => vec!["store".to_owned()],
            1 => self
                .desired
                .caches
                .keys()
                .map(ToString::to_string)
                .collect(),
            2 => self
                .desired
                .upstreams
                .keys()
                .map(ToString::to_string)
                .collect(),
            3 => self.world.outputs.keys().cloned().collect(),
            4 => self.world.outputs.keys().take(1).cloned().collect(),
            _ => self
                .desired
                .caches
                .keys()
                .take(1)
                .map(ToString::to_string)
                .collect(),
        }
    }
}

#[allow(clippy::too_many_lines, reason = "one value after another")]
fn config(dice: &mut Dice) -> Config {
    let mut caches = IndexMap::new();
    let mut to = IndexMap::new();
    for name in ["dev", "shared"].iter().take(1 + dice.index(2)) {
        let size = (dice.percent(70)).then(|| Size(10 + dice.below(200)));
        let kind = CacheKind::File(FileCache {
            path: format!("/caches/{name}"),
            written: Written {
                signing_key: dice.percent(60).then(|| SigningKey {
                    secret: SecretRef::File(format!("/keys/{name}")),
                    generate: true,
                    name: format!("{name}-1"),
                }),
                compression: Compression {
                    method: Method::Zstd,
                    level: 3,
                },
                recompress: dice.clone_below(2) == 0,
                max_size: size,
            },
        });
        let tier = if *name == "dev" { 3 } else { 1 };
        caches.insert(
            CacheName::new(*name),
            Cache {
                tier: Some(tier),
                nix_priority: 30,
                public_keys: Vec::new(),
                replica: None,
                kind,
            },
        );
        let classes = if dice.percent(75) {
            Classes::All
        } else {
            Classes::Only(vec![ClassName::new("libraries"), ClassName::new("apps")])
        };
        to.insert(CacheName::new(*name), classes);
    }
    let url = "https://upstream.example".to_owned();
    caches.insert(
        CacheName::new("up"),
        Cache {
            tier: None,
            nix_priority: 40,
            public_keys: Vec::new(),
            replica: None,
            kind: CacheKind::Upstream { url },
        },
    );
    Config {
        project: "test".to_owned(),
        flake: ".".to_owned(),
        retention: nanna_cache::config::units::Span(30 * 86_400),
        ledger: nanna_cache::config::model::Ledger {
            keep: nanna_cache::config::units::Span(90 * 86_400),
            caches: Vec::new(),
        },
        targets: nanna_cache::config::model::Targets::default(),
        prices: None,
        systems: vec!["x86_64-linux".to_owned()],
        caches,
        classes: classes(dice),
        setup: Setup {
            nix_conf: if dice.percent(70) {
                NixConf::User
            } else {
                NixConf::None
            },
            prefer: Vec::new(),
        },
        push: Push {
            enabled: dice.percent(95),
            to,
            paths: Vec::new(),
            exclude: if dice.percent(50) {
                vec![Regex::new("-source").unwrap()]
            } else {
                Vec::new()
            },
            exclude_needed: [ExcludeNeeded::HoldBack, ExcludeNeeded::Push][dice.index(2)],
            max_after_build: Size(1 << 40),
            max_unasked: Size(1 << 40),
            secrets: nanna_cache::config::gate::Secrets {
                on_public: nanna_cache::config::gate::OnSecret::Off,
                on_private: nanna_cache::config::gate::OnSecret::Off,
                allow: Vec::new(),
            },
        },
        optimize: Optimize {
            cores: dice.percent(50).then_some(4),
            ..Optimize::default()
        },
        prune: Prune {
            enabled: true,
            grace: Span(DAY),
            foreign: if dice.percent(50) {
                Foreign::Keep
            } else {
                Foreign::Retention
            },
            limits: PruneLimits {
                share: Share(10_000),
                bytes: None,
                count: None,
            },
        },
        pins: pins(dice),
        places: nanna_cache::text::place::Places::default(),
    }
}

fn classes(dice: &mut Dice) -> IndexMap<ClassName, Class> {
    let mut class = |priority, patterns: &[&str], outputs: &[&str], default| Class {
        priority,
        retention: Span(DAY * (5 + dice.below(60))),
        patterns: patterns
            .iter()
            .map(|text| Regex::new(text).unwrap())
            .collect(),
        outputs: outputs
            .iter()
            .map(|output| Output {
                installable: (*output).to_owned(),
                closure: ClosureKind::Runtime,
            })
            .collect(),
        directories: if default {
            vec!["models/*".to_owned()]
        } else {
            Vec::new()
        },
        max_path_size: dice.percent(30).then(|| Size(60 + dice.below(40))),
        default,
    };
    IndexMap::from([
        (
            ClassName::new("libraries"),
            class(100, &["-lib"], &[], false),
        ),
        (
            ClassName::new("apps"),
            class(60, &[], &[".#a", ".#b", ".#c"], false),
        ),
        (ClassName::new("rest"), class(20, &[], &[], true)),
    ])
}

fn pins(dice: &mut Dice) -> IndexMap<PinName, Pin> {
    let mut pins = IndexMap::new();
    if dice.percent(50) {
        let target = PinTarget::Output(".#a".to_owned());
        pins.insert(
            PinName::new("v1"),
            Pin {
                target,
                revisions: 1 + u32::try_from(dice.below(2)).unwrap(),
                days: None,
                artifacts: Vec::new(),
            },
        );
    }
    pins
}

fn hash(number: u64) -> HashPart {
    let digest = Sha256::of(&number.to_le_bytes());
    HashPart::from_bytes(digest.0[..20].try_into().unwrap())
}

/// Paths whose references are among the earlier ones.
fn items(dice: &mut Dice, first: u64, count: u64, below: &[Item]) -> Vec<Item> {
    let mut items: Vec<Item> = Vec::new();
    for number in first..first + count {
        let kind = ["lib", "app", "doc", "source"][dice.index(4)];
        // Few names, so that some paths share a name and with it, in this world, the content.
        let name = format!("{kind}-{}", dice.below(4));
        let path = StorePath::new(hash(number), &name).unwrap();
        let mut references = Vec::new();
        for item in below.iter().chain(&items) {
            if dice.percent(18) {
                references.push(item.path.hash());
            }
        }
        if dice.percent(10) {
            references.push(path.hash());
        }
        items.push(Item {
            path,
            nar_size: 20 + dice.below(80),
            references,
        });
    }
    items
}

fn world(dice: &mut Dice, desired: &Desired) -> World {
    let mut store = items(dice, 0, 6 + dice.clone_below(8), &[]);
    let has: BTreeSet<HashPart> = {
        // An upstream is whole: it has all that it refers to.
        let share = dice.below(50);
        let picked: Vec<HashPart> = store
            .iter()
            .filter(|_| dice.percent(share))
            .map(|item| item.path.hash())
            .collect();
        closure(&store, &picked)
    };
    let built = items(dice, 1_000, 1 + dice.clone_below(3), &store);
    let (outputs, builds) = outputs(dice, &store, &built);
    let foreign = items(dice, 2_000, dice.clone_below(6), &store);
    let older = items(dice, 3_000, dice.clone_below(6), &store);
    let everything: Vec<Item> = store
        .iter()
        .chain(&built)
        .chain(&foreign)
        .chain(&older)
        .cloned()
        .collect();
    let mut caches = BTreeMap::new();
    for name in desired.caches.keys() {
        if dice.percent(80) {
            caches.insert(name.clone(), cache(dice, desired, &everything, &has));
        }
    }
    if dice.percent(30) {
        store.retain(|_| dice.percent(95));
        let known: BTreeSet<HashPart> = store.iter().map(|item| item.path.hash()).collect();
        // A valid store is whole.
        store.retain(|item| closure(&everything, &[item.path.hash()]).is_subset(&known));
    }
    let future_keys = desired.caches.keys().map(|name| {
        let key = SecretKey::generate(&format!("{name}-1"), [7; 32]).unwrap();
        (name.clone(), key.public())
    });
    let mut world = World {
        now: Time(NOW),
        directories: directories(dice, desired),
        store: store
            .into_iter()
            .map(|item| (item.path.hash(), item))
            .collect(),
        builds,
        outputs,
        upstreams: BTreeMap::from([(CacheName::new("up"), has)]),
        caches,
        files: BTreeMap::new(),
        keys: BTreeMap::new(),
        future_keys: future_keys.collect(),
        environment: Environment::default(),
        hidden: BTreeSet::new(),
    };
    if dice.percent(40) {
        let text = "substituters = https://cache.example\n".to_owned();
        world
            .files
            .insert("/home/me/.config/nix/nix.conf".to_owned(), text);
    }
    for name in ["store", "dev", "shared", "up", ".#a", ".#b"] {
        if dice.percent(7) {
            world.hidden.insert(name.to_owned());
        }
    }
    world
}

impl Dice {
    fn clone_below(&self, limit: u64) -> u64 {
        Dice(self.0 ^ 0x5555).below(limit)
    }
}

fn directories(dice: &mut Dice, desired: &Desired) -> BTreeMap<String, Vec<DirectoryFacts>> {
    let glob = desired
        .site
        .base
        .join(Utf8PathBuf::from("models/*"))
        .into_string();
    let count = dice.below(3);
    let found = (0..count)
        .map(|number| DirectoryFacts {
            directory: format!("/project/models/{number}"),
            path: StorePath::new(hash(5_000 + number), &format!("model-{number}")).unwrap(),
            nar_hash: Sha256::of(hash(5_000 + number).as_bytes()),
            nar_size: 10 + number,
        })
        .collect();
    BTreeMap::from([(glob, found)])
}

fn outputs(
    dice: &mut Dice,
    store: &[Item],
    built: &[Item],
) -> (BTreeMap<String, OutputFacts>, BTreeMap<String, Vec<Item>>) {
    let mut outputs = BTreeMap::new();
    let mut builds = BTreeMap::new();
    for name in [".#a", ".#b", ".#c"] {
        let from = if dice.percent(60) { store } else { built };
        let path = from[dice.index(from.len())].path.clone();
        // A build leaves the whole closure in the store.
        let all: Vec<Item> = store.iter().chain(built).cloned().collect();
        let brings = closure(&all, &[path.hash()]);
        let brings = all
            .into_iter()
            .filter(|item| brings.contains(&item.path.hash()));
        builds.insert(name.to_owned(), brings.collect());
        // A path is built on one system, whatever names it.
        let system = if path.hash().as_bytes()[0] % 12 == 0 {
            "aarch64-linux"
        } else {
            "x86_64-linux"
        };
        outputs.insert(
            name.to_owned(),
            OutputFacts {
                drv: None,
                outputs: BTreeMap::from([("out".to_owned(), path)]),
                system: Some(system.to_owned()),
            },
        );
    }
    (outputs, builds)
}

fn closure(items: &[Item], from: &[HashPart]) -> BTreeSet<HashPart> {
    let by_hash: BTreeMap<HashPart, &Item> =
        items.iter().map(|item| (item.path.hash(), item)).collect();
    let mut seen = BTreeSet::new();
    let mut open = from.to_vec();
    while let Some(hash) = open.pop() {
        if seen.insert(hash) {
            open.extend(
                by_hash
                    .get(&hash)
                    .into_iter()
                    .flat_map(|item| &item.references),
            );
        }
    }
    seen
}

fn cache(
    dice: &mut Dice,
    desired: &Desired,
    all: &[Item],
    upstream: &BTreeSet<HashPart>,
) -> SimCache {
    let mut cache = SimCache {
        info: dice
            .percent(80)
            .then(|| "StoreDir: /nix/store\nPriority: 30\n".to_owned()),
        ..SimCache::default()
    };
    let ago = |dice: &mut Dice| Time(NOW - i64::try_from(dice.below(90 * DAY)).unwrap());
    let share = dice.below(70);
    let picked: Vec<HashPart> = all
        .iter()
        .filter(|_| dice.percent(share))
        .map(|item| item.path.hash())
        .collect();
    let whole = closure(all, &picked);
    let broken = dice.percent(50);
    for item in all.iter().filter(|item| whole.contains(&item.path.hash())) {
        let hash = item.path.hash();
        if upstream.contains(&hash) && dice.percent(70) || broken && dice.percent(12) {
            continue;
        }
        // Some were pushed by another method.
        let method = if hash.as_bytes()[0] % 4 == 0 {
            "xz"
        } else {
            "zst"
        };
        let mut nar = format!("nar/{}.nar.{method}", item.path.name());
        let modified = ago(dice);
        if !broken || dice.percent(92) {
            cache
                .nars
                .entry(nar.clone())
                .or_insert((item.nar_size / 2, modified));
        } else {
            // Lost for good: no push of equal content brings it back by the way.
            nar = format!("nar/lost-{hash}.nar.zst");
        }
        let narinfo = SimNarinfo {
            item: item.clone(),
            nar,
            modified,
        };
        cache.narinfos.insert(hash, narinfo);
        let class = ["libraries", "apps", "rest", "unheard-of"];
        if dice.percent(45) {
            let known = if dice.percent(10) { 4 } else { 3 };
            let class = class[dice.index(known)];
            cache.roots.insert((ClassName::new(class), hash), ago(dice));
        }
        if dice.percent(5) {
            let project = if dice.percent(50) {
                desired.config.project.as_str()
            } else {
                "other"
            };
            let name = if dice.percent(50) { "v1" } else { "old" };
            let value = (ago(dice), project.to_owned());
            cache.pins.insert((PinName::new(name), hash), value);
        }
    }
    for number in 0..dice.below(3) {
        cache
            .nars
            .insert(format!("nar/orphan-{number}.nar.zst"), (5, ago(dice)));
    }
    if dice.percent(25) {
        let absent = all
            .iter()
            .filter(|_| dice.percent(20))
            .map(|item| item.path.hash())
            .collect();
        cache.intents.push(("crashed".to_owned(), absent));
    }
    cache
}
