//! The independent checker finds every kind of damage, and nothing in a cache that is whole.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use support::checker::Checker;
use support::real_nix::RealNix;

/// A signed cache made by the real Nix, and what is needed to check it.
struct Sample {
    nix: RealNix,
    cache: PathBuf,
    key: String,
    top: String,
}

impl Sample {
    fn make() -> Option<Self> {
        let nix = RealNix::old()?;
        let (population, key) = (nix.populate(12), nix.generate_key("test-1"));
        let cache = nix.scratch().join("cache");
        let secret = key.secret_file.display();
        let url = format!(
            "file://{}?compression=zstd&secret-key={secret}",
            cache.display()
        );
        nix.copy_to(&url, [&population.top]);
        Some(Self {
            nix,
            cache,
            key: key.public,
            top: population.top,
        })
    }

    fn checker(&self) -> Checker {
        Checker::new().deep().key(&self.key).root(&self.top)
    }

    /// A copy of the cache in which one thing is changed.
    fn damaged(&self, name: &str, damage: impl FnOnce(&Path)) -> PathBuf {
        let copy = self.nix.scratch().join(name);
        fs::create_dir(&copy).unwrap();
        for folder in ["", "nar"] {
            fs::create_dir_all(copy.join(folder)).unwrap();
            for entry in fs::read_dir(self.cache.join(folder))
                .unwrap()
                .map(Result::unwrap)
            {
                if entry.path().is_file() {
                    fs::copy(entry.path(), copy.join(folder).join(entry.file_name())).unwrap();
                }
            }
        }
        damage(&copy);
        copy
    }

    /// The narinfo of the path with this in its name.
    fn narinfo(&self, part: &str) -> PathBuf {
        let infos = self.nix.paths();
        let info = infos.iter().find(|info| info.path.ends_with(part)).unwrap();
        PathBuf::from(format!(
            "{}.narinfo",
            &info.path["/nix/store/".len()..][..32]
        ))
    }
}

fn field(narinfo: &Path, key: &str) -> String {
    let text = fs::read_to_string(narinfo).unwrap();
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix(&format!("{key}: ")))
        .unwrap();
    line.to_owned()
}

fn edit(path: &Path, change: impl FnOnce(String) -> String) {
    let text = fs::read_to_string(path).unwrap();
    let changed = change(text.clone());
    assert_ne!(text, changed, "the damage does nothing");
    fs::write(path, changed).unwrap();
}

fn set(narinfo: &Path, key: &str, value: &str) {
    let old = field(narinfo, key);
    edit(narinfo, |text| {
        text.replace(&format!("{key}: {old}\n"), &format!("{key}: {value}\n"))
    });
}

#[test]
fn a_whole_cache_passes() {
    let Some(sample) = Sample::make() else { return };
    let said = sample.checker().check(&sample.cache).unwrap();
    assert!(
        said.contains("13 narinfos") && said.contains(" 0 problems"),
        "{said}"
    );
}

#[test]
fn a_missing_reference_passes_only_when_an_upstream_has_it() {
    let Some(sample) = Sample::make() else { return };
    let gone = sample.narinfo("-text-0.txt");
    let cache = sample.damaged("upstream", |cache| {
        fs::remove_file(cache.join(&gone)).unwrap();
    });
    assert!(
        sample
            .checker()
            .check(&cache)
            .unwrap_err()
            .contains("reference is missing")
    );
    let hash = gone.to_str().unwrap().trim_end_matches(".narinfo");
    sample.checker().upstream(hash).assert_whole(&cache);
}

/// Changes one thing in a copy of the sample.
type Damage<'a> = Box<dyn FnOnce(&Path) + 'a>;

