//! `run`: a command of Nix's, shown while it works, and recorded.

use std::io::Write as _;

use camino::Utf8Path;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::args::Run as Arguments;
use super::context::Context;
use super::error::Failure;
use super::phases::desired;
use super::signals;
use crate::engine::machine::{Machine, Options};
use crate::engine::origin::origin;
use crate::engine::record::{About, public, record};
use crate::exit::Exit;
use crate::insight::run::{Outcome, Run};
use crate::ledger::{Ledger, file};
use crate::nix::log::{Log, Said, without_colours};
use crate::plan::desired::Extra;
use crate::plan::time::Time;
use crate::provider::nix_cli::{Ended, LOGS, Show, Unwatchable, Watched};
use crate::render::run as render;
use crate::render::units::elapsed;
use crate::sys::file::{read_if_there, write};

/// In a log, a build that took less than this is not told when it ends.
const WORTH_A_LINE: u64 = 1_000;
/// On a terminal, the lines are drawn again after this many milliseconds.
const FRAME: u64 = 100;
/// The signal that interrupts.
const INTERRUPT: i32 = 2;
/// The signal that terminates.
const TERMINATE: i32 = 15;

pub(super) fn run(context: &Context, args: &Arguments) -> Result<Exit, Failure> {
    let loaded = context.load_quietly()?;
    let base = loaded.base.clone();
    let watched = Watched::new(&context.host, &args.command).map_err(|why| refused(&why))?;
    let options = Options {
        store: store_of(&args.command),
        ..Options::default()
    };
    let start = Time(context.host.now());
    let mut display = Display::new(context, &args.command);
    let ended = watched
        .run(&signals::count(), &mut |at, log, show| {
            display.show(at, log, show);
        })
        .map_err(|error| Failure::of(&error))?;
    display.end();
    let about = About {
        what: what(&args.command),
        start,
        millis: Some(ended.millis),
        outcome: outcome(&ended),
        origin: origin(&context.host, &base),
        evaluate: !args.no_evaluate,
    };
    let machine = Machine::new(context.host.clone(), options);
    let (desired, _) = desired(loaded, &machine, Extra::default());
    let run = record(&desired, &machine, &ended.facts, about);
    context
        .output
        .note(&format!("nanna-cache: {}", render::sum(&run)));
    // The command is what matters: a record that cannot be kept does not make it fail.
    if let Err(failure) = keep(context, args, &run) {
        context.output.failure(&failure);
    }
    Ok(Exit::OfCommand(ended.code))
}

fn refused(why: &Unwatchable) -> Failure {
    let failure = Failure::new(Exit::Usage, format!("run: {why}"));
    match why {
        Unwatchable::Nothing => failure.help("nanna-cache run -- nix build .#app"),
        Unwatchable::Foreign(_) => {
            failure.help("run `nix …`, `nix-build`, `nix-shell` or `nix-store`; of others nothing would be known")
        }
        Unwatchable::Missing(_) => failure.help("install Nix, or name the program with its path"),
        Unwatchable::Format(_) => failure.help("leave it out: the log is read here, and shown"),
    }
}

/// The store that the command names with `--store`.
fn store_of(words: &[String]) -> Option<String> {
    let own: Vec<&String> = words.iter().take_while(|word| *word != "--").collect();
    let at = own.iter().position(|word| *word == "--store")?;
    own.get(at + 1).map(|store| (*store).clone())
}

/// The command in a few words, without anything that could be secret: the program, what it is to do, and what with.
fn what(words: &[String]) -> String {
    let mut shown = Vec::new();
    for (at, word) in words.iter().take_while(|word| *word != "--").enumerate() {
        let is_installable = word.contains('#') || word == "." || word.starts_with("./");
        match at {
            0 => shown.push(word.rsplit('/').next().unwrap_or(word).to_owned()),
            1 if !word.starts_with('-') => shown.push(public_word(word)),
            _ if is_installable && !word.starts_with('-') => shown.push(public_word(word)),
            _ => {}
        }
    }
    shown.join(" ")
}

fn public_word(word: &str) -> String {
    let (place, attribute) = word.split_once('#').unwrap_or((word, ""));
    let place = if place.contains("://") || place.contains('?') {
        public(place)
    } else {
        place.to_owned()
    };
    if attribute.is_empty() {
        place
    } else {
        format!("{place}#{attribute}")
    }
}

fn outcome(ended: &Ended) -> Outcome {
    match (ended.code, ended.signal) {
        (0, _) => Outcome::Done,
        (130 | 143, _) | (_, Some(INTERRUPT | TERMINATE)) => Outcome::Interrupted,
        _ => Outcome::Failed,
    }
}

/// Adds the record to the ledger, and to the file of `--record`.
fn keep(context: &Context, args: &Arguments, run: &Run) -> Result<(), Failure> {
    let line = run.to_line();
    if let Some(path) = &args.record {
        let path = context.host.folder.join(path);
        append(&path, &line)?;
    }
    let mut ledger =
        Ledger::open(&context.host.state_folder()).map_err(|error| Failure::of(&error))?;
    ledger
        .add([line.as_str()])
        .map_err(|error| Failure::of(&error))?;
    Ok(())
}

