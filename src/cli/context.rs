//! What a command works on: the machine, `cache.yaml`, and where it stands.

use camino::{Utf8Path, Utf8PathBuf};

use super::args::Global;
use super::error::Failure;
use super::output::Output;
use crate::config;
use crate::config::model::Config;
use crate::config::problem::Problems;
use crate::exit::Exit;
use crate::nix::hash::Sha256;
use crate::render::problems;
use crate::render::units::size;
use crate::sys::file;
use crate::sys::host::Host;
use crate::text::yaml::MAX_BYTES;

/// The name that is looked for.
pub(super) const FILE: &str = "cache.yaml";

/// What a command works on.
#[derive(Clone)]
pub(super) struct Context {
    /// The machine.
    pub(super) host: Host,
    /// Where to print.
    pub(super) output: Output,
    /// `--config`.
    named: Option<Utf8PathBuf>,
}

/// A `cache.yaml` that was read.
pub(super) struct Source {
    /// Absolute path.
    pub(super) path: Utf8PathBuf,
    /// Its name in messages: relative to the current folder where that is shorter.
    pub(super) shown: String,
    /// Its bytes.
    pub(super) bytes: Vec<u8>,
}

/// A `cache.yaml` that is valid.
pub(super) struct Loaded {
    /// The configuration.
    pub(super) config: Config,
    /// SHA-256 of the file, in hex.
    pub(super) digest: String,
    /// The folder that it is in, absolute.
    pub(super) base: Utf8PathBuf,
}

impl Context {
    pub(super) fn new(host: Host, global: &Global) -> Self {
        let output = Output::new(global, &host);
        Self {
            host,
            output,
            named: global.config.clone(),
        }
    }

    /// Where a first `cache.yaml` goes: what `--config` names, or here.
    pub(super) fn target(&self) -> Utf8PathBuf {
        let named = self.named.as_deref().unwrap_or(Utf8Path::new(FILE));
        self.host.folder.join(named)
    }

    /// A path relative to the current folder, where it is in it.
    pub(super) fn shown<'p>(&self, path: &'p Utf8Path) -> &'p Utf8Path {
        path.strip_prefix(&self.host.folder).unwrap_or(path)
    }

    /// Finds `cache.yaml` and reads it.
    pub(super) fn source(&self) -> Result<Source, Failure> {
        let (path, bytes) = match &self.named {
            Some(named) => {
                let path = self.host.folder.join(named);
                let bytes = read(&path)?.ok_or_else(|| {
                    Failure::new(
                        Exit::Failed,
                        format!("read `{named}`: there is no such file"),
                    )
                })?;
                (path, bytes)
            }
            None => self.search()?,
        };
        let shown = self.shown(&path).to_string();
        Ok(Source { path, shown, bytes })
    }

    /// Whether there is a `cache.yaml`, or one is named.
    pub(super) fn has_source(&self) -> bool {
        let mut folders = self.host.folder.ancestors();
        self.named.is_some() || folders.any(|folder| folder.join(FILE).exists())
    }

    fn search(&self) -> Result<(Utf8PathBuf, Vec<u8>), Failure> {
        for folder in self.host.folder.ancestors() {
            let path = folder.join(FILE);
            if let Some(bytes) = read(&path)? {
                return Ok((path, bytes));
            }
        }
        let here = &self.host.folder;
        Err(Failure::new(
            Exit::Failed,
            format!("find `{FILE}` in `{here}` or a folder above it"),
        )
        .help("`nanna-cache init` writes a first one; --config FILE names another"))
    }

    /// Finds, reads and checks `cache.yaml`; says its problems, also mere warnings.
    pub(super) fn load(&self) -> Result<Loaded, Failure> {
        self.read(true, |found| self.say(found))
    }

    /// The same for a command that is run all day: mere warnings are left to the others.
    pub(super) fn load_quietly(&self) -> Result<Loaded, Failure> {
        self.read(false, |found| self.say(found))
    }

    /// The same, with somebody else who tells of its problems.
    pub(super) fn load_telling(&self, tell: impl Fn(&Problems)) -> Result<Loaded, Failure> {
        self.read(true, tell)
    }

    fn say(&self, found: &Problems) {
        self.output
            .must_say(&problems::text(found, self.output.messages()));
    }

    fn read(&self, with_warnings: bool, tell: impl Fn(&Problems)) -> Result<Loaded, Failure> {
        let source = self.source()?;
        let say = |found: &Problems| {
            if !found.is_empty() {
                tell(found);
            }
        };
        match config::read(&source.shown, &source.bytes) {
            Ok((config, warnings)) => {
                if with_warnings {
                    say(&warnings);
                }
                let digest = Sha256::of(&source.bytes).to_hex();
                let base = source.path.parent().unwrap_or(&self.host.folder).to_owned();
                Ok(Loaded {
                    config,
                    digest,
                    base,
                })
            }
            Err(found) => {
                say(&found);
                let text = match found.len() {
                    1 => format!("use `{}`", source.shown),
                    many => format!("use `{}`: it has {many} problems", source.shown),
                };
                Err(Failure::new(Exit::Invalid, text))
            }
        }
    }
}

/// The bytes of a file; what is a little too large is left to the reader of the configuration to say.
fn read(path: &Utf8Path) -> Result<Option<Vec<u8>>, Failure> {
    match file::read_if_there(path.as_std_path(), MAX_BYTES as u64 * 4) {
        Ok(bytes) => Ok(bytes),
        Err(file::FileError::TooLarge { .. }) => {
            let limit = size(MAX_BYTES as u64);
            let text = format!("use `{path}`: it has more than {limit}");
            Err(Failure::new(Exit::Invalid, text)
                .help("is this the right file? A cache.yaml has a few kilobytes"))
        }
        Err(_) if path.is_dir() => {
            let text = format!("use `{path}`: it is a folder");
            Err(Failure::new(Exit::Failed, text).help("--config names a file"))
        }
        Err(error) => Err(Failure::of(&error)),
    }
}
