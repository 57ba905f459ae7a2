//! The history of a round: each message that ended is in it once for each end, with how it ended,
//! however often its handler ran and whatever was rolled back.

use super::WORK;
use super::expected::{Fate, Final};
use super::script::{Hands, Planned, Round};
use super::stage::Stage;
use crate::support::{DAY, Place};
use outtray::{EndedMessage, HistoryQuery, How, MessageId, TopicConfig};
use std::collections::HashMap;

/// Has the topic keep its history, and what its reader puts aside, if the round wants that.
pub(super) fn configure(place: &Place, round: &Round) {
    let topics = [WORK, "work@reader"];
    for topic in topics.into_iter().filter(|_| round.way.keeps_history) {
        let config = TopicConfig {
            keep_done: Some(DAY),
            ..TopicConfig::default()
        };
        place.messaging.topic(topic).configure(config).unwrap();
    }
}

/// Compares the history with what came of all messages in both of their lives.
pub(super) fn check(
    stage: &Stage,
    messages: &[Planned],
    [first, second]: [&HashMap<usize, Final>; 2],
) -> Result<(), String> {
    let query = HistoryQuery::topic(stage.ends_in().name()).limit(10_000);
    let mut rows: HashMap<MessageId, Vec<EndedMessage>> = HashMap::new();
    for one in stage.place.messaging.history(&query).unwrap() {
        rows.entry(one.id).or_default().insert(0, one);
    }
    let is_log = matches!(stage.round.way.hands, Hands::Reader(_));
    for planned in messages {
        let ends = rows.remove(&stage.ids[&planned.n]).unwrap_or_default();
        let (before, after) = (&first[&planned.n].fate, &second[&planned.n].fate);
        let lives = match before {
            Fate::Dead(..) => vec![before, after],
            _ => vec![before],
        };
        // An entry of a log stays there: what its reader did not put aside does not end.
        let is_nowhere = is_log && ends.is_empty() && lives.len() == 1;
        let is_so = ends.len() == lives.len()
            && ends
                .iter()
                .zip(&lives)
                .all(|(end, fate)| is_of(end, fate, planned));
        if !stage.round.way.keeps_history && ends.is_empty() || is_so || is_nowhere {
            continue;
        }
        return Err(format!(
            "of {planned:?}\ncame {lives:?}\nthe history has {ends:?}"
        ));
    }
    match rows.is_empty() {
        true => Ok(()),
        false => Err(format!("the history has what nobody sent: {rows:?}")),
    }
}

/// Whether a row says what became of its message. Only of tracked messages is known whether they
/// are done or cancelled.
fn is_of(end: &EndedMessage, fate: &Fate, planned: &Planned) -> bool {
    let is_whole = end.key == planned.key.map(|key| key.to_string()) && end.ended_at >= end.sent_at;
    let is_fate = match fate {
        Fate::Done => end.how == How::Done || end.how == How::Cancelled && !planned.is_tracked,
        Fate::Cancelled => end.how == How::Cancelled,
        Fate::Dead(reason, attempts, error) => {
            let text = end.error.as_deref();
            end.how == How::Dead
                && end.reason.is_some_and(|found| found.as_str() == *reason)
                && end.attempts == *attempts
                && text == Some(error.as_str())
        }
    };
    is_whole && is_fate
}
