//! What this machine remembers, its daemon and its clock.

use super::{Answer, CacheFacts, Code, Facts, Finding, caches};

/// Seconds between two clocks that are worth a word.
const APART: i64 = 300;
/// Nix's own terms for what it remembers, where the settings do not say.
const POSITIVE: i64 = 30 * 24 * 3600;
const NEGATIVE: i64 = 3600;

pub(super) fn check(facts: &Facts) -> Vec<Finding> {
    let mut found: Vec<Finding> = facts
        .caches
        .iter()
        .flat_map(|cache| memory(facts, cache).into_iter().chain(priority(cache)))
        .collect();
    found.extend(daemon(facts));
    found.extend(clock(facts));
    found
}

fn memory(facts: &Facts, cache: &CacheFacts) -> Option<Finding> {
    let remembered = cache.remembered?;
    let Answer::Got { status, .. } = cache.narinfo else {
        return None;
    };
    let life = |name: &str, default: i64| facts.number(name).unwrap_or(default);
    let age = facts.now.saturating_sub(remembered.time);
    let url = cache.base();
    let finding = match (remembered.present, status) {
        (false, 200) if age < life("narinfo-cache-negative-ttl", NEGATIVE) => {
            let left = life("narinfo-cache-negative-ttl", NEGATIVE).saturating_sub(age);
            let what = format!("Nix remembers that {url} does not have the path, and it does");
            let effect = format!("Nix does not ask for another {left} seconds, and builds");
            Finding::new(Code::RememberedMiss, what, effect)
                .remedy("nix build --option narinfo-cache-negative-ttl 0 …    # once")
        }
        (true, 404 | 410) if age < life("narinfo-cache-positive-ttl", POSITIVE) => {
            let what = format!("Nix remembers that {url} has the path, and it does not any more");
            let effect =
                "Nix asks for a NAR that is gone, and builds; `nix copy` to there uploads nothing";
            Finding::new(Code::RememberedHit, what, effect)
                .remedy("nix build --refresh …    # once")
        }
        _ => return None,
    };
    Some(finding.at(url).since(remembered.time))
}

fn priority(cache: &CacheFacts) -> Option<Finding> {
    let (remembered, now) = (cache.remembered_priority?, caches::priority(cache)?);
    if remembered == now || cache.parameter("priority").is_some() {
        return None;
    }
    let url = cache.base();
    Some(
        Finding::new(
            Code::RememberedPriority,
            format!("Nix remembers the priority {remembered} of {url}, which is {now} now"),
            "caches are asked in the old order until Nix forgets",
        )
        .at(url)
        .remedy("rm ~/.cache/nix/binary-cache-v*.sqlite*    # of who asks: root's where there is a daemon"),
    )
}

fn daemon(facts: &Facts) -> Option<Finding> {
    if !facts.daemon {
        return None;
    }
    let started = facts.daemon_started?;
    let (file, time) = facts
        .changed
        .iter()
        .filter(|(_, time)| *time > started)
        .max_by_key(|(_, time)| *time)?;
    Some(
        Finding::new(
            Code::DaemonOlder,
            format!("{file} changed after the daemon started"),
            "the daemon goes by what the file said before",
        )
        .at(file)
        .since(*time)
        .remedy("sudo systemctl restart nix-daemon"),
    )
}

fn clock(facts: &Facts) -> Option<Finding> {
    let apart = |cache: &&CacheFacts| cache.ahead.is_some_and(|ahead| ahead.abs() > APART);
    let cache = facts.caches.iter().find(apart)?;
    let ahead = cache.ahead?;
    let way = if ahead > 0 { "behind" } else { "ahead of" };
    let what = format!(
        "the clock here is {} seconds {way} that of {}",
        ahead.abs(),
        cache.base()
    );
    let effect =
        "certificates and logins may count as over, and memories live too long or too short";
    Some(
        Finding::new(Code::ClockDiffers, what, effect)
            .at(cache.base())
            .remedy("timedatectl set-ntp true"),
    )
}
