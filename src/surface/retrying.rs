//! Work that is to be done once, through whatever happens to the connection.

use crate::session::messaging_session::MessagingSession;
use crate::surface::messaging::Messaging;
use crate::words::limits::check_key;
use crate::words::{Error, ErrorKind, HandlerError, Result};
use crossbeam_channel::after;
use std::time::{Duration, Instant};
use uuid::Uuid;

/// Tries in all. With the pauses between them they take about half a minute, more if connecting is
/// slow.
const TRIES: usize = 10;
/// The pauses double from the first to the longest, each half fixed and half random.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(8);

/// The outcome of work that is to be done once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Once<R> {
    /// This call did the work; the value is what the closure returned.
    Done(R),
    /// An earlier call with the same key did the work within its window. Nothing was done now.
    Before,
}

impl<R> Once<R> {
    /// Returns what the closure returned, or `None` if an earlier call did the work.
    pub fn done(self) -> Option<R> {
        match self {
            Once::Done(returned) => Some(returned),
            Once::Before => None,
        }
    }
}

impl Messaging {
    /// Runs a session until it is known to have committed, and to have committed once: for
    /// producers that cannot stop at "the connection broke during COMMIT".
    ///
    /// `key` names the piece of work: 1 to 512 bytes without NUL, shared by all topics and programs
    /// of the database. It is written in the transaction of `work`, and remembered for `window`
    /// after it. So a try whose COMMIT had happened is recognised, and so is an earlier call, of
    /// this process or another. A try that is still under way on the server is waited for.
    ///
    /// `work` runs again after `OutcomeUnknown`, `Conflict`, `Unavailable` and `PoolExhausted`, at
    /// most ten times, with growing pauses of at most 30 s in all. What it does outside the
    /// database happens as often as it runs. Its own errors end the call. Blocks all the while.
    /// With a window shorter than that, the call may give up sooner: once an earlier try might be
    /// forgotten, `work` does not run again.
    ///
    /// # Errors
    /// `Invalid` for a key or a window out of bounds. When the tries are used up, the kind of the
    /// last error, or `OutcomeUnknown` if any try may have committed: call again with the same key
    /// within its window, or check whether the work is done. Otherwise the same as
    /// [`session`](Messaging::session).
    ///
    /// ```no_run
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let messaging = outtray::Messaging::connect("postgresql://localhost/app")?;
    /// use outtray::Once;
    /// use std::time::Duration;
    ///
    /// let day = Duration::from_secs(86_400);
    /// let done = messaging.retrying("payment-42", day, |session| {
    ///     session.execute("UPDATE account SET balance = balance - 30", &[])?;
    ///     Ok(session.send_message("payments", &42)?)
    /// })?;
    /// match done {
    ///     Once::Done(id) => println!("paid, message {id}"),
    ///     Once::Before => println!("was paid before"),
    /// }
    /// # Ok(()) }
    /// ```
    pub fn retrying<R>(
        &self,
        key: &str,
        window: Duration,
        mut work: impl FnMut(&mut MessagingSession<'_>) -> Result<R, HandlerError>,
    ) -> Result<Once<R>> {
        check_key(key, window)?;
        let mut tries = Attempts {
            key,
            window,
            unknown: Vec::new(),
            unknown_since: None,
            is_too_late: false,
            last_unknown: None,
        };
        let mut pause = FIRST_PAUSE;
        let mut left = TRIES;
        loop {
            left -= 1;
            match tries.once(self, &mut work) {
                Ok(once) => return Ok(once),
                Err(error) if left == 0 || tries.is_too_late || !is_worth_a_retry(error.kind()) => {
                    return Err(tries.verdict(error));
                }
                Err(error) => tries.note(error),
            }
            // A plain wait: a session has no stop signal, and its caller blocks anyway.
            let _ = after(pause.mul_f64(0.5 + fastrand::f64() / 2.0)).recv();
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }
}

/// The tries of one call.
struct Attempts<'k, R> {
    key: &'k str,
    window: Duration,
    /// Tries that may have committed, with what they returned.
    unknown: Vec<(Uuid, R)>,
    /// When the first of those began.
    unknown_since: Option<Instant>,
    /// Whether a try found the key free when that proves nothing any more.
    is_too_late: bool,
    last_unknown: Option<Error>,
}

impl<R> Attempts<'_, R> {
    fn once(
        &mut self,
        messaging: &Messaging,
        work: &mut impl FnMut(&mut MessagingSession<'_>) -> Result<R, HandlerError>,
    ) -> Result<Once<R>> {
        // An id for each try: of several that may have committed, it tells which did.
        let id = Uuid::now_v7();
        let begun_at = Instant::now();
        let (mut holder, mut is_first, mut returned) = (None, false, None);
        let ended = messaging.session(|session| {
            holder = session.claim_work(self.key, self.window, id)?;
            is_first = holder.is_none();
            if is_first {
                // By our clock: the database's own began to count later.
                let since = self.unknown_since;
                self.is_too_late = since.is_some_and(|at| at.elapsed() >= self.window);
                if self.is_too_late {
                    let window = self.window;
                    return Err(HandlerError::failed(format!(
                        "an earlier try may have committed, and its window of {window:?} is over"
                    )));
                }
                returned = Some(work(session)?);
            }
            Ok(())
        });
        if let Some(holder) = holder {
            // Known already, whatever becomes of this transaction, which did nothing.
            let mine = self.unknown.drain(..).find(|(id, _)| *id == holder);
            return Ok(mine.map_or(Once::Before, |(_, returned)| Once::Done(returned)));
        }
        if is_first && !self.is_too_late {
            // The key was free: none of the tries before has committed, or ever will.
            self.unknown.clear();
            self.unknown_since = None;
            self.last_unknown = None;
        }
        match (ended, returned) {
            (Ok(()), Some(returned)) => Ok(Once::Done(returned)),
            (Err(error), Some(returned)) if error.kind() == ErrorKind::OutcomeUnknown => {
                self.unknown.push((id, returned));
                self.unknown_since.get_or_insert(begun_at);
                Err(error)
            }
            (Err(error), _) => Err(error),
            (Ok(()), None) => Err(Error::new(
                ErrorKind::RolledBack,
                "the session ended without a result",
            )),
        }
    }

    /// Remembers that a try may have committed.
    fn note(&mut self, error: Error) {
        if error.kind() == ErrorKind::OutcomeUnknown {
            self.last_unknown = Some(error);
        }
    }

    /// Returns the error that says most: that something may have happened outweighs why it is not
    /// known.
    fn verdict(&mut self, error: Error) -> Error {
        match self.last_unknown.take() {
            Some(unknown) if error.kind() != ErrorKind::OutcomeUnknown => unknown,
            _ => error,
        }
    }
}

fn is_worth_a_retry(kind: ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::OutcomeUnknown
            | ErrorKind::Conflict
            | ErrorKind::Unavailable
            | ErrorKind::PoolExhausted
    )
}
