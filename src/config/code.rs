//! The kinds of problem that a `cache.yaml` can have: names that stay the same across releases.

use std::fmt;

use serde::Serialize;

/// How bad a problem is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// The file cannot be used.
    Error,
    /// The file can be used, but probably does not say what is meant.
    Warning,
}

macro_rules! codes {
    ($($(#[doc = $doc:literal])+ $variant:ident = $name:literal $severity:ident,)+) => {
        /// The kind of a problem. `docs/problems.md` has a paragraph and a sample for each.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Code {
            $($(#[doc = $doc])+ $variant,)+
        }

        impl Code {
            /// Every code.
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            /// The name without its prefix, such as `duplicate-key`.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)+
                }
            }

            /// How bad a problem of this kind is.
            #[must_use]
            pub const fn severity(self) -> Severity {
                match self {
                    $(Self::$variant => Severity::$severity,)+
                }
            }
        }
    };
}

codes! {
    // Text.
    /// The file has more bytes than are read.
    TooLarge = "too-large" Error,
    /// The file is not UTF-8 text.
    NotText = "not-text" Error,
    /// The file says nothing.
    Empty = "empty" Error,
    /// The file has more than one YAML document.
    ManyDocuments = "many-documents" Error,
    /// A tab stands where YAML wants spaces.
    Tab = "tab" Error,
    /// Nested too deep, or aliases that grow too large.
    TooComplex = "too-complex" Error,
    /// Not YAML.
    Syntax = "syntax" Error,
    /// A key stands more than once.
    DuplicateKey = "duplicate-key" Error,
    /// A secret stands in the file.
    Secret = "secret" Error,
    // Shape.
    /// A version of the format that this program does not know.
    UnknownVersion = "unknown-version" Error,
    /// A key that does not exist.
    UnknownKey = "unknown-key" Error,
    /// A key of another type of cache.
    ForeignKey = "foreign-key" Error,
    /// A key that must be there is not.
    MissingKey = "missing-key" Error,
    /// A value of another type than expected.
    WrongType = "wrong-type" Error,
    /// A word that is not one of those possible.
    UnknownValue = "unknown-value" Error,
    /// A number outside what is possible.
    OutOfRange = "out-of-range" Error,
    /// A value that is empty or otherwise not possible.
    InvalidValue = "invalid-value" Error,
    // Single values.
    /// Not a size.
    InvalidSize = "invalid-size" Error,
    /// Not a duration.
    InvalidDuration = "invalid-duration" Error,
    /// Not a share.
    InvalidShare = "invalid-share" Error,
    /// Not a name for a project, cache, class, pin or key.
    InvalidName = "invalid-name" Error,
    /// A regular expression that does not compile.
    InvalidRegex = "invalid-regex" Error,
    /// A directory pattern that is none.
    InvalidGlob = "invalid-glob" Error,
    /// A path that cannot be meant.
    InvalidPath = "invalid-path" Error,
    /// Not a URL of a cache.
    InvalidUrl = "invalid-url" Error,
    /// A bucket, container, account, region or prefix that cannot be one.
    InvalidBucket = "invalid-bucket" Error,
    /// Not an installable.
    InvalidInstallable = "invalid-installable" Error,
    /// Not a public key.
    InvalidPublicKey = "invalid-public-key" Error,
    /// A reference to a secret that names no place, or several.
    InvalidSecretRef = "invalid-secret-reference" Error,
    /// A compression level outside the method's scale.
    CompressionLevel = "compression-level" Error,
    /// A system that Nix does not know.
    UnknownSystem = "unknown-system" Warning,
    // Caches.
    /// Two caches at one place.
    DuplicateCache = "duplicate-cache" Error,
    /// A public key stands twice.
    DuplicatePublicKey = "duplicate-public-key" Error,
    /// Two different public keys of one name.
    ConflictingPublicKey = "conflicting-public-key" Error,
    /// An upstream without public keys.
    MissingPublicKeys = "missing-public-keys" Error,
    /// `http://` without `insecure: true`.
    InsecureUrl = "insecure-url" Error,
    /// A bucket that Nix cannot read by itself has no `url`.
    MissingUrl = "missing-url" Error,
    /// A replica without a name, or with that of another.
    ReplicaName = "replica-name" Error,
    /// `generate: true` for a key that is not in a file.
    GenerateWithoutFile = "generate-without-file" Error,
    /// One key file that two caches would generate under different names.
    ConflictingKeyName = "conflicting-key-name" Error,
    /// A setting that a cache of a service cannot have.
    ServiceSetting = "service-setting" Error,
    /// What is pushed to a cache carries no signature.
    UnsignedCache = "unsigned-cache" Warning,
    // Classes.
    /// No default class.
    MissingDefault = "missing-default" Error,
    /// More than one default class.
    DuplicateDefault = "duplicate-default" Error,
    /// A class that can never match because an earlier one always does.
    UnreachableClass = "unreachable-class" Error,
    /// A class that nothing can belong to.
    EmptyClass = "empty-class" Error,
    /// A retention shorter than `prune.grace`.
    RetentionBelowGrace = "retention-below-grace" Error,
    // Phases.
    /// A name of a cache or class that does not exist.
    UnknownName = "unknown-name" Error,
    /// A push to a cache that is only read.
    ReadOnlyTarget = "read-only-target" Error,
    /// Push is on, but no cache takes anything.
    NowhereToPush = "nowhere-to-push" Warning,
    /// A setting that no Nix knows.
    UnknownNixSetting = "unknown-nix-setting" Error,
    /// A value that Nix would refuse.
    InvalidNixSetting = "invalid-nix-setting" Error,
    /// A setting that has a word of its own in `cache.yaml`.
    ManagedNixSetting = "managed-nix-setting" Error,
    /// A setting that weakens what Nix checks, or that carries credentials.
    UnsafeNixSetting = "unsafe-nix-setting" Error,
    /// A grace below one hour.
    GraceTooShort = "grace-too-short" Error,
    /// A pin with no target, or with several.
    PinTarget = "pin-target" Error,
    /// `{system}` is used, but `systems` is empty.
    MissingSystems = "missing-systems" Error,
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "nanna::config::{}", self.name())
    }
}
