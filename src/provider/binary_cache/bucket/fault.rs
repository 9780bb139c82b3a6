//! What went wrong at a storage, in words, with the way out. No URL and no token is in it.

use object_store::client::{HttpError, HttpErrorKind};

use super::lender::Unlent;
use crate::provider::binary_cache::StoreError;

/// Characters of a server's own words that are repeated.
const MAX_WORDS: usize = 240;

/// A refusal of the storage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    status: u16,
    code: String,
    message: String,
    region: Option<String>,
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "the storage answered {}", self.status)?;
        if !self.code.is_empty() {
            write!(f, " {}", self.code)?;
        }
        if !self.message.is_empty() {
            write!(f, ": {}", self.message)?;
        }
        Ok(())
    }
}

impl std::error::Error for Refusal {}

impl Refusal {
    /// Reads the body of a refusal: XML with `Code` and `Message`, or whatever it is.
    pub(super) fn read(
        status: u16,
        body: &str,
        region: Option<String>,
        code: Option<String>,
    ) -> Self {
        let element = |name: &str| {
            let (_, rest) = body.split_once(&format!("<{name}>"))?;
            let (text, _) = rest.split_once('<')?;
            Some(plain(text))
        };
        Self {
            status,
            code: code.or_else(|| element("Code")).unwrap_or_default(),
            message: element("Message").unwrap_or_default(),
            region: region.or_else(|| element("Region")),
        }
    }

    /// A listing that ends in the middle.
    pub(super) fn cut_listing() -> Self {
        let words = "its list is cut and does not say how to go on, so it cannot be relied on";
        Self {
            status: 200,
            code: String::new(),
            message: words.to_owned(),
            region: None,
        }
    }

    /// Whether the whole bucket is not there, not only an object.
    pub(super) fn is_of_bucket(&self) -> bool {
        matches!(self.code.as_str(), "NoSuchBucket" | "ContainerNotFound")
    }

    /// Whether another request was at the same object at the same time.
    pub(super) fn is_conflict(&self) -> bool {
        matches!(
            self.code.as_str(),
            "ConditionalRequestConflict" | "OperationAborted"
        )
    }

    /// Whether the storage does not know such requests at all, or not their headers.
    pub(super) fn is_unknown_to_it(&self) -> bool {
        let code = self.code.as_str();
        matches!(self.status, 405 | 501)
            || code == "NotImplemented"
            || (self.status == 400 && matches!(code, "" | "InvalidArgument" | "InvalidRequest"))
    }

    /// Whether it is of the kind of the request, so that another may be taken.
    pub(super) fn is_of_request(&self) -> bool {
        matches!(self.status, 400 | 405 | 501)
    }

    fn is_region(&self) -> bool {
        matches!(
            self.code.as_str(),
            "PermanentRedirect"
                | "TemporaryRedirect"
                | "AuthorizationHeaderMalformed"
                | "IllegalLocationConstraintException"
        ) || matches!(self.status, 301 | 307)
            || (self.status == 400 && self.region.is_some())
    }

