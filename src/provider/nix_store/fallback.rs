//! The store as `nix path-info --all --json` tells it, where the database cannot be read.

use std::collections::BTreeMap;

use crate::nix::closure::Graph;
use crate::nix::path_info::PathInfos;
use crate::nix::store_path::StoreDir;
use crate::plan::observed::LocalStore;
use crate::plan::paths::{Paths, Row};

/// Reads any of the forms that Nix has had. Which derivation made a path is taken from its
/// deriver, as this answer says nothing of the outputs of derivations.
pub(super) fn read(store: &StoreDir, json: &[u8]) -> Result<LocalStore, String> {
    let text = std::str::from_utf8(json).map_err(|error| error.to_string())?;
    let infos = PathInfos::parse(text, store)
        .map_err(|error| error.to_string())?
        .known;
    let mut builder = Paths::builder(infos.len());
    for info in &infos {
        builder.push(info.path.hash(), info.path.name(), info.nar_size);
    }
    let paths = builder.index();
    let mut edges: Vec<(Row, Row)> = Vec::new();
    let mut outputs: BTreeMap<Row, Vec<Row>> = BTreeMap::new();
    for (row, info) in paths.rows().zip(&infos) {
        for reference in &info.references {
            let found = paths.row(&reference.hash());
            let missing = || {
                format!(
                    "`{}` refers to `{reference}`, which is not valid",
                    info.path
                )
            };
            edges.push((row, found.ok_or_else(missing)?));
        }
        if let Some(deriver) = info.deriver.as_ref().and_then(|drv| paths.row(&drv.hash())) {
            outputs.entry(deriver).or_default().push(row);
        }
    }
    let graph = Graph::from_edges(infos.len(), &edges).map_err(|error| error.to_string())?;
    Ok(LocalStore {
        dir: store.clone(),
        paths: paths.with_refs(graph),
        nar_hashes: infos.iter().map(|info| info.nar_hash).collect(),
        outputs,
        since_mark: None,
        source: "nix path-info".to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nix::store_path::StorePath;

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
            let a = store
                .paths
                .row(&A.parse::<StorePath>().unwrap().hash())
                .unwrap();
            let b = store
                .paths
                .row(&B.parse::<StorePath>().unwrap().hash())
                .unwrap();
            assert_eq!(store.paths.len(), 2);
            assert_eq!(store.paths.refs().references(a), [b]);
            assert_eq!(store.paths.nar_size(a), 5);
            assert_eq!(store.outputs, BTreeMap::from([(b, vec![a])]));
        }
    }

    #[test]
    fn what_is_not_whole_is_an_error() {
        for text in ["", "3", "[{}]", "{\"x\":{}}"] {
            assert!(
                read(&StoreDir::default(), text.as_bytes()).is_err(),
                "{text}"
            );
        }
        let missing = format!(
            r#"{{"/nix/store/{A}":{{"narHash":"{HASH}","narSize":1,"references":["/nix/store/{B}"]}}}}"#
        );
        assert!(
            read(&StoreDir::default(), missing.as_bytes())
                .unwrap_err()
                .contains("not valid")
        );
    }
}
