//! The size of the terminal.

/// Columns of the terminal that standard output leads to, or standard error; `None` without one.
#[must_use]
pub fn columns() -> Option<usize> {
    let asked = rustix::termios::tcgetwinsize(std::io::stdout())
        .or_else(|_| rustix::termios::tcgetwinsize(std::io::stderr()));
    asked
        .ok()
        .map(|size| usize::from(size.ws_col))
        .filter(|columns| *columns > 0)
}
