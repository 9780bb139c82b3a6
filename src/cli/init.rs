//! `init`: a first `cache.yaml` from what is here, never over an existing file.

use camino::Utf8Path;

use super::args::Init;
use super::context::{Context, FILE};
use super::error::Failure;
use crate::config::example::{self, Found};
use crate::engine::machine::{Machine, Options, sentence};
use crate::engine::observe::settings;
use crate::exit::Exit;
use crate::sys::file::{self, FileError};

/// Larger files are no nix.conf and no flake.
const LIMIT: u64 = 1 << 20;

pub(super) fn run(context: &Context, args: &Init) -> Result<Exit, Failure> {
    let path = context.target();
    let base = path.parent().unwrap_or(&context.host.folder);
    let (found, unread) = look(context, base);
    let text = example::text(&found);
    if let Some(why) = unread {
        context.output.note(&format!(
            "The outputs of the flake could not be read, so none stands in the file: {why}\n"
        ));
    }
    if args.print {
        context.output.result(&text)?;
        return Ok(Exit::Done);
    }
    let exists = match file::read_if_there(path.as_std_path(), LIMIT) {
        Ok(bytes) => bytes.is_some(),
        Err(FileError::TooLarge { .. }) => true,
        Err(error) => return Err(Failure::of(&error)),
    };
    if exists {
        return Err(Failure::new(
            Exit::Failed,
            format!("write `{path}`: there is one already"),
        )
        .help("--print shows what a first one would look like"));
    }
    file::write(path.as_std_path(), text.as_bytes(), 0o644).map_err(|error| Failure::of(&error))?;
    let named = match path.file_name() {
        Some(FILE) if base == context.host.folder => String::new(),
        _ => format!(" --config {}", context.shown(&path)),
    };
    context.output.note(&format!(
        "Wrote {path}.\nNext: look at it, then `nanna-cache reconcile{named}` shows what it would do.\n"
    ));
    Ok(Exit::Done)
}

/// Whatever is here that a first `cache.yaml` can use; what cannot be read is not here. And why the outputs
/// of the flake are not, if so.
fn look(context: &Context, base: &Utf8Path) -> (Found, Option<String>) {
    let host = &context.host;
    let read = |path: &Utf8Path| {
        file::read_if_there(path.as_std_path(), LIMIT)
            .ok()
            .flatten()
    };
    let machine = Machine::new(host.clone(), Options::default());
    let settings = settings(&machine);
    let words = |name: &str| -> Option<Vec<String>> {
        let value = &settings.present()?.settings.get(name)?.value;
        Some(value.split_whitespace().map(str::to_owned).collect())
    };
    let has_flake = read(&base.join("flake.nix")).is_some();
    let mut unread = None;
    let mut names = |set: String| -> Vec<String> {
        let nix = machine.nix.as_ref().ok().and_then(Option::as_ref);
        let Some(nix) = nix.filter(|_| has_flake) else {
            return Vec::new();
        };
        nix.attribute_names(&set, base).unwrap_or_else(|error| {
            unread.get_or_insert_with(|| sentence(&error));
            Vec::new()
        })
    };
    let packages = names(format!("packages.{}", host.system));
    let dev_shell = names(format!("devShells.{}", host.system)).contains(&"default".to_owned());
    let project = base.file_name().unwrap_or_default().to_owned();
    let cache_folder = [
        format!(".cache/{project}/binary-cache"),
        format!(".cache/{project}"),
    ]
    .into_iter()
    .find(|folder| read(&host.home.join(folder).join("nix-cache-info")).is_some())
    .map(|folder| format!("~/{folder}"));
    let found = Found {
        flake: has_flake,
        packages,
        dev_shell,
        system: Some(host.system.clone()),
        substituters: words("substituters"),
        public_keys: words("trusted-public-keys").unwrap_or_default(),
        cache_folder,
        project,
    };
    (found, unread)
}
