//! Wrong answers of a storage.

use crate::stores::proxy::{Answer, Fault, Request};

pub(crate) fn xml(code: &str) -> String {
    format!("<?xml version=\"1.0\"?><Error><Code>{code}</Code><Message>so it is</Message></Error>")
}

pub(crate) fn say(status: u16, code: &str) -> Fault {
    Fault::Say(status, Vec::new(), xml(code))
}

/// A write of a NAR or a narinfo.
pub(crate) fn writes(request: &Request) -> bool {
    request.method == "PUT"
        && (request.target.contains("/nar/") || request.target.contains(".narinfo"))
}

pub(crate) fn problem() -> Fault {
    let kind = vec![("Content-Type", "application/problem+json".into())];
    Fault::Say(
        502,
        kind,
        "{\"title\":\"bad gateway\",\"retry_after\":1}".into(),
    )
}

/// Makes a narinfo be about another path.
pub(crate) fn other(answer: &mut Answer) {
    let text = String::from_utf8_lossy(&answer.body).into_owned();
    let text = text.replace(
        "StorePath: /nix/store/",
        "StorePath: /nix/store/00000000000000000000000000000000-x-",
    );
    answer.body = text.into_bytes();
}

/// Says that the listing goes on where it began.
pub(crate) fn repeat(answer: &mut Answer) {
    let text = String::from_utf8_lossy(&answer.body).into_owned();
    let text = text.replace(
        "<IsTruncated>false</IsTruncated>",
        "<IsTruncated>true</IsTruncated><NextContinuationToken>again</NextContinuationToken>",
    );
    answer.body = text.into_bytes();
}

/// Leaves every other narinfo out.
pub(crate) fn skip(answer: &mut Answer) {
    let text = String::from_utf8_lossy(&answer.body).into_owned();
    let mut count = 0;
    let kept = text.split("<Contents>").filter(|part| {
        let is_narinfo = part.contains(".narinfo</Key>") && !part.contains("</ListBucketResult>");
        count += usize::from(is_narinfo);
        !is_narinfo || count % 2 == 0
    });
    answer.body = kept.collect::<Vec<_>>().join("<Contents>").into_bytes();
}
