//! `workflows`: what in the workflows of the repository does not fit `cache.yaml`.

use camino::Utf8Path;

use super::args::{FindingFormat, Workflows};
use super::context::Context;
use super::error::Failure;
use crate::exit::Exit;
use crate::insight::workflows::{Declared, Severity, findings};
use crate::provider::workflows::files;
use crate::render::workflows as render;

pub(super) fn run(context: &Context, args: &Workflows) -> Result<Exit, Failure> {
    let loaded = context.load()?;
    let root = root(&loaded.base);
    let files = files(root).map_err(|why| Failure::new(Exit::Failed, why))?;
    let found = findings(&Declared::of(&loaded.config), &files);
    context.output.result(&match args.format {
        FindingFormat::Text => render::text(&found, files.len(), context.output.results()),
        FindingFormat::Json => render::json(&found, files.len()),
        FindingFormat::Github => render::github(&found),
        FindingFormat::Diff => render::diff(&found, &files),
    })?;
    let fails = found
        .iter()
        .any(|finding| args.strict || finding.severity == Severity::Wrong);
    Ok(if fails { Exit::Check } else { Exit::Done })
}

/// The repository that `cache.yaml` is in: the nearest folder with `.git` or `.github`; without one, its own.
fn root(base: &Utf8Path) -> &Utf8Path {
    let is_root = |folder: &&Utf8Path| {
        [".github", ".git"]
            .iter()
            .any(|name| folder.join(name).exists())
    };
    base.ancestors().find(is_root).unwrap_or(base)
}
