//! Building, and fetching from the caches without building.

use std::collections::BTreeMap;

use camino::Utf8Path;
use serde_json::Value;

use super::installable::{qualify, shown};
use super::run::{Nix, NixError, line_for_people, succeeded};
use crate::nix::store_path::{StoreDir, StorePath};

/// Paths of one command line; a command line has about two megabytes.
const BATCH: usize = 2_000;

/// What an installable has become.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Built {
    /// Its derivation; `None` for a path that was named as such.
    pub drv: Option<StorePath>,
    /// Its paths by name of the output.
    pub outputs: BTreeMap<String, StorePath>,
}

/// What building once more gave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rebuilt {
    /// The same bytes.
    Same,
    /// Something else, in one output at least.
    Different,
}

impl Built {
    /// Reads the answer of `nix build --json`.
    pub(super) fn read_all(what: &str, text: &str, dir: &StoreDir) -> Result<Vec<Self>, NixError> {
        let odd = |message: String| NixError::Answer {
            what: what.to_owned(),
            message,
        };
        let value: Value = serde_json::from_str(text).map_err(|error| odd(error.to_string()))?;
        let list = value
            .as_array()
            .ok_or_else(|| odd("not a list".to_owned()))?;
        let parse = |text: &str| {
            // Newer versions may leave the directory out.
            let parsed = if text.contains('/') {
                dir.parse(text)
            } else {
                text.parse()
            };
            parsed.map_err(|error| odd(format!("`{text}`: {error}")))
        };
        list.iter()
            .map(|entry| {
                let plain = entry
                    .as_str()
                    .or_else(|| entry.get("path").and_then(Value::as_str));
                if let Some(path) = plain {
                    let outputs = BTreeMap::from([("out".to_owned(), parse(path)?)]);
                    return Ok(Self { drv: None, outputs });
                }
                let drv = entry
                    .get("drvPath")
                    .and_then(Value::as_str)
                    .map(parse)
                    .transpose()?;
                let mut outputs = BTreeMap::new();
                for (name, path) in entry
                    .get("outputs")
                    .and_then(Value::as_object)
                    .into_iter()
                    .flatten()
                {
                    // Not known before a build: null.
                    if let Some(path) = path.as_str() {
                        outputs.insert(name.clone(), parse(path)?);
                    }
                }
                Ok(Self { drv, outputs })
            })
            .collect()
    }
}

impl Nix {
    /// Builds installables (see [`Nix::evaluate`] for `flake` and `base`), whatever that takes, and
    /// says what has been built, in an order of Nix's own choice. What fails keeps nothing else from being
    /// built. With `link`, result links of
    /// that name (then `link-1` and so on) keep it from the garbage collector. `on_line` gets the
    /// lines of the log.
    ///
    /// # Errors
    /// Something does not evaluate or build, or we were stopped.
    pub fn build(
        &self,
        installables: &[String],
        flake: &str,
        base: &Utf8Path,
        link: Option<&Utf8Path>,
        stopped: &dyn Fn() -> bool,
        on_line: &mut dyn FnMut(&str),
    ) -> Result<Vec<Built>, NixError> {
        let names: Vec<&str> = installables.iter().map(String::as_str).collect();
        let what = format!("build {}", shown(&names));
        let mut command = self
            .with_features(Some(base))
            .args(["build", "--json", "--no-write-lock-file", "--keep-going"])
            .args(["--log-format", "raw-with-logs"]);
        command = match link {
            Some(link) => command.args(["--out-link", link.as_str()]),
            None => command.arg("--no-link"),
        };
        let command = command.args(
            installables
                .iter()
                .map(|installable| qualify(installable, flake)),
        );
        let output = command.run(stopped, &mut |line| on_line(&line_for_people(line)))?;
        let text = succeeded(&what, output)?;
        let mut built = Built::read_all(&what, &text, self.dir())?;
        let mut seen = std::collections::HashSet::new();
        built.retain(|one| seen.insert(one.clone()));
        Ok(built)
    }

    /// Builds an output that is there once more, and lets Nix compare. What differs is kept beside the path,
    /// as `<path>.check`, as far as Nix may.
    ///
    /// # Errors
    /// It does not evaluate or build, is not there, or we were stopped.
    pub fn rebuild(
        &self,
        installable: &str,
        flake: &str,
        base: &Utf8Path,
        stopped: &dyn Fn() -> bool,
        on_line: &mut dyn FnMut(&str),
    ) -> Result<Rebuilt, NixError> {
        let what = format!("build {} again", shown(&[installable]));
        let command = self
            .with_features(Some(base))
            .args([
                "build",
                "--rebuild",
                "--keep-failed",
                "--no-link",
                "--no-write-lock-file",
            ])
            .args(["--log-format", "raw-with-logs"])
            .args([qualify(installable, flake)]);
        let output = command.run(stopped, &mut |line| on_line(&line_for_people(line)))?;
        // The words of all versions: "… may not be deterministic: output … differs".
        let said = output.stderr.contains("may not be deterministic");
        if !output.status.success() && said {
            return Ok(Rebuilt::Different);
        }
        succeeded(&what, output).map(|_| Rebuilt::Same)
    }

    /// Fetches paths from the caches of this machine, and never builds anything: no local job,
    /// no remote builder. Paths that are valid already are left alone.
    ///
    /// # Errors
    /// A path is in no cache, or we were stopped; the others have been fetched all the same.
    pub fn substitute(
        &self,
        paths: &[StorePath],
        stopped: &dyn Fn() -> bool,
        on_line: &mut dyn FnMut(&str),
    ) -> Result<(), NixError> {
        let mut first = Ok(());
        for part in paths.chunks(BATCH) {
            let names: Vec<&str> = part.iter().map(StorePath::name).collect();
            let what = format!("fetch {}", shown(&names));
            let command = self
                .with_features(None)
                .args(["build", "--no-link", "--keep-going", "--max-jobs", "0"])
                .args(["--option", "builders", "", "--option", "fallback", "false"])
                .args(["--log-format", "raw"])
                .args(part.iter().map(|path| self.dir().display(path).to_string()));
            let output = command.run(stopped, &mut |line| on_line(&line_for_people(line)))?;
            first = first.and(succeeded(&what, output).map(drop));
        }
        first
    }
}
