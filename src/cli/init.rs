//! `init`: a first `cache.yaml` from what is here, never over an existing file.

use camino::Utf8Path;

use super::args::Init;
use super::context::{Context, FILE};
use super::error::Failure;
use crate::config::example::{self, Found};
use crate::exit::Exit;
use crate::nix::conf::{ConfFile, Content};
use crate::sys::file::{self, FileError};

/// Larger files are no nix.conf and no flake.
const LIMIT: u64 = 1 << 20;

pub(super) fn run(context: &Context, args: &Init) -> Result<Exit, Failure> {
    let text = example::text(&look(context));
    if args.print {
        context.output.result(&text)?;
        return Ok(Exit::Done);
    }
    let path = context.host.folder.join(FILE);
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
    context.output.note(&format!(
        "Wrote {path}.\nNext: look at it, then `nanna-cache reconcile` shows what it would do.\n"
    ));
    Ok(Exit::Done)
}

/// Whatever is here that a first `cache.yaml` can use; what cannot be read is not here.
fn look(context: &Context) -> Found {
    let host = &context.host;
    let read = |path: &Utf8Path| {
        file::read_if_there(path.as_std_path(), LIMIT)
            .ok()
            .flatten()
    };
    let system_conf =
        Utf8Path::new(host.filled("NIX_CONF_DIR").unwrap_or("/etc/nix")).join("nix.conf");
    let confs: Vec<ConfFile> = [system_conf, host.xdg_config().join("nix/nix.conf")]
        .iter()
        .filter_map(|path| read(path))
        .map(ConfFile::parse)
        .collect();
    let project = host.folder.file_name().unwrap_or_default().to_owned();
    let cache_folder = [
        format!(".cache/{project}/binary-cache"),
        format!(".cache/{project}"),
    ]
    .into_iter()
    .find(|folder| read(&host.home.join(folder).join("nix-cache-info")).is_some())
    .map(|folder| format!("~/{folder}"));
    Found {
        flake: read(&host.folder.join("flake.nix")).is_some(),
        packages: Vec::new(),
        dev_shell: false,
        system: Some(host.system.clone()),
        substituters: words(&confs, &["substituters", "extra-substituters"]),
        public_keys: words(
            &confs,
            &["trusted-public-keys", "extra-trusted-public-keys"],
        ),
        cache_folder,
        project,
    }
}

/// The words of these settings, each once, in the order of the files.
fn words(confs: &[ConfFile], names: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    for line in confs.iter().flat_map(ConfFile::lines) {
        if let Content::Assignment { name, words } = &line.content
            && names.contains(&name.as_str())
        {
            for word in words {
                if !found.contains(word) {
                    found.push(word.clone());
                }
            }
        }
    }
    found
}
