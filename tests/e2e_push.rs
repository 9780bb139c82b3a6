//! What is pushed, and what is not: closures, marks, exclusions, builds, saved plans.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#![allow(
    clippy::case_sensitive_file_extension_comparisons,
    reason = "store paths end in `.drv`, never in `.DRV`"
)]

mod e2e_world;
mod support;

use std::collections::BTreeSet;
use std::os::unix::fs::symlink;

use e2e_world::{World, system, with_each_nix};

const ALL: &str = "artifacts: { all: { priority: 10, default: true } }\n";

fn without_derivations(paths: BTreeSet<String>) -> BTreeSet<String> {
    paths
        .into_iter()
        .filter(|path| !path.ends_with(".drv"))
        .collect()
}

#[test]
fn closures_are_those_of_the_real_nix() {
    let packages = r#"
      zlib = sh "zlib" [] "echo z > $out";
      lib = sh "lib" [ zlib ] "echo $inputs > $out";
      compiler = sh "compiler" [ zlib ] "echo cc > $out";
      unused = sh "unused" [] "echo u > $out";
      tool = sh "tool" [ (sh "maker" [] "echo m > $out") ] "echo t > $out";
      notes = builtins.toFile "notes.txt" "read me";
      app = sh "app" [ lib compiler tool notes ] "set -- $inputs; echo $1 > $out";
    "#;
    for kind in ["runtime", "build", "dev"] {
        with_each_nix(|world| {
            world.flake(packages);
            world.config(&format!(
                "artifacts: {{ all: {{ priority: 10, outputs: [{{ installable: '.#app', closure: {kind} }}], default: true }} }}\n"
            ));
            world.converge();
            let nix = &world.nix;
            let (app, drv) = (world.output("app"), world.derivation("app"));
            let expected = match kind {
                "runtime" => nix.closure([&app]),
                "build" => without_derivations(nix.build_closure(&drv)),
                _ => {
                    let direct = nix.run("nix-store", ["--query", "--references", &drv]);
                    let outputs = direct.lines().flat_map(|input| {
                        if input.ends_with(".drv") {
                            nix.run("nix-store", ["--query", "--outputs", input])
                        } else {
                            input.to_owned()
                        }
                        .lines()
                        .map(str::to_owned)
                        .collect::<Vec<_>>()
                    });
                    nix.closure(outputs.chain([app.clone()]))
                }
            };
            let names: BTreeSet<&str> = expected.iter().map(|path| &path[44..]).collect();
            let hoped: &[&str] = match kind {
                "runtime" => &["app", "lib", "zlib"],
                "build" => &[
                    "app",
                    "compiler",
                    "lib",
                    "maker",
                    "notes.txt",
                    "tool",
                    "zlib",
                ],
                _ => &["app", "compiler", "lib", "notes.txt", "tool", "zlib"],
            };
            assert_eq!(
                names,
                hoped.iter().copied().collect(),
                "the oracle of {kind}"
            );
            world.assert_cached(&expected);
        });
    }
}

