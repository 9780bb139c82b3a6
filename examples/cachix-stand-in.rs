//! A stand-in for the Cachix service, to try the tool without an account. **It is not Cachix.**
//!
//! ```text
//! cargo run --example cachix-stand-in -- --project /tmp/try-cachix
//! ```
//!
//! It prints its address, a token, a public key and what to write into `cache.yaml` (or writes it, with all
//! that is needed to try it, into the folder of `--project`); listens on 127.0.0.1 only; forgets everything when it ends (Ctrl-C). `docs/cachix-stand-in.md` says more.

#![allow(
    clippy::print_stdout,
    reason = "an example that speaks to a person at a terminal"
)]

#[path = "../tests/fake/cachix/mod.rs"]
mod cachix;

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

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
    /// A folder, made where it is not there, into which a project is written that uses the cache: `cache.yaml`,
    /// the token, and something to push. What of it is there is written anew.
    #[arg(long)]
    project: Option<PathBuf>,
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

/// The `cache.yaml` of a project that uses the cache; `token`: the setting that says where the token is.
fn cache_yaml(standin: &StandIn, arguments: &Arguments, token: &str) -> String {
    let name = &arguments.name;
    let mut text = format!(
        "version: 1\nproject: {name}\ncaches:\n  {name}:\n    type: cachix\n    api: {}\n    url: {}/{name}\n    \
         insecure: true\n{token}",
        standin.api(),
        standin.url()
    );
    if arguments.private {
        text.push_str("    visibility: private\n");
    }
    if arguments.empty {
        text.push_str("    create: true\n");
    }
    let keys = if arguments.empty {
        Vec::new()
    } else {
        standin.cache(name).public_keys()
    };
    if !keys.is_empty() {
        let line = format!("    public-keys: [{}]\n", keys.join(", "));
        text.push_str(&line);
    }
    text
}

/// Writes a project with two directories to push; its nix.conf is its own.
fn write_project(folder: &Path, standin: &StandIn, arguments: &Arguments) -> std::io::Result<()> {
    for (file, content) in [("greeting", "hello\n"), ("answer", "42\n")] {
        let directory = folder.join("models").join(file);
        std::fs::create_dir_all(&directory)?;
        std::fs::write(directory.join("content.txt"), content)?;
    }
    let token = folder.join("token");
    std::fs::write(&token, format!("{}\n", standin.token()))?;
    std::fs::set_permissions(&token, std::fs::Permissions::from_mode(0o600))?;
    let text = cache_yaml(standin, arguments, "    token: { file: token }\n")
        + "artifacts:\n  models: { priority: 80, directories: ['models/*'] }\n  \
           others: { priority: 10, default: true }\nsetup: { nix-conf: { dir: nix } }\n";
    std::fs::write(folder.join("cache.yaml"), text)
}

fn introduce(standin: &StandIn, arguments: &Arguments) {
    let name = &arguments.name;
    println!("A stand-in for Cachix (it is not Cachix), on this machine only.\n");
    println!("  service     {}", standin.url());
    println!("  API         {}", standin.api());
    println!("  token       {}", standin.token());
    if !arguments.empty {
        let cache = standin.cache(name);
        println!("  substituter {}", cache.url());
        let keys = cache.public_keys();
        let key = keys
            .first()
            .map_or("(none yet: register one)", String::as_str);
        println!("  public key  {key}");
    }
    if let Some(folder) = &arguments.project {
        let file = folder.join("cache.yaml");
        println!("\nIn another terminal:\n");
        println!(
            "  cargo run -- reconcile --apply --config {}\n",
            file.display()
        );
    } else {
        println!("\ncache.yaml:\n");
        print!("{}", cache_yaml(standin, arguments, ""));
        println!("artifacts: {{ all: {{ priority: 10, default: true }} }}");
        println!("\nIn the terminal of the tool:\n");
        println!("  export CACHIX_AUTH_TOKEN={}\n", standin.token());
    }
    let admin = format!("{}/_stand-in", standin.url());
    println!("Drift by hand, for instance:");
    println!("  curl -d '{{\"isPublic\": false}}' {admin}/cache/{name}");
    println!("Faults, for instance:");
    println!(
        "  curl -d '{{\"path\": \"*\", \"times\": 1, \"kind\": \"too-many\", \"retry_after\": \"2\"}}' {admin}/fault"
    );
    println!("\nCtrl-C ends it; nothing is kept.");
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments = Arguments::parse();
    let standin = StandIn::try_start(settings(&arguments))?;
    if let Some(folder) = &arguments.project {
        write_project(folder, &standin, &arguments)?;
    }
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
