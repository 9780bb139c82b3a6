//! The program as its users meet it: output, errors and exit codes of the small commands.

use std::fmt;
use std::path::Path;
use std::process::{Command, Stdio};

const VALID: &str = "version: 1
project: sample
caches:
  local: { type: file, path: out/cache }
artifacts:
  all: { priority: 1, default: true }
push: { to: { local: all } }
";

/// A home of its own, nothing inherited.
struct Bed {
    root: tempfile::TempDir,
}

/// What a run printed, and how it ended.
#[must_use]
struct Ran {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

impl fmt::Display for Ran {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let code = self
            .code
            .map_or_else(|| "killed".to_owned(), |code| code.to_string());
        write!(
            f,
            "exit {code}\n--- stdout\n{}--- stderr\n{}",
            self.stdout, self.stderr
        )
    }
}

impl Bed {
    fn new() -> Self {
        Self {
            root: tempfile::tempdir().expect("a temporary folder"),
        }
    }

    fn with(text: &str) -> Self {
        let bed = Self::new();
        bed.write("cache.yaml", text);
        bed
    }

    fn path(&self) -> &Path {
        self.root.path()
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.path().join(name);
        std::fs::create_dir_all(path.parent().expect("a parent")).expect("folders");
        std::fs::write(path, text).expect("a file");
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_nanna-cache"));
        command
            .args(words)
            .current_dir(self.path())
            .env_clear()
            .stdin(Stdio::null());
        command.env("HOME", self.path()).env("COLUMNS", "100");
        command
    }

    fn run(&self, words: &[&str]) -> Ran {
        self.ran(&mut self.command(words))
    }

    fn ran(&self, command: &mut Command) -> Ran {
        let output = command.output().expect("the program starts");
        let root = self.path().to_str().expect("UTF-8");
        let text = |bytes: Vec<u8>| {
            String::from_utf8(bytes)
                .expect("UTF-8")
                .replace(root, "ROOT")
        };
        Ran {
            code: output.status.code(),
            stdout: text(output.stdout),
            stderr: text(output.stderr),
        }
    }
}

#[test]
fn a_valid_file_is_said_to_be_valid() {
    let ran = Bed::with(VALID).run(&["validate"]);
    insta::assert_snapshot!(ran);
}

#[test]
fn all_problems_come_at_once() {
    let bed = Bed::with(
        &VALID
            .replace("file", "fill")
            .replace("priority: 1", "priority: x"),
    );
    let ran = bed.run(&["validate"]);
    assert_eq!(ran.code, Some(3));
    insta::assert_snapshot!(ran);
    let ran = bed.run(&["validate", "--format", "github"]);
    assert_eq!(ran.code, Some(3));
    insta::assert_snapshot!("problems_as_annotations", ran);
    let ran = bed.run(&["validate", "--format", "json"]);
    assert_eq!(ran.code, Some(3));
    let value: serde_json::Value = serde_json::from_str(&ran.stdout).expect("JSON");
    assert_eq!(value["valid"], false);
    assert!(
        value["problems"]
            .as_array()
            .is_some_and(|list| list.len() >= 2)
    );
}

#[test]
fn the_file_is_found_from_below_and_by_name() {
    let bed = Bed::with(VALID);
    bed.write("deep/er/x", "");
    let mut command = bed.command(&["validate"]);
    let ran = bed.ran(command.current_dir(bed.path().join("deep/er")));
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""), "{ran}");
    let ran = bed.run(&["validate", "--config", "cache.yaml"]);
    assert_eq!(ran.code, Some(0), "{ran}");
    let ran = bed.run(&["--config", "other.yaml", "validate"]);
    insta::assert_snapshot!(ran);
}

#[test]
fn without_a_file_the_way_out_is_named() {
    let ran = Bed::new().run(&["validate"]);
    // A folder above the temporary one could have a file; on a clean machine none has.
    insta::assert_snapshot!(ran);
}

#[test]
fn the_schemas_are_those_of_the_repository() {
    let bed = Bed::new();
    for (of, file) in [("config", "cache"), ("plan", "plan")] {
        let ran = bed.run(&["schema", "--of", of]);
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("schema/{file}.schema.json"));
        assert!(
            ran.stdout == std::fs::read_to_string(path).expect("committed"),
            "{of}: run `nanna-cache schema --write`"
        );
    }
    let ran = bed.run(&["schema", "--write"]);
    assert_eq!(ran.code, Some(1), "there is no folder yet: {ran}");
    assert!(ran.stderr.contains("make the folder"), "{ran}");
    std::fs::create_dir(bed.path().join("schema")).expect("a folder");
    let ran = bed.run(&["schema", "--write"]);
    assert_eq!(ran.code, Some(0), "{ran}");
    assert!(bed.path().join("schema/plan.schema.json").is_file());
    let ran = bed.run(&["schema", "--write"]);
    assert!(ran.stderr.starts_with("unchanged:"), "{ran}");
}

