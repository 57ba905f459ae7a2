//! Topics in which something is stuck, or that nobody looks after.

use crate::db::{Statement, column, sql};
use crate::doctor::ask::Ask;
use crate::doctor::finding::Finding;
use crate::doctor::listed::{at_most, span, word};
use crate::processes::running::UNSEEN_S;
use crate::words::Result;
use postgres::Row;
use std::collections::{BTreeMap, BTreeSet};

static ADVISORY_HOLDERS: Statement = sql!("advisory_holders", Anew);
static KEYS_HELD: Statement = sql!("keys_held", Anew);
static PAUSED_BACKLOGS: Statement = sql!("paused_backlogs", Anew);
static RECEIVERS: Statement = sql!("receivers", Anew);
static SUSPECTS: Statement = sql!("suspects", Anew);
static TOPICS_WAITING: Statement = sql!("topics_waiting", Anew);

/// How many messages of a paused topic are counted.
const COUNTED: i64 = 10_000;

/// A topic with messages that are ready or in work.
struct TopicInWait {
    name: String,
    /// How long ago the oldest that never failed was sent.
    oldest_ms: i64,
    is_paused: bool,
    is_log: bool,
}

impl TopicInWait {
    fn of(row: &Row) -> Result<Self> {
        Ok(TopicInWait {
            name: column(row, "topic")?,
            oldest_ms: column(row, "oldest_ms")?,
            is_paused: column(row, "is_paused")?,
            is_log: column(row, "is_log")?,
        })
    }
}

/// Returns the topics with messages that somebody should handle.
fn waiting(ask: &mut Ask<'_, '_>) -> Result<Vec<TopicInWait>> {
    let rows = ask.rows(&TOPICS_WAITING, &[])?;
    let mut topics: Vec<TopicInWait> = rows.iter().map(TopicInWait::of).collect::<Result<_>>()?;
    topics.retain(|topic| !topic.is_paused && !topic.is_log);
    Ok(topics)
}

/// Returns the topics with a receiver that lives, for all that can be seen: where tables are
/// distributed, its lock may be on another node.
pub(crate) fn received(ask: &mut Ask<'_, '_>) -> Result<BTreeSet<String>> {
    let rows = ask.rows(&RECEIVERS, &[&UNSEEN_S])?;
    let held = ask.rows(&ADVISORY_HOLDERS, &[])?;
    let keys: Result<BTreeSet<i64>> = held.iter().map(|row| column(row, "key")).collect();
    let keys = keys?;
    let namespace = ask.facts.schema.lock_namespace();
    let mut received = BTreeSet::new();
    for row in &rows {
        let (id, holds_lock): (i64, bool) = (column(row, "id")?, column(row, "holds_lock")?);
        let lives = match holds_lock {
            true => ask.facts.is_distributed || keys.contains(&(namespace ^ id)),
            false => column(row, "was_seen")?,
        };
        if lives {
            received.insert(column(row, "topic")?);
        }
    }
    Ok(received)
}

/// Checks for topics with messages and no receiver.
pub(crate) fn unreceived(ask: &mut Ask<'_, '_>) -> Result<Vec<Finding>> {
    let received = received(ask)?;
    let patience = ask.facts.patience_ms();
    let topics = waiting(ask)?;
    let topics = topics
        .iter()
        .filter(|topic| !received.contains(&topic.name));
    let found = topics.map(|topic| {
        let seen = format!(
            "topic {} has messages, the oldest sent {} ago, and no receiver",
            topic.name,
            span(topic.oldest_ms)
        );
        let finding = match topic.oldest_ms >= patience {
            true => ask.warning(seen),
            false => ask.note(seen),
        };
        finding
            .means("they stay as they are, unless somebody takes them by hand or by SQL")
            .advice(format!(
                "start the program that receives {0}, or a worker: outtray work {0} -- COMMAND",
                word(&topic.name)
            ))
    });
    let found = at_most(ask, found.collect());
    Ok(ask.or_ok(found, format!("{} topics have receivers", received.len())))
}

