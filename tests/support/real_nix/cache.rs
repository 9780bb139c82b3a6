//! Binary caches as the real Nix writes and reads them.

use std::ffi::OsStr;
use std::path::PathBuf;

use super::RealNix;

/// A signing key made by the real Nix.
pub struct SigningKey {
    /// The file with the secret key.
    pub secret_file: PathBuf,
    /// `name:base64`, as `trusted-public-keys` wants it.
    pub public: String,
}

impl RealNix {
    /// Makes a signing key of this name.
    #[track_caller]
    pub fn generate_key(&self, name: &str) -> SigningKey {
        let secret_file = self.scratch().join(format!("{name}.sec"));
        let public_file = self.scratch().join(format!("{name}.pub"));
        self.run(
            "nix-store",
            [
                OsStr::new("--generate-binary-cache-key"),
                OsStr::new(name),
                secret_file.as_os_str(),
                public_file.as_os_str(),
            ],
        );
        let public = std::fs::read_to_string(public_file)
            .unwrap()
            .trim()
            .to_owned();
        SigningKey {
            secret_file,
            public,
        }
    }

    /// Copies closures into a binary cache, as `nix copy` does.
    #[track_caller]
    pub fn copy_to<P: AsRef<str>>(&self, cache_url: &str, paths: impl IntoIterator<Item = P>) {
        let mut arguments = vec!["copy".to_owned(), "--to".to_owned(), cache_url.to_owned()];
        arguments.extend(paths.into_iter().map(|path| path.as_ref().to_owned()));
        self.run("nix", arguments);
    }

    /// Copies the closure of a path out of a binary cache into this store, signatures required.
    pub fn copy_from(
        &self,
        cache_url: &str,
        path: &str,
        trusted_keys: &[&str],
    ) -> Result<(), String> {
        let keys = trusted_keys.join(" ");
        let mut arguments = vec![
            "copy",
            "--from",
            cache_url,
            "--option",
            "require-sigs",
            "true",
        ];
        arguments.extend(["--option", "trusted-public-keys", keys.as_str(), path]);
        self.try_run("nix", arguments).map(drop)
    }

    /// Substitutes the closure of a path from a binary cache, signatures required, nothing built.
    pub fn substitute(
        &self,
        cache_url: &str,
        path: &str,
        trusted_keys: &[&str],
    ) -> Result<(), String> {
        let keys = trusted_keys.join(" ");
        let mut arguments = vec!["--realise", path, "--max-jobs", "0"];
        arguments.extend([
            "--option",
            "substituters",
            cache_url,
            "--option",
            "require-sigs",
            "true",
        ]);
        arguments.extend(["--option", "trusted-public-keys", keys.as_str()]);
        self.try_run("nix-store", arguments).map(drop)
    }
}