#[test]
fn what_came_since_a_mark_is_pushed_and_nothing_else() {
    with_each_nix(|world| {
        world.flake(
            r#"
            old = sh "old" [] "echo old > $out";
            dep = sh "dep" [] "echo dep > $out";
            fresh = sh "fresh" [ dep ] "echo $inputs > $out";
            on-old = sh "on-old" [ old ] "echo $inputs > $out";
        "#,
        );
        world.config(ALL);
        let _ = world.run("setup --apply").success();
        let old = world.build("old");
        let said = world.run("mark job").success();
        assert!(said.stderr.contains("--since-mark job"), "{said}");
        let _ = world
            .run("push --detailed-exitcode --since-mark job")
            .success();

        let fresh = world.build("fresh");
        let far = world.nix.another();
        let imported = far.build(
            r#"derivation { name = "imported"; system = builtins.currentSystem; builder = "/bin/sh"; args = [ "-c" "echo far > $out" ]; }"#,
        );
        let shelf = format!("file://{}", far.scratch().join("shelf").display());
        far.copy_to(&shelf, &imported);
        world.nix.run(
            "nix",
            ["copy", "--no-check-sigs", "--from", &shelf, &imported[0]],
        );

        let _ = world
            .run("push --detailed-exitcode --since-mark job")
            .fails(2);
        let _ = world.run("push --apply --since-mark job").success();
        let dep = world.output("dep");
        world.assert_cached([&fresh, &dep, &imported[0]]);
        let _ = world
            .run("push --detailed-exitcode --since-mark job")
            .success();

        // What is new keeps what it needs, also where that is older than the mark.
        let on_old = world.build("on-old");
        let _ = world.run("push --apply --since-mark job").success();
        world.assert_cached([&fresh, &dep, &imported[0], &on_old, &old]);
        // A mark that nobody made is a mistake: neither everything nor nothing is new since then.
        let said = world.run("push --apply --since-mark jbo").fails(1);
        assert!(said.stderr.contains("nanna-cache mark jbo"), "{said}");
    });
}

const EXCLUDING: &str = "artifacts:
  all: { priority: 10, outputs: ['.#app', '.#lone'], default: true }
push: { exclude: ['-secret$'], exclude-needed: @POLICY@ }
";

fn excluding(packages: &str, rest: &str, needed: &str) {
    with_each_nix(|world| {
        world.flake(packages);
        world.config(&rest.replace("@POLICY@", "hold-back"));
        let (app, lone) = (world.build("app"), world.build("lone"));
        let (mid, needed) = (world.output("mid"), world.output(needed));

        let plan = world.run("reconcile --full").success();
        for path in [&app, &mid, &needed] {
            let base = path.trim_start_matches("/nix/store/");
            assert!(plan.stdout.contains(base), "{path} is not named: {plan}");
        }
        let said = world.run(&format!("explain {app}")).success();
        assert!(
            said.stdout.contains("kept back") && said.stdout.contains(&needed[11..]),
            "{said}"
        );
        world.converge();
        world.assert_cached([&lone]);

        world.config(&rest.replace("@POLICY@", "refuse"));
        for line in ["reconcile", "reconcile --apply"] {
            let said = world.run(line).fails(4);
            let text = said.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
            assert!(text.contains(&needed[11..]), "{said}");
            assert!(
                text.contains(&app[11..]) && text.contains("exclude-needed"),
                "{said}"
            );
        }
        world.assert_cached([&lone]);

        world.config(&rest.replace("@POLICY@", "push"));
        world.converge();
        world.assert_cached([&lone, &app, &mid, &needed]);
    });
}

#[test]
fn an_excluded_path_that_is_needed() {
    let packages = r#"
        secret = sh "secret" [] "echo secret > $out";
        mid = sh "mid" [ secret ] "echo $inputs > $out";
        app = sh "app" [ mid ] "echo $inputs > $out";
        lone = sh "lone" [] "echo lone > $out";
    "#;
    excluding(packages, EXCLUDING, "secret");
}

#[test]
fn a_path_that_is_too_large_and_needed() {
    let packages = r#"
        large = sh "large" [] "printf '%20000s' x > $out";
        mid = sh "mid" [ large ] "echo $inputs > $out";
        app = sh "app" [ mid ] "echo $inputs > $out";
        lone = sh "lone" [] "echo lone > $out";
    "#;
    let rest = "artifacts:
  big: { priority: 20, match: ['-large$'], max-path-size: 20 kB }
  all: { priority: 10, outputs: ['.#app', '.#lone'], default: true, max-path-size: none }
push: { exclude-needed: @POLICY@ }
";
    excluding(packages, rest, "large");
}