#[test]
#[expect(clippy::too_many_lines, reason = "one line a case")]
fn every_kind_of_damage_is_found() {
    let Some(sample) = Sample::make() else { return };
    let (tree, text, top) = (
        sample.narinfo("-o3"),
        sample.narinfo("-text-1.txt"),
        sample.narinfo("-population"),
    );
    let nar = field(&sample.cache.join(&tree), "URL");
    let other = sample.narinfo("-o2");
    let on_tree = |key: &'static str, value: &'static str| -> Damage<'_> {
        let tree = tree.clone();
        Box::new(move |cache: &Path| set(&cache.join(tree), key, value))
    };
    let raw = |change: fn(String) -> String| -> Damage<'_> {
        let tree = tree.clone();
        Box::new(move |cache: &Path| edit(&cache.join(tree), change))
    };
    let zeros: &'static str = "sha256:0000000000000000000000000000000000000000000000000000";
    let cases: Vec<(&str, &str, Damage)> = vec![
        (
            "no-nar",
            "its NAR is missing",
            Box::new(|cache| fs::remove_file(cache.join(&nar)).unwrap()),
        ),
        (
            "no-reference",
            "reference is missing",
            Box::new(|cache| fs::remove_file(cache.join(&other)).unwrap()),
        ),
        (
            "no-root",
            "must be there",
            Box::new(|cache| fs::remove_file(cache.join(&top)).unwrap()),
        ),
        (
            "cut-nar",
            "the file has 100 bytes",
            Box::new(|cache| {
                fs::File::options()
                    .write(true)
                    .open(cache.join(&nar))
                    .unwrap()
                    .set_len(100)
                    .unwrap();
            }),
        ),
        (
            "flipped-nar",
            "`FileHash` is not that",
            Box::new(|cache| {
                let mut bytes = fs::read(cache.join(&nar)).unwrap();
                *bytes.last_mut().unwrap() ^= 1;
                fs::write(cache.join(&nar), bytes).unwrap();
            }),
        ),
        (
            "partial",
            "partial object",
            Box::new(|cache| {
                fs::write(cache.join(format!("nar/{}.nar.zst", &zeros[7..])), "half").unwrap();
            }),
        ),
        ("file-size", "`FileSize` is 1,", on_tree("FileSize", "1")),
        (
            "file-hash",
            "`FileHash` is not that",
            on_tree("FileHash", zeros),
        ),
        (
            "nar-hash",
            "signature by `test-1` is wrong",
            on_tree("NarHash", zeros),
        ),
        (
            "nar-size",
            "signature by `test-1` is wrong",
            on_tree("NarSize", "4096"),
        ),
        ("size-word", "not a size", on_tree("NarSize", "many")),
        ("size-zero", "not a size", on_tree("NarSize", "0")),
        ("compression", "no Nix knows", on_tree("Compression", "zst")),
        ("not-xz", "cannot be unpacked", on_tree("Compression", "xz")),
        ("url", "leads out of the cache", on_tree("URL", "../x.nar")),
        (
            "path",
            "is about another path",
            on_tree("StorePath", "/nix/store/00000000000000000000000000000000-x"),
        ),
        (
            "path-name",
            "`StorePath` is malformed",
            on_tree("StorePath", "/nix/store/short"),
        ),
        ("bad-sig", "`Sig` is malformed", on_tree("Sig", "no-colon")),
        (
            "foreign-sig",
            "no signature by a key",
            raw(|text| text.replace("Sig: test-1:", "Sig: other-1:")),
        ),
        (
            "unsigned",
            "no signature by a key",
            raw(|text| {
                text.split_inclusive('\n')
                    .filter(|line| !line.starts_with("Sig"))
                    .collect()
            }),
        ),
        (
            "crlf",
            "malformed line",
            raw(|text| text.replace('\n', "\r\n")),
        ),
        (
            "empty-line",
            "malformed line",
            raw(|text| format!("{text}\n")),
        ),
        (
            "cut",
            "truncated",
            raw(|text| text[..text.len() - 1].to_owned()),
        ),
        (
            "twice",
            "two lines `URL`",
            raw(|text| format!("{text}URL: nar/x\n")),
        ),
        (
            "without",
            "has no `NarHash`",
            raw(|text| text.replace("NarHash: ", "NarHush: ")),
        ),
        (
            "deriver",
            "malformed",
            on_tree("Deriver", "/nix/store/x.drv"),
        ),
        (
            "lying-ca",
            "does not lead to",
            Box::new(|cache| set(&cache.join(&text), "CA", &format!("text:{zeros}"))),
        ),
        (
            "cache-info",
            "no `StoreDir`",
            Box::new(|cache| {
                fs::write(cache.join("nix-cache-info"), "StoreDir: /other\n").unwrap();
            }),
        ),
        (
            "record",
            "no whole record",
            Box::new(|cache| {
                fs::create_dir_all(cache.join("nanna-cache/v1/intents")).unwrap();
                fs::write(
                    cache.join("nanna-cache/v1/intents/x.json"),
                    "{\"schema\": 1, ",
                )
                .unwrap();
            }),
        ),
    ];
    for (name, wanted, damage) in cases {
        let found = sample.checker().check(&sample.damaged(name, damage));
        let found = found.expect_err(&format!("{name}: the damage was not found"));
        assert!(
            found.contains(wanted),
            "{name}: wanted `{wanted}`, found:\n{found}"
        );
    }
}

