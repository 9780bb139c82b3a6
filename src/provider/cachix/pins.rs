//! Pins. Setting one may take effect without an answer, and setting it twice makes two revisions; so
//! after each try the list is asked, and only what it does not show is tried again.

use std::time::Duration;

use reqwest::Method;

use super::wire::{NewPin, PinObject};
use super::{CachixError, Client};
use crate::plan::service::{Keep, ServicePin};
use crate::sys::http::Patience;

/// How often a pin is set before that is given up.
const TRIES: usize = 4;

impl Client {
    /// The pins of the cache; of a name that is listed twice, the first.
    ///
    /// # Errors
    /// The service did not answer, or not to us.
    pub fn pins(&self, is_stopped: &dyn Fn() -> bool) -> Result<Vec<ServicePin>, CachixError> {
        let what = "list the pins";
        let to = (Method::GET, self.of_cache("/pin"));
        let answer = self.ask(what, to, Vec::new(), self.patience, is_stopped)?;
        let listed: Vec<PinObject> = self.read(what, &answer)?;
        let mut pins: Vec<ServicePin> = Vec::with_capacity(listed.len());
        for pin in listed {
            if pins.iter().any(|known| known.name == pin.name) {
                continue;
            }
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
}
