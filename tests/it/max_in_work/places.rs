//! The places of a topic that is limited to so many messages in work: a batch has as many as it has
//! messages, and keeps no others.

use super::TOPIC;
use crate::support::{A_WHILE, Gate, PATIENCE, Place, client, eventually, next};
use crossbeam_channel::unbounded;
use outtray::{BatchMessage, Receiver, TopicConfig};

type Sizes = crossbeam_channel::Receiver<usize>;

/// What keeps the first two places from others until it ends, and the last two.
const FIRST_TWO: &str = "BEGIN; SELECT FROM outtray.slot WHERE number < 3 FOR UPDATE";
const LAST_TWO: &str = "BEGIN; SELECT FROM outtray.slot WHERE number > 1 FOR UPDATE";

/// Makes a topic with three places, and starts a receiver, which has handled a message just now.
/// The topic is paused.
fn paused(gate: &Gate) -> (Place, Receiver, Sizes) {
    let mut place = Place::watchful();
    let config = TopicConfig {
        max_in_work: Some(3),
        ..TopicConfig::default()
    };
    let messaging = place.messaging.clone();
    let topic = messaging.topic(TOPIC);
    topic.configure(config).unwrap();
    let (receiver, sizes) = start(&place, gate);
    place.send(TOPIC, &0);
    gate.open_for(1);
    assert_eq!(next(&sizes, 1), [1]);
    eventually("it is handled", || topic.is_empty().unwrap());
    topic.pause().unwrap();
    eventually("all places are free", || {
        place.count("(SELECT FROM outtray.slot FOR UPDATE SKIP LOCKED) AS free") == 3
    });
    (place, receiver, sizes)
}

/// Starts a receiver of batches of up to 20 that tells how many messages are in each, and waits at
/// the gate.
fn start(place: &Place, gate: &Gate) -> (Receiver, Sizes) {
    let gate = gate.clone();
    let (tell, told) = unbounded();
    let receiver = place.messaging.receiver(TOPIC).workers(1);
    let receiver = receiver.start_batches(20, move |_, batch: &[BatchMessage<i32>]| {
        // The test may have heard enough.
        let _ = tell.send(batch.len());
        gate.pass();
        Ok(())
    });
    (receiver.unwrap(), told)
}

/// Checks that others may have exactly `expected` messages in work.
#[track_caller]
fn check_free(place: &Place, gate: &Gate, expected: usize) -> Receiver {
    let (receiver, sizes) = start(place, gate);
    let mut begun = 0;
    while begun < expected {
        begun += next(&sizes, 1)[0];
    }
    assert_eq!(begun, expected);
    assert!(sizes.recv_timeout(A_WHILE).is_err());
    receiver
}

#[test]
fn a_batch_keeps_no_place_beside_those_of_its_messages() {
    let gate = Gate::new();
    let (mut place, receiver, sizes) = paused(&gate);
    let (mut taken, mut held_up) = (client(&place.url), client(&place.url));
    taken.batch_execute(FIRST_TWO).unwrap();
    let leases = "BEGIN; LOCK TABLE outtray.scheduled";
    held_up.batch_execute(leases).unwrap();
    place.send_all(TOPIC, 0..2);

    // It begins with the last place, and when it has claimed those before are free.
    place.messaging.topic(TOPIC).resume().unwrap();
    place.await_waiting_for("outtray.scheduled");
    taken.batch_execute("ROLLBACK").unwrap();
    held_up.batch_execute("ROLLBACK").unwrap();
    assert_eq!(next(&sizes, 1), [2]);
    place.send_all(TOPIC, 0..3);

    let other = check_free(&place, &gate, 1);
    gate.open_for(9);
    eventually("all handled", || place.is_empty(TOPIC));
    receiver.stop(PATIENCE);
    other.stop(PATIENCE);
}

#[test]
fn a_message_for_which_a_batch_has_no_place_is_free_for_others() {
    let gate = Gate::new();
    let (mut place, receiver, sizes) = paused(&gate);
    place.send_all(TOPIC, 0..3);
    let (mut taken, mut held_up) = (client(&place.url), client(&place.url));
    let messages = "BEGIN; LOCK TABLE outtray.message IN EXCLUSIVE MODE";
    held_up.batch_execute(messages).unwrap();

    // When it has claimed, there are no longer as many places as there were.
    place.messaging.topic(TOPIC).resume().unwrap();
    place.await_waiting_for("outtray.message");
    taken.batch_execute(LAST_TWO).unwrap();
    held_up.batch_execute("ROLLBACK").unwrap();
    assert_eq!(next(&sizes, 1), [1]);
    taken.batch_execute("ROLLBACK").unwrap();

    let other = check_free(&place, &gate, 2);
    gate.open_for(9);
    eventually("all handled", || place.is_empty(TOPIC));
    receiver.stop(PATIENCE);
    other.stop(PATIENCE);
}
