//! What others wrote about paths and NARs that go: realisations and debug information.
//!
//! They lead a reader to what is deleted, so they go before it. Neither is counted: they are small,
//! and no plan names them.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{Prune, PruneError};
use crate::nix::closure::RowSet;
use crate::nix::store_path::HashPart;
use crate::plan::observed::CacheContent;
use crate::provider::binary_cache::{Area, CacheView, SMALL_OBJECT, StoreError};

impl Prune<'_> {
    /// Deletes the realisations whose path is one of those that go.
    pub(super) fn delete_realisations(
        &mut self,
        content: &CacheContent,
        going: &RowSet,
    ) -> Result<(), PruneError> {
        let leads = |object: &Value| {
            let path = path_of(object)?;
            let row = content.paths.row(&path)?;
            going.contains(row).then_some(())
        };
        if going.iter().next().is_none() {
            return Ok(());
        }
        self.delete_leading(Area::Realisations, &leads)
    }

    /// Deletes the debug information that lies in one of these NARs.
    pub(super) fn delete_debug(&mut self, nars: &BTreeMap<String, u64>) -> Result<(), PruneError> {
        let leads = |object: &Value| {
            let archive = object.get("archive")?.as_str()?;
            let key = archive.strip_prefix("../").unwrap_or(archive);
            nars.contains_key(key).then_some(())
        };
        if nars.is_empty() {
            return Ok(());
        }
        self.delete_leading(Area::Debug, &leads)
    }

    fn delete_leading(
        &mut self,
        area: Area,
        leads: &(dyn Fn(&Value) -> Option<()> + Sync),
    ) -> Result<(), PruneError> {
        let view = self.store.view();
        let (keys, renewed) = self.held.renew_during(|| leading(view, area, leads));
        renewed?;
        self.delete_all(&keys?, |_, _| {})
    }
}

/// The keys of an area whose objects lead to what goes. What is no such object is left alone.
fn leading(
    view: &dyn CacheView,
    area: Area,
    leads: &(dyn Fn(&Value) -> Option<()> + Sync),
) -> Result<Vec<String>, StoreError> {
    let mut all = Vec::new();
    view.list(area, &mut |listed| all.push(listed.key.to_owned()))?;
    let mut keys = Vec::new();
    for key in all {
        let object = match view.get(&key, SMALL_OBJECT) {
            Ok(object) => object,
            Err(StoreError::TooLarge { .. }) => None,
            Err(error) => return Err(error),
        };
        let value = object.and_then(|object| serde_json::from_slice(&object.bytes).ok());
        if value.as_ref().and_then(leads).is_some() {
            keys.push(key);
        }
    }
    keys.sort_unstable();
    Ok(keys)
}

/// The path of a realisation: `outPath`, as a base name or a whole path, wherever the version of its format has it.
fn path_of(object: &Value) -> Option<HashPart> {
    let fields = object.as_object()?;
    if let Some(path) = fields.get("outPath").and_then(Value::as_str) {
        let base = path.rsplit('/').next().unwrap_or(path);
        return base.split('-').next()?.parse().ok();
    }
    fields.values().find_map(path_of)
}
