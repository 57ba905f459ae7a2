//! Finds out where a message is, by its id.

use crate::db::{Params, Run, Statement, query, sql};
use crate::finding::place::Located;
use crate::words::Result;
use uuid::{Uuid, Version};

static LOCATE_BY_READING: Statement = sql!("locate_by_reading", Anew);
static LOCATE_ENTRY: Statement = sql!("locate_entry", Anew);
static LOCATE_INDEXED: Statement = sql!("locate_indexed", Anew);
static LOCATE_READY: Statement = sql!("locate_ready", Anew);

const DOING: &str = "looking for a message";

/// How many numbers around the time of a message are read: transactions that were open together
/// store their messages in an order of their own.
const AROUND: i64 = 2_000;

/// Returns where a message is, of one topic or of all: looks where an index finds it, and where one
/// of its time should be. An entry of a log is found there and nowhere else. Call it where rows are
/// read in order.
pub(crate) fn quick(run: &mut dyn Run, id: Uuid, topic: Option<&str>) -> Result<Option<Located>> {
    let bounds = TopicRange::of(topic);
    let (from, to) = bounds.ends();
    let by_time: Params<'_> = &[&id, &from, &to, &AROUND];
    let has_time = id.get_version() == Some(Version::SortRand);
    let look_ups = [
        (&LOCATE_INDEXED, &by_time[..3], true),
        (&LOCATE_READY, by_time, has_time),
        (&LOCATE_ENTRY, by_time, has_time),
    ];
    for (statement, params, _) in look_ups.iter().filter(|(.., is_wanted)| *is_wanted) {
        if let Some(row) = query(run, statement, params, DOING)?.first() {
            return Located::read(row, id).map(Some);
        }
    }
    Ok(None)
}

/// Does the same by reading all messages that are ready or behind others of their keys, which takes
/// about a second where there are millions. Call it where tables may be read as a whole.
pub(crate) fn thorough(
    run: &mut dyn Run,
    id: Uuid,
    topic: Option<&str>,
) -> Result<Option<Located>> {
    let bounds = TopicRange::of(topic);
    let (from, to) = bounds.ends();
    let rows = query(run, &LOCATE_BY_READING, &[&id, &from, &to], DOING)?;
    rows.first().map(|row| Located::read(row, id)).transpose()
}

/// The topics among which a message is looked for, by their names.
struct TopicRange<'t> {
    topic: Option<&'t str>,
    last: String,
}

impl<'t> TopicRange<'t> {
    fn of(topic: Option<&'t str>) -> Self {
        // No topic's name begins with the last of all characters.
        let last = char::MAX.to_string();
        TopicRange { topic, last }
    }

    fn ends(&self) -> (&str, &str) {
        self.topic.map_or(("", &self.last), |topic| (topic, topic))
    }
}