#[test]
fn init_writes_a_valid_file_once() {
    let bed = Bed::new();
    bed.write("flake.nix", "{}");
    let ran = bed.run(&["init"]);
    assert_eq!(ran.code, Some(0), "{ran}");
    let written = std::fs::read(bed.path().join("cache.yaml")).expect("a file");
    let ran = bed.run(&["validate", "--strict"]);
    assert_eq!(ran.code, Some(0), "{ran}");
    let ran = bed.run(&["init"]);
    assert_eq!(ran.code, Some(1), "{ran}");
    assert!(ran.stderr.contains("there is one already"), "{ran}");
    assert_eq!(
        std::fs::read(bed.path().join("cache.yaml")).expect("a file"),
        written
    );
    let ran = bed.run(&["init", "--print"]);
    assert_eq!(ran.stdout.as_bytes(), written);
}

#[test]
fn init_writes_where_it_is_told_and_never_over_a_file() {
    let bed = Bed::new();
    bed.write("flake.nix", "{}");
    bed.write("sub/flake.nix", "{}");
    let ran = bed.run(&["init", "--config", "sub/own.yaml"]);
    assert_eq!(ran.code, Some(0), "{ran}");
    assert!(
        ran.stderr
            .contains("`nanna-cache reconcile --config sub/own.yaml`"),
        "{ran}"
    );
    assert!(!bed.path().join("cache.yaml").exists());
    let file = bed.path().join("sub/own.yaml");
    let written = std::fs::read_to_string(&file).expect("a file");
    assert!(written.contains("project: sub\n"), "{written}");
    let ran = bed.run(&["validate", "--strict", "--config", "sub/own.yaml"]);
    assert_eq!(ran.code, Some(0), "{ran}");
    for (name, text) in [
        ("sub/own.yaml", written.as_str()),
        ("other", "mine\n"),
        ("empty", ""),
    ] {
        bed.write(name, text);
        let ran = bed.run(&["init", "--config", name]);
        assert_eq!(ran.code, Some(1), "{ran}");
        assert!(ran.stderr.contains("there is one already"), "{ran}");
        let left = std::fs::read_to_string(bed.path().join(name)).expect("a file");
        assert_eq!(left, text);
    }
    let ran = bed.run(&["init", "--config", "nowhere/cache.yaml"]);
    assert_eq!(ran.code, Some(1), "{ran}");
    assert!(!bed.path().join("nowhere").exists());
}

#[test]
fn a_wrong_command_line_is_64() {
    let bed = Bed::with(VALID);
    for words in [
        &["reconcil"][..],
        &[],
        &["prune", "--concise", "--full"],
        &["reconcile", "--plan", "--apply"],
        &["reconcile", "--yes"],
        &["prune", "--allow", "share=101%"],
        &["prune", "--allow", "shares=1%"],
        &["prune", "--lock-timeout", "soon"],
        &["reconcile", "--for", "main", "--apply"],
        &["fetch", "models"],
    ] {
        let ran = bed.run(words);
        assert_eq!(ran.code, Some(64), "{words:?}: {ran}");
        assert_eq!(ran.stdout, "", "{words:?}");
        assert!(!ran.stderr.is_empty(), "{words:?}");
    }
    insta::assert_snapshot!(bed.run(&["prune", "--allow", "share=101%"]));
}

