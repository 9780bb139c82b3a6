//! The one comment of a pull request that is ours: found by a mark in its first line and by its author.

use reqwest::Method;
use serde::Deserialize;

use super::{Client, GitHubError, read};

/// Who writes with the token that a job is given.
const JOB: &str = "github-actions[bot]";

/// Comments on one page, the most that there may be.
const PAGE: usize = 100;

/// Pages that are looked through: a pull request with more comments gets a second one of ours.
const PAGES: usize = 50;

/// What became of the comment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    /// It is new.
    Created,
    /// It says something else now.
    Updated,
    /// It says that already.
    Unchanged,
}

#[derive(Clone, Debug, Deserialize)]
struct Comment {
    id: u64,
    #[serde(default)]
    body: Option<String>,
    #[serde(default)]
    user: Option<User>,
}

#[derive(Clone, Debug, Deserialize)]
struct User {
    login: String,
}

impl Client {
    /// Makes the comment of a pull request whose first line is `mark` say `body`, which begins with it.
    ///
    /// Comments of others are never touched, whatever their first line is. Where two jobs write at once, the
    /// earlier comment stays and the later one goes.
    ///
    /// # Errors
    /// GitHub refused, or there is no readable answer.
    pub fn tell(&self, number: u64, mark: &str, body: &str) -> Result<Told, GitHubError> {
        let us = self.name();
        let ours = self.ours(number, mark, &us)?;
        if let Some(first) = ours.first() {
            if first
                .body
                .as_deref()
                .is_some_and(|known| is_same(known, body))
            {
                return Ok(Told::Unchanged);
            }
            let rest = format!("/repos/{}/issues/comments/{}", self.repository, first.id);
            let body = serde_json::json!({ "body": body });
            self.ask("update the comment", Method::PATCH, &rest, Some(&body))?;
            return Ok(Told::Updated);
        }
        let rest = format!("/repos/{}/issues/{number}/comments", self.repository);
        let text = serde_json::json!({ "body": body });
        let answer = self.ask("write a comment", Method::POST, &rest, Some(&text))?;
        let made: Comment = read("write a comment", &answer)?;
        // Somebody may have written at the same moment.
        let ours = self.ours(number, mark, &us)?;
        if ours.first().is_some_and(|first| first.id < made.id) {
            let rest = format!("/repos/{}/issues/comments/{}", self.repository, made.id);
            self.ask(
                "delete a comment written twice",
                Method::DELETE,
                &rest,
                None,
            )?;
            return self.tell(number, mark, body);
        }
        Ok(Told::Created)
    }

    /// Who the token belongs to. That of a job may not ask.
    fn name(&self) -> String {
        let answer = self.ask("ask who we are", Method::GET, "/user", None);
        let user = answer.and_then(|answer| read::<User>("ask who we are", &answer));
        user.map_or_else(|_| JOB.to_owned(), |user| user.login)
    }

    /// Our comments with this mark, the first of them in front.
    fn ours(&self, number: u64, mark: &str, us: &str) -> Result<Vec<Comment>, GitHubError> {
        let what = "list the comments";
        let mut found = Vec::new();
        for page in 1..=PAGES {
            let rest = format!(
                "/repos/{}/issues/{number}/comments?per_page={PAGE}&page={page}",
                self.repository
            );
            let comments: Vec<Comment> = read(what, &self.ask(what, Method::GET, &rest, None)?)?;
            let is_last = comments.len() < PAGE;
            found.extend(comments.into_iter().filter(|comment| {
                let by_us = comment.user.as_ref().is_some_and(|user| user.login == us);
                let first = comment.body.as_deref().and_then(|body| body.lines().next());
                by_us && first == Some(mark)
            }));
            if is_last {
                break;
            }
        }
        found.sort_by_key(|comment| comment.id);
        Ok(found)
    }
}

/// GitHub gives line breaks back as it likes.
fn is_same(known: &str, body: &str) -> bool {
    known.lines().eq(body.trim_end().lines())
}
