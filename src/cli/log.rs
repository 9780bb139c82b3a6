//! The log: warnings on standard error, more with `-v`, nothing with `-q`.

use tracing_subscriber::EnvFilter;

use super::args::Global;
use crate::sys::host::Host;

/// Starts the log. `NANNA_CACHE_LOG` overrules the flags.
pub(super) fn start(global: &Global, host: &Host) {
    let level = match (global.quiet, global.verbose) {
        (true, _) => "error",
        (false, 0) => "warn",
        (false, 1) => "nanna_cache=info,warn",
        (false, _) => "nanna_cache=debug,info",
    };
    let filter = EnvFilter::new(host.filled("NANNA_CACHE_LOG").unwrap_or(level));
    // A second start (in tests) is not an error.
    let _ = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(false)
        .without_time()
        .with_target(false)
        .try_init();
}
