//! The store as `nix path-info --all --json` tells it, where the database cannot be read.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::nix::closure::Graph;
use crate::nix::hash::Sha256;
use crate::nix::store_path::{StoreDir, StorePath};
use crate::plan::observed::LocalStore;
use crate::plan::paths::{Paths, Row};

/// Reads any of the forms that Nix has had: a list (2.8), an object by path (2.19), an object with
/// `info` by base name (2.33). Which derivation made a path is taken from its deriver.
pub(super) fn read(store: &StoreDir, json: &[u8]) -> Result<LocalStore, String> {
    let value: Value = serde_json::from_slice(json).map_err(|error| error.to_string())?;
    let mut entries: Vec<(StorePath, &Value)> = Vec::new();
    let path_of = |text: &str| {
        let parsed = if text.contains('/') { store.parse(text) } else { text.parse() };
        parsed.map_err(|error| format!("`{text}` is no path of this store: {error}"))
    };
    match &value {
        Value::Array(list) => {
            for entry in list {
                let path = entry.get("path").and_then(Value::as_str).ok_or("a path without name")?;
                entries.push((path_of(path)?, entry));
            }
        }
        Value::Object(object) => {
            let object = object.get("info").and_then(Value::as_object).unwrap_or(object);
            for (path, entry) in object {
                entries.push((path_of(path)?, entry));
            }
        }
        _ => return Err("neither a list nor an object of paths".to_owned()),
    }
    entries.retain(|(_, entry)| !entry.is_null() && entry.get("valid") != Some(&Value::Bool(false)));
    let mut builder = Paths::builder(entries.len());
    let mut nar_hashes = Vec::with_capacity(entries.len());
    for (path, entry) in &entries {
        let hash = entry.get("narHash").and_then(Value::as_str);
        let hash = hash.and_then(|text| Sha256::parse(text).ok());
        nar_hashes.push(hash.ok_or_else(|| format!("`{path}` has no NAR hash"))?);
        let size = entry.get("narSize").and_then(Value::as_u64).unwrap_or(0);
        builder.push(path.hash(), path.name(), size);
    }
    let paths = builder.index();
    let row_of = |text: &str| -> Result<Option<Row>, String> { Ok(paths.row(&path_of(text)?.hash())) };
    let mut edges: Vec<(Row, Row)> = Vec::new();
    let mut outputs: BTreeMap<Row, Vec<Row>> = BTreeMap::new();
    for (row, (path, entry)) in paths.rows().zip(&entries) {
        let references = entry.get("references").and_then(Value::as_array);
        for reference in references.into_iter().flatten() {
            let text = reference.as_str().ok_or_else(|| format!("a reference of `{path}` is no text"))?;
            let reference =
                row_of(text)?.ok_or_else(|| format!("`{path}` refers to `{text}`, which is not valid"))?;
            edges.push((row, reference));
        }
        if let Some(deriver) = entry.get("deriver").and_then(Value::as_str)
            && let Ok(Some(deriver)) = row_of(deriver)
        {
            outputs.entry(deriver).or_default().push(row);
        }
    }
    let graph = Graph::from_edges(entries.len(), &edges).map_err(|error| error.to_string())?;
    Ok(LocalStore {
        dir: store.clone(),
        paths: paths.with_refs(graph),
        nar_hashes,
        outputs,
        since_mark: None,
        source: "nix path-info".to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: &str = "ivdsi7k2110sa5dkz830w8y523sr23ry-a";
    const B: &str = "gjnl1zk0xjcm7h0xqm5wimp3ic42cjf3-b.drv";
    const HASH: &str = "sha256-LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ=";

    #[test]
    fn all_forms_say_the_same() {
        let forms = [
            serde_json::json!([
                {"path": format!("/nix/store/{B}"), "narHash": HASH, "narSize": 7, "references": []},
                {"path": format!("/nix/store/{A}"), "narHash": HASH, "narSize": 5,
                 "references": [format!("/nix/store/{B}")], "deriver": format!("/nix/store/{B}")},
                {"path": format!("/nix/store/{A}x"), "valid": false},
            ]),
            serde_json::json!({
                format!("/nix/store/{B}"): {"narHash": HASH, "narSize": 7, "references": [], "deriver": null},
                format!("/nix/store/{A}"): {"narHash": HASH, "narSize": 5,
                    "references": [format!("/nix/store/{B}")], "deriver": format!("/nix/store/{B}")},
                format!("/nix/store/{A}x"): null,
            }),
            serde_json::json!({"version": 2, "storeDir": "/nix/store", "info": {
                B: {"narHash": HASH, "narSize": 7, "references": [], "deriver": null},
                A: {"narHash": HASH, "narSize": 5, "references": [B], "deriver": B},
            }}),
        ];
        for form in forms {
            let store = read(&StoreDir::default(), form.to_string().as_bytes()).unwrap();
            let a = store.paths.row(&A.parse::<StorePath>().unwrap().hash()).unwrap();
            let b = store.paths.row(&B.parse::<StorePath>().unwrap().hash()).unwrap();
            assert_eq!(store.paths.len(), 2);
            assert_eq!(store.paths.refs().references(a), [b]);
            assert_eq!(store.paths.nar_size(a), 5);
            assert_eq!(store.outputs, BTreeMap::from([(b, vec![a])]));
        }
    }

    #[test]
    fn what_is_not_whole_is_an_error() {
        for text in ["", "3", "[{}]", "{\"x\":{}}"] {
            assert!(read(&StoreDir::default(), text.as_bytes()).is_err(), "{text}");
        }
        let missing = format!(r#"{{"/nix/store/{A}":{{"narHash":"{HASH}","references":["/nix/store/{B}"]}}}}"#);
        assert!(read(&StoreDir::default(), missing.as_bytes()).unwrap_err().contains("not valid"));
    }
}
