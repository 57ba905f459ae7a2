//! What the ways to deliver cost: keys, dedupe, each beside the same without.

use super::bed::work::Task;
use super::bed::{Bed, Result, plain};
use super::plan::Effort;
use super::report::Report;
use outtray::{NewMessage, PoisonedKey, Sent, TopicConfig};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// Connections of the cases that use several.
const WORKERS: usize = 8;
/// Messages to a transaction that sends.
const BULK: u64 = 1000;
/// Keys that messages are spread over.
const KEYS: u64 = 10_000;
/// Messages behind one key that is stuck.
const STUCK: u64 = 100_000;

const MINUTE: Duration = Duration::from_secs(60);

/// Handles messages of 10,000 keys with an insert and a send for each, adaptive batches, beside the
/// same without keys.
pub(crate) fn keyed_case(bed: &Bed, plan: &Effort) -> Result<Report> {
    let messages = plan.scaled(50_000);
    keyed(bed, plan, "keyed", messages, KEYS, Task::HandleAdaptive)
}

/// Has messages of so many keys handled, beside the same without keys.
pub(super) fn keyed(
    bed: &Bed,
    plan: &Effort,
    name: &'static str,
    messages: u64,
    keys: u64,
    task: Task,
) -> Result<Report> {
    let pass = |has_keys: bool| -> Result<Duration> {
        send(bed, "work", messages, |number, message| match has_keys {
            true => message.key(format!("key {}", number % keys)),
            false => message,
        })?;
        bed.settle()?;
        Ok(task.with_workers(bed, messages, WORKERS)?.all)
    };
    let (ours, theirs) = plan.compare(bed, messages, || pass(true), || pass(false))?;
    Ok(Report::new(name, messages).rates(ours, theirs, "without keys"))
}

/// Sends messages of 10,000 keys, 1,000 to a transaction, beside the same without keys.
pub(crate) fn send_keyed_case(bed: &Bed, plan: &Effort) -> Result<Report> {
    let messages = plan.scaled(50_000);
    let pass = |has_keys: bool| -> Result<Duration> {
        bed.settle()?;
        let started = Instant::now();
        send(bed, "send", messages, |number, message| match has_keys {
            true => message.key(format!("key {}", number % KEYS)),
            false => message,
        })?;
        Ok(started.elapsed())
    };
    let (ours, theirs) = plan.compare(bed, messages, || pass(true), || pass(false))?;
    Ok(Report::new("send-keyed", messages).rates(ours, theirs, "without keys"))
}

/// Drains messages without keys while 100,000 of another key wait behind a dead letter, beside the
/// same without those.
pub(crate) fn stuck_case(bed: &Bed, plan: &Effort) -> Result<Report> {
    let messages = plan.scaled(100_000);
    let stuck = plan.scaled(STUCK);
    let topic = bed.messaging.topic("work");
    topic.configure(TopicConfig {
        poisoned_key: Some(PoisonedKey::Block),
        ..TopicConfig::default()
    })?;
    let drain = || -> Result<Duration> {
        bed.fill(messages)?;
        bed.settle()?;
        bed.receive(messages, WORKERS, None, |_, _| Ok(()))
    };
    let (ours, theirs) = plan.compare(
        bed,
        messages,
        || {
            send(bed, "work", stuck, |_, message| message.key("stuck"))?;
            if let Some(head) = topic.receive::<Value>(MINUTE)? {
                head.reject("stuck")?;
            }
            drain()
        },
        drain,
    )?;
    topic.configure(TopicConfig::default())?;
    Ok(Report::new("keys-stuck", messages).rates(ours, theirs, "without stuck ones"))
}

/// Handles messages of a topic that keeps its history, with an insert and a send for each, beside
/// the same without.
pub(crate) fn history_case(bed: &Bed, plan: &Effort) -> Result<Report> {
    history(bed, plan, "history", Task::HandleAdaptive)
}

/// The same with a handler that does nothing: most of the work is the history's.
pub(crate) fn history_drain_case(bed: &Bed, plan: &Effort) -> Result<Report> {
    history(bed, plan, "history-drain", Task::Drain)
}

