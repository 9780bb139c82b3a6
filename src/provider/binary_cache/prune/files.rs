//! Files that no narinfo names: steps 7 and 8 of the protocol.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use super::{Prune, PruneDone, PruneError};
use crate::plan::observed::{CacheContent, Nar, Narinfo};
use crate::plan::record::PrunePhase;
use crate::provider::binary_cache::records::{id_of, intent_key};
use crate::provider::binary_cache::terms::Rule;
use crate::provider::binary_cache::{Area, Meta};
use crate::sys::file::{is_running, temporary_owner};

impl Prune<'_> {
    /// Deletes those of `wanted` that no narinfo names and that are old enough, left-overs, and
    /// records of pushes that are gone.
    pub(super) fn delete_files(&mut self, wanted: &BTreeSet<String>) -> Result<(), PruneError> {
        if wanted.is_empty() {
            return Ok(());
        }
        let nars = wanted.iter().filter(|key| key.starts_with("nar/"));
        self.body.nars = nars.cloned().collect::<Vec<_>>().join(" ");
        (self.body.paths, self.body.later, self.body.roots) = Default::default();
        self.body.phase = PrunePhase::Nars;
        if self.terms.keeps(Rule::NarsRecord) {
            self.rewrite()?;
        }
        // Only now: who publishes a narinfo from here on sees the record, or is seen. NARs before
        // narinfos: one that is old in this listing, and that no narinfo names after it, was not
        // refreshed by a push that did not see the record.
        let old = self.old_nars(wanted)?;
        let content = self.look_again()?;
        let sizes = self.deletable(&content, wanted, &old);
        self.delete_debug(&sizes)?;
        let keys: Vec<String> = sizes.keys().cloned().collect();
        self.delete_all(&keys, |done: &mut PruneDone, key| {
            done.bytes += sizes.get(&key).copied().unwrap_or(0);
            done.objects.push(key);
        })
    }

    /// Those of `wanted` under `nar/` that are older than grace.
    fn old_nars(&mut self, wanted: &BTreeSet<String>) -> Result<HashSet<String>, PruneError> {
        let (view, grace, now) = (self.store.view(), self.grace, self.held.now());
        let list = || {
            let mut old = HashSet::new();
            let listed = view.list(Area::Nars, &mut |listed| {
                let is_old = |meta: Meta| now.since(meta.modified) >= grace;
                if wanted.contains(listed.key) && listed.meta.is_some_and(is_old) {
                    old.insert(listed.key.to_owned());
                }
            });
            listed.map(|()| old)
        };
        let (old, renewed) = self.held.renew_during(list);
        renewed?;
        Ok(old?)
    }

    /// Keys, with their bytes, that may go by what is there now.
    fn deletable(
        &self,
        content: &CacheContent,
        wanted: &BTreeSet<String>,
        old_nars: &HashSet<String>,
    ) -> BTreeMap<String, u64> {
        let now = self.held.now();
        let old = |object: &Nar| now.since(object.modified) >= self.grace;
        let mut named = vec![false; content.nars.len()];
        for nar in content.narinfos.iter().filter_map(Narinfo::nar) {
            if let Some(named) = named.get_mut(nar as usize) {
                *named = true;
            }
        }
        let nars = content
            .nars
            .numbers()
            .zip(named)
            .filter(|(_, named)| !named || !self.terms.keeps(Rule::NamedNow))
            .map(|(number, _)| content.nars.get(number))
            .filter(|nar| old_nars.contains(&nar.key));
        let at_work = |object: &&Nar| {
            let name = object.key.rsplit('/').next().unwrap_or_default();
            temporary_owner(name).is_some_and(is_running)
        };
        let left = content.leftovers.iter().filter(|object| !at_work(object));
        let mut sizes: BTreeMap<String, u64> = nars
            .chain(left.cloned())
            .filter(|object| wanted.contains(&object.key) && old(object))
            .map(|object| (object.key, object.size))
            .collect();
        let intents: HashMap<&str, bool> = content
            .intents
            .iter()
            .map(|intent| (intent.id.as_str(), intent.gone))
            .collect();
        for key in wanted {
            let gone = id_of(key)
                .is_some_and(|id| intent_key(id) == *key && intents.get(id).copied() == Some(true));
            if gone {
                sizes.insert(key.clone(), 0);
            }
        }
        sizes
    }
}
