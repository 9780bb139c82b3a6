//! The watchman is watched: each rule is shown a snippet that breaks it and one that does not.

use super::source::Source;
use super::{circles, rules};

fn broken(file: &str, text: &str) -> Vec<String> {
    rules::check(&[Source::parse(file, text)])
}

#[track_caller]
fn breaks(file: &str, text: &str, wanted: &str) {
    let found = broken(file, text);
    assert!(
        found.iter().any(|each| each.contains(wanted)),
        "{file}: {text}: {found:?}"
    );
}

#[track_caller]
fn holds(file: &str, text: &str) {
    assert_eq!(broken(file, text), Vec::<String>::new(), "{file}: {text}");
}

#[test]
fn a_layer_above_is_named_with_its_line() {
    let found = broken(
        "plan/push.rs",
        "//! Docs.\n\nuse crate::engine::apply::Apply;\n",
    );
    assert_eq!(found, ["src/plan/push.rs:3: `plan` may not use `engine`"]);
}

#[test]
fn every_way_to_name_a_layer_counts() {
    breaks(
        "text/yaml.rs",
        "use crate::{nix::hash, config::model};",
        "`config`",
    );
    breaks(
        "nix/hash.rs",
        "fn f() -> crate::plan::Step { todo!() }",
        "`plan`",
    );
    breaks("nix/hash.rs", "use super::super::sys::file;", "`sys`");
    breaks(
        "nix/hash.rs",
        "mod inner { use super::super::super::sys::file; }",
        "`sys`",
    );
    breaks("render/text.rs", "use nanna_cache::provider;", "`provider`");
    breaks("sys/file.rs", "pub use crate::text::lines as l;", "`text`");
    breaks("engine/apply.rs", "use crate::cli::args::Args;", "`cli`");
    breaks("engine/apply.rs", "use crate::render::view;", "`render`");
    breaks(
        "plan/push.rs",
        "use crate::config::raw::File;",
        "`config::raw`",
    );
    breaks(
        "render/text.rs",
        "use crate::config::validate::check;",
        "`config::validate`",
    );
    breaks("stray/mod.rs", "", "no layer");
}

#[test]
fn what_the_table_allows_passes() {
    holds(
        "plan/push.rs",
        "use crate::{config::model::Config, nix::hash::Hash};",
    );
    holds("nix/hash.rs", "use super::base32;\nuse crate::text::lines;");
    holds("nix/mod.rs", "pub mod hash; pub use self::hash::Hash;");
    holds(
        "cli/plan.rs",
        "use crate::{engine, exit::Exit, provider::nix_cli, render};",
    );
    holds(
        "engine/apply.rs",
        "use crate::provider::{binary_cache, nix_conf};",
    );
    holds("main.rs", "fn main() { nanna_cache::cli::main(); }");
}

#[test]
fn what_a_type_captures_is_no_import() {
    let captures = "fn f<'a>(x: &'a str) -> impl Iterator<Item = u8> + use<'a> { a(); b() }\n";
    holds("plan/a.rs", captures);
    breaks(
        "plan/a.rs",
        &format!("{captures}use crate::engine;"),
        "`engine`",
    );
    // Neither is broken text, and it is read to its end.
    holds("plan/a.rs", "use a::{b; c };\nuse x::{y");
}

#[test]
fn comments_strings_and_unit_tests_do_not_count() {
    holds(
        "plan/a.rs",
        "// use crate::engine;\n/* use crate::cli; /* nested */ std::fs::read */\nfn f() {}",
    );
    holds(
        "plan/a.rs",
        r###"const A: &str = "use crate::engine; \" std::fs::read"; const B: &str = r##"std::env::var"# "##;"###,
    );
    holds(
        "plan/a.rs",
        "const C: char = '\"'; const D: u8 = b'\\''; fn f<'a>(x: &'a str) {}\n",
    );
    holds(
        "plan/a.rs",
        "#[cfg(test)]\nmod tests { use crate::engine; fn f() { std::fs::read(\"x\"); } }",
    );
    holds("plan/a.rs", "#[cfg(test)] use std::fs;\nfn f() {}");
    holds(
        "plan/a.rs",
        "#[cfg(all(test, unix))]\n#[expect(x, reason = \"y\")]\nmod t { use std::fs; }",
    );
    breaks("plan/a.rs", "#[cfg(not(test))] use std::fs;", "pure");
    breaks(
        "plan/a.rs",
        "#[cfg(test)]\nmod tests { fn f() { if a { b } } }\nuse crate::engine;",
        "`engine`",
    );
    breaks(
        "plan/a.rs",
        "const C: char = '\"'; use crate::engine;",
        "`engine`",
    );
    breaks(
        "plan/a.rs",
        "fn f<'a>(x: &'a str) { crate::engine::run() }",
        "`engine`",
    );
    breaks(
        "plan/a.rs",
        "const A: &[u8] = br#\"x\"#; use crate::engine;",
        "`engine`",
    );
}

