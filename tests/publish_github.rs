//! `--publish github`: a job of GitHub Actions tells of its plan, against a stand-in of GitHub.
#![allow(missing_docs, clippy::unwrap_used, reason = "a test")]

#[path = "fake/github/mod.rs"]
mod github;
mod support;

use axum::http::Method;
use github::{GitHub, JOB, Right};
use support::bed::{Output, TestBed};
use support::planted::Planted;

const TOKEN: &str = "ghs_plantedTokenOfThisJob0123456789abcd";

const CONFIG: &str = "version: 1
project: shop
caches: { dev: { type: file, path: out/cache } }
artifacts:
  models: { priority: 80, retention: 60d, directories: ['models/*', 'none/*'], default: true }
setup: { nix-conf: none }
";

/// A job that runs for pull request 7, with the right to write comments.
struct Job {
    bed: TestBed,
    github: GitHub,
}

impl Job {
    fn new() -> Self {
        let mut bed = TestBed::new();
        bed.without_nix();
        bed.write("cache.yaml", CONFIG);
        bed.write("models/tiny/config.json", "{}");
        let github = GitHub::start();
        github.permit(TOKEN, JOB, Right::Write);
        let workspace = bed.work();
        for (name, value) in [
            ("GITHUB_ACTIONS", "true"),
            ("GITHUB_REPOSITORY", "team/shop"),
            ("GITHUB_SERVER_URL", "https://github.example"),
            ("GITHUB_RUN_ID", "42"),
            ("GITHUB_API_URL", &github.url),
            ("GITHUB_TOKEN", TOKEN),
            ("NANNA_CACHE_TEST_PATIENCE", "1"),
        ] {
            bed.set(name, value);
        }
        bed.set("GITHUB_WORKSPACE", &workspace);
        for (name, file) in [
            ("GITHUB_STEP_SUMMARY", "summary.md"),
            ("GITHUB_OUTPUT", "output"),
            ("GITHUB_EVENT_PATH", "event.json"),
        ] {
            bed.set(name, bed.at(file));
        }
        let mut job = Self { bed, github };
        job.event("pull_request", "team/shop");
        job
    }

    /// What the job runs for: a pull request from a branch of this repository.
    fn event(&mut self, name: &str, from: &str) {
        self.bed.set("GITHUB_EVENT_NAME", name);
        let event = format!(
            r#"{{"action": "opened", "pull_request": {{"number": 7,
               "head": {{"sha": "0123456789abcdef0123", "repo": {{"full_name": "{from}"}}}},
               "base": {{"sha": "ff", "repo": {{"full_name": "team/shop"}}}}}}}}"#
        );
        self.bed.write("event.json", event);
    }

    /// Plans; no word of the token is ever seen but as a mask.
    fn run(&self, line: &str) -> Output {
        let said = self.bed.run(line.split_whitespace());
        let masks = format!("::add-mask::{TOKEN}");
        let seen = said.stderr.replace(&masks, "");
        assert!(
            !seen.contains(TOKEN) && !said.stdout.contains(TOKEN),
            "{said}"
        );
        said
    }

    fn bodies(&self) -> Vec<String> {
        let comments = self.github.comments();
        comments.into_iter().map(|comment| comment.body).collect()
    }
}

const PLAN: &str = "reconcile --plan --publish github";

#[test]
fn a_comment_is_written_once_and_then_kept_up_to_date() {
    let job = Job::new();
    let said = job.run(PLAN).success();
    assert!(
        said.stderr
            .contains("GitHub: wrote a comment in pull request 7"),
        "{said}"
    );
    let [first] = job.bodies().try_into().unwrap();
    let mut lines = first.lines();
    assert_eq!(
        lines.next(),
        Some("<!-- nanna-cache plan of shop in cache.yaml -->")
    );
    assert_eq!(
        lines.next(),
        Some("## shop · cache.yaml · 1 cache · 1 artifact class")
    );
    assert!(lines.nth(1).unwrap().starts_with("**Plan: "), "{first}");
    assert!(first.contains(
        "for 0123456789 by [this run](https://github.example/team/shop/actions/runs/42)"
    ));

    // Nothing has changed: nothing is sent.
    let _ = job.github.requests();
    let said = job.run(PLAN).success();
    assert!(said.stderr.contains("says it already"), "{said}");
    assert!(
        job.github
            .requests()
            .iter()
            .all(|request| request.starts_with("GET"))
    );

    job.bed.write("models/other/config.json", "{}");
    let said = job.run(PLAN).success();
    assert!(said.stderr.contains("updated the comment"), "{said}");
    let [second] = job.bodies().try_into().unwrap();
    assert!(
        second.contains("2 to push") && first.contains("1 to push"),
        "{second}"
    );
}

#[test]
fn summary_outputs_and_annotations_say_the_same() {
    let job = Job::new();
    let said = job.run(PLAN).success();
    let summary = job.bed.read("summary.md");
    assert!(summary.starts_with("## shop · cache.yaml"), "{summary}");
    assert!(!summary.contains("<!--"), "{summary}");
    let outputs = job.bed.read("output");
    assert!(
        outputs.contains("\nto-push=1\n") && outputs.contains("\nto-delete=0\n"),
        "{outputs}"
    );
    assert!(outputs.starts_with("changes="), "{outputs}");
    // What could not be found is a warning on the file; the person has to look.
    let annotation = said
        .stderr
        .lines()
        .find(|line| line.starts_with("::warning "));
    let annotation = annotation.unwrap_or_else(|| panic!("{said}"));
    assert!(annotation.contains("file=cache.yaml"), "{annotation}");
    assert!(
        annotation.contains("none/*::not seen: there is no such directory"),
        "{annotation}"
    );
}

