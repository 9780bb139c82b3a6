//! `schema`: the JSON Schemas of `cache.yaml` and of plans, and the description of the HTTP API.

use camino::Utf8Path;

use super::args::{Schema, SchemaOf};
use super::context::Context;
use super::error::Failure;
use crate::config::schema;
use crate::exit::Exit;
use crate::render::api::openapi;
use crate::render::json;
use crate::sys::file::{self, FileError, Written};

pub(super) fn run(context: &Context, args: &Schema) -> Result<Exit, Failure> {
    if let Some(folder) = &args.write {
        let folder = context.host.folder.join(folder);
        for (name, text) in [
            ("cache.schema.json", schema::text()),
            ("plan.schema.json", json::schema()),
            ("openapi.json", openapi::text()),
        ] {
            write(context, &folder, name, &text)?;
        }
        return Ok(Exit::Done);
    }
    let text = match args.of {
        SchemaOf::Config => schema::text(),
        SchemaOf::Plan => json::schema(),
        SchemaOf::Api => openapi::text(),
    };
    context.output.result(&text)?;
    Ok(Exit::Done)
}

fn write(context: &Context, folder: &Utf8Path, name: &str, text: &str) -> Result<(), Failure> {
    let path = folder.join(name);
    let written =
        file::write(path.as_std_path(), text.as_bytes(), 0o644).map_err(|error: FileError| {
            Failure::of(&error).help(format!("make the folder `{folder}` first"))
        })?;
    let word = if written == Written::Changed {
        "wrote"
    } else {
        "unchanged:"
    };
    context.output.note(&format!("{word} {path}\n"));
    Ok(())
}
