//! The answer as one sentence.

use crate::why::answer::{
    AwaitedMessage, Bounded, HandlingWorker, KeyHead, ReaderDistance, Why, WhyState,
};
use crate::why::holder::LockHolder;
use crate::why::in_words::{NAMED, ahead_of, are, moment, number, of, ordinal};
use crate::words::MessageId;
use crate::words::log_position::LogPosition;
use std::fmt::{self, Display, Formatter};

impl Display for Why {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "message {}", self.id)?;
        if let Some(topic) = &self.topic {
            write!(f, " of topic {topic}")?;
        }
        write!(f, " {}", self.state)?;
        let is_kept = !self.obstacles.is_empty();
        if let WhyState::Ready { ahead } = &self.state {
            match (is_kept, ahead.count) {
                (true, _) => f.write_str(", but")?,
                (false, 0) => f.write_str(": the next free worker takes it")?,
                (false, 1) => f.write_str(": the next free worker takes it after 1 other")?,
                (false, _) => write!(f, ": the next free worker takes it after {ahead} others")?,
            }
        }
        for (index, obstacle) in self.obstacles.iter().enumerate() {
            let is_first_of_ready = index == 0 && matches!(self.state, WhyState::Ready { .. });
            f.write_str(if is_first_of_ready { " " } else { "; " })?;
            obstacle.fmt(f)?;
        }
        Ok(())
    }
}

impl Display for WhyState {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            WhyState::Ready { .. } => f.write_str("is ready"),
            WhyState::InWork { holder, worker, is_cancelled } => {
                let worker = worker.as_ref().map(by).unwrap_or_default();
                write!(f, "is in work by {holder}{worker}{}", asked(*is_cancelled))
            }
            WhyState::Locked { holder } => {
                write!(f, "is locked by {holder}, no receiver of its topic")
            }
            WhyState::Leased { until, left, attempt, worker, is_cancelled } => write!(
                f,
                "is in work under a lease until {} ({}), as its {} attempt{}{}",
                moment(*until),
                ahead_of(*left),
                ordinal(*attempt),
                worker.as_ref().map(by).unwrap_or_default(),
                asked(*is_cancelled)
            ),
            WhyState::Delayed { due_at, due_in } => write!(
                f,
                "was sent with a delay and is due at {} ({})",
                moment(*due_at),
                ahead_of(*due_in)
            ),
            WhyState::Retrying { due_at, due_in, attempt, error } => {
                write!(
                    f,
                    "is due at {} ({}), as its {} attempt",
                    moment(*due_at),
                    ahead_of(*due_in),
                    ordinal(*attempt)
                )?;
                error.iter().try_for_each(|error| write!(f, ", after: {error}"))
            }
            WhyState::AfterOthers { on, has_more } => after_others(f, on, *has_more),
            WhyState::Behind { ahead, heads, blocked_by } => behind(f, *ahead, heads, blocked_by.as_ref()),
            WhyState::Kept { position, readers } => kept(f, position.as_ref(), readers),
            WhyState::Dead { reason, error, died_at } => write!(
                f,
                "was given up at {} ({reason}) and is a dead letter: {error}",
                moment(*died_at)
            ),
            WhyState::Ended { how, ended_at, kept_until } => {
                write!(f, "ended at {} as {how}", moment(*ended_at))?;
                let until = kept_until.iter();
                until.map(|until| moment(*until)).try_for_each(|until| write!(f, ", which is known until {until}"))
            }
            WhyState::NotThere { is_sure: true } => f.write_str(
                "is not there: it was never sent, its sender has not committed, or it ended without being tracked",
            ),
            WhyState::NotThere { is_sure: false } => f.write_str(
                "was not found: there are more messages than could be searched for it in 3 s",
            ),
        }
    }
}

