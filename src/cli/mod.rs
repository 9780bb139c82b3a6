//! One file per command.

/// Runs the program.
#[must_use]
pub fn main() -> std::process::ExitCode {
    crate::exit::Exit::Done.into()
}
