//! A secret that a test plants, and the search for it in everything that was said or written.

use std::path::Path;

/// The forms in which a secret could show: its name, and the bytes.
pub struct Planted(Vec<(&'static str, Vec<u8>)>);

impl Planted {
    /// Of secret texts, each to be found by itself.
    pub fn of<'a>(secrets: impl IntoIterator<Item = &'a str>) -> Self {
        Self(secrets.into_iter().flat_map(forms).collect())
    }

    /// The forms of it that these bytes hold. One pass over them, for they may be many.
    pub fn found(&self, bytes: &[u8]) -> Vec<&'static str> {
        let pair = |two: &[u8]| usize::from(two[0]) << 8 | usize::from(two[1]);
        let mut begins = vec![false; 1 << 16];
        for (_, needle) in &self.0 {
            begins[pair(needle)] = true;
        }
        let mut found: Vec<&'static str> = Vec::new();
        for (at, two) in bytes.windows(2).enumerate() {
            if begins[pair(two)] {
                let rest = &bytes[at..];
                let here = self.0.iter().filter(|(_, needle)| rest.starts_with(needle));
                found.extend(here.map(|(form, _)| *form));
            }
        }
        found.sort_unstable();
        found.dedup();
        found
    }

    /// The files below a folder that hold it, and in which form. Links are not followed.
    pub fn found_below(&self, folder: &Path) -> Vec<String> {
        let mut found = Vec::new();
        let Ok(entries) = std::fs::read_dir(folder) else {
            return found;
        };
        for path in entries.flatten().map(|entry| entry.path()) {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            let in_name = self.found(name.as_bytes());
            found.extend(
                in_name
                    .iter()
                    .map(|form| format!("{} (its name: {form})", path.display())),
            );
            if path.is_symlink() {
                continue;
            }
            if path.is_dir() {
                found.extend(self.found_below(&path));
            } else if let Ok(bytes) = std::fs::read(&path) {
                let forms = self.found(&bytes);
                found.extend(
                    forms
                        .iter()
                        .map(|form| format!("{} ({form})", path.display())),
                );
            }
        }
        found
    }
}

fn forms(secret: &str) -> Vec<(&'static str, Vec<u8>)> {
    let bytes = secret.as_bytes();
    let hex = data_encoding::HEXLOWER.encode(bytes);
    let percent = |lower: bool, all: bool| -> String {
        let one = |byte: &u8| match byte {
            b if !all && (b.is_ascii_alphanumeric() || b"-_.~".contains(b)) => {
                char::from(*b).to_string()
            }
            b if lower => format!("%{b:02x}"),
            b => format!("%{b:02X}"),
        };
        bytes.iter().map(one).collect()
    };
    let json = serde_json::to_string(secret).unwrap();
    let json = json.trim_matches('"');
    let mut forms = vec![
        ("plain", bytes.to_vec()),
        ("reversed", bytes.iter().rev().copied().collect()),
        ("HEX", hex.to_uppercase().into_bytes()),
        ("hex", hex.into_bytes()),
        ("percent", percent(false, false).into_bytes()),
        (
            "percent in small letters",
            percent(true, false).into_bytes(),
        ),
        ("percent of everything", percent(false, true).into_bytes()),
        ("JSON", json.as_bytes().to_vec()),
        ("JSON with slashes", json.replace('/', "\\/").into_bytes()),
        (
            "a list of numbers",
            format!("{bytes:?}")
                .trim_matches(['[', ']'])
                .replace(", ", ",")
                .into_bytes(),
        ),
        (
            "a list of numbers, spaced",
            format!("{bytes:?}")
                .trim_matches(['[', ']'])
                .as_bytes()
                .to_vec(),
        ),
    ];
    // Base64 goes by threes: what stands before it, such as the name of a user, shifts it.
    for before in 0..3 {
        let mut shifted = vec![b'x'; before];
        shifted.extend(bytes);
        let whole = shifted.len() / 3 * 4;
        // The first four letters hold what stands before it.
        let skip = if before == 0 { 0 } else { 4 };
        for (name, text) in [
            ("base64", data_encoding::BASE64.encode(&shifted)),
            ("base64 for URLs", data_encoding::BASE64URL.encode(&shifted)),
        ] {
            forms.push((name, text.as_bytes()[skip..whole].to_vec()));
        }
    }
    // Where an encoding changes nothing, it is the plain form that was found.
    forms.retain(|(name, text)| *name == "plain" || text != bytes);
    forms
}
