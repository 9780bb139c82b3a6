//! From a bucket in `cache.yaml` to a store: endpoint, credentials, the client.
//!
//! Credentials are found where the storage's own tools find them: the environment, the profile files
//! of AWS, the credential file of gcloud, and the service of the cloud that this machine runs in.
//! Where there are none the requests are not signed: what is public can still be read.

use std::sync::Arc;
use std::time::Duration;

use camino::Utf8Path;
use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey, S3ConditionalPut};
use object_store::azure::{AzureConfigKey, MicrosoftAzureBuilder};
use object_store::gcp::{GoogleCloudStorageBuilder, GoogleConfigKey};
use object_store::list::PaginatedListStore;
use object_store::{ClientOptions, ObjectStore, RetryConfig};
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};

use super::fault::{Asked, fault};
use super::line::Line;
use super::wire::{Facts, Patience, Wire};
use super::{BucketStore, StoreError};
use crate::config::model::{Bucket, Storage};
use crate::sys::file;
use crate::sys::host::Host;
use crate::sys::http::{Http, Options};

/// Larger profile files are not read.
const MAX: u64 = 1 << 20;

/// Time without a byte of an answer.
const IDLE: Duration = Duration::from_mins(2);

/// The same for requests with a body, where it would begin before the body is sent: these have a limit
/// of their own.
const NEVER: Duration = Duration::from_mins(30);

/// What a store is made of.
pub(super) struct Parts {
    pub(super) store: Arc<dyn ObjectStore>,
    /// Copies an object onto itself, which makes it young.
    pub(super) copying: Arc<dyn ObjectStore>,
    /// Deletes each object by a request of its own, where the store would take one for many.
    pub(super) deleting_plainly: Option<Arc<dyn ObjectStore>>,
    pub(super) pages: Option<Arc<dyn PaginatedListStore>>,
    pub(super) goes_on_after_a_key: bool,
    pub(super) has_credentials: bool,
    pub(super) facts: Arc<Facts>,
    pub(super) line: Arc<Line>,
}

impl BucketStore {
    /// The store of a bucket. Nothing is sent yet; `identity` tells it from every other.
    ///
    /// # Errors
    /// The credentials that were found are of no use, or no client can be made.
    pub fn open(bucket: &Bucket, identity: String, host: &Host) -> Result<Self, StoreError> {
        Self::open_with(bucket, identity, host, Patience::default())
    }

    /// As [`BucketStore::open`], with another patience.
    ///
    /// # Errors
    /// As [`BucketStore::open`].
    pub fn open_with(
        bucket: &Bucket,
        identity: String,
        host: &Host,
        patience: Patience,
    ) -> Result<Self, StoreError> {
        Self::open_on(bucket, identity, host, patience, Line::of_process())
    }

    pub(super) fn open_on(
        bucket: &Bucket,
        identity: String,
        host: &Host,
        patience: Patience,
        line: Arc<Line>,
    ) -> Result<Self, StoreError> {
        let client = |idle_timeout| {
            let options = Options {
                idle_timeout,
                redirects: 0,
                ..Options::of(host)
            };
            let client = Http::new(&options).map(|http| http.client());
            client.map_err(|error| StoreError::refused("open", &bucket.name, error))
        };
        let wire = Wire {
            client: client(IDLE)?,
            sender: client(NEVER)?,
            line,
            patience,
            facts: Arc::default(),
        };
        let parts = match bucket.storage {
            Storage::S3 => s3(bucket, host, wire),
            Storage::Gcs => gcs(bucket, host, wire),
            Storage::Azure => azure(bucket, host, wire),
        };
        let parts = parts.map_err(|error| {
            let asked = Asked {
                action: "open",
                key: &bucket.name,
                bucket: &bucket.name,
                writes: false,
                has_credentials: true,
            };
            fault(&error, &asked)
        })?;
        Ok(Self::new(parts, &bucket.prefix, &bucket.name, identity))
    }
}

/// The wire tries again by itself.
fn once() -> RetryConfig {
    RetryConfig {
        max_retries: 0,
        ..RetryConfig::default()
    }
}

fn parts<S: ObjectStore + PaginatedListStore>(
    store: S,
    has_credentials: bool,
    (facts, line): (Arc<Facts>, Arc<Line>),
) -> Parts {
    let store = Arc::new(store);
    Parts {
        pages: Some(Arc::<S>::clone(&store)),
        copying: Arc::<S>::clone(&store),
        deleting_plainly: None,
        goes_on_after_a_key: false,
        store,
        has_credentials,
        facts,
        line,
    }
}

