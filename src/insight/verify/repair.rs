//! From what was found to what is to be mended.

use std::collections::BTreeMap;

use super::code::Code;
use super::report::Verification;
use crate::config::model::CacheName;
use crate::nix::store_path::{HashPart, StorePath};
use crate::plan::desired::{Damage, Repair};

/// What is to be mended of a cache. What only prune may take (left-overs, NARs of nobody) is not in it.
#[must_use]
pub fn repair(report: &Verification) -> Repair {
    let mut damages: BTreeMap<HashPart, Damage> = BTreeMap::new();
    let (mut info, mut by_hand) = (false, Vec::new());
    for finding in report.damages() {
        let named = finding
            .key
            .strip_suffix(".narinfo")
            .and_then(|hash| hash.parse().ok());
        let hash = match (&finding.path, finding.code) {
            // The path is that of the text; what has to be mended is what the name says.
            (_, Code::NarinfoMisplaced) | (None, _) => named,
            (Some(path), _) => Some(path.hash()),
        };
        if finding.code == Code::Info {
            info = true;
            continue;
        }
        let Some(hash) = hash else {
            let text = format!("{}: delete this object by hand", finding.text);
            by_hand.push((finding.key.clone(), text));
            continue;
        };
        let damage = damages.entry(hash).or_default();
        match finding.code {
            Code::SignatureMissing => {
                damage.unsigned = true;
                if !damage.broken {
                    damage.nar_hash = finding.nar_hash;
                }
            }
            Code::ReferenceMissing => {
                damage
                    .lacks
                    .extend(finding.reference.as_ref().map(StorePath::hash));
            }
            // The narinfo is right, and its file is not.
            Code::NarMissing | Code::FileSize | Code::FileHash | Code::NarUndecodable => {
                if !damage.broken {
                    damage.nar_hash = finding.nar_hash;
                }
                damage.broken = true;
            }
            _ => {
                damage.broken = true;
                damage.nar_hash = None;
            }
        }
    }
    Repair {
        cache: CacheName::new(report.cache.as_str()),
        damages,
        info,
        by_hand,
    }
}
