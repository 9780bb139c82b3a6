//! Cachix, from the plan to the real Nix, against the stand-in; and what becomes of every fault of it.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

#[path = "fake/cachix/mod.rs"]
mod cachix;
mod e2e_world;
#[path = "e2e_cachix/records.rs"]
mod records;
mod support;
#[path = "e2e_cachix/team.rs"]
mod team;

use cachix::{CacheSettings, Fault, Grant, Kind};
use support::planted::Planted;
use team::{TOKEN, Team};

/// The one file that may hold the token, as the search for it names it.
fn in_netrc(netrc: &std::path::Path) -> [String; 1] {
    [format!("{} (plain)", netrc.display())]
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
    let found = Planted::of([team.standin.token()]).found_below(world.bed.root());
    assert_eq!(found, in_netrc(&netrc));
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
        std::fs::remove_file(&key.secret_file).unwrap();
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
        assert_eq!(
            Planted::of([&*bare]).found_below(team.world.bed.root()),
            [""; 0]
        );
    }
    team.assert_no_token();
}

#[test]
fn a_cache_that_got_no_key_gets_it_later() {
    let Some(mut team) = Team::new(|cache| cache) else {
        return;
    };
    let key = team.world.nix.generate_key("some-key-1");
    let secret = std::fs::read_to_string(&key.secret_file).unwrap();
    team.world.bed.set("CACHIX_SIGNING_KEY", secret.trim());
    team.world.whole_config(&format!(
        "version: 1
project: e2e
caches:
  own:
    type: cachix
    api: {}
    url: {}/own
    insecure: true
    create: true
    signing-key: {{ env: CACHIX_SIGNING_KEY }}
artifacts: {{ apps: {{ priority: 50, outputs: ['.#app'], default: true }} }}
",
        team.standin.api(),
        team.standin.url(),
    ));
    // The cache is made, and its key refused: nothing is pushed into it.
    let refused = Fault::new("POST", "/api/v1/cache/own/key", Kind::Unauthorized);
    team.standin.faults().add(refused);
    let _ = team.world.run("reconcile --apply").fails(6);
    assert_eq!(team.standin.cache("own").public_keys(), [""; 0]);
    team.standin.faults().clear();
    let plan = team.world.run("reconcile --plan").success();
    let text = plan.to_string();
    assert!(text.contains("signed by: nobody"), "{plan}");
    // The service answers, and the answer is lost: what it has decides.
    let lost = Fault::new("POST", "/api/v1/cache/own/key", Kind::AnswerLost).times(1);
    team.standin.faults().add(lost);
    team.world.converge();
    let public = key.public.replace("some-key-1:", "own.cachix.org-1:");
    assert_eq!(team.standin.cache("own").public_keys(), [public]);
    team.assert_no_token();
}

#[test]
fn a_push_that_fails_leaves_no_upload_open() {
    let Some(team) = Team::new(|cache| cache) else {
        return;
    };
    let refused = Fault::new("POST", "*/complete", Kind::NotFound);
    team.standin.faults().add(refused);
    let _ = team.world.run("reconcile --apply").fails(6);
    assert!(team.standin.faults().struck() > 0, "it never struck");
    assert_eq!(team.names(), [""; 0]);
    assert_eq!(team.standin.uploads(), 0);
    team.standin.faults().clear();
    team.world.converge();
    assert_eq!(team.names(), ["app", "lib"]);
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
        Planted::of([team.standin.token()]).found_below(world.bed.root()),
        in_netrc(&netrc)
    );
    // Another token is drift.
    std::fs::write(&netrc, text.replace(team.standin.token(), "other")).unwrap();
    let plan = world.run("reconcile").success();
    assert!(plan.stdout.contains("another password"), "{plan}");
}

#[test]
fn two_private_caches_on_a_host_need_one_token() {
    let other = CacheSettings::new("other").private();
    let Some(mut team) = Team::beside(CacheSettings::private, [other]) else {
        return;
    };
    let token = team.standin.new_token(Grant::Read("other".to_owned()));
    team.world.bed.set("OTHER_TOKEN", &token);
    let declare = |token: &str| {
        team.declare(
            &format!(
                "visibility: private
  other:
    type: cachix
    api: {}
    url: {}
    insecure: true
    visibility: private
    read-only: true
    {token}",
                team.standin.api(),
                team.standin.cache("other").url(),
            ),
            "",
        );
    };
    declare("token: { env: OTHER_TOKEN }");
    let plan = team.world.run("reconcile --apply").fails(4);
    assert!(plan.to_string().contains("setup-two-tokens"), "{plan}");
    team.assert_none_of(&[TOKEN, &token]);
    // With one token for both there is one login.
    declare("");
    team.world.converge();
    assert_eq!(
        Planted::of([TOKEN, &token]).found_below(team.world.bed.root()),
        in_netrc(&team.world.bed.home().join(".config/nix/netrc"))
    );
}
