//! Paths, URLs, installables and patterns of directories, as far as the text alone shows.

use url::Url;

use crate::config::check::Check;
use crate::config::code::Code;
use crate::config::leak;
use crate::config::problem::Problem;

impl Check<'_> {
    /// Reports a path that cannot be meant.
    pub(in crate::config) fn path(&mut self, pointer: &str, path: &str) {
        let wrong = if path.trim().is_empty() {
            Some(("is empty", "write a path"))
        } else if path.trim() != path {
            Some(("begins or ends with a blank", "take the blank out"))
        } else if path.contains(char::is_control) {
            Some(("has a control character", "take it out"))
        } else if path.contains("://") {
            Some((
                "is a URL",
                "write a path without a scheme, such as `~/.cache/project/binary-cache`",
            ))
        } else if path.starts_with('~') && path != "~" && !path.starts_with("~/") {
            Some((
                "names another user's home",
                "only `~/` is understood; write the whole path",
            ))
        } else if path.contains('$') {
            Some((
                "has a `$`",
                "variables are not expanded; `~/` is the home folder",
            ))
        } else {
            None
        };
        if let Some((fact, help)) = wrong {
            let problem = Problem::new(Code::InvalidPath, format!("the path `{path}` {fact}"));
            self.report(problem.at(self.value(pointer), "").help(help));
        }
    }

    /// Reports a path that cannot be the folder of a cache.
    pub(in crate::config) fn cache_path(&mut self, pointer: &str, path: &str) {
        let before = self.problems.len();
        self.path(pointer, path);
        if self.problems.len() > before {
            return;
        }
        let fact = match normal_path(path).as_str() {
            "/" => "is the root of all files",
            "~" => "is the home folder",
            "." => "is the folder of this file",
            "/nix" | "/nix/store" => "belongs to Nix",
            path if path == ".." || path.ends_with("/..") => "ends in `..`",
            path if path.starts_with("/nix/store/") => "is inside the Nix store",
            _ => return,
        };
        let problem = Problem::new(Code::InvalidPath, format!("the path `{path}` {fact}"));
        let help = "a cache needs a folder of its own, such as `~/.cache/project/binary-cache`";
        self.report(problem.at(self.value(pointer), "").help(help));
    }

    /// Reads the URL of an upstream; without a final slash.
    pub(in crate::config) fn url(
        &mut self,
        pointer: &str,
        text: &str,
        insecure: bool,
    ) -> Option<String> {
        // Reported as a secret; it must not be complained about in other words as well.
        if leak::is_secret(text) {
            return None;
        }
        let invalid = |check: &mut Self, fact: &str, help: &str| {
            let problem = Problem::new(Code::InvalidUrl, format!("`{text}` {fact}"));
            let span = check.value(pointer);
            check.report(problem.at(span, "").help(help));
            None
        };
        let example = "write it as `https://cache.nixos.org`";
        let url = match Url::parse(text) {
            Ok(url) => url,
            Err(error) => return invalid(self, &format!("is no URL: {error}"), example),
        };
        if text.contains(|c: char| c.is_whitespace() || c.is_control()) {
            return invalid(self, "is no URL: it has a blank", example);
        }
        match url.scheme() {
            "https" => {}
            "http" if insecure => {}
            "http" => {
                let problem = Problem::new(Code::InsecureUrl, format!("`{text}` is not encrypted"));
                let help = "use `https://`; or add `insecure: true` if the network is trusted: signatures are checked all the same, \
                            but anybody on the way sees what is fetched and can hold it back";
                self.report(problem.at(self.value(pointer), "").help(help));
            }
            "file" => {
                return invalid(
                    self,
                    "is a folder",
                    "a folder is a cache of `type: file` with a `path`",
                );
            }
            _ => return invalid(self, "is not asked over HTTP", "an upstream is `https://…`"),
        }
        if url.host_str().is_none_or(str::is_empty) {
            return invalid(self, "names no host", example);
        }
        if !url.username().is_empty() || url.password().is_some() {
            return invalid(
                self,
                "has a user name",
                "credentials do not belong here; give them to Nix in a netrc file",
            );
        }
        if url.query().is_some() || url.fragment().is_some() {
            return invalid(
                self,
                "has parameters",
                "the priority is `nix-priority`; other parameters are not passed on",
            );
        }
        Some(text.trim_end_matches('/').to_owned())
    }

    /// Reports what is no installable; `systems` says whether `{system}` stands for anything.
    pub(in crate::config) fn installable(&mut self, pointer: &str, text: &str, systems: bool) {
        let rest = text.replace("{system}", "");
        let wrong = if text.trim().is_empty() {
            Some(("is empty", "write an installable such as `.#default`"))
        } else if text.starts_with('-') {
            Some(("begins with `-`", "Nix would take it for an option"))
        } else if text.contains(|c: char| c.is_whitespace() || c.is_control()) {
            Some(("has a blank", "write one installable for each item"))
        } else if rest.contains(['{', '}']) {
            Some(("has an unknown placeholder", "only `{system}` is replaced"))
        } else if text.ends_with('#') || text.matches('#').count() > 1 {
            Some((
                "names no output",
                "write `FLAKE#OUTPUT`, such as `.#default`",
            ))
        } else {
            None
        };
        if let Some((fact, help)) = wrong {
            let problem = Problem::new(
                Code::InvalidInstallable,
                format!("the installable `{text}` {fact}"),
            );
            self.report(problem.at(self.value(pointer), "").help(help));
        }
        if text.contains("{system}") && !systems && self.intact("/systems") {
            let problem = Problem::new(
                Code::MissingSystems,
                "`{system}` stands for nothing: `systems` is empty",
            );
            let help = "add `systems: [x86_64-linux]`, or take `{system}` out: Nix then takes the system of the machine";
            self.report(problem.at(self.value(pointer), "").help(help));
        }
    }

    /// Reports what is no pattern of directories.
    pub(in crate::config) fn glob(&mut self, pointer: &str, glob: &str) {
        let wrong = if glob.contains("://") {
            Some(("is a URL", "write a path, such as `models/*`"))
        } else if glob.trim().is_empty() || glob.contains(char::is_control) {
            Some((
                "is empty or has a control character",
                "write a path, such as `models/*`",
            ))
        } else if unclosed(glob) {
            Some((
                "has a `[` without `]`",
                "close it, or write `[[]` for the character itself",
            ))
        } else if glob.starts_with('~') && !glob.starts_with("~/") {
            Some(("names another user's home", "only `~/` is understood"))
        } else {
            None
        };
        if let Some((fact, help)) = wrong {
            let problem = Problem::new(Code::InvalidGlob, format!("the pattern `{glob}` {fact}"));
            self.report(problem.at(self.value(pointer), "").help(help));
        }
    }
}