/// Whether this machine is one of a cloud's, by what its firmware says of itself.
fn runs_in(word: &str) -> bool {
    ["sys_vendor", "product_name"].iter().any(|name| {
        let path = format!("/sys/class/dmi/id/{name}");
        let found = file::read_if_there(Utf8Path::new(&path).as_std_path(), 4096);
        let found = found.ok().flatten();
        found.is_some_and(|bytes| String::from_utf8_lossy(&bytes).contains(word))
    })
}

fn s3(bucket: &Bucket, host: &Host, wire: Wire) -> object_store::Result<Parts> {
    use AmazonS3ConfigKey as Key;
    let profile = Profile::read(host);
    let get = |variable: &str, entry: &str| {
        let given = host.filled(variable).map(str::to_owned);
        given.or_else(|| profile.as_ref().and_then(|profile| profile.get(entry)))
    };
    let facts = (Arc::clone(&wire.facts), Arc::clone(&wire.line));
    let mut builder = AmazonS3Builder::new()
        .with_bucket_name(&bucket.name)
        .with_retry(once())
        .with_conditional_put(S3ConditionalPut::ETagMatch)
        .with_http_connector(wire);
    let region = bucket.region.clone();
    let region = region
        .or_else(|| get("AWS_REGION", "region"))
        .or_else(|| get("AWS_DEFAULT_REGION", "region"));
    if let Some(region) = region {
        builder = builder.with_region(region);
    }
    let endpoint = bucket.endpoint.clone();
    let endpoint = endpoint
        .or_else(|| get("AWS_ENDPOINT_URL_S3", "endpoint_url"))
        .or_else(|| get("AWS_ENDPOINT_URL", "endpoint_url"));
    if let Some(endpoint) = endpoint {
        builder = builder.with_endpoint(endpoint);
    }
    let mut has = true;
    // A key in the environment goes with the secret and the token there, never with a profile's.
    let from_environment = host.filled("AWS_ACCESS_KEY_ID").is_some();
    let take = |variable: &str, entry: &str| {
        if from_environment {
            host.filled(variable).map(str::to_owned)
        } else {
            profile.as_ref().and_then(|profile| profile.get(entry))
        }
    };
    if let Some(id) = take("AWS_ACCESS_KEY_ID", "aws_access_key_id") {
        builder = builder.with_access_key_id(id);
        if let Some(secret) = take("AWS_SECRET_ACCESS_KEY", "aws_secret_access_key") {
            builder = builder.with_secret_access_key(secret);
        }
        if let Some(token) = take("AWS_SESSION_TOKEN", "aws_session_token") {
            builder = builder.with_token(token);
        }
    } else {
        let mut services = 0;
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
                builder = builder.with_config(key, value);
                services += 1;
            }
        }
        let metadata = host.filled("AWS_EC2_METADATA_DISABLED") != Some("true");
        has = services > 0 || (metadata && runs_in("Amazon EC2"));
        builder = builder.with_skip_signature(!has);
    }
    let store = builder.clone().build()?;
    // The credentials are asked for once, whoever uses them.
    let builder = builder.with_credentials(Arc::clone(store.credentials()));
    let plainly = builder.clone().with_disable_bulk_delete(true).build()?;
    // AWS copies nothing onto itself but where it is told to write the headers anew.
    let mut replace = HeaderMap::new();
    let directive = HeaderName::from_static("x-amz-metadata-directive");
    replace.insert(directive, HeaderValue::from_static("REPLACE"));
    let options = ClientOptions::new().with_default_headers(replace);
    let copying = Arc::new(builder.with_client_options(options).build()?);
    Ok(Parts {
        copying,
        deleting_plainly: Some(Arc::new(plainly)),
        goes_on_after_a_key: true,
        ..parts(store, has, facts)
    })
}

/// The profile that is in effect, of `~/.aws/credentials` and `~/.aws/config`.
struct Profile(Vec<(String, String)>);