#[test]
fn a_build_that_fails_keeps_nothing_else_from_being_pushed() {
    with_each_nix(|world| {
        world.flake(
            r#"
            good = sh "good" [] "echo good > $out";
            bad = sh "bad" [] "echo so sad >&2; exit 3";
            above = sh "above" [ bad ] "echo $inputs > $out";
            foreign = for "riscv64-linux" "foreign" [] "echo far > $out";
        "#,
        );
        world.config(
            "artifacts:
  all: { priority: 10, outputs: ['.#good', '.#bad', '.#above', '.#foreign'], default: true }
",
        );
        let plan = world.run("reconcile").success();
        assert!(plan.stdout.contains("3 to build"), "{plan}");
        let text = plan.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(
            text.contains(".#foreign") && text.contains("riscv64-linux machine"),
            "{plan}"
        );
        let _ = world.run("reconcile --strict").fails(7);

        let said = world.run("reconcile --apply").fails(6);
        assert!(said.stderr.contains("so sad"), "the log is shown: {said}");
        let built = said.stderr.matches("-bad.drv'...").count();
        assert_eq!(built, 1, "what fails is not built again: {said}");
        let report = said.stdout.split_once("Plan:").unwrap().1;
        let text = report.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(text.contains("✓ push/build/.#good"), "{said}");
        assert!(
            text.contains("x push/build/.#bad") && text.contains("failed"),
            "{said}"
        );
        world.assert_cached([&world.output("good")]);

        // The rerun tries again, and goes on as soon as it can be built.
        let again = world.run("reconcile --detailed-exitcode").fails(2);
        assert!(again.stdout.contains("2 to build"), "{again}");
        world.flake(
            r#"good = sh "good" [] "echo good > $out"; bad = good; above = good; foreign = good;"#,
        );
        world.assert_nothing_to_do();
    });
}

#[test]
fn a_build_that_fails_keeps_only_its_own_pin_from_being_written() {
    with_each_nix(|world| {
        world.flake(
            r#"
            good = sh "good" [] "echo good > $out";
            bad = sh "bad" [] "exit 3";
        "#,
        );
        world.config(
            "artifacts: { all: { priority: 10, outputs: ['.#good', '.#bad'], default: true } }
pins: { v1: { output: '.#good' }, v2: { output: '.#bad' } }
",
        );
        let said = world.run("reconcile --apply").fails(6);
        world.assert_cached([&world.output("good")]);
        let pins = |name: &str| {
            let folder = world.cache().join("nanna-cache/v1/pins").join(name);
            std::fs::read_dir(folder).map_or(0, Iterator::count)
        };
        assert_eq!((pins("v1"), pins("v2")), (1, 0), "{said}");
        let text = said.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(text.contains("`.#bad` was not built"), "{said}");
        assert!(text.contains("push/build/.#bad did not succeed"), "{said}");
    });
}

#[test]
fn a_late_push_keeps_to_what_was_chosen() {
    with_each_nix(|world| {
        world.flake(
            r#"
            a = sh "a-one" [] "echo a > $out";
            b = sh "b-two" [] "echo b > $out";
        "#,
        );
        world.config(
            "artifacts:
  one: { priority: 20, outputs: ['.#a'] }
  two: { priority: 10, outputs: ['.#b'], default: true }
",
        );
        let line = "reconcile --apply --only setup,push/build,push/dev/one";
        let said = world.run(line).success();
        world.assert_cached([&world.output("a")]);
        assert!(!said.stdout.contains("✓ push/dev/two"), "{said}");
        let text = said.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(text.contains("1 other change is left"), "{said}");
        world.converge();
        world.assert_cached([world.output("a"), world.output("b")]);
    });
}

