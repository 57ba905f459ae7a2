//! What the stream under a connection sees of its caller's SQL: the tags of commands, settings that
//! changed, and, of what may not leave, the texts.

use crate::words::SideEffects;
use crate::words::control::refusal;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU16};

const OFF: u8 = 0;
const ON: u8 = 1;
const GUARDED: u8 = 2;

/// What the stream under a connection sees of its caller's SQL.
#[derive(Debug, Default)]
pub(crate) struct SqlWatch {
    /// Whether it is the caller's SQL that runs.
    mode: AtomicU8,
    did: AtomicU16,
    /// Where the server's last word puts the transaction: `I`, `T` or `E`; 0 before it.
    status: AtomicU8,
    /// Whether the caller's SQL set something in the open transaction.
    is_altered: AtomicBool,
}

impl SqlWatch {
    /// Notes that the server carried out a command.
    pub(crate) fn completed(&self, tag: &[u8]) {
        if self.mode.load(Relaxed) != OFF {
            self.add(SideEffects::of_tag(tag));
        } else if tag.starts_with(b"COMMIT") {
            self.is_altered.store(false, Relaxed);
        }
    }

    /// Notes that a setting changed that the server reports.
    pub(crate) fn reported(&self) {
        if self.mode.load(Relaxed) != OFF {
            self.add(SideEffects::SET);
        }
    }

    /// Notes whether a transaction is open.
    pub(crate) fn is_ready(&self, status: u8) {
        self.status.store(status, Relaxed);
        if status == b'I' {
            self.is_altered.store(false, Relaxed);
        }
    }

    /// Returns whether the caller's SQL set something in the open transaction, that it only reads
    /// maybe.
    pub(crate) fn is_altered(&self) -> bool {
        self.is_altered.load(Relaxed) || self.seen().any(&[SideEffects::SET])
    }

    /// Notes that what runs from now on is ours.
    pub(crate) fn end(&self) {
        self.mode.store(OFF, Relaxed);
    }

    /// Notes that a statement of the caller's runs from now on.
    pub(crate) fn begin(&self) {
        self.mode.store(ON, Relaxed);
    }

    /// Notes that the caller has its transaction in hand from now on.
    pub(crate) fn begin_guarded(&self) {
        self.mode.store(GUARDED, Relaxed);
    }

    pub(crate) fn is_guarded(&self) -> bool {
        self.mode.load(Relaxed) == GUARDED
    }

    /// Reads a text before it leaves. Returns false for one that must not.
    pub(crate) fn guard(&self, sql: &[u8]) -> bool {
        self.add(SideEffects::hidden_in(sql));
        let is_refused = refusal(sql, false).is_some();
        if is_refused {
            self.add(SideEffects::STOPPED);
        }
        !is_refused
    }

    /// Notes what it did.
    pub(crate) fn add(&self, did: SideEffects) {
        if did.any(&[SideEffects::SET]) {
            self.is_altered.store(true, Relaxed);
        }
        self.did.fetch_or(did.bits(), Relaxed);
    }

    /// Returns what was seen so far.
    pub(crate) fn seen(&self) -> SideEffects {
        SideEffects::of_bits(self.did.load(Relaxed))
    }

    /// Returns whether the server's last word puts the connection outside of any transaction.
    pub(crate) fn is_outside(&self) -> bool {
        self.status.load(Relaxed) == b'I'
    }

    /// Returns what was seen since the last call.
    pub(crate) fn take(&self) -> SideEffects {
        SideEffects::of_bits(self.did.swap(0, Relaxed))
    }
}
