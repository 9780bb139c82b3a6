//! Caches that are damaged, that go away, or whose clock jumps.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::crash_support::{Running, Site, age, copy, names, narinfos, tree};

/// Changes something of one narinfo in a cache.
type Damage = fn(&Path, &str) -> String;

fn nar_of(text: &str) -> &str {
    text.lines()
        .find_map(|line| line.strip_prefix("URL: "))
        .unwrap()
}

/// A content-addressed path that others refer to, and one that nothing but the top refers to.
fn victim(site: &Site) -> PathBuf {
    let path = site
        .population
        .paths
        .iter()
        .find(|path| path.ends_with("-text-1.txt"))
        .unwrap();
    site.cache()
        .join(format!("{}.narinfo", &path["/nix/store/".len()..][..32]))
}

#[test]
fn damaged_narinfos_are_told_kept_and_repaired() {
    let Some(site) = Site::new(12) else { return };
    let _ = site.push_all();
    std::fs::create_dir(site.copies()).unwrap();
    let whole = site.copies().join("whole");
    copy(&site.cache(), &whole);
    let cases: [(&str, Damage, &str); 6] = [
        (
            "truncated",
            |_, text| text[..text.len() / 2].to_owned(),
            "damaged",
        ),
        ("empty", |_, _| String::new(), "damaged"),
        ("CRLF", |_, text| text.replace('\n', "\r\n"), "damaged"),
        (
            "of another path",
            |path, _| {
                let folder = path.parent().unwrap();
                let other = narinfos(folder)
                    .into_iter()
                    .map(|name| folder.join(name))
                    .find(|other| other != path);
                std::fs::read_to_string(other.unwrap()).unwrap()
            },
            "damaged",
        ),
        (
            "with a lying CA",
            |_, text| {
                let line = text.lines().find(|line| line.starts_with("CA: ")).unwrap();
                let zeros = "0".repeat(52);
                text.replace(line, &format!("CA: text:sha256:{zeros}"))
            },
            "damaged",
        ),
        (
            "without NAR",
            |path, text| {
                std::fs::remove_file(path.parent().unwrap().join(nar_of(text))).unwrap();
                text.to_owned()
            },
            "its NAR is missing",
        ),
    ];
    for (what, damage, word) in cases {
        let fresh = site.copies().join("fresh");
        copy(&whole, &fresh);
        site.replace_cache(&fresh);
        let narinfo = victim(&site);
        let text = std::fs::read_to_string(&narinfo).unwrap();
        std::fs::write(&narinfo, damage(&narinfo, &text)).unwrap();

        // Told, and left alone by a prune that would delete all the rest.
        let before = tree(&site.cache());
        let said = site
            .bed
            .run(["reconcile", "--apply", "--only", "setup,prune,optimize"])
            .success();
        assert!(said.stdout.contains(word), "{what}: {said}");
        assert_eq!(tree(&site.cache()), before, "{what}");

        // Repaired by a push that holds the path.
        let _ = site.push_all();
        site.assert_complete();
        site.assert_converged();
    }
}

#[test]
fn a_cache_that_goes_away_before_the_apply_is_not_made_anew_by_a_push() {
    let Some(site) = Site::new(6) else { return };
    let top = site.population.top.clone();
    let plan = site.bed.at("plan.json");
    let saved = ["push", "--path", &top, "--out", plan.to_str().unwrap()];
    let _ = site.bed.run(saved).success();
    let elsewhere = site.cache().with_file_name("elsewhere");
    std::fs::rename(site.cache(), &elsewhere).unwrap();
    let before = tree(&elsewhere);
    let apply = [
        "push",
        "--apply",
        "--path",
        &top,
        "--from",
        plan.to_str().unwrap(),
    ];
    let said = site.bed.run(apply).fails(4);
    assert!(said.stdout.contains("setup-first"), "{said}");
    assert!(!site.cache().exists() && tree(&elsewhere) == before);
    // Without the saved plan, push alone says what it lacks; reconcile makes the folder anew.
    let said = site.bed.finish(&mut site.push());
    assert!(
        said.code != Some(0) || said.stdout.contains("No changes"),
        "{said}"
    );
    let _ = site.bed.run(["setup", "--apply"]).success();
    let _ = site.push_all();
    site.assert_complete();
}