#[test]
fn an_output_of_another_system_that_is_here_is_pushed() {
    with_each_nix(|world| {
        world.flake(r#"foreign = for "riscv64-linux" "foreign" [] "echo far > $out";"#);
        world.config(
            "artifacts: { all: { priority: 10, outputs: ['.#foreign'], default: true } }\n",
        );
        let _ = world
            .with_nix("nix build --no-link .#foreign --option extra-platforms riscv64-linux")
            .success();
        world.converge();
        world.assert_cached([&world.output("foreign")]);
    });
}

fn linked(world: &World, package: &str) -> String {
    let path = world.build(package);
    let link = world.bed.at("result");
    let _ = std::fs::remove_file(&link);
    symlink(&path, link).unwrap();
    path
}

#[test]
fn a_saved_plan_applies_while_it_is_still_the_plan() {
    with_each_nix(|world| {
        world.flake(
            r#"
            one = sh "one" [] "echo one > $out";
            two = sh "two" [] "echo two > $out";
            three = sh "three" [] "echo three > $out";
        "#,
        );
        world.config(&format!("{ALL}push: {{ paths: [./result] }}\n"));
        let one = linked(&world, "one");
        let _ = world.run("reconcile --out one.json").success();
        let _ = world.run("reconcile --apply --from one.json").success();
        world.assert_cached([&one]);
        world.assert_nothing_to_do();
        // It has been applied: there is nothing of it left.
        let said = world.run("reconcile --apply --from one.json").fails(5);
        assert!(said.stderr.contains("push/dev/all"), "{said}");

        // Another path stands where the plan saw one.
        let two = linked(&world, "two");
        let _ = world.run("reconcile --out two.json").success();
        let _ = linked(&world, "three");
        let said = world.run("reconcile --apply --from two.json").fails(5);
        assert!(
            said.stderr.contains("push/dev/all would do something else"),
            "{said}"
        );
        world.assert_cached([&one]);

        // Nothing in the file is executed.
        let _ = linked(&world, "two");
        let forged = world.bed.read("two.json").replace(&two[11..], &one[11..]);
        world.bed.write("forged.json", forged);
        let said = world.run("reconcile --apply --from forged.json").fails(5);
        assert!(said.stderr.contains("push/dev/all"), "{said}");
        let _ = world.run("reconcile --apply --from two.json").success();
        world.assert_cached([&one, &two]);

        // Another cache.yaml is another wish.
        let _ = linked(&world, "three");
        let _ = world.run("reconcile --out three.json").success();
        world.config(&format!("{ALL}push: {{ paths: [./result] }}\n# changed\n"));
        let said = world.run("reconcile --apply --from three.json").fails(5);
        assert!(said.stderr.contains("cache.yaml has changed"), "{said}");
    });
}

#[test]
fn explain_says_what_happens_to_a_path() {
    with_each_nix(|world| {
        world.flake(r#"dep = sh "dep" [] "echo dep > $out"; app = sh "app" [ dep ] "echo $inputs > $out"; stray = sh "stray" [] "echo > $out";"#);
        world.config("artifacts:\n  deps: { priority: 40, match: ['-dep$'] }\n  all: { priority: 10, outputs: ['.#app'], default: true }\n");
        let (app, stray) = (world.build("app"), world.build("stray"));
        let dep = world.output("dep");
        let said = world.run(&format!("explain {dep}")).success().stdout;
        for text in [
            "dev: pushed",
            "deps:",
            "-dep$",
            "in the closure of .#app",
            "priority 40",
            "cache.yaml:10",
        ] {
            assert!(said.contains(text), "{text:?} is not in: {said}");
        }
        let said = world.run(&format!("explain {stray}")).success().stdout;
        assert!(
            said.contains("dev: not pushed") && said.contains("nothing asks for it"),
            "{said}"
        );
        world.converge();
        let said = world.run(&format!("explain {app}")).success().stdout;
        assert!(
            said.contains("dev: kept") && said.contains("in the closure of .#app"),
            "{said}"
        );
        // By a link, by its hash alone, and as JSON, it is the same path.
        symlink(&app, world.bed.at("result")).unwrap();
        for name in ["./result", &app[11..43], &app[11..]] {
            let other = world.run(&format!("explain {name}")).success().stdout;
            // What follows tells how much time has passed.
            let facts = |text: &str| text.split("\n  need").next().unwrap().to_owned();
            assert_eq!(facts(&other), facts(&said));
        }
        let json = world
            .run(&format!("explain {app} --format json"))
            .success()
            .json();
        assert_eq!(json["path"], app[11..], "on {}", system());
    });
}
