//! How a topic becomes a log, or a queue again.

use crate::db::run::{Run, column, query};
use crate::db::statement::{Statement, sql};
use crate::words::error::{Error, ErrorKind, Result};
use crate::words::topic_kind::TopicKind;

static END_LOG: Statement = sql!("end_log", Kept);
static IS_LOG: Statement = sql!("is_log", Kept);
static LOG_IS_FREE: Statement = sql!("log_is_free", Anew);
static OPEN_SEGMENT: Statement = sql!("open_segment", Kept);

const DOING: &str = "making a topic a log";

/// Makes a topic what it is said to be, in the transaction that sets it and has locked it.
///
/// # Errors
/// `InUse` where it is something else, and holds messages, or somebody receives from it.
pub(crate) fn set_kind(run: &mut dyn Run, topic: &str, kind: TopicKind) -> Result<()> {
    let is_log = is_log(run, topic)?;
    match (kind, is_log) {
        (TopicKind::Queue, false) | (TopicKind::Log, true) => Ok(()),
        (TopicKind::Log, false) => {
            if !truth(run, &LOG_IS_FREE, topic, "is_free")? {
                return Err(in_use(topic, "a queue"));
            }
            open_segment(run, topic, None)
        }
        (TopicKind::Queue, true) => {
            let is_free = truth(run, &LOG_IS_FREE, topic, "is_free")?;
            match is_free && truth(run, &END_LOG, topic, "is_ended")? {
                true => Ok(()),
                false => Err(in_use(topic, "a log")),
            }
        }
    }
}

/// Has entries written into another segment than this, unless they are already; `None` makes the
/// log.
pub(crate) fn open_segment(run: &mut dyn Run, topic: &str, instead_of: Option<i64>) -> Result<()> {
    query(run, &OPEN_SEGMENT, &[&topic, &instead_of], DOING).map(drop)
}

/// Returns whether a topic is kept as a log.
pub(crate) fn is_log(run: &mut dyn Run, topic: &str) -> Result<bool> {
    truth(run, &IS_LOG, topic, "is_log")
}

fn truth(run: &mut dyn Run, statement: &Statement, topic: &str, name: &str) -> Result<bool> {
    let rows = query(run, statement, &[&topic], DOING)?;
    rows.first().map_or(Ok(false), |row| column(row, name))
}

fn in_use(topic: &str, kind: &str) -> Error {
    let text = format!(
        "topic {topic} stays {kind}: what it is can change only while it holds no messages and has neither receivers nor readers"
    );
    Error::new(ErrorKind::InUse, text)
}
