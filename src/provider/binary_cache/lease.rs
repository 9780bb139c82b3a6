//! A record of this process that others see as long as it is written again in time.

use std::time::Duration;

use super::records::Lease;
use super::{CacheStore, StoreError};
use crate::config::units::Span;
use crate::plan::time::Time;
use crate::sys::clock::Clock;

/// The record was not written again in time: others may count it as gone by now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Lapsed;

/// Why a record was not written again.
#[derive(Debug)]
pub(super) enum RenewError {
    /// It is too late.
    Lapsed,
    /// The cache refuses.
    Store(StoreError),
}

/// A record of this process.
pub(super) struct Held<'a> {
    store: &'a dyn CacheStore,
    clock: &'a dyn Clock,
    pub(super) key: String,
    lease: Lease,
    bytes: Vec<u8>,
    /// When the last successful writing began. Trust counts from here.
    begun: Duration,
    /// The cache's now at some moment of ours.
    anchor: (Time, Duration),
}

impl<'a> Held<'a> {
    /// Writes the record for the first time.
    pub(super) fn begin(
        store: &'a dyn CacheStore,
        clock: &'a dyn Clock,
        key: String,
        lease: Lease,
        bytes: Vec<u8>,
    ) -> Result<Self, StoreError> {
        let begun = clock.elapsed();
        let meta = store.put_record(&key, bytes.clone())?;
        let anchor = (meta.modified, begun);
        Ok(Self {
            store,
            clock,
            key,
            lease,
            bytes,
            begun,
            anchor,
        })
    }

    /// Writes the record again with another body.
    pub(super) fn rewrite(&mut self, bytes: Vec<u8>) -> Result<(), StoreError> {
        let begun = self.clock.elapsed();
        let meta = self.store.put_record(&self.key, bytes.clone())?;
        (self.bytes, self.begun, self.anchor) = (bytes, begun, (meta.modified, begun));
        Ok(())
    }

    /// Writes the record again if it is time to. A record that lapsed is never taken up again:
    /// others may have acted as if it were gone.
    pub(super) fn renew(&mut self) -> Result<(), RenewError> {
        self.trusted().map_err(|Lapsed| RenewError::Lapsed)?;
        if self.clock.elapsed().saturating_sub(self.begun) >= self.lease.renewal {
            self.rewrite(self.bytes.clone())
                .map_err(RenewError::Store)?;
        }
        Ok(())
    }

    /// Keeps the record alive while `work` runs, which may take long. Answers whether it is still
    /// to be trusted, too.
    pub(super) fn renew_during<T: Send>(
        &mut self,
        work: impl FnOnce() -> T + Send,
    ) -> (T, Result<(), RenewError>) {
        if self.clock.is_alone() {
            let result = work();
            return (result, self.renew());
        }
        std::thread::scope(|scope| {
            let task = scope.spawn(work);
            let mut renewed = Ok(());
            let mut pause = Duration::from_millis(1);
            while !task.is_finished() {
                std::thread::sleep(pause);
                pause = (pause * 2).min(Duration::from_millis(250));
                renewed = renewed.and_then(|()| self.renew());
            }
            let renewed = renewed.and_then(|()| self.renew());
            match task.join() {
                Ok(result) => (result, renewed),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        })
    }

    /// Whether something may still be sent that relies on the record.
    pub(super) fn trusted(&self) -> Result<(), Lapsed> {
        if self.clock.elapsed().saturating_sub(self.begun) < self.lease.trust {
            Ok(())
        } else {
            Err(Lapsed)
        }
    }

    /// The cache's now.
    pub(super) fn now(&self) -> Time {
        let (time, at) = self.anchor;
        time.after(Span(self.clock.elapsed().saturating_sub(at).as_secs()))
    }

    /// Removes the record.
    pub(super) fn remove(self) -> Result<(), StoreError> {
        self.store.delete(&[self.key]).into_iter().collect()
    }
}
