//! Sends recurring messages when they are due, each run once however many processes try.
//!
//! One transaction locks a row, sends its message and notes the next time. So a process that dies
//! at any point has either sent a run or left it to the others. Processes that find the row locked
//! skip it.

use crate::connect::connection::Connection;
use crate::observe::fields::told;
use crate::recurring::{self, DueRun};
use crate::session::messaging_session::MessagingSession;
use crate::session::process::Process;
use crate::wake::news::News;
use crate::wake::round::{Polled, Round, Work};
use crate::wake::waker::Waker;
use crate::words::sqlstate::is_held_up;
use crate::words::{Error, ErrorKind, Result, chain};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// For how long recurring messages are sent before other rounds have their turns.
const AT_A_TIME: Duration = Duration::from_millis(200);
/// How long those are left alone that another process has in hand, which takes milliseconds.
const WHILE_HELD: Duration = Duration::from_millis(100);
/// How long one is left alone that could not be sent, the first time.
const AFTER_FAILURE: Duration = Duration::from_secs(1);
/// How long at most one is left alone, doubled each time, when it is not known how to send it, and
/// when a producer has its key or its topic in hand. There may be room in a full one at any moment.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
const LONGEST_WHILE_HELD: Duration = Duration::from_secs(4);
/// How often the noted times are compared with the clock.
const LOOK_EVERY: Duration = Duration::from_secs(10);
/// How many at a time.
const LOOKED_AT_A_TIME: i64 = 1000;

/// When to look next; `None` while nothing recurs.
pub(crate) struct Recurrences {
    process: Arc<Process>,
    next: Option<Instant>,
    /// Those that could not be sent. They come after all others, so that they keep none from its
    /// turn.
    failing: HashMap<RecurringName, Failing>,
    /// When the noted times are compared with the clock next, and from where on.
    look_at: Option<Instant>,
    looked_at: RecurringName,
}

/// The topic and the name of a recurring message.
type RecurringName = (String, String);

#[derive(Debug)]
struct Failing {
    pause: Duration,
    /// When it is tried again.
    at: Instant,
}

impl Recurrences {
    pub(crate) fn new(process: Arc<Process>) -> Self {
        Recurrences {
            process,
            next: None,
            failing: HashMap::new(),
            look_at: None,
            looked_at: RecurringName::default(),
        }
    }

    /// Learns in how long the next one is due, maybe one that fails.
    fn learn(&mut self, next: Option<Duration>) {
        let now = Instant::now();
        let mut at = next.and_then(|delay| now.checked_add(delay));
        if !self.failing.is_empty() {
            at = at.map(|at| at.max(now + WHILE_HELD));
        }
        // What is known of those that fail is not known to who says so.
        self.next = match (self.next, at) {
            (Some(known), Some(at)) if !self.failing.is_empty() => Some(known.min(at)),
            _ => at,
        };
        // As soon as there is one, and again and again.
        self.look_at = next.and(self.look_at.or(Some(now)));
    }

    /// Compares noted times with the clock. One that lies further away than the time between two
    /// runs was noted before the clock was set back, and nothing would be sent until it is there
    /// again.
    fn compare(&mut self, connection: &mut Connection) -> Result<()> {
        self.look_at = Some(Instant::now() + LOOK_EVERY);
        let after = std::mem::take(&mut self.looked_at);
        let distant = recurring::distant(connection, &after, LOOKED_AT_A_TIME)?;
        for recurring in &distant {
            if recurring.correct(connection)? {
                let (topic, name) = (&recurring.topic, &recurring.name);
                tracing::warn!(
                    topic = told(&topic),
                    "topic {topic}: the recurring message {name} goes on, although the clock was set back"
                );
            }
        }
        if i64::try_from(distant.len()).is_ok_and(|count| count >= LOOKED_AT_A_TIME)
            && let Some(last) = distant.into_iter().next_back()
        {
            self.looked_at = (last.topic, last.name);
            self.look_at = Some(Instant::now());
        }
        Ok(())
    }

    /// Returns those that fail, or, of a retry, those whose time has not come again.
    fn left_out(&self, retry_at: Option<Instant>) -> Vec<RecurringName> {
        let is_left_out = |failing: &Failing| retry_at.is_none_or(|now| failing.at > now);
        let names = self.failing.iter();
        names
            .filter(|(_, failing)| is_left_out(failing))
            .map(|(name, _)| name.clone())
            .collect()
    }

