//! Where and for what this process runs: what a record of a run says of itself.

use std::time::Duration;

use camino::Utf8Path;

use super::publish::pull_request;
use crate::insight::run::Origin;
use crate::sys::command::Command;
use crate::sys::host::Host;

/// git answers such questions from its own head.
const QUICK: Duration = Duration::from_secs(10);

/// Where and for what this process runs, with the project in `base`.
#[must_use]
pub fn origin(host: &Host, base: &Utf8Path) -> Origin {
    let text = |name: &str| host.filled(name).map(str::to_owned);
    let mut origin = Origin {
        system: Some(host.system.clone()),
        ..Origin::default()
    };
    if let Some(job) = host.github() {
        let pull = pull_request(&job);
        let is_pull = job
            .event
            .as_deref()
            .is_some_and(|it| it.starts_with("pull_request"));
        let event = match &pull {
            Some(pull) if pull.may_only_read => "fork",
            Some(_) => "pull-request",
            None if is_pull => "pull-request",
            None => "main",
        };
        origin.event = Some(event.to_owned());
        origin.commit.clone_from(&job.commit);
        origin.branch = text("GITHUB_HEAD_REF").or_else(|| text("GITHUB_REF_NAME"));
        origin.runner = text("RUNNER_NAME");
        origin.job = text("GITHUB_JOB");
    } else {
        origin.event = Some(if host.ci() { "main" } else { "local" }.to_owned());
        origin.runner = Some(host.hostname.clone());
    }
    if origin.commit.is_none() {
        origin.commit = git(host, base, &["rev-parse", "--verify", "--quiet", "HEAD"]);
    }
    if origin.branch.is_none() {
        origin.branch = git(host, base, &["symbolic-ref", "--short", "--quiet", "HEAD"]);
    }
    origin
}

/// What git answers in this folder; none where there is no git, or no repository.
fn git(host: &Host, base: &Utf8Path, words: &[&str]) -> Option<String> {
    let program = host.program("git")?;
    let command = Command::new(program)
        .environment(host.variables())
        .folder(base)
        .args(words.iter().copied())
        .time_limit(QUICK);
    let output = command
        .output()
        .ok()
        .filter(|output| output.status.success())?;
    let text = String::from_utf8(output.stdout).ok()?;
    Some(text.trim().to_owned()).filter(|text| !text.is_empty())
}
