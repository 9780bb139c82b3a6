//! A week of CI with a real Nix: what the ledger says is what an independent reader of the raw logs counts, on each of three
//! machines, and whatever way their records come together.

#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a test fails by panicking"
)]

mod e2e_world;
mod support;

use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use e2e_world::{World, with_each_nix};
use serde_json::Value;
use support::real_nix::RealNix;

/// Runs of the week; `NANNA_RUNS=60` for the whole of it.
const RUNS: usize = 12;

const CONFIG: &str = "artifacts:
  apps: { priority: 90, match: ['-app'] }
  rest: { priority: 10, default: true }
ledger: { caches: [dev] }
targets: { hit-rate: 100% }
";

/// What stands before a call of Nix: keeps its raw log where it is asked for one.
const TEE: &str = r#"#!/bin/sh
case "$1" in
  --log-format) ;;
  *) exec "@REAL@" "$@" ;;
esac
exec 3>&1
{ { "@REAL@" "$@" 2>&1 1>&3 3>&-; echo $? >"$RAW_LOG.code"; } | tee -a "$RAW_LOG" >&2; } 3>&1
exit "$(cat "$RAW_LOG.code")"
"#;

/// A machine: a store, and a home for what the program knows.
struct Machine {
    nix: RealNix,
    state: PathBuf,
    logs: Vec<PathBuf>,
    /// Stores of before, with the logs of what ran in them.
    gone: Vec<(RealNix, Vec<PathBuf>)>,
}

impl Machine {
    fn new(world: &World, number: usize) -> Self {
        let state = world.bed.root().join(format!("state-{number}"));
        std::fs::create_dir_all(&state).unwrap();
        Self {
            nix: world.nix.another(),
            state,
            logs: Vec::new(),
            gone: Vec::new(),
        }
    }

    /// A runner that is thrown away: the next run finds an empty store.
    fn wipe(&mut self) {
        let fresh = self.nix.another();
        let old = std::mem::replace(&mut self.nix, fresh);
        self.gone.push((old, std::mem::take(&mut self.logs)));
    }

    /// What an independent reader counts in all logs of this machine: hits, needed, failed, bytes of hits.
    fn counted(&self) -> [u64; 4] {
        let mut sum = [0; 4];
        let stores = self.gone.iter().map(|(nix, logs)| (nix, logs));
        for (nix, logs) in stores.chain([(&self.nix, &self.logs)]) {
            let script = support::fixture("tests/checker/count_log.py");
            let mut command = Command::new("python3");
            command.arg(script).arg(nix.root()).args(logs);
            let output = command.output().unwrap();
            assert!(
                output.status.success(),
                "{}",
                String::from_utf8_lossy(&output.stderr)
            );
            let counted: Value = serde_json::from_slice(&output.stdout).unwrap();
            for (sum, name) in sum.iter_mut().zip(["hits", "needed", "failed", "bytes"]) {
                *sum += counted[name].as_u64().unwrap();
            }
        }
        sum
    }
}

/// The project at a commit: a root that all need, libraries, leaves, and one that fails.
fn project(world: &World, root: usize, leaf: usize) {
    world.flake(&format!(
        r#"
    root = sh "root" [] "echo {root} > $out";
    lib = sh "lib" [ root ] "echo lib $inputs > $out";
    tools = sh "tools" [ root ] "echo tools $inputs > $out";
    parts = sh "parts" [ lib ] "mkdir $out; echo $inputs > $out/a; ln -s a $out/b";
    app = sh "the-app" [ lib tools parts ] "echo {leaf} $inputs > $out";
    broken = sh "broken" [ app ] "echo no luck; exit 3";
    "#
    ));
}

fn on(world: &mut World, machine: &Machine) {
    world
        .bed
        .set("NIX_REMOTE", machine.nix.root())
        .set("XDG_STATE_HOME", &machine.state);
}

fn tee(world: &mut World) {
    let shims = world.bed.root().join("tee-bin");
    std::fs::create_dir_all(&shims).unwrap();
    let real = world.bed.root().join("nix-bin/nix");
    let shim = shims.join("nix");
    std::fs::write(&shim, TEE.replace("@REAL@", real.to_str().unwrap())).unwrap();
    std::fs::set_permissions(&shim, PermissionsExt::from_mode(0o755)).unwrap();
    let rest = world.bed.root().join("nix-bin");
    let usual = "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin";
    world.bed.set(
        "PATH",
        format!("{}:{}:{usual}", shims.display(), rest.display()),
    );
}

fn figures(world: &World, from: &str) -> Value {
    world
        .run(&format!("analytics --format json --offline {from}"))
        .success()
        .json()
}

fn counted(report: &Value) -> [u64; 3] {
    let number = |value: &Value| value.as_u64().unwrap();
    let hits = &report["hits"];
    [
        number(&hits["paths"]["hit"]),
        number(&hits["paths"]["all"]),
        number(&hits["bytes"]["hit"]),
    ]
}

