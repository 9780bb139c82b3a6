//! The gate before push: what is found in NARs on their way, and whether it may pass.
//!
//! Promise: the secret itself leaves the scanner nowhere; only where it stands, its rule and its fingerprint.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::config::gate::{Allow, OnSecret, Secrets};
use crate::insight::secrets::{Finding, Scanner};
use crate::nix::store_path::StorePath;
use crate::plan::report::SecretFound;
use crate::transfer::gate::{Gate, Watch};

/// So many findings of one path are reported.
const MOST: usize = 100;

/// Looks for secrets in what one cache is to get.
pub(super) struct SecretGate {
    on: OnSecret,
    allow: Vec<Allow>,
    found: Mutex<BTreeMap<StorePath, Vec<SecretFound>>>,
}

impl SecretGate {
    /// The gate of a cache; `None`: nobody looks.
    pub(super) fn new(secrets: &Secrets, is_public: bool) -> Option<Arc<Self>> {
        let on = if is_public {
            secrets.on_public
        } else {
            secrets.on_private
        };
        (on != OnSecret::Off).then(|| {
            Arc::new(Self {
                on,
                allow: secrets.allow.clone(),
                found: Mutex::default(),
            })
        })
    }

    /// What was found in these paths and not let pass by a rule.
    pub(super) fn found<'p>(&self, paths: impl Iterator<Item = &'p StorePath>) -> Vec<SecretFound> {
        let found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        paths
            .filter_map(|path| found.get(path))
            .flatten()
            .cloned()
            .collect()
    }

    fn is_allowed(&self, file: &str, finding: &Finding) -> bool {
        let mut allow = self.allow.iter();
        let fits = allow.find(|allow| allow.fits(file, finding.rule, &finding.fingerprint));
        if let Some(allow) = fits {
            tracing::info!(file, rule = %finding.rule, reason = allow.reason, "let pass");
        }
        fits.is_some()
    }
}

impl Gate for SecretGate {
    fn begin(&self, path: &StorePath) -> Box<dyn Watch + '_> {
        Box::new(Look {
            gate: self,
            path: path.clone(),
            scanner: Scanner::default(),
            file: None,
            found: Vec::new(),
        })
    }

    fn may_refuse(&self) -> bool {
        self.on == OnSecret::Refuse
    }
}

/// A look at one path.
struct Look<'g> {
    gate: &'g SecretGate,
    path: StorePath,
    scanner: Scanner,
    /// The file that is being looked at.
    file: Option<String>,
    found: Vec<SecretFound>,
}

impl Look<'_> {
    fn end_file(&mut self) {
        let Some(file) = self.file.take() else { return };
        let findings = self.scanner.end();
        if findings.is_empty() {
            return;
        }
        let full = match file.as_str() {
            "" => self.path.name().to_owned(),
            file => format!("{}/{file}", self.path.name()),
        };
        for finding in findings {
            if self.gate.is_allowed(&full, &finding) {
                continue;
            }
            let is_known =
                |one: &SecretFound| one.file == file && one.fingerprint == finding.fingerprint;
            if self.found.len() < MOST && !self.found.iter().any(is_known) {
                self.found.push(SecretFound {
                    path: self.path.clone(),
                    file: file.clone(),
                    rule: finding.rule,
                    offset: finding.offset,
                    shown: finding.shown,
                    fingerprint: finding.fingerprint,
                    refused: self.gate.may_refuse(),
                });
            }
        }
    }
}

impl Watch for Look<'_> {
    fn file(&mut self, name: &[u8], size: u64) {
        self.end_file();
        self.file = Some(String::from_utf8_lossy(name).into_owned());
        self.scanner.begin(size);
    }

    fn content(&mut self, bytes: &[u8]) {
        self.scanner.content(bytes);
    }

    fn verdict(mut self: Box<Self>) -> Result<(), String> {
        self.end_file();
        let found = std::mem::take(&mut self.found);
        let Some(first) = found.first() else {
            return Ok(());
        };
        let more = match found.len() {
            1 => String::new(),
            many => format!(", and {} more", many - 1),
        };
        let why = format!("it holds {}{more}", first.told());
        let mut all = self
            .gate
            .found
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        all.insert(self.path.clone(), found);
        if self.gate.may_refuse() {
            Err(why)
        } else {
            Ok(())
        }
    }
}
