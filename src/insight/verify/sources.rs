//! What was found about sources, and what `flake.lock` says of them.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

use super::report::{FORMAT, Finding};
use crate::nix::hash::Sha256;

/// What a look at sources found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Sources {
    /// Version of this form: that of a verification.
    pub format: u32,
    /// Content-addressed paths below the derivations of what is wanted that were hashed.
    pub derived: u64,
    /// Inputs of `flake.lock` that were hashed.
    pub locked: u64,
    /// Inputs of `flake.lock` that are not in the local store.
    pub not_here: u64,
    /// What is wrong.
    pub findings: Vec<Finding>,
    /// What could not be judged.
    pub unknowns: Vec<String>,
}

impl Sources {
    /// Puts findings in order, each once.
    pub fn settle(&mut self) {
        self.format = FORMAT;
        self.findings.sort();
        self.findings.dedup();
    }
}

/// The inputs of a `flake.lock` with their NAR hashes, by name; those without a hash are left out.
///
/// # Errors
/// It is no `flake.lock`; why, as a fragment.
pub fn locked(bytes: &[u8]) -> Result<BTreeMap<String, Sha256>, String> {
    let lock: Value = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
    let nodes = lock
        .get("nodes")
        .and_then(Value::as_object)
        .ok_or("it has no `nodes`")?;
    let mut inputs = BTreeMap::new();
    for (name, node) in nodes {
        let hash = node.pointer("/locked/narHash").and_then(Value::as_str);
        if let Some(hash) = hash {
            let hash = hash
                .parse()
                .map_err(|error| format!("the hash of `{name}`: {error}"))?;
            inputs.insert(name.clone(), hash);
        }
    }
    Ok(inputs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inputs_with_hashes_are_read() {
        let hash = Sha256::of(b"x");
        let text = format!(
            r#"{{"nodes": {{"a": {{"locked": {{"narHash": "{}"}}}}, "root": {{}}}}, "version": 7}}"#,
            hash.to_sri()
        );
        assert_eq!(
            locked(text.as_bytes()),
            Ok(BTreeMap::from([("a".to_owned(), hash)]))
        );
        assert!(locked(b"{}").is_err());
        assert!(locked(b"[").is_err());
        assert!(locked(br#"{"nodes": {"a": {"locked": {"narHash": "x"}}}}"#).is_err());
    }
}
