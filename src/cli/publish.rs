//! `--publish github`: the plan, and what came of it, where people look.

use camino::Utf8Path;

use super::error::Failure;
use super::output::Output;
use crate::engine::publish::{News, publish, pull_request};
use crate::exit::Exit;
use crate::plan::plan::Plan;
use crate::plan::report::Report;
use crate::render::github;
use crate::render::view::bare;
use crate::sys::host::{GitHub, Host};

/// A job that tells of what it does.
pub(super) struct Job<'a> {
    host: &'a Host,
    output: Output,
    /// The folder of `cache.yaml`.
    base: &'a Utf8Path,
    github: GitHub,
}

impl<'a> Job<'a> {
    /// The job; it is a slip to publish where there is none.
    pub(super) fn new(host: &'a Host, output: Output, base: &'a Utf8Path) -> Result<Self, Failure> {
        let github = host.github().ok_or_else(|| {
            Failure::new(
                Exit::Usage,
                "publish: this is no job of GitHub Actions (GITHUB_ACTIONS is not `true`)",
            )
            .help("leave --publish out; --format markdown prints what it would publish")
        })?;
        Ok(Self {
            host,
            output,
            base,
            github,
        })
    }

    /// Tells of a plan: annotations, summary, outputs, and the comment of a pull request.
    pub(super) fn plan(&self, plan: &Plan, markdown: &str) {
        let file = self.file(plan);
        let mark = github::mark(&plan.project, &file);
        let pull = pull_request(&self.github);
        let commit = pull.as_ref().and_then(|pull| pull.commit.as_deref());
        let run = self.github.run_url.as_deref();
        let comment = github::comment(&mark, markdown, commit, run);
        self.output.must_say(&github::annotations(plan, &file));
        self.tell(&News {
            summary: format!("{}\n", markdown.trim_end()),
            outputs: github::outputs(plan),
            comment: Some((mark, comment)),
        });
    }

    /// Tells of what came of it.
    pub(super) fn report(&self, report: &Report, markdown: &str) {
        self.output.must_say(&github::secrets(report));
        self.tell(&News {
            summary: markdown.to_owned(),
            ..News::default()
        });
    }

    fn tell(&self, news: &News) {
        for said in publish(self.host, &self.github, news) {
            self.output.must_say(&format!("GitHub: {said}\n"));
        }
    }

    /// `cache.yaml` as a path in the repository.
    fn file(&self, plan: &Plan) -> String {
        let workspace = self.github.workspace.as_deref();
        let folder = workspace.and_then(|workspace| self.base.strip_prefix(workspace).ok());
        let name = bare(&plan.file);
        folder.map_or_else(|| name.to_owned(), |folder| folder.join(name).into_string())
    }
}
