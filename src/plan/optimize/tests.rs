//! Tuning, the order of asking, and warming.

use super::*;
use crate::plan::observed::{FileFacts, SettingFacts, SubstituterFacts, Why};
use crate::plan::plan::Asked;
use crate::plan::simulate::World;
use crate::plan::testing::{addresses, cache, desired, find, hash, path, world};

const ALL: &str = "setup: { nix-conf: user }
optimize: { max-jobs: 4, cores: 0, http-connections: 50, max-substitution-jobs: 32, narinfo-ttl: { positive: 1h, negative: 1m }, nix-settings: { keep-outputs: true } }
";
const TUNING: &str = "/home/me/.config/nix/nanna-cache-tuning.conf";
const TEXT: &str = "# Managed by nanna-cache (project demo): edit cache.yaml instead of this.\nmax-jobs = 4\ncores = 0\nhttp-connections = 50\nmax-substitution-jobs = 32\n\
narinfo-cache-positive-ttl = 3600\nnarinfo-cache-negative-ttl = 60\nkeep-outputs = true\n";

fn present(text: &str) -> Observation<FileFacts> {
    Observation::Present(FileFacts {
        text: text.to_owned(),
        mode: 0o644,
        managed: None,
        writable: true,
    })
}

fn nix(observed: &mut Observed) -> &mut NixFacts {
    match &mut observed.nix {
        Observation::Present(nix) => nix,
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_tuning_to_the_byte() {
    let desired = desired(ALL);
    let mut seen = world().observe(&desired);
    let text = |seen: &Observed| match &find(&plan(&desired, seen).steps, "optimize/nix/tuning").op
    {
        Op::WriteFile { after, path, .. } => {
            assert_eq!(path, TUNING);
            after.clone()
        }
        other => panic!("{other:?}"),
    };
    assert_eq!(text(&seen), TEXT);
    nix(&mut seen).version = Some("2.8.0".to_owned());
    let older = TEXT.replace("max-substitution-jobs = 32\n", "");
    assert_eq!(text(&seen), older);
    seen.files.insert(TUNING.to_owned(), present(TEXT));
    nix(&mut seen).version = Some("2.16.1".to_owned());
    assert!(plan(&desired, &seen).steps.is_empty());
}

#[test]
fn the_settings_go_when_nothing_is_tuned_any_more() {
    let none = desired("setup: { nix-conf: user }");
    let mut seen = world().observe(&none);
    assert!(plan(&none, &seen).steps.is_empty());
    seen.files.insert(TUNING.to_owned(), present(TEXT));
    assert_eq!(
        addresses(&plan(&none, &seen).steps),
        ["optimize/nix/tuning"]
    );
}

#[test]
fn versions_that_know_substitution_jobs() {
    let knows = |version: &str| {
        knows_substitution_jobs(&NixFacts {
            version: Some(version.to_owned()),
            ..NixFacts::default()
        })
    };
    assert!(knows("2.16.0") && knows("2.16pre1") && knows("2.18.1") && knows("3.0"));
    assert!(!knows("2.15.9") && !knows("2.8.0") && !knows("1.99") && !knows("odd"));
    assert!(knows_substitution_jobs(&NixFacts::default()));
}

#[test]
fn values_compare_as_nix_means_them() {
    assert!(same_value("4", "4") && same_value("b a", "a b") && same_value("8", "auto"));
    assert!(same_value("1073741824", "1G") && same_value("2048", "2k"));
    assert!(same_value("3145728", "3M") && same_value("1099511627776", "1T"));
    assert!(!same_value("4", "5") && !same_value("a b", "a") && !same_value("1024", "1M"));
    assert!(!same_value("", "x") && !same_value("x", ""));
    assert_eq!(bytes("99999999999999999999G"), None);
    assert_eq!(bytes("G"), None);
}

#[test]
fn a_setting_that_something_else_overrules_is_advice() {
    let desired = desired(ALL);
    let mut seen = world().observe(&desired);
    seen.files.insert(TUNING.to_owned(), present(TEXT));
    let setting = |value: &str, origins: &[&str]| SettingFacts {
        value: value.to_owned(),
        origins: origins.iter().map(ToString::to_string).collect(),
    };
    let settings = [
        ("max-jobs".to_owned(), setting("1", &["/a:1", "/b:2"])),
        ("cores".to_owned(), setting("0", &[])),
        ("keep-outputs".to_owned(), setting("false", &[])),
    ];
    nix(&mut seen).settings = settings.into();
    assert!(plan(&desired, &seen).advice.is_empty(), "not included yet");
    let conf = "/home/me/.config/nix/nix.conf";
    seen.files
        .insert(conf.to_owned(), present("!include nanna-cache.conf\n"));
    let advice: Vec<_> = plan(&desired, &seen)
        .advice
        .into_iter()
        .map(|advice| advice.text)
        .collect();
    assert_eq!(
        advice,
        [
            "Nix uses `1`, not `4`: /b:2 wins",
            "Nix uses `false`, not `true`: a default wins"
        ]
    );
}

#[test]
fn later_steps_of_a_job_see_the_settings_once() {
    let desired = desired("optimize: { max-jobs: 4, cores: 2 }");
    let mut seen = world().observe(&desired);
    assert!(plan(&desired, &seen).steps.is_empty(), "no job");
    seen.environment.github_env = Some("/env".to_owned());
    let export = |seen: &Observed| {
        plan(&desired, seen)
            .steps
            .first()
            .map(|step| match &step.op {
                Op::ExportVariable {
                    file, name, after, ..
                } => {
                    assert_eq!((file.as_str(), name.as_str()), ("/env", "NIX_CONFIG"));
                    after.clone()
                }
                other => panic!("{other:?}"),
            })
    };
    assert_eq!(export(&seen).unwrap(), "max-jobs = 4\ncores = 2");
    let mut with = |text: &str| {
        seen.environment.nix_config = text.to_owned();
        export(&seen)
    };
    assert_eq!(with("a = b").unwrap(), "a = b\nmax-jobs = 4\ncores = 2");
    assert_eq!(with("cores = 2\n").unwrap(), "cores = 2\nmax-jobs = 4");
    assert_eq!(with("max-jobs = 4\ncores = 2"), None);
    // A later line undoes an earlier one.
    let undone = "max-jobs = 4\ncores = 2\nmax-jobs = 1";
    assert_eq!(with(undone).unwrap(), format!("{undone}\nmax-jobs = 4"));
}

#[test]
fn a_folder_of_its_own_is_included_by_the_job() {
    let desired = desired("setup: { nix-conf: { dir: /conf } }");
    let mut seen = world().observe(&desired);
    seen.environment.github_env = Some("/env".to_owned());
    let step = plan(&desired, &seen).steps.remove(0);
    let Op::ExportVariable { after, .. } = step.op else {
        panic!()
    };
    assert_eq!(after, "!include /conf/nanna-cache.conf");
}

#[test]
fn the_order_of_asking_before_and_after() {
    let desired = desired("setup: { nix-conf: user }");
    let mut seen = world().observe(&desired);
    let facts = |(url, priority): &(&str, Option<i64>)| SubstituterFacts {
        url: (*url).to_owned(),
        priority: *priority,
    };
    let mut with = |all: &[(&str, Option<i64>)]| {
        nix(&mut seen).substituters = all.iter().map(facts).collect();
        plan(&desired, &seen)
    };
    let changes = with(&[
        ("https://dark.example", None),
        ("https://zero.example?x=1", Some(0)),
        ("https://up.example/", Some(40)),
    ]);
    let order = changes.order.unwrap();
    let urls = |asked: &[Asked]| {
        asked
            .iter()
            .map(|asked| asked.url.clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(
        urls(&order.before),
        [
            "https://zero.example?x=1",
            "https://up.example/",
            "https://dark.example"
        ]
    );
    assert_eq!(
        urls(&order.after),
        [
            "https://zero.example?x=1",
            "file:///cache/dev",
            "https://up.example",
            "https://dark.example"
        ]
    );
    assert_eq!(
        changes.advice[0].lines,
        ["https://zero.example?x=1&priority=50"]
    );
    let done = with(&[
        ("file:///cache/dev", Some(30)),
        ("https://up.example", Some(40)),
    ]);
    assert_eq!(done.order, None);
    assert!(done.advice.is_empty());
}

const WARM: &str = "optimize: { warm: ['.#{system}.w'] }";

fn warm_world() -> World {
    let mut world = world()
        .with_output(".#x86_64-linux.w", &["w"])
        .with_output(".#aarch64-linux.w", &["arm"]);
    let arm = world.outputs.get_mut(".#aarch64-linux.w").unwrap();
    arm.system = Some("aarch64-linux".to_owned());
    world
}

#[test]
fn an_output_is_warmed_where_a_cache_has_it() {
    let desired = desired(WARM);
    let planned = |world: World| plan(&desired, &world.observe(&desired));
    for world in [
        warm_world().with_cached(1, &["w"]),
        warm_world().with_upstream(&["w"]),
    ] {
        let changes = planned(world);
        let step = find(&changes.steps, "optimize/warm/.#x86_64-linux.w");
        assert_eq!(step.effect.paths, 1);
        assert_eq!(step.waits_for.len(), 3);
        assert!(matches!(&step.op, Op::Warm { paths, .. } if *paths == [path("w")]));
        assert!(changes.advice.is_empty() && changes.steps.len() == 1);
    }
    let here = planned(warm_world().with_store(&["w"]));
    assert!(here.steps.is_empty() && here.advice.is_empty());
    let mut foreign = warm_world().with_upstream(&["w"]);
    for facts in foreign.outputs.values_mut() {
        facts.system = Some("aarch64-linux".to_owned());
    }
    assert!(planned(foreign).steps.is_empty());
    let mut unnamed = warm_world();
    for facts in unnamed.outputs.values_mut() {
        facts.outputs.clear();
    }
    assert!(planned(unnamed).steps.is_empty());
    let dark = planned(warm_world().hide("up"));
    assert!(dark.steps.is_empty() && dark.advice.is_empty());
    assert_eq!(dark.unknowns[0].why.0, "up: it is hidden");
    let cold = planned(warm_world());
    assert!(cold.steps.is_empty());
    assert_eq!(cold.advice.len(), 1);
    let hidden = planned(warm_world().hide(".#x86_64-linux.w"));
    assert!(hidden.steps.is_empty() && hidden.advice.is_empty());
    assert_eq!(hidden.unknowns[0].effect, "it is not warmed");
    let mut broken = warm_world().with_cached(1, &["w"]);
    broken.cache("dev").nars.clear();
    assert_eq!(planned(broken).advice.len(), 1, "its NAR is missing");
}

#[test]
fn upstreams_are_asked_for_what_is_to_be_warm() {
    let desired = desired(WARM);
    let mut seen = warm_world().observe(&desired);
    assert_eq!(
        questions(&desired, &seen),
        [hash("w")].into(),
        "not another system's"
    );
    let why = Observation::Unknown(Why("dark".to_owned()));
    seen.outputs.insert(".#x86_64-linux.w".to_owned(), why);
    assert!(questions(&desired, &seen).is_empty());
    assert_eq!(cache("dev").as_str(), "dev");
}

#[test]
fn what_we_rewrite_keeps_its_place_in_the_order() {
    let desired = desired("setup: { nix-conf: user }");
    let mut seen = world().observe(&desired);
    let conf = desired.conf.as_ref().unwrap();
    let ours = "# Managed by nanna-cache (project demo): edit cache.yaml instead of this.\n\
                extra-substituters = file:///cache/dev https://up.example\n";
    for (path, text) in [
        (&conf.nix_conf, "!include nanna-cache.conf\n"),
        (&conf.fragment, ours),
    ] {
        seen.files.insert(path.to_string(), present(text));
    }
    let all = [
        ("https://one.example", 40),
        ("file:///cache/dev", 30),
        ("https://up.example", 40),
        ("https://two.example", 40),
    ];
    nix(&mut seen).substituters = all
        .map(|(url, priority)| SubstituterFacts {
            url: url.to_owned(),
            priority: Some(priority),
        })
        .to_vec();
    assert_eq!(plan(&desired, &seen).order, None);
}

#[test]
fn a_setting_that_another_project_sets_further_down_is_advice() {
    let desired = desired("setup: { nix-conf: user }\noptimize: { max-jobs: 4, cores: 2 }");
    let advised = |theirs: &str| {
        let mut seen = world().observe(&desired);
        let text = format!(
            "# Managed by nanna-cache (project demo): edit cache.yaml instead of this.\n\
             max-jobs = 4\ncores = 2\n\
             # Managed by nanna-cache (project other): edit cache.yaml instead of this.\n{theirs}\n"
        );
        seen.files.insert(TUNING.to_owned(), present(&text));
        let changes = plan(&desired, &seen);
        assert!(changes.steps.is_empty(), "{:?}", changes.steps);
        let advice = changes.advice.into_iter();
        let said = advice.map(|advice| format!("{}: {}", advice.about, advice.text));
        said.collect::<Vec<_>>()
    };
    assert!(advised("cores = 2\nmax-jobs = 4").is_empty());
    assert_eq!(
        advised("http-connections = 9\ncores = 8"),
        [
            "cores: the project other sets it to `8` on this machine, too, and wins over `2`, \
             because its section comes later"
        ]
    );
}

#[test]
fn tuning_without_setup_says_that_nothing_includes_it() {
    let all = desired(ALL);
    let alone = all.clone().only(&["optimize".to_owned()]);
    let mut seen = world().observe(&all);
    let said = |desired: &Desired, seen: &Observed| {
        let mut advice = plan(desired, seen).advice.into_iter();
        advice.any(|one| one.about == TUNING && one.lines == ["nanna-cache setup --apply"])
    };
    assert!(said(&alone, &seen));
    assert!(!said(&all, &seen), "setup is part of it");
    let mut job = seen.clone();
    job.environment.github_env = Some("/env".to_owned());
    assert!(!said(&alone, &job), "the environment file does it");
    let conf = all.conf.as_ref().unwrap();
    for (path, text) in [
        (&conf.nix_conf, "!include nanna-cache.conf\n"),
        (&conf.fragment, "!include nanna-cache-tuning.conf\n"),
    ] {
        assert!(said(&alone, &seen));
        seen.files.insert(path.to_string(), present(text));
    }
    assert!(!said(&alone, &seen));
}

#[test]
fn who_undoes_a_setting_of_another_project_is_told() {
    let desired = desired("setup: { nix-conf: user }\noptimize: { max-jobs: 4, cores: 2 }");
    let mut seen = world().observe(&desired);
    let theirs = "# Managed by nanna-cache (project other): edit cache.yaml instead of this.\n\
                  max-jobs = 8\ncores = 2\n";
    seen.files.insert(TUNING.to_owned(), present(theirs));
    let changes = plan(&desired, &seen);
    assert_eq!(addresses(&changes.steps), ["optimize/nix/tuning"]);
    let said: Vec<_> = changes.advice.into_iter().map(|one| one.text).collect();
    assert_eq!(
        said,
        ["`4` wins over `8` of the project other on this machine, because its section comes first"]
    );
}

#[test]
fn what_the_environment_sets_anew_keeps_our_caches_out_of_the_order() {
    let desired = desired("setup: { nix-conf: user }");
    let mut seen = world().observe(&desired);
    nix(&mut seen).substituters = vec![SubstituterFacts {
        url: "https://one.example".to_owned(),
        priority: Some(40),
    }];
    let setting = SettingFacts {
        value: "https://one.example".to_owned(),
        origins: Vec::new(),
    };
    let facts = nix(&mut seen);
    facts.settings.insert("substituters".to_owned(), setting);
    let order = |desired: &Desired, seen: &Observed| plan(desired, seen).order;
    assert!(order(&desired, &seen).is_some());
    let alone = desired.clone().only(&["optimize".to_owned()]);
    assert_eq!(order(&alone, &seen), None, "setup is not part of it");
    seen.environment.nix_config = "extra-substituters = https://x".to_owned();
    assert!(order(&desired, &seen).is_some());
    seen.environment.nix_config = "substituters = https://one.example".to_owned();
    assert_eq!(order(&desired, &seen), None);
    let said =
        |advice: &Advice| advice.about == "substituters" && advice.text.contains("NIX_CONFIG");
    assert!(setup::plan(&desired, &seen).advice.iter().any(said));
}
