//! All about one topic, or about the process of one receiver, line by line.

use super::columns::topic_state;
use super::lookout::{Snapshot, TopicDetails};
use crate::output::number;
use crate::processes::{holds_by, host, messages, pid, state, text};
use crate::table::{age, glance, moment};
use outtray::{RunningProcess, RunningReceiver, TopicBacklog, TopicConfig};

/// Returns what is known of a topic.
pub(crate) fn topic(seen: &Snapshot, name: &str) -> Vec<String> {
    let Some(topic) = seen.topics.iter().find(|topic| topic.topic == name) else {
        return vec!["nothing is known of it any more".to_owned()];
    };
    let mut lines = numbers(topic);
    let known = seen.topic.as_ref().filter(|known| known.name == name);
    match known {
        Some(known) => lines.extend(kept(known)),
        None => lines.push("asking".to_owned()),
    }
    lines.push(String::new());
    let before = lines.len();
    for process in &seen.processes {
        let receivers = process.receivers.iter();
        for receiver in receivers.filter(|receiver| receiver.topic == name) {
            lines.extend(receives(process, receiver));
        }
    }
    if lines.len() == before {
        lines.push("no process receives it".to_owned());
    }
    lines
}

fn numbers(topic: &TopicBacklog) -> Vec<String> {
    let count = |count: u64| number(count, topic.is_estimated && count > 10_000);
    let mut lines = vec![format!(
        "{} ready, {} in work, {} scheduled, {} behind others of their key, {} dead",
        count(topic.ready),
        count(topic.in_work),
        count(topic.scheduled),
        count(topic.behind),
        count(topic.dead)
    )];
    if let Some(oldest) = topic.oldest_ready_age {
        lines.push(format!(
            "the oldest ready message was sent {} ago",
            age(oldest)
        ));
    }
    let state = topic_state(topic);
    if !state.is_empty() {
        lines.push(state);
    }
    lines
}

/// Returns what is set, and the first dead letters.
fn kept(topic: &TopicDetails) -> Vec<String> {
    let mut lines = vec![String::new()];
    let settings = TopicConfig::settings().iter();
    let set = settings.filter_map(|setting| {
        let value = topic.config.get(setting.name)?;
        Some(format!("{} = {}", setting.name, glance(&value.to_string())))
    });
    let before = lines.len();
    lines.extend(set);
    if lines.len() == before {
        lines.push("nothing is set".to_owned());
    }
    if !topic.letters.is_empty() {
        lines.push(String::new());
        lines.push("the first dead letters:".to_owned());
    }
    let letters = topic.letters.iter().map(|letter| {
        let (died, error) = (moment(letter.died_at), glance(&letter.error));
        format!("{} {died} {}: {error}", letter.id, letter.reason)
    });
    lines.extend(letters);
    lines
}

/// Returns what is known of the process of a receiver, by the receiver's number.
pub(crate) fn process(seen: &Snapshot, receiver: &str) -> Vec<String> {
    let has_it = |process: &&RunningProcess| {
        let mut receivers = process.receivers.iter();
        receivers.any(|one| one.receiver.to_string() == receiver)
    };
    let Some(process) = seen.processes.iter().find(has_it) else {
        return vec!["it receives no more".to_owned()];
    };
    let mut lines = vec![
        format!(
            "{} on {}, {} with outtray {}",
            pid(process),
            host(process),
            text(process.program.as_deref()),
            text(process.version.as_deref())
        ),
        format!(
            "receives since {}, was seen {} ago",
            moment(process.started_at),
            age(process.seen_ago)
        ),
    ];
    for receiver in &process.receivers {
        lines.push(String::new());
        lines.push(format!("{}:", receiver.topic));
        lines.extend(receives(process, receiver));
    }
    lines
}

/// Says of a receiver what it is like and what it has in work.
fn receives(process: &RunningProcess, receiver: &RunningReceiver) -> Vec<String> {
    let mut lines = vec![format!(
        "{} {}: {} of {} workers busy, {} in hand, by {}{}",
        host(process),
        pid(process),
        receiver.busy,
        receiver.workers,
        receiver.in_hand,
        holds_by(receiver),
        match state(process, receiver) {
            state if state.is_empty() => state,
            state => format!(", {state}"),
        }
    )];
    if let Some(filter) = &receiver.filter {
        lines.push(format!("  wants {}", glance(filter)));
    }
    lines.extend(receiver.handlers.iter().map(|handler| {
        format!(
            "  worker {} has had {} for {}, attempt {}",
            handler.worker,
            messages(handler),
            age(handler.running_for),
            handler.attempt
        )
    }));
    lines
}
