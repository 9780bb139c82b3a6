//! The table, and values checked as Nix does.

use super::*;

fn check(name: &str, value: &str) -> Result<(), ValueError> {
    let words: Vec<String> = value.split_whitespace().map(str::to_owned).collect();
    find(name).expect("a setting").kind.check(&words)
}

#[test]
fn the_table_is_in_order_and_names_are_unique() {
    let mut names: Vec<&str> = all().iter().map(|info| info.name).collect();
    assert!(names.is_sorted());
    names.extend(all().iter().flat_map(|info| info.aliases));
    let unique: std::collections::BTreeSet<_> = names.iter().collect();
    assert_eq!(unique.len(), names.len());
}

#[test]
fn every_default_is_a_value() {
    for info in all() {
        if let Some(default) = info.default {
            assert_eq!(check(info.name, default), Ok(()), "{}", info.name);
        }
    }
}

#[test]
fn finds_by_name_and_alias() {
    assert_eq!(find("binary-caches").unwrap().name, "substituters");
    assert_eq!(find("build-use-chroot").unwrap().name, "sandbox");
    assert_eq!(find("substitutors"), None);
    assert_eq!(nearest("substitutors"), Some("substituters"));
    assert_eq!(nearest("extra-substituter"), Some("substituters"));
    assert_eq!(nearest("max-job"), Some("max-jobs"));
    assert_eq!(nearest("completely-different"), None);
    assert_eq!(nearest(""), None);
}

#[test]
fn knows_versions() {
    let version = |text| Version::parse(text).unwrap();
    assert_eq!(version("nix (Nix) 2.8.0"), Version { major: 2, minor: 8 });
    assert_eq!(version("2.34pre2026").to_string(), "2.34");
    assert_eq!(Version::parse("nix"), None);
    let jobs = find("max-substitution-jobs").unwrap();
    assert!(!jobs.is_known_to(version("2.15.3")) && jobs.is_known_to(version("2.16.0")));
    let repeat = find("repeat").unwrap();
    assert!(repeat.is_known_to(version("2.8")) && !repeat.is_known_to(version("2.34.8")));
    let (old, new) = (version("2.8"), version("2.34"));
    assert!(find("substituters").unwrap().is_known_to(old));
    assert!(find("narinfo-cache-meta-ttl").unwrap().is_known_to(new));
}

#[test]
fn checks_values_as_nix_does() {
    for (name, good, bad) in [
        (
            "fallback",
            &["true", "yes", "1", "false", "no", "0"][..],
            &["", "True", "on", "1 1"][..],
        ),
        (
            "cores",
            &["0", "4", "1G", "2k"],
            &["", "-1", "4 5", "1GiB", "+1", "G", "99999999999999999999"],
        ),
        ("max-jobs", &["auto", "0", "8"], &["", "Auto", "auto auto"]),
        ("sandbox", &["true", "false", "relaxed"], &["yes", "", "1"]),
        ("sandbox-build-dir", &["/build"], &[""]),
        ("build-dir", &["/build", ""], &[]),
        ("substituters", &["", "a", "a a b"], &[]),
        ("access-tokens", &["", "a=b", "nothing"], &[]),
    ] {
        for value in good {
            assert_eq!(check(name, value), Ok(()), "{name} = {value}");
        }
        for value in bad {
            assert!(check(name, value).is_err(), "{name} = {value}");
        }
    }
    let error = check("sandbox", "yes").unwrap_err().to_string();
    assert_eq!(error, "`yes` is none of `true`, `false`, `relaxed`");
}
