//! The only printer. Results go to standard output, everything else to standard error.
//!
//! Colour and width are decided once, here. A reader that goes away (`| head`) ends the output
//! quietly; it is no failure.

use std::io::{self, Write as _};

use super::args::{Color, Global};
use super::error::Failure;
use crate::render::layout::safe;
use crate::render::style::{Palette, Role};
use crate::render::text::Layout;
use crate::sys::host::Host;
use crate::sys::terminal;

/// Where and how to print.
#[derive(Clone, Copy, Debug)]
pub(super) struct Output {
    results: Layout,
    messages: Layout,
    /// Whether only errors are said on standard error.
    quiet: bool,
    /// Whether more than usual is said on standard error.
    verbose: bool,
}

impl Output {
    /// Decides on colour and width.
    pub(super) fn new(global: &Global, host: &Host) -> Self {
        let palette = |terminal: bool| {
            if is_coloured(global.color, host, terminal) {
                Palette::COLOUR
            } else {
                Palette::PLAIN
            }
        };
        let width = |is_terminal: bool| {
            let told = host
                .filled("COLUMNS")
                .and_then(|columns| columns.parse().ok());
            told.or_else(|| {
                if is_terminal {
                    terminal::columns()
                } else {
                    None
                }
            })
        };
        let terminals = host.terminals;
        Self {
            results: Layout::new(width(terminals.stdout), palette(terminals.stdout)),
            messages: Layout::new(width(terminals.stderr), palette(terminals.stderr)),
            quiet: global.quiet,
            verbose: global.verbose > 0,
        }
    }

    /// How results are laid out.
    pub(super) const fn results(self) -> Layout {
        self.results
    }

    /// How messages are laid out.
    pub(super) const fn messages(self) -> Layout {
        self.messages
    }

    /// Whether messages may have colours.
    pub(super) fn has_colours(self) -> bool {
        self.messages.palette() != Palette::PLAIN
    }

    /// Whether more than usual is said on standard error.
    pub(super) const fn is_verbose(self) -> bool {
        self.verbose
    }

    /// Whether only errors are said on standard error.
    pub(super) const fn is_quiet(self) -> bool {
        self.quiet
    }

    /// Prints a result.
    #[expect(
        clippy::unused_self,
        reason = "printing is for those who were given an output"
    )]
    pub(super) fn result(self, text: &str) -> Result<(), Failure> {
        let mut stdout = io::stdout().lock();
        match stdout
            .write_all(text.as_bytes())
            .and_then(|()| stdout.flush())
        {
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(Failure::new(
                crate::exit::Exit::Failed,
                format!("write to standard output: {error}"),
            )),
            _ => Ok(()),
        }
    }

    /// Says something that is no result, unless `--quiet`.
    pub(super) fn note(self, text: &str) {
        if !self.quiet {
            say(text);
        }
    }

    /// Says something that must be seen.
    #[expect(
        clippy::unused_self,
        reason = "printing is for those who were given an output"
    )]
    pub(super) fn must_say(self, text: &str) {
        say(text);
    }

    /// Says what failed.
    pub(super) fn failure(self, failure: &Failure) {
        let palette = self.messages.palette();
        let head = palette.paint(Role::Refusal, "error:");
        let mut text = format!("{head} failed to {}\n", safe(&failure.text));
        if let Some(help) = &failure.help {
            let head = palette.paint(Role::Advice, " help:");
            text.extend([
                head.to_string(),
                " ".to_owned(),
                safe(help),
                "\n".to_owned(),
            ]);
        }
        say(&text);
    }
}

/// Tells GitHub to hide a secret in the log of the job: the one place where a secret is ever written, and
/// the runner takes the line away. On standard error, because results go to files.
pub(super) fn hide(line: &str) {
    say(&format!("::add-mask::{}\n", line.replace('%', "%25")));
}

/// Standard error may be closed; there is nobody left to tell.
fn say(text: &str) {
    let mut stderr = io::stderr().lock();
    let _ = stderr
        .write_all(text.as_bytes())
        .and_then(|()| stderr.flush());
}

/// The usual conventions: the flag, `NO_COLOR`, `CLICOLOR_FORCE`, a terminal that is not dumb.
fn is_coloured(color: Color, host: &Host, is_terminal: bool) -> bool {
    match color {
        Color::Always => true,
        Color::Never => false,
        Color::Auto => {
            if host.filled("NO_COLOR").is_some() {
                false
            } else if host
                .filled("CLICOLOR_FORCE")
                .is_some_and(|value| value != "0")
            {
                true
            } else {
                is_terminal && host.var("TERM") != Some("dumb")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colour_follows_the_conventions() {
        let host = |variables: &[(&str, &str)]| Host::made_up(variables.iter().copied());
        assert!(is_coloured(Color::Auto, &host(&[]), true));
        assert!(!is_coloured(Color::Auto, &host(&[]), false));
        assert!(!is_coloured(Color::Auto, &host(&[("NO_COLOR", "1")]), true));
        assert!(is_coloured(Color::Auto, &host(&[("NO_COLOR", "")]), true));
        assert!(is_coloured(
            Color::Auto,
            &host(&[("CLICOLOR_FORCE", "1")]),
            false
        ));
        assert!(!is_coloured(Color::Auto, &host(&[("TERM", "dumb")]), true));
        assert!(is_coloured(
            Color::Always,
            &host(&[("NO_COLOR", "1")]),
            false
        ));
        assert!(!is_coloured(
            Color::Never,
            &host(&[("CLICOLOR_FORCE", "1")]),
            true
        ));
    }
}
