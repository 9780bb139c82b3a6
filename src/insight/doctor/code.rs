//! The codes of findings: stable words, each with its cause and its way out.

use serde::{Serialize, Serializer};

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// A cache or a path is not used because of it.
    Wrong,
    /// It costs time, or will be wrong one day.
    WorthKnowing,
}

/// The part of the chain from a setting to a path that a finding belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Link {
    /// What the files of settings say, and what of it counts.
    Settings,
    /// The servers and folders.
    Caches,
    /// Keys and logins.
    Keys,
    /// One path: narinfo, closure, NAR.
    Path,
    /// What this machine remembers, and its clock.
    Client,
}

impl Link {
    /// All links, in the order in which Nix comes by them.
    pub const ALL: [Self; 5] = [
        Self::Settings,
        Self::Caches,
        Self::Keys,
        Self::Path,
        Self::Client,
    ];

    /// The word for it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Settings => "settings",
            Self::Caches => "caches",
            Self::Keys => "keys",
            Self::Path => "path",
            Self::Client => "client",
        }
    }
}

macro_rules! codes {
    ($($name:ident $word:literal $link:ident $severity:ident $cause:literal $way:literal;)+) => {
        /// What is found, as a stable word.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Code { $(#[doc = $cause] $name,)+ }

        impl Code {
            /// All codes, by link.
            pub const ALL: &[Self] = &[$(Self::$name,)+];

            /// The word, which never changes.
            #[must_use]
            pub const fn word(self) -> &'static str { match self { $(Self::$name => $word,)+ } }

            /// Where in the chain it belongs.
            #[must_use]
            pub const fn link(self) -> Link { match self { $(Self::$name => Link::$link,)+ } }

            /// How bad it is.
            #[must_use]
            pub const fn severity(self) -> Severity { match self { $(Self::$name => Severity::$severity,)+ } }

            /// Its cause in general, for the documents.
            #[must_use]
            pub const fn cause(self) -> &'static str { match self { $(Self::$name => $cause,)+ } }

            /// What mends it in general, for the documents.
            #[must_use]
            pub const fn way_out(self) -> &'static str { match self { $(Self::$name => $way,)+ } }
        }
    };
}

