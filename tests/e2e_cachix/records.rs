//! Our records in a cache of a service: what is in them, whose a pin is by them, and what they say of its size.

use std::io::Read as _;

use serde_json::Value;

use crate::Team;
use crate::cachix::{Fault, Kind};

const PIN: &str = "pins: { release: { output: '.#app' } }\n";

/// A team whose cache is as it should be, with one pin.
fn team() -> Option<Team> {
    let team = Team::new(|cache| cache)?;
    team.declare("", PIN);
    team.world.converge();
    Some(team)
}

/// A text without line ends, and without the frame of boxes.
fn flat(text: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().filter(|it| *it != "┃").collect();
    words.join(" ")
}

impl Team {
    /// What the newest of our records says.
    fn record(&self) -> Value {
        let records = self.records();
        let path = &records.last().unwrap().revisions.last().unwrap().store_path;
        let base = path.rsplit('/').next().unwrap();
        assert_eq!(&base[32..], "-nanna-cache-record");
        let file = self.standin.cache("team").file(&base[..32]).unwrap();
        let mut nar = Vec::new();
        zstd::Decoder::new(file.as_slice())
            .unwrap()
            .read_to_end(&mut nar)
            .unwrap();
        let text = String::from_utf8_lossy(&nar);
        let (from, to) = (text.find('{').unwrap(), text.rfind('}').unwrap());
        serde_json::from_str(&text[from..=to]).unwrap()
    }

    /// A file of the real Nix with the name of a record and such content, in the cache; its path.
    fn strange(&self, content: &str) -> String {
        let file = self.world.bed.root().join("strange");
        std::fs::write(&file, content).unwrap();
        let line = format!(
            "nix store add-path --name nanna-cache-record {}",
            file.display()
        );
        let path = self.world.with_nix(&line).success().stdout;
        let path = path.trim().to_owned();
        self.declare("", &format!("{PIN}push: {{ paths: ['{path}'] }}\n"));
        self.world.converge();
        path
    }
}

#[test]
fn a_record_says_what_a_run_did_and_ours_go_when_they_are_no_longer_declared() {
    let Some(mut team) = Team::new(|cache| cache) else {
        return;
    };
    team.declare("", PIN);
    team.world.bed.set("GITHUB_ACTIONS", "true");
    team.world.bed.set("GITHUB_RUN_ID", "71");
    team.world.bed.set("GITHUB_SHA", "c0ffee");
    let plan = team.world.run("reconcile").success();
    assert!(
        flat(&plan.stdout).contains("everybody can read it"),
        "{plan}"
    );
    team.world.converge();
    let record = team.record();
    assert_eq!(record["schema"], 1);
    assert_eq!(record["project"], "e2e");
    assert_eq!(record["run"], "71");
    assert_eq!(record["commit"], "c0ffee");
    let app = record["pins"]["release"]["path"].as_str().unwrap();
    assert!(app.ends_with("-app"), "{record:#}");
    let sizes = record["classes"]["apps"]["paths"].as_object().unwrap();
    assert_eq!(sizes.len(), 2);
    assert!(sizes[app].as_u64().unwrap() > 0);
    let records = team.records();
    assert_eq!(records.len(), 1);
    assert!(records[0].name.starts_with("nanna-cache.71-"));
    assert_eq!(records[0].keep["contents"], 30);
    // Another run pushes nothing, pins nothing, and writes nothing.
    team.world.bed.set("GITHUB_RUN_ID", "72");
    team.world.converge();
    assert_eq!(team.records().len(), 1);
    // A later record carries what an earlier one knows.
    let both = format!("{PIN}  next: {{ output: '.#app', keep: {{ days: 14 }} }}\n");
    team.declare(
        "",
        &both.replace(
            "pins: { release: { output: '.#app' } }",
            "pins:\n  release: { output: '.#app' }",
        ),
    );
    team.world.converge();
    let record = team.record();
    assert_eq!(record["run"], "72");
    assert_eq!(record["pins"]["release"]["run"], "71");
    assert_eq!(record["pins"]["next"]["run"], "72");
    team.declare(
        "",
        "pins: { next: { output: '.#app', keep: { days: 14 } } }\n",
    );
    let plan = team.world.run("reconcile --detailed-exitcode").fails(2);
    for words in ["- pin release", "which we set in run 71", "1 of 2 pins"] {
        assert!(flat(&plan.stdout).contains(words), "{words}: {plan}");
    }
    team.world.converge();
    assert_eq!(team.pins(), ["next"]);
    assert_eq!(team.records().len(), 2, "what goes is not written down");
    team.assert_no_token();
}

#[test]
fn what_somebody_else_pinned_stays_until_it_is_adopted() {
    let Some(team) = team() else { return };
    let (world, cache) = (&team.world, team.standin.cache("team"));
    let lib = cache
        .paths()
        .into_iter()
        .find(|path| path.ends_with("-lib"));
    let lib = format!("/nix/store/{}", lib.unwrap());
    // Ours was, until somebody let it name another path.
    cache.set_pin("release", &lib);
    cache.set_pin("by-hand", &lib);
    team.declare("", "");
    world.assert_nothing_to_do();
    let plan = world.run("reconcile").success();
    assert!(
        plan.stdout.contains("2 pins are not in cache.yaml"),
        "{plan}"
    );
    let _ = world
        .run("adopt /nix/store/00000000000000000000000000000000-x --cache team")
        .fails(4);
    let plan = world.run("adopt --all --cache team --apply").success();
    assert!(plan.stdout.contains("2 pins"), "{plan}");
    assert_eq!(team.pins(), ["release", "by-hand"]);
    assert_eq!(team.records().len(), 2);
    // A cache is not emptied of its pins by a slip.
    let refused = world.run("reconcile --apply").fails(4);
    assert!(
        refused.to_string().contains("100% of the pins"),
        "{refused}"
    );
    assert_eq!(team.pins(), ["release", "by-hand"]);
    let _ = world.run("reconcile --apply --allow share=100%").success();
    assert_eq!(team.pins(), [""; 0]);
    world.assert_nothing_to_do();
    assert_eq!(team.standin.complaints(), [""; 0]);
}

