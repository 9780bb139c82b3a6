//! What the machine's Nix makes of setup and optimize: settings that take effect, warm outputs, an untrusted user.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#![allow(
    clippy::case_sensitive_file_extension_comparisons,
    reason = "store paths end in `.drv`, never in `.DRV`"
)]

mod e2e_world;
mod support;

use std::collections::BTreeMap;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use e2e_world::{World, with_each_nix};
use serde_json::Value;

const TUNING: &str = "artifacts: { all: { priority: 10, default: true } }
push: { enabled: false }
optimize: { max-jobs: 4, cores: 3, http-connections: 7, max-substitution-jobs: 9, nix-settings: { keep-outputs: true } }
";

/// What a runner of GitHub Actions reads from an environment file.
fn variables(file: &str) -> BTreeMap<String, String> {
    let mut lines = file.lines();
    let mut found = BTreeMap::new();
    while let Some(line) = lines.next() {
        if let Some((name, delimiter)) = line.split_once("<<") {
            let value: Vec<&str> = lines
                .by_ref()
                .take_while(|line| *line != delimiter)
                .collect();
            found.insert(name.to_owned(), value.join("\n"));
        } else if let Some((name, value)) = line.split_once('=') {
            found.insert(name.to_owned(), value.to_owned());
        } else {
            assert!(line.is_empty(), "a runner refuses {line:?}");
        }
    }
    found
}

/// The settings as a process of the real Nix reads them.
fn settings(world: &World, environment: &[(String, String)]) -> Value {
    let show = "nix config show --json 2>/dev/null || nix show-config --json";
    let mut command = world.bed.program("sh");
    command.args(["-c", show]).envs(environment.iter().cloned());
    world.bed.finish(&mut command).success().json()
}

fn assert_tuned(world: &World, settings: &Value) {
    let value = |name: &str| settings[name]["value"].clone();
    assert_eq!(value("max-jobs"), 4);
    assert_eq!(value("cores"), 3);
    assert_eq!(value("http-connections"), 7);
    assert_eq!(value("keep-outputs"), true);
    // Older ones do not know it, and would warn of it in every command.
    let is_old = world.nix.version().starts_with("2.8.");
    assert_eq!(
        value("max-substitution-jobs"),
        if is_old { Value::Null } else { 9.into() }
    );
}

#[test]
fn later_steps_of_a_job_on_github_see_the_tuning() {
    with_each_nix(|mut world| {
        let file = world.bed.write("../run/github_env", "EARLIER=kept\n");
        for (name, value) in [
            ("CI", "true"),
            ("GITHUB_ACTIONS", "true"),
            ("GITHUB_ENV", file.to_str().unwrap()),
            ("GITHUB_RUN_ID", "17"),
            // A step before had said something of its own.
            ("NIX_CONFIG", "connect-timeout = 3\nmax-jobs = 1"),
        ] {
            world.bed.set(name, value);
        }
        let key = world.nix.generate_key("ci-1");
        world.bed.write(
            "../home/keys/dev.sec",
            std::fs::read(&key.secret_file).unwrap(),
        );
        world.config(TUNING);
        assert_eq!(settings(&world, &[])["max-jobs"]["value"], 1);

        let plan = world.run("optimize --detailed-exitcode").fails(2);
        assert!(plan.stdout.contains("NIX_CONFIG"), "{plan}");
        let _ = world.run("optimize --apply").success();
        let text = std::fs::read_to_string(&file).unwrap();
        assert!(text.starts_with("EARLIER=kept\n"), "{text}");
        let exported = variables(&text);
        assert_eq!(exported["EARLIER"], "kept");

        // A later step: what the runner makes of the file, and nothing else of ours.
        let elsewhere = world.bed.root().join("elsewhere");
        let mut step: Vec<(String, String)> = exported.into_iter().collect();
        step.push((
            "XDG_CONFIG_HOME".to_owned(),
            elsewhere.to_str().unwrap().to_owned(),
        ));
        let seen = settings(&world, &step);
        assert_tuned(&world, &seen);
        assert_eq!(seen["connect-timeout"]["value"], 3, "what was there stays");

        // The same step again, and a later step, have nothing to do.
        let said = world.run("optimize --detailed-exitcode").success();
        assert!(said.stdout.contains("No changes"), "{said}");
        let config = step
            .iter()
            .find(|(name, _)| name == "NIX_CONFIG")
            .unwrap()
            .1
            .clone();
        world.bed.set("NIX_CONFIG", config);
        world.bed.write("../run/github_env", "");
        let _ = world.run("optimize --detailed-exitcode").success();
    });
}