/// The figures without the moment at which they were computed.
fn timeless(mut report: Value) -> Value {
    report.as_object_mut().unwrap().remove("now");
    report
}

fn records(state: &Path) -> PathBuf {
    state.join("records.jsonl.zst")
}

/// Runs on three machines; answers how many failed, as they were to.
fn week(world: &mut World, machines: &mut [Machine; 3], runs: usize) -> u64 {
    let (mut root, mut leaf, mut failures) = (0, 0, 0);
    for run in 0..runs {
        // Two runs of a commit, on two machines; a leaf changes each time, the root now and then.
        if run % 2 == 0 {
            leaf += 1;
            root += usize::from(run % 8 == 6);
        }
        project(world, root, leaf);
        let number = run % 3;
        // Two of three runs find an empty store, as on a runner that is thrown away.
        if run % 3 != 0 && run > 2 {
            machines[number].wipe();
        }
        on(world, &machines[number]);
        let log = machines[number].state.join(format!("raw-{run}.log"));
        world.bed.set("RAW_LOG", &log);
        machines[number].logs.push(log);
        let record = records(&machines[number].state);
        let what = if run % 5 == 4 {
            failures += 1;
            "--keep-going .#broken .#tools"
        } else {
            ".#app"
        };
        let line = format!(
            "run --record {} -- nix build --no-link {what}",
            record.display()
        );
        let said = world.run(&line);
        assert_eq!(said.code, Some(i32::from(run % 5 == 4)), "{said}");
        assert!(
            said.stderr.contains("hit rate") || said.stderr.contains("nothing was"),
            "{said}"
        );
        if run % 5 == 4 {
            assert!(said.stderr.contains("> no luck"), "{said}");
        } else if run % 4 != 3 {
            // The push takes over what was built, for the next machine.
            let app = world.output("app");
            let _ = world.run(&format!("push --apply --path {app}")).success();
        }
    }
    failures
}

#[test]
fn the_ledger_of_a_week_says_what_the_logs_say() {
    let runs = std::env::var("NANNA_RUNS").map_or(RUNS, |runs| runs.parse().unwrap());
    with_each_nix(|mut world| {
        world.config(CONFIG);
        tee(&mut world);
        let mut machines = [0, 1, 2].map(|number| Machine::new(&world, number));
        on(&mut world, &machines[0]);
        let _ = world.run("setup --apply").success();
        let failures = week(&mut world, &mut machines, runs);

        // Each machine by itself.
        let mut sum = [0; 4];
        let mut failed = 0;
        for machine in &machines {
            let independent = machine.counted();
            on(&mut world, machine);
            let report = figures(
                &world,
                &format!("--from {}", records(&machine.state).display()),
            );
            assert_eq!(
                counted(&report),
                [independent[0], independent[1], independent[3]]
            );
            failed += report["failed"].as_u64().unwrap();
            for (sum, one) in sum.iter_mut().zip(independent) {
                *sum += one;
            }
        }
        eprintln!("{runs} runs: {sum:?} (hits, needed, failed builds, bytes of hits)");
        assert!(sum[0] > 0 && sum[1] > sum[0] && sum[2] > 0, "{sum:?}");
        assert_eq!(failed, failures);

        // All of them, in any order, told twice.
        let files =
            [0, 1, 2].map(|number: usize| records(&machines[number].state).display().to_string());
        let mut merged = Vec::new();
        for (number, order) in [
            [0, 1, 2],
            [0, 2, 1],
            [1, 0, 2],
            [1, 2, 0],
            [2, 0, 1],
            [2, 1, 0],
        ]
        .into_iter()
        .enumerate()
        {
            let state = world.bed.root().join(format!("merged-{number}"));
            world.bed.set("XDG_STATE_HOME", &state);
            for at in order.into_iter().chain([order[0]]) {
                let _ = world
                    .run(&format!("analytics ingest {}", files[at]))
                    .success();
            }
            merged.push(timeless(figures(&world, "")));
        }
        assert_eq!(counted(&merged[0]), [sum[0], sum[1], sum[3]]);
        assert_eq!(merged[0]["runs"], runs);
        assert!(merged.iter().all(|report| *report == merged[0]));

        // A machine that was never there reads from the cache what was carried into it.
        for machine in &machines {
            on(&mut world, machine);
            let _ = world.run("analytics share").success();
            let again = world.run("analytics share").success();
            assert_eq!(again.stdout, "0 records written\n");
        }
        let elsewhere = world.bed.root().join("elsewhere");
        world.bed.set("XDG_STATE_HOME", &elsewhere);
        let report = world.run("analytics --format json").success().json();
        assert_eq!(counted(&report), [sum[0], sum[1], sum[3]]);
        assert!(report["applies"].as_u64() > Some(0), "{report}");
        assert!(report["storage"][0]["bytes"].as_u64() > Some(0), "{report}");
        // What else lies in the cache is as it was: nothing of it is foreign, and nothing is to be done.
        let plan = world.run("prune --detailed-exitcode").success();
        assert!(plan.stdout.contains("No changes"), "{plan}");

        // A target of 100 % is missed, with its causes.
        let check = world.run("analytics --check").fails(7);
        assert!(check.stdout.contains("✗ hit-rate"), "{check}");
        assert!(check.stdout.contains("the-app was built in"), "{check}");
    });
}

