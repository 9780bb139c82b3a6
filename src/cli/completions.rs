//! `completions`: for bash, zsh, fish, elvish and PowerShell.

use clap::CommandFactory as _;

use super::args::{Cli, Completions};
use super::context::Context;
use super::error::Failure;
use crate::exit::Exit;

pub(super) fn run(context: &Context, args: &Completions) -> Result<Exit, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "nanna-cache", &mut script);
    // The generator takes the hyphen of our name for a subcommand in one half of its bash script, and
    // not in the other, so nothing is completed after the first word.
    let script = String::from_utf8_lossy(&script).replace("nanna__subcmd__cache", "nanna__cache");
    context.output.result(&script)?;
    Ok(Exit::Done)
}