#[test]
fn a_wrong_nar_is_found_without_any_key() {
    let Some(sample) = Sample::make() else { return };
    let tree = sample.narinfo("-o3");
    let zeros = "sha256:0000000000000000000000000000000000000000000000000000";
    let cache = sample.damaged("deep", |cache| set(&cache.join(&tree), "NarHash", zeros));
    Checker::new().assert_whole(&cache);
    assert!(
        Checker::new()
            .deep()
            .check(&cache)
            .unwrap_err()
            .contains("`NarHash` or `NarSize`")
    );
}

#[test]
fn a_watch_sees_a_breach_that_has_passed_and_no_ghosts() {
    let Some(sample) = Sample::make() else { return };
    let busy = sample.damaged("busy", |_| ());
    let tree = busy.join(sample.narinfo("-o3"));
    let nar = busy.join(field(&tree, "URL"));
    let checker = Checker::new().key(&sample.key);

    // In the right order, again and again: referrers first, NAR last; and back the other way.
    let watch = checker.watch(&busy, &sample.nix.scratch());
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let infos = sample.nix.paths();
            let parents = referrers(&busy, &infos, &tree);
            while !done.load(Ordering::Relaxed) {
                let saved: Vec<_> = parents.iter().map(|path| fs::read(path).unwrap()).collect();
                let (own, content) = (fs::read(&tree).unwrap(), fs::read(&nar).unwrap());
                parents
                    .iter()
                    .rev()
                    .for_each(|path| fs::remove_file(path).unwrap());
                fs::remove_file(&tree).unwrap();
                fs::remove_file(&nar).unwrap();
                for (path, bytes) in [(&nar, &content), (&tree, &own)]
                    .into_iter()
                    .chain(parents.iter().zip(&saved))
                {
                    let part = path.with_extension("part0");
                    fs::write(&part, bytes).unwrap();
                    fs::rename(&part, path).unwrap();
                }
            }
        });
        std::thread::sleep(std::time::Duration::from_secs(2));
        done.store(true, Ordering::Relaxed);
    });
    let said = watch.stop();
    assert!(said.contains(" 0 problems"), "{said}");

    // In the wrong order, and mended before the watch ends.
    let watch = checker.watch(&busy, &sample.nix.scratch());
    let aside = nar.with_extension("aside");
    std::thread::sleep(std::time::Duration::from_secs(1));
    fs::rename(&nar, &aside).unwrap();
    std::thread::sleep(std::time::Duration::from_secs(1));
    fs::rename(&aside, &nar).unwrap();
    let breach = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| watch.stop()));
    let message = breach.expect_err("the breach was not seen");
    assert!(
        message
            .downcast_ref::<String>()
            .unwrap()
            .contains("its NAR is missing")
    );
}

/// The narinfos that refer to one, directly or not, nearest first.
fn referrers(cache: &Path, infos: &[support::real_nix::PathInfo], narinfo: &Path) -> Vec<PathBuf> {
    let file = |path: &str| cache.join(format!("{}.narinfo", &path["/nix/store/".len()..][..32]));
    let mut found: Vec<PathBuf> = Vec::new();
    let mut open = vec![narinfo.to_owned()];
    while let Some(at) = open.pop() {
        let target = infos.iter().find(|info| file(&info.path) == at).unwrap();
        for info in infos
            .iter()
            .filter(|info| info.references.contains(&target.path) && info.path != target.path)
        {
            let own = file(&info.path);
            if own.exists() && !found.contains(&own) {
                found.push(own.clone());
                open.push(own);
            }
        }
    }
    // References go to lower numbers only, so the path's number is an order.
    found.sort_by_key(|path| {
        let name = infos
            .iter()
            .find(|info| file(&info.path) == *path)
            .unwrap()
            .path
            .clone();
        name.rsplit("-o")
            .next()
            .and_then(|number| number.parse::<usize>().ok())
            .unwrap_or(usize::MAX)
    });
    found.retain(|path| path != narinfo);
    found
}
