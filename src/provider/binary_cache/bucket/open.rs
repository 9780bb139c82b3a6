//! From a bucket in `cache.yaml` to a store: endpoint, credentials, the client.
//!
//! Credentials are found where the storage's own tools find them: the environment, the profile files
//! of AWS, the credential file of gcloud, and the service of the cloud that this machine runs in.
//! Where there are none the requests are not signed: what is public can still be read.

use std::sync::Arc;
use std::time::Duration;

use camino::Utf8Path;
use object_store::aws::{AmazonS3Builder, S3ConditionalPut};
use object_store::azure::{AzureConfigKey, MicrosoftAzureBuilder};
use object_store::gcp::{GoogleCloudStorageBuilder, GoogleConfigKey};
use object_store::list::PaginatedListStore;
use object_store::{ClientOptions, ObjectStore, RetryConfig};
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};

use super::credentials::{Lent, MAX, Profile, runs_in, services, usable, variable};
use super::fault::{Asked, fault};
use super::lender;
use super::line::Line;
use super::wire::{Facts, Patience, Wire};
use super::{BucketStore, StoreError};
use crate::config::model::{Bucket, Storage};
use crate::sys::file;
use crate::sys::host::Host;
use crate::sys::http::{self, Http, Options};

/// Time for a connection.
const CONNECT: Duration = Duration::from_secs(5);

/// Time without a byte of an answer.
const IDLE: Duration = Duration::from_mins(2);

/// The region of S3 where nobody names another, for Nix as for us.
const FIRST_REGION: &str = "us-east-1";

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
    /// Time for a small answer as a whole.
    pub(super) whole: Duration,
}

impl BucketStore {
    /// The store of a bucket. Nothing is sent yet; `identity` tells it from every other.
    ///
    /// # Errors
    /// The credentials that were found are of no use, or no client can be made.
    pub fn open(bucket: &Bucket, identity: String, host: &Host) -> Result<Self, StoreError> {
        let patience = match host.test_patience() {
            Some(answer) => Patience::default().no_longer_than(answer),
            None => Patience::default(),
        };
        Self::open_with(bucket, identity, host, patience)
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
        let client = |idle_timeout, connect_timeout| {
            let options = Options {
                connect_timeout,
                idle_timeout,
                redirects: 0,
                ..Options::of(host)
            };
            let client = Http::new(&options).map(|http| http.client());
            client.map_err(|error| StoreError::refused("open", &bucket.name, error))
        };
        let wire = Wire {
            client: client(IDLE, CONNECT)?,
            sender: client(NEVER, CONNECT)?,
            lender: client(IDLE, lender::CONNECT)?,
            is_storage: Arc::default(),
            made: Arc::default(),
            line,
            patience,
            facts: Arc::default(),
        };
        let parts = match bucket.storage {
            Storage::S3 => s3(bucket, host, &wire)?,
            Storage::Gcs => gcs(bucket, host, &wire)?,
            Storage::Azure => azure(bucket, host, &wire)?,
        };
        Ok(Self::new(parts, &bucket.prefix, &bucket.name, identity))
    }
}

/// Why no store can be made of what was found.
fn failed(bucket: &Bucket) -> impl Fn(object_store::Error) -> StoreError {
    |error| {
        let asked = Asked {
            action: "open",
            key: &bucket.name,
            bucket: &bucket.name,
            writes: false,
            has_credentials: true,
        };
        fault(&error, &asked)
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
    of: (Arc<Facts>, Arc<Line>, Duration),
) -> Parts {
    let (facts, line, whole) = of;
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
        whole,
    }
}

