//! Reads a Rust file as far as the rules need it: which paths it names, at which lines.

use std::path::Path;

use super::tokens::{Token, is_word, tokenize};

/// One file below `src/`.
pub(crate) struct Source {
    /// Relative to `src/`, for instance `plan/prune.rs`.
    pub(crate) file: String,
    /// The module path, for instance `["plan", "prune"]`; empty for the crate root.
    pub(crate) module: Vec<String>,
    /// Every path named, `use` trees spread out, macros without their `!`.
    pub(crate) names: Vec<Name>,
}

/// One path named in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Name {
    /// Its line, from 1.
    pub(crate) line: usize,
    /// Its segments; inside the crate resolved to begin with `crate`.
    pub(crate) path: Vec<String>,
    /// Named in a `use`: what the file calls it from there on.
    pub(crate) import: Option<String>,
}

impl Name {
    /// Whether the path begins with these segments, given as `a::b`.
    pub(crate) fn begins(&self, prefix: &str) -> bool {
        let mut own = self.path.iter();
        prefix
            .split("::")
            .all(|segment| own.next().is_some_and(|each| each == segment))
    }

    /// Whether these segments, given as `a::b`, stand together anywhere in the path.
    pub(crate) fn holds(&self, part: &str) -> bool {
        let part: Vec<&str> = part.split("::").collect();
        self.path
            .windows(part.len())
            .any(|window| window.iter().zip(&part).all(|(a, b)| a == b))
    }
}

impl Source {
    /// Every `.rs` file below a folder, sorted. Files of unit tests (`tests.rs`, `…/tests/…`) are left out.
    pub(crate) fn read_tree(root: &Path) -> Vec<Self> {
        let mut sources = Vec::new();
        let mut folders = vec![root.to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(&folder).expect("src/ can be listed") {
                let path = entry.expect("src/ can be listed").path();
                let relative = path
                    .strip_prefix(root)
                    .expect("below src/")
                    .to_str()
                    .expect("UTF-8");
                if path.is_dir() {
                    folders.push(path);
                } else if path.extension().is_some_and(|end| end == "rs") && !is_test_file(relative)
                {
                    let text = std::fs::read_to_string(&path).expect("source is UTF-8");
                    sources.push(Self::parse(relative, &text));
                }
            }
        }
        sources.sort_by(|a, b| a.file.cmp(&b.file));
        sources
    }

    /// Parses one file, named relative to `src/`.
    pub(crate) fn parse(file: &str, text: &str) -> Self {
        let module = module_of(file);
        let mut tokens = tokenize(text);
        drop_unit_tests(&mut tokens);
        let mut names = Vec::new();
        let mut at = 0;
        let mut depth = Depth::default();
        while at < tokens.len() {
            depth.step(&tokens, at);
            let starts = is_word(&tokens[at].text)
                && (at < 2 || tokens[at - 1].text != "::")
                && !(at > 0 && tokens[at - 1].text == ".");
            // `use<'a>` in a type says what it captures; it imports nothing.
            let captures = tokens.get(at + 1).is_some_and(|next| next.text == "<");
            if tokens[at].text == "use" && starts && !captures {
                at = use_tree(&tokens, at + 1, &[], &mut names);
            } else if starts {
                at = plain_path(&tokens, at, &mut names);
            } else {
                at += 1;
            }
        }
        for name in &mut names {
            name.path = resolve(&module, &depth, std::mem::take(&mut name.path), name.line);
        }
        names.retain(|name| !name.path.is_empty());
        Self {
            file: file.to_owned(),
            module,
            names,
        }
    }

    /// The layer: the first part of the module path, or the file's stem at the root.
    pub(crate) fn layer(&self) -> &str {
        self.module.first().map_or("", String::as_str)
    }
}

fn is_test_file(relative: &str) -> bool {
    relative.ends_with("/tests.rs")
        || relative.ends_with("_tests.rs")
        || relative.contains("/tests/")
}

fn module_of(file: &str) -> Vec<String> {
    let stem = file.trim_end_matches(".rs");
    let mut parts: Vec<String> = stem.split('/').map(str::to_owned).collect();
    if matches!(
        parts.last().map(String::as_str),
        Some("mod" | "lib" | "main")
    ) {
        parts.pop();
    }
    parts
}

/// Where inline modules open and close, for the meaning of `super`.
#[derive(Default)]
struct Depth {
    open: Vec<(String, usize)>,
    braces: usize,
    /// `(first line, last line, module name)` of inline modules, outer ones first.
    spans: Vec<(usize, usize, String)>,
}

impl Depth {
    fn step(&mut self, tokens: &[Token], at: usize) {
        match tokens[at].text.as_str() {
            "{" => {
                if at >= 2 && tokens[at - 2].text == "mod" {
                    self.spans
                        .push((tokens[at].line, usize::MAX, tokens[at - 1].text.clone()));
                    self.open.push((tokens[at - 1].text.clone(), self.braces));
                }
                self.braces += 1;
            }
            "}" => {
                self.braces = self.braces.saturating_sub(1);
                if self
                    .open
                    .last()
                    .is_some_and(|(_, braces)| *braces == self.braces)
                {
                    let (name, _) = self.open.pop().expect("just looked at");
                    let span = self
                        .spans
                        .iter_mut()
                        .rev()
                        .find(|(_, end, each)| *end == usize::MAX && *each == name);
                    if let Some(span) = span {
                        span.1 = tokens[at].line;
                    }
                }
            }
            _ => {}
        }
    }

