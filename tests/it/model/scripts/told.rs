//! What observers are told of a round: exactly what the database says in the end. Each message that
//! ended is told once, each attempt that counts, each message that was sent on; and nothing of what
//! was rolled back.

use super::acting::Run;
use super::expected::{Fate, Final};
use super::script::{Act, Planned};
use super::stage::Stage;
use super::{ON, WORK};
use crate::support::{Place, database};
use outtray::{Event, MessageId, Messaging};
use std::collections::HashMap;
use std::sync::{Arc, Mutex};

const SENT_ON: &str = "
    SELECT id::text, (payload ->> 0)::integer AS n, (payload ->> 1)::integer AS run, (payload ->> 2)::integer AS at, is_later
    FROM (
        SELECT id, topic, payload, false AS is_later FROM outtray.message
        UNION ALL SELECT id, topic, payload, false FROM outtray.follower
        UNION ALL SELECT id, topic, payload, true FROM outtray.scheduled
    ) AS sent
    WHERE topic = 'on'";

/// What was told of a message's end, or of an attempt at it.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Line {
    Failed(u32),
    Done(u32),
    Cancelled,
    Dead(String, Option<u32>, String),
}

/// What the processes of a round told.
#[derive(Clone, Default)]
pub(super) struct Told(Arc<Mutex<Heard>>);

#[derive(Default)]
struct Heard {
    lines: HashMap<MessageId, Vec<Line>>,
    /// What was sent, to which topic, and whether for later.
    sent: Vec<(MessageId, String, bool)>,
}

impl Told {
    /// Connects a process that tells.
    pub(super) fn connect(&self, url: &str) -> Messaging {
        let told = self.clone();
        let builder = Messaging::builder().url(url);
        let builder = builder.on_event(move |event| told.0.lock().unwrap().note(event));
        builder.connect().unwrap()
    }

    pub(super) fn place(&self) -> Place {
        let url = database();
        Place::over(&url, self.connect(&url))
    }
}

impl Heard {
    fn note(&mut self, event: &Event<'_>) {
        let (id, line) = match *event {
            Event::Sent {
                topic,
                ids,
                is_scheduled,
                ..
            } => {
                let sent = ids.iter().map(|id| (*id, topic.to_owned(), is_scheduled));
                return self.sent.extend(sent);
            }
            Event::Failed { id, attempt, .. } => (id, Line::Failed(attempt)),
            Event::Done { id, attempt, .. } => (id, Line::Done(attempt)),
            Event::Cancelled { id, .. } => (id, Line::Cancelled),
            Event::Dead {
                id,
                attempts,
                reason,
                error,
                ..
            } => {
                let reason = reason.as_str().to_owned();
                (id, Line::Dead(reason, attempts, error.to_owned()))
            }
            _ => return,
        };
        self.lines.entry(id).or_default().push(line);
    }
}

/// Takes what was told of one life of a message; says what is wrong with it.
fn live(lines: &mut Vec<Line>, fate: &Fate, is_tracked: bool) -> Result<(), String> {
    let is_end = |line: &Line| !matches!(line, Line::Failed(_));
    let end = lines.iter().position(is_end).ok_or("no end is told")?;
    let life: Vec<Line> = lines.drain(..=end).collect();
    let (end, failed) = life.split_last().expect("it has an end");
    let numbers = 1..;
    if !failed
        .iter()
        .zip(numbers)
        .all(|(line, n)| *line == Line::Failed(n))
    {
        return Err(format!("attempts are told as {life:?}"));
    }
    let failed = failed.len() as u32;
    let is_so = match (end, fate) {
        (Line::Done(attempt), Fate::Done) => *attempt == failed + 1,
        (Line::Cancelled, Fate::Done) => !is_tracked,
        (Line::Cancelled, Fate::Cancelled) => true,
        (Line::Dead(told, attempts, error), Fate::Dead(reason, of, text)) => {
            told == reason && *attempts == Some(*of) && error == text && failed == *of
        }
        _ => false,
    };
    match is_so {
        true => Ok(()),
        false => Err(format!("{life:?} is told of one that is {fate:?}")),
    }
}

/// Compares what was told with what the database has, after both lives of all messages.
pub(super) fn check(
    stage: &mut Stage,
    messages: &[Planned],
    [first, second]: [&HashMap<usize, Final>; 2],
) -> Result<(), String> {
    let rows = sent_on(stage);
    let heard = std::mem::take(&mut *stage.told.0.lock().unwrap());
    let (mut lines, ids) = (heard.lines, &stage.ids);
    for planned in messages {
        let mut lines = lines.remove(&ids[&planned.n]).unwrap_or_default();
        let (before, after) = (&first[&planned.n].fate, &second[&planned.n].fate);
        let mut told = live(&mut lines, before, planned.is_tracked);
        if matches!(before, Fate::Dead(..)) {
            told = told.and_then(|()| live(&mut lines, after, planned.is_tracked));
        }
        if !lines.is_empty() {
            told = told.and(Err(format!("{lines:?} is told besides")));
        }
        told.map_err(|why| format!("message {}: {why}\nof {planned:?}", planned.n))?;
    }
    if !lines.is_empty() {
        return Err(format!("of nobody: {lines:?}"));
    }
    let mut sent: HashMap<MessageId, bool> = HashMap::new();
    for (id, topic, is_later) in heard.sent {
        if topic == ON && sent.insert(id, is_later).is_some() {
            return Err(format!("{id} is told to be sent twice"));
        }
        if topic != ON && topic != WORK {
            return Err(format!("{id} is told to be sent to {topic}"));
        }
    }
    for (id, run, at, is_later) in rows {
        // Nobody here knows what an SQL function sends.
        let is_ours = stage.actor.act_of(run, at) != Some(Act::SendBySql);
        if sent.remove(&id) != is_ours.then_some(is_later) {
            return Err(format!(
                "what {run:?} sent is told wrongly, by its act {at}"
            ));
        }
    }
    match sent.is_empty() {
        true => Ok(()),
        false => Err(format!("told to be sent, and not there: {sent:?}")),
    }
}

/// Returns what handlers sent on: its id, the run and the act of the sender, and whether it is for
/// later.
fn sent_on(stage: &mut Stage) -> Vec<(MessageId, Run, usize, bool)> {
    let rows = stage.place.client.query(SENT_ON, &[]).unwrap();
    let sent = rows.iter().map(|row| {
        let number = |name| usize::try_from(row.get::<_, i32>(name)).unwrap();
        let id = row.get::<_, String>("id").parse().unwrap();
        let run = (number("n"), number("run") as u32);
        (id, run, number("at"), row.get("is_later"))
    });
    sent.collect()
}