codes! {
    SettingsRefused "settings-refused" Settings Wrong
        "Nix refuses a line of its settings, and with it every command."
        "Mend the line that is named.";
    SettingUnknown "setting-unknown" Settings WorthKnowing
        "No Nix knows a setting of this name; the line has no effect."
        "Correct the name, or take the line away.";
    SettingOverridden "setting-overridden" Settings Wrong
        "A later line sets the list anew and throws away what an earlier line had added."
        "Write `extra-` in front of the later line's name.";
    ConfUnreadable "conf-unreadable" Settings Wrong
        "A file of settings is there but may not be read; Nix ignores it without a word."
        "Make it readable: `chmod a+r FILE`.";
    SubstituteOff "substitute-off" Settings Wrong
        "`substitute = false`: Nix asks no cache at all."
        "Take the line away.";
    NoSubstituters "no-substituters" Settings Wrong
        "The list of substituters is empty."
        "Name a cache in `substituters`.";
    NotInSettings "not-in-settings" Settings Wrong
        "`cache.yaml` declares a cache that is not among Nix's substituters."
        "`nanna-cache doctor --fix`.";
    SubstituterNotTrusted "substituter-not-trusted" Settings Wrong
        "The user is not trusted by the daemon, which ignores a substituter that it does not know itself."
        "An administrator adds it to `trusted-substituters` of the machine's nix.conf.";
    KeyNotTrusted "key-not-trusted" Settings Wrong
        "The user is not trusted by the daemon, which ignores keys of a user's settings."
        "An administrator adds the key to `trusted-public-keys` of the machine's nix.conf.";
    TrustedEverybody "trusted-everybody" Settings WorthKnowing
        "`trusted-users` holds `*`: every user of the machine is as good as root."
        "Name the users, or use `trusted-substituters`, which is enough for caches.";
    FlakeConfigIgnored "flake-config-ignored" Settings WorthKnowing
        "The flake's `nixConfig` names caches, but counts only for who accepts it."
        "Use `nanna-cache setup --apply`, or `accept-flake-config` where the flake is trusted.";
    CacheUnreachable "cache-unreachable" Caches Wrong
        "Nobody answers at the URL of the cache."
        "Correct the URL, or start the server; check proxy and network.";
    CacheRefuses "cache-refuses" Caches Wrong
        "The server wants a login, or does not take the one it got."
        "Put a valid token into the netrc file.";
    CacheFails "cache-fails" Caches Wrong
        "The server answers with an error of its own."
        "Wait, or see the server's log; `fallback = true` builds meanwhile.";
    CacheInfoMissing "cache-info-missing" Caches Wrong
        "There is no `nix-cache-info` at the URL: this is no cache, or its folder is not made yet."
        "Correct the URL, or write the file.";
    CacheInfoMalformed "cache-info-malformed" Caches Wrong
        "What the server gives as `nix-cache-info` is none, such as a web page or a priority that is no number."
        "Mend the file, or the URL.";
    StoreDirDiffers "store-dir-differs" Caches Wrong
        "The cache is one of another store directory; nothing of it fits here."
        "Use a cache of this store directory.";
    PriorityMissing "priority-missing" Caches WorthKnowing
        "`nix-cache-info` has no `Priority`, which counts as 0: the cache is asked before all others."
        "Write a `Priority` line, or `?priority=N` behind the URL.";
    CacheSlow "cache-slow" Caches WorthKnowing
        "The cache takes longer than a second to answer, for each path."
        "Give it a higher priority number, so that nearer caches are asked first.";
    NotLookedAt "not-looked-at" Caches WorthKnowing
        "The cache is of a kind that doctor cannot ask, such as `s3://` or `ssh://`; nothing is known of it."
        "Ask it by Nix itself: `nix path-info --store URL PATH`.";
    KeyMissing "key-missing" Keys Wrong
        "Nix does not trust the key of the cache."
        "Add the key to `trusted-public-keys`; `nanna-cache doctor --fix` for a cache of `cache.yaml`.";
    KeyMalformed "key-malformed" Keys Wrong
        "A word of `trusted-public-keys` is no public key."
        "Copy the key again, as `NAME:BASE64`.";
    KeyDiffers "key-differs" Keys Wrong
        "Nix trusts a key of that name, but it is not the key that made the signature."
        "Replace it by the key that the cache uses now.";
    SignerNotTrusted "signer-not-trusted" Keys Wrong
        "The path is signed, but by no key that Nix trusts."
        "Add the key that signed it, if you trust its owner.";
    Unsigned "unsigned" Keys Wrong
        "The path has no signature in the cache."
        "Sign it: `nix store sign`, or push it with a signing key.";
    NetrcUnreadable "netrc-unreadable" Keys Wrong
        "The netrc file may not be read by who asks."
        "Give it to that user: `chown`, `chmod 600`.";
    NetrcWithoutHost "netrc-without-host" Keys Wrong
        "The server wants a login, and the netrc file has none for this host."
        "Add `machine HOST login NAME password TOKEN` to the file that `netrc-file` names.";
    PathAbsent "path-absent" Path Wrong
        "No cache that is asked has the path."
        "Push it: `nanna-cache push --apply --path PATH`.";
    PathUnknown "path-unknown" Path Wrong
        "A cache that may have the path could not say so: it failed, or did not answer."
        "Ask again when the cache answers.";
    NarinfoMalformed "narinfo-malformed" Path Wrong
        "What the cache gives as the narinfo is none, or that of another path."
        "Push the path again.";
    ClosureIncomplete "closure-incomplete" Path Wrong
        "Something that the path needs is in no cache."
        "Push the whole closure again.";
    ClosureUnknown "closure-unknown" Path WorthKnowing
        "Not all of the closure was looked at: it is too large, or a cache did not answer."
        "`nix path-info --recursive --store URL PATH` looks at all of it.";
    NarMissing "nar-missing" Path Wrong
        "The narinfo is there and its NAR is not."
        "Push the path again, from a machine that has it.";
    NarSizeDiffers "nar-size-differs" Path Wrong
        "The NAR has another size than the narinfo says: it was cut off or replaced."
        "Push the path again, from a machine that has it.";
    NarDamaged "nar-damaged" Path Wrong
        "The NAR has the right size and the wrong bytes (only looked at with `--deep`)."
        "Push the path again, from a machine that has it.";
    RememberedMiss "remembered-miss" Client Wrong
        "Nix remembers that the cache does not have the path, which is no longer true."
        "`--option narinfo-cache-negative-ttl 0`, once.";
    RememberedHit "remembered-hit" Client Wrong
        "Nix remembers a path that the cache does not have any more, and asks for its NAR."
        "`--refresh`, or `--option narinfo-cache-positive-ttl 0`, once.";
    RememberedPriority "remembered-priority" Client WorthKnowing
        "Nix remembers another priority of the cache than it has now."
        "Nothing, for a week; Nix 2.8 never forgets it: remove its memory.";
    DaemonOlder "daemon-older" Client Wrong
        "A file of settings changed after the daemon started, which reads it only then."
        "`sudo systemctl restart nix-daemon`.";
    ClockDiffers "clock-differs" Client WorthKnowing
        "The clock here and that of the server are more than five minutes apart."
        "Set the clock: `timedatectl set-ntp true`.";
}

impl Serialize for Code {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.word())
    }
}