    fn inside(&self, line: usize) -> impl Iterator<Item = &String> {
        self.spans
            .iter()
            .filter(move |(from, to, _)| *from <= line && line <= *to)
            .map(|(_, _, name)| name)
    }
}

/// Makes `super::`, `self::`, `nanna_cache::` paths begin with `crate`.
fn resolve(module: &[String], depth: &Depth, path: Vec<String>, line: usize) -> Vec<String> {
    let Some(first) = path.first() else {
        return path;
    };
    if first == "nanna_cache" {
        return std::iter::once("crate".to_owned())
            .chain(path.into_iter().skip(1))
            .collect();
    }
    if first != "super" && first != "self" {
        return path;
    }
    let mut here: Vec<String> = module.iter().chain(depth.inside(line)).cloned().collect();
    let mut rest = path.into_iter().peekable();
    while let Some(segment) = rest.peek() {
        match segment.as_str() {
            "super" => drop(here.pop()),
            "self" => {}
            _ => break,
        }
        rest.next();
    }
    std::iter::once("crate".to_owned())
        .chain(here)
        .chain(rest)
        .collect()
}

/// Takes out what stands behind `#[cfg(test)]` (alone or within `all`) or `#[test]`.
fn drop_unit_tests(tokens: &mut Vec<Token>) {
    let mut at = 0;
    while at < tokens.len() {
        match test_attribute(&tokens[at..]) {
            Some(length) => drop(tokens.drain(at..item_end(tokens, at + length))),
            None => at += 1,
        }
    }
}

/// The length of an attribute that marks a unit test, where one begins here.
fn test_attribute(tokens: &[Token]) -> Option<usize> {
    let text = |at: usize| tokens.get(at).map_or("", |token| token.text.as_str());
    if text(0) != "#" || text(1) != "[" || !matches!(text(2), "cfg" | "test") {
        return None;
    }
    let length = tokens.iter().position(|token| token.text == "]")? + 1;
    let has = |word: &str| tokens[2..length].iter().any(|token| token.text == word);
    (has("test") && !has("not") && !has("any")).then_some(length)
}

fn item_end(tokens: &[Token], from: usize) -> usize {
    let mut depth = 0_usize;
    for (at, token) in tokens.iter().enumerate().skip(from) {
        match token.text.as_str() {
            "{" | "(" | "[" => depth += 1,
            ")" | "]" => depth = depth.saturating_sub(1),
            "}" if depth <= 1 => return at + 1,
            "}" => depth -= 1,
            ";" if depth == 0 => return at + 1,
            _ => {}
        }
    }
    tokens.len()
}

/// Reads one `use` tree up to its `;`, `,` or `}`, and gives the place behind it.
fn use_tree(tokens: &[Token], mut at: usize, prefix: &[String], names: &mut Vec<Name>) -> usize {
    let (mut path, mut alias) = (prefix.to_vec(), None);
    let line = tokens.get(at).map_or(0, |token| token.line);
    while let Some(token) = tokens.get(at) {
        match token.text.as_str() {
            "{" => {
                at += 1;
                while tokens.get(at).is_some_and(|token| token.text != "}") {
                    let end = use_tree(tokens, at, &path, names);
                    // One step at least: what is no tree must not hold the reader up for ever.
                    at = match tokens.get(end) {
                        Some(token) if token.text == "," => end + 1,
                        _ => end.max(at + 1),
                    };
                }
                return at + 1;
            }
            ";" | "," | "}" => break,
            "as" => {
                alias = tokens.get(at + 1).map(|token| token.text.clone());
                at += 2;
            }
            "::" => at += 1,
            segment => {
                // `self` at the end of a tree is the path itself.
                if segment != "self" || path.is_empty() {
                    path.push(segment.to_owned());
                }
                at += 1;
            }
        }
    }
    let import = alias.or_else(|| path.last().cloned());
    names.push(Name { line, path, import });
    at
}

fn plain_path(tokens: &[Token], mut at: usize, names: &mut Vec<Name>) -> usize {
    let line = tokens[at].line;
    let mut path = vec![tokens[at].text.clone()];
    at += 1;
    while at + 1 < tokens.len() && tokens[at].text == "::" && is_word(&tokens[at + 1].text) {
        path.push(tokens[at + 1].text.clone());
        at += 2;
    }
    let is_macro = tokens.get(at).is_some_and(|token| token.text == "!")
        && tokens
            .get(at + 1)
            .is_some_and(|token| matches!(token.text.as_str(), "(" | "[" | "{"));
    let is_call = tokens.get(at).is_some_and(|token| token.text == "(");
    if path.len() > 1 || is_macro || is_call {
        if is_macro && path.len() == 1 {
            path[0].push('!');
        }
        names.push(Name {
            line,
            path,
            import: None,
        });
    }
    at
}
