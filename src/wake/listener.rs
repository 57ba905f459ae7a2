//! Hears the hints of other processes: one connection for all receivers of this one.
//!
//! It reconnects after any error, and after each connect wakes one worker everywhere, for hints
//! that were lost meanwhile. Two habits of the driver are handled here. On a dead connection its
//! iterator errors once and then returns `None` at once for ever. And a peer that silently vanished
//! is found only by asking.

use crate::connect::connection::Connection;
use crate::connect::dedicated::Dedicated;
use crate::threads::Stop;
use crate::threads::pause::Pause;
use crate::wake::hint::Hint;
use crate::words::{Result, classify};
use postgres::fallible_iterator::FallibleIterator;
use std::time::{Duration, Instant};
use uuid::Uuid;

/// How long one wait for notifications takes; what a stop waits for at most. No traffic.
const ONE_WAIT: Duration = Duration::from_millis(100);
/// The part of the time within which silence is to be noticed, after which a silent connection is
/// asked for a sign of life.
const CHECK: u32 = 3;
/// How often it is asked at least.
const CHECK_EVERY: Duration = Duration::from_secs(30);

/// What the listener tells.
pub(crate) enum Heard {
    /// Another process said something.
    Hint(Hint),
    /// The connection is new: hints may have been lost.
    Reconnected,
}

/// Returns how often the connection is asked for a sign of life. Who polls more often than that
/// notices silence by the poll, and what is not heard is found by it.
pub(crate) fn check_every(dedicated: &Dedicated, poll_interval: Duration) -> Duration {
    let soon = dedicated.settings().silence / CHECK;
    match poll_interval <= soon {
        true => soon.max(CHECK_EVERY),
        false => soon,
    }
}

/// Listens until stopped.
pub(crate) fn listen(
    dedicated: &Dedicated,
    me: Uuid,
    stop: &Stop,
    check_every: Duration,
    tell: &dyn Fn(Heard),
) {
    let mut pause = Pause::new();
    while !stop.is_set() {
        let ended = Connection::open(dedicated.settings()).and_then(|connection| {
            hear(
                connection,
                dedicated,
                me,
                stop,
                check_every,
                &mut pause,
                tell,
            )
        });
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
    check_every: Duration,
    pause: &mut Pause,
    tell: &dyn Fn(Heard),
) -> Result<()> {
    let lost = |error| classify(error, "listening for notifications");
    let client = connection.client();
    // The schema's name was checked; quoted, it names the channel as pg_notify does.
    let listen = format!("LISTEN \"{}\"", dedicated.settings().schema.as_str());
    client.batch_execute(&listen).map_err(lost)?;
    pause.reset();
    tell(Heard::Reconnected);
    let mut checked = Instant::now();
    while !stop.is_set() {
        if connection.is_outdated() {
            log::debug!("listening anew: other connections broke");
            return Ok(());
        }
        let client = connection.client();
        let heard = client.notifications().timeout_iter(ONE_WAIT).next();
        if let Some(notification) = heard.map_err(lost)? {
            if let Some(hint) = Hint::decode(notification.payload(), me) {
                tell(Heard::Hint(hint));
            }
        } else if client.is_closed() || checked.elapsed() > check_every {
            checked = Instant::now();
            // Once more changes nothing, and is answered.
            client.batch_execute(&listen).map_err(lost)?;
        }
    }
    Ok(())
}