#[test]
fn a_service_that_refuses_to_delete_is_no_error() {
    let Some(team) = team() else { return };
    team.declare("", "");
    let path = "/api/v1/cache/team/pin/release";
    let refuse = Fault::new("DELETE", path, Kind::Unauthorized);
    team.standin.faults().add(refuse);
    let said = team.world.run("reconcile --apply").success();
    assert!(said.to_string().contains("removes it on"), "{said}");
    assert_eq!(team.pins(), ["release"]);
    // An answer that is lost is no reason to fail either.
    team.standin.faults().clear();
    let lost = Fault::new("DELETE", path, Kind::AnswerLost).times(1);
    team.standin.faults().add(lost);
    team.world.converge();
    assert_eq!(team.pins(), [""; 0]);
    team.assert_no_token();
}

#[test]
fn without_records_nothing_is_written_and_nothing_goes() {
    let Some(team) = Team::new(|cache| cache) else {
        return;
    };
    team.declare("records: none", PIN);
    team.world.converge();
    assert_eq!(team.standin.cache("team").pins().len(), 1);
    team.declare("records: none", "");
    team.world.assert_nothing_to_do();
    let refused = team.world.run("adopt --all --cache team").fails(4);
    assert!(refused.to_string().contains("records: none"), "{refused}");
    // Nor does it go when records are kept: none says that it is ours.
    team.declare("", "");
    team.world.converge();
    assert_eq!(team.pins(), ["release"]);
    assert_eq!(team.records().len(), 0);
}

#[test]
fn the_size_is_an_estimate_and_said_to_be_one() {
    let Some(team) = team() else { return };
    team.declare("max-size: 1 GiB", PIN);
    let plan = team.world.run("reconcile").success();
    let said = flat(&plan.stdout);
    assert!(
        said.contains("(an estimate; its max-size is 1 GiB)"),
        "{plan}"
    );
    team.declare("max-size: 100 B", PIN);
    team.world.assert_nothing_to_do();
    for format in ["text", "markdown"] {
        let plan = team.world.run(&format!("reconcile --format {format}"));
        let plan = plan.success();
        let said = flat(&plan.stdout);
        assert!(said.contains("That is an estimate"), "{format}: {plan}");
    }
    let plan = team.world.run("reconcile --format json").success();
    let plan: Value = serde_json::from_str(&plan.stdout).unwrap();
    let budget = &plan["caches"][0];
    assert_eq!(budget["estimated"], true);
    assert_eq!(budget["paths"], 2);
    assert_eq!(budget["pins"], 1);
    let size = team.standin.cache("team").size();
    let record = team.records()[0].revisions[0].store_path.clone();
    let record = record.rsplit('/').next().unwrap();
    let record = team.standin.cache("team").entry(&record[..32]).unwrap();
    assert_eq!(budget["bytes"], size - record.file_size);
}

#[test]
fn strange_records_are_unknown_and_newer_ones_stop_what_deletes() {
    let Some(team) = team() else { return };
    let cache = team.standin.cache("team");
    let app = cache.pins()[1].revisions[0].store_path.clone();
    let strange = team.strange("{ \"schema\": ");
    cache.set_pin("nanna-cache.strange", &strange);
    let large = team.strange(&"{}".repeat(1_500_000));
    cache.set_pin("nanna-cache.large", &large);
    cache.set_pin("nanna-cache.odd", &app);
    let plan = team.world.run("reconcile").success();
    for words in ["it is malformed", "it is too large", "it names no record"] {
        assert!(flat(&plan.stdout).contains(words), "{words}: {plan}");
    }
    team.declare("", "");
    let newer = "{\"schema\": 2, \"requires\": [], \"writer\": \"nanna-cache 9\", \"pins\": []}";
    let newer = team.strange(newer);
    cache.set_pin("nanna-cache.newer", &newer);
    team.declare("", "");
    let refused = team.world.run("reconcile --apply").fails(4);
    let refused = refused.to_string();
    assert!(refused.contains("needs a newer nanna-cache"), "{refused}");
    assert!(team.pins().contains(&"release".to_owned()));
    // While it is only read, nothing is in its way.
    team.declare("", PIN);
    team.world.assert_nothing_to_do();
}

#[test]
fn a_record_that_cannot_be_fetched_hides_nothing_else() {
    let Some(team) = team() else { return };
    let record = team.records()[0].revisions[0].store_path.clone();
    let hash = record.rsplit('/').next().unwrap()[..32].to_owned();
    let narinfo = format!("/api/v1/cache/team/{hash}.narinfo");
    for (fault, words) in [
        (
            Fault::new("GET", &narinfo, Kind::OtherNarInfo),
            "of another path",
        ),
        (Fault::new("GET", &narinfo, Kind::NotFound), "404"),
        (
            Fault::new("GET", &narinfo, Kind::Silence),
            "read the narinfo of a record",
        ),
        (
            Fault::new("GET", "/api/v1/cache/team/nar/*", Kind::ServerError),
            "read a record",
        ),
    ] {
        team.standin.faults().add(fault);
        let plan = team.world.run("reconcile --detailed-exitcode").success();
        assert!(flat(&plan.stdout).contains(words), "{words}: {plan}");
        assert!(team.standin.faults().struck() > 0);
        team.standin.faults().clear();
    }
    team.world.assert_nothing_to_do();
}
