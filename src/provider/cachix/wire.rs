//! What goes over the wire, with the service's own names of fields.

use serde::{Deserialize, Serialize};

use crate::plan::service::Keep;

/// A cache as the service describes it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct CacheObject {
    pub(super) uri: String,
    pub(super) is_public: bool,
    #[serde(default)]
    pub(super) public_signing_keys: Vec<String>,
    #[serde(default)]
    pub(super) permission: Option<String>,
}

impl CacheObject {
    /// Whether who asked may write into it.
    pub(super) fn may_write(&self) -> bool {
        matches!(self.permission.as_deref(), Some("Write" | "Admin"))
    }
}

/// A pin as it is listed.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PinObject {
    pub(super) name: String,
    #[serde(default)]
    pub(super) keep: Option<WireKeep>,
    #[serde(default)]
    pub(super) created_on: Option<String>,
    #[serde(default)]
    pub(super) last_revision: Option<Revision>,
}

/// What a pin holds now.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Revision {
    pub(super) store_path: String,
    #[serde(default)]
    pub(super) artifacts: Vec<String>,
}

/// How long revisions stay.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "tag", content = "contents")]
pub(super) enum WireKeep {
    Days(u32),
    Revisions(u32),
    Forever,
}

impl From<WireKeep> for Keep {
    fn from(keep: WireKeep) -> Self {
        match keep {
            WireKeep::Days(days) => Self::Days(days),
            WireKeep::Revisions(revisions) => Self::Revisions(revisions),
            WireKeep::Forever => Self::Forever,
        }
    }
}

impl From<Keep> for WireKeep {
    fn from(keep: Keep) -> Self {
        match keep {
            Keep::Days(days) => Self::Days(days),
            Keep::Revisions(revisions) => Self::Revisions(revisions),
            Keep::Forever => Self::Forever,
        }
    }
}

/// A pin to be made.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct NewPin<'a> {
    pub(super) name: &'a str,
    pub(super) store_path: &'a str,
    pub(super) artifacts: &'a [String],
    pub(super) keep: Option<WireKeep>,
}

/// A cache to be made.
#[derive(Serialize)]
pub(super) struct NewCache {
    #[serde(rename = "isPublic")]
    pub(super) is_public: bool,
    #[serde(rename = "generateSigningKey")]
    pub(super) generate_signing_key: bool,
    #[serde(rename = "accountID")]
    pub(super) account_id: i64,
}

/// Who a token belongs to.
#[derive(Deserialize)]
pub(super) struct User {
    pub(super) id: i64,
}

/// A public key to be registered.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct NewKey {
    pub(super) public_key: String,
}

/// An upload that has begun.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Upload {
    pub(super) nar_id: String,
    pub(super) upload_id: String,
}

/// A part that is to be sent.
#[derive(Serialize)]
pub(super) struct NewPart<'a> {
    #[serde(rename = "contentMD5")]
    pub(super) content_md5: &'a str,
}

/// Where it goes.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PartAddress {
    pub(super) upload_url: String,
}

/// A part that arrived.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Part {
    pub(super) part_number: u32,
    pub(super) e_tag: String,
}

/// An upload that is whole.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Completion<'a> {
    pub(super) parts: &'a [Part],
    pub(super) nar_info_create: NewNarInfo,
}

/// The narinfo that it becomes.
#[derive(Serialize)]
pub(super) struct NewNarInfo {
    #[serde(rename = "cStoreHash")]
    pub(super) store_hash: String,
    #[serde(rename = "cStoreSuffix")]
    pub(super) store_suffix: String,
    #[serde(rename = "cNarHash")]
    pub(super) nar_hash: String,
    #[serde(rename = "cNarSize")]
    pub(super) nar_size: u64,
    #[serde(rename = "cFileHash")]
    pub(super) file_hash: String,
    #[serde(rename = "cFileSize")]
    pub(super) file_size: u64,
    #[serde(rename = "cReferences")]
    pub(super) references: Vec<String>,
    #[serde(rename = "cDeriver")]
    pub(super) deriver: String,
    #[serde(rename = "cSig")]
    pub(super) sig: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fields_have_the_services_names() {
        let text = |value: serde_json::Value| value.to_string();
        let part = Part {
            part_number: 1,
            e_tag: "\"a\"".to_owned(),
        };
        assert_eq!(
            text(serde_json::to_value(part).unwrap()),
            r#"{"partNumber":1,"eTag":"\"a\""}"#
        );
        assert_eq!(
            text(serde_json::to_value(NewPart { content_md5: "x" }).unwrap()),
            r#"{"contentMD5":"x"}"#
        );
        for (keep, is) in [
            (WireKeep::Days(14), r#"{"tag":"Days","contents":14}"#),
            (WireKeep::Forever, r#"{"tag":"Forever"}"#),
        ] {
            assert_eq!(text(serde_json::to_value(keep).unwrap()), is);
            assert_eq!(serde_json::from_str::<WireKeep>(is).unwrap(), keep);
        }
    }
}
