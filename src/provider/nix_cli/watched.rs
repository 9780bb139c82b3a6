//! A command of Nix's that somebody typed, watched by its own log.

use std::time::Instant;

use camino::Utf8PathBuf;

use super::run::NixError;
use crate::nix::log::{Facts, Log, Said};
use crate::sys::command::{Asked, Command};
use crate::sys::host::Host;

/// The programs that know `--log-format`.
pub const PROGRAMS: [&str; 5] = [
    "nix",
    "nix-build",
    "nix-shell",
    "nix-store",
    "nix-instantiate",
];

/// The flags by which a person asks for the logs of builds.
pub const LOGS: [&str; 2] = ["-L", "--print-build-logs"];

/// A command that can be watched.
#[derive(Clone, Debug)]
pub struct Watched {
    command: Command,
}

/// Why a command cannot be watched.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unwatchable {
    /// Nothing was named.
    #[error("there is no command")]
    Nothing,
    /// It is no program of Nix.
    #[error("`{0}` is no program of Nix that tells what it does")]
    Foreign(String),
    /// It is not on `PATH`.
    #[error("there is no `{0}` on PATH")]
    Missing(String),
    /// It was told to log in another way.
    #[error("`{0}` decides how Nix logs")]
    Format(String),
}

/// How a watched command ended.
#[derive(Clone, Debug)]
pub struct Ended {
    /// Its exit code, as a shell tells it: 128 and the signal's number where one ended it.
    pub code: u8,
    /// The signal that ended it.
    pub signal: Option<i32>,
    /// How long it took, in milliseconds.
    pub millis: u64,
    /// What it did.
    pub facts: Facts,
}

impl Watched {
    /// The command with these words, the program first, as the user of `host` would run it.
    ///
    /// # Errors
    /// See [`Unwatchable`].
    pub fn new(host: &Host, words: &[String]) -> Result<Self, Unwatchable> {
        let Some((program, arguments)) = words.split_first() else {
            return Err(Unwatchable::Nothing);
        };
        let name = program.rsplit('/').next().unwrap_or(program);
        if !PROGRAMS.contains(&name) {
            return Err(Unwatchable::Foreign(program.clone()));
        }
        // What follows `--` is for the program that Nix runs.
        let own = arguments.iter().take_while(|word| *word != "--");
        if let Some(word) = own
            .into_iter()
            .find(|word| word.starts_with("--log-format"))
        {
            return Err(Unwatchable::Format(word.clone()));
        }
        let path = if program.contains('/') {
            Some(Utf8PathBuf::from(program))
        } else {
            host.program(program)
        };
        let path = path.ok_or_else(|| Unwatchable::Missing(program.clone()))?;
        // Which chooses another format of the log, and whose wish the caller of this fulfils.
        let mut is_own = true;
        let passed = arguments.iter().filter(|word| {
            is_own &= *word != "--";
            !(is_own && LOGS.contains(&word.as_str()))
        });
        let command = Command::new(path)
            .environment(host.variables())
            .args(["--log-format", "internal-json"])
            .args(passed.cloned());
        Ok(Self { command })
    }

    /// Runs it to its end. `show` gets the log with each thing that is to be shown at once, and now and then with
    /// nothing. What is no line yet of another program's output is shown as it comes, so that somebody can be asked.
    ///
    /// # Errors
    /// It cannot be started, or not be waited for.
    pub fn run(
        &self,
        asked: &dyn Fn() -> Asked,
        show: &mut dyn FnMut(u64, &Log, Option<Show>),
    ) -> Result<Ended, NixError> {
        let began = Instant::now();
        let now = || u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
        let mut log = Log::default();
        let mut lines = Lines::default();
        let status = self.command.attached(asked, &mut |bytes| {
            let at = now();
            lines.take(bytes, &mut |piece| {
                let said = match piece {
                    Piece::Line(line) => log.take(at, line).map(Show::Said),
                    Piece::Part(part) => Some(Show::Part(part.to_vec())),
                };
                if said.is_some() {
                    show(at, &log, said);
                }
            });
            show(at, &log, None);
        })?;
        lines.end(&mut |piece| {
            if let Piece::Line(line) = piece
                && let Some(said) = log.take(now(), line)
            {
                show(now(), &log, Some(Show::Said(said)));
            }
        });
        let signal = std::os::unix::process::ExitStatusExt::signal(&status);
        let code = status.code().or_else(|| signal.map(|signal| 128 + signal));
        Ok(Ended {
            code: code.and_then(|code| u8::try_from(code).ok()).unwrap_or(1),
            signal,
            millis: now(),
            facts: log.end(),
        })
    }
}

