//! The grammar row by row, files together, and the edit.

use std::collections::BTreeMap;

use super::*;
use crate::nix::settings::ValueError;
use proptest::prelude::*;

fn only(text: &str) -> Content {
    let file = ConfFile::parse(text);
    assert_eq!(file.lines().len(), 1, "{text:?}");
    file.lines()[0].content.clone()
}

fn assignment(name: &str, words: &[&str]) -> Content {
    Content::Assignment {
        name: name.to_owned(),
        words: words.iter().map(|&word| word.to_owned()).collect(),
    }
}

fn load(files: &[(&str, &str)], entries: &[Entry]) -> Effective {
    let files: BTreeMap<&str, &str> = files.iter().copied().collect();
    Effective::load(entries, |path| match files.get(path) {
        Some(&"(unreadable)") => FileRead::Unreadable,
        Some(text) => FileRead::Bytes(text.as_bytes().to_vec()),
        None => FileRead::Missing,
    })
}

/// What one file `/etc/nix/nix.conf` beside `others` says.
fn etc(text: &str, others: &[(&str, &str)]) -> Effective {
    let files: Vec<_> = others
        .iter()
        .copied()
        .chain([("/etc/nix/nix.conf", text)])
        .collect();
    load(&files, &[Entry::File("/etc/nix/nix.conf".to_owned())])
}

fn value(effective: &Effective, name: &str) -> String {
    effective
        .settings
        .get(name)
        .map(|setting| setting.value.join(" "))
        .unwrap_or_default()
}

fn errors(text: &str) -> Vec<(usize, ProblemKind)> {
    etc(text, &[])
        .errors
        .into_iter()
        .map(|problem| (problem.line, problem.kind))
        .collect()
}

#[test]
fn lines_are_read_as_nix_reads_them() {
    assert_eq!(only("cores = 4\n"), assignment("cores", &["4"]));
    assert_eq!(only("\t cores\t=  4 \r\n"), assignment("cores", &["4"]));
    assert_eq!(
        only("substituters = https://a#frag"),
        assignment("substituters", &["https://a"])
    );
    assert_eq!(only("substituters ="), assignment("substituters", &[]));
    assert_eq!(
        only("a = \"b c\" \\"),
        assignment("a", &["\"b", "c\"", "\\"])
    );
    assert_eq!(only("  # cores = 4"), Content::Nothing);
    assert_eq!(only("\r\n"), Content::Nothing);
    assert_eq!(only("cores=4"), Content::Malformed(MalformedLine::OneWord));
    assert_eq!(
        only("cores # = 4"),
        Content::Malformed(MalformedLine::OneWord)
    );
    assert_eq!(
        only("cores 4 ="),
        Content::Malformed(MalformedLine::NoEquals)
    );
    assert_eq!(
        only("cores =4"),
        Content::Malformed(MalformedLine::NoEquals)
    );
    assert_eq!(only("include"), Content::Malformed(MalformedLine::OneWord));
    assert_eq!(
        only("include a b"),
        Content::Malformed(MalformedLine::Include)
    );
    let include = |file: &str, required| Content::Include {
        file: file.to_owned(),
        required,
    };
    assert_eq!(only("include \"a\""), include("\"a\"", true));
    assert_eq!(only("!include ~/x # y"), include("~/x", false));
    // `include = x` has three words, so it is no assignment either.
    assert_eq!(
        only("include = x"),
        Content::Malformed(MalformedLine::Include)
    );
    assert_eq!(
        only("\u{feff}cores = 4"),
        assignment("\u{feff}cores", &["4"])
    );
}

#[test]
fn values_and_syntax_are_checked() {
    let integer = |value: &str| ProblemKind::Value {
        name: "cores",
        error: ValueError::Integer(value.to_owned()),
    };
    assert_eq!(
        errors("cores = 4 5\nbuild-cores = -1"),
        [(1, integer("4 5")), (2, integer("-1"))]
    );
    let continued = errors("substituters = a \\\n  b\n");
    assert_eq!(continued, [(2, MalformedLine::OneWord.into())]);
    assert_eq!(
        errors("include none\n"),
        [(1, ProblemKind::MissingInclude("/etc/nix/none".to_owned()))]
    );
}

