//! Compares the dedupe keys that are taken until their messages end with the messages that there
//! are. Those who end messages free their keys; this is for what was done by hand.

use crate::connect::connection::Connection;
use crate::dedupe;
use crate::words::Result;
use std::time::{Duration, Instant};
use uuid::Uuid;

/// How far the keys were compared.
#[derive(Debug, Default)]
pub(crate) struct Compared(Uuid);

impl Compared {
    /// Compares as many as fit into `turn`, however many there are.
    pub(crate) fn go_on(&mut self, connection: &mut Connection, turn: Duration) -> Result<()> {
        let started = Instant::now();
        while started.elapsed() < turn {
            let (freed, next) = dedupe::prune_held(connection, self.0)?;
            if freed > 0 {
                tracing::warn!(
                    "{freed} dedupe keys were held for messages that are nowhere any more: they are free now"
                );
            }
            self.0 = next.unwrap_or_default();
            if next.is_none() {
                break;
            }
        }
        Ok(())
    }
}
