//! A file that is ours as a whole has one section for each project, under a line with its name. Each
//! project writes its own and leaves the others as they are, so two of them can share a machine.
//!
//! The settings of `nanna-cache.conf` only add, so their order is of no account; of tuning, the last one counts.

use crate::nix::key::PublicKey;
use crate::plan::desired::Desired;
use crate::plan::observed::Observed;

/// Starts a section, with the project after it.
const START: &str = "# Managed by nanna-cache (project ";
/// Ends that line.
const END: &str = "): edit cache.yaml instead of this.";

/// A section: its project, and its lines without the first.
struct Section<'t> {
    project: &'t str,
    lines: Vec<&'t str>,
}

fn sections(text: &str) -> Vec<Section<'_>> {
    let mut all: Vec<Section<'_>> = Vec::new();
    for line in text.lines() {
        let project = line
            .strip_prefix(START)
            .and_then(|rest| rest.trim_end().strip_suffix(END));
        match (project, all.last_mut()) {
            (Some(project), _) => all.push(Section {
                project,
                lines: Vec::new(),
            }),
            (None, Some(section)) => section.lines.push(line),
            // What stands before any project belongs to nobody; the file is not that of a user.
            (None, None) => {}
        }
    }
    all
}

/// The lines of a project in such a file; `None`: it has no section.
pub(in crate::plan) fn lines<'t>(text: &'t str, project: &str) -> Option<Vec<&'t str>> {
    let mut all = sections(text).into_iter();
    let own = all.find(|section| section.project == project)?;
    Some(own.lines)
}

/// The lines of other projects after that of this one, with the project.
pub(in crate::plan) fn later<'t>(text: &'t str, project: &str) -> Vec<(&'t str, &'t str)> {
    let after = sections(text)
        .into_iter()
        .skip_while(|section| section.project != project)
        .filter(|section| section.project != project);
    let lines = after.flat_map(|section| {
        let project = section.project;
        section.lines.into_iter().map(move |line| (project, line))
    });
    lines.collect()
}

/// The lines of other projects before that of this one, with the project.
pub(in crate::plan) fn earlier<'t>(text: &'t str, project: &str) -> Vec<(&'t str, &'t str)> {
    let before = sections(text)
        .into_iter()
        .take_while(|section| section.project != project);
    let lines = before.flat_map(|section| {
        let project = section.project;
        section.lines.into_iter().map(move |line| (project, line))
    });
    lines.collect()
}

/// The text of such a file with these lines for a project; `last` ends the file, once for all projects.
pub(in crate::plan) fn with(
    before: Option<&str>,
    project: &str,
    own: &[String],
    last: Option<&str>,
) -> String {
    let mut all: Vec<(&str, Vec<&str>)> = Vec::new();
    for section in before.map(sections).unwrap_or_default() {
        let known = all.iter().any(|(name, _)| *name == section.project);
        if !known || section.project != project {
            all.push((section.project, section.lines));
        }
    }
    let own = own.iter().map(String::as_str).collect();
    match all.iter_mut().find(|(name, _)| *name == project) {
        Some((_, lines)) => *lines = own,
        None => all.push((project, own)),
    }
    let mut text = String::new();
    for (name, lines) in all {
        let lines = lines.into_iter().filter(|line| Some(line.trim()) != last);
        let head = format!("{START}{name}{END}");
        for line in std::iter::once(head.as_str()).chain(lines) {
            text.push_str(line);
            text.push('\n');
        }
    }
    if let Some(last) = last {
        text.push_str(last);
        text.push('\n');
    }
    text
}

/// The public key of this name that this project's section of `nanna-cache.conf` has now.
pub(super) fn key_named(desired: &Desired, observed: &Observed, name: &str) -> Option<String> {
    let path = desired.conf.as_ref()?.fragment.as_str();
    let file = observed.files.get(path)?.present()?;
    let lines = lines(&file.text, &desired.config.project)?;
    let words = lines
        .into_iter()
        .filter_map(|line| line.strip_prefix("extra-trusted-public-keys = "))
        .flat_map(str::split_whitespace);
    let mut keys = words.filter_map(|word| word.parse::<PublicKey>().ok());
    keys.find(|key| key.name() == name)
        .map(|key| key.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: &str =
        "# Managed by nanna-cache (project one): edit cache.yaml instead of this.\na = 1\nlast\n";

    fn own(lines: &[&str]) -> Vec<String> {
        lines.iter().map(|line| (*line).to_owned()).collect()
    }

    #[test]
    fn one_project_has_the_file_for_itself() {
        assert_eq!(with(None, "one", &own(&["a = 1"]), Some("last")), ONE);
        assert_eq!(with(Some(ONE), "one", &own(&["a = 1"]), Some("last")), ONE);
        assert_eq!(
            with(Some(ONE), "one", &own(&["b = 2"]), Some("last")),
            ONE.replace("a = 1", "b = 2")
        );
        assert_eq!(lines(ONE, "one").unwrap(), ["a = 1", "last"]);
        assert_eq!(lines(ONE, "two"), None);
    }

    #[test]
    fn two_projects_leave_each_other_alone() {
        let both = with(Some(ONE), "two", &own(&["a = 2"]), Some("last"));
        assert_eq!(
            both,
            ONE.replace("last\n", "")
                + &ONE.replace("project one", "project two").replace('1', "2")
        );
        // Whoever comes next changes only what is theirs, wherever it stands, and then nothing.
        for (project, line) in [("one", "a = 1"), ("two", "a = 2")] {
            assert_eq!(
                with(Some(&both), project, &own(&[line]), Some("last")),
                both
            );
        }
        let changed = with(Some(&both), "one", &own(&["c = 3"]), Some("last"));
        assert_eq!(changed, both.replace("a = 1", "c = 3"));
        assert_eq!(later(&both, "one"), [("two", "a = 2"), ("two", "last")]);
        assert!(later(&both, "two").is_empty());
        assert!(later(&both, "three").is_empty());
    }

    #[test]
    fn a_second_section_of_a_project_goes() {
        let twice = format!("{ONE}{ONE}");
        assert_eq!(
            with(Some(&twice), "one", &own(&["a = 1"]), Some("last")),
            ONE
        );
        // An editor may have changed the line breaks.
        let windows = ONE.replace('\n', "\r\n");
        assert_eq!(
            with(Some(&windows), "one", &own(&["a = 1"]), Some("last")),
            ONE
        );
    }
}