#[test]
fn unknown_names_are_warnings() {
    let effective = etc(
        "foo-bar = 1\nextra-cores = 2\nsubstituter = x\n\u{feff}cores = 1",
        &[],
    );
    assert!(effective.errors.is_empty() && effective.settings.is_empty());
    let found: Vec<_> = effective
        .warnings
        .iter()
        .map(|problem| match &problem.kind {
            ProblemKind::Unknown { name, nearest } => (problem.line, name.as_str(), *nearest),
            other => panic!("{other}"),
        })
        .collect();
    assert_eq!(
        found,
        [
            (1, "foo-bar", None),
            (2, "extra-cores", Some("cores")),
            (3, "substituter", Some("substituters")),
            (4, "\u{feff}cores", Some("cores")),
        ]
    );
}

#[test]
fn later_lines_win_and_extra_appends() {
    let effective = etc("cores = 1\nbuild-cores = 2\n", &[]);
    assert_eq!(value(&effective, "cores"), "2");
    assert_eq!(effective.settings["cores"].origins().len(), 1);
    let effective = etc("extra-substituters = c\nsubstituters = a b\n", &[]);
    assert_eq!(value(&effective, "substituters"), "a b");
    assert!(!effective.settings["substituters"].keeps_default());
    let effective = etc("substituters = a b\nextra-binary-caches = a c\n", &[]);
    assert_eq!(value(&effective, "substituters"), "a b a c");
    let lines: Vec<_> = effective.settings["substituters"]
        .origins()
        .iter()
        .map(|origin| origin.line)
        .collect();
    assert_eq!(lines, [1, 2]);
    let effective = etc("extra-substituters = c\n", &[]);
    assert!(effective.settings["substituters"].keeps_default());
    assert_eq!(
        effective.words("binary-caches").unwrap(),
        ["https://cache.nixos.org/", "c"]
    );
    assert_eq!(effective.words("require-sigs").unwrap(), ["true"]);
    assert_eq!(effective.words("system-features"), None);
    assert_eq!(effective.words("no-such-thing"), None);
    let effective = etc(
        "system-features = b a b\nextra-system-features = c a\n",
        &[],
    );
    assert_eq!(value(&effective, "system-features"), "a b c");
    let effective = etc(
        "access-tokens = b=1 x a=2\nextra-access-tokens = b=3\n",
        &[],
    );
    assert_eq!(value(&effective, "access-tokens"), "a=2 b=3");
    let effective = etc("extra-platforms = a\nextra-extra-platforms = b\n", &[]);
    assert_eq!(value(&effective, "extra-platforms"), "a b");
    assert!(effective.warnings.is_empty());
}

#[test]
fn includes_are_spliced_in_place() {
    let others = [
        ("/etc/nix/a.conf", "cores = 1\n!include sub/b.conf\n"),
        ("/etc/nix/sub/b.conf", "cores = 2\ninclude ../c.conf\n"),
        ("/etc/nix/c.conf", "max-jobs = 3\n"),
        ("/etc/nix/secret.conf", "(unreadable)"),
    ];
    let text = "max-jobs = 1\ninclude a.conf\ninclude secret.conf\n!include none\ncores = 9\n";
    let effective = etc(text, &others);
    assert!(effective.errors.is_empty(), "{:?}", effective.errors);
    assert_eq!(
        (value(&effective, "cores"), value(&effective, "max-jobs")),
        ("9".into(), "3".into())
    );
    let files: Vec<&str> = effective.files.iter().map(AsRef::as_ref).collect();
    assert_eq!(
        files,
        [
            "/etc/nix/nix.conf",
            "/etc/nix/a.conf",
            "/etc/nix/sub/b.conf",
            "/etc/nix/c.conf"
        ]
    );
    let origin = &effective.settings["max-jobs"].origins()[0];
    assert_eq!((origin.file.as_ref(), origin.line), ("/etc/nix/c.conf", 1));
}

