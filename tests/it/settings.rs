//! What an operator sets for a topic, every process obeys: limits, and pauses.

use crate::support::{Gate, NO_POLLING, PATIENCE, Place, eventually, next, process, send};
use crossbeam_channel::{Receiver as Told, unbounded};
use outtray::{
    Backoff, ErrorKind, HandlerError, Message, Messaging, NewMessage, Receiver, TopicConfig,
};
use std::time::{Duration, Instant};

const HOUR: Duration = Duration::from_secs(3600);

/// Starts a receiver that tells of each message, and fails it.
fn failing(messaging: &Messaging) -> (Receiver, Told<u32>) {
    let (tell, told) = unbounded();
    let receiver = messaging
        .receiver("jobs")
        .backoff(Backoff::fixed(HOUR))
        .start(move |_, message: Message<i32>| {
            tell.send(message.max_attempts)?;
            Err(HandlerError::failed("no"))
        })
        .unwrap();
    (receiver, told)
}

/// Starts a receiver that tells of each message.
fn telling(messaging: &Messaging) -> (Receiver, Told<i32>) {
    let (tell, told) = unbounded();
    let receiver = messaging
        .start_receiving_messages("jobs", move |_, message: Message<i32>| {
            Ok(tell.send(message.payload)?)
        })
        .unwrap();
    (receiver, told)
}

/// Sends until a message is met with this limit.
#[track_caller]
fn await_limit(messaging: &Messaging, told: &Told<u32>, limit: u32) {
    eventually("the setting is obeyed", || {
        send(messaging, "jobs", &1);
        next(told, 1) == [limit]
    });
}

fn two_attempts() -> TopicConfig {
    TopicConfig {
        max_attempts: Some(2),
        backoff: Some(Backoff::fixed(Duration::from_millis(10))),
        ..TopicConfig::default()
    }
}

#[test]
fn a_process_that_is_told_obeys_the_settings_of_a_topic() {
    let mut place = Place::polling(NO_POLLING);
    let elsewhere = process(&place.url, NO_POLLING);
    let (_receiver, told) = failing(&elsewhere);
    place.await_listener();
    send(&elsewhere, "jobs", &1);
    assert_eq!(next(&told, 1), [10]);

    place
        .messaging
        .topic("jobs")
        .configure(two_attempts())
        .unwrap();

    await_limit(&elsewhere, &told, 2);
    // The backoff is the topic's too: an hour has not passed.
    eventually("it is given up", || {
        place
            .dead_letters("jobs")
            .iter()
            .any(|letter| letter.attempts == 2)
    });
}

#[test]
fn a_process_that_is_not_told_obeys_by_its_next_poll_also_when_a_setting_goes() {
    let place = Place::polling(NO_POLLING);
    let elsewhere = Messaging::builder()
        .url(&place.url)
        .notify(false)
        .poll_interval(Duration::from_millis(50))
        .connect()
        .unwrap();
    let (_receiver, told) = failing(&elsewhere);
    let topic = place.messaging.topic("jobs");

    topic.configure(two_attempts()).unwrap();
    await_limit(&elsewhere, &told, 2);
    topic.configure(TopicConfig::default()).unwrap();
    await_limit(&elsewhere, &told, 10);
}

#[test]
fn a_bad_setting_is_refused_and_nothing_is_changed() {
    let place = Place::new();
    let topic = place.messaging.topic("jobs");
    topic.configure(two_attempts()).unwrap();
    let bad = TopicConfig {
        max_attempts: Some(0),
        delay: Some(HOUR),
        ..TopicConfig::default()
    };

    let error = topic.configure(bad).unwrap_err();

    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert!(
        error
            .to_string()
            .contains("max_attempts of topic jobs is 0"),
        "{error}"
    );
    assert_eq!(topic.config().unwrap(), two_attempts());
}