    /// Cause and way out.
    fn words(&self, asked: &Asked<'_>) -> String {
        let code = self.code.as_str();
        let bucket = asked.bucket;
        let lowered = self.message.to_ascii_lowercase();
        if self.is_of_bucket() {
            return format!(
                "there is no bucket `{bucket}`; make it with the storage's own tools, or mend the name in cache.yaml"
            );
        }
        if self.status == 404 {
            return format!(
                "nothing is known there of `{bucket}` (404); check `bucket`, `prefix` and `endpoint` in cache.yaml"
            );
        }
        if self.is_region() {
            return match &self.region {
                Some(region) => format!(
                    "the bucket `{bucket}` is in another region; write `region: {region}` in cache.yaml"
                ),
                None => format!(
                    "the bucket `{bucket}` is in another region, or at another endpoint; mend `region` or `endpoint` in cache.yaml"
                ),
            };
        }
        if matches!(
            code,
            "ExpiredToken" | "ExpiredTokenException" | "TokenRefreshRequired"
        ) || lowered.contains("expired")
        {
            return "the credentials have expired; log in again, or hand the job fresh ones"
                .to_owned();
        }
        if matches!(code, "RequestTimeTooSkewed" | "RequestExpired") {
            return "the clock of this machine and that of the storage differ by more than 15 minutes; set this machine's clock".to_owned();
        }
        if matches!(
            code,
            "InvalidAccessKeyId"
                | "SignatureDoesNotMatch"
                | "AuthenticationFailed"
                | "InvalidToken"
        ) || self.status == 401
        {
            return format!(
                "the storage does not accept the credentials{}; check them where its own tools find them",
                in_brackets(code)
            );
        }
        if self.status == 403 {
            let right = if asked.writes {
                "these credentials may not write: reading works without more, pushing and pruning need the right to put and delete objects"
            } else {
                "reading needs the rights to get objects and to list the bucket"
            };
            let none = if asked.has_credentials {
                ""
            } else {
                "no credentials were found, and "
            };
            return format!(
                "{none}access to `{bucket}` is denied{}; {right}",
                in_brackets(code)
            );
        }
        if matches!(self.status, 429 | 503) {
            return format!(
                "the storage is too busy ({self}), also after several tries; run again later"
            );
        }
        if self.status >= 500 {
            return format!(
                "{self}, also after several tries; the fault is its own, or that of a proxy before it: run again later"
            );
        }
        self.to_string()
    }
}

fn in_brackets(code: &str) -> String {
    match code {
        "" => String::new(),
        code => format!(" ({code})"),
    }
}

/// One line of harmless text.
fn plain(text: &str) -> String {
    let clean: String = text
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    let short: String = clean.trim().chars().take(MAX_WORDS).collect();
    short
}

/// What was asked of the storage, for the words of its refusal.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked<'a> {
    pub(super) action: &'static str,
    pub(super) key: &'a str,
    pub(super) bucket: &'a str,
    pub(super) writes: bool,
    pub(super) has_credentials: bool,
}

/// What the storage said, in words.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Words(String);

/// Turns an error of the library into one of ours.
pub(super) fn fault(error: &object_store::Error, asked: &Asked<'_>) -> StoreError {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    let mut innermost = String::new();
    while let Some(one) = cause {
        if let Some(refusal) = one.downcast_ref::<Refusal>() {
            let words = refusal.words(asked);
            let may_have_happened = asked.writes && matches!(refusal.status, 408 | 500 | 502 | 504);
            if may_have_happened {
                return unanswered(asked);
            }
            return StoreError::refused(asked.action, asked.key, Words(words));
        }
        if let Some(http) = one.downcast_ref::<HttpError>() {
            if asked.writes && http.kind() != HttpErrorKind::Connect && !holds_refusal(http) {
                return unanswered(asked);
            }
            if let Some(words) = transport(http) {
                return StoreError::refused(asked.action, asked.key, Words(words));
            }
        }
        innermost = one.to_string();
        cause = one.source();
    }
    let words = if innermost.contains("ETag Header missing") {
        "the storage, or a proxy before it, answered without an ETag, by which alone what was sent is known to be whole; \
         check `endpoint`, and what is between"
    } else {
        &innermost
    };
    StoreError::refused(asked.action, asked.key, Words(plain(words)))
}

/// The refusal that an error of the library is made of.
pub(super) fn refusal(error: &object_store::Error) -> Option<&Refusal> {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(one) = cause {
        if let Some(refusal) = one.downcast_ref::<Refusal>() {
            return Some(refusal);
        }
        cause = one.source();
    }
    None
}

/// Whether an answer broke off on its way, so that asking again may help.
pub(super) fn is_cut(error: &object_store::Error) -> bool {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(one) = cause {
        if let Some(http) = one.downcast_ref::<HttpError>() {
            return !holds_refusal(http) && http.kind() != HttpErrorKind::Connect;
        }
        cause = one.source();
    }
    false
}

fn unanswered(asked: &Asked<'_>) -> StoreError {
    StoreError::Unanswered {
        action: asked.action,
        key: asked.key.to_owned(),
    }
}

fn holds_refusal(error: &HttpError) -> bool {
    use std::error::Error as _;
    let source = error.source();
    source.is_some_and(|source| source.is::<Refusal>() || source.is::<Unlent>())
}

