//! Tells a job of GitHub Actions of a plan: its summary, its outputs, and one comment in the pull request.
//!
//! Promise: nothing here decides how the program ends: a plan that could not be told is as good as it was, and
//! what could not be told is said.

use camino::Utf8Path;
use serde::Deserialize;

use super::machine::sentence;
use crate::provider::github::{API, Client, GitHubError, Told};
use crate::sys::file;
use crate::sys::host::{GitHub, Host};
use crate::sys::http;
use crate::sys::token::Token;

/// Largest description of an event that is read, in bytes.
const MAX: u64 = 16 << 20;

/// The summary of a step may have so many bytes; a longer one is lost whole.
const SUMMARY: usize = 1 << 20;

/// Where a job has its token, if it was given one.
const TOKENS: [&str; 2] = ["GITHUB_TOKEN", "GH_TOKEN"];

/// What a job runs for, as far as a comment depends on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PullRequest {
    /// Its number.
    pub number: u64,
    /// The commit that it proposes.
    pub commit: Option<String>,
    /// Whether it comes from a fork and the job's token may only read.
    pub may_only_read: bool,
}

/// What is to be told.
#[derive(Clone, Debug, Default)]
pub struct News {
    /// For the job's summary, as Markdown.
    pub summary: String,
    /// For later steps.
    pub outputs: String,
    /// The mark of the comment, and the comment; none: only where there is a pull request.
    pub comment: Option<(String, String)>,
}

#[derive(Deserialize)]
struct Event {
    pull_request: Option<Pull>,
}

#[derive(Deserialize)]
struct Pull {
    number: u64,
    head: Side,
    base: Side,
}

#[derive(Deserialize)]
struct Side {
    sha: Option<String>,
    repo: Option<Repository>,
}

#[derive(Deserialize)]
struct Repository {
    full_name: String,
}

/// The pull request that a job runs for, if it does.
#[must_use]
pub fn pull_request(job: &GitHub) -> Option<PullRequest> {
    let event = job.event.as_deref()?;
    if !matches!(event, "pull_request" | "pull_request_target") {
        return None;
    }
    let file = job.event_file.as_deref()?;
    let bytes = file::read_if_there(file.as_std_path(), MAX).ok()??;
    let pull = serde_json::from_slice::<Event>(&bytes).ok()?.pull_request?;
    let name = |side: &Side| side.repo.as_ref().map(|repo| repo.full_name.clone());
    // A fork that is gone has no name.
    let is_fork = name(&pull.head).is_none() || name(&pull.head) != name(&pull.base);
    Some(PullRequest {
        number: pull.number,
        commit: pull.head.sha,
        may_only_read: is_fork && event == "pull_request",
    })
}

/// Tells of it; answers in sentences what was told, and what could not be and why.
#[must_use]
pub fn publish(host: &Host, job: &GitHub, news: &News) -> Vec<String> {
    let mut said = Vec::new();
    let mut append = |name: &str, path: Option<&Utf8Path>, text: &str| match path {
        None => said.push(format!("{name} is not set, so nothing is written there")),
        Some(path) => {
            if let Err(error) = file::append(path.as_std_path(), text.as_bytes()) {
                said.push(format!("{name}: failed to {}", sentence(&error)));
            }
        }
    };
    if !news.summary.is_empty() {
        let summary = if news.summary.len() > SUMMARY {
            "The plan is too long for a summary; it stands in the log.\n"
        } else {
            &news.summary
        };
        append("GITHUB_STEP_SUMMARY", job.summary_file.as_deref(), summary);
    }
    if !news.outputs.is_empty() {
        append("GITHUB_OUTPUT", job.output_file.as_deref(), &news.outputs);
    }
    if let (Some((mark, text)), Some(pull)) = (&news.comment, pull_request(job)) {
        said.push(comment(host, job, &pull, mark, text));
    }
    said
}

fn comment(host: &Host, job: &GitHub, pull: &PullRequest, mark: &str, text: &str) -> String {
    if pull.may_only_read {
        return "no comment: a pull request from a fork has no right to write one; the plan stands in the summary"
            .to_owned();
    }
    let Some(repository) = job.repository.as_deref() else {
        return "no comment: GITHUB_REPOSITORY is not set".to_owned();
    };
    let Some(token) = TOKENS
        .iter()
        .find_map(|name| host.filled(name))
        .and_then(Token::new)
    else {
        return "no comment: give the step `env: { GITHUB_TOKEN: ${{ github.token }} }` and the job \
                `permissions: { pull-requests: write }`"
            .to_owned();
    };
    token.hide(host);
    let api = job.api.as_deref().unwrap_or(API);
    let told = Client::new(
        api,
        repository,
        token,
        &http::Options::of(host),
        host.test_patience(),
    )
    .and_then(|client| client.tell(pull.number, mark, text));
    match told {
        Ok(Told::Created) => format!("wrote a comment in pull request {}", pull.number),
        Ok(Told::Updated) => format!("updated the comment in pull request {}", pull.number),
        Ok(Told::Unchanged) => format!(
            "the comment in pull request {} says it already",
            pull.number
        ),
        Err(error @ GitHubError::Refused { .. }) => format!(
            "no comment: failed to {error}; the job needs `permissions: {{ pull-requests: write }}`"
        ),
        Err(error) => format!("no comment: failed to {error}"),
    }
}
