//! The help of every command, as it stands.

use std::fmt::Write as _;

use clap::CommandFactory as _;
use nanna_cache::cli::args::Cli;

#[test]
fn every_command_has_help() {
    let mut command = Cli::command().term_width(100);
    command.build();
    let mut names = vec![String::new()];
    names.extend(
        command
            .get_subcommands()
            .map(|command| command.get_name().to_owned()),
    );
    let mut all = String::new();
    for name in names {
        let one = if name.is_empty() {
            Some(&mut command)
        } else {
            command.find_subcommand_mut(&name)
        };
        let one = one.expect("it was just listed");
        assert!(
            one.get_about().is_some(),
            "{name} does not say what it does"
        );
        assert!(one.get_after_help().is_some(), "{name} has no example");
        for argument in one.get_arguments() {
            let id = argument.get_id();
            assert!(argument.get_help().is_some(), "{name} --{id} has no help");
        }
        let _ = writeln!(
            all,
            "$ nanna-cache {name} --help\n{}",
            one.clone().render_long_help()
        );
    }
    insta::assert_snapshot!(all);
}

#[test]
fn the_definition_is_sound() {
    Cli::command().debug_assert();
}