#[test]
fn tuning_takes_effect_through_the_users_own_nix_conf() {
    with_each_nix(|world| {
        world.bed.write(
            "../home/.config/nix/nix.conf",
            "# mine\nconnect-timeout = 3\n",
        );
        world.config(TUNING);
        assert_eq!(settings(&world, &[])["max-jobs"]["value"], 2);
        world.converge();
        let seen = settings(&world, &[]);
        assert_tuned(&world, &seen);
        assert_eq!(seen["connect-timeout"]["value"], 3);
        let own = std::fs::read_to_string(world.bed.home().join(".config/nix/nix.conf")).unwrap();
        assert!(
            own.starts_with("# mine\nconnect-timeout = 3\n") && own.lines().count() == 3,
            "{own}"
        );

        // Somebody's own line after ours wins, and is said instead of fought.
        world.bed.write(
            "../home/.config/nix/nix.conf",
            format!("{own}max-jobs = 5\n"),
        );
        let said = world.run("reconcile --detailed-exitcode").success();
        let text = said.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(
            text.contains("Nix uses `5`, not `4`") && text.contains("nix.conf:4"),
            "{said}"
        );

        // What is no longer asked for goes.
        world.bed.write("../home/.config/nix/nix.conf", own);
        world.config(
            "artifacts: { all: { priority: 10, default: true } }\npush: { enabled: false }\n",
        );
        world.converge();
        assert_eq!(settings(&world, &[])["max-jobs"]["value"], 2);
    });
}

#[test]
fn what_is_to_be_warm_is_fetched_and_nothing_is_built() {
    with_each_nix(|mut world| {
        let flake = r#"
            tool = sh "tool" [] "echo tool > $out";
            shell = sh "shell" [ tool ] "echo $inputs > $out";
            cold = sh "cold" [] "echo cold > $out";
        "#;
        world.flake(flake);
        let classes = "artifacts: { all: { priority: 10, outputs: ['.#shell'], default: true } }\n";
        world.config(classes);
        world.converge();
        let (shell, tool) = (world.output("shell"), world.output("tool"));

        // Another machine: the same home and cache, an empty store.
        let empty = world.nix.another();
        world.bed.set("NIX_REMOTE", empty.root());
        world.config(&format!(
            "{classes}optimize: {{ warm: ['.#shell', '.#cold'] }}\n"
        ));
        let plan = world.run("reconcile --detailed-exitcode").fails(2);
        let text = plan.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(
            text.contains("1 to fetch") && !text.contains("to build"),
            "{plan}"
        );
        assert!(
            text.contains(".#cold") && text.contains("no declared cache has it"),
            "{plan}"
        );
        let applied = world.run("reconcile --apply").success();
        assert!(!applied.stderr.contains("building '"), "{applied}");
        for path in [&shell, &tool] {
            let info = empty.path_info(path);
            assert!(info.is_some(), "{path} is not here");
            let signatures = empty.signatures(path);
            assert!(
                signatures.iter().any(|sig| sig.starts_with("e2e-dev-1:")),
                "{signatures:?}"
            );
        }
        let outputs: Vec<_> = empty
            .paths()
            .into_iter()
            .map(|info| info.path)
            .filter(|path| !path.ends_with(".drv") && !path.ends_with("-source"))
            .collect();
        assert_eq!(outputs.len(), 2, "{outputs:?}");
        world.assert_nothing_to_do();
        // What was only substituted is in the cache that it came from, and stays there.
        world.assert_cached([&shell, &tool]);
    });
}

/// A daemon of the real Nix that trusts nobody, on a socket of its own.
struct Daemon(Child);

