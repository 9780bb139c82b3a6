//! One cache, on one machine or everybody's, as it would be at an instant.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use super::traffic::Sorted;

/// A path in a place.
#[derive(Clone, Copy, Debug)]
struct Kept {
    /// When it was written.
    written: i64,
    /// When its root was last written.
    renewed: i64,
    /// Until when it is needed.
    until: i64,
}

/// One cache, on one machine or everybody's.
#[derive(Debug, Default)]
pub(super) struct Place {
    kept: BTreeMap<usize, Kept>,
    bytes: u64,
    /// Bytes × seconds of what has gone.
    gone: u128,
    /// Bytes of each path here.
    sizes: BTreeMap<usize, u64>,
    /// Paths that went because of a limit.
    pub(super) over: u64,
    /// No path goes before that.
    first: Option<i64>,
}

impl Place {
    /// Whether a path is here; it must have been swept for the instant that is meant.
    pub(super) fn has(&self, item: usize) -> bool {
        self.kept.contains_key(&item)
    }

    /// Bytes of all files here.
    pub(super) const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Puts a path here, or renews its root; says whether it is new.
    pub(super) fn put(&mut self, item: usize, now: i64, sorted: &Sorted<'_>) -> bool {
        let known = self.kept.get(&item);
        let written = known.map_or(now, |kept| kept.written);
        let renewed = known.map_or(now, |kept| kept.renewed.max(now));
        let is_new = known.is_none();
        let until = renewed
            .saturating_add(sorted.retention(item))
            .max(written.saturating_add(sorted.grace()));
        let kept = Kept {
            written,
            renewed,
            until,
        };
        self.kept.insert(item, kept);
        self.first = Some(self.first.map_or(until, |first| first.min(until)));
        if is_new {
            let size = sorted.traffic.items[item].file;
            self.sizes.insert(item, size);
            self.bytes = self.bytes.saturating_add(size);
        }
        is_new
    }

    /// Takes out what is not needed any more.
    pub(super) fn sweep(&mut self, now: i64, sorted: &Sorted<'_>) {
        if !sorted.prunes() || self.first.is_none_or(|first| first >= now) {
            return;
        }
        let ended: Vec<(usize, i64)> = self
            .kept
            .iter()
            .filter(|(_, kept)| kept.until < now)
            .map(|(item, kept)| (*item, kept.until.saturating_add(1)))
            .collect();
        for (item, at) in ended {
            self.remove(item, at);
        }
        self.first = self.kept.values().map(|kept| kept.until).min();
    }

    /// Ends roots in ascending priority, the oldest first, until what remains fits. Nothing younger than the grace
    /// ends; if that alone is too big, nothing does.
    pub(super) fn fit(&mut self, limit: u64, now: i64, sorted: &Sorted<'_>) {
        if !sorted.prunes() || self.bytes <= limit {
            return;
        }
        let size = |item: usize| self.sizes.get(&item).copied().unwrap_or(0);
        let is_firm = |kept: &Kept| kept.written.saturating_add(sorted.grace()) >= now;
        let firm = self.kept.iter().filter(|(_, kept)| is_firm(kept));
        let mut bytes = firm.map(|(item, _)| size(*item)).sum::<u64>();
        if bytes > limit {
            return;
        }
        let mut soft: Vec<(usize, Kept)> = self
            .kept
            .iter()
            .filter(|(_, kept)| !is_firm(kept))
            .map(|(item, kept)| (*item, *kept))
            .collect();
        soft.sort_by_key(|(item, kept)| {
            (
                Reverse(sorted.priority(*item)),
                Reverse(kept.renewed),
                *item,
            )
        });
        let fitting = soft
            .iter()
            .take_while(|(item, _)| {
                bytes = bytes.saturating_add(size(*item));
                bytes <= limit
            })
            .count();
        for (item, _) in soft.split_off(fitting) {
            self.remove(item, now);
            self.over += 1;
        }
    }

    /// Bytes × seconds that this place held, up to `end`.
    pub(super) fn held(&self, end: i64) -> u128 {
        let here = self.kept.iter().map(|(item, kept)| {
            let size = self.sizes.get(item).copied().unwrap_or(0);
            product(size, kept.written, end)
        });
        here.fold(self.gone, u128::saturating_add)
    }

    fn remove(&mut self, item: usize, at: i64) {
        if let Some(kept) = self.kept.remove(&item) {
            let size = self.sizes.remove(&item).unwrap_or(0);
            self.bytes = self.bytes.saturating_sub(size);
            self.gone = self.gone.saturating_add(product(size, kept.written, at));
        }
    }
}

fn product(bytes: u64, from: i64, to: i64) -> u128 {
    let seconds = u128::try_from(to.saturating_sub(from)).unwrap_or(0);
    u128::from(bytes).saturating_mul(seconds)
}
