//! Sends recurring messages when they are due, each run once however many processes are at it.
//!
//! One transaction locks a row, sends its message and notes the next time, so that a process that dies at any
//! point has either sent a run or left it to the others. Those who find the row locked leave it.

use crate::connect::connection::Connection;
use crate::session::lent::Lent;
use crate::session::messaging_session::{Kit, MessagingSession};
use crate::session::outbox::News;
use crate::store::recurring::{self, Taken};
use crate::wake::waker::Waker;
use crate::words::error::{ErrorKind, Result, chain};
use crate::words::sqlstate::classify;
use postgres::IsolationLevel;
use std::time::{Duration, Instant};

/// Recurring messages that are sent before other duties have their turn.
const AT_A_TIME: usize = 100;
/// How long those are left alone that another process has in hand, which takes milliseconds.
const WHILE_HELD: Duration = Duration::from_millis(100);
/// How long those are left alone that could not be sent: their topic is full, or their zone not known here.
const AFTER_FAILURE: Duration = Duration::from_secs(1);
/// The longest that they are left alone, when that happens again and again.
const LONGEST_REST: Duration = Duration::from_secs(60);
/// How many of those are tried again before other duties have their turn.
const AGAIN_AT_A_TIME: usize = 10;

/// When to look next; nothing while nothing recurs.
#[derive(Debug, Default)]
pub(crate) struct Recurrences {
    next: Option<Instant>,
    /// What could not be sent, and is left alone for a while: the others go on.
    failed: Vec<Failed>,
    is_troubled: bool,
}

#[derive(Debug)]
struct Failed {
    topic: String,
    name: String,
    error: String,
    /// How long it is left alone, and until when.
    rest: Duration,
    again_at: Instant,
}

impl Recurrences {
    /// Returns when the duty is to be done.
    pub(crate) fn at(&self) -> Option<Instant> {
        self.next
    }

    /// Learns in how long the next one is due.
    pub(crate) fn learn(&mut self, next: Option<Duration>) {
        self.next = next.and_then(|delay| Instant::now().checked_add(delay));
    }

    /// Sends what is due, and finds out when to look next.
    pub(crate) fn run(
        &mut self,
        connection: &mut Connection,
        kit: &Kit,
        waker: &Waker,
    ) -> Result<()> {
        let mut before = self.failed.len();
        let mut tried = 0;
        while tried < AT_A_TIME && self.send_first(connection, kit, waker, &[])? {
            tried += 1;
        }
        let has_sent = before + tried > self.failed.len();
        self.note_trouble(before);
        // After all others: what fails is slow, and there may be any number of it.
        let again = self.take_rested();
        before = self.failed.len();
        for _ in 0..again.len() {
            self.send_first(connection, kit, waker, &again)?;
        }
        self.note_trouble(before);
        let mut next = recurring::next(connection, &kit.statements, &self.left_alone())?;
        if !has_sent {
            next = next.map(|delay| delay.max(WHILE_HELD));
        }
        self.learn(next);
        let again_at = self.failed.iter().map(|failed| failed.again_at);
        self.next = again_at.chain(self.next).min();
        Ok(())
    }

    /// Takes some of those out of what is left alone that have been for long enough.
    fn take_rested(&mut self) -> Vec<Failed> {
        let now = Instant::now();
        let is_rested = |failed: &Failed| failed.again_at <= now;
        let (mut rested, resting): (Vec<_>, Vec<_>) = std::mem::take(&mut self.failed)
            .into_iter()
            .partition(is_rested);
        let rest = rested.split_off(rested.len().min(AGAIN_AT_A_TIME));
        self.failed = resting.into_iter().chain(rest).collect();
        rested
    }

    /// Says once for each trouble what could not be sent: it may last for days.
    fn note_trouble(&mut self, before: usize) {
        for Failed {
            topic, name, error, ..
        } in &self.failed[before..]
        {
            let text = format!("topic {topic}: the recurring message {name} is not sent: {error}");
            if self.is_troubled {
                log::debug!("{text}");
            } else {
                log::warn!("{text}");
            }
        }
        self.is_troubled = !self.failed.is_empty();
    }

    fn left_alone(&self) -> Vec<(String, String)> {
        let failed = self.failed.iter();
        failed
            .map(|failed| (failed.topic.clone(), failed.name.clone()))
            .collect()
    }

    /// Sends the one that is due first. Returns whether there may be more.
    fn send_first(
        &mut self,
        connection: &mut Connection,
        kit: &Kit,
        waker: &Waker,
        again: &[Failed],
    ) -> Result<bool> {
        let open = connection
            .begin(Some(IsolationLevel::ReadCommitted))
            .map_err(|error| classify(error, "sending a recurring message"))?;
        let mut session = MessagingSession::new(kit, Lent::Begun(open));
        let run = session.lent.own()?;
        let taken = recurring::take_due(run, &kit.statements, &self.left_alone())?;
        let Some(Taken { topic, name, due }) = taken else {
            return Ok(false);
        };
        match due.and_then(|due| send(session, kit, &due)) {
            Ok(news) => waker.announce(&news),
            // The connection is gone, and the duty with it: all is as it was, or done.
            Err(error) if is_lost(error.kind()) => return Err(error),
            Err(error) => {
                let before = again
                    .iter()
                    .find(|failed| failed.topic == topic && failed.name == name);
                let rest = match before {
                    // There may be room at any moment.
                    Some(failed) if error.kind() != ErrorKind::Full => failed.rest * 2,
                    _ => AFTER_FAILURE,
                };
                let rest = rest.min(LONGEST_REST);
                self.failed.push(Failed {
                    topic,
                    name,
                    error: chain(&error),
                    rest,
                    again_at: Instant::now() + rest,
                });
            }
        }
        Ok(true)
    }
}

/// Sends the runs that are due, or as many of them as there is room for: those that are left come first next time.
///
/// # Errors
/// `Full` if there is room for none.
fn send(mut session: MessagingSession<'_>, kit: &Kit, due: &recurring::Due) -> Result<News> {
    let mut runs = due.runs()?;
    let mut fitting = 0;
    for run in &runs.due {
        match session.send(due.message(*run)) {
            Err(error) if error.kind() == ErrorKind::Full && fitting > 0 => break,
            sent => drop(sent?),
        }
        fitting += 1;
    }
    if let Some(&left) = runs.due.get(fitting) {
        runs.due.truncate(fitting);
        runs.next = left;
    }
    recurring::reschedule(session.lent.own()?, &kit.statements, due, &runs)?;
    session.commit()
}

fn is_lost(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::Unavailable | ErrorKind::OutcomeUnknown)
}
