//! What can be made to go wrong, for which requests, and how often.

use std::sync::{Arc, Mutex};

use serde::Deserialize;

/// One way of failing.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Kind {
    /// 401 with the plain text of a cache that is not there, or not for this token.
    Unauthorized,
    /// 401 with the plain text of a token that has expired.
    ExpiredToken,
    /// 404 with a line of plain text.
    NotFound,
    /// 429, with this `Retry-After` (seconds, or a date) if any.
    TooMany {
        /// The value of the header.
        retry_after: Option<String>,
    },
    /// 500 with plain text.
    ServerError,
    /// 502 with the JSON problem details of the proxy in front, with `retry_after` if any.
    BadGatewayProblem {
        /// Seconds, in the body.
        retry_after: Option<u64>,
    },
    /// 502 with a web page.
    BadGatewayPage {
        /// The value of a `Retry-After` header.
        retry_after: Option<String>,
    },
    /// 200 with a web page: a portal that wants a login.
    Portal,
    /// The connection is reset after so many bytes of the request's body.
    Reset {
        /// Bytes read before.
        after_bytes: u64,
    },
    /// The effect happens; the connection is reset instead of an answer.
    AnswerLost,
    /// The effect happens; no answer ever comes, and the connection stays open.
    Silence,
    /// The effect happens; the answer stops after so many bytes, its head included.
    AnswerCut {
        /// Bytes written before the reset.
        after_bytes: u64,
    },
    /// The effect happens; the answer comes byte by byte.
    Drip {
        /// Milliseconds between two bytes.
        millis: u64,
    },
    /// Everything happens so much later.
    Delay {
        /// Milliseconds.
        millis: u64,
    },
    /// The answer leads to another host, with this status, and nothing happens here.
    Redirect {
        /// 301, 302, 303, 307 or 308.
        status: u16,
    },
    /// An upload of a part is taken, and answered without an `ETag`.
    #[serde(rename = "no-etag")]
    NoETag,
    /// A narinfo is answered with the narinfo of another path.
    #[serde(rename = "other-narinfo")]
    OtherNarInfo,
    /// The bytes of a file have one bit turned.
    WrongBytes,
    /// The listing of pins holds the first entry twice.
    PinsRepeat,
    /// The listing of pins lacks its last entry.
    PinsSkip,
    /// The JSON of the answer is cut off in its middle, with a length that fits.
    BrokenJson,
}

impl Kind {
    /// Whether the request has its effect all the same.
    pub fn keeps_effect(&self) -> bool {
        matches!(
            self,
            Self::AnswerLost
                | Self::Silence
                | Self::AnswerCut { .. }
                | Self::Drip { .. }
                | Self::Delay { .. }
                | Self::NoETag
                | Self::OtherNarInfo
                | Self::WrongBytes
                | Self::PinsRepeat
                | Self::PinsSkip
                | Self::BrokenJson
        )
    }
}

/// A way of failing, and the requests that it strikes.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Fault {
    /// The method; none for any.
    #[serde(default)]
    pub method: Option<String>,
    /// A pattern of the whole path, without query; `*` stands for any text.
    pub path: String,
    /// How many requests that fit are spared first.
    #[serde(default)]
    pub spare: u32,
    /// How many requests it strikes; none for all.
    #[serde(default)]
    pub times: Option<u32>,
    /// How it fails.
    #[serde(flatten)]
    pub kind: Kind,
}

impl Fault {
    /// Strikes every request of this method (`*` for any) whose path fits the pattern.
    pub fn new(method: &str, path: &str, kind: Kind) -> Self {
        Self {
            method: (method != "*").then(|| method.to_owned()),
            path: path.to_owned(),
            spare: 0,
            times: None,
            kind,
        }
    }

    /// Strikes so many requests only.
    pub fn times(mut self, times: u32) -> Self {
        self.times = Some(times);
        self
    }

    /// Spares so many requests first.
    pub fn after(mut self, spare: u32) -> Self {
        self.spare = spare;
        self
    }

    fn fits(&self, method: &str, path: &str) -> bool {
        self.method.as_deref().is_none_or(|wanted| wanted == method) && glob(&self.path, path)
    }
}

/// Whether `text` fits `pattern`, in which `*` stands for any text.
pub fn glob(pattern: &str, text: &str) -> bool {
    let Some((head, rest)) = pattern.split_once('*') else {
        return pattern == text;
    };
    let Some(tail) = text.strip_prefix(head) else {
        return false;
    };
    (0..=tail.len()).any(|at| tail.is_char_boundary(at) && glob(rest, &tail[at..]))
}

/// The faults that are switched on. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct Faults(Arc<Mutex<Vec<(Fault, u32)>>>);

impl Faults {
    /// Switches a fault on. The first of several that fit strikes.
    pub fn add(&self, fault: Fault) {
        self.0.lock().unwrap().push((fault, 0));
    }

    /// Switches all off.
    pub fn clear(&self) {
        self.0.lock().unwrap().clear();
    }

    /// How many requests were struck by the faults that are switched on.
    pub fn struck(&self) -> u32 {
        self.0.lock().unwrap().iter().map(|(_, times)| times).sum()
    }

    /// What happens to a request.
    pub fn strike(&self, method: &str, path: &str) -> Option<Kind> {
        let mut faults = self.0.lock().unwrap();
        for (fault, struck) in faults.iter_mut() {
            if !fault.fits(method, path) || fault.times.is_some_and(|times| *struck >= times) {
                continue;
            }
            if fault.spare > 0 {
                fault.spare -= 1;
                continue;
            }
            *struck += 1;
            return Some(fault.kind.clone());
        }
        None
    }
}