impl Profile {
    fn read(host: &Host) -> Option<Self> {
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

    fn get(&self, entry: &str) -> Option<String> {
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

fn gcs(bucket: &Bucket, host: &Host, wire: Wire) -> object_store::Result<Parts> {
    let facts = (Arc::clone(&wire.facts), Arc::clone(&wire.line));
    let mut builder = GoogleCloudStorageBuilder::new()
        .with_bucket_name(&bucket.name)
        .with_retry(once())
        .with_http_connector(wire);
    if let Some(endpoint) = &bucket.endpoint {
        builder = builder.with_base_url(endpoint);
    }
    let mut given = false;
    for (name, key) in [
        ("GOOGLE_SERVICE_ACCOUNT", GoogleConfigKey::ServiceAccount),
        (
            "GOOGLE_SERVICE_ACCOUNT_PATH",
            GoogleConfigKey::ServiceAccount,
        ),
        (
            "GOOGLE_SERVICE_ACCOUNT_KEY",
            GoogleConfigKey::ServiceAccountKey,
        ),
        (
            "GOOGLE_APPLICATION_CREDENTIALS",
            GoogleConfigKey::ApplicationCredentials,
        ),
    ] {
        if let Some(value) = host.filled(name).filter(|_| !given) {
            builder = builder.with_config(key, value);
            given = true;
        }
    }
    let own = host
        .home
        .join(".config/gcloud/application_default_credentials.json");
    let is_there = |path: &Utf8Path| {
        let found = file::read_if_there(path.as_std_path(), MAX);
        found.is_ok_and(|found| found.is_some())
    };
    if !given && is_there(&own) {
        builder = builder.with_application_credentials(own.as_str());
        given = true;
    }
    let has = given || runs_in("Google Compute Engine");
    builder = builder.with_skip_signature(!has);
    Ok(parts(builder.build()?, has, facts))
}

fn azure(bucket: &Bucket, host: &Host, wire: Wire) -> object_store::Result<Parts> {
    use AzureConfigKey as Key;
    let facts = (Arc::clone(&wire.facts), Arc::clone(&wire.line));
    let connection = host.filled("AZURE_STORAGE_CONNECTION_STRING");
    let in_connection = |name: &str| {
        let mut pairs = connection?
            .split(';')
            .filter_map(|pair| pair.split_once('='));
        let found = pairs.find(|(key, _)| key.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.to_owned())
    };
    let variable = |name: &str| host.filled(name).map(str::to_owned);
    let account = bucket.account.clone().unwrap_or_default();
    // A connection string, or a key, of another account is not for this one.
    let named = in_connection("AccountName").or_else(|| variable("AZURE_STORAGE_ACCOUNT"));
    let is_ours = named.is_none_or(|named| named == account);
    let mut builder = MicrosoftAzureBuilder::new()
        .with_account(account)
        .with_container_name(&bucket.name)
        .with_retry(once())
        .with_http_connector(wire);
    if let Some(endpoint) = &bucket.endpoint {
        builder = builder.with_endpoint(endpoint.clone());
    }
    let key = in_connection("AccountKey")
        .or_else(|| variable("AZURE_STORAGE_KEY"))
        .or_else(|| variable("AZURE_STORAGE_ACCOUNT_KEY"))
        .filter(|_| is_ours);
    let token = in_connection("SharedAccessSignature")
        .or_else(|| variable("AZURE_STORAGE_SAS_TOKEN"))
        .filter(|_| is_ours);
    let has = match (key, token) {
        (Some(key), _) => {
            builder = builder.with_access_key(key);
            true
        }
        (None, Some(token)) => {
            builder = builder.with_config(Key::SasKey, token);
            true
        }
        (None, None) => {
            let mut services = 0;
            for (name, key) in [
                ("AZURE_CLIENT_ID", Key::ClientId),
                ("AZURE_CLIENT_SECRET", Key::ClientSecret),
                ("AZURE_TENANT_ID", Key::AuthorityId),
                ("AZURE_AUTHORITY_HOST", Key::AuthorityHost),
                ("AZURE_FEDERATED_TOKEN_FILE", Key::FederatedTokenFile),
                ("IDENTITY_ENDPOINT", Key::MsiEndpoint),
            ] {
                if let Some(value) = host.filled(name) {
                    builder = builder.with_config(key, value);
                    services += 1;
                }
            }
            services > 0 || runs_in("Microsoft Corporation")
        }
    };
    builder = builder.with_skip_signature(!has);
    Ok(parts(builder.build()?, has, facts))
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
