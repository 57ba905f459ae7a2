//! Whether a thread's connection is lost, as far as observers were told.

use crate::observe::connection_of::ConnectionOf;
use crate::observe::event::Event;
use crate::observe::observers::Observers;
use crate::words::{Error, ErrorKind, Result, chain};
use std::time::Instant;

/// What one thread knows of its connection.
#[derive(Debug, Default)]
pub(crate) struct Link {
    lost_at: Option<Instant>,
}

impl Link {
    /// Tells what the end of some work says of the connection.
    pub(crate) fn learn<T>(
        &mut self,
        observers: &Observers,
        of: ConnectionOf<'_>,
        worked: &Result<T>,
    ) {
        match worked {
            Ok(_) => self.works(observers, of),
            Err(error) => self.lost(observers, of, error),
        }
    }

    /// Tells that the connection is lost, if `error` says so and it was not told.
    pub(crate) fn lost(&mut self, observers: &Observers, of: ConnectionOf<'_>, error: &Error) {
        if !observers.are_any() || self.lost_at.is_some() || error.kind() != ErrorKind::Unavailable
        {
            return;
        }
        self.lost_at = Some(Instant::now());
        let error = &chain(error);
        observers.tell(|| Event::ConnectionLost { of, error });
    }

    /// Tells that there is a connection again, if it was told that there was none.
    pub(crate) fn works(&mut self, observers: &Observers, of: ConnectionOf<'_>) {
        if let Some(lost_at) = self.lost_at.take() {
            let after = lost_at.elapsed();
            observers.tell(|| Event::Reconnected { of, after });
        }
    }
}
