//! The environment file of GitHub Actions: what one step writes there, later steps see.

use camino::Utf8Path;

use super::apply::ApplyError;
use crate::plan::observed::Environment;
use crate::sys::file::{self, FileError};
use crate::sys::host::Host;

/// Largest environment file that is read, in bytes.
const MAX: u64 = 16 << 20;

/// What the environment says that matters to a plan.
#[must_use]
pub fn environment(host: &Host) -> Environment {
    let github = host.github().unwrap_or_default();
    let exported = github.environment_file.as_deref().and_then(|path| {
        // Unreadable counts as empty here; writing to it will say what is wrong.
        let bytes = file::read_if_there(path.as_std_path(), MAX).ok()??;
        exported(&String::from_utf8_lossy(&bytes), "NIX_CONFIG")
    });
    Environment {
        github_env: github.environment_file.map(Into::into),
        ci: host.ci(),
        nix_config: exported
            .unwrap_or_else(|| host.var("NIX_CONFIG").unwrap_or_default().to_owned()),
        commit: github.commit,
        run: github.run,
    }
}

/// Appends `NAME=after` to an environment file, unless that is what later steps see already.
/// `before` is what they would have seen when the step was planned.
///
/// # Errors
/// They would see something else than `before` by now, the name is none, or the file cannot be
/// read or written.
pub fn export(
    host: &Host,
    path: &Utf8Path,
    name: &str,
    before: &str,
    after: &str,
) -> Result<(), ApplyError> {
    let fine = !name.is_empty()
        && !name.starts_with(|c: char| c.is_ascii_digit())
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    if !fine || after.contains(['\0', '\r']) {
        return Err(ApplyError::Variable(name.to_owned()));
    }
    let bytes = file::read_if_there(path.as_std_path(), MAX)?.unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    let own = || host.var(name).unwrap_or_default().to_owned();
    let now = exported(&text, name).unwrap_or_else(own);
    if now == after {
        return Ok(());
    }
    if now != before {
        return Err(ApplyError::Stale(path.to_owned()));
    }
    let io = |source| FileError::io("append to", path.as_std_path(), source);
    let mut random = [0; 16];
    getrandom::fill(&mut random).map_err(|error| io(std::io::Error::other(error.to_string())))?;
    // Nobody can guess the delimiter, so no value can end its own text early.
    let delimiter = format!("nanna_cache_{}", data_encoding::HEXLOWER.encode(&random));
    let start = if text.is_empty() || text.ends_with('\n') {
        ""
    } else {
        "\n"
    };
    let entry = format!("{start}{name}<<{delimiter}\n{after}\n{delimiter}\n");
    // Other steps' tools write there, too: one append, never a replacement.
    file::append(path.as_std_path(), entry.as_bytes())?;
    Ok(())
}

/// The value that an environment file gives a variable, if it names it: the last one counts.
fn exported(text: &str, name: &str) -> Option<String> {
    let mut value = None;
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        let equals = line.find('=');
        let heredoc = line.find("<<");
        match (equals, heredoc) {
            // Whatever comes first decides which form it is.
            (equals, Some(at)) if equals.is_none_or(|equals| at < equals) => {
                let (key, delimiter) = (&line[..at], &line[at + 2..]);
                let body: Vec<&str> = lines
                    .by_ref()
                    .take_while(|line| *line != delimiter)
                    .collect();
                if key == name {
                    value = Some(body.join("\n"));
                }
            }
            (Some(at), _) if line[..at] == *name => value = Some(line[at + 1..].to_owned()),
            _ => {}
        }
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;
    use camino::Utf8PathBuf;

    #[test]
    fn both_forms_are_read_and_the_last_counts() {
        let text = "A=1\nB<<EOF\nA=in b\nmore\nEOF\nA=x<<y\n\nC<<E\nunfinished";
        assert_eq!(exported(text, "A").as_deref(), Some("x<<y"));
        assert_eq!(exported(text, "B").as_deref(), Some("A=in b\nmore"));
        assert_eq!(exported(text, "C").as_deref(), Some("unfinished"));
        assert_eq!(exported(text, "D"), None);
    }

    #[test]
    fn exports_once_and_notices_change() {
        let folder = tempfile::tempdir().unwrap();
        let path = Utf8PathBuf::from_path_buf(folder.path().join("env")).unwrap();
        let host = Host::made_up([
            ("GITHUB_ACTIONS", "true"),
            ("GITHUB_ENV", path.as_str()),
            ("NIX_CONFIG", "cores = 1"),
        ]);
        std::fs::write(&path, "OTHER=kept").unwrap();
        let seen = || environment(&host).nix_config;
        assert_eq!(seen(), "cores = 1");
        export(
            &host,
            &path,
            "NIX_CONFIG",
            "cores = 1",
            "cores = 1\nmax-jobs = 4",
        )
        .unwrap();
        assert_eq!(seen(), "cores = 1\nmax-jobs = 4");
        let once = std::fs::read_to_string(&path).unwrap();
        assert!(
            once.starts_with("OTHER=kept\nNIX_CONFIG<<nanna_cache_"),
            "{once}"
        );
        export(
            &host,
            &path,
            "NIX_CONFIG",
            "cores = 1",
            "cores = 1\nmax-jobs = 4",
        )
        .unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), once);
        let stale = export(&host, &path, "NIX_CONFIG", "cores = 1", "cores = 2").unwrap_err();
        assert!(stale.is_stale());
        assert!(export(&host, &path, "BAD NAME", "", "x").is_err());
    }
}