#[test]
fn circles_end() {
    let effective = etc("include ./nix.conf\ncores = 1\n", &[]);
    let circle = ProblemKind::Circle("/etc/nix/nix.conf".to_owned());
    assert_eq!(effective.errors[0].kind, circle);
    assert_eq!(value(&effective, "cores"), "1");
    // Each file doubles the next: without a bound this would be 2^30 files.
    let files: Vec<(String, String)> = (0..30)
        .map(|n| {
            (
                format!("/{n}"),
                format!("include /{0}\ninclude /{0}\n", n + 1),
            )
        })
        .collect();
    let files: Vec<_> = files
        .iter()
        .map(|(name, text)| (name.as_str(), text.as_str()))
        .collect();
    let effective = load(&files, &[Entry::File("/0".to_owned())]);
    assert!(effective.files.len() <= 5000);
    assert!(
        effective
            .errors
            .iter()
            .any(|p| matches!(p.kind, ProblemKind::Circle(_)))
    );
}

#[test]
fn entries_load_in_order() {
    let files = [("/a", "cores = 1\nmax-jobs = 1\n"), ("/b", "cores = 2\n")];
    let text = Entry::Text {
        name: "NIX_CONFIG".to_owned(),
        text: "cores = 3\ninclude x\ninclude /b".to_owned(),
    };
    let entries = [Entry::File("/none".into()), Entry::File("/a".into()), text];
    let effective = load(&files, &entries);
    assert_eq!(
        (value(&effective, "cores"), value(&effective, "max-jobs")),
        ("2".into(), "1".into())
    );
    assert_eq!(effective.errors.len(), 1);
    assert_eq!(
        effective.errors[0].to_string(),
        "NIX_CONFIG:2: the included file `x` is relative, but there is no file it could be relative to"
    );
}

#[test]
fn the_include_is_added_once() {
    let name = "nanna-cache.conf";
    let added = |text: &str| ensure_include(text, name);
    let line = "!include nanna-cache.conf";
    assert_eq!(added("").unwrap(), format!("{line}\n"));
    assert_eq!(
        added("cores = 1\n").unwrap(),
        format!("cores = 1\n{line}\n")
    );
    assert_eq!(added("cores = 1").unwrap(), format!("cores = 1\n{line}\n"));
    assert_eq!(
        added("# x\r\ncores = 1\r\n").unwrap(),
        format!("# x\r\ncores = 1\r\n{line}\r\n")
    );
    assert_eq!(
        added("a = 1\r\nb = 2").unwrap(),
        format!("a = 1\r\nb = 2\r\n{line}\r\n")
    );
    assert!(added(&format!("# {line}\n")).is_some());
    assert!(added("!include other.conf\n").is_some());
    assert_eq!(
        added("a = 1\n  include nanna-cache.conf # ours\nb = 2\n"),
        None
    );
    assert_eq!(ensure_include("", "two words"), None);
    assert_eq!(ensure_include("", "a#b"), None);
    assert_eq!(ensure_include("", "a\n"), None);
}

proptest! {
    #[test]
    fn any_bytes_print_back(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let file = ConfFile::parse(bytes.clone());
        prop_assert_eq!(file.as_bytes(), &bytes);
        let lines: Vec<u8> =
            file.lines().iter().flat_map(|line| file.text_of(line).to_vec()).collect();
        prop_assert_eq!(lines, bytes);
    }

    #[test]
    fn the_edit_keeps_every_byte_and_is_done_once(
        text in "(cores = 1|#|!include x|include|[a-z =]|\n|\r\n){0,20}"
    ) {
        let edited = ensure_include(&text, "ours.conf").unwrap();
        prop_assert!(edited.starts_with(&text));
        prop_assert_eq!(ensure_include(&edited, "ours.conf"), None);
        let before = ConfFile::parse(text.as_str()).lines().to_vec();
        let after = ConfFile::parse(edited.as_str()).lines().to_vec();
        prop_assert_eq!(after.len(), before.len() + 1);
        for (old, new) in before.iter().zip(&after) {
            prop_assert_eq!(&old.content, &new.content);
        }
        let wanted = Content::Include { file: "ours.conf".to_owned(), required: false };
        prop_assert_eq!(&after[before.len()].content, &wanted);
    }

    #[test]
    fn loading_any_text_is_safe(
        text in "(extra-|substituters|cores|include|!include|=| |\n|/|[a-z#])*"
    ) {
        let _ = etc(&text, &[("/a", "include /etc/nix/nix.conf\n")]);
    }
}