#[test]
fn a_cache_that_goes_away_during_a_push_is_whole_where_it_went() {
    let Some(site) = Site::new(48) else { return };
    let elsewhere = site.cache().with_file_name("elsewhere");
    for least in [1, 20, 45] {
        let mut push = Running::start(&mut site.push());
        let moved = push.until(|| names(&site.cache().join("nar")).len() >= least);
        std::fs::rename(site.cache(), &elsewhere).unwrap();
        let ended = push.end();
        assert!(moved || ended.code == Some(0), "{ended:#?}");
        site.checker_of_structure().assert_whole(&elsewhere);
        assert!(!ended.stderr.contains("panicked"), "{ended:#?}");
        if site.cache().exists() {
            // Nothing but what an empty cache has was made in its place.
            assert_eq!(narinfos(&site.cache()), Vec::<String>::new(), "{ended:#?}");
            std::fs::remove_dir_all(site.cache()).unwrap();
        }
        assert!(
            [Some(0), Some(1), Some(5), Some(6)].contains(&ended.code),
            "{ended:#?}"
        );
        if ended.code == Some(0) {
            assert_eq!(
                narinfos(&elsewhere).len(),
                site.population.paths.len(),
                "{ended:#?}"
            );
        } else {
            let all = format!("{}{}", ended.stdout, ended.stderr);
            assert!(all.contains("cache"), "{ended:#?}");
        }
        std::fs::remove_dir_all(&elsewhere).unwrap();
        let _ = site.bed.run(["setup", "--apply"]).success();
    }
    let _ = site.push_all();
    site.assert_complete();
}

fn date(folder: &Path, when: &str) {
    let touch = ["-type", "f", "-exec", "touch", "-d", when, "{}", "+"];
    assert!(
        Command::new("find")
            .arg(folder)
            .args(touch)
            .status()
            .unwrap()
            .success()
    );
}

#[test]
fn a_clock_that_jumps_deletes_nothing() {
    let Some(site) = Site::new(12) else { return };
    let _ = site.push_all();
    let records = site.cache().join("nanna-cache");
    let unchanged = |what: &str, code: i32| {
        let before: Vec<String> = narinfos(&site.cache());
        let nars = names(&site.cache().join("nar"));
        let said = site.bed.run(["prune", "--apply"]).fails(code);
        assert_eq!(narinfos(&site.cache()), before, "{what}: {said}");
        assert_eq!(names(&site.cache().join("nar")), nars, "{what}: {said}");
        said
    };
    // The clock was ahead when it was written: nothing looks older than it is.
    date(&site.cache(), "2099-01-01");
    let said = unchanged("all ahead", 0);
    assert!(said.stdout.contains("No changes."), "{said}");
    site.assert_converged();
    date(&site.cache(), "now");
    date(&records, "2099-01-01");
    let _ = unchanged("records ahead", 0);
    // It was at zero when the objects were written: their records keep them.
    date(&site.cache(), "1970-01-02");
    date(&records, "now");
    let _ = unchanged("objects at zero", 0);
    // It was at zero when all was written: the brake holds until somebody looks.
    age(&site.cache());
    date(&site.cache(), "1970-01-02");
    let said = unchanged("all at zero", 4);
    assert!(
        said.stdout.contains("prune-share") && said.stdout.contains("--allow share=100%"),
        "{said}"
    );
    // A push says that it is needed, and all is as it should be.
    let _ = site.push_all();
    let _ = unchanged("renewed", 0);
    site.assert_complete();
    // An open push whose record is from the future is no danger and no obstacle.
    date(&site.cache(), "now");
    let intent = records.join("v1/intents/00000000000000000000000001.json");
    std::fs::write(&intent, "{}").unwrap();
    date(&records, "2099-01-01");
    let said = site.bed.run(["prune", "--apply"]);
    assert!([Some(0), Some(4)].contains(&said.code), "{said}");
    assert_eq!(narinfos(&site.cache()).len(), site.population.paths.len());
}
