//! `export`: what `cache.yaml` says, as JSON for those who cannot read it: a flake above all.

use super::args::Export;
use super::context::Context;
use super::error::Failure;
use crate::exit::Exit;
use crate::plan::export;
use crate::sys::file::{self, Written};

/// No export comes near it; what is larger is no export.
const LIMIT: u64 = 16 << 20;

pub(super) fn run(context: &Context, args: &Export) -> Result<Exit, Failure> {
    let loaded = context.load()?;
    let text = export::text(&loaded.config);
    if let Some(name) = &args.check {
        let path = loaded.base.join(name);
        let found =
            file::read_if_there(path.as_std_path(), LIMIT).map_err(|error| Failure::of(&error))?;
        if found.as_deref() == Some(text.as_bytes()) {
            context
                .output
                .note(&format!("`{path}` is what cache.yaml says\n"));
            return Ok(Exit::Done);
        }
        let what = if found.is_some() {
            "it says something else"
        } else {
            "it is not there"
        };
        let failure = Failure::new(
            Exit::Check,
            format!("find in `{path}` what cache.yaml says: {what}"),
        );
        return Err(failure.help(format!("`nanna-cache export --write {name}` writes it")));
    }
    if let Some(name) = &args.write {
        let path = loaded.base.join(name);
        let written = file::write(path.as_std_path(), text.as_bytes(), 0o644)
            .map_err(|error| Failure::of(&error))?;
        let word = if written == Written::Changed {
            "wrote"
        } else {
            "unchanged:"
        };
        context.output.note(&format!("{word} {path}\n"));
        return Ok(Exit::Done);
    }
    context.output.result(&text)?;
    Ok(Exit::Done)
}