/// What is to be shown at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Show {
    /// Something whole.
    Said(Said),
    /// A part of a line of another program, such as a question; as it came.
    Part(Vec<u8>),
}

/// What comes out of [`Lines`].
enum Piece<'a> {
    /// A line without its end.
    Line(&'a str),
    /// A part of a line that is no event; its end comes as another part.
    Part(&'a [u8]),
}

/// Puts lines together, and lets through at once what cannot become an event.
#[derive(Debug, Default)]
struct Lines {
    held: Vec<u8>,
    /// The beginning of the line was shown already.
    shown: bool,
}

impl Lines {
    const EVENT: &[u8] = b"@nix ";

    fn take(&mut self, bytes: &[u8], each: &mut dyn FnMut(Piece<'_>)) {
        for part in bytes.split_inclusive(|byte| *byte == b'\n') {
            if self.shown {
                each(Piece::Part(part));
                self.shown = !part.ends_with(b"\n");
                continue;
            }
            self.held.extend_from_slice(part);
            if self.held.ends_with(b"\n") {
                self.held.pop();
                each(Piece::Line(&String::from_utf8_lossy(&self.held)));
                self.held.clear();
            } else {
                let compared = self.held.len().min(Self::EVENT.len());
                if self.held[..compared] != Self::EVENT[..compared] {
                    each(Piece::Part(&self.held));
                    self.held.clear();
                    self.shown = true;
                }
            }
        }
    }

    fn end(&mut self, each: &mut dyn FnMut(Piece<'_>)) {
        if !self.held.is_empty() {
            each(Piece::Line(&String::from_utf8_lossy(&self.held)));
            self.held.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pieces(parts: &[&str]) -> Vec<String> {
        let mut lines = Lines::default();
        let mut out = Vec::new();
        let mut each = |piece: Piece<'_>| {
            out.push(match piece {
                Piece::Line(line) => format!("line {line}"),
                Piece::Part(part) => format!("part {}", String::from_utf8_lossy(part)),
            });
        };
        for part in parts {
            lines.take(part.as_bytes(), &mut each);
        }
        lines.end(&mut each);
        out
    }

    #[test]
    fn events_are_whole_and_questions_are_not_held_back() {
        let got = pieces(&["@n", "ix {\"a\"", ":1}\nsure? ", "yes\n@nix {}\n", "end"]);
        assert_eq!(
            got,
            [
                "line @nix {\"a\":1}",
                "part sure? ",
                "part yes\n",
                "line @nix {}",
                "part end"
            ]
        );
    }

    #[test]
    fn only_what_tells_what_it_does_can_be_watched() {
        let host = Host::made_up([("PATH", "/nowhere")]);
        let of = |words: &[&str]| {
            let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
            Watched::new(&host, &words).err()
        };
        assert_eq!(of(&[]), Some(Unwatchable::Nothing));
        assert_eq!(of(&["make"]), Some(Unwatchable::Foreign("make".into())));
        assert_eq!(
            of(&["nix", "build"]),
            Some(Unwatchable::Missing("nix".into()))
        );
        let format = of(&["/bin/nix", "build", "--log-format=raw"]);
        assert_eq!(format, Some(Unwatchable::Format("--log-format=raw".into())));
        assert_eq!(
            of(&["/bin/nix", "run", ".#x", "--", "--log-format", "raw"]),
            None
        );
    }
}
