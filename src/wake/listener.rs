//! Hears the hints of other processes: one connection for all receivers of this one.
//!
//! It reconnects after anything, and after each connect wakes one worker everywhere, for hints
//! that were lost meanwhile. Two habits of the driver are handled here: on a dead connection its
//! iterator errors once and then returns nothing at once for ever, and a peer that vanished
//! without a word is found only by asking.

use crate::connect::connection::Connection;
use crate::connect::dedicated::Dedicated;
use crate::wake::hint::Hint;
use crate::wake::pause::Pause;
use crate::wake::threads::Stop;
use crate::words::Result;
use crate::words::sqlstate::classify;
use postgres::fallible_iterator::FallibleIterator;
use std::time::{Duration, Instant};
use uuid::Uuid;

/// How long one wait for notifications takes; what a stop waits for at most. No traffic.
const ONE_WAIT: Duration = Duration::from_millis(100);
/// How often a silent connection is asked for a sign of life.
const CHECK_EVERY: Duration = Duration::from_secs(30);

/// What the listener tells.
pub(crate) enum Heard {
    /// Another process said something.
    Hint(Hint),
    /// The connection is new: hints may have been lost.
    Reconnected,
}

/// Listens until stopped.
pub(crate) fn listen(dedicated: &Dedicated, me: Uuid, stop: &Stop, tell: &dyn Fn(Heard)) {
    let mut pause = Pause::new();
    while !stop.is_set() {
        let ended = Connection::open(dedicated.settings())
            .and_then(|connection| hear(connection, dedicated, me, stop, &mut pause, tell));
        if let Err(error) = ended {
            log::debug!("not listening for notifications, polling instead: {error}");
        }
        if !pause.wait(stop) {
            return;
        }
    }
}

fn hear(
    mut connection: Connection,
    dedicated: &Dedicated,
    me: Uuid,
    stop: &Stop,
    pause: &mut Pause,
    tell: &dyn Fn(Heard),
) -> Result<()> {
    let lost = |error| classify(error, "listening for notifications");
    let client = connection.client();
    // The schema's name was checked; quoted, it names the channel as pg_notify does.
    client
        .batch_execute(&format!(
            "LISTEN \"{}\"",
            dedicated.settings().schema.as_str()
        ))
        .map_err(lost)?;
    pause.reset();
    tell(Heard::Reconnected);
    let mut checked = Instant::now();
    while !stop.is_set() {
        let heard = client.notifications().timeout_iter(ONE_WAIT).next();
        if let Some(notification) = heard.map_err(lost)? {
            if let Some(hint) = Hint::decode(notification.payload(), me) {
                tell(Heard::Hint(hint));
            }
        } else if client.is_closed() || checked.elapsed() > CHECK_EVERY {
            checked = Instant::now();
            client.check_connection().map_err(lost)?;
        }
    }
    Ok(())
}
