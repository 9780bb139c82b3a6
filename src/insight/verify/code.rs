//! What can be found, by codes that stay the same from version to version.

use std::fmt;

use serde::{Serialize, Serializer};

/// How much a finding weighs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Weight {
    /// Somebody who uses the cache is harmed: the check fails.
    Damage,
    /// It could not be judged, so it may be damage or not.
    Unknown,
    /// Nobody is harmed; somebody may want to know.
    Advice,
}

impl Weight {
    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Damage => "damage",
            Self::Unknown => "unknown",
            Self::Advice => "advice",
        }
    }
}

impl Serialize for Weight {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident $text:literal $weight:ident $title:literal;)*) => {
        /// What was found.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Code {
            $($(#[$doc])* $name,)*
        }

        impl Code {
            /// All of them, in the order in which they are shown.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The code itself.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }

            /// How much it weighs.
            #[must_use]
            pub const fn weight(self) -> Weight {
                match self { $(Self::$name => Weight::$weight,)* }
            }

            /// What it means, in a few words.
            #[must_use]
            pub const fn title(self) -> &'static str {
                match self { $(Self::$name => $title,)* }
            }
        }
    };
}

codes! {
    /// `nix-cache-info` is not there or cannot be read.
    Info "cache-info" Damage "nix-cache-info is missing or malformed";
    /// The narinfo cannot be read.
    NarinfoMalformed "narinfo-malformed" Damage "a narinfo that Nix cannot read";
    /// Its name is not the hash part of its path.
    NarinfoMisplaced "narinfo-misplaced" Damage "a narinfo under the name of another path";
    /// A field stands in it twice with different values.
    NarinfoRepeated "narinfo-repeated" Damage "a field that stands twice and says two things";
    /// A `Sig` line that is no signature.
    SignatureMalformed "signature-malformed" Damage "a signature that is none";
    /// A signature that bears the name of a declared key, and that this key did not make.
    SignatureFalse "signature-false" Damage "a signature that its key did not make";
    /// No declared key has signed it.
    SignatureMissing "signature-missing" Damage "no declared key has signed it";
    /// The content address does not lead to the store path.
    CaFalse "ca-false" Damage "a content address that is of another path";
    /// A reference that is nowhere.
    ReferenceMissing "reference-missing" Damage "a reference that neither the cache nor an upstream has";
    /// The NAR is not there.
    NarMissing "nar-missing" Damage "the NAR is not there";
    /// The file has another size than its narinfo says.
    FileSize "file-size" Damage "the NAR file has another size";
    /// The file has another hash than its narinfo says.
    FileHash "file-hash" Damage "the NAR file has other bytes";
    /// The file does not decompress.
    NarUndecodable "nar-undecodable" Damage "the NAR file does not decompress";
    /// What is in it is no NAR by the letter.
    NarMalformed "nar-malformed" Damage "what is compressed is no canonical NAR";
    /// The NAR has another size.
    NarSize "nar-size" Damage "the NAR has another size";
    /// The NAR has another hash.
    NarHash "nar-hash" Damage "the NAR has other bytes";
    /// The content address is not that of the content.
    CaContent "ca-content" Damage "the content has another content address";
    /// A content-addressed path of the local store is not what its address says.
    SourceHash "source-hash" Damage "a source in the local store with other bytes";
    /// An input in the local store is not what `flake.lock` says.
    LockHash "lock-hash" Damage "an input of flake.lock with other bytes";
    /// An upstream that may have the reference could not be asked.
    ReferenceUnknown "reference-unknown" Unknown "a reference that an upstream may have";
    /// The NAR lies elsewhere on the net.
    NarElsewhere "nar-elsewhere" Unknown "the NAR lies outside of the cache";
    /// A method of compression that only Nix reads.
    NarUnreadable "nar-unreadable" Unknown "compressed by a method that is not read here";
    /// A content address of a kind that is not computed here.
    CaUnchecked "ca-unchecked" Unknown "a content address that is not computed here";
    /// The object could not be read just now.
    ObjectUnread "object-unread" Unknown "an object that could not be read";
    /// Fields that Nix does not know.
    NarinfoUnknownField "narinfo-unknown-field" Advice "a field that Nix does not know";
    /// Another form than Nix writes.
    NarinfoForm "narinfo-form" Advice "written in another form than Nix's";
    /// A declared reference that the content does not contain.
    ReferenceUnfound "reference-unfound" Advice "a declared reference that is not in the NAR";
    /// The content names a path of the cache that is not declared.
    ReferenceUndeclared "reference-undeclared" Advice "the NAR names a path that is not declared";
    /// A NAR that no narinfo names.
    NarOrphaned "nar-orphaned" Advice "a NAR that no narinfo names";
    /// Left-over temporary files and listings.
    Leftover "leftover" Advice "a left-over of a writer that stopped";
    /// A root record of a path that is not there.
    RootDangling "root-dangling" Advice "a root record of a path that is not there";
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for Code {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}
