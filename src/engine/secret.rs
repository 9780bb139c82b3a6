//! Reading secrets by reference. What is read goes into types that cannot be printed.

use std::time::Duration;

use camino::Utf8Path;

use super::machine::sentence;
use crate::config::secret::SecretRef;
use crate::nix::key::{PublicKey, SecretKey};
use crate::plan::desired::Signing;
use crate::plan::observed::{Observation, Why};
use crate::plan::service::Service;
use crate::provider::cachix::{API, of_client_file};
use crate::sys::command::Command;
use crate::sys::file;
use crate::sys::host::Host;
use crate::sys::token::Token;
use crate::transfer::progress::Progress;

/// Largest file or output that is taken for a key, in bytes.
const MAX: u64 = 64 << 10;
/// Time that a command has for it; said in the description of `signing-key`.
const PATIENCE: Duration = Duration::from_secs(30);

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
    progress: &Progress,
) -> Result<SecretKey, NoSecret> {
    let text = read(host, base, &signing.secret, progress)?;
    let text = text.trim();
    if text.parse::<PublicKey>().is_err() {
        // What is secret stands behind the name, and may be repeated without it.
        host.hide(text.split_once(':').map_or(text, |(_, secret)| secret));
    }
    let place = shown(host, &signing.secret);
    let unusable = |what: &str| NoSecret::Unreadable(format!("the {place} {what}"));
    if text.is_empty() {
        return Err(unusable("is empty"));
    }
    if text.parse::<PublicKey>().is_ok() {
        return Err(unusable("holds a public key where the secret one belongs"));
    }
    // The service takes the bytes of a key and names it itself; its client writes a key without any name.
    if signing.of_service {
        let bytes = text.split_once(':').map_or(text, |(_, bytes)| bytes);
        if let Ok(key) = SecretKey::parse(&format!("{}:{bytes}", signing.name)) {
            return Ok(key);
        }
    }
    SecretKey::parse(text).map_err(|error| unusable(&format!("holds no secret key: {error}")))
}

/// The token of a service, if there is one. Where `cache.yaml` does not say where it is, and the service is
/// Cachix itself, also the one that its own client keeps.
///
/// # Errors
/// Why it cannot be read; never what it is.
pub(super) fn token(
    host: &Host,
    base: &Utf8Path,
    service: &Service,
    progress: &Progress,
) -> Result<Option<Token>, String> {
    let place = shown(host, &service.token);
    match read(host, base, &service.token, progress) {
        Ok(text) if text.trim().is_empty() => Err(format!("the {place} is empty")),
        Ok(text) => {
            host.hide(&text);
            match Token::new(&text) {
                Some(token) => Ok(Some(token)),
                None => Err(format!(
                    "the {place} holds no token: it has blanks or other signs"
                )),
            }
        }
        Err(NoSecret::Unreadable(why)) => Err(why),
        Err(NoSecret::Missing) if service.token_given || service.api != API => Ok(None),
        Err(NoSecret::Missing) => {
            let path = host.xdg_config().join("cachix/cachix.dhall");
            let text = file::read_if_there(path.as_std_path(), MAX).ok().flatten();
            let text = text.and_then(|bytes| String::from_utf8(bytes).ok());
            let token = text.and_then(|text| of_client_file(&text));
            Ok(token.inspect(|token| token.hide(host)))
        }
    }
}

/// A reference as a person would write it: with `~` for the home folder.
fn shown(host: &Host, secret: &SecretRef) -> String {
    let short = match secret {
        SecretRef::File(path) => Utf8Path::new(path).strip_prefix(&host.home).ok(),
        SecretRef::Env(_) | SecretRef::Command(_) => None,
    };
    match short {
        Some(rest) => SecretRef::File(Utf8Path::new("~").join(rest).into_string()).to_string(),
        None => secret.to_string(),
    }
}

/// The public half of it, as an observation.
pub(super) fn public_key(
    host: &Host,
    base: &Utf8Path,
    signing: &Signing,
    progress: &Progress,
) -> Observation<PublicKey> {
    match signing_key(host, base, signing, progress) {
        Ok(key) => Observation::Present(key.public()),
        Err(NoSecret::Missing) => match &signing.secret {
            SecretRef::File(_) => Observation::Absent,
            other => Observation::Unknown(Why(format!("the {other} is not set"))),
        },
        Err(NoSecret::Unreadable(why)) => Observation::Unknown(Why(why)),
    }
}

fn read(
    host: &Host,
    base: &Utf8Path,
    secret: &SecretRef,
    progress: &Progress,
) -> Result<String, NoSecret> {
    match secret {
        SecretRef::Env(name) => host
            .filled(name)
            .map(str::to_owned)
            .ok_or(NoSecret::Missing),
        SecretRef::File(path) => {
            let bytes = file::read_if_there(Utf8Path::new(path).as_std_path(), MAX)
                .map_err(|error| NoSecret::Unreadable(sentence(&error)))?
                .ok_or(NoSecret::Missing)?;
            String::from_utf8(bytes).map_err(|_| {
                NoSecret::Unreadable(format!("the {} is not UTF-8 text", shown(host, secret)))
            })
        }
        SecretRef::Command(words) => {
            let fail = |why| NoSecret::Unreadable(format!("the {secret} failed: {why}"));
            match words.split_first() {
                None => Err(NoSecret::Missing),
                Some((program, arguments)) => {
                    let program = host.program(program).unwrap_or_else(|| base.join(program));
                    let command = Command::new(program)
                        .args(arguments.iter().cloned())
                        .environment(host.variables())
                        .folder(base);
                    printed(command, PATIENCE, progress).map_err(fail)
                }
            }
        }
    }
}

