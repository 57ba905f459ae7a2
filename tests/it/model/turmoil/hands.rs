//! What the processes of the turmoil do: send tasks, and handle them in every way.

use super::{PRODUCER, TOPICS, WORKER};
use crate::support::{Child, PATIENCE, pass_time, process};
use outtray::{
    Backoff, BatchMessage, ErrorKind, HandlerError, Message, Messaging, MessagingSession,
    NewMessage,
};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// What a message asks its handler to do.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Task {
    number: i64,
    /// Attempts that fail, at least.
    failures: u32,
    fails_by: Failing,
    /// Whether a failing attempt writes and sends before it fails.
    fails_late: bool,
    ends_by: Ending,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum Failing {
    Error,
    Panic,
    RetryAfter,
    Snooze,
    /// A statement fails, and the handler says that all is well.
    Swallow,
    /// COMMIT is refused.
    Commit,
    /// The process dies of it.
    Abort,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Ending {
    /// Writes one effect and sends one echo.
    Effect,
    /// Ends well without a use of the session.
    Nothing,
    Reject,
}

impl Task {
    fn random(number: i64) -> Task {
        let fails_by = match fastrand::u32(0..1_000) {
            0 => Failing::Abort,
            1..=40 => Failing::Error,
            41..=70 => Failing::Panic,
            71..=90 => Failing::RetryAfter,
            91..=110 => Failing::Snooze,
            111..=130 => Failing::Swallow,
            131..=150 => Failing::Commit,
            _ => Failing::Error,
        };
        let is_failing = fastrand::u32(0..1_000) < 200 || fails_by == Failing::Abort;
        Task {
            number,
            failures: if is_failing { fastrand::u32(1..3) } else { 0 },
            fails_by,
            fails_late: fastrand::bool(),
            ends_by: match fastrand::u32(0..20) {
                0 => Ending::Reject,
                1..=3 => Ending::Nothing,
                _ => Ending::Effect,
            },
        }
    }

    pub(super) fn ends_by(&self) -> &'static str {
        match self.ends_by {
            Ending::Effect => "effect",
            Ending::Nothing => "nothing",
            Ending::Reject => "reject",
        }
    }
}

/// Runs as the child that `role` says: `producer URL` or `worker URL`.
pub(super) fn run(role: &str) {
    let (part, url) = role.split_once(' ').unwrap();
    let messaging = process(url, Duration::from_millis(500));
    match part {
        PRODUCER => produce(&messaging),
        WORKER => work(&messaging),
        other => panic!("no part {other}"),
    }
}

/// Sends a few tasks at a time, and books each in the same transaction, until it is killed. Tells
/// each that it knows to be committed, and each that it knows not to be.
fn produce(messaging: &Messaging) {
    loop {
        let mut ids = Vec::new();
        let ended = messaging.session(|session| {
            ids.clear();
            for _ in 0..fastrand::usize(1..8) {
                let task = Task::random(fastrand::i64(..));
                let topic = TOPICS[fastrand::usize(..TOPICS.len())];
                let mut message = NewMessage::json(topic, &task)?;
                if topic == "keyed" {
                    message = message.key(format!("key-{}", fastrand::u32(0..50)));
                }
                if fastrand::u32(0..10) == 0 {
                    message = message.delay(Duration::from_millis(fastrand::u64(1..500)));
                }
                let id = session.send(message)?.id();
                session.execute(
                    "INSERT INTO sent (id, topic, ends_by, process) VALUES ($1, $2, $3, $4)",
                    &[&id.as_uuid(), &topic, &task.ends_by(), &process_id()],
                )?;
                ids.push(id);
            }
            Ok(())
        });
        match ended {
            Ok(()) => ids.iter().for_each(|id| Child::tell(&format!("sent {id}"))),
            Err(error) if error.kind() == ErrorKind::OutcomeUnknown => {}
            Err(_) => ids
                .iter()
                .for_each(|id| Child::tell(&format!("failed {id}"))),
        }
        pass_time(Duration::from_millis(5));
    }
}

