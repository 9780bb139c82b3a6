//! What can be known without asking: a path whose signature in the local store verifies under an
//! upstream's key came from there, or was made by whoever owns it.

use std::collections::BTreeSet;

use crate::nix::hash::Sha256;
use crate::nix::key::{PublicKey, Signature};
use crate::nix::narinfo::fingerprint;
use crate::nix::store_path::{HashPart, StoreDir, StorePath};

/// What a signature of a path covers, and the signatures that the local store keeps.
#[derive(Clone, Copy, Debug)]
pub struct Local<'a> {
    /// The path.
    pub path: &'a StorePath,
    /// Hash of its NAR.
    pub nar_hash: Sha256,
    /// Bytes of its NAR.
    pub nar_size: u64,
    /// What it refers to.
    pub references: &'a [StorePath],
    /// Signatures as written.
    pub signatures: &'a [String],
}

/// Those of `paths` that one of `keys` has signed. A signature of the right name that does not
/// verify counts for nothing.
pub fn signed<'a>(
    store: &StoreDir,
    paths: impl IntoIterator<Item = Local<'a>>,
    keys: &[PublicKey],
) -> BTreeSet<HashPart> {
    let mut found = BTreeSet::new();
    for local in paths {
        let candidates = local.signatures.iter().filter(|text| {
            let name = text.split(':').next();
            keys.iter().any(|key| name == Some(key.name()))
        });
        let mut text = None;
        let proven = candidates
            .filter_map(|text| text.parse::<Signature>().ok())
            .any(|signature| {
                let text = text.get_or_insert_with(|| {
                    fingerprint(
                        store,
                        local.path,
                        local.nar_hash,
                        local.nar_size,
                        local.references,
                    )
                });
                keys.iter().any(|key| key.verify(text, &signature))
            });
        if proven {
            found.insert(local.path.hash());
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    // The worked example of the narinfo format.
    const PATH: &str = "f195fnyk5327666xrc2y1sky4xmh2qs8-signed-1.0";
    const KEY: &str = "example-1:DdvR7W7LsWyeyNYtnlBL2BkeTa++hMvvaFhACroldEA=";
    const SIGNATURE: &str = "example-1:Yp4btLjs+B7lKhyCBAtuvIAVbda2XtnoPlFpjcN7LwGNA8/MyXNiqqYQoOm5f5Pa28VGJsx28t5akdkKNHNQBQ==";

    #[test]
    fn only_what_verifies_counts() {
        let path: StorePath = PATH.parse().unwrap();
        let references: Vec<StorePath> = [
            "gjnl1zk0xjcm7h0xqm5wimp3ic42cjf3-ref.txt",
            "ivdsi7k2110sa5dkz830w8y523sr23ry-hello.txt",
        ]
        .map(|text| text.parse().unwrap())
        .into();
        let nar_hash =
            Sha256::parse("sha256:0wj0c1sq5fv4z0wv62hb72wdz4x4aq4bw3cl8pzyc9nnhrw32f7s").unwrap();
        let key: PublicKey = KEY.parse().unwrap();
        let ask = |signatures: &[String], nar_size, keys: &[PublicKey]| {
            let local = Local {
                path: &path,
                nar_hash,
                nar_size,
                references: &references,
                signatures,
            };
            signed(&StoreDir::default(), [local], keys).contains(&path.hash())
        };
        let good = [
            "rubbish".to_owned(),
            "other-1:AAAA".to_owned(),
            SIGNATURE.to_owned(),
        ];
        assert!(ask(&good, 568, std::slice::from_ref(&key)));
        assert!(!ask(&good, 569, std::slice::from_ref(&key)));
        assert!(!ask(&good[..2], 568, std::slice::from_ref(&key)));
        assert!(!ask(&good, 568, &[]));
    }
}
