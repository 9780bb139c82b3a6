//! Where a writable cache is: the only room of the core that knows the kinds of places.
//!
//! What the phases need of a place has a method here, so that a new kind of place changes this
//! file and the providers, and nothing that plans.

use camino::{Utf8Path, Utf8PathBuf};

use super::service::Service;
use crate::config::model::{Bucket, Storage, Visibility};

/// Where a writable cache is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// A folder of this machine (absolute).
    Folder(Utf8PathBuf),
    /// A service keeps it.
    Service(Box<Service>),
    /// A bucket.
    Bucket(Bucket),
}

impl Place {
    /// The URL by which Nix reads the cache, without the priority as a parameter.
    #[must_use]
    pub fn substituter(&self) -> String {
        match self {
            Self::Folder(folder) => format!("file://{folder}"),
            Self::Service(service) => service.substituter.clone(),
            Self::Bucket(bucket) => bucket.url.clone().unwrap_or_else(|| own_url(bucket)),
        }
    }

    /// The URL at which how far the cache is can be measured over HTTP: any answer counts. `None`: it is
    /// not there.
    #[must_use]
    pub fn probe(&self) -> Option<String> {
        match self {
            Self::Folder(_) => None,
            Self::Service(service) => Some(format!("{}/nix-cache-info", service.url)),
            Self::Bucket(bucket) => {
                let url = self.substituter();
                if !url.starts_with("s3://") {
                    return Some(format!("{url}/nix-cache-info"));
                }
                let region = bucket.region.as_deref().unwrap_or("us-east-1");
                let usual = || format!("https://s3.{region}.amazonaws.com");
                let endpoint = bucket.endpoint.clone().unwrap_or_else(usual);
                Some(format!("{endpoint}/{}/nix-cache-info", bucket.name))
            }
        }
    }

    /// The place as plans and messages name it; no secret is in it.
    #[must_use]
    pub fn shown(&self) -> String {
        match self {
            Self::Folder(folder) => folder.to_string(),
            Self::Service(service) => service.url.clone(),
            Self::Bucket(bucket) => named(bucket),
        }
    }

    /// What tells this place from every other on this machine: what is remembered of a cache is
    /// remembered under this. It must not change between versions without need.
    #[must_use]
    pub fn identity(&self) -> String {
        match self {
            Self::Folder(folder) => folder.to_string(),
            Self::Service(service) => service.url.clone(),
            Self::Bucket(bucket) => {
                let endpoint = bucket.endpoint.as_deref().unwrap_or_default();
                format!("{} {endpoint}", named(bucket))
            }
        }
    }

    /// The `type` of such a cache in `cache.yaml`.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Folder(_) => "file",
            Self::Service(_) => "cachix",
            Self::Bucket(bucket) => bucket.storage.word(),
        }
    }

    /// The setting of a cache that says where it is, as an error message names it.
    #[must_use]
    pub const fn setting(&self) -> &'static str {
        match self {
            Self::Folder(_) => "path",
            Self::Service(_) => "url",
            Self::Bucket(_) => "prefix",
        }
    }

    /// Whether everybody can read it, as far as `cache.yaml` says: a public cache of a service, or a bucket with
    /// an `http(s)` address of its own. What is not known to be private to the machine or to who has
    /// credentials counts as public.
    #[must_use]
    pub fn is_public(&self) -> bool {
        match self {
            Self::Folder(_) => false,
            Self::Service(service) => service.visibility == Visibility::Public,
            Self::Bucket(bucket) => bucket
                .url
                .as_ref()
                .is_some_and(|url| url.starts_with("http://") || url.starts_with("https://")),
        }
    }

    /// The folder, if the place is one.
    #[must_use]
    pub fn folder(&self) -> Option<&Utf8Path> {
        match self {
            Self::Folder(folder) => Some(folder),
            Self::Service(_) | Self::Bucket(_) => None,
        }
    }

    /// The service that keeps it, if one does.
    #[must_use]
    pub const fn service(&self) -> Option<&Service> {
        match self {
            Self::Folder(_) | Self::Bucket(_) => None,
            Self::Service(service) => Some(service),
        }
    }
}

/// A bucket as a URL, as its own tools write it.
fn named(bucket: &Bucket) -> String {
    let (scheme, account) = match (bucket.storage, &bucket.account) {
        (Storage::Azure, Some(account)) => ("azure", format!("{account}/")),
        (Storage::Gcs, _) => ("gs", String::new()),
        (storage, _) => (storage.word(), String::new()),
    };
    format!("{scheme}://{account}{}{}", bucket.name, slashed(bucket))
}

fn slashed(bucket: &Bucket) -> String {
    match bucket.prefix.as_str() {
        "" => String::new(),
        prefix => format!("/{prefix}"),
    }
}

