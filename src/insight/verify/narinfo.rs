//! Judging one narinfo by itself.

use std::collections::BTreeMap;

use super::code::Code;
use super::report::Finding;
use crate::nix::key::PublicKey;
use crate::nix::narinfo::NarInfo;
use crate::nix::store_path::{HashPart, StoreDir};

/// What signatures say of a narinfo.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Signing {
    /// Names of the declared keys that signed it.
    pub by: Vec<String>,
    /// Whether Nix needs no signature: its name follows from its content.
    pub content_addressed: bool,
}

/// A narinfo that was judged.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Judged {
    /// What was found.
    pub findings: Vec<Finding>,
    /// The narinfo, if it can be read and is of the path that its name says.
    pub info: Option<NarInfo>,
    /// Signatures; of use only with `info`.
    pub signing: Signing,
}

/// Judges the narinfo at `key`. Without any `keys`, signatures are not asked for.
#[must_use]
pub fn judge(key: &str, bytes: &[u8], store_dir: &StoreDir, keys: &[PublicKey]) -> Judged {
    let mut judged = Judged::default();
    let malformed = |text: String| Judged {
        findings: vec![Finding::new(Code::NarinfoMalformed, None, key, text)],
        ..Judged::default()
    };
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => {
            return malformed(format!("not UTF-8 after {} bytes", error.valid_up_to()));
        }
    };
    let info = match NarInfo::parse(text, store_dir) {
        Ok(info) => info,
        Err(error) => return malformed(error.to_string()),
    };
    let path = info.store_path.clone();
    let mut find = |code, text: String| {
        let finding = Finding::new(code, Some(&path), key, text);
        judged.findings.push(finding);
    };
    if key.strip_suffix(".narinfo").map(str::parse::<HashPart>) != Some(Ok(path.hash())) {
        find(
            Code::NarinfoMisplaced,
            format!(
                "it is about `{path}`, so its name should be `{}`",
                info.file_name()
            ),
        );
        return judged;
    }
    form(text, &info, store_dir, &mut find);
    if info.malformed_signatures > 0 {
        find(
            Code::SignatureMalformed,
            format!(
                "{} of its `Sig` lines cannot be read; some versions of Nix then refuse the whole narinfo",
                info.malformed_signatures
            ),
        );
    }
    let content_addressed = info.has_valid_ca(store_dir);
    if let Some(ca) = info.ca.filter(|_| !content_addressed) {
        find(Code::CaFalse, format!("`{ca}` does not lead to this path"));
    }
    let by = signers(&info, store_dir, keys, &mut find);
    if by.is_empty() && !keys.is_empty() && !content_addressed && info.ca.is_none() {
        let false_one = judged
            .findings
            .iter()
            .any(|one| matches!(one.code, Code::SignatureFalse | Code::SignatureMalformed));
        if !false_one {
            let names: Vec<String> = info
                .signatures
                .iter()
                .map(|it| format!("`{}`", it.name()))
                .collect();
            let text = match names.as_slice() {
                [] => "it has no signature".to_owned(),
                names => format!("it is signed by {} only", names.join(", ")),
            };
            let finding = Finding::new(Code::SignatureMissing, Some(&path), key, text);
            judged.findings.push(finding);
        }
    }
    judged.signing = Signing {
        by,
        content_addressed,
    };
    judged.info = Some(info);
    judged
}

/// The declared keys that signed it; a signature of such a name that is not true is a finding.
fn signers(
    info: &NarInfo,
    store_dir: &StoreDir,
    keys: &[PublicKey],
    find: &mut dyn FnMut(Code, String),
) -> Vec<String> {
    let fingerprint = info.fingerprint(store_dir);
    let mut by = Vec::new();
    for signature in &info.signatures {
        let mut named = keys
            .iter()
            .filter(|key| key.name() == signature.name())
            .peekable();
        if named.peek().is_none() {
            continue;
        }
        if named.any(|key| key.verify(&fingerprint, signature)) {
            by.push(signature.name().to_owned());
        } else {
            let text = format!(
                "the signature of `{}` is not of this path, NAR and references",
                signature.name()
            );
            find(Code::SignatureFalse, text);
        }
    }
    by.sort_unstable();
    by.dedup();
    by
}

/// Whether it is written as Nix writes it.
fn form(text: &str, info: &NarInfo, store_dir: &StoreDir, find: &mut dyn FnMut(Code, String)) {
    let mut values: BTreeMap<&str, &str> = BTreeMap::new();
    let (mut twice, mut again) = (Vec::new(), Vec::new());
    for line in text.lines() {
        let Some((field, value)) = line.split_once(':') else {
            continue;
        };
        if field == "Sig" {
            continue;
        }
        match values.insert(field, value) {
            Some(before) if before != value => twice.push(format!("`{field}`")),
            Some(_) => again.push(format!("`{field}`")),
            None => {}
        }
    }
    if !twice.is_empty() {
        find(
            Code::NarinfoRepeated,
            format!("{} stands twice, with different values", twice.join(", ")),
        );
        return;
    }
    if !info.unknown.is_empty() {
        let names: Vec<String> = info
            .unknown
            .iter()
            .map(|(name, _)| format!("`{name}`"))
            .collect();
        find(Code::NarinfoUnknownField, names.join(", "));
    }
    if !again.is_empty() {
        find(
            Code::NarinfoForm,
            format!("{} stands twice, with the same value", again.join(", ")),
        );
        return;
    }
    if info.malformed_signatures > 0 {
        return;
    }
    let ours = info.display(store_dir).to_string();
    let known = |line: &&str| {
        let field = line.split(':').next().unwrap_or_default();
        !info.unknown.iter().any(|(name, _)| name == field)
    };
    let theirs: Vec<&str> = text.lines().filter(known).collect();
    let ours: Vec<&str> = ours.lines().collect();
    if ours != theirs {
        let odd = theirs.iter().find(|line| !ours.contains(line));
        let field = odd.and_then(|line| line.split(':').next());
        find(
            Code::NarinfoForm,
            match field {
                Some(field) => format!("Nix writes its `{field}` in another form"),
                None => "Nix writes its fields in another order, or more of them".to_owned(),
            },
        );
    }
}
