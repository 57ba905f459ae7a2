//! A mutex that is used on after a panic.

use std::sync::{Mutex as StdMutex, MutexGuard, PoisonError};

/// A mutex without poisoning: what is locked here is changed in whole steps, so that a thread that
/// panicked while it held the lock left nothing half done.
#[derive(Debug, Default)]
pub(crate) struct Mutex<T>(StdMutex<T>);

impl<T> Mutex<T> {
    pub(crate) fn new(value: T) -> Self {
        Mutex(StdMutex::new(value))
    }

    /// Blocks until no other thread holds the lock.
    pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
