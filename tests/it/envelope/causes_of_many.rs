//! Which message is the cause where a handler has several in hand, or none.

use super::{job, only, taken};
use crate::support::{PATIENCE, Place, next};
use crossbeam_channel::unbounded;
use outtray::envelope::CORRELATION_ID;
use outtray::{BatchMessage, Message, MessageId, NewMessage, TopicConfig, TopicKind};
use std::sync::atomic::{AtomicBool, Ordering};

fn mail() -> NewMessage {
    NewMessage::json("mails", "hello").unwrap()
}

/// Makes the topic of jobs a log.
fn log() -> Place {
    let place = Place::new();
    let config = TopicConfig {
        kind: TopicKind::Log,
        ..TopicConfig::default()
    };
    place.jobs().configure(config).unwrap();
    place
}

#[test]
fn a_handler_of_a_batch_says_which_of_its_messages_is_the_cause() {
    let place = Place::new();
    let ids: Vec<MessageId> = (0..3)
        .map(|n| place.send_new(job().correlation_id(format!("order-{n}"))))
        .collect();

    let drained =
        place
            .messaging
            .receiver("jobs")
            .drain_batches(10, |session, jobs: &[BatchMessage]| {
                session.send_message("mails", "of several")?;
                for job in jobs {
                    session.send(mail().caused_by(job))?;
                }
                Ok(())
            });

    drained.unwrap();
    let mails = taken(&place, "mails");
    assert!(mails[0].headers.is_empty());
    for (n, mail) in mails[1..].iter().enumerate() {
        assert_eq!(mail.causation_id(), Some(ids[n].to_string().as_str()));
        assert_eq!(mail.correlation_id(), Some(format!("order-{n}").as_str()));
    }
}

#[test]
fn the_only_message_of_a_batch_is_the_cause() {
    let place = Place::new();
    let id = place.send_new(job().correlation_id("order-7"));

    let drained =
        place
            .messaging
            .receiver("jobs")
            .drain_batches(10, |session, _: &[BatchMessage]| {
                session.send_message("mails", "of one")?;
                Ok(())
            });

    drained.unwrap();
    let mail = only(&place, "mails");
    assert_eq!(mail.causation_id(), Some(id.to_string().as_str()));
    assert_eq!(mail.correlation_id(), Some("order-7"));
}

#[test]
fn the_only_entry_that_a_reader_of_a_log_has_in_hand_is_the_cause() {
    let place = log();
    let id = place.send_new(job().correlation_id("order-7"));
    let (tell, told) = unbounded();
    let reader = place.messaging.reader("jobs", "one").batch_size(1);
    let reader = reader.start(move |session, _: &[Message]| {
        session.send_message("mails", "of one")?;
        Ok(tell.send(())?)
    });
    let reader = reader.unwrap();
    next(&told, 1);
    reader.stop(PATIENCE);

    let mail = only(&place, "mails");

    assert_eq!(mail.causation_id(), Some(id.to_string().as_str()));
    assert_eq!(mail.correlation_id(), Some("order-7"));
}

#[test]
fn an_entry_that_is_tried_again_by_itself_is_the_cause() {
    let place = log();
    let id = place.send_new(job().header(CORRELATION_ID, "order-7"));
    let (tell, told) = unbounded();
    let has_failed = AtomicBool::new(false);
    let reader = place.messaging.reader("jobs", "one");
    let reader = reader.start(move |session, _: &[Message]| {
        if !has_failed.swap(true, Ordering::Relaxed) {
            return Err("not yet".into());
        }
        session.send_message("mails", "of one")?;
        Ok(tell.send(())?)
    });
    let reader = reader.unwrap();
    next(&told, 1);
    reader.stop(PATIENCE);

    let mail = only(&place, "mails");

    assert_eq!(mail.causation_id(), Some(id.to_string().as_str()));
    assert_eq!(mail.correlation_id(), Some("order-7"));
}

#[test]
fn entries_that_handlers_write_into_logs_carry_on() {
    let place = Place::new();
    let config = TopicConfig {
        kind: TopicKind::Log,
        ..TopicConfig::default()
    };
    place.messaging.topic("ledger").configure(config).unwrap();
    let mut tail = place
        .messaging
        .tail("ledger", outtray::Position::Start)
        .unwrap();
    let id = place.send("jobs", &1);
    let drained = place.messaging.drain("jobs", |session, _: Message| {
        session.send_message("ledger", "one")?;
        session.send_messages("ledger", ["two"; 3_000])?;
        Ok(())
    });
    drained.unwrap();

    for _ in 0..3_001 {
        let entry: Message = tail.next(PATIENCE).unwrap().unwrap();
        assert_eq!(entry.causation_id(), Some(id.to_string().as_str()));
    }
}

#[test]
fn a_handler_sends_beside_its_session_and_says_what_is_the_cause() {
    let place = Place::new();
    let id = place.send_new(job().correlation_id("order-7"));
    let beside = place.messaging.clone();

    let drained = place.messaging.drain("jobs", |_, message: Message| {
        beside.send(mail())?;
        beside.send(mail().caused_by(&message))?;
        Ok(())
    });

    drained.unwrap();
    let mails = taken(&place, "mails");
    assert!(mails[0].headers.is_empty());
    assert_eq!(mails[1].causation_id(), Some(id.to_string().as_str()));
    assert_eq!(mails[1].correlation_id(), Some("order-7"));
}