#[test]
fn a_pause_holds_in_all_processes_while_messages_can_be_sent_and_ends_at_once() {
    let mut place = Place::polling(NO_POLLING);
    let elsewhere = process(&place.url, NO_POLLING);
    let (_here, told_here) = telling(&place.messaging);
    let (_there, told_there) = telling(&elsewhere);
    place.await_listeners(2);
    let told = || told_here.try_iter().chain(told_there.try_iter()).count();
    let topic = place.messaging.topic("jobs");

    topic.pause().unwrap();
    assert!(topic.is_paused().unwrap());
    // Until the other process has heard of it.
    eventually("nobody begins any more", || {
        place.send("jobs", &1);
        let heard = told_here.recv_timeout(Duration::from_millis(100));
        heard.is_err() && told() == 0
    });
    place.send_all("jobs", [2, 3]);
    elsewhere
        .session(|session| Ok(session.send_message("jobs", &4)?))
        .unwrap();
    assert!(told_here.recv_timeout(Duration::from_millis(300)).is_err());
    assert_eq!(told(), 0);
    let stats = topic.stats().unwrap();
    assert!(stats.ready >= 4 && stats.is_paused, "{stats:?}");

    let resumed = Instant::now();
    topic.resume().unwrap();
    next(&told_here, 1);
    let late = resumed.elapsed();
    assert!(
        late < Duration::from_secs(5),
        "{late:?} after the end of the pause"
    );
    eventually("all are handled", || place.is_empty("jobs"));
    assert!(!topic.is_paused().unwrap());
}

#[test]
fn a_message_in_work_is_finished_when_its_topic_is_paused_and_the_next_is_not_begun() {
    let place = Place::polling(NO_POLLING);
    let gate = Gate::new();
    let handler_gate = gate.clone();
    let receiver = place
        .messaging
        .receiver("jobs")
        .workers(1)
        .messages_per_transaction(1)
        .start(move |_, _: Message<i32>| {
            handler_gate.pass();
            Ok(())
        })
        .unwrap();
    place.send_all("jobs", [1, 2]);
    gate.await_arrivals(1);
    let topic = place.messaging.topic("jobs");

    topic.pause().unwrap();
    gate.open_for(2);
    eventually("the first is done", || topic.stats().unwrap().ready == 1);
    assert!(gate.is_lonely_for(Duration::from_millis(300)));

    topic.resume().unwrap();
    gate.await_arrivals(1);
    eventually("the second is done", || topic.is_empty().unwrap());
    receiver.stop(PATIENCE);
}

#[test]
fn of_messages_that_share_a_transaction_none_is_begun_after_a_pause() {
    let place = Place::new();
    let topic = place.messaging.topic("jobs");
    place.send_all("jobs", 0..5);
    let gate = Gate::new();
    let at_gate = gate.clone();
    let receiver = place.messaging.receiver("jobs").workers(1);
    let receiver = receiver
        .messages_per_transaction(5)
        .start(move |_, _: Message<i32>| {
            at_gate.pass();
            Ok(())
        })
        .unwrap();
    gate.await_arrivals(1);

    topic.pause().unwrap();
    gate.open_for(5);

    assert!(gate.is_lonely_for(Duration::from_millis(300)));
    assert_eq!(topic.stats().unwrap().ready, 4);
    topic.resume().unwrap();
    gate.await_arrivals(4);
    receiver.stop(PATIENCE);
}

#[test]
fn a_process_that_starts_while_a_topic_is_paused_begins_nothing() {
    let mut place = Place::new();
    place.messaging.topic("jobs").pause().unwrap();
    place.send("jobs", &1);
    let started = process(&place.url, NO_POLLING);

    let (_receiver, told) = telling(&started);
    let drained = process(&place.url, NO_POLLING)
        .drain("jobs", |_, _: Message<i32>| Ok(()))
        .unwrap();

    assert!(told.recv_timeout(Duration::from_millis(300)).is_err());
    assert_eq!(drained.handled, 0);
    place.await_listener();
    place.messaging.topic("jobs").resume().unwrap();
    assert_eq!(next(&told, 1), [1]);
}

#[test]
fn a_topic_keeps_messages_back_that_do_not_say_for_how_long() {
    let mut place = Place::new();
    let config = TopicConfig {
        delay: Some(HOUR),
        ..TopicConfig::default()
    };
    place.messaging.topic("jobs").configure(config).unwrap();

    place.send("jobs", &1);
    place.send_new(NewMessage::json("jobs", &2).unwrap().delay(Duration::ZERO));

    let due_in_s = place.due_in();
    assert!((3590.0..=3600.0).contains(&due_in_s), "{due_in_s}");
    assert_eq!(place.messaging.topic("jobs").stats().unwrap().ready, 1);
}