#[test]
fn what_was_applied_is_told_in_the_summary() {
    let mut job = Job::new();
    job.event("push", "team/shop");
    let _ = job.run("reconcile --apply --publish github").success();
    let summary = job.bed.read("summary.md");
    assert!(
        summary.contains("### applied") && summary.contains("Applied: "),
        "{summary}"
    );
    assert_eq!(job.bodies(), [""; 0], "there is no pull request");
}

#[test]
fn a_secret_in_what_is_pushed_is_a_warning_of_the_job() {
    let mut job = Job::new();
    job.event("push", "team/shop");
    let secret = "q8Zr5tYw2LmN0pXc7VbK4dJh9GfS1aUe";
    let text = format!("api_key = \"{secret}\"\n");
    job.bed.write("models/tiny/settings.toml", text);
    let said = job.run("reconcile --apply --publish github").success();
    let warning = said
        .stderr
        .lines()
        .find(|line| line.contains("title=secret"));
    let warning = warning.unwrap_or_else(|| panic!("{said}"));
    assert!(
        warning.starts_with("::warning title=secret%3A assignment::"),
        "{warning}"
    );
    assert!(
        warning.contains("settings.toml") && warning.contains("fingerprint"),
        "{warning}"
    );
    assert!(
        !said.stderr.contains(secret) && !said.stdout.contains(secret),
        "{said}"
    );
}

#[test]
fn a_fork_gets_a_summary_and_no_red_job() {
    let mut job = Job::new();
    job.event("pull_request", "stranger/shop");
    let said = job.run(PLAN).success();
    assert!(
        said.stderr
            .contains("no comment: a pull request from a fork"),
        "{said}"
    );
    assert!(job.bed.read("summary.md").contains("## shop"));
    assert_eq!(job.github.requests(), [""; 0]);
    // On the base's behalf it may.
    job.event("pull_request_target", "stranger/shop");
    let said = job.run(PLAN).success();
    assert!(said.stderr.contains("wrote a comment"), "{said}");
}

#[test]
fn a_missing_right_is_named_and_costs_nothing() {
    let mut job = Job::new();
    job.github.permit(TOKEN, JOB, Right::Read);
    let said = job.run(PLAN).success();
    assert!(
        said.stderr
            .contains("Resource not accessible by integration"),
        "{said}"
    );
    assert!(said.stderr.contains("pull-requests: write"), "{said}");
    job.bed.unset("GITHUB_TOKEN");
    let said = job.run(PLAN).success();
    assert!(
        said.stderr.contains("GITHUB_TOKEN: ${{ github.token }}"),
        "{said}"
    );
}

#[test]
fn comments_of_others_are_never_touched() {
    let job = Job::new();
    let mark = "<!-- nanna-cache plan of shop in cache.yaml -->";
    job.github
        .comment(7, "mallory", &format!("{mark}\nNothing to see here."));
    for number in 0..120 {
        job.github
            .comment(7, "someone", &format!("comment {number}"));
    }
    job.github
        .comment(8, JOB, &format!("{mark}\nAnother pull request."));
    let said = job.run(PLAN).success();
    assert!(said.stderr.contains("wrote a comment"), "{said}");
    let said = job.run(PLAN).success();
    assert!(
        said.stderr.contains("says it already"),
        "on the second page: {said}"
    );
    let bodies = job.bodies();
    assert_eq!(bodies.len(), 123);
    assert!(bodies[0].ends_with("Nothing to see here."), "{}", bodies[0]);
    assert!(
        bodies[121].ends_with("Another pull request."),
        "{}",
        bodies[121]
    );
}

#[test]
fn whoever_the_token_belongs_to_is_who_we_are() {
    let job = Job::new();
    job.github.permit(TOKEN, "robot", Right::Write);
    let _ = job.run(PLAN).success();
    job.bed.write("models/other/config.json", "{}");
    let said = job.run(PLAN).success();
    assert!(said.stderr.contains("updated the comment"), "{said}");
    assert_eq!(job.github.comments()[0].author, "robot");
}

#[test]
fn a_service_that_fails_costs_a_comment_and_nothing_else() {
    let job = Job::new();
    for (status, body) in [
        (500, "<html>oops</html>"),
        (
            403,
            r#"{"message": "You have exceeded a secondary rate limit"}"#,
        ),
        (200, "no json"),
        (200, r#"{"not": "a list"}"#),
        (302, ""),
    ] {
        // The first question is who we are; the second fails, too.
        for _ in 0..40 {
            job.github.fail(Method::GET, status, body);
        }
        let said = job.run(PLAN).success();
        assert!(
            said.stderr
                .contains("GitHub: no comment: failed to list the comments"),
            "{status}: {said}"
        );
        assert!(said.stdout.contains("Plan: "), "{said}");
        job.github.recover();
    }
    // Once is no failure.
    job.github.fail(Method::POST, 502, "");
    let said = job.run(PLAN).success();
    assert!(said.stderr.contains("wrote a comment"), "{said}");
    assert_eq!(
        Planted::of([TOKEN]).found_below(&job.bed.at("summary.md")),
        [""; 0]
    );
}

#[test]
fn outside_of_a_job_it_is_a_slip() {
    let mut job = Job::new();
    job.bed.unset("GITHUB_ACTIONS");
    let said = job.run(PLAN).fails(64);
    assert!(
        said.stderr.contains("this is no job of GitHub Actions"),
        "{said}"
    );
}
