//! Looking: the cache object, `nix-cache-info`, pins, and which paths are missing. Nothing is written.

use std::collections::BTreeSet;

use reqwest::Method;

use super::wire::{CacheObject, NewCache, NewKey, User};
use super::{CachixError, Client, QUESTION};
use crate::nix::store_path::{HashPart, StoreDir};
use crate::plan::observed::{CacheContent, Observation, Why};
use crate::plan::service::ServiceFacts;
use crate::plan::service::record::Records;

/// Nobody stops a look that has its own short patience.
pub(super) fn never() -> bool {
    false
}

impl Client {
    /// What the service says of the cache. `Absent`: it says that there is none, to a caller whom it
    /// would tell; without a token nobody can tell that from a private one, so that is unknown.
    /// With a directory of store paths, our records are read, too.
    #[must_use]
    pub fn observe(&self, records: Option<&StoreDir>) -> Observation<CacheContent> {
        let object = self.object();
        let object = match object {
            Ok(object) => object,
            Err(CachixError::Absent { .. }) if self.has_token() => return Observation::Absent,
            Err(CachixError::Absent { .. }) => {
                return Observation::Unknown(Why(format!(
                    "{} knows no public cache `{}`, and a private one is only shown to who has its token",
                    self.host, self.name
                )));
            }
            Err(error) if error.is_outage() => {
                return Observation::Unknown(Why(format!("failed to {error}")));
            }
            Err(error) => return Observation::Error(Why(format!("failed to {error}"))),
        };
        let mut unseen = Vec::new();
        if object.uri.trim_end_matches('/') != self.url {
            unseen.push((
                "address".to_owned(),
                format!(
                    "the service says that it is read at another address than {}, which is declared",
                    self.url
                ),
            ));
        }
        let info = match self.info() {
            Ok(info) => Some(info),
            Err(error) => {
                unseen.push(("nix-cache-info".to_owned(), format!("failed to {error}")));
                None
            }
        };
        let pins = self
            .pins(&never)
            .map_err(|error| format!("failed to {error}"));
        let records = match (&pins, records) {
            (Ok(pins), Some(store_dir)) => self.records(pins, store_dir, &mut unseen),
            _ => Records::default(),
        };
        let may_write = object.may_write();
        Observation::Present(CacheContent {
            info,
            folders: true,
            service: Some(ServiceFacts {
                is_public: object.is_public,
                keys: object.public_signing_keys,
                has_token: self.has_token(),
                may_write,
                pins,
                records,
                unseen,
            }),
            ..CacheContent::default()
        })
    }

    fn object(&self) -> Result<CacheObject, CachixError> {
        let what = "look at the cache";
        let to = (Method::GET, self.of_cache(""));
        let answer = self.ask(what, to, Vec::new(), self.patience, &never)?;
        self.read(what, &answer)
    }

    /// `nix-cache-info`, from where Nix reads it.
    fn info(&self) -> Result<String, CachixError> {
        let what = "read nix-cache-info";
        let url = self.of_cache("/nix-cache-info");
        let answer = self.ask(what, (Method::GET, url), Vec::new(), self.patience, &never)?;
        Ok(String::from_utf8_lossy(&answer.body).into_owned())
    }

    /// Which of these the cache lacks. What an upstream of the cache has does not count as missing.
    ///
    /// # Errors
    /// The service did not answer, or not to us.
    pub fn missing(
        &self,
        hashes: &BTreeSet<HashPart>,
        is_stopped: &dyn Fn() -> bool,
    ) -> Result<BTreeSet<HashPart>, CachixError> {
        let what = "ask which paths are missing";
        let all: Vec<String> = hashes.iter().map(ToString::to_string).collect();
        let mut missing = BTreeSet::new();
        for chunk in all.chunks(QUESTION) {
            let body = self.body(what, &chunk)?;
            let to = (Method::POST, self.of_cache("/narinfo"));
            let answer = self.ask(what, to, body, self.patience, is_stopped)?;
            let answered: Vec<String> = self.read(what, &answer)?;
            for text in answered {
                let hash = text
                    .parse::<HashPart>()
                    .ok()
                    .filter(|hash| hashes.contains(hash));
                missing.insert(hash.ok_or_else(|| CachixError::Malformed {
                    what,
                    host: self.host.clone(),
                    why: "it names a path that was not asked for".to_owned(),
                })?);
            }
        }
        Ok(missing)
    }

    /// Makes the cache; the service makes its key, too, where it is to sign.
    ///
    /// # Errors
    /// The token is none of an account, or the service refused.
    pub fn create(&self, is_public: bool, generate_signing_key: bool) -> Result<(), CachixError> {
        let what = "look whose the token is";
        let to = (Method::GET, format!("{}/user", self.api));
        let answer = self.ask(what, to, Vec::new(), self.patience, &never)?;
        let user: User = self.read(what, &answer)?;
        let new = NewCache {
            is_public,
            generate_signing_key,
            account_id: user.id,
        };
        self.once("make the cache", "", &new, &CacheObject::may_write)
    }

    /// Registers the public key of a cache that does not sign by itself (base64, without its name).
    ///
    /// # Errors
    /// The service refused.
    pub fn register_key(&self, public_key: &str) -> Result<(), CachixError> {
        let is_registered = |object: &CacheObject| {
            let mut keys = object.public_signing_keys.iter();
            keys.any(|key| key.ends_with(&format!(":{public_key}")))
        };
        let new = NewKey {
            public_key: public_key.to_owned(),
        };
        self.once("register the public key", "/key", &new, &is_registered)
    }

    /// Asks for what a second time is refused, where the first may have been heard without an answer: then
    /// what the cache looks like decides.
    fn once(
        &self,
        what: &'static str,
        below: &str,
        new: &impl serde::Serialize,
        is_done: &dyn Fn(&CacheObject) -> bool,
    ) -> Result<(), CachixError> {
        let to = (Method::POST, self.of_cache(below));
        let body = self.body(what, new)?;
        match self.ask(what, to, body, self.patience, &never) {
            Ok(_) => Ok(()),
            Err(error) => match self.object() {
                Ok(object) if is_done(&object) => Ok(()),
                _ => Err(error),
            },
        }
    }
}
