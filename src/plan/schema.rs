//! JSON Schemas of the types that a plan borrows from other layers.
//!
//! The plan's own types derive theirs; those that are one string in JSON are described here, so
//! that the lower layers need not know of schemas.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use super::observed::{Nar, Why};
use super::time::Time;
use crate::config::model::{CacheName, ClassName, ClosureKind, PinName};
use crate::nix::hash::Sha256;
use crate::nix::store_path::StorePath;

macro_rules! described {
    ($($type:ty => $name:literal, $schema:tt;)*) => {$(
        impl JsonSchema for $type {
            fn schema_name() -> Cow<'static, str> {
                $name.into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!($schema)
            }
        }
    )*};
}

described! {
    StorePath => "StorePath", {
        "description": "A store path without its directory: `<hash>-<name>`.",
        "type": "string",
        "pattern": "^[0-9abcdfghijklmnpqrsvwxyz]{32}-.+$"
    };
    Sha256 => "Sha256", {
        "description": "A SHA-256 digest, written `sha256:<base 32>`.",
        "type": "string",
        "pattern": "^sha256:[0-9abcdfghijklmnpqrsvwxyz]{52}$"
    };
    Time => "Time", {
        "description": "A point in time, RFC 3339, whole seconds.",
        "type": "string",
        "format": "date-time"
    };
    CacheName => "CacheName", {
        "description": "Name of a cache in `caches`.",
        "type": "string"
    };
    ClassName => "ClassName", {
        "description": "Name of an artifact class in `artifacts`.",
        "type": "string"
    };
    PinName => "PinName", {
        "description": "Name of a pin in `pins`.",
        "type": "string"
    };
    Why => "Why", {
        "description": "Why something could not be seen.",
        "type": "string"
    };
    ClosureKind => "ClosureKind", {
        "description": "Which paths go with a top path.",
        "type": "string",
        "enum": ["runtime", "build", "dev"]
    };
}

impl JsonSchema for Nar {
    fn schema_name() -> Cow<'static, str> {
        "Object".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let time = generator.subschema_for::<Time>();
        json_schema!({
            "description": "An object of a cache.",
            "type": "object",
            "properties": {
                "key": { "description": "Key, such as `nar/….nar.zst`.", "type": "string" },
                "size": {
                    "description": "Bytes of the file.",
                    "type": "integer",
                    "format": "uint64",
                    "minimum": 0
                },
                "modified": time
            },
            "required": ["key", "size", "modified"]
        })
    }
}