/// What a command prints, if it ends well in time. Whatever else it prints is never told: it may be
/// the secret, or a part of it.
fn printed(command: Command, patience: Duration, progress: &Progress) -> Result<String, String> {
    let output = command
        .time_limit(patience)
        .stdout_limit(usize::try_from(MAX).unwrap_or(usize::MAX))
        .run(&|| progress.is_stopped(), &mut |_| {})
        .map_err(|error| sentence(&error))?;
    if !output.status.success() {
        return Err(output.status.to_string());
    }
    String::from_utf8(output.stdout).map_err(|_| "it does not print text".to_owned())
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    fn seen(host: &Host, secret: SecretRef) -> Observation<PublicKey> {
        let signing = Signing {
            secret,
            generate: true,
            name: "dev-1".to_owned(),
            of_service: false,
        };
        public_key(host, Utf8Path::new("/"), &signing, &Progress::default())
    }

    #[test]
    fn why_a_key_cannot_be_used() {
        let folder = tempfile::tempdir().unwrap();
        let home = folder.path().to_str().unwrap();
        let host = Host::made_up([("HOME", home), ("EMPTY", "")]);
        let key = SecretKey::generate("dev-1", [3; 32]).unwrap();
        let file = folder.path().join("dev.sec");
        let at = || SecretRef::File(file.to_str().unwrap().to_owned());
        assert_eq!(seen(&host, at()), Observation::Absent);
        std::fs::write(&file, key.to_file_text() + "\n").unwrap();
        assert_eq!(seen(&host, at()), Observation::Present(key.public()));
        for (text, why) in [
            ("", "is empty"),
            (" \n", "is empty"),
            (
                &*key.public().to_string(),
                "holds a public key where the secret one belongs",
            ),
            ("junk", "holds no secret key: "),
            (&key.to_file_text()[..90], "holds no secret key: "),
        ] {
            std::fs::write(&file, text).unwrap();
            let Observation::Unknown(Why(said)) = seen(&host, at()) else {
                panic!("{text}")
            };
            assert!(
                said.starts_with(&format!("the file `~/dev.sec` {why}")),
                "{said}"
            );
            assert!(text.trim().is_empty() || !said.contains(text), "{said}");
        }
        std::fs::write(&file, [0xff, 0xfe]).unwrap();
        assert!(seen(&host, at()).unknown().unwrap().0.contains("UTF-8"));
        for name in ["EMPTY", "UNSET"] {
            let why = format!("the environment variable `{name}` is not set");
            assert_eq!(
                seen(&host, SecretRef::Env(name.to_owned())),
                Observation::Unknown(Why(why))
            );
        }
    }

    #[test]
    fn a_service_names_a_key_itself_whichever_form_it_has() {
        let key = SecretKey::generate("mine-1", [3; 32]).unwrap();
        let text = key.to_file_text();
        let bare = text.split_once(':').unwrap().1;
        let named = |text: &str, of_service| {
            let host = Host::made_up([("HOME", "/"), ("KEY", text)]);
            let signing = Signing {
                secret: SecretRef::Env("KEY".to_owned()),
                generate: false,
                name: "team.cachix.org-1".to_owned(),
                of_service,
            };
            let seen = public_key(&host, Utf8Path::new("/"), &signing, &Progress::default());
            seen.present().map(ToString::to_string)
        };
        let public = key.public().to_string();
        let renamed = public.replace("mine-1:", "team.cachix.org-1:");
        assert_eq!(named(&text, true), Some(renamed.clone()));
        assert_eq!(named(bare, true), Some(renamed));
        assert_eq!(named(&text, false), Some(public));
        assert_eq!(named(bare, false), None);
        assert_eq!(named("mine-1:junk", true), None);
    }

    fn shell(script: &str) -> Command {
        Command::new("/bin/sh").args(["-c", script])
    }

    #[test]
    fn a_command_that_hangs_is_ended_with_its_children_and_says_nothing_of_what_it_printed() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("alive");
        let script = format!(
            "echo hush; echo hush >&2; (while :; do echo . >> {}; sleep 0.02; done) & sleep 100",
            file.display()
        );
        let began = Instant::now();
        let why = printed(
            shell(&script),
            Duration::from_millis(300),
            &Progress::default(),
        )
        .unwrap_err();
        assert!(began.elapsed() < Duration::from_secs(20));
        assert!(
            why.contains("it took longer than") && !why.contains("hush"),
            "{why}"
        );
        let size = || std::fs::metadata(&file).unwrap().len();
        let before = size();
        std::thread::sleep(Duration::from_millis(300));
        assert_eq!(size(), before, "its child lives on");
    }

    #[test]
    fn a_command_that_hangs_is_ended_when_everything_is() {
        let progress = Progress::default();
        progress.stop();
        let began = Instant::now();
        let why = printed(shell("sleep 20; echo key"), PATIENCE, &progress).unwrap_err();
        assert!(why.contains("stopped"), "{why}");
        assert!(began.elapsed() < PATIENCE / 2);
    }

    #[test]
    fn a_command_that_fails_says_nothing_of_what_it_printed() {
        let failed =
            |script: &str| printed(shell(script), PATIENCE, &Progress::default()).unwrap_err();
        let why = failed("echo hush; echo hush >&2; exit 3");
        assert!(why.contains('3') && !why.contains("hush"), "{why}");
        let why = failed("echo hush; printf '\\377'");
        assert_eq!(why, "it does not print text");
        let why = failed("yes hush | head -c 70000");
        assert!(why.contains("more than") && !why.contains("hush"), "{why}");
        let key = printed(shell("echo key"), PATIENCE, &Progress::default());
        assert_eq!(key.unwrap(), "key\n");
    }
}
