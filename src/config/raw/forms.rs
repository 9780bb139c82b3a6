//! Values that may be written in more than one form: a word, or a mapping or list.
//!
//! In the schema each is one object with several types, never a choice of schemas: JSON Schema's
//! keywords for mappings do not touch texts, so every message names the one thing that is wrong.

use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

/// An output: `.#x`, or `{ installable: .#x, closure: build }`.
#[derive(Clone, Debug)]
pub(crate) struct RawOutput {
    pub(crate) installable: String,
    pub(crate) closure: Option<RawClosure>,
}

/// Which paths go with a top path.
#[derive(Clone, Copy, Debug, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum RawClosure {
    Runtime,
    Build,
    Dev,
}

/// The mapping form of [`RawOutput`].
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct OutputMap {
    installable: String,
    closure: Option<RawClosure>,
}

/// `user`, `system`, `none`, or `{ dir: PATH }`.
#[derive(Clone, Debug)]
pub(crate) enum RawNixConf {
    Word(String),
    Dir(String),
}

/// The mapping form of [`RawNixConf`].
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct DirMap {
    dir: String,
}

/// `all`, or a list of classes.
#[derive(Clone, Debug)]
pub(crate) enum RawClasses {
    Word(String),
    List(Vec<String>),
}

/// A number of jobs, or `auto`.
#[derive(Clone, Debug)]
pub(crate) enum RawJobs {
    Word(String),
    Count(u32),
}

/// What a setting of nix.conf may be given as.
#[derive(Clone, Debug)]
pub(crate) enum RawSetting {
    Bool(bool),
    Number(i64),
    Text(String),
    List(Vec<String>),
}

/// Implements `Deserialize` by the forms that are given; serde refuses all others by name.
macro_rules! forms {
    ($type:ident, $expecting:literal $(, text $text:expr)? $(, map $map:ty => $of_map:expr)?
     $(, list $list:expr)? $(, count $count:expr)? $(, scalar $scalar:expr)?) => {
        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Forms;
                impl<'de> Visitor<'de> for Forms {
                    type Value = $type;

                    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                        f.write_str($expecting)
                    }

                    $(fn visit_str<E>(self, text: &str) -> Result<$type, E> {
                        Ok($text(text.to_owned()))
                    })?

                    $(fn visit_map<A: MapAccess<'de>>(self, access: A) -> Result<$type, A::Error> {
                        <$map>::deserialize(MapAccessDeserializer::new(access)).map($of_map)
                    })?

                    $(fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<$type, A::Error> {
                        let mut items = Vec::new();
                        while let Some(item) = access.next_element()? {
                            items.push(item);
                        }
                        Ok($list(items))
                    })?

                    $(fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<$type, E> {
                        number.try_into().map($count).map_err(E::custom)
                    }

                    fn visit_i64<E: serde::de::Error>(self, number: i64) -> Result<$type, E> {
                        number.try_into().map($count).map_err(E::custom)
                    })?

                    $(fn visit_bool<E>(self, value: bool) -> Result<$type, E> {
                        Ok($scalar(value))
                    })?
                }
                deserializer.deserialize_any(Forms)
            }
        }
    };
}

forms!(RawOutput, "an installable or a mapping",
    text |installable| RawOutput { installable, closure: None },
    map OutputMap => |map: OutputMap| RawOutput { installable: map.installable, closure: map.closure });
forms!(RawNixConf, "`user`, `system`, `none` or a mapping",
    text RawNixConf::Word, map DirMap => |map: DirMap| RawNixConf::Dir(map.dir));
forms!(RawClasses, "`all` or a list of classes", text RawClasses::Word, list RawClasses::List);
forms!(RawJobs, "a number or `auto`", text RawJobs::Word, count RawJobs::Count);
forms!(RawSetting, "a boolean, a number, a text or a list",
    text RawSetting::Text, list RawSetting::List, count RawSetting::Number, scalar RawSetting::Bool);

/// Implements `JsonSchema` by a literal schema, always inlined.
macro_rules! schema {
    ($type:ident, $name:literal, $schema:tt) => {
        impl JsonSchema for $type {
            fn inline_schema() -> bool {
                true
            }

            fn schema_name() -> std::borrow::Cow<'static, str> {
                $name.into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!($schema)
            }
        }
    };
}

schema!(RawOutput, "Output", {
    "type": ["string", "object"],
    "minLength": 1,
    "properties": {
        "installable": {
            "type": "string",
            "minLength": 1,
            "description": "What Nix calls an installable. `{system}` stands for each of `systems`.",
            "examples": [".#default", ".#devShells.{system}.default"]
        },
        "closure": {
            "type": "string",
            "enum": ["runtime", "build", "dev"],
            "enumDescriptions": [
                "what it needs to run: its references, and theirs",
                "also everything it was built from, except derivations",
                "what it takes to work on it: the outputs of its direct build inputs, and their references"
            ],
            "description": "Which paths belong to the output: what it needs to run, to be built, or to be worked on.",
            "default": "runtime",
            "examples": ["runtime", "build", "dev"]
        }
    },
    "required": ["installable"],
    "additionalProperties": false
});
schema!(RawNixConf, "NixConf", {
    "type": ["string", "object"],
    "pattern": "^(user|system|none)$",
    "properties": {
        "dir": {
            "type": "string",
            "minLength": 1,
            "description": "A folder that gets its own nix.conf, relative to the folder of this file. Point `NIX_CONF_DIR` or `NIX_USER_CONF_FILES` at it to use it.",
            "examples": ["out/nix"]
        }
    },
    "required": ["dir"],
    "additionalProperties": false
});
schema!(RawClasses, "Classes", {
    "type": ["string", "array"],
    "pattern": "^all$",
    "items": { "type": "string" },
    "minItems": 1,
    "uniqueItems": true,
    "description": "`all` artifact classes, or a list of their names.",
    "examples": ["all", ["build-artifacts"]]
});
schema!(RawJobs, "Jobs", {
    "type": ["integer", "string"],
    "minimum": 0,
    "maximum": 65535,
    "pattern": "^auto$"
});
schema!(RawSetting, "Setting", {
    "type": ["boolean", "integer", "string", "array"],
    "items": { "type": "string" },
    "description": "The value, as nix.conf would have it; a list is written with spaces between.",
    "examples": [true, 300, "relaxed"]
});
