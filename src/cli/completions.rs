//! `completions`: for bash, zsh, fish, elvish and PowerShell.

use clap::CommandFactory as _;

use super::args::{Cli, Completions};
use super::context::Context;
use super::error::Failure;
use crate::exit::Exit;

pub(super) fn run(context: &Context, args: &Completions) -> Result<Exit, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "nanna-cache", &mut script);
    context.output.result(&String::from_utf8_lossy(&script))?;
    Ok(Exit::Done)
}