fn after_others(f: &mut Formatter<'_>, on: &[AwaitedMessage], has_more: bool) -> fmt::Result {
    let more = if has_more { " at least" } else { "" };
    write!(
        f,
        "comes after {}{more} that {} not done",
        number(on.len(), "message"),
        are(on.len())
    )?;
    for one in on.iter().take(NAMED) {
        match &one.why {
            Some(why) => write!(f, "; {why}")?,
            None => write!(f, "; message {}", one.id)?,
        }
    }
    Ok(())
}

fn behind(
    f: &mut Formatter<'_>,
    ahead: Bounded,
    heads: &[KeyHead],
    blocked_by: Option<&MessageId>,
) -> fmt::Result {
    match (ahead.count, blocked_by) {
        (0, Some(dead)) => write!(f, "waits, since dead letter {dead} blocks its key")?,
        (0, None) => f.write_str("is the next of its key, and upkeep is about to make it ready")?,
        (1, _) => f.write_str("waits behind another one of its key")?,
        _ => write!(f, "waits behind {ahead} others of its key")?,
    }
    if let Some(dead) = blocked_by.filter(|_| ahead.count > 0) {
        write!(f, ", and dead letter {dead} blocks that")?;
    }
    for head in heads.iter().take(NAMED) {
        write!(f, "; {head}")?;
    }
    Ok(())
}

fn kept(
    f: &mut Formatter<'_>,
    position: Option<&LogPosition>,
    readers: &[ReaderDistance],
) -> fmt::Result {
    match position {
        Some(position) => write!(f, "is kept in its log at {position}")?,
        None => f.write_str("is kept in its log, in the batch that comes next")?,
    }
    for (passed, what) in [(true, "passed by"), (false, "still ahead of")] {
        let named: Vec<&str> = readers
            .iter()
            .filter(|reader| reader.has_passed == passed)
            .map(|reader| reader.reader.as_str())
            .collect();
        if !named.is_empty() {
            write!(f, ", {what} {}", named.join(", "))?;
        }
    }
    match readers.is_empty() {
        true => f.write_str(", and the log has no named reader"),
        false => Ok(()),
    }
}

impl Display for LockHolder {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self.server_process {
            Some(process) => write!(f, "server process {process}")?,
            None => f.write_str("a transaction that is prepared or on another node")?,
        }
        let role = self.role.as_ref().map(|role| format!("role {role}"));
        let client = self.client.as_ref().map(|client| format!("from {client}"));
        let told = [self.program.clone(), role, client, self.state.clone()];
        let told: Vec<String> = told.into_iter().flatten().collect();
        if !told.is_empty() {
            write!(f, " ({})", told.join(", "))?;
        }
        match self.open_for {
            Some(open_for) => write!(f, " for {}", of(open_for)),
            None => Ok(()),
        }
    }
}

impl Display for KeyHead {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "message {} ", self.id)?;
        match (&self.holder, self.is_leased, self.due_in) {
            (Some(holder), ..) => write!(f, "is in work by {holder}"),
            (None, true, left) => {
                write!(
                    f,
                    "is in work under a lease ({})",
                    ahead_of(left.unwrap_or_default())
                )
            }
            (None, false, Some(due_in)) => write!(f, "is due ({})", ahead_of(due_in)),
            (None, false, None) => f.write_str("is ready"),
        }
    }
}

impl Display for Bounded {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match (self.is_exact, self.count) {
            (true, count) => write!(f, "{count}"),
            (false, count) => write!(f, "at least {count}"),
        }
    }
}

/// Says which worker handles a message.
fn by(worker: &HandlingWorker) -> String {
    let process = match (&worker.host, worker.pid) {
        (Some(host), Some(pid)) => format!("process {pid} on {host}"),
        _ => format!("process {}", worker.process),
    };
    format!(
        ", worker {} of {process} for {}",
        worker.worker,
        of(worker.running_for)
    )
}

fn asked(is_cancelled: bool) -> &'static str {
    match is_cancelled {
        true => ", who is asked to give up",
        false => "",
    }
}
