//! A message is found by its id, whole, in every place where it can be.

use crate::log;
use crate::support::{Gate, HOUR, MINUTE, PATIENCE, Place, reject, tracked};
use outtray::{
    Backoff, DeadReason, FoundMessage, HandlerError, How, Message, MessageId, MessagePlace,
    MessageState, MessagingSession, NewMessage, Payload, TopicConfig,
};

fn job(payload: i32) -> NewMessage {
    NewMessage::json("jobs", &payload).unwrap()
}

/// Finds a message, by its id alone and with its topic.
#[track_caller]
fn found(place: &Place, topic: &str, id: MessageId) -> FoundMessage {
    let found = place.messaging.message(id).unwrap().expect("it is found");
    let on_topic = place.messaging.topic(topic).message(id).unwrap().unwrap();
    assert_eq!((found.id, &found.topic[..]), (id, topic));
    assert_eq!(on_topic.place, found.place);
    assert_eq!(
        place.messaging.topic("elsewhere").message(id).unwrap(),
        None
    );
    found
}

#[test]
fn a_ready_message_is_found_with_all_that_is_known_of_it() {
    let place = Place::new();
    let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let message = job(7).priority(3).message_type("job.made");
    let message = message.header("a", "b").traceparent(trace);
    let id = place.send_new(message.expires_in(HOUR).tracked());

    let found = found(&place, "jobs", id);

    assert_eq!(
        (found.place, &found.state),
        (MessagePlace::Ready, &MessageState::Ready)
    );
    assert_eq!((found.priority, found.attempts), (3, 0));
    assert_eq!(found.payload.to_string(), "7");
    assert_eq!(found.headers["a"], "b");
    assert_eq!(found.message_type(), Some("job.made"));
    assert_eq!(found.traceparent(), Some(trace));
    assert!(found.expires_at.unwrap() > found.sent_at);
    assert!(found.is_tracked && found.completion.is_none());
    assert_eq!((found.error, found.key, found.due_at), (None, None, None));
}

#[test]
fn a_message_that_waits_is_found_with_what_it_waits_for() {
    let place = Place::new();
    let delayed = place.send_new(job(1).delay(HOUR));
    let first = place.send_new(tracked("jobs", 2).key("k"));
    let behind = place.send_new(job(3).key("k"));
    let after = place.send_new(job(4).after(&[first]));

    let found_delayed = found(&place, "jobs", delayed);
    let found_behind = found(&place, "jobs", behind);
    let found_after = found(&place, "jobs", after);

    assert!(matches!(found_delayed.state, MessageState::Delayed { left } if left > MINUTE));
    assert_eq!(found_delayed.place, MessagePlace::Scheduled);
    assert!(found_delayed.due_at.is_some());
    assert_eq!(found_behind.state, MessageState::Behind);
    assert_eq!(found_behind.key.as_deref(), Some("k"));
    assert_eq!(found_after.state, MessageState::AfterOthers);
    assert_eq!((found_after.after, found_after.due_at), (vec![first], None));
}

#[test]
fn a_message_in_work_is_found_with_who_has_it() {
    let place = Place::new();
    let held = place.send("jobs", &1);
    let gate = Gate::new();
    let handler_gate = gate.clone();
    let receiver = place.messaging.receiver("jobs").workers(1);
    let receiver = receiver.start(move |_, _: Message<i32>| {
        handler_gate.pass();
        Ok(())
    });
    let receiver = receiver.unwrap();
    gate.await_arrivals(1);
    let state = found(&place, "jobs", held).state;
    gate.open_for(1);
    receiver.stop(PATIENCE);
    let leased = place.send("jobs", &2);
    let delivery = place.take();

    let leased = found(&place, "jobs", leased);

    let MessageState::InWork { server_process, .. } = state else {
        panic!("{state:?}");
    };
    assert!(server_process.is_some());
    assert!(matches!(leased.state, MessageState::Leased { left } if !left.is_zero()));
    assert_eq!(leased.attempts, 1);
    delivery.ack().unwrap();
    assert_eq!(place.messaging.message(held).unwrap(), None);
}

#[test]
fn a_failed_message_and_a_dead_letter_are_found_with_their_errors() {
    let place = Place::new();
    let retried = place.send("jobs", &1);
    let receiver = place
        .messaging
        .receiver("jobs")
        .backoff(Backoff::fixed(HOUR));
    let failing = |_: &mut outtray::MessagingSession<'_>,
                   _: Message<i32>|
     -> Result<(), HandlerError> { Err(HandlerError::failed("no luck")) };
    let receiver = receiver.start(failing).unwrap();
    crate::support::eventually("it is retried", || {
        place.messaging.topic("jobs").stats().unwrap().scheduled == 1
    });
    receiver.stop(PATIENCE);
    let dead = place.send_new(tracked("bad", 2).key("k"));
    place.messaging.drain("bad", reject).unwrap();

    let retried = found(&place, "jobs", retried);
    let dead = found(&place, "bad", dead);

    assert!(matches!(retried.state, MessageState::Retrying { left } if left > MINUTE));
    assert_eq!(
        (retried.attempts, retried.error.as_deref()),
        (1, Some("no luck"))
    );
    assert_eq!(retried.failures.len(), 1);
    assert_eq!(retried.failures[0].error, "no luck");
    let reason = DeadReason::Rejected;
    assert_eq!(dead.state, MessageState::Dead { reason });
    assert_eq!(dead.error.as_deref(), Some("no"));
    assert!(dead.died_at.is_some());
    assert_eq!(dead.completion.unwrap().how, How::Dead);
}

