//! What to say where a key stands at the wrong depth.
//!
//! In YAML a wrong depth is no error of its own: the key becomes a name, or an unknown key somewhere
//! else, and the section that it was meant for is empty. The help says which of these it looks like.

use serde_json::Value as Json;

use crate::config::check::Check;

/// Where a mapping takes names instead of keys, in [`home`].
const NAME: &str = "NAME";

/// The words for a pointer's steps.
fn steps(pointer: &str) -> Vec<String> {
    let steps = pointer.split('/').skip(1);
    steps
        .map(|step| step.replace("~1", "/").replace("~0", "~"))
        .collect()
}

/// The mapping that has a key of this name, as steps from the root.
fn home(schema: &Json, key: &str, path: &[String]) -> Option<Vec<String>> {
    let properties = schema.get("properties").and_then(Json::as_object)?;
    if !path.is_empty() && properties.contains_key(key) {
        return Some(path.to_vec());
    }
    properties.iter().find_map(|(name, inner)| {
        let with = |step: &str| [path, &[step.to_owned()]].concat();
        let named = || {
            let inner = inner
                .get("additionalProperties")
                .filter(|inner| inner.is_object())?;
            home(inner, key, &[with(name), vec![NAME.to_owned()]].concat())
        };
        home(inner, key, &with(name)).or_else(named)
    })
}

/// The section before `key` in the mapping at `pointer`, if there is nothing in it.
fn empty_before(check: &Check<'_>, pointer: &str, key: &str) -> Option<String> {
    let root = check.document.root.to_json();
    let entries = root.pointer(pointer)?.as_object()?;
    let before = entries.iter().take_while(|(name, _)| *name != key);
    // Those between are as lost as this one: they stand at its depth.
    let (name, value) = before.last()?;
    value.is_null().then(|| name.clone())
}

/// Help for a key that is unknown in the mapping at `pointer`, if it looks misplaced.
pub(super) fn unknown(
    check: &Check<'_>,
    schema: &Json,
    pointer: &str,
    key: &str,
) -> Option<String> {
    let here = steps(pointer);
    let home = home(schema, key, &[]);
    if let Some(section) = empty_before(check, pointer, key) {
        let whole = [here.as_slice(), &[section.clone()]].concat().join(".");
        let sure = home
            .as_ref()
            .is_some_and(|home| home.last() == Some(&section));
        return Some(if sure {
            format!("`{key}` belongs under `{whole}`, which is empty: indent it further")
        } else {
            format!(
                "if `{key}` is meant for `{whole}` before it, which is empty, indent it further"
            )
        });
    }
    // Names of this place stand in for any.
    let home: Vec<String> = home?
        .into_iter()
        .enumerate()
        .map(|(at, step)| match here.get(at) {
            Some(own) if step == NAME => own.clone(),
            _ => step,
        })
        .collect();
    let place = home.join(".");
    Some(if here.starts_with(&home) {
        format!("`{key}` belongs under `{place}`: indent it less")
    } else {
        format!("`{key}` belongs under `{place}`")
    })
}

/// Help for a value that is no mapping where one was expected, if it looks misplaced.
pub(super) fn no_mapping(schema: &Json, pointer: &str, value: &Json) -> Option<String> {
    let here = steps(pointer);
    let [section, name] = here.as_slice() else {
        return None;
    };
    if value.is_null() {
        return None;
    }
    let named = format!("/properties/{section}/additionalProperties/properties/{name}");
    schema.pointer(&named)?;
    Some(format!(
        "as it stands it is the name of something in `{section}`; if the key `{name}` is meant, indent \
         it further, below a name"
    ))
}

/// Help for a name in the mapping of names at `pointer` that is the name of a section.
pub(super) fn section(schema: &Json, pointer: &str) -> Option<String> {
    let here = steps(pointer);
    let [within, name] = here.as_slice() else {
        return None;
    };
    schema.pointer(&format!("/properties/{name}"))?;
    Some(format!(
        "as it stands it is a name in `{within}`; if the section `{name}` is meant, indent it less"
    ))
}
