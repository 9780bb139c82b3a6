//! What several files say together.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{ConfFile, Content, MalformedLine};
use crate::nix::settings::{self, Info, Kind, ValueError};

/// Files inside files beyond this depth are taken for a circle.
const MAX_DEPTH: usize = 64;
/// More files than this are not read: a few lines could otherwise ask for millions.
const MAX_FILES: usize = 4096;

/// Something to load, in load order: later entries win over earlier ones.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entry {
    /// A file by its absolute path; skipped in silence when it is missing or cannot be read.
    File(String),
    /// Text without a place, as in the variable `NIX_CONFIG`; a relative `include` is fatal there.
    Text {
        /// What origins and problems call it.
        name: String,
        /// The text.
        text: String,
    },
}

/// What reading a file gave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FileRead {
    /// Its bytes.
    Bytes(Vec<u8>),
    /// There is no such file.
    Missing,
    /// It is there, but is a directory or must not be read. Nix ignores it in silence.
    Unreadable,
}

/// How a line changes a setting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Assignment {
    /// The value is replaced, all that was before is gone.
    Set,
    /// Words are appended (`extra-`).
    Append,
}

/// Where a value comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// The file, or the name of a text.
    pub file: Arc<str>,
    /// The line, from 1.
    pub line: usize,
    /// How it changes the setting.
    pub assignment: Assignment,
    /// The words on the line.
    pub words: Vec<String>,
}

/// A setting that some file mentions.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Setting {
    /// The value as words. Without any [`Assignment::Set`] these come after the default.
    pub value: Vec<String>,
    /// All lines that mention it, in load order, overridden ones included.
    pub assignments: Vec<Origin>,
}

impl Setting {
    /// Whether the default still counts: nothing but appending was done.
    #[must_use]
    pub fn keeps_default(&self) -> bool {
        self.assignments
            .iter()
            .all(|origin| origin.assignment == Assignment::Append)
    }

    /// The lines that make up the value: the last that sets it, and those that append after it.
    #[must_use]
    pub fn origins(&self) -> &[Origin] {
        let last_set = self
            .assignments
            .iter()
            .rposition(|origin| origin.assignment == Assignment::Set);
        self.assignments
            .get(last_set.unwrap_or(0)..)
            .unwrap_or_default()
    }
}

/// What is wrong at a line.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{file}:{line}: {kind}")]
pub struct Problem {
    /// The file, or the name of a text.
    pub file: Arc<str>,
    /// The line, from 1.
    pub line: usize,
    /// What is wrong.
    #[source]
    pub kind: ProblemKind,
}

/// The ways in which a line can be wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProblemKind {
    /// Fatal: a line outside the grammar.
    #[error(transparent)]
    Malformed(#[from] MalformedLine),
    /// Fatal: `include` of a file that does not exist.
    #[error("the included file `{0}` does not exist")]
    MissingInclude(String),
    /// Fatal: a relative `include` in a text without a place.
    #[error("the included file `{0}` is relative, but there is no file it could be relative to")]
    RelativeInclude(String),
    /// Fatal: files that include each other, or far too many. Kills Nix with a stack overflow.
    #[error("the included file `{0}` closes a circle")]
    Circle(String),
    /// Fatal: a value that its setting cannot have.
    #[error("`{name}`: {error}")]
    Value {
        /// The setting's main name.
        name: &'static str,
        /// What is wrong.
        error: ValueError,
    },
    /// A warning: no Nix that we know of has this setting; or `extra-` before one that has no
    /// list of words.
    #[error("no Nix knows the setting `{name}`")]
    Unknown {
        /// The name as written.
        name: String,
        /// The nearest name that exists.
        nearest: Option<&'static str>,
    },
}

/// The settings of all files together.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Effective {
    /// The settings that some file mentions, by main name.
    pub settings: BTreeMap<&'static str, Setting>,
    /// What Nix warns of.
    pub warnings: Vec<Problem>,
    /// What makes every Nix command fail.
    pub errors: Vec<Problem>,
    /// The files that were read, in the order of reading, includes too.
    pub files: Vec<Arc<str>>,
}

impl Effective {
    /// Loads `entries` in order; `read` brings the bytes of a file by its absolute path.
    ///
    /// Experimental features are not looked at: a setting that needs one that is off is taken
    /// as if it were on.
    pub fn load(entries: &[Entry], read: impl FnMut(&str) -> FileRead) -> Self {
        let mut loader = Loader {
            read,
            found: Self::default(),
            open: Vec::new(),
            budget: MAX_FILES,
        };
        for entry in entries {
            match entry {
                Entry::File(path) => {
                    if let FileRead::Bytes(bytes) = loader.read_file(path) {
                        loader.file(path, bytes);
                    }
                }
                Entry::Text { name, text } => {
                    loader.lines(
                        &Arc::from(name.as_str()),
                        None,
                        &ConfFile::parse(text.as_str()),
                    );
                }
            }
        }
        loader.found
    }

