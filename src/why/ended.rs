//! Messages that nobody waits for any more: dead letters, entries of logs, and what is over.

use crate::db::{Params, Run, Statement, column, first, query, sql};
use crate::dead_letters::letter::dead_letters;
use crate::dead_letters::selection::Selection;
use crate::doctor::finding::Remedy;
use crate::doctor::listed::word;
use crate::finding::place::Located;
use crate::history::ended::EndedMessage;
use crate::history::query::HistoryQuery;
use crate::message::claimed::time;
use crate::why::answer::{ReaderDistance, Why, WhyState};
use crate::why::question::gone;
use crate::words::completion::How;
use crate::words::log_position::LogPosition;
use crate::words::{MessageId, Result};
use std::time::{Duration, SystemTime};

static WHY_ENDED: Statement = sql!("why_ended", Anew);
static WHY_ENTRY: Statement = sql!("why_entry", Anew);

const DOING: &str = "looking what became of a message";

/// What is known of a message that is in no place.
pub(crate) struct KnownEnd {
    id: MessageId,
    now: SystemTime,
    topic: Option<String>,
    state: WhyState,
    /// Whether it is tracked, and its end was never recorded.
    is_lost: bool,
    /// Its last end, where the topic keeps a history.
    last: Option<EndedMessage>,
}

/// Looks how a message ended: what is kept of tracked ones, else the history of its topic.
pub(crate) fn ended(run: &mut dyn Run, id: MessageId) -> Result<KnownEnd> {
    let mut ended = outcome(run, id)?;
    if !ended.is_over() {
        ended.last = HistoryQuery::message(id).limit(1).run(run)?.pop();
    }
    if let Some(last) = &ended.last {
        ended.topic = Some(last.topic.clone());
        ended.is_lost = false;
        ended.state = WhyState::Ended {
            how: last.how,
            ended_at: last.ended_at,
            kept_until: None,
        };
    }
    Ok(ended)
}

fn outcome(run: &mut dyn Run, id: MessageId) -> Result<KnownEnd> {
    let rows = query(run, &WHY_ENDED, &[&id.0], DOING)?;
    let now_us: Option<i64> = first(&rows, "now_us")?;
    let mut ended = KnownEnd {
        id,
        now: time(now_us.unwrap_or_default()),
        topic: None,
        state: WhyState::NotThere { is_sure: true },
        is_lost: false,
        last: None,
    };
    let Some(row) = rows.first() else {
        return Ok(ended);
    };
    ended.topic = column(row, "topic")?;
    let word: Option<&str> = column(row, "state")?;
    let how = word.and_then(How::parse);
    ended.is_lost = word.is_some() && how.is_none();
    let ended_at: Option<i64> = column(row, "ended_at_us")?;
    if let (Some(how), Some(ended_at)) = (how, ended_at.map(time)) {
        let kept_ms: i64 = column::<Option<i64>>(row, "kept_ms")?.unwrap_or_default();
        let kept = Duration::from_millis(kept_ms.max(0).unsigned_abs());
        ended.state = WhyState::Ended {
            how,
            ended_at,
            kept_until: Some(ended_at.checked_add(kept).unwrap_or(ended_at)),
        };
    }
    Ok(ended)
}

impl KnownEnd {
    /// Returns whether it is over for sure. A dead letter of the history may be on its way again.
    pub(crate) fn is_over(&self) -> bool {
        let may_live = self.last.as_ref().is_some_and(|last| last.how == How::Dead);
        matches!(self.state, WhyState::Ended { .. }) && !may_live
    }

    /// Says that not every place was looked at.
    pub(crate) fn unsure(mut self) -> Self {
        self.state = WhyState::NotThere { is_sure: false };
        self
    }

    pub(crate) fn into_why(self) -> Why {
        let is_sure = !matches!(self.state, WhyState::NotThere { is_sure: false });
        let mut why = Why::new(self.id, self.topic, self.state, self.now);
        if let Some(last) = self.last {
            (why.key, why.attempts) = (last.key, last.attempts);
            (why.sent_at, why.failures) = (Some(last.sent_at), last.failures);
        }
        if self.is_lost && is_sure {
            let text = "how it ended: it is tracked, and somebody removed it without saying so";
            why.not_known.push(text.to_owned());
            why.remedies
                .push(Remedy::Command("outtray doctor".to_owned()));
        }
        if !is_sure {
            let text = "whether it is among the messages that were not read in time; tracked messages are \
                found by an index";
            why.not_known.push(text.to_owned());
        }
        why
    }
}

/// Tells of a dead letter.
pub(crate) fn dead(run: &mut dyn Run, place: &Located) -> Result<Why> {
    let id = MessageId(place.id);
    let which = Selection::from(id);
    let mut letters = dead_letters(run, &place.topic, 1, &which)?;
    let letter = letters.pop().ok_or_else(|| gone(id))?;
    let now = outcome(run, id)?.now;
    let state = WhyState::Dead {
        reason: letter.reason,
        error: letter.error,
        died_at: letter.died_at,
    };
    let mut why = Why::new(id, Some(letter.topic), state, now);
    (why.key, why.attempts) = (letter.key, letter.attempts);
    (why.sent_at, why.failures) = (Some(letter.sent_at), letter.failures);
    let topic = word(&place.topic);
    why.remedies = vec![
        Remedy::Command(format!("outtray dead redrive {topic} {id}")),
        Remedy::Command(format!("outtray dead purge {topic} {id}")),
    ];
    Ok(why)
}

/// Tells of an entry of a log.
pub(crate) fn kept(run: &mut dyn Run, place: &Located) -> Result<Why> {
    let id = MessageId(place.id);
    let params: Params<'_> = &[&place.topic, &place.id, &place.segment, &place.seq];
    let rows = query(run, &WHY_ENTRY, params, DOING)?;
    let row = rows.first().ok_or_else(|| gone(id))?;
    let tick: Option<i64> = column(row, "entry_tick")?;
    let position = tick.map(|tick| LogPosition {
        tick,
        seq: place.seq,
    });
    let sent_at = time(column(row, "sent_at_us")?);
    let key = column(row, "key")?;
    let mut readers = Vec::new();
    for row in &rows {
        let Some(reader) = column(row, "reader")? else {
            continue;
        };
        let at = LogPosition {
            tick: column(row, "tick")?,
            seq: column(row, "seq")?,
        };
        let has_passed = position.is_some_and(|position| position <= at);
        readers.push(ReaderDistance {
            reader,
            position: at,
            has_passed,
        });
    }
    let now = outcome(run, id)?.now;
    let state = WhyState::Kept { position, readers };
    let mut why = Why::new(id, Some(place.topic.clone()), state, now);
    why.key = key;
    why.sent_at = Some(sent_at);
    Ok(why)
}