#[test]
fn a_log_is_taken_in_once_and_rubbish_is_refused() {
    with_each_nix(|mut world| {
        world.config(CONFIG);
        tee(&mut world);
        project(&world, 0, 0);
        let log = world.bed.root().join("raw.log");
        world.bed.set("RAW_LOG", &log);
        let _ = world.run("run -- nix build --no-link .#lib").success();
        let other = world.bed.root().join("other-state");
        world.bed.set("XDG_STATE_HOME", &other);
        let first = world
            .run(&format!("analytics ingest {}", log.display()))
            .success();
        assert!(first.stdout.contains("1 record new"), "{first}");
        let again = world
            .run(&format!("analytics ingest {}", log.display()))
            .success();
        assert!(
            again
                .stdout
                .contains("0 records new, 1 record known already"),
            "{again}"
        );
        let report = figures(&world, "");
        assert_eq!(
            (&report["runs"], counted(&report)[..2].to_vec()),
            (&Value::from(1), vec![0, 2])
        );
        assert_eq!(report["hits"]["millis"]["unknown"], 2, "a log has no times");

        world.bed.write("rubbish", "this is no record\n");
        let refused = world.run("analytics ingest rubbish").fails(1);
        assert!(refused.stderr.contains("line 1"), "{refused}");
        let missing = world.run("analytics ingest nowhere").fails(1);
        assert!(
            missing.stderr.contains("there is no such file"),
            "{missing}"
        );
    });
}

#[test]
fn run_is_the_command_that_it_runs() {
    with_each_nix(|mut world| {
        world.config(CONFIG);
        project(&world, 0, 0);
        // Standard output is the command's own, and so is the exit code.
        let shown = world.run("run -- nix eval --raw .#lib.name").success();
        assert_eq!(shown.stdout, "lib");
        let program = world.run("run -- nix-instantiate --eval -E 1+1").success();
        assert_eq!(program.stdout.trim(), "2");
        let absent = world.run("run -- nix build --no-link .#nowhere");
        assert_eq!(absent.code, Some(1), "{absent}");
        assert!(absent.stderr.contains("nowhere"), "{absent}");
        let foreign = world.run("run -- make all").fails(64);
        assert!(
            foreign.stderr.contains("`make` is no program of Nix"),
            "{foreign}"
        );
        let format = world.run("run -- nix --log-format raw build").fails(64);
        assert!(format.stderr.contains("--log-format"), "{format}");

        // A ledger that cannot be written does not make the command fail.
        let file = world.bed.write("no-folder", "");
        world.bed.set("XDG_STATE_HOME", file.join("below"));
        let said = world.run("run -- nix build --no-link .#lib").success();
        assert!(said.stderr.contains("error: failed to"), "{said}");
    });
}

#[test]
fn a_signal_reaches_the_command_and_what_was_done_is_recorded() {
    with_each_nix(|world| {
        world.config(CONFIG);
        world.flake(
            r#"quick = sh "quick" [] "echo > $out";
    slow = sh "slow" [ quick ] "echo started; sleep 60; echo > $out";"#,
        );
        let mut command = world.bed.command();
        command
            .args(["run", "--record", "r.jsonl", "--"])
            .args(["nix", "build", "-L", "--no-link", ".#slow"])
            .stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let began = Instant::now();
        let mut said = BufReader::new(child.stderr.take().unwrap()).lines();
        assert!(said.any(|line| line.unwrap().contains("slow> started")));
        let id = rustix::process::Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
        rustix::process::kill_process(id, rustix::process::Signal::TERM).unwrap();
        let rest: Vec<String> = said.map(Result::unwrap).collect();
        let status = child.wait().unwrap();
        assert!(!status.success(), "{rest:?}");
        assert!(
            began.elapsed().as_secs() < 55,
            "it was ended, not waited for"
        );
        let line = world.bed.read("r.jsonl");
        let run: Value = serde_json::from_str(line.trim()).unwrap();
        assert_eq!(run["built"].as_array().unwrap().len(), 2, "{run}");
        assert_eq!(run["built"][1]["failed"], true, "{run}");
        assert_ne!(run["outcome"], "done", "{run}");
    });
}
