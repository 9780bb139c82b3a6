//! Where credentials are: the environment, the profile files of AWS, the machine itself.

use camino::Utf8Path;
use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey};

use super::StoreError;
use crate::sys::file;
use crate::sys::host::Host;

/// Larger files are not read.
pub(super) const MAX: u64 = 1 << 20;

/// A credential that a variable, or an entry of a profile, of this name holds: without white space at its
/// ends, which is what a secret that was pasted often has. `None`: nothing is left of it.
///
/// # Errors
/// It has characters that cannot be sent.
pub(super) fn usable(name: &str, value: &str) -> Result<Option<String>, StoreError> {
    let value = value.trim();
    if !value.bytes().all(|byte| byte.is_ascii_graphic()) {
        let why = "it has a space, a line end or another character that no credential has";
        return Err(StoreError::refused("use", name, why));
    }
    Ok((!value.is_empty()).then(|| value.to_owned()))
}

/// That of a variable.
///
/// # Errors
/// As [`usable`].
pub(super) fn variable(host: &Host, name: &str) -> Result<Option<String>, StoreError> {
    let value = host.filled(name).map(|value| usable(name, value));
    Ok(value.transpose()?.flatten())
}

/// That the file which a variable names holds something that can be sent as it is.
///
/// # Errors
/// It does not.
fn check_file(host: &Host, name: &str) -> Result<(), StoreError> {
    let Some(path) = host.filled(name) else {
        return Ok(());
    };
    let found = file::read_if_there(host.folder.join(path).as_std_path(), MAX);
    let bytes = found.ok().flatten().unwrap_or_default();
    if bytes.iter().all(u8::is_ascii_graphic) {
        return Ok(());
    }
    let why =
        "the file that it names has a space, a line end or another character that no token has";
    Err(StoreError::refused("use", name, why))
}

/// Whether this machine is one of a cloud's, by what its firmware says of itself.
pub(super) fn runs_in(word: &str) -> bool {
    ["sys_vendor", "product_name"].iter().any(|name| {
        let path = format!("/sys/class/dmi/id/{name}");
        let found = file::read_if_there(Utf8Path::new(&path).as_std_path(), 4096);
        let found = found.ok().flatten();
        found.is_some_and(|bytes| String::from_utf8_lossy(&bytes).contains(word))
    })
}

/// Whether a service hands out credentials.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lent {
    No,
    /// The machine looks as if there were one.
    Perhaps,
    /// Variables name one.
    Yes,
}

/// The services of AWS that hand out credentials.
///
/// # Errors
/// What variables say of them cannot be sent.
pub(super) fn services(
    mut builder: AmazonS3Builder,
    host: &Host,
) -> Result<(AmazonS3Builder, Lent), StoreError> {
    use AmazonS3ConfigKey as Key;
    for (name, key) in [
        ("AWS_WEB_IDENTITY_TOKEN_FILE", Key::WebIdentityTokenFile),
        ("AWS_ROLE_ARN", Key::RoleArn),
        ("AWS_ROLE_SESSION_NAME", Key::RoleSessionName),
        ("AWS_ENDPOINT_URL_STS", Key::StsEndpoint),
        (
            "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
            Key::ContainerCredentialsRelativeUri,
        ),
        (
            "AWS_CONTAINER_CREDENTIALS_FULL_URI",
            Key::ContainerCredentialsFullUri,
        ),
        (
            "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
            Key::ContainerAuthorizationTokenFile,
        ),
    ] {
        if let Some(value) = host.filled(name) {
            // All but the files are sent; those have names of any characters.
            let value = if name.ends_with("_FILE") {
                Some(value.to_owned())
            } else {
                usable(name, value)?
            };
            if let Some(value) = value {
                builder = builder.with_config(key, value);
            }
        }
    }
    check_file(host, "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE")?;
    let is_given = |name: &str| host.filled(name).is_some();
    let service = is_given("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI")
        || (is_given("AWS_WEB_IDENTITY_TOKEN_FILE") && is_given("AWS_ROLE_ARN"))
        || (is_given("AWS_CONTAINER_CREDENTIALS_FULL_URI")
            && is_given("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"));
    let metadata = host.filled("AWS_EC2_METADATA_DISABLED") != Some("true");
    let lent = if service {
        Lent::Yes
    } else if metadata && runs_in("Amazon EC2") {
        Lent::Perhaps
    } else {
        Lent::No
    };
    Ok((builder, lent))
}

/// The profile that is in effect, of `~/.aws/credentials` and `~/.aws/config`.
pub(super) struct Profile(Vec<(String, String)>);

impl Profile {
    pub(super) fn read(host: &Host) -> Option<Self> {
        let name = host.filled("AWS_PROFILE").unwrap_or("default");
        let place = |variable: &str, file: &str| {
            let usual = || host.home.join(".aws").join(file);
            host.filled(variable)
                .map_or_else(usual, |path| host.folder.join(path))
        };
        let files = [
            place("AWS_SHARED_CREDENTIALS_FILE", "credentials"),
            place("AWS_CONFIG_FILE", "config"),
        ];
        let mut entries = Vec::new();
        for path in files {
            let bytes = file::read_if_there(path.as_std_path(), MAX).ok().flatten();
            let text = bytes.map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
            entries.extend(section(&text.unwrap_or_default(), name));
        }
        (!entries.is_empty()).then_some(Self(entries))
    }

    pub(super) fn get(&self, entry: &str) -> Option<String> {
        let found = self.0.iter().find(|(name, _)| name == entry);
        found.map(|(_, value)| value.clone())
    }
}

/// The entries of a profile in a file, where its heading may begin with `profile`.
fn section(text: &str, name: &str) -> Vec<(String, String)> {
    let mut entries = Vec::new();
    let mut inside = false;
    for line in text.lines() {
        let trimmed = line.trim();
        if let Some(heading) = trimmed.strip_prefix('[').and_then(|h| h.strip_suffix(']')) {
            let heading = heading.trim();
            let bare = heading.strip_prefix("profile ").map_or(heading, str::trim);
            inside = bare == name;
        } else if inside
            && !line.starts_with([' ', '\t', '#', ';'])
            && let Some((key, value)) = trimmed.split_once('=')
        {
            entries.push((key.trim().to_ascii_lowercase(), value.trim().to_owned()));
        }
    }
    entries
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_profile_is_read_from_both_kinds_of_file() {
        let credentials = "# c\n[default]\naws_access_key_id = A\n[ci]\naws_access_key_id=B\n s3 =\n  x = 1\nregion = eu\n";
        assert_eq!(
            section(credentials, "default"),
            [("aws_access_key_id".to_owned(), "A".to_owned())]
        );
        let ci = section(credentials, "ci");
        assert_eq!(ci.len(), 2, "{ci:?}");
        assert_eq!(ci[1], ("region".to_owned(), "eu".to_owned()));
        assert_eq!(section("[profile ci]\nregion = us\n", "ci").len(), 1);
        assert!(section("", "ci").is_empty());
    }
}
