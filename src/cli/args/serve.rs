//! The arguments of `serve`.

use std::net::SocketAddr;

use camino::Utf8PathBuf;
use clap::Args;

use super::reconcile::span;
use crate::config::units::Span;

pub(super) const EXAMPLES: &str = "Examples:
  nanna-cache serve                                     the page, on http://127.0.0.1:7862
  nanna-cache serve --token-env NANNA_TOKEN             whoever has the token may apply, too
  nanna-cache serve --listen 10.0.0.5:7862 --token-file /run/secrets/nanna";

/// `serve`.
#[derive(Debug, Args)]
pub struct Serve {
    /// The address to listen on; beyond loopback only with a token, which is then needed for reading, too
    #[arg(long, value_name = "IP:PORT", default_value = "127.0.0.1:7862")]
    pub listen: SocketAddr,
    /// The environment variable that holds the token; without one, nothing can be applied
    #[arg(long, value_name = "NAME", conflicts_with = "token_file")]
    pub token_env: Option<String>,
    /// The file that holds the token
    #[arg(long, value_name = "FILE")]
    pub token_file: Option<Utf8PathBuf>,
    /// A name, besides `localhost` and addresses, by which clients may call the server
    #[arg(long, value_name = "NAME")]
    pub host: Vec<String>,
    /// For how long a look is good enough for the next who asks
    #[arg(long, value_name = "DURATION", default_value = "15s", value_parser = span)]
    pub fresh: Span,
    /// Another Nix store than that of this machine
    #[arg(long, value_name = "STORE")]
    pub store: Option<String>,
}
