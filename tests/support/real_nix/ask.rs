//! What the real Nix knows of its paths: the oracle for the product's own reader.

use std::collections::BTreeSet;

use super::{RealNix, lines};

/// What Nix's database says of one path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathInfo {
    /// The full store path.
    pub path: String,
    /// SHA-256 of the NAR, hexadecimal, without prefix.
    pub nar_hash: String,
    /// Bytes of the NAR.
    pub nar_size: u64,
    /// The derivation's path, where it is known.
    pub deriver: Option<String>,
    /// Full store paths, sorted, with the path itself where it refers to itself.
    pub references: Vec<String>,
}

impl RealNix {
    /// Everything that paths refer to, with themselves.
    #[track_caller]
    pub fn closure<P: AsRef<str>>(&self, paths: impl IntoIterator<Item = P>) -> BTreeSet<String> {
        self.query("--requisites", paths)
    }

    /// The build closure of a derivation: its inputs with those outputs that are there.
    #[track_caller]
    pub fn build_closure(&self, derivation: &str) -> BTreeSet<String> {
        lines(&self.run(
            "nix-store",
            ["--query", "--requisites", "--include-outputs", derivation],
        ))
        .into_iter()
        .collect()
    }

    #[track_caller]
    fn query<P: AsRef<str>>(
        &self,
        question: &str,
        paths: impl IntoIterator<Item = P>,
    ) -> BTreeSet<String> {
        let mut arguments = vec!["--query".to_owned(), question.to_owned()];
        arguments.extend(paths.into_iter().map(|path| path.as_ref().to_owned()));
        lines(&self.run("nix-store", arguments))
            .into_iter()
            .collect()
    }

    /// Every valid path of this store, sorted by path.
    #[track_caller]
    pub fn paths(&self) -> Vec<PathInfo> {
        parse_registrations(&self.run("nix-store", ["--dump-db"]))
    }

    /// What the database says of one path; `None` when it is not valid here.
    #[track_caller]
    pub fn path_info(&self, path: &str) -> Option<PathInfo> {
        self.paths().into_iter().find(|info| info.path == path)
    }

    /// The signatures of one path.
    #[track_caller]
    pub fn signatures(&self, path: &str) -> Vec<String> {
        let line = self.run("nix", ["path-info", "--sigs", path]);
        line.split_whitespace()
            .skip(1)
            .filter(|word| word.contains(':'))
            .map(str::to_owned)
            .collect()
    }
}

/// Reads `nix-store --dump-db`: path, hash, size, deriver, number of references, references.
fn parse_registrations(dump: &str) -> Vec<PathInfo> {
    let mut lines = dump.lines();
    let mut infos = Vec::new();
    while let Some(path) = lines.next() {
        let mut next = || {
            lines
                .next()
                .expect("a registration has at least five lines")
        };
        let (nar_hash, nar_size) = (next().to_owned(), next().parse().unwrap());
        let deriver = Some(next().to_owned()).filter(|deriver| !deriver.is_empty());
        let count: usize = next().parse().unwrap();
        let mut references: Vec<String> = (0..count).map(|_| next().to_owned()).collect();
        references.sort();
        infos.push(PathInfo {
            path: path.to_owned(),
            nar_hash,
            nar_size,
            deriver,
            references,
        });
    }
    infos.sort_by(|a, b| a.path.cmp(&b.path));
    infos
}