fn process_id() -> i32 {
    i32::try_from(std::process::id()).expect("process ids are small")
}

/// Handles all topics, each in its way, until it is killed or told to stop.
fn work(messaging: &Messaging) {
    let receivers = TOPICS.map(|topic| {
        let builder = messaging
            .receiver(topic)
            .workers(2)
            .max_attempts(10_000)
            .backoff(Backoff::fixed(Duration::from_millis(20)));
        let handler =
            |session: &mut MessagingSession<'_>, message: Message<Task>| attempt(session, &message);
        let started = match topic {
            "single" => builder.messages_per_transaction(1).start(handler),
            "leased" => builder.lease(Duration::from_secs(2)).start(handler),
            "batches" => builder.start_batches(20, attempt_all),
            _ => builder.start(handler),
        };
        started.unwrap()
    });
    Child::tell("receiving");
    Child::await_parent();
    for receiver in receivers {
        receiver.stop(PATIENCE);
    }
}

/// Makes one attempt at a task.
fn attempt(
    session: &mut MessagingSession<'_>,
    message: &Message<Task>,
) -> Result<(), HandlerError> {
    let task = &message.payload;
    if message.attempt <= task.failures {
        if task.fails_late {
            write(session, message, "undone")?;
        }
        return fail(session, message);
    }
    match task.ends_by {
        Ending::Effect => write(session, message, "effect"),
        Ending::Nothing => Ok(()),
        Ending::Reject => {
            if task.fails_late {
                write(session, message, "undone")?;
            }
            Err(HandlerError::reject("as the task says"))
        }
    }
}

fn write(
    session: &mut MessagingSession<'_>,
    message: &Message<Task>,
    what: &str,
) -> Result<(), HandlerError> {
    session.execute(
        "INSERT INTO effect (id, topic, what, process) VALUES ($1, $2, $3, $4)",
        &[&message.id.as_uuid(), &message.topic, &what, &process_id()],
    )?;
    let echo = NewMessage::json("echo", &message.id)?.header("what", what);
    session.send(echo)?;
    Ok(())
}

fn fail(session: &mut MessagingSession<'_>, message: &Message<Task>) -> Result<(), HandlerError> {
    let soon = Duration::from_millis(fastrand::u64(1..50));
    match message.payload.fails_by {
        Failing::Error => Err(HandlerError::failed("as the task says")),
        Failing::Panic => panic!("as the task says"),
        Failing::RetryAfter => Err(HandlerError::retry_after(soon)),
        Failing::Snooze if fastrand::bool() => Err(HandlerError::snooze(soon)),
        Failing::Snooze => Err(HandlerError::failed("after a snooze, perhaps")),
        Failing::Swallow => {
            let _ = session.execute("SELECT 1 / 0", &[]);
            Ok(())
        }
        Failing::Commit => {
            // The constraint is deferred.
            let refused = "INSERT INTO reference (id) VALUES ($1)";
            session.execute(refused, &[&message.payload.number])?;
            Ok(())
        }
        Failing::Abort => std::process::abort(),
    }
}

/// Makes one attempt at each task of a batch; those that fail, fail alone before anything is
/// written for them.
fn attempt_all(
    session: &mut MessagingSession<'_>,
    messages: &[BatchMessage<Task>],
) -> Result<(), HandlerError> {
    for message in messages {
        let task = &message.payload;
        if message.attempt <= task.failures {
            match task.fails_by {
                Failing::Error if task.fails_late => {
                    write(session, message, "undone")?;
                    return Err(HandlerError::failed("all of the batch"));
                }
                Failing::Abort | Failing::Panic | Failing::Commit | Failing::Swallow => {
                    return fail(session, message);
                }
                _ => message.fail(fail(session, message).unwrap_err()),
            }
        } else if task.ends_by == Ending::Reject {
            message.reject("as the task says");
        } else if task.ends_by == Ending::Effect {
            write(session, message, "effect")?;
        }
    }
    Ok(())
}
