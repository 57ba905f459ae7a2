//! What waits behind a head goes on when the head is gone, and when who waited for it is: nobody
//! polls here.

use crate::support::{
    A_WHILE, HOUR, NO_POLLING, PATIENCE, Place, eventually, next, pass_time, process,
};
use crossbeam_channel::unbounded;
use outtray::{Backoff, HandlerError, Message, Messaging, NewMessage, Rate, Receiver, TopicConfig};
use std::time::Duration;

/// Starts a receiver of a topic in strict order, which tells what it handles; message 1 fails the
/// first time, after a while, and waits so long.
fn start(messaging: &Messaging, wait: Duration) -> (Receiver, crossbeam_channel::Receiver<i32>) {
    let (tell, told) = unbounded();
    let receiver = messaging.receiver("line").workers(2).strict_order();
    let receiver = receiver.backoff(Backoff::fixed(wait));
    let receiver = receiver.start(move |_, message: Message<i32>| {
        if message.payload == 1 && message.attempt == 1 {
            pass_time(A_WHILE);
            return Err(HandlerError::failed("not yet"));
        }
        Ok(tell.send(message.payload)?)
    });
    (receiver.unwrap(), told)
}

/// Waits until the head waits for its next attempt.
fn await_failure(place: &mut Place) {
    eventually("the head waits", || {
        place.count("outtray.message WHERE not_before > now()") == 1
    });
}

#[test]
fn what_is_behind_a_head_goes_on_when_the_head_is_cancelled() {
    let mut place = Place::polling(NO_POLLING);
    let other = process(&place.url, NO_POLLING);
    let head = place.send("line", &1);
    let (receiver, told) = start(&other, HOUR);
    await_failure(&mut place);
    place.await_listener();

    place.send("line", &2);
    place.messaging.cancel(head).unwrap();
    assert_eq!(next(&told, 1), [2]);
    receiver.stop(PATIENCE);
}

#[test]
fn another_receiver_comes_for_a_head_whose_process_stopped_while_it_waited() {
    let mut place = Place::polling(NO_POLLING);
    let others = [(), ()].map(|()| process(&place.url, NO_POLLING));
    let second = Duration::from_secs(1);
    let (first, _) = start(&others[0], second);
    let (receiver, told) = start(&others[1], second);
    place.await_listeners(2);
    // The other one hears of it while the first has it, and has nothing to come back for.
    others[0]
        .send(NewMessage::json("line", &1).unwrap())
        .unwrap();
    await_failure(&mut place);

    first.stop(PATIENCE);
    assert_eq!(next(&told, 1), [1]);
    receiver.stop(PATIENCE);
}

#[test]
fn a_head_whose_key_is_over_its_rate_begins_when_the_rate_is_reset_or_another() {
    for is_reset in [true, false] {
        let mut place = Place::polling(NO_POLLING);
        let other = process(&place.url, NO_POLLING);
        let messaging = place.messaging.clone();
        let topic = messaging.topic("line");
        let rate_per_key = Some(Rate {
            messages: 1,
            per: HOUR,
            burst: 1,
        });
        let rated = TopicConfig {
            rate_per_key,
            ..TopicConfig::default()
        };
        topic.configure(rated).unwrap();
        let (receiver, told) = start(&other, HOUR);
        place.await_listener();
        for payload in [2, 3] {
            place.send_new(NewMessage::json("line", &payload).unwrap().key("k"));
        }
        assert_eq!(next(&told, 1), [2]);
        assert!(told.recv_timeout(Duration::from_millis(300)).is_err());

        match is_reset {
            true => topic.reset_rate_of("k").unwrap(),
            false => topic.configure(TopicConfig::default()).unwrap(),
        }
        assert_eq!(next(&told, 1), [3]);
        receiver.stop(PATIENCE);
    }
}