/// The URL by which Nix reads a bucket of which nobody said another: by its own `s3://`, or by the
/// address at which the storage shows public objects.
fn own_url(bucket: &Bucket) -> String {
    let (name, prefix) = (&bucket.name, slashed(bucket));
    let endpoint = bucket.endpoint.as_deref();
    match bucket.storage {
        Storage::S3 => {
            let mut parameters = Vec::new();
            if let Some((scheme, host)) = endpoint.and_then(|url| url.split_once("://")) {
                parameters.push(format!("endpoint={host}"));
                if scheme != "https" {
                    parameters.push(format!("scheme={scheme}"));
                }
            }
            if let Some(region) = &bucket.region {
                parameters.push(format!("region={region}"));
            }
            let sign = if parameters.is_empty() { "" } else { "?" };
            format!("s3://{name}{sign}{}", parameters.join("&"))
        }
        Storage::Gcs => {
            let endpoint = endpoint.unwrap_or("https://storage.googleapis.com");
            format!("{endpoint}/{name}{prefix}")
        }
        Storage::Azure => {
            let account = bucket.account.as_deref().unwrap_or_default();
            let usual = || format!("https://{account}.blob.core.windows.net");
            let endpoint = endpoint.map_or_else(usual, str::to_owned);
            format!("{endpoint}/{name}{prefix}")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_read_by_its_url_and_named_by_its_path() {
        let place = Place::Folder("/srv/cache".into());
        assert_eq!(place.substituter(), "file:///srv/cache");
        assert_eq!(place.shown(), "/srv/cache");
        assert_eq!(place.identity(), "/srv/cache");
        assert_eq!(place.folder(), Some(Utf8Path::new("/srv/cache")));
    }

    fn bucket(storage: Storage) -> Bucket {
        Bucket {
            storage,
            name: "team".into(),
            account: (storage == Storage::Azure).then(|| "acme".into()),
            prefix: String::new(),
            region: None,
            endpoint: None,
            url: None,
        }
    }

    #[test]
    fn a_bucket_is_read_by_the_url_that_is_given_or_by_its_own() {
        let url = |bucket: &Bucket| Place::Bucket(bucket.clone()).substituter();
        let mut s3 = bucket(Storage::S3);
        assert_eq!(url(&s3), "s3://team");
        s3.region = Some("eu-central-1".into());
        assert_eq!(url(&s3), "s3://team?region=eu-central-1");
        s3.endpoint = Some("http://127.0.0.1:9000".into());
        assert_eq!(
            url(&s3),
            "s3://team?endpoint=127.0.0.1:9000&scheme=http&region=eu-central-1"
        );
        s3.url = Some("https://cache.example.org".into());
        assert_eq!(url(&s3), "https://cache.example.org");
        let mut gcs = bucket(Storage::Gcs);
        gcs.prefix = "nix/a".into();
        assert_eq!(url(&gcs), "https://storage.googleapis.com/team/nix/a");
        assert_eq!(Place::Bucket(gcs).shown(), "gs://team/nix/a");
        let azure = bucket(Storage::Azure);
        assert_eq!(url(&azure), "https://acme.blob.core.windows.net/team");
        assert_eq!(Place::Bucket(azure).shown(), "azure://acme/team");
    }

    #[test]
    fn each_kind_has_its_words() {
        let desired = crate::plan::testing::desired(
            "caches:
  team: { type: cachix, public-keys: ['team.cachix.org-1:6NCHdD59X431o0gWypbMrAURkbJ16ZPMQFGspcDShjY='] }
",
        );
        let service = &desired.caches[&crate::plan::testing::cache("team")].place;
        assert_eq!((service.kind(), service.setting()), ("cachix", "url"));
        assert_eq!(service.service().map(|one| one.name.as_str()), Some("team"));
        assert_eq!(service.folder(), None);
        let folder = Place::Folder("/c".into());
        assert_eq!((folder.kind(), folder.setting()), ("file", "path"));
        assert_eq!(folder.folder(), Some(Utf8Path::new("/c")));
        assert_eq!(folder.service(), None);
        let s3 = Place::Bucket(bucket(Storage::S3));
        assert_eq!((s3.kind(), s3.setting()), ("s3", "prefix"));
        assert_eq!((s3.folder(), s3.service()), (None, None));
    }

    #[test]
    fn what_is_measured_is_where_the_cache_answers_over_http() {
        assert_eq!(Place::Folder("/srv/cache".into()).probe(), None);
        let desired =
            crate::plan::testing::desired("caches:\n  team: { type: cachix, nix-priority: 7 }\n");
        let service = &desired.caches[&crate::plan::testing::cache("team")].place;
        let url = "https://team.cachix.org/nix-cache-info";
        assert_eq!(service.probe().as_deref(), Some(url));

        let probe = |bucket: &Bucket| Place::Bucket(bucket.clone()).probe().unwrap();
        let gcs = bucket(Storage::Gcs);
        let url = "https://storage.googleapis.com/team/nix-cache-info";
        assert_eq!(probe(&gcs), url);
        let mut s3 = bucket(Storage::S3);
        let url = "https://s3.us-east-1.amazonaws.com/team/nix-cache-info";
        assert_eq!(probe(&s3), url);
        s3.region = Some("eu-west-1".into());
        let url = "https://s3.eu-west-1.amazonaws.com/team/nix-cache-info";
        assert_eq!(probe(&s3), url);
        s3.endpoint = Some("http://127.0.0.1:9000".into());
        let url = "http://127.0.0.1:9000/team/nix-cache-info";
        assert_eq!(probe(&s3), url);
        s3.url = Some("https://cache.example.org".into());
        assert_eq!(probe(&s3), "https://cache.example.org/nix-cache-info");
    }

    #[test]
    fn one_bucket_at_two_addresses_is_two_places() {
        let here = bucket(Storage::S3);
        let there = Bucket {
            endpoint: Some("https://s3.example.org".into()),
            ..here.clone()
        };
        let (here, there) = (Place::Bucket(here), Place::Bucket(there));
        assert_eq!(here.shown(), there.shown());
        assert_ne!(here.identity(), there.identity());
    }
}
