//! Reading secrets by reference. What is read goes into types that cannot be printed.

use camino::Utf8Path;

use super::machine::sentence;
use crate::config::secret::SecretRef;
use crate::nix::key::SecretKey;
use crate::plan::desired::Signing;
use crate::plan::observed::{Observation, Why};
use crate::sys::command::Command;
use crate::sys::file;
use crate::sys::host::Host;

/// Largest file or output that is taken for a key, in bytes.
const MAX: u64 = 64 << 10;

/// Why a secret cannot be had. Never says what it is.
pub(super) enum NoSecret {
    /// There is none.
    Missing,
    /// It cannot be read, or is none.
    Unreadable(String),
}

/// The signing key of a cache.
pub(super) fn signing_key(
    host: &Host,
    base: &Utf8Path,
    signing: &Signing,
) -> Result<SecretKey, NoSecret> {
    let text = read(host, base, &signing.secret)?;
    SecretKey::parse(text.trim()).map_err(|error| {
        NoSecret::Unreadable(format!(
            "the {} holds no secret key: {error}",
            signing.secret
        ))
    })
}

/// The public half of it, as an observation.
pub(super) fn public_key(
    host: &Host,
    base: &Utf8Path,
    signing: &Signing,
) -> Observation<crate::nix::key::PublicKey> {
    match signing_key(host, base, signing) {
        Ok(key) => Observation::Present(key.public()),
        Err(NoSecret::Missing) => match &signing.secret {
            SecretRef::File(_) => Observation::Absent,
            other => Observation::Unknown(Why(format!("the {other} is not set"))),
        },
        Err(NoSecret::Unreadable(why)) => Observation::Unknown(Why(why)),
    }
}

fn read(host: &Host, base: &Utf8Path, secret: &SecretRef) -> Result<String, NoSecret> {
    match secret {
        SecretRef::Env(name) => host
            .filled(name)
            .map(str::to_owned)
            .ok_or(NoSecret::Missing),
        SecretRef::File(path) => {
            let bytes = file::read_if_there(Utf8Path::new(path).as_std_path(), MAX)
                .map_err(|error| NoSecret::Unreadable(sentence(&error)))?
                .ok_or(NoSecret::Missing)?;
            String::from_utf8(bytes)
                .map_err(|_| NoSecret::Unreadable(format!("the {secret} is not UTF-8 text")))
        }
        SecretRef::Command(words) => {
            let fail = |why: String| NoSecret::Unreadable(format!("the {secret} failed: {why}"));
            let Some((program, arguments)) = words.split_first() else {
                return Err(NoSecret::Missing);
            };
            let program = host.program(program).unwrap_or_else(|| base.join(program));
            let output = Command::new(program)
                .args(arguments.iter().cloned())
                .environment(host.variables())
                .folder(base)
                .stdout_limit(usize::try_from(MAX).unwrap_or(usize::MAX))
                .output()
                .map_err(|error| fail(sentence(&error)))?;
            if !output.status.success() {
                return Err(fail(format!("{}", output.status)));
            }
            String::from_utf8(output.stdout).map_err(|_| fail("it does not print text".to_owned()))
        }
    }
}