/// Adds a record to a file of records, packed where its name ends in `.zst`; the file is whole at any time.
fn append(path: &Utf8Path, line: &str) -> Result<(), Failure> {
    let of = |error: String| Failure::new(Exit::Failed, format!("add to `{path}`: {error}"));
    let bytes =
        read_if_there(path.as_std_path(), file::LARGEST).map_err(|error| Failure::of(&error))?;
    let mut lines = match bytes {
        Some(bytes) => file::unpack(&bytes).map_err(of)?,
        None => String::new(),
    };
    if !lines.is_empty() && !lines.ends_with('\n') {
        lines.push('\n');
    }
    lines.push_str(line);
    lines.push('\n');
    let bytes = match path.extension() {
        Some("zst") => file::pack(&lines),
        _ => lines.into_bytes(),
    };
    write(path.as_std_path(), &bytes, 0o644).map_err(|error| Failure::of(&error))?;
    Ok(())
}

/// Shows what Nix does: lines that move on a terminal, few lines in a log.
struct Display<'c> {
    context: &'c Context,
    bar: Option<ProgressBar>,
    /// Whether the logs of builds are wanted.
    logs: bool,
    /// When the lines are drawn again, in milliseconds since the start.
    next: u64,
    /// Builds whose end was told.
    told: usize,
    /// Builds whose failure was told.
    failed: Vec<String>,
}

impl<'c> Display<'c> {
    fn new(context: &'c Context, words: &[String]) -> Self {
        let is_terminal = context.host.terminals.stderr && !context.output.is_quiet();
        let bar = is_terminal.then(|| {
            let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
            if let Ok(style) = ProgressStyle::with_template("{msg}") {
                bar.set_style(style);
            }
            bar
        });
        let own: Vec<&String> = words.iter().take_while(|word| *word != "--").collect();
        let has = |flag: &str| own.iter().any(|word| *word == flag);
        // What `nix-build` shows, it shows here.
        let is_old = own.first().is_some_and(|word| word.ends_with("nix-build"));
        let quiet = has("-Q") || has("--no-build-output");
        Self {
            context,
            bar,
            logs: LOGS.iter().any(|flag| has(flag)) || (is_old && !quiet),
            next: 0,
            told: 0,
            failed: Vec::new(),
        }
    }

    fn print(&self, bytes: &[u8]) {
        let work = || {
            let mut out = std::io::stderr().lock();
            // Nobody reads any more: the command goes on.
            let _ = out.write_all(bytes).and_then(|()| out.flush());
        };
        match &self.bar {
            Some(bar) => bar.suspend(work),
            None => work(),
        }
    }

    fn show(&mut self, at: u64, log: &Log, show: Option<Show>) {
        let facts = log.facts();
        match show {
            Some(Show::Part(bytes)) => self.print(&bytes),
            Some(Show::Said(Said::Plain(line))) => self.print(format!("{line}\n").as_bytes()),
            Some(Show::Said(Said::Message(level, text))) => {
                if level < 2 || (level < 4 && self.context.output.is_verbose()) {
                    let text = text.trim_end();
                    let text = if self.context.output.has_colours() {
                        text.to_owned()
                    } else {
                        without_colours(text)
                    };
                    self.print(format!("{text}\n").as_bytes());
                }
                self.failures(log);
            }
            Some(Show::Said(Said::BuildLine(number, line))) if self.logs => {
                let name = render::name(&facts.builds[number].drv);
                self.print(format!("{name}> {line}\n").as_bytes());
            }
            Some(Show::Said(Said::BuildLine(..))) | None => {}
        }
        match &self.bar {
            // A busy Nix tells thousands of things a second; nobody reads so fast.
            Some(bar) if at >= self.next => {
                bar.set_message(render::at_work(facts, at).join("\n"));
                bar.tick();
                self.next = at + FRAME;
            }
            Some(_) => {}
            None => self.sparse(log),
        }
    }

    /// The last words of builds that have just failed.
    fn failures(&mut self, log: &Log) {
        for build in &log.facts().builds {
            if build.failed && !self.failed.contains(&build.drv) {
                self.failed.push(build.drv.clone());
                if !self.logs {
                    self.print(render::tail(build).as_bytes());
                }
            }
        }
    }

    /// In a log: what was built, when it took some time.
    fn sparse(&mut self, log: &Log) {
        let facts = log.facts();
        while let Some(build) = facts.builds.get(self.told) {
            let Some(end) = build.ended else {
                break;
            };
            let millis = end.saturating_sub(build.began);
            if !build.failed && millis >= WORTH_A_LINE {
                let name = render::name(&build.drv);
                let line = format!(
                    "built {name} in {}  ({})\n",
                    elapsed(millis),
                    render::progress(facts)
                );
                self.context.output.note(&line);
            }
            self.told += 1;
        }
    }

    fn end(self) {
        if let Some(bar) = self.bar {
            bar.finish_and_clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_recorded_without_its_secrets() {
        let of = |line: &str| {
            let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
            what(&words)
        };
        assert_eq!(
            of("/usr/bin/nix build .#app --option access-tokens github.com=ghp_x"),
            "nix build .#app"
        );
        assert_eq!(
            of("nix run git+https://me:pw@h.example/x?token=y#app -- --password z"),
            "nix run git+https://h.example/x#app"
        );
        assert_eq!(
            of("nix-build ./release.nix -A app"),
            "nix-build ./release.nix"
        );
        assert_eq!(of("nix --option netrc-file /x build"), "nix");
    }

    #[test]
    fn the_store_is_the_one_of_the_command() {
        let words = ["nix", "build", "--store", "/tmp/s", ".#x"].map(str::to_owned);
        assert_eq!(store_of(&words).as_deref(), Some("/tmp/s"));
        let words = ["nix", "run", ".#x", "--", "--store", "y"].map(str::to_owned);
        assert_eq!(store_of(&words), None);
    }
}
