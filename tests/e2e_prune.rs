//! What is deleted from a real cache that others have written to, too, and what is not.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod e2e_world;
mod support;

use std::collections::BTreeSet;
use std::time::Duration;

use e2e_world::{World, age, days, rejuvenate, with_each_nix};
use serde_json::Value;
use support::checker::Checker;

const CLASSES: &str = "artifacts:
  short: { priority: 30, retention: 7d, outputs: [@SHORT@], match: ['-short'] }
  long: { priority: 60, retention: 60d, outputs: ['.#long'], match: ['-long'] }
  rest: { priority: 10, retention: 5d, default: true }
pins:
  release: { output: '.#release', keep: { revisions: 2 } }
prune: { limits: { share: @SHARE@ } }
";

fn classes(short: &str, share: &str) -> String {
    CLASSES.replace("@SHORT@", short).replace("@SHARE@", share)
}

fn release(world: &World, number: u32) -> String {
    world.flake(&format!(
        r#"
        common = sh "common" [] "echo common > $out";
        part = sh "part" [] "echo part > $out";
        short = sh "short" [ common part ] "echo $inputs > $out";
        long = sh "long" [ common ] "echo $inputs > $out";
        release = sh "release-{number}" [] "echo {number} > $out";
    "#
    ));
    world.converge();
    world.output("release")
}

#[test]
fn what_is_not_needed_goes_and_all_else_stays_whole() {
    with_each_nix(|world| {
        world.config(&classes("'.#short'", "5%"));
        // First our own, then what somebody copies there with Nix alone.
        let first = release(&world, 1);
        let far = world.nix.another();
        let foreign = far.populate(20);
        let key = far.generate_key("far-1");
        let url = format!(
            "file://{}?secret-key={}",
            world.cache().display(),
            key.secret_file.display()
        );
        far.copy_to(&url, [&foreign.top]);
        world.assert_nothing_to_do();
        let (second, third) = (release(&world, 2), release(&world, 3));
        let path = |name: &str| world.output(name);
        let (common, part, short, long) =
            (path("common"), path("part"), path("short"), path("long"));

        // Nobody asks for `short` any more; ten days pass.
        world.config(&classes("", "5%"));
        let early = world.run("reconcile --detailed-exitcode").success();
        assert!(early.stdout.contains("No changes"), "{early}");
        age(&world.cache(), days(10));

        let plan = world.run("reconcile --full --detailed-exitcode").fails(4);
        for gone in [&short, &part, &first] {
            assert!(plan.stdout.contains(&gone[44..]), "{gone}: {plan}");
        }
        let text = plan.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(text.contains("3 to delete"), "{plan}");
        assert!(
            text.contains("prune.limits.share") && text.contains("--allow share="),
            "{plan}"
        );

        let said = world.run(&format!("explain {short}")).success().stdout;
        assert!(
            said.contains("dev: left alone") && said.contains("the limit is 5%"),
            "{said}"
        );
        world.config(&classes("", "50%"));
        for (path, words) in [
            (&short, ["dev: deleted", "need ended 3 days ago"]),
            (&common, ["dev: kept", "in the closure of .#long"]),
            (
                &second,
                ["the pin release reaches it", "for ever, pinned as release"],
            ),
            (&foreign.top, ["dev: kept", "foreign content is kept"]),
        ] {
            let said = world.run(&format!("explain {path}")).success().stdout;
            for word in words {
                assert!(said.contains(word), "{word:?} is not in: {said}");
            }
        }

        world.config(&classes("", "5%"));
        // The brake holds, and names what releases it.
        let before = world.cached();
        let _ = world.run("reconcile --apply").fails(4);
        assert_eq!(world.cached(), before);
        let applied = world.run("reconcile --apply --allow share=50%").success();
        assert!(applied.stdout.contains("3 of 28 paths"), "{applied}");
        world.assert_nothing_to_do();

        let kept = [common, long, second, third];
        let expected: BTreeSet<String> = kept.iter().chain(&foreign.paths).cloned().collect();
        assert_eq!(world.cached(), expected);
        let dev = world.public_key("keys/dev.sec");
        let checker = Checker::new().deep().key(&dev).key(&key.public);
        expected
            .iter()
            .fold(checker, |checker, path| checker.root(path))
            .assert_whole(&world.cache());
        let copied = world.nix.another();
        let url = format!("file://{}", world.cache().display());
        for path in kept.iter().chain([&foreign.top]) {
            copied.copy_from(&url, path, &[&dev, &key.public]).unwrap();
        }
        copied.verify();
        let nars = std::fs::read_dir(world.cache().join("nar"))
            .unwrap()
            .count();
        assert!(
            nars <= expected.len(),
            "{nars} NARs for {} paths",
            expected.len()
        );

        // What others copied is ours when it is adopted: then its class says for how long.
        let _ = world.run("adopt --all --cache nowhere").fails(64);
        let plan = world
            .run("adopt --all --cache dev --detailed-exitcode")
            .fails(2);
        assert!(plan.stdout.contains("new root"), "{plan}");
        let adopted = world.run("adopt --all --cache dev --apply").success();
        assert!(adopted.stdout.contains("everything is as"), "{adopted}");
        let again = world
            .run("adopt --all --cache dev --detailed-exitcode")
            .success();
        assert!(again.stdout.contains("No changes"), "{again}");
        world.assert_nothing_to_do();
        age(&world.cache(), days(6));
        let _ = world.run("prune --apply --allow share=100%").success();
        assert_eq!(world.cached(), kept.iter().cloned().collect());
    });
}

/// Moves every point in time that stands in a document.
fn shift(value: &mut Value, by: Duration) {
    match value {
        Value::String(text) => {
            if let Ok(time) = text.parse::<jiff::Timestamp>() {
                *text = (time + by).to_string();
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| shift(item, by)),
        Value::Object(fields) => fields.values_mut().for_each(|field| shift(field, by)),
        _ => {}
    }
}

#[test]
fn a_saved_plan_cannot_say_what_time_it_is() {
    with_each_nix(|world| {
        world.flake(r#"old = sh "old" [] "echo old > $out"; new = sh "new" [] "echo new > $out";"#);
        let wish = |name: &str| {
            world.config(&format!(
                "artifacts: {{ rest: {{ priority: 10, outputs: ['.#{name}'], retention: 5d, default: true }} }}
prune: {{ limits: {{ share: 100% }} }}\n"
            ));
            world.converge();
            world.output(name)
        };
        let both = [wish("old"), wish("new")];
        // A year from now the old one would go: a plan is made that says that a year has passed.
        age(&world.cache(), days(365));
        let _ = world.run("prune --out late.json").success();
        rejuvenate(&world.cache(), days(365));
        let mut plan: Value = serde_json::from_str(&world.bed.read("late.json")).unwrap();
        assert_eq!(plan["steps"].as_array().unwrap().len(), 1, "{plan:#}");
        shift(&mut plan, days(365));
        world.bed.write("late.json", plan.to_string());
        let said = world.run("prune --apply --from late.json").fails(5);
        assert!(said.stderr.contains("future"), "{said}");
        world.assert_cached(&both);
    });
}