#[test]
fn pure_layers_touch_no_machine() {
    for layer in ["text", "nix", "config", "plan"] {
        let file = format!("{layer}/a.rs");
        for text in [
            "use std::fs;",
            "use std::{collections::BTreeMap, fs::File};",
            "fn f() { std::env::var(\"A\"); }",
            "use std::net::TcpStream;",
            "use std::process::Command;",
            "use std::time::{Duration, SystemTime};",
            "fn f() { let t = std::time::Instant::now(); }",
            "use tokio::sync::Mutex;",
            "fn f() { reqwest::get(\"\"); }",
            "use object_store::ObjectStore;",
            "use rusqlite::Row;",
        ] {
            breaks(&file, text, "pure");
        }
        holds(
            &file,
            "use std::{collections::BTreeMap, time::Duration, io::Read};",
        );
    }
    holds("sys/file.rs", "use std::{fs, env, process::Command};");
}

#[test]
fn names_with_one_room_stay_there() {
    breaks(
        "config/load.rs",
        "use serde_yaml::Value;",
        "only `text` reads",
    );
    holds("text/yaml.rs", "use serde_yaml::Value;");
    breaks(
        "engine/mod.rs",
        "#[derive(clap::Parser)] struct A;",
        "command line",
    );
    breaks(
        "provider/cachix/client.rs",
        "fn f() { reqwest::Client::new(); }",
        "HTTP client",
    );
    breaks(
        "provider/cachix/client.rs",
        "use reqwest::Client; fn f() { Client::builder(); }",
        "HTTP client",
    );
    holds(
        "sys/http.rs",
        "use reqwest::Client; fn f() { Client::builder(); }",
    );
    breaks(
        "engine/a.rs",
        "use reqwest::Client as C; fn f() { C::new(); }",
        "HTTP client",
    );
    holds(
        "provider/cachix/a.rs",
        "use super::Client; fn f() { Client::new(); }",
    );
    breaks(
        "provider/nix_store/observe.rs",
        "fn f() { rusqlite::Connection::open(p); }",
        "opens SQLite",
    );
    breaks("sys/http.rs", "fn f() { jiff::Timestamp::now(); }", "clock");
    breaks(
        "engine/apply.rs",
        "use jiff::Zoned; fn f() { Zoned::now(); }",
        "clock",
    );
    holds("sys/clock.rs", "fn f() { jiff::Timestamp::now(); }");
    breaks("cli/plan.rs", "fn f() { println!(\"x\"); }", "prints");
    breaks(
        "render/text.rs",
        "use std::io; fn f() { io::stdout(); }",
        "prints",
    );
    breaks(
        "render/text.rs",
        "use std::io::stdout; fn f() { stdout(); }",
        "prints",
    );
    holds("cli/output.rs", "fn f() { std::io::stdout(); println!(); }");
    breaks(
        "cli/mod.rs",
        "fn f() { std::process::exit(1); }",
        "returning",
    );
    breaks(
        "provider/cachix/a.rs",
        "use object_store::path::Path;",
        "one provider",
    );
    holds(
        "provider/binary_cache/object_store.rs",
        "use object_store::path::Path;",
    );
}

#[test]
fn providers_do_not_know_each_other() {
    let check = |file: &str, text: &str| {
        let folders = ["nix_cli", "binary_cache", "nix_conf"];
        let mut sources: Vec<Source> = folders
            .iter()
            .map(|folder| Source::parse(&format!("provider/{folder}/mod.rs"), ""))
            .collect();
        sources.push(Source::parse("provider/shared.rs", ""));
        sources.push(Source::parse(file, text));
        rules::check(&sources)
    };
    for (file, text, other) in [
        (
            "provider/nix_conf/observe.rs",
            "use crate::provider::nix_cli::settings;",
            "`nix_cli`",
        ),
        (
            "provider/nix_conf/observe.rs",
            "use super::super::nix_cli::settings;",
            "`nix_cli`",
        ),
        (
            "provider/nix_conf/mod.rs",
            "use super::binary_cache;",
            "`binary_cache`",
        ),
    ] {
        let found = check(file, text);
        assert!(
            found.len() == 1 && found[0].contains(other),
            "{text}: {found:?}"
        );
    }
    for (file, text) in [
        (
            "provider/mod.rs",
            "pub mod nix_cli; use self::nix_cli::Nix;",
        ),
        (
            "provider/nix_conf/apply.rs",
            "use super::observe; use crate::provider::{Observe, shared::Limit};",
        ),
    ] {
        assert_eq!(check(file, text), Vec::<String>::new(), "{text}");
    }
}

#[test]
fn circles_are_found_and_folders_are_none() {
    let parse = |files: &[(&str, &str)]| -> Vec<Source> {
        files
            .iter()
            .map(|(file, text)| Source::parse(file, text))
            .collect()
    };
    let circle = parse(&[
        ("plan/a.rs", "use super::b::B;"),
        ("plan/b.rs", "use crate::plan::c::C;"),
        ("plan/c.rs", "fn f() { crate::plan::a::f() }"),
        ("plan/d.rs", "use super::a::A;"),
    ]);
    assert_eq!(
        circles::check(&circle),
        ["circle of imports: plan::a → plan::b → plan::c"]
    );
    let folder = parse(&[
        (
            "plan/mod.rs",
            "pub mod a; pub use a::A; pub use self::b::B; pub struct Shared;",
        ),
        ("plan/a.rs", "use super::Shared; use super::b::B;"),
        ("plan/b.rs", "use crate::plan::Shared;"),
    ]);
    assert_eq!(circles::check(&folder), Vec::<String>::new());
    let across = parse(&[
        ("text/a.rs", "use crate::nix::b;"),
        ("nix/b.rs", "use crate::text::a;"),
    ]);
    assert_eq!(circles::check(&across).len(), 1);
}