#[test]
fn an_entry_of_a_log_is_found_among_many() {
    let mut place = log::place();
    place.send_all("ledger", 0..5_000);
    let id = place.send("ledger", &5_000);
    place.send_all("ledger", 5_001..10_000);
    place.sql("ANALYZE outtray.log_entry");

    let found = found(&place, "ledger", id);

    assert_eq!(
        (found.place, &found.state),
        (MessagePlace::Kept, &MessageState::Kept)
    );
    assert_eq!(found.payload.to_string(), "5000");
}

#[test]
fn a_message_that_no_index_and_no_time_leads_to_is_found_by_reading() {
    let mut place = Place::new();
    place.send_all("jobs", 0..100);
    place.sql(
        "INSERT INTO outtray.message (topic, rank, id, body)
            VALUES ('jobs', 0, 'f47ac10b-58cc-4372-a567-0e02b2c3d479', 'x');
        INSERT INTO outtray.follower (topic, key, rank, id, payload)
            VALUES ('jobs', 'k', 0, 'f47ac10b-58cc-4372-a567-0e02b2c3d480', '1')",
    );

    for (last, place_of) in [("479", MessagePlace::Ready), ("480", MessagePlace::Behind)] {
        let id = format!("f47ac10b-58cc-4372-a567-0e02b2c3d{last}")
            .parse()
            .unwrap();
        let found = found(&place, "jobs", id);
        assert_eq!(found.place, place_of);
    }
    let bytes = place.messaging.topic("jobs");
    let bytes = bytes.message("f47ac10b-58cc-4372-a567-0e02b2c3d479".parse().unwrap());
    assert!(matches!(bytes.unwrap().unwrap().payload, Payload::Bytes(bytes) if bytes == b"x"));
}

#[test]
fn a_message_among_many_of_many_topics_is_found_where_one_of_its_time_is() {
    let place = Place::new();
    let mut ids = Vec::new();
    for topic in ["a", "b", "c"] {
        for round in 0..3 {
            place.send_all(topic, 0..3_000);
            let message = NewMessage::json(topic, &round).unwrap().priority(round);
            ids.push((topic, place.send_new(message)));
        }
    }

    for (topic, id) in ids {
        assert_eq!(found(&place, topic, id).place, MessagePlace::Ready);
    }
}

#[test]
fn what_cannot_be_read_of_a_message_that_is_found_is_told() {
    let mut place = Place::new();
    place.write("jobs", r#"{"n": 3}"#, "1");
    let id = place.messaging.topic("jobs").peek(1).unwrap()[0].id;

    let found = found(&place, "jobs", id);

    assert_eq!(found.headers["n"], "3");
    assert!(found.unreadable.is_some());
}

#[test]
fn a_message_that_has_ended_is_found_where_its_topic_keeps_that() {
    let place = Place::new();
    let keep = |with_payload| TopicConfig {
        keep_done: Some(HOUR),
        keep_done_payload: with_payload,
        ..TopicConfig::default()
    };
    place.jobs().configure(keep(true)).unwrap();
    place
        .messaging
        .topic("bare")
        .configure(keep(false))
        .unwrap();
    let whole = place.send_new(job(7).key("k").header("color", "red"));
    let bare = place.send("bare", &8);
    let dead = place.send("jobs", "unfit");
    for topic in ["jobs", "bare"] {
        let handler = |_: &mut MessagingSession<'_>, _: Message<i32>| Ok(());
        place.messaging.drain(topic, handler).unwrap();
    }

    let found_whole = found(&place, "jobs", whole);
    let found_bare = found(&place, "bare", bare);

    for found in [&found_whole, &found_bare] {
        assert_eq!(found.place, MessagePlace::Ended);
        assert_eq!(found.state, MessageState::Ended { how: How::Done });
        assert_eq!(found.attempts, 1);
        assert!(found.ended.as_ref().unwrap().started_at.is_some());
    }
    assert_eq!(found_whole.payload.to_string(), "7");
    assert_eq!(found_whole.headers["color"], "red");
    assert_eq!(found_whole.key.as_deref(), Some("k"));
    assert_eq!(found_bare.payload.to_string(), "null");
    assert_eq!(found_bare.ended.unwrap().payload, None);
    // A dead letter is where it is, and one that is gone was one.
    assert_eq!(found(&place, "jobs", dead).place, MessagePlace::Dead);
    place.jobs().redrive(..).unwrap();
    assert_eq!(found(&place, "jobs", dead).place, MessagePlace::Ready);
    place.jobs().purge().unwrap();
    let gone = found(&place, "jobs", dead);
    assert_eq!(gone.state, MessageState::Ended { how: How::Dead });
    assert!(gone.error.is_some());
}