    /// The words of a setting, by main name or alias: what the files say, with the default where
    /// it counts. None when there is no such setting, or its default is not known to us.
    #[must_use]
    pub fn words(&self, name: &str) -> Option<Vec<String>> {
        let info = settings::find(name)?;
        let default = || {
            info.default.map(|text| {
                text.split_whitespace()
                    .map(str::to_owned)
                    .collect::<Vec<_>>()
            })
        };
        let Some(setting) = self.settings.get(info.name) else {
            return default();
        };
        if !setting.keeps_default() {
            return Some(setting.value.clone());
        }
        let mut words = default()?;
        append(info.kind, &mut words, &setting.value);
        Some(words)
    }
}

struct Loader<R> {
    read: R,
    found: Effective,
    /// The files being read, outermost first.
    open: Vec<String>,
    budget: usize,
}

impl<R: FnMut(&str) -> FileRead> Loader<R> {
    fn read_file(&mut self, path: &str) -> FileRead {
        (self.read)(path)
    }

    fn file(&mut self, path: &str, bytes: Vec<u8>) {
        let name: Arc<str> = path.into();
        self.found.files.push(Arc::clone(&name));
        self.open.push(path.to_owned());
        let directory = path.rsplit_once('/').map_or("", |(directory, _)| directory);
        self.lines(&name, Some(directory), &ConfFile::parse(bytes));
        self.open.pop();
    }

    fn lines(&mut self, file: &Arc<str>, directory: Option<&str>, conf: &ConfFile) {
        for (index, line) in conf.lines().iter().enumerate() {
            let at = |kind| Problem {
                file: Arc::clone(file),
                line: index + 1,
                kind,
            };
            match &line.content {
                Content::Nothing => {}
                Content::Malformed(reason) => self.found.errors.push(at((*reason).into())),
                Content::Include { file, required } => {
                    if let Err(kind) = self.include(file, *required, directory) {
                        self.found.errors.push(at(kind));
                    }
                }
                Content::Assignment { name, words } => {
                    let origin = |assignment| Origin {
                        file: Arc::clone(file),
                        line: index + 1,
                        assignment,
                        words: words.clone(),
                    };
                    self.assign(name, origin, &at);
                }
            }
        }
    }

    fn include(
        &mut self,
        file: &str,
        required: bool,
        directory: Option<&str>,
    ) -> Result<(), ProblemKind> {
        let path = match (file.starts_with('/'), directory) {
            (true, _) => shortest(file),
            (false, Some(directory)) => shortest(&format!("{directory}/{file}")),
            (false, None) => return Err(ProblemKind::RelativeInclude(file.to_owned())),
        };
        let circle = self.open.contains(&path) || self.open.len() >= MAX_DEPTH;
        if circle || self.budget == 0 {
            return Err(ProblemKind::Circle(path));
        }
        self.budget -= 1;
        match self.read_file(&path) {
            FileRead::Bytes(bytes) => self.file(&path, bytes),
            FileRead::Missing if required => return Err(ProblemKind::MissingInclude(path)),
            FileRead::Missing | FileRead::Unreadable => {}
        }
        Ok(())
    }

    fn assign(
        &mut self,
        name: &str,
        origin: impl Fn(Assignment) -> Origin,
        at: &impl Fn(ProblemKind) -> Problem,
    ) {
        let Some((info, assignment)) = target(name) else {
            let nearest = settings::nearest(name);
            let unknown = ProblemKind::Unknown {
                name: name.to_owned(),
                nearest,
            };
            self.found.warnings.push(at(unknown));
            return;
        };
        let origin = origin(assignment);
        if let Err(error) = info.kind.check(&origin.words) {
            self.found.errors.push(at(ProblemKind::Value {
                name: info.name,
                error,
            }));
        }
        let setting = self.found.settings.entry(info.name).or_default();
        if assignment == Assignment::Set {
            setting.value.clear();
        }
        append(info.kind, &mut setting.value, &origin.words);
        setting.assignments.push(origin);
    }
}

/// The setting that a name on a line means, and how.
fn target(name: &str) -> Option<(&'static Info, Assignment)> {
    // A setting whose own name begins with `extra-` is found first.
    if let Some(info) = settings::find(name) {
        return Some((info, Assignment::Set));
    }
    let info = settings::find(name.strip_prefix("extra-")?)?;
    info.kind.can_append().then_some((info, Assignment::Append))
}

/// Adds words to a value by the rules of its kind.
fn append(kind: Kind, value: &mut Vec<String>, words: &[String]) {
    value.extend_from_slice(words);
    match kind {
        Kind::Set => {
            value.sort_unstable();
            value.dedup();
        }
        Kind::Map => {
            let pairs: BTreeMap<String, String> = value
                .iter()
                .filter_map(|word| word.split_once('='))
                .map(|(key, value)| (key.to_owned(), value.to_owned()))
                .collect();
            *value = pairs
                .into_iter()
                .map(|(key, value)| format!("{key}={value}"))
                .collect();
        }
        _ => {}
    }
}

/// An absolute path without `.`, `..` and repeated slashes, by its text alone.
fn shortest(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    format!("/{}", parts.join("/"))
}