impl Daemon {
    fn start(world: &World) -> Self {
        let socket = world.bed.root().join("run/socket");
        let _ = std::fs::remove_file(&socket);
        let mut command = world
            .bed
            .program(if world.nix.version().starts_with("2.8.") {
                "nix-daemon"
            } else {
                "sh"
            });
        if !world.nix.version().starts_with("2.8.") {
            let enter = support::fixture("tests/setup/sid-nix");
            command = world.bed.program(enter);
            command.env("NANNA_SID_ROOT", sid_root()).arg("nix-daemon");
        }
        command
            .env("NIX_REMOTE", world.nix.root())
            .env("NIX_DAEMON_SOCKET_PATH", &socket)
            // The daemon has a home of its own.
            .env("HOME", world.nix.root().join("home"))
            .env("XDG_CONFIG_HOME", world.nix.root().join("home/.config"))
            .env("XDG_CACHE_HOME", world.nix.root().join("home/.cache"))
            .stdout(Stdio::null())
            .stderr(Stdio::inherit());
        let daemon = Self(command.spawn().unwrap());
        let began = Instant::now();
        while !socket.exists() {
            assert!(
                began.elapsed() < Duration::from_secs(30),
                "the daemon does not start"
            );
            std::thread::sleep(Duration::from_millis(20));
        }
        daemon
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn sid_root() -> std::path::PathBuf {
    std::env::var_os("NANNA_SID_ROOT").map_or_else(
        || support::target().join("sid-root"),
        std::path::PathBuf::from,
    )
}

#[test]
fn an_untrusted_user_gets_lines_for_the_administrator_and_they_suffice() {
    with_each_nix(|mut world| {
        world.flake(r#"app = sh "app" [] "echo app > $out";"#);
        world.config("artifacts: { all: { priority: 10, outputs: ['.#app'], default: true } }\n");
        world.converge();
        let app = world.output("app");
        // The store is empty again, and behind a daemon that does not trust us.
        world.nix = world.nix.another();
        let conf = world.bed.root().join("etc/nix/nix.conf");
        let before = std::fs::read_to_string(&conf).unwrap();
        let before = format!("{before}trusted-users = nobody\n");
        std::fs::write(&conf, &before).unwrap();
        let socket = world.bed.root().join("run/socket");
        world
            .bed
            .set("NIX_REMOTE", "daemon")
            .set("NIX_DAEMON_SOCKET_PATH", &socket);
        let daemon = Daemon::start(&world);
        let realise = |world: &World| {
            let mut command = world.bed.program("nix-store");
            command.args(["--realise", &app, "--max-jobs", "0"]);
            world.bed.finish(&mut command)
        };
        assert_ne!(realise(&world).code, Some(0), "it was trusted after all");

        let plan = world.run("setup --full --format json").success().json();
        let advice = plan["advice"].as_array().unwrap();
        let about = advice
            .iter()
            .find(|one| one["about"].as_str().unwrap().ends_with("etc/nix/nix.conf"));
        let about = about.unwrap_or_else(|| panic!("no advice: {plan:#}"));
        let lines: Vec<&str> = about["lines"]
            .as_array()
            .unwrap()
            .iter()
            .map(|line| line.as_str().unwrap())
            .collect();
        let cache = format!("file://{}", world.cache().display());
        // The JSON is masked as all output is.
        let masked = world.bed.mask(&cache);
        let key = world.public_key("keys/dev.sec");
        assert_eq!(
            lines,
            [
                format!("extra-trusted-substituters = {masked}"),
                format!("extra-trusted-public-keys = {key}")
            ]
        );
        assert!(!plan.to_string().contains("trusted-users"), "{plan:#}");
        let text = world.run("setup").success().stdout;
        assert!(text.contains(lines[1]), "{text}");
        let _ = world.run("setup --strict").fails(7);

        // The administrator does what it says.
        drop(daemon);
        let added = lines.join("\n").replace(&masked, &cache);
        std::fs::write(&conf, format!("{before}{added}\n")).unwrap();
        let daemon = Daemon::start(&world);
        let _ = realise(&world).success();
        assert!(world.nix.real(&app).exists());
        let after = world.run("setup --format json").success().json();
        assert_eq!(after["advice"].as_array().unwrap().len(), 0, "{after:#}");
        drop(daemon);
    });
}

/// What Nix says of a setting, as its words.
fn words(world: &World, setting: &str) -> Vec<String> {
    let value = &settings(world, &[])[setting]["value"];
    let words = value.as_array().unwrap().iter();
    words
        .map(|word| word.as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn two_projects_share_a_machine_and_leave_each_other_alone() {
    with_each_nix(|world| {
        let section = |project: &str, jobs: u32| {
            format!(
                "version: 1\nproject: {project}\ncaches:\n  dev: {{ type: file, path: @ROOT@/{project}, signing-key: \
                 {{ file: ~/keys/{project}.sec, generate: true }} }}\nartifacts: {{ all: {{ priority: 10, default: true }} }}\n\
                 push: {{ enabled: false }}\noptimize: {{ max-jobs: {jobs}, cores: 3 }}\n"
            )
        };
        let (one, two) = (section("one", 4), section("two", 6));
        for text in [&one, &two] {
            world.whole_config(text);
            let _ = world.run("reconcile --apply").success();
        }
        // Neither has anything to do now, whoever comes.
        for text in [&one, &two, &one] {
            world.whole_config(text);
            world.assert_nothing_to_do();
        }
        let substituters = words(&world, "substituters");
        let keys = words(&world, "trusted-public-keys");
        for project in ["one", "two"] {
            let url = world
                .bed
                .mask(&format!("file://{}/{project}", world.bed.root().display()));
            assert_eq!(substituters.iter().filter(|one| **one == url).count(), 1);
            let key = world.public_key(&format!("keys/{project}.sec"));
            assert!(keys.contains(&key), "{keys:?}");
        }
        let conf = std::fs::read_to_string(world.bed.home().join(".config/nix/nix.conf")).unwrap();
        assert_eq!(conf.matches("include").count(), 1, "{conf}");
        // Of tuning the last one counts, and whoever loses is told.
        assert_eq!(settings(&world, &[])["max-jobs"]["value"], 6);
        let told = |world: &World| {
            let said = world.run("reconcile").success().stdout;
            let text = said.split_whitespace().collect::<Vec<_>>().join(" ");
            text.contains("the project two sets it to `6`") && text.contains("1 advice")
        };
        assert!(told(&world));
        world.whole_config(&two);
        assert!(!told(&world));
        // One changes: the other's stays.
        world.whole_config(&one.replace("max-jobs: 4", "max-jobs: 5"));
        let _ = world.run("reconcile --apply").success();
        let tuning =
            std::fs::read_to_string(world.bed.home().join(".config/nix/nanna-cache-tuning.conf"));
        let tuning = tuning.unwrap();
        assert!(
            tuning.contains("max-jobs = 5\n") && tuning.contains("max-jobs = 6\n"),
            "{tuning}"
        );
    });
}

#[test]
fn a_lost_signing_key_is_not_made_anew() {
    with_each_nix(|world| {
        world.flake(r#"app = sh "app" [] "echo app > $out";"#);
        let rest = "artifacts: { all: { priority: 10, outputs: ['.#app'], default: true } }\n";
        world.config(rest);
        world.converge();
        let key = world.bed.home().join("keys/dev.sec");
        let (secret, public) = (
            std::fs::read(&key).unwrap(),
            world.public_key("keys/dev.sec"),
        );
        let app = world.output("app");

        std::fs::remove_file(&key).unwrap();
        for command in ["reconcile --apply", "setup --apply"] {
            let said = world.run(command).fails(4);
            let text = said.stdout.replace('┃', "");
            let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
            for part in [
                "the signing key ~/keys/dev.sec is not there, but a key named e2e-dev-1 has signed 1 path of dev",
                "bring its file back, or give the new key another name (caches.dev.signing-key.name: e2e-dev-2)",
                public.as_str(),
            ] {
                assert!(text.contains(part), "{part}\n{said}");
            }
            assert!(!key.exists());
        }
        // The key of another machine under the same name signs nothing here.
        let stranger = world.nix.generate_key("e2e-dev-1");
        std::fs::copy(&stranger.secret_file, &key).unwrap();
        world.flake(r#"app = sh "app" [] "echo app2 > $out";"#);
        let said = world.run("reconcile --apply").fails(4);
        assert!(said.stdout.contains("setup-key-differs"), "{said}");
        // Nor does what is no key.
        for text in ["", "junk", &public] {
            std::fs::write(&key, text).unwrap();
            let said = world.run("reconcile --apply").fails(4);
            assert!(said.stdout.contains("setup-key-unusable"), "{said}");
            let _ = world.run("setup --apply").success();
        }
        assert!(words(&world, "trusted-public-keys").contains(&public));

        // Brought back, all is well again.
        std::fs::write(&key, &secret).unwrap();
        world.converge();
        // The other way out: a new name beside the old public key.
        std::fs::remove_file(&key).unwrap();
        let named = e2e_world::DEV.replace(
            "generate: true }",
            &format!("generate: true, name: e2e-dev-2 }}\n    public-keys: ['{public}']"),
        );
        world.whole_config(&format!("{named}{rest}"));
        world.flake(r#"app = sh "app" [] "echo app3 > $out";"#);
        world.converge();
        let trusted = words(&world, "trusted-public-keys");
        assert!(trusted.contains(&public), "{trusted:?}");
        assert!(
            trusted.contains(&world.public_key("keys/dev.sec")),
            "{trusted:?}"
        );
        // A reader of that nix.conf takes both what the old and what the new key signed.
        let newer = world.output("app");
        let empty = world.nix.another();
        for path in [&app, &newer] {
            let from = format!("file://{}", world.cache().display());
            let line = format!("nix copy --from {from} {path}");
            let _ = world.with_nix_in(&empty, &line).success();
        }
    });
}
