//! Pins. Setting one may take effect without an answer, and setting it twice makes two revisions; so
//! after each try the list is asked, and only what it does not show is tried again.

use std::collections::BTreeSet;
use std::time::Duration;

use reqwest::Method;
use url::form_urlencoded::byte_serialize;

use super::wire::{NewPin, PinObject};
use super::{CachixError, Client};
use crate::nix::store_path::StorePath;
use crate::plan::service::{Keep, ServicePin};
use crate::sys::http::Patience;

/// How often a pin is set before that is given up.
const TRIES: usize = 4;

impl Client {
    /// The pins of the cache, the oldest first as far as the service says; of a name that is listed twice, the
    /// first.
    ///
    /// # Errors
    /// The service did not answer, or not to us.
    pub fn pins(&self, is_stopped: &dyn Fn() -> bool) -> Result<Vec<ServicePin>, CachixError> {
        let what = "list the pins";
        let to = (Method::GET, self.of_cache("/pin"));
        let answer = self.ask(what, to, Vec::new(), self.patience, is_stopped)?;
        let listed: Vec<PinObject> = self.read(what, &answer)?;
        let mut pins: Vec<ServicePin> = Vec::with_capacity(listed.len());
        let mut names = BTreeSet::new();
        let mut listed: Vec<PinObject> = listed
            .into_iter()
            .filter(|pin| names.insert(pin.name.clone()))
            .collect();
        // Times of one form, so their texts are in their order.
        listed.sort_by(|a, b| a.created_on.cmp(&b.created_on));
        for pin in listed {
            let revision = pin.last_revision;
            let path = revision.as_ref().and_then(|revision| {
                let (_, base) = revision.store_path.rsplit_once('/')?;
                base.parse().ok()
            });
            pins.push(ServicePin {
                name: pin.name,
                path,
                artifacts: revision
                    .map(|revision| revision.artifacts)
                    .unwrap_or_default(),
                keep: pin.keep.map(Keep::from),
            });
        }
        Ok(pins)
    }

    /// Pins a path (in full), and looks that it is so.
    ///
    /// # Errors
    /// The service refused it, or does not list it after all tries.
    pub fn pin(
        &self,
        wanted: &ServicePin,
        path: &str,
        is_stopped: &dyn Fn() -> bool,
    ) -> Result<(), CachixError> {
        let what = "pin";
        let new = NewPin {
            name: &wanted.name,
            store_path: path,
            artifacts: &wanted.artifacts,
            keep: wanted.keep.map(Into::into),
        };
        let body = self.body(what, &new)?;
        let mut tries = 0;
        loop {
            tries += 1;
            let to = (Method::POST, self.of_cache("/pin"));
            let set = self.ask(what, to, body.clone(), Patience::NONE, is_stopped);
            if let Err(error) = &set
                && !error.is_outage()
            {
                return set.map(drop);
            }
            if self.pins(is_stopped)?.contains(wanted) {
                return Ok(());
            }
            if tries >= TRIES {
                set?;
                return Err(CachixError::Malformed {
                    what,
                    host: self.host.clone(),
                    why: "it says that the pin is set, and does not list it".to_owned(),
                });
            }
            std::thread::sleep(Duration::from_millis(200 << tries));
        }
    }

    /// Deletes a pin, if it still names this path.
    ///
    /// # Errors
    /// The service did not answer, or refused.
    pub fn unpin(
        &self,
        name: &str,
        path: &StorePath,
        is_stopped: &dyn Fn() -> bool,
    ) -> Result<Unpinned, CachixError> {
        let what = "delete a pin";
        let mut tries = 0;
        loop {
            let held = self.pins(is_stopped)?;
            match held.iter().find(|pin| pin.name == name) {
                None if tries == 0 => return Ok(Unpinned::Absent),
                None => return Ok(Unpinned::Done),
                Some(pin) if pin.path.as_ref() != Some(path) => return Ok(Unpinned::Other),
                Some(_) => {}
            }
            tries += 1;
            let encoded: String = byte_serialize(name.as_bytes()).collect();
            // In a path a space is not a plus.
            let encoded = encoded.replace('+', "%20");
            let to = (Method::DELETE, self.of_cache(&format!("/pin/{encoded}")));
            let gone = self.ask(what, to, Vec::new(), Patience::NONE, is_stopped);
            match &gone {
                // It may be gone without our being told.
                Ok(_) => {}
                Err(error) if error.is_outage() => {}
                Err(CachixError::Absent { .. }) if tries < TRIES => {}
                Err(_) => return gone.map(|_| Unpinned::Done),
            }
            if tries >= TRIES {
                let held = self.pins(is_stopped)?;
                if held.iter().all(|pin| pin.name != name) {
                    return Ok(Unpinned::Done);
                }
                gone?;
                return Err(CachixError::Malformed {
                    what,
                    host: self.host.clone(),
                    why: "it says that the pin is deleted, and lists it still".to_owned(),
                });
            }
            if gone.is_err() {
                std::thread::sleep(Duration::from_millis(200 << tries));
            }
        }
    }
}

/// What became of a pin that was to be deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unpinned {
    /// It is deleted.
    Done,
    /// Somebody had deleted it before.
    Absent,
    /// It names another path by now, and stays.
    Other,
}
