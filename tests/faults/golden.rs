//! What of an output is a message, in a form that does not change from run to run.

use std::fmt::Write as _;

use crate::support::bed::Output;

/// Compares what was said with what is kept for this fault. `what` tells several moments of a test apart.
#[track_caller]
pub(crate) fn golden(name: &str, moments: &[(&str, &Output)]) {
    let mut text = String::new();
    for (moment, said) in moments {
        writeln!(text, "$ {moment}: exit {}", said.code.unwrap_or(-1)).unwrap();
        for message in messages(said) {
            writeln!(text, "{}", steady(&message)).unwrap();
        }
        text.push('\n');
    }
    insta::with_settings!(
        { snapshot_path => "../snapshots/faults", prepend_module_to_snapshot => false, omit_expression => true },
        { insta::assert_snapshot!(name, text.trim_end()) }
    );
}

/// All words of an output in one line, however they were wrapped.
pub(crate) fn words(said: &Output) -> String {
    let all = format!("{} {}", said.stdout, said.stderr);
    let words: Vec<&str> = all.split_whitespace().filter(|word| *word != "┃").collect();
    words.join(" ")
}

/// What is in the box of a plan, what steps failed and why, errors, and the last line; each in one line.
fn messages(said: &Output) -> Vec<String> {
    let mut messages: Vec<String> = Vec::new();
    // Whether further lines belong to the last message.
    let mut goes_on = false;
    for line in said.stdout.lines().chain(said.stderr.lines()) {
        let text = line.trim_start_matches('┃').trim();
        let is_boxed = line.starts_with('┃');
        let starts = if is_boxed {
            ["? ", "! ", "x "].iter().any(|sign| text.starts_with(sign))
        } else {
            let is_step = line.starts_with("  x ") || line.starts_with("  ! ");
            is_step
                || line.starts_with("error:")
                || line.starts_with(" help:")
                || line.starts_with("failed")
        };
        let is_more = if is_boxed {
            line.starts_with("┃   ")
        } else {
            line.starts_with("      ")
        };
        if starts {
            messages.push(text.to_owned());
            goes_on = true;
        } else if goes_on && is_more {
            let last = messages.last_mut().unwrap();
            last.push(' ');
            last.push_str(text);
        } else {
            goes_on = false;
        }
    }
    let sum = said.stdout.trim_end().rsplit("\n\n").next();
    messages.extend(sum.map(|sum| {
        let words: Vec<&str> = sum.split_whitespace().collect();
        // How many requests a look took depends on how many were tried again.
        let sentences = words.join(" ");
        let sentences = sentences.split_inclusive(". ");
        sentences
            .filter(|sentence| !sentence.starts_with("Looked at "))
            .collect()
    }));
    // What follows from the kind of cache, not from the fault.
    messages.retain(|message| !message.contains("retention and priority do not act there"));
    messages.dedup();
    messages
}

/// Without what changes from run to run: ports, hashes, times, sizes.
fn steady(message: &str) -> String {
    let mut words: Vec<String> = Vec::new();
    for word in message.split_whitespace() {
        let mut word = word.to_owned();
        for host in ["127.0.0.1:", "localhost:"] {
            if let Some((before, rest)) = word.clone().split_once(host) {
                let rest = rest.trim_start_matches(|c: char| c.is_ascii_digit());
                word = format!("{before}HOST{rest}");
            }
        }
        if let Some((before, rest)) = word.clone().split_once("/tmp/") {
            let rest = rest.split_once('/').map_or("", |(_, rest)| rest);
            word = format!("{before}FOLDER/{rest}");
        }
        let is_digit =
            |c: char| c.is_ascii_digit() || (c.is_ascii_lowercase() && !"eotu".contains(c));
        let parts: Vec<String> = word
            .split_inclusive(|c: char| !is_digit(c))
            .map(|part| {
                let hash = part.trim_end_matches(|c: char| !is_digit(c));
                if hash.len() >= 20 {
                    part.replace(hash, "HASH")
                } else {
                    part.to_owned()
                }
            })
            .collect();
        let word = parts.concat();
        // Whether there was a second try is a matter of chance, as is which of several paths fails first.
        let word = match word.split_once("HASH-") {
            Some((before, rest)) => {
                let is_name = |c: char| c.is_ascii_alphanumeric() || "-._+".contains(c);
                format!("{before}HASH-NAME{}", rest.trim_start_matches(is_name))
            }
            None => word,
        };
        if let Some(rest) = word.strip_prefix("tries)")
            && let Some(last) = words.pop()
        {
            if !last.starts_with('(') {
                words.push(last);
            }
            if let Some(before) = words.last_mut() {
                before.push_str(rest);
            }
            continue;
        }
        let is_number = word.chars().all(|c| c.is_ascii_digit() || c == '.') && word.contains('.');
        words.push(if is_number { "N".to_owned() } else { word });
    }
    words.join(" ")
}
