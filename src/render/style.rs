//! The palette: the only file that names colours.
//!
//! Colour repeats what a symbol or a word says already; without it nothing is lost. A plain
//! palette writes no escape sequence at all.

use std::fmt;

use anstyle::{AnsiColor, Style};

/// What a piece of text is, and so how it looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// A title.
    Title,
    /// Something that comes.
    Create,
    /// Something that changes.
    Change,
    /// Something that goes.
    Delete,
    /// Work that leaves nothing behind that counts: builds, fetches, renewals.
    Work,
    /// Something unknown.
    Unknown,
    /// Something that a person must do.
    Advice,
    /// Something refused or failed.
    Refusal,
    /// What only matters at a second look.
    Faint,
    /// Success.
    Good,
}

/// Whether roles become colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Palette {
    colour: bool,
}

impl Palette {
    /// Nothing but text.
    pub const PLAIN: Self = Self { colour: false };
    /// ANSI colours, from the sixteen that every terminal lets its user choose.
    pub const COLOUR: Self = Self { colour: true };

    /// Whether it colours.
    #[must_use]
    pub const fn is_coloured(self) -> bool {
        self.colour
    }

    /// `text` in the look of `role`.
    pub fn paint<T: fmt::Display>(self, role: Role, text: T) -> Painted<T> {
        Painted {
            style: if self.colour {
                style(role)
            } else {
                Style::new()
            },
            text,
        }
    }
}

fn style(role: Role) -> Style {
    let colour = |colour: AnsiColor| Style::new().fg_color(Some(colour.into()));
    match role {
        Role::Title => Style::new().bold(),
        Role::Create | Role::Good => colour(AnsiColor::Green),
        Role::Change => colour(AnsiColor::Yellow),
        Role::Delete => colour(AnsiColor::Red),
        Role::Work => colour(AnsiColor::Cyan),
        Role::Unknown => colour(AnsiColor::Magenta).bold(),
        Role::Advice => colour(AnsiColor::Yellow).bold(),
        Role::Refusal => colour(AnsiColor::Red).bold(),
        Role::Faint => Style::new().dimmed(),
    }
}

/// Text with its look; prints without escapes if there is none.
#[derive(Clone, Copy, Debug)]
pub struct Painted<T> {
    style: Style,
    text: T,
}

impl<T: fmt::Display> fmt::Display for Painted<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Width and precision would count escapes; callers pad the text before they paint it.
        write!(
            f,
            "{}{}{}",
            self.style.render(),
            self.text,
            self.style.render_reset()
        )
    }
}

/// The looks of the parts of a help text: headings, what is typed as it stands, and placeholders.
pub const HELP: (Style, Style, Style) = (
    Style::new().bold(),
    AnsiColor::Cyan.on_default(),
    AnsiColor::Green.on_default(),
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_writes_no_escape() {
        assert_eq!(Palette::PLAIN.paint(Role::Refusal, "x").to_string(), "x");
        assert_eq!(
            Palette::COLOUR.paint(Role::Create, "+").to_string(),
            "\u{1b}[32m+\u{1b}[0m"
        );
    }
}