    /// Says once for each trouble what could not be sent: it may last for days.
    fn note_failure(&mut self, (topic, name): RecurringName, error: &Error) {
        let why = chain(error);
        let text = format!("topic {topic}: the recurring message {name} is not sent: {why}");
        let known = self.failing.get(&(topic.clone(), name.clone()));
        match known {
            Some(_) => tracing::debug!(topic = told(&topic), error = told(&why), "{text}"),
            None => tracing::warn!(topic = told(&topic), error = told(&why), "{text}"),
        }
        let longest = match error.kind() {
            ErrorKind::Full => AFTER_FAILURE,
            _ if is_held_up(error) => LONGEST_WHILE_HELD,
            _ => LONGEST_PAUSE,
        };
        let pause = known.map_or(AFTER_FAILURE, |failing| failing.pause * 2);
        let pause = pause.min(longest);
        let at = Instant::now() + pause;
        self.failing.insert((topic, name), Failing { pause, at });
    }
}

impl Round for Recurrences {
    fn at(&self) -> Option<Instant> {
        self.next.into_iter().chain(self.look_at).min()
    }

    /// Sends what is due, and finds out when to look next.
    fn run(&mut self, work: &mut Work<'_>) -> Result<()> {
        if self.look_at.is_some_and(|at| at <= Instant::now()) {
            self.compare(work.connection)?;
        }
        let started = Instant::now();
        let mut sent = 0;
        for is_retry in [false, true] {
            while started.elapsed() < AT_A_TIME {
                let left_out = self.left_out(is_retry.then_some(started));
                match send_first(work.connection, &self.process, work.waker, &left_out)? {
                    First::None => {
                        if is_retry {
                            // What was to be tried again and is not there is due no more.
                            self.failing.retain(|_, failing| failing.at > started);
                        }
                        break;
                    }
                    First::Sent(name) => drop(self.failing.remove(&name)),
                    First::Failed(name, error) => self.note_failure(name, &error),
                }
                sent += 1;
            }
        }
        let mut next = recurring::next(work.connection, &self.left_out(None))?;
        if sent == 0 {
            next = next.map(|delay| delay.max(WHILE_HELD));
        }
        let now = Instant::now();
        let again = self.failing.values().map(|failing| failing.at).min();
        let next = next.and_then(|delay| now.checked_add(delay));
        self.next = next.into_iter().chain(again).min();
        Ok(())
    }

    fn polled(&mut self, polled: &Polled, _: &mut Work<'_>) -> Result<()> {
        self.learn(polled.next_recurring);
        Ok(())
    }
}

/// What became of the one that was due first.
enum First {
    None,
    Sent(RecurringName),
    Failed(RecurringName, Error),
}

/// Sends the one that is due first, but for some.
fn send_first(
    connection: &mut Connection,
    process: &Process,
    waker: &Waker,
    left_out: &[RecurringName],
) -> Result<First> {
    let open = connection.read_committed("sending a recurring message")?;
    let mut session = MessagingSession::within(process, open);
    let taken = recurring::take_due(session.open()?, left_out)?;
    let Some(DueRun { topic, name, due }) = taken else {
        return Ok(First::None);
    };
    let name = (topic, name);
    match due.and_then(|due| send(session, &due)) {
        Ok(news) => {
            waker.announce(&news);
            news.tell(&waker.observers);
            Ok(First::Sent(name))
        }
        // The connection is gone, and the round with it: all is as it was, or done.
        Err(error) if is_lost(error.kind()) => Err(error),
        Err(error) => Ok(First::Failed(name, error)),
    }
}

/// Sends the runs that are due, or as many of them as there is room for: those that are left come
/// first next time.
///
/// # Errors
/// `Full` if there is room for none.
fn send(mut session: MessagingSession<'_>, due: &recurring::DueMessage) -> Result<News> {
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
    recurring::reschedule(session.open()?, due, &runs)?;
    session.commit()
}

fn is_lost(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::Unavailable | ErrorKind::OutcomeUnknown)
}