fn history(bed: &Bed, plan: &Effort, name: &'static str, task: Task) -> Result<Report> {
    let messages = plan.scaled(50_000);
    let topic = bed.messaging.topic("work");
    let pass = |keep_done: Option<Duration>| -> Result<Duration> {
        topic.configure(TopicConfig {
            keep_done,
            ..TopicConfig::default()
        })?;
        task.fill(bed, messages)?;
        bed.settle()?;
        Ok(task.with_workers(bed, messages, WORKERS)?.all)
    };
    let (ours, theirs) = plan.compare(bed, messages, || pass(Some(60 * MINUTE)), || pass(None))?;
    topic.configure(TopicConfig::default())?;
    Ok(Report::new(name, messages).rates(ours, theirs, "without a history"))
}

/// As [`history_drain_case`], beside the same in plain SQL, which writes a row for each message.
pub(crate) fn history_plain_case(bed: &Bed, plan: &Effort) -> Result<Report> {
    let messages = plan.scaled(50_000);
    let topic = bed.messaging.topic("work");
    let kept = TopicConfig {
        keep_done: Some(60 * MINUTE),
        ..TopicConfig::default()
    };
    topic.configure(kept)?;
    let filled = || bed.fill(messages).and_then(|()| bed.settle());
    let (ours, theirs) = plan.compare(
        bed,
        messages,
        || {
            filled()?;
            Ok(Task::Drain.with_workers(bed, messages, WORKERS)?.all)
        },
        || {
            filled()?;
            plain::drain_recorded(bed, WORKERS)
        },
    )?;
    topic.configure(TopicConfig::default())?;
    Ok(Report::new("history-plain", messages).rates(ours, theirs, plain::PREPARED))
}

/// Sends one message with a dedupe key to a transaction, beside the same without.
pub(crate) fn dedupe_case(bed: &Bed, plan: &Effort) -> Result<Report> {
    dedupe(bed, plan, "dedupe", |message| bed.messaging.send(message))
}

/// The same in sessions, which know before they commit whether the key was taken.
pub(crate) fn dedupe_session_case(bed: &Bed, plan: &Effort) -> Result<Report> {
    dedupe(bed, plan, "dedupe-session", |message| {
        bed.messaging.session(|session| Ok(session.send(message)?))
    })
}

fn dedupe(
    bed: &Bed,
    plan: &Effort,
    name: &'static str,
    send: impl Fn(NewMessage) -> Result<Sent, outtray::Error>,
) -> Result<Report> {
    let messages = plan.scaled(5_000);
    let pass = |is_deduped: bool| -> Result<Duration> {
        bed.settle()?;
        let started = Instant::now();
        for number in 0..messages {
            let mut message = NewMessage::json("send", &json!({ "n": number }))?;
            if is_deduped {
                message = message.dedupe(format!("order {number}"), MINUTE);
            }
            send(message)?;
        }
        Ok(started.elapsed())
    };
    let (ours, theirs) = plan.compare(bed, messages, || pass(true), || pass(false))?;
    Ok(Report::new(name, messages).rates(ours, theirs, "without a dedupe key"))
}

/// Sends one by one to a bounded topic, 1,000 to a session, beside the same without a bound.
pub(crate) fn bounded_case(bed: &Bed, plan: &Effort) -> Result<Report> {
    let messages = plan.scaled(100_000);
    let topic = bed.messaging.topic("bounded");
    let pass = |max_length: Option<u64>| -> Result<Duration> {
        topic.configure(TopicConfig {
            max_length,
            ..TopicConfig::default()
        })?;
        bed.settle()?;
        let started = Instant::now();
        send(bed, "bounded", messages, |_, message| message)?;
        Ok(started.elapsed())
    };
    let (ours, theirs) = plan.compare(bed, messages, || pass(Some(messages)), || pass(None))?;
    topic.configure(TopicConfig::default())?;
    Ok(Report::new("bounded", messages).rates(ours, theirs, "without a bound"))
}

/// Sends `messages`, 1,000 to a transaction.
pub(super) fn send(
    bed: &Bed,
    topic: &str,
    messages: u64,
    with: impl Fn(u64, NewMessage) -> NewMessage,
) -> Result<()> {
    let mut next = 0;
    while next < messages {
        let until = messages.min(next + BULK);
        bed.messaging.session(|session| {
            for number in next..until {
                let message = NewMessage::json(topic, &json!({ "n": number }))?;
                session.send(with(number, message))?;
            }
            Ok(())
        })?;
        next = until;
    }
    Ok(())
}