/// Whether a `[` has no `]`; a `]` directly after the `[` (or `[!`) stands for itself.
fn unclosed(glob: &str) -> bool {
    let mut rest = glob;
    while let Some(open) = rest.find('[') {
        let inside = &rest[open + 1..];
        let inside = inside.strip_prefix('!').unwrap_or(inside);
        let skip = usize::from(inside.starts_with(']'));
        match inside[skip..].find(']') {
            None => return true,
            Some(close) => rest = &inside[skip + close + 1..],
        }
    }
    false
}

/// A path without what makes no difference: `./`, double and final slashes, `x/..`.
pub(in crate::config) fn normal_path(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match (part, parts.last()) {
            ("" | ".", _) => {}
            ("..", Some(last)) if *last != ".." && *last != "~" => {
                parts.pop();
            }
            ("..", None) if path.starts_with('/') => {}
            _ => parts.push(part),
        }
    }
    match (path.starts_with('/'), parts.is_empty()) {
        (true, _) => format!("/{}", parts.join("/")),
        (false, true) => ".".to_owned(),
        (false, false) => parts.join("/"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_made_normal() {
        for (path, normal) in [
            ("~/a//b/./c/", "~/a/b/c"),
            ("./x/../y", "y"),
            ("/", "/"),
            ("//", "/"),
            ("", "."),
            ("a/..", "."),
            ("../a", "../a"),
            ("/../a", "/a"),
            ("~/..", "~/.."),
            ("../..", "../.."),
        ] {
            assert_eq!(normal_path(path), normal, "{path}");
        }
    }

    #[test]
    fn brackets_must_close() {
        for (glob, bad) in [
            ("a[bc]/*", false),
            ("[]]", false),
            ("[!]]x", false),
            ("a[b", true),
            ("[]", true),
            ("[a][b", true),
        ] {
            assert_eq!(unclosed(glob), bad, "{glob}");
        }
    }
}