/// Checks how long messages have been waiting where there are receivers.
pub(crate) fn oldest_ready(ask: &mut Ask<'_, '_>) -> Result<Vec<Finding>> {
    let received = received(ask)?;
    let patience = ask.facts.patience_ms();
    let topics = waiting(ask)?;
    let late = topics
        .iter()
        .filter(|topic| received.contains(&topic.name) && topic.oldest_ms >= patience);
    let found = late.map(|topic| {
        let seen = format!(
            "topic {} has receivers, and a message that was sent {} ago is still ready or in work",
            topic.name,
            span(topic.oldest_ms)
        );
        ask.warning(seen)
            .means("more is sent than handled, or handlers hang, or no receiver's filter wants it")
            .command(ask.facts.command(&format!("stats {}", word(&topic.name))))
            .command(ask.facts.command(&format!("peek {}", word(&topic.name))))
            .advice("then more workers, quicker handlers, or a filter that wants it")
    });
    let found = at_most(ask, found.collect());
    Ok(ask.or_ok(found, format!("none has waited for {}", span(patience))))
}

/// Checks for paused topics in which messages wait.
pub(crate) fn paused(ask: &mut Ask<'_, '_>) -> Result<Vec<Finding>> {
    let rows = ask.rows(&PAUSED_BACKLOGS, &[&COUNTED])?;
    let read = |row: &Row| {
        let (topic, messages): (String, i64) = (column(row, "topic")?, column(row, "messages")?);
        let least = if messages >= COUNTED { "at least " } else { "" };
        let since = span(column(row, "paused_ms")?);
        let seen =
            format!("topic {topic} has been paused for {since}, and {least}{messages} wait in it");
        Ok(ask
            .warning(seen)
            .means("nobody begins any of them until the pause ends")
            .command(ask.facts.command(&format!("resume {}", word(&topic)))))
    };
    let found: Result<Vec<Finding>> = rows.iter().map(read).collect();
    Ok(ask.or_ok(at_most(ask, found?), "no paused topic has messages"))
}

/// Checks for topics in which a process died with messages in hand.
pub(crate) fn suspect(ask: &mut Ask<'_, '_>) -> Result<Vec<Finding>> {
    let rows = ask.rows(&SUSPECTS, &[])?;
    let read = |row: &Row| {
        let topic: String = column(row, "topic")?;
        let left = span(column(row, "left_ms")?);
        let seen = format!("topic {topic} is suspect, for {left} at most");
        Ok(ask
            .warning(seen)
            .means("a process died there with messages in hand: deliveries are counted ahead, and slower, until those have ended")
            .advice("find out why that process died (its log, the kernel's: out of memory?). It ends by itself as soon as receivers have handled what was in hand"))
    };
    let found: Result<Vec<Finding>> = rows.iter().map(read).collect();
    Ok(ask.or_ok(at_most(ask, found?), "no topic is suspect"))
}

/// Checks for keys whose messages wait for a decision about a dead letter.
pub(crate) fn stuck_keys(ask: &mut Ask<'_, '_>) -> Result<Vec<Finding>> {
    let rows = ask.rows(&KEYS_HELD, &[])?;
    let mut held: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for row in &rows {
        let topic = column(row, "topic")?;
        held.entry(topic).or_default().push(column(row, "key")?);
    }
    let found = held.iter().map(|(topic, keys)| {
        let seen = match &keys[..] {
            [key] => format!("key {key} of topic {topic} waits behind a dead letter"),
            [key, ..] => format!(
                "{} keys of topic {topic} wait behind dead letters, {key} first",
                keys.len()
            ),
            [] => String::new(),
        };
        let topic = word(topic);
        let which = match &keys[..] {
            [key] => format!("--key {}", word(key)),
            _ => "--all".to_owned(),
        };
        ask.warning(seen)
            .means("poisoned_key is `block` there: what comes after a dead letter of its key waits until that is redriven or purged")
            .command(ask.facts.command(&format!("dead list {topic}")))
            .command(ask.facts.command(&format!("dead redrive {topic} {which}")))
            .advice(format!("or `outtray dead purge {topic}`, for what is never to be handled"))
    });
    let found = at_most(ask, found.collect());
    Ok(ask.or_ok(found, "no key waits behind a dead letter"))
}
