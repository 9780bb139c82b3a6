//! Consent: one question, one answer that counts.

use std::io;

use super::output::Output;
use crate::render::style::Role;
use crate::render::units::things;

/// Asks on the terminal; only `yes` is a yes.
pub(super) fn ask(output: Output, changes: u64) -> bool {
    let question = format!("\nApply {}? Only `yes` is accepted: ", these(changes));
    output.must_say(
        &output
            .messages()
            .palette()
            .paint(Role::Title, question)
            .to_string(),
    );
    let mut answer = String::new();
    match io::stdin().read_line(&mut answer) {
        Ok(_) => is_yes(&answer),
        Err(_) => false,
    }
}

fn these(changes: u64) -> String {
    if changes == 1 {
        "this 1 change".to_owned()
    } else {
        format!("these {}", things(changes, "change"))
    }
}

fn is_yes(answer: &str) -> bool {
    answer.trim_end_matches(['\n', '\r']) == "yes"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_yes_is_a_yes() {
        assert!(is_yes("yes\n") && is_yes("yes\r\n"));
        for no in ["", "\n", "y\n", "YES\n", "yes please\n", " yes\n"] {
            assert!(!is_yes(no), "{no:?}");
        }
        assert_eq!(these(1), "this 1 change");
        assert_eq!(these(1204), "these 1,204 changes");
    }
}
