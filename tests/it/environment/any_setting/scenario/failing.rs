//! What fails, is given up, or is held back.

use super::{Notes, SOON, drain};
use crate::support::DAY;
use outtray::{Backoff, HandlerError, Message, Messaging, NewMessage, Payload, Rate, TopicConfig};
use postgres::Client;
use std::time::Duration;

pub(super) fn failures(
    messaging: &Messaging,
    notes: &mut Notes,
    _: &mut Client,
) -> std::result::Result<(), HandlerError> {
    let topic = messaging.topic("failures");
    for message in [
        NewMessage::bytes("failures", [92, 200])
            .header("a", "b")
            .tracked(),
        NewMessage::json("failures", "é")?.key("k"),
    ] {
        messaging.send(message)?;
    }
    let report = messaging
        .receiver("failures")
        .max_attempts(3)
        .backoff(Backoff::fixed(Duration::ZERO))
        .drain(|session, message: Message<Payload>| {
            session.batch_execute("SELECT 1")?;
            match message.attempt {
                1 => Err(HandlerError::failed("日本 it's")),
                2 => Ok(session
                    .query("SELECT 1 / 0", &[])
                    .map(drop)
                    .map_err(|_| HandlerError::failed("zero"))?),
                _ => Err(HandlerError::failed("third")),
            }
        });
    notes.note("failed", report);
    let mut letters: Vec<_> = topic
        .dead_letters(9)?
        .into_iter()
        .map(|it| {
            format!(
                "{:?}",
                (
                    it.payload,
                    it.headers,
                    it.key,
                    it.attempts,
                    it.reason,
                    it.error
                )
            )
        })
        .collect();
    letters.sort();
    notes.0.push(format!("{letters:?}"));
    notes.note("redriven", topic.redrive(..));
    drain(messaging, notes, "failures")?;
    Ok(())
}

pub(super) fn cancelling(
    messaging: &Messaging,
    notes: &mut Notes,
    _: &mut Client,
) -> std::result::Result<(), HandlerError> {
    for (key, delay) in [
        (None, None),
        (Some("k"), None),
        (Some("k"), None),
        (None, Some(DAY)),
    ] {
        let mut message = NewMessage::json("cancelling", &1)?
            .header("of", "me")
            .tracked();
        if let Some(key) = key {
            message = message.key(key);
        }
        if let Some(delay) = delay {
            message = message.delay(delay);
        }
        let id = messaging.send(message)?.id();
        notes.note("cancelled", messaging.cancel(id));
        notes.note(
            "how",
            messaging.completion(id).map(|end| end.map(|end| end.how)),
        );
    }
    for _ in 0..3 {
        messaging.send(NewMessage::bytes("cancelling", [1]).header("of", "me"))?;
    }
    notes.note(
        "where",
        messaging.topic("cancelling").cancel_where([("of", "me")]),
    );
    notes.note("purged", messaging.topic("cancelling").purge());
    Ok(())
}

pub(super) fn limits(
    messaging: &Messaging,
    notes: &mut Notes,
    _: &mut Client,
) -> std::result::Result<(), HandlerError> {
    messaging.topic("limits").configure(TopicConfig {
        max_length: Some(2),
        max_in_work: Some(1),
        rate: Some(Rate {
            messages: 1000,
            per: Duration::from_millis(1500),
            burst: 100,
        }),
        rate_per_key: Some(Rate {
            messages: 1000,
            per: Duration::from_secs(1),
            burst: 100,
        }),
        backoff: Some(Backoff::fixed(SOON)),
        ..TopicConfig::default()
    })?;
    notes.note("config", messaging.topic("limits").config());
    let send =
        || NewMessage::json("limits", &1).and_then(|message| messaging.send(message.key("k")));
    let kinds: Vec<_> = (0..3)
        .map(|_| send().map(drop).map_err(|error| error.kind()))
        .collect();
    notes.0.push(format!("{kinds:?}"));
    drain(messaging, notes, "limits")?;
    let kind = send().map(drop).map_err(|error| error.kind());
    notes.0.push(format!("{kind:?}"));
    messaging.topic("limits").pause()?;
    notes.note("paused", messaging.topic("limits").is_paused());
    messaging.topic("limits").resume()?;
    let topics: Vec<_> = messaging
        .topics()?
        .into_iter()
        .map(|it| (it.topic, it.ready, it.dead))
        .collect();
    notes.0.push(format!("{topics:?}"));
    Ok(())
}