/// Region and endpoint that the environment names, where `cache.yaml` names none.
///
/// What Nix is told, and what other machines do, goes by `cache.yaml` alone: where that would be another
/// place than the one that is written, nothing is.
fn place(
    bucket: &Bucket,
    get: impl Fn(&str, &str) -> Option<String>,
) -> Result<Option<String>, StoreError> {
    let first = |names: [&'static str; 2], entry| {
        let mut found = names
            .map(|name| Some((name, get(name, entry)?)))
            .into_iter();
        found.find_map(|one| one)
    };
    let refuse = |why: String| Err(StoreError::refused("open", &bucket.name, why));
    let endpoint = first(["AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"], "endpoint_url");
    if let (None, Some((name, _))) = (&bucket.endpoint, endpoint) {
        return refuse(format!(
            "`{name}`, or the profile of AWS, names an endpoint, and cache.yaml names none; write it there \
             as `endpoint`, for Nix and other machines know only what cache.yaml says"
        ));
    }
    let region = first(["AWS_REGION", "AWS_DEFAULT_REGION"], "region");
    match (&bucket.region, region) {
        (Some(region), _) => Ok(Some(region.clone())),
        (None, Some((name, region))) if bucket.url.is_none() && region != FIRST_REGION => {
            refuse(format!(
                "`{name}`, or the profile of AWS, names a region, and cache.yaml names none; write \
                 `region: {region}` there, for Nix and other machines know only what cache.yaml says"
            ))
        }
        (None, found) => Ok(found.map(|(_, region)| region)),
    }
}

fn s3(bucket: &Bucket, host: &Host, wire: &Wire) -> Result<Parts, StoreError> {
    let failed = failed(bucket);
    let profile = Profile::read(host);
    let in_profile = |entry: &str| profile.as_ref().and_then(|profile| profile.get(entry));
    let get = |variable: &str, entry: &str| {
        let given = host.filled(variable).map(str::trim).map(str::to_owned);
        given.or_else(|| in_profile(entry))
    };
    let facts = (
        Arc::clone(&wire.facts),
        Arc::clone(&wire.line),
        wire.patience.whole(),
    );
    let mut builder = AmazonS3Builder::new()
        .with_bucket_name(&bucket.name)
        .with_retry(once())
        .with_conditional_put(S3ConditionalPut::ETagMatch)
        .with_http_connector(wire.clone());
    if let Some(region) = place(bucket, get)? {
        builder = builder.with_region(region);
    }
    if let Some(endpoint) = &bucket.endpoint {
        builder = builder.with_endpoint(endpoint);
    }
    let (mut has, mut lent) = (true, Lent::No);
    // A key in the environment goes with the secret and the token there, never with a profile's.
    let from_environment = variable(host, "AWS_ACCESS_KEY_ID")?.is_some();
    let take = |name: &str, entry: &str| {
        if from_environment {
            variable(host, name)
        } else {
            let value = in_profile(entry).map(|value| usable(entry, &value));
            Ok(value.transpose()?.flatten())
        }
    };
    if let Some(id) = take("AWS_ACCESS_KEY_ID", "aws_access_key_id")? {
        builder = builder.with_access_key_id(id);
        if let Some(secret) = take("AWS_SECRET_ACCESS_KEY", "aws_secret_access_key")? {
            host.hide(&secret);
            builder = builder.with_secret_access_key(secret);
        }
        if let Some(token) = take("AWS_SESSION_TOKEN", "aws_session_token")? {
            host.hide(&token);
            builder = builder.with_token(token);
        }
    } else {
        (builder, lent) = services(builder, host)?;
        has = lent != Lent::No;
        builder = builder.with_skip_signature(!has);
    }
    let mut store = builder.clone().build().map_err(&failed)?;
    wire.built();
    if lent == Lent::Perhaps {
        let asked = Arc::clone(store.credentials());
        if !http::run(async move { asked.get_credential().await.is_ok() }).unwrap_or(false) {
            has = false;
            builder = builder.with_skip_signature(true);
            store = builder.clone().build().map_err(&failed)?;
            wire.built();
        }
    }
    // The credentials are asked for once, whoever uses them.
    let builder = builder.with_credentials(Arc::clone(store.credentials()));
    let plainly = builder.clone().with_disable_bulk_delete(true);
    let plainly = plainly.build().map_err(&failed)?;
    wire.built();
    // AWS copies nothing onto itself but where it is told to write the headers anew.
    let mut replace = HeaderMap::new();
    let directive = HeaderName::from_static("x-amz-metadata-directive");
    replace.insert(directive, HeaderValue::from_static("REPLACE"));
    let options = ClientOptions::new().with_default_headers(replace);
    let copying = builder.with_client_options(options).build();
    let copying = Arc::new(copying.map_err(&failed)?);
    wire.built();
    Ok(Parts {
        copying,
        deleting_plainly: Some(Arc::new(plainly)),
        goes_on_after_a_key: true,
        ..parts(store, has, facts)
    })
}

