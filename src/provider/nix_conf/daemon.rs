//! The daemon of Nix as a process: since when it runs.

/// Ticks of `/proc` in a second, on every Linux that Nix runs on.
const TICKS: i64 = 100;

/// When the daemon of Nix started, in seconds since 1970; `None`: none is seen to run.
///
/// Each connection has a process of the same name; the oldest is the one that read the settings.
#[must_use]
pub fn started() -> Option<i64> {
    let text = std::fs::read_to_string("/proc/stat").ok()?;
    let boot: i64 = text
        .lines()
        .find_map(|line| line.strip_prefix("btime "))?
        .trim()
        .parse()
        .ok()?;
    let processes = std::fs::read_dir("/proc").ok()?;
    processes
        .filter_map(|entry| {
            let folder = entry.ok()?.path();
            let stat = std::fs::read_to_string(folder.join("stat")).ok()?;
            ticks(&stat)
        })
        .min()
        .map(|ticks| boot + ticks / TICKS)
}

/// When a process of the daemon started, in ticks since the machine did, by its line in `/proc`.
fn ticks(stat: &str) -> Option<i64> {
    let (head, rest) = stat.rsplit_once(") ")?;
    let (_, name) = head.split_once('(')?;
    // Field 22; `rest` begins with field 3.
    let field = rest.split(' ').nth(19)?;
    (name == "nix-daemon").then(|| field.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_daemon_counts() {
        let line = |name: &str| {
            format!("17 ({name}) S 1 17 17 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 4711 99 100")
        };
        assert_eq!(ticks(&line("nix-daemon")), Some(4711));
        assert_eq!(ticks(&line("nix-daemo) x")), None);
        assert_eq!(ticks(&line("bash")), None);
        assert_eq!(ticks("17 (nix-daemon) S 1"), None);
        assert_eq!(ticks(""), None);
    }
}
