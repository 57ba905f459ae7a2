//! Scheduled messages becoming due, and the one question a process polls with.

use crate::store::expiry::distance;
use crate::store::lanes;
use crate::store::run::{Run, column, execute, query};
use crate::store::statements::Statements;
use crate::words::Result;
use std::time::Duration;

/// Messages moved by one statement: large enough for 100,000 a second, small enough to hold its
/// locks for milliseconds only.
pub(crate) const MOVE_LIMIT: i64 = 1000;

/// What a poll learned about one topic.
#[derive(Debug)]
pub(crate) struct TopicState {
    pub(crate) topic: String,
    pub(crate) is_ready: bool,
    /// How long its receivers are to count attempts before they run a handler.
    pub(crate) suspect_for: Duration,
}

/// What a poll learned.
#[derive(Debug, Default)]
pub(crate) struct Polled {
    pub(crate) topics: Vec<TopicState>,
    /// When the next scheduled message of any topic is due.
    pub(crate) next_due: Option<Duration>,
    /// In how long the time of the next message of any topic is over.
    pub(crate) next_expiry: Option<Duration>,
    /// In how long the next recurring message of any topic is to be sent.
    #[cfg(feature = "cron")]
    pub(crate) next_recurring: Option<Duration>,
    /// When the settings of any topic changed last, as the database writes it.
    pub(crate) changed_at: Option<String>,
    /// Whether messages of any topic wait for others.
    pub(crate) has_dependents: bool,
    /// Whether messages of any topic are to be given up.
    pub(crate) has_cancellations: bool,
    /// Lines of keys are to be moved on.
    pub(crate) has_stalled: bool,
}

/// Asks for all topics of a process at once.
pub(crate) fn poll(
    run: &mut dyn Run,
    statements: &Statements,
    topics: &[String],
) -> Result<Polled> {
    let mut polled = Polled::default();
    for row in query(run, &statements.poll, &[&topics], "polling")? {
        let suspect_ms: i64 = column(&row, "suspect_ms")?;
        let due_us: Option<i64> = column(&row, "due_us")?;
        polled.topics.push(TopicState {
            topic: column(&row, "topic")?,
            is_ready: column(&row, "is_ready")?,
            suspect_for: Duration::from_millis(suspect_ms.unsigned_abs()),
        });
        polled.has_stalled = column(&row, "has_stalled")?;
        polled.changed_at = column(&row, "changed_at")?;
        polled.has_dependents = column(&row, "has_dependents")?;
        polled.has_cancellations = column(&row, "has_cancellations")?;
        polled.next_due = due_us.map(|us| Duration::from_micros(us.unsigned_abs()));
        polled.next_expiry = column::<Option<i64>>(&row, "expiry_us")?.map(distance);
        #[cfg(feature = "cron")]
        {
            polled.next_recurring = column::<Option<i64>>(&row, "recurring_us")?.map(distance);
        }
    }
    Ok(polled)
}

/// Due messages that were moved.
#[derive(Debug, Default)]
pub(crate) struct Moved {
    pub(crate) topics: Vec<String>,
    pub(crate) messages: i64,
    /// Some of them are in the lines of their keys now, which are stalled.
    pub(crate) has_lined_up: bool,
}

/// Moves one batch of due messages.
pub(crate) fn move_due(run: &mut dyn Run, statements: &Statements) -> Result<Moved> {
    let mut moved = Moved::default();
    for row in query(
        run,
        &statements.move_due,
        &[&MOVE_LIMIT],
        "moving due messages",
    )? {
        match column::<Option<String>>(&row, "topic")? {
            Some(topic) => {
                moved.topics.push(topic);
                moved.messages += column::<i64>(&row, "messages")?;
            }
            None => moved.has_lined_up = true,
        }
    }
    if moved.has_lined_up {
        let lined_up = lanes::line_up_due(run, statements, MOVE_LIMIT)?;
        moved.messages += i64::try_from(lined_up).unwrap_or(i64::MAX);
    }
    Ok(moved)
}

/// Returns in how long the next scheduled message is due.
pub(crate) fn next_due(run: &mut dyn Run, statements: &Statements) -> Result<Option<Duration>> {
    let rows = query(run, &statements.next_due, &[], "looking for due messages")?;
    let Some(row) = rows.first() else {
        return Ok(None);
    };
    let us: i64 = column(row, "due_us")?;
    Ok(Some(Duration::from_micros(us.unsigned_abs())))
}

/// Sends hints to all listeners.
pub(crate) fn notify(
    run: &mut dyn Run,
    statements: &Statements,
    channel: &str,
    hints: &[String],
) -> Result<()> {
    execute(run, &statements.notify, &[&channel, &hints], "notifying")?;
    Ok(())
}
