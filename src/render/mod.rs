//! From plans, problems, explanations and reports to text, JSON and Markdown.
//!
//! One [`view`] of a plan feeds text and Markdown, so that they cannot disagree. Everything is
//! computed from data that is passed in; nothing here reads, decides or prints. Whatever comes
//! from outside is escaped before it is shown.

pub mod advise;
pub mod analytics;
pub mod api;
pub mod doctor;
pub mod explain;
pub mod github;
pub mod html;
pub mod json;
pub mod layout;
pub mod markdown;
pub mod overview;
pub mod problems;
pub mod progress;
pub mod prometheus;
pub mod report;
pub mod run;
pub mod status;
pub mod style;
pub mod text;
pub mod units;
pub mod verify;
pub mod view;
pub mod workflows;
