//! The page of a project: how its caches stand.

mod standing;

use super::{Card, Page, Section};
use crate::insight::status::Status;

/// What there is to show; what is none is left out.
#[derive(Clone, Copy, Debug, Default)]
pub struct Overview<'a> {
    /// How things stand.
    pub status: Option<&'a Status>,
}

/// The page.
#[must_use]
pub fn page(overview: &Overview<'_>) -> Page {
    let mut cards: Vec<Card> = Vec::new();
    let mut sections: Vec<Section> = Vec::new();
    let mut project = String::new();
    let mut times: Vec<String> = Vec::new();
    if let Some(status) = overview.status {
        project.clone_from(&status.project);
        times.push(format!("looked at {}", status.now));
        cards.extend(standing::cards(status));
        sections.extend(standing::sections(status));
    }
    Page {
        title: format!("{project}: its caches"),
        subtitle: times.join(" · "),
        cards,
        sections,
        footer: "Made by nanna-cache.".to_owned(),
    }
}
