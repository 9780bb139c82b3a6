//! What `cache.yaml` says that a workflow can agree or disagree with.

use crate::config::model::{CacheKind, Config};
use crate::config::secret::SecretRef;

/// What a workflow is compared with.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Declared {
    /// The caches of Cachix.
    pub caches: Vec<Cachix>,
    /// `push.exclude`, as written.
    pub exclude: Vec<String>,
}

/// A cache of Cachix.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cachix {
    /// Its name there.
    pub name: String,
    /// Environment variable of its token; `None`: the token is elsewhere.
    pub token: Option<String>,
    /// Environment variable of its signing key; `None`: it has none, or the key is elsewhere.
    pub signing_key: Option<String>,
}

impl Declared {
    /// What `config` says.
    #[must_use]
    pub fn of(config: &Config) -> Self {
        let caches = config.caches.values().filter_map(|cache| {
            let CacheKind::Cachix(cachix) = &cache.kind else {
                return None;
            };
            let key = cachix.written.signing_key.as_ref();
            Some(Cachix {
                name: cachix.name.clone(),
                token: variable(&cachix.token),
                signing_key: key.and_then(|key| variable(&key.secret)),
            })
        });
        let exclude = config.push.exclude.iter();
        Self {
            caches: caches.collect(),
            exclude: exclude.map(|regex| regex.as_str().to_owned()).collect(),
        }
    }
}

fn variable(secret: &SecretRef) -> Option<String> {
    match secret {
        SecretRef::Env(name) => Some(name.clone()),
        SecretRef::File(_) | SecretRef::Command(_) => None,
    }
}