fn gcs(bucket: &Bucket, host: &Host, wire: &Wire) -> Result<Parts, StoreError> {
    let failed = failed(bucket);
    let facts = (
        Arc::clone(&wire.facts),
        Arc::clone(&wire.line),
        wire.patience.whole(),
    );
    let mut builder = GoogleCloudStorageBuilder::new()
        .with_bucket_name(&bucket.name)
        .with_retry(once())
        .with_http_connector(wire.clone());
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
            if name == "GOOGLE_SERVICE_ACCOUNT_KEY" {
                host.hide(value);
            }
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
    let is_guess = !given && runs_in("Google Compute Engine");
    let mut has = given || is_guess;
    builder = builder.with_skip_signature(!has);
    let mut store = builder.clone().build().map_err(&failed)?;
    wire.built();
    if is_guess {
        let asked = Arc::clone(store.credentials());
        if !http::run(async move { asked.get_credential().await.is_ok() }).unwrap_or(false) {
            has = false;
            store = builder.with_skip_signature(true).build().map_err(&failed)?;
            wire.built();
        }
    }
    Ok(parts(store, has, facts))
}

fn azure(bucket: &Bucket, host: &Host, wire: &Wire) -> Result<Parts, StoreError> {
    use AzureConfigKey as Key;
    let failed = failed(bucket);
    let facts = (
        Arc::clone(&wire.facts),
        Arc::clone(&wire.line),
        wire.patience.whole(),
    );
    let connection = variable(host, "AZURE_STORAGE_CONNECTION_STRING")?;
    let in_connection = |name: &str| {
        let mut pairs = connection
            .as_deref()?
            .split(';')
            .filter_map(|pair| pair.split_once('='));
        let found = pairs.find(|(key, _)| key.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.to_owned())
    };
    let account = bucket.account.clone().unwrap_or_default();
    // A connection string, or a key, of another account is not for this one.
    let named = in_connection("AccountName").or(variable(host, "AZURE_STORAGE_ACCOUNT")?);
    let is_ours = named.is_none_or(|named| named == account);
    let mut builder = MicrosoftAzureBuilder::new()
        .with_account(account)
        .with_container_name(&bucket.name)
        .with_retry(once())
        .with_http_connector(wire.clone());
    if let Some(endpoint) = &bucket.endpoint {
        builder = builder.with_endpoint(endpoint.clone());
    }
    let key = in_connection("AccountKey")
        .or(variable(host, "AZURE_STORAGE_KEY")?)
        .or(variable(host, "AZURE_STORAGE_ACCOUNT_KEY")?)
        .filter(|_| is_ours);
    let token = in_connection("SharedAccessSignature")
        .or(variable(host, "AZURE_STORAGE_SAS_TOKEN")?)
        .filter(|_| is_ours);
    let has = match (key, token) {
        (Some(key), _) => {
            host.hide(&key);
            builder = builder.with_access_key(key);
            true
        }
        (None, Some(token)) => {
            host.hide(&token);
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
                // A file has a name of any characters.
                let value = if name.ends_with("_FILE") {
                    host.filled(name).map(str::to_owned)
                } else {
                    variable(host, name)?
                };
                if let Some(value) = value {
                    if name == "AZURE_CLIENT_SECRET" {
                        host.hide(&value);
                    }
                    builder = builder.with_config(key, value);
                    services += 1;
                }
            }
            // What the firmware says does not tell: many machines that have no identity are of Azure.
            services > 0
        }
    };
    builder = builder.with_skip_signature(!has);
    let store = builder.build().map_err(&failed)?;
    wire.built();
    Ok(parts(store, has, facts))
}
