//! A stand-in for the Cachix service, to try the tool without an account. **It is not Cachix.**
//!
//! ```text
//! cargo run --example cachix-stand-in -- --name my-team
//! ```
//!
//! It prints its address, a token, a public key and what to write into `cache.yaml`; listens on
//! 127.0.0.1 only; forgets everything when it ends (Ctrl-C). `docs/cachix-stand-in.md` says more.

#![allow(
    clippy::print_stdout,
    reason = "an example that speaks to a person at a terminal"
)]

#[path = "../tests/fake/cachix/mod.rs"]
mod cachix;

use cachix::{CacheSettings, Settings, StandIn};
use clap::Parser;

/// A stand-in for the Cachix service: for trying the tool without an account. It is not Cachix.
#[derive(Parser)]
#[command(name = "cachix-stand-in")]
struct Arguments {
    /// The port on 127.0.0.1; 0 for a free one.
    #[arg(long, default_value_t = 8765)]
    port: u16,
    /// The name of the cache that is there from the start.
    #[arg(long, default_value = "my-team")]
    name: String,
    /// Only those with the token may read the cache.
    #[arg(long)]
    private: bool,
    /// The clients sign, with a key that they register.
    #[arg(long)]
    self_signed: bool,
    /// No cache is there from the start: the tool makes it, with `create: true`.
    #[arg(long)]
    empty: bool,
    /// The token of the account; made up where it is not given.
    #[arg(long, env = "CACHIX_STAND_IN_TOKEN", hide_env_values = true)]
    token: Option<String>,
    /// Bytes that all files together may hold before the least used go.
    #[arg(long)]
    limit: Option<u64>,
}

fn settings(arguments: &Arguments) -> Settings {
    let mut cache = CacheSettings::new(&arguments.name);
    if arguments.private {
        cache = cache.private();
    }
    if arguments.self_signed {
        cache = cache.self_signed();
    }
    let settings = Settings {
        port: arguments.port,
        token: arguments.token.clone(),
        size_limit: arguments.limit,
        ..Settings::default()
    };
    if arguments.empty {
        settings
    } else {
        settings.cache(cache)
    }
}

fn introduce(standin: &StandIn, arguments: &Arguments) {
    let name = &arguments.name;
    println!("A stand-in for Cachix (it is not Cachix), on this machine only.\n");
    println!("  service     {}", standin.url());
    println!("  API         {}", standin.api());
    println!("  token       {}", standin.token());
    let mut keys = Vec::new();
    if !arguments.empty {
        let cache = standin.cache(name);
        keys = cache.public_keys();
        println!("  substituter {}", cache.url());
        let key = keys
            .first()
            .map_or("(none yet: register one)", String::as_str);
        println!("  public key  {key}");
    }
    println!("\ncache.yaml:\n");
    println!("version: 1\nproject: {name}\ncaches:\n  {name}:\n    type: cachix");
    println!("    api: {}", standin.api());
    println!("    url: {}/{name}", standin.url());
    println!("    insecure: true");
    if arguments.private {
        println!("    visibility: private");
    }
    if arguments.empty {
        println!("    create: true");
    }
    for (index, key) in keys.iter().enumerate() {
        if index == 0 {
            println!("    public-keys:");
        }
        println!("      - {key}");
    }
    println!("artifacts: {{ all: {{ priority: 10, default: true }} }}");
    println!("\nIn the terminal of the tool:\n");
    println!("  export CACHIX_AUTH_TOKEN={}\n", standin.token());
    println!(
        "Faults: POST {}/_stand-in/fault, for instance",
        standin.url()
    );
    println!(
        "  curl -d '{{\"path\": \"*\", \"times\": 1, \"kind\": \"too-many\", \"retry_after\": \"2\"}}' {}/_stand-in/fault",
        standin.url()
    );
    println!("\nCtrl-C ends it; nothing is kept.");
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments = Arguments::parse();
    let standin = StandIn::try_start(settings(&arguments))?;
    introduce(&standin, &arguments);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let mut end = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
        tokio::select! {
            result = tokio::signal::ctrl_c() => result,
            _ = end.recv() => Ok(()),
        }
    })?;
    drop(standin);
    println!("Ended.");
    Ok(())
}
