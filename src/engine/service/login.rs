//! The tokens of private caches in the netrc file that Nix reads.
//!
//! Promise: what is the user's in that file stays as it is, and nobody else may read it once a token is in it.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;

use camino::Utf8Path;

use crate::config::model::CacheName;
use crate::engine::machine::{Machine, sentence};
use crate::engine::secret;
use crate::engine::work::Applying;
use crate::nix::netrc;
use crate::plan::desired::{Cache, Desired};
use crate::plan::observed::{Observation, Observed, Why};
use crate::plan::report::Outcome;
use crate::plan::service::{Entry, Login, Service};
use crate::plan::setup::{is_private, netrc_file};
use crate::provider::nix_conf;
use crate::sys::file;
use crate::sys::token::Token;
use crate::transfer::progress::Progress;

/// Largest netrc file that is read, in bytes.
const NETRC: u64 = 1 << 20;

/// What the netrc file of Nix has for the private caches of services.
pub(in crate::engine) fn logins(
    desired: &Desired,
    machine: &Machine,
    observed: &Observed,
    progress: &Progress,
) -> BTreeMap<CacheName, Observation<Login>> {
    let private = desired.caches.iter().filter_map(|(name, cache)| {
        let service = cache
            .place
            .service()
            .filter(|service| is_private(service))?;
        Some((name, service))
    });
    let Some(path) = netrc_file(desired, observed.nix.present()) else {
        return BTreeMap::new();
    };
    // A netrc file has one password for a host.
    let mut by_host: BTreeMap<String, (CacheName, Token)> = BTreeMap::new();
    private
        .map(|(name, service)| {
            let seen = look(machine, desired, service, &path, progress);
            let seen = seen.map(|(mut login, token)| {
                match by_host.get(&login.host) {
                    Some((other, first)) if !token.is_same(first) => {
                        login.entry = Entry::Contested {
                            with: other.clone(),
                        };
                    }
                    Some(_) => {}
                    None => {
                        by_host.insert(login.host.clone(), (name.clone(), token));
                    }
                }
                Observation::Present(login)
            });
            let seen = seen.unwrap_or_else(|why| Observation::Unknown(Why(why)));
            (name.clone(), seen)
        })
        .collect()
}

/// What stands in the file for the host of a cache, and the token that should.
fn look(
    machine: &Machine,
    desired: &Desired,
    service: &Service,
    path: &str,
    progress: &Progress,
) -> Result<(Login, Token), String> {
    let host = url::Url::parse(&service.url)
        .ok()
        .and_then(|url| Some(url.host_str()?.to_owned()))
        .ok_or("its address has no host")?;
    let token = secret::token(&machine.host, &desired.site.base, service, progress)?;
    let token = token.ok_or("there is no token here")?;
    let seen = nix_conf::files(&machine.host, [Utf8Path::new(path)]).remove(path);
    let (text, writable) = match seen {
        Some(Observation::Present(facts)) => (facts.text, facts.writable),
        Some(Observation::Absent) => (String::new(), nix_conf::may_create(Utf8Path::new(path))),
        Some(Observation::Unknown(why) | Observation::Error(why)) => return Err(why.0),
        None => return Err(format!("{path} was not looked at")),
    };
    let entry = match netrc::password(&text, &host) {
        None => Entry::Missing,
        Some(password) if token.is(password) => Entry::Same,
        Some(_) => Entry::Other,
    };
    let login = Login {
        file: path.to_owned(),
        host,
        writable,
        entry,
    };
    Ok((login, token))
}

/// Puts the token of a private cache into a netrc file. Only whoever owns it may read it then.
pub(in crate::engine) fn login(
    work: &Applying<'_>,
    cache: &Cache,
    path: &str,
) -> Result<(), Outcome> {
    let fail = |why: String| Outcome::Failed { why };
    let service = cache
        .place
        .service()
        .ok_or_else(|| fail("no service keeps it".to_owned()))?;
    let (machine, desired) = (work.machine, work.desired);
    let (seen, token) = look(machine, desired, service, path, work.progress).map_err(fail)?;
    let path = Utf8Path::new(path);
    let before = file::read_if_there(path.as_std_path(), NETRC);
    let before = before.map_err(|error| fail(sentence(&error)))?;
    if before.is_some() {
        keep_from_others(path)
            .map_err(|error| fail(format!("its mode cannot be changed: {error}")))?;
    }
    let before = String::from_utf8(before.unwrap_or_default());
    let before = before.map_err(|_| fail(format!("{path} is not UTF-8 text")))?;
    let after = token.written(|token| netrc::with_password(&before, &seen.host, token));
    if let Some(folder) = path.parent() {
        let made = std::fs::create_dir_all(folder);
        made.map_err(|error| fail(format!("the folder {folder} cannot be made: {error}")))?;
    }
    match file::write(path.as_std_path(), after.as_bytes(), 0o600) {
        Ok(_) => Ok(()),
        Err(error) => Err(fail(sentence(&error))),
    }
}

/// Takes the right to read a file from everybody who is neither its owner nor of its group.
fn keep_from_others(path: &Utf8Path) -> std::io::Result<()> {
    let mode = std::fs::metadata(path)?.permissions().mode() & 0o7777;
    if mode.trailing_zeros() >= 3 {
        return Ok(());
    }
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode & !0o007))
}
