//! Installables as text: what a name in the configuration means on Nix's command line.

/// Puts the flake of the configuration into the place of the `.` of a relative installable.
pub(super) fn qualify(installable: &str, flake: &str) -> String {
    match installable.strip_prefix('.') {
        Some(rest) if rest.is_empty() || rest.starts_with('#') => {
            // A bare name would be looked up in the registry of flakes.
            let local = !flake.contains(':') && !flake.starts_with(['/', '.', '~']);
            let dot = if local { "./" } else { "" };
            format!("{dot}{flake}{rest}")
        }
        _ => installable.to_owned(),
    }
}

/// Some names for a message.
pub(super) fn shown(names: &[&str]) -> String {
    match names {
        [] => "nothing".to_owned(),
        [one] => format!("`{one}`"),
        [one, rest @ ..] => format!("`{one}` and {} more", rest.len()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dots_stand_for_the_flake() {
        assert_eq!(qualify(".#a", "."), ".#a");
        assert_eq!(qualify(".#a", "./sub"), "./sub#a");
        assert_eq!(qualify(".#a", "sub"), "./sub#a");
        assert_eq!(qualify(".#a", "/abs"), "/abs#a");
        assert_eq!(qualify(".#a", "github:o/r"), "github:o/r#a");
        assert_eq!(qualify(".", "."), ".");
        assert_eq!(qualify("./x#a", "sub"), "./x#a");
        assert_eq!(qualify("nixpkgs#a", "sub"), "nixpkgs#a");
    }
}