/// Why nobody answered; `None`: somebody did.
fn transport(error: &HttpError) -> Option<String> {
    if holds_refusal(error) {
        return None;
    }
    let mut innermost: &dyn std::error::Error = error;
    while let Some(inner) = innermost.source() {
        innermost = inner;
    }
    Some(match error.kind() {
        HttpErrorKind::Timeout => late(),
        HttpErrorKind::Connect => {
            format!("the storage cannot be reached: {innermost}; check `endpoint`, and the network")
        }
        _ => format!(
            "the connection to the storage broke, also after several tries: {innermost}; check `endpoint`, and \
             what is between, or run again later"
        ),
    })
}

/// The words for a storage that is silent, or slower than anything that works.
pub(super) fn late() -> String {
    "the storage did not answer in time; check `endpoint`, and what is between, or run again later"
        .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ASKED: Asked<'_> = Asked {
        action: "read",
        key: "nix-cache-info",
        bucket: "team",
        writes: false,
        has_credentials: true,
    };

    fn words(status: u16, code: &str, message: &str) -> String {
        let body = format!(
            "<?xml version=\"1.0\"?><Error><Code>{code}</Code><Message>{message}</Message>\
             <StringToSign>secret</StringToSign></Error>"
        );
        Refusal::read(status, &body, None, None).words(&ASKED)
    }

    #[test]
    fn each_refusal_says_its_cause_and_the_way_out() {
        for (status, code, message, expected) in [
            (404, "NoSuchBucket", "", "there is no bucket `team`"),
            (403, "ExpiredToken", "", "log in again"),
            (
                400,
                "ExpiredToken",
                "The provided token has expired.",
                "log in again",
            ),
            (403, "RequestTimeTooSkewed", "", "set this machine's clock"),
            (
                403,
                "InvalidAccessKeyId",
                "",
                "does not accept the credentials (InvalidAccessKeyId)",
            ),
            (
                403,
                "AccessDenied",
                "Access Denied",
                "access to `team` is denied (AccessDenied)",
            ),
            (301, "PermanentRedirect", "", "another region"),
            (503, "SlowDown", "", "too busy"),
            (
                418,
                "Teapot",
                "short and stout",
                "answered 418 Teapot: short and stout",
            ),
        ] {
            let words = words(status, code, message);
            assert!(words.contains(expected), "{status} {code}: {words}");
            assert!(!words.contains("secret"), "{words}");
        }
    }

    #[test]
    fn a_region_is_named_where_the_storage_names_it() {
        let body =
            "<Error><Code>AuthorizationHeaderMalformed</Code><Region>eu-west-1</Region></Error>";
        let words = Refusal::read(400, body, None, None).words(&ASKED);
        assert!(words.contains("`region: eu-west-1`"), "{words}");
        let words = Refusal::read(301, "", Some("eu-west-2".into()), None).words(&ASKED);
        assert!(words.contains("`region: eu-west-2`"), "{words}");
    }

    #[test]
    fn who_has_no_credentials_is_told_so_and_a_writer_what_writing_needs() {
        let refusal = Refusal::read(403, "", None, None);
        let none = Asked {
            has_credentials: false,
            ..ASKED
        };
        assert!(
            refusal
                .words(&none)
                .starts_with("no credentials were found")
        );
        let write = Asked {
            writes: true,
            ..ASKED
        };
        assert!(refusal.words(&write).contains("may not write"));
    }

    #[test]
    fn a_page_that_is_no_xml_and_control_characters_do_no_harm() {
        let words = Refusal::read(502, "<html>\x1b[31m<b>Bad Gateway", None, None).words(&ASKED);
        assert!(
            words.starts_with("the storage answered 502, also"),
            "{words}"
        );
        assert!(!words.contains(['<', '\x1b']), "{words}");
        let body = "<Error><Code>X</Code><Message>a\x1b]0;b\nc</Message></Error>";
        let words = Refusal::read(400, body, None, None).words(&ASKED);
        assert!(!words.contains(['\x1b', '\n']), "{words:?}");
    }
}
