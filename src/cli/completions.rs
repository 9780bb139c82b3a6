//! `completions`: for bash, zsh, fish, elvish and PowerShell.

use clap::{CommandFactory as _, ValueEnum as _};
use clap_complete::Shell;

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
    // It leaves out, for fish, values before the first command, and those that stand alone.
    let script = match args.shell {
        Shell::Fish => {
            let shells: Vec<String> = Shell::value_variants()
                .iter()
                .map(ToString::to_string)
                .collect();
            format!(
                "{script}complete -c nanna-cache -l color -x -a \"auto always never\"\n\
                 complete -c nanna-cache -n \"__fish_nanna_cache_using_subcommand completions\" -f -a \"{}\"\n",
                shells.join(" ")
            )
        }
        _ => script,
    };
    context.output.result(&script)?;
    Ok(Exit::Done)
}
