//! A paused topic is left alone by all processes.

use crate::support::{Gate, NO_POLLING, PATIENCE, Place, eventually, next, process, telling};
use outtray::Message;
use std::time::{Duration, Instant};

#[test]
fn a_pause_holds_in_all_processes_while_messages_can_be_sent_and_ends_at_once() {
    let mut place = Place::polling(NO_POLLING);
    let elsewhere = process(&place.url, NO_POLLING);
    let (_here, told_here) = telling::<i32>(place.messaging.receiver("jobs"));
    let (_there, told_there) = telling::<i32>(elsewhere.receiver("jobs"));
    place.await_listeners(2);
    let told = || told_here.try_iter().chain(told_there.try_iter()).count();
    let topic = place.messaging.topic("jobs");

    topic.pause().unwrap();
    assert!(topic.is_paused().unwrap());
    // Until the other process has heard of it.
    eventually("nobody begins any more", || {
        place.send("jobs", &1);
        let heard = told_here.recv_timeout(Duration::from_millis(500));
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
    let receiver = gate.holding(
        place
            .messaging
            .receiver("jobs")
            .workers(1)
            .messages_per_transaction(1),
    );
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
    let receiver = place.messaging.receiver("jobs").workers(1);
    let receiver = gate.holding(receiver.messages_per_transaction(5));
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

    let (_receiver, told) = telling::<i32>(started.receiver("jobs"));
    let drained = process(&place.url, NO_POLLING)
        .drain("jobs", |_, _: Message<i32>| Ok(()))
        .unwrap();

    assert!(told.recv_timeout(Duration::from_millis(300)).is_err());
    assert_eq!(drained.handled, 0);
    place.await_listener();
    place.messaging.topic("jobs").resume().unwrap();
    assert_eq!(next(&told, 1), [1]);
}