#[test]
fn colour_only_where_it_is_wanted() {
    let bed = Bed::with("nonsense: 1\n");
    let coloured = |words: &[&str], variables: &[(&str, &str)]| {
        let mut command = bed.command(words);
        command.envs(variables.iter().copied());
        bed.ran(&mut command).stdout.contains('\u{1b}')
    };
    assert!(!coloured(&["validate"], &[]), "a pipe");
    assert!(coloured(&["validate", "--color", "always"], &[]));
    assert!(coloured(&["validate"], &[("CLICOLOR_FORCE", "1")]));
    assert!(!coloured(
        &["validate"],
        &[("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")]
    ));
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    let bed = Bed::new();
    let mut command = bed.command(&["completions", "zsh"]);
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts");
    drop(child.stdout.take());
    let output = child.wait_with_output().expect("it ends");
    assert_eq!(output.status.code(), Some(0));
    assert!(
        output.stderr.is_empty(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

#[test]
fn every_shell_has_completions() {
    let bed = Bed::new();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let ran = bed.run(&["completions", shell]);
        assert_eq!(ran.code, Some(0));
        assert!(ran.stdout.contains("reconcile"), "{shell}");
    }
}

#[test]
fn a_mark_is_kept_and_a_bad_name_refused() {
    let bed = Bed::new();
    let state = bed.path().join("nix/state");
    let mut command = bed.command(&["mark", "job"]);
    let ran = bed.ran(command.env("NIX_STATE_DIR", &state));
    assert_eq!(ran.code, Some(0), "{ran}");
    assert!(
        bed.path()
            .join(".local/state/nanna-cache/marks/job.json")
            .is_file()
    );
    let mut command = bed.command(&["mark", "../x"]);
    let ran = bed.ran(command.env("NIX_STATE_DIR", &state));
    assert_eq!(ran.code, Some(1), "{ran}");
    assert!(ran.stderr.starts_with("error: failed to "), "{ran}");
}

#[test]
fn bash_completes_what_stands_after_a_command() {
    let script = Bed::new().run(&["completions", "bash"]).stdout;
    // Every name that the script sets is one that it knows what to do for.
    let set: Vec<&str> = script
        .lines()
        .filter_map(|line| line.trim().strip_prefix("cmd=\"nanna")?.strip_suffix('"'))
        .collect();
    assert!(set.len() > 10, "{set:?}");
    for name in set {
        let label = format!("nanna{name})");
        assert!(script.lines().any(|line| line.trim() == label), "{label}");
    }
}

#[test]
fn what_can_choose_nothing_is_refused() {
    let text = VALID.replace(
        "  local:",
        "  up: { type: upstream, url: 'https://cache.nixos.org', public-keys: ['cache.nixos.org-1:6NCHdD59X431o0gWypbMrAURkbJ16ZPMQFGspcDShjY='] }\n  local:",
    );
    let bed = Bed::with(&text);
    for (words, said) in [
        (
            &["reconcile", "--only", "push/lokal"][..],
            "did you mean `push/local`?",
        ),
        (
            &["reconcile", "--only", "push/typo"],
            "there can be `push/local`",
        ),
        (
            &["reconcile", "--only", "push/local/al"],
            "did you mean `push/local/all`?",
        ),
        (
            &["reconcile", "--only", "prune/local/rust"],
            "`prune/local/all`",
        ),
        (&["reconcile", "--only", "setup/up"], "`setup/local`"),
        (&["push", "--only", "prune/local"], "it is no part of push"),
        (&["reconcile", "--cache", "lokal"], "did you mean `local`?"),
        (
            &["reconcile", "--cache", "up"],
            "it is an upstream, which is only read",
        ),
        (
            &["prune", "--cache", "elsewhere"],
            "the caches that are written: `local`",
        ),
        (
            &["fetch", "x", "--into", "y", "--cache", "up"],
            "an upstream",
        ),
        (
            &["explain", "x", "--cache", "typo"],
            "cache.yaml does not have it",
        ),
    ] {
        let ran = bed.run(words);
        assert_eq!(ran.code, Some(64), "{words:?}: {ran}");
        assert!(
            ran.stderr.contains(said),
            "{words:?}: {said:?} is not in {ran}"
        );
    }
    for only in [
        "push/local",
        "push/local/all",
        "setup/",
        "push/local/pin-old",
        "setup/nix",
    ] {
        let ran = bed.run(&["reconcile", "--only", only]);
        assert_eq!(ran.code, Some(0), "{only}: {ran}");
    }
    let ran = bed.run(&["setup", "--only", "setup/local/cache"]);
    assert_eq!(ran.code, Some(0), "{ran}");
    assert!(ran.stdout.contains("Plan: 1 to create."), "{ran}");
}

#[test]
fn what_is_not_shown_is_no_reason_to_say_no_changes() {
    let bed = Bed::with(VALID);
    let ran = bed.run(&["reconcile", "--for", "main"]);
    assert_eq!(ran.code, Some(0), "{ran}");
    assert!(
        ran.stdout
            .contains("No changes to what is shared; 3 steps on this machine are not shown"),
        "{ran}"
    );
    assert!(!ran.stdout.contains("No changes."), "{ran}");
}

#[test]
fn a_file_that_is_no_plan_is_said_with_the_way_out() {
    let bed = Bed::with(VALID);
    bed.write("empty", "");
    bed.write("text", "not json");
    bed.write("json", "{}");
    bed.write("later", "{\"format\": 99}");
    bed.write("cut", "{\"format\": 1, \"steps\": [{}]}");
    std::fs::write(bed.path().join("binary"), [0xff, 0, 1]).expect("a file");
    for (file, words) in [
        ("nothing", "there is no such file"),
        ("empty", "it is empty"),
        ("text", "at line 1 column 2"),
        ("json", "has no `format`"),
        ("later", "its format is 99"),
        ("cut", "at `steps[0]`: missing field"),
        ("binary", "it is no text"),
        (".", "Is a directory"),
    ] {
        let ran = bed.run(&["reconcile", "--from", file]);
        assert_eq!(ran.code, Some(1), "{file}: {ran}");
        assert!(
            ran.stderr.contains(words),
            "{file}: {words:?} is not in {ran}"
        );
        assert!(ran.stderr.contains("--out FILE"), "{file}: {ran}");
    }
}

/// What a shell offers for a line, or nothing where there is no such shell. zsh completes only at a terminal: there
/// it is waited until all `words` have come, or twenty seconds.
fn offers(shell: &str, script: &str, line: &str, words: &[&str]) -> Option<String> {
    let bed = Bed::new();
    bed.write("_nanna-cache", script);
    bed.write(
        "ask.zsh",
        r#"zmodload zsh/zpty
until_all() {
  local all= chunk word missing
  repeat 400; do
    while zpty -rt z chunk; do all+=$chunk; done
    missing=
    for word in "$@"; do [[ $all == *$word* ]] || missing=1; done
    [[ -n $missing ]] || break
    sleep 0.05
  done
  print -r -- "$all"
}
zpty z 'zsh -f -i'
zpty -w z "fpath=($PWD \$fpath); autoload -U compinit; compinit -u -D; PS1=SET''UP:"
until_all SETUP: > /dev/null
zpty -w -n z "$1"$'\t\t'
shift
until_all "$@"
"#,
    );
    let mut command = Command::new(shell);
    if shell == "fish" {
        command.args(["-c", &format!("source _nanna-cache; complete -C '{line}'")]);
    } else {
        command.args(["-f", "ask.zsh", line]).args(words);
    }
    let output = command
        .current_dir(bed.path())
        .env_clear()
        .env("HOME", bed.path())
        .env("PATH", "/usr/bin:/bin")
        .env("TERM", "dumb")
        .stdin(Stdio::null())
        .output()
        .ok()?;
    Some(String::from_utf8_lossy(&output.stdout).into_owned())
}

#[test]
fn zsh_and_fish_complete_commands_flags_and_values() {
    for shell in ["zsh", "fish"] {
        let script = Bed::new().run(&["completions", shell]).stdout;
        for (line, words) in [
            ("nanna-cache re", &["reconcile"][..]),
            ("nanna-cache reconcile --fo", &["--for", "--format"]),
            (
                "nanna-cache reconcile --format ",
                &["json", "markdown", "text"],
            ),
            ("nanna-cache push --scope ", &["machine", "shared"]),
            ("nanna-cache --color ", &["always", "auto", "never"]),
            (
                "nanna-cache completions ",
                &["bash", "elvish", "powershell"],
            ),
        ] {
            let Some(said) = offers(shell, &script, line, words) else {
                break;
            };
            for word in words {
                assert!(
                    said.contains(word),
                    "{shell}: {line:?} offers no {word}: {said}"
                );
            }
        }
    }
}

#[test]
fn workflows_that_are_wrong_end_with_7_and_corrected_ones_with_0() {
    let fixture = |kind: &str| {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/workflows");
        root.join(kind).join("cache.yaml")
    };
    let bed = Bed::new();
    for (kind, format, code) in [
        ("today", "text", 7),
        ("today", "github", 7),
        ("corrected", "text", 0),
    ] {
        let config = fixture(kind);
        let config = config.to_str().expect("UTF-8");
        let ran = bed.run(&["workflows", "--config", config, "--format", format]);
        assert_eq!(ran.code, Some(code), "{ran}");
        assert_eq!(ran.stdout.contains("fork"), code == 7, "{ran}");
    }
}
