//! From the command line to the exit code.

use std::process::ExitCode;

use clap::Parser as _;
use clap::error::ErrorKind;

use super::args::{Cli, Command};
use super::context::Context;
use super::error::Failure;
use super::{
    advise, analytics, completions, doctor, explain, export, fetch, init, log, mark, phases, run,
    schema, serve, status, validate, verify, workflows,
};
use crate::exit::Exit;
use crate::sys::host::{Host, Masks, stderr_is_a_file};

/// Runs the program.
#[must_use]
pub fn main() -> ExitCode {
    match Cli::try_parse() {
        Ok(cli) => start(&cli).into(),
        Err(error) => {
            // Printing fails only where nobody reads.
            let _ = error.print();
            match error.kind() {
                ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => Exit::Done.into(),
                _ => Exit::Usage.into(),
            }
        }
    }
}

fn start(cli: &Cli) -> Exit {
    let mut host = match Host::capture() {
        Ok(host) => host,
        Err(error) => {
            let output = super::output::Output::new(&cli.global, &Host::made_up::<&str, &str>([]));
            output.failure(&Failure::of(&error));
            return Exit::Failed;
        }
    };
    log::start(&cli.global, &host);
    // What goes into a file is no log of the job: nothing would hide it there.
    if host.github().is_some() && !stderr_is_a_file() {
        host.masks = Masks::told_by(super::output::hide);
    }
    let context = Context::new(host, &cli.global);
    match dispatch(&cli.command, &context) {
        Ok(exit) => exit,
        Err(failure) => {
            context.output.failure(&failure);
            failure.exit
        }
    }
}

fn dispatch(command: &Command, context: &Context) -> Result<Exit, Failure> {
    if let Some(exit) = phases::run(context, command)? {
        return Ok(exit);
    }
    match command {
        Command::Validate(args) => validate::run(context, args),
        Command::Schema(args) => schema::run(context, args),
        Command::Export(args) => export::run(context, args),
        Command::Init(args) => init::run(context, args),
        Command::Mark(args) => mark::run(context, args),
        Command::Completions(args) => completions::run(context, args),
        Command::Doctor(args) => doctor::run(context, args),
        Command::Explain(args) => explain::run(context, args),
        Command::Fetch(args) => fetch::run(context, args),
        Command::Advise(args) => advise::run(context, args),
        Command::Analytics(args) => analytics::run(context, args),
        Command::Run(args) => run::run(context, args),
        Command::Serve(args) => serve::run(context, args),
        Command::Status(args) => status::run(context, args),
        Command::Verify(args) => verify::run(context, args),
        Command::Workflows(args) => workflows::run(context, args),
        Command::Reconcile(_)
        | Command::Setup(_)
        | Command::Push(_)
        | Command::Optimize(_)
        | Command::Prune(_)
        | Command::Adopt(_) => Err(Failure::new(Exit::Failed, "plan: nothing was meant")),
    }
}
