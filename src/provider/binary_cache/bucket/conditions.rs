//! Whether a storage honours "only if there is none yet". Some answer well and overwrite, some
//! refuse whatever has a condition.
//!
//! What is found is written into the cache ([`KEY`]), by the very request that tries it out, so that
//! a plan, which only reads, can say what protection is lost.

use object_store::path::Path;
use serde_json::json;

use super::fault::{Refusal, refusal};
use super::{BucketStore, Inner, StoreError};
use crate::plan::record::{FOLDER, Head};
use crate::provider::binary_cache::{CacheView as _, Outcome, SMALL_OBJECT};

/// The object that says what was found.
pub(super) const KEY: &str = "nanna-cache/v1/conditions.json";

/// The words of the two findings.
const HONOURED: &str = "honoured";
const IGNORED: &str = "ignored";

fn body(finding: &str) -> Vec<u8> {
    let head = Head::ours();
    let mut body = serde_json::to_value(&head).unwrap_or_default();
    body["create-only"] = json!(finding);
    let mut bytes = body.to_string().into_bytes();
    bytes.push(b'\n');
    bytes
}

fn finding(bytes: &[u8]) -> Option<bool> {
    let body: serde_json::Value = serde_json::from_slice(bytes).ok()?;
    match body.get("create-only")?.as_str()? {
        HONOURED => Some(true),
        IGNORED => Some(false),
        _ => None,
    }
}

impl Inner {
    /// Whether conditions are honoured, tried out once in a process: who asks meanwhile waits.
    ///
    /// # Errors
    /// The storage cannot be written.
    pub(super) async fn are_conditions_honoured(&self) -> Result<bool, StoreError> {
        debug_assert!(KEY.starts_with(FOLDER), "it is one of our records");
        let tried = || self.try_conditions();
        self.conditions.get_or_try_init(tried).await.copied()
    }

    async fn try_conditions(&self) -> Result<bool, StoreError> {
        let path = self.path(KEY)?;
        let written = self.get(KEY, SMALL_OBJECT).await?;
        let said = written.and_then(|object| finding(&object.bytes));
        let tried = self.try_on(&path, said.is_none()).await;
        match tried {
            Ok(honoured) => {
                if honoured && said == Some(false) {
                    self.write(KEY, &path, body(HONOURED)).await?;
                }
                Ok(honoured)
            }
            // It does not know conditions: what is written without one is all that it can do.
            Err(error) if refusal(&error).is_some_and(Refusal::is_unknown_to_it) => {
                if said != Some(false) {
                    self.write(KEY, &path, body(IGNORED)).await?;
                }
                Ok(false)
            }
            Err(error) => Err(self.write_fault("write", KEY, &error)),
        }
    }

    async fn try_on(&self, path: &Path, is_new: bool) -> object_store::Result<bool> {
        if is_new {
            // Somebody else's is as good.
            let _ = self.create(path, body(HONOURED)).await?;
        }
        // There is one now: whoever writes over it says what is so.
        Ok(self.create(path, body(IGNORED)).await? == Outcome::Kept)
    }
}

impl BucketStore {
    /// Whether it is known, from this process or from what another wrote, that conditions are ignored.
    pub(super) fn is_known_unconditional(&self) -> bool {
        if let Some(honoured) = self.inner.conditions.get() {
            return !honoured;
        }
        let written = self.get(KEY, SMALL_OBJECT).ok().flatten();
        written.and_then(|object| finding(&object.bytes)) == Some(false)
    }
}
