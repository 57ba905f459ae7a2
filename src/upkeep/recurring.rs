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

/// When to look next; nothing while nothing recurs.
#[derive(Debug, Default)]
pub(crate) struct Recurrences {
    next: Option<Instant>,
    /// Until then what failed is left alone.
    not_before: Option<Instant>,
    is_troubled: bool,
}

impl Recurrences {
    /// Returns when the duty is to be done.
    pub(crate) fn at(&self) -> Option<Instant> {
        self.next
    }

    /// Learns in how long the next one is due.
    pub(crate) fn learn(&mut self, next: Option<Duration>) {
        let at = next.and_then(|delay| Instant::now().checked_add(delay));
        self.next = at.map(|at| self.not_before.map_or(at, |least| least.max(at)));
    }

    /// Sends what is due, and finds out when to look next.
    pub(crate) fn run(
        &mut self,
        connection: &mut Connection,
        kit: &Kit,
        waker: &Waker,
    ) -> Result<()> {
        let mut failed = Vec::new();
        let mut sent = 0;
        while sent + failed.len() < AT_A_TIME && send_first(connection, kit, waker, &mut failed)? {
            sent += 1;
        }
        self.note_trouble(&failed);
        let mut next = recurring::next(connection, &kit.statements)?;
        if sent == 0 {
            next = next.map(|delay| delay.max(WHILE_HELD));
        }
        self.not_before = (!failed.is_empty()).then(|| Instant::now() + AFTER_FAILURE);
        self.learn(next);
        Ok(())
    }

    /// Says once for each trouble what could not be sent: it may last for days.
    fn note_trouble(&mut self, failed: &[Failed]) {
        for Failed { topic, name, error } in failed {
            let text = format!("topic {topic}: the recurring message {name} is not sent: {error}");
            if self.is_troubled {
                log::debug!("{text}");
            } else {
                log::warn!("{text}");
            }
        }
        self.is_troubled = !failed.is_empty();
    }
}

struct Failed {
    topic: String,
    name: String,
    error: String,
}

/// Sends the one that is due first. Returns whether there may be more.
fn send_first(
    connection: &mut Connection,
    kit: &Kit,
    waker: &Waker,
    failed: &mut Vec<Failed>,
) -> Result<bool> {
    let open = connection
        .begin(Some(IsolationLevel::ReadCommitted))
        .map_err(|error| classify(error, "sending a recurring message"))?;
    let mut session = MessagingSession::new(kit, Lent::Begun(open));
    let names: Vec<(String, String)> = failed
        .iter()
        .map(|failed| (failed.topic.clone(), failed.name.clone()))
        .collect();
    let taken = recurring::take_due(session.lent.own()?, &kit.statements, &names)?;
    let Some(Taken { topic, name, due }) = taken else {
        return Ok(false);
    };
    match due.and_then(|due| send(session, kit, &due)) {
        Ok(news) => waker.announce(&news),
        // The connection is gone, and the duty with it: all is as it was, or done.
        Err(error) if is_lost(error.kind()) => return Err(error),
        Err(error) => failed.push(Failed {
            topic,
            name,
            error: chain(&error),
        }),
    }
    Ok(true)
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
