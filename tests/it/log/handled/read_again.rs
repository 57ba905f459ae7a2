//! A reader that is moved back while entries wait that it put aside.

use super::{ASIDE, await_effects, books, effects, enter};
use crate::support::{HOUR, PATIENCE, Place, eventually};
use outtray::{
    Backoff, HandlerError, Message, NewMessage, PoisonedKey, Position, Receiver, TopicConfig,
};
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};

/// What becomes of entry 1: an hour until it is tried again, a rejection, or its effect.
#[derive(Clone, Default)]
struct Fate(Arc<AtomicI32>);

const WAITS: i32 = 0;
const REJECTED: i32 = 1;
const DONE: i32 = 2;

impl Fate {
    fn becomes(&self, fate: i32) {
        self.0.store(fate, Ordering::SeqCst);
    }

    /// Starts a reader that gets its entries one by one.
    fn start(&self, place: &Place) -> Receiver {
        let fate = self.clone();
        let reader = place.messaging.reader("ledger", "one").batch_size(1);
        let reader = reader.backoff(Backoff::fixed(HOUR).without_jitter());
        let started = reader.start(move |session, entries: &[Message<i32>]| {
            let fate = fate.0.load(Ordering::SeqCst);
            match entries[0].payload == 1 && fate != DONE {
                true if fate == WAITS => Err(HandlerError::failed("later")),
                true => Err(HandlerError::reject("never")),
                false => enter(session, "one", entries),
            }
        });
        started.unwrap()
    }
}

fn send_keyed(place: &Place, entries: std::ops::Range<i32>) {
    for n in entries {
        place.send_new(NewMessage::json("ledger", &n).unwrap().key("k"));
    }
}

/// Waits until all is read, and one entry waits for its time and so many behind it.
#[track_caller]
fn await_aside(place: &mut Place, behind: i64) {
    eventually("all is read, and waits", || {
        let readers = place.messaging.topic("ledger").readers().unwrap();
        readers.iter().all(|reader| reader.lag == 0)
            && place.count("outtray.scheduled") == 1
            && place.count("outtray.follower") == behind
    });
}

fn seek_start(place: &Place) {
    let ledger = place.messaging.topic("ledger");
    ledger.seek("one", Position::Start).unwrap();
}

#[test]
fn entries_that_wait_aside_wait_once_and_in_the_order_of_the_second_reading() {
    let mut place = books();
    send_keyed(&place, 0..4);
    let fate = Fate::default();
    let receiver = fate.start(&place);
    await_aside(&mut place, 2);
    assert_eq!(effects(&mut place), [0]);

    seek_start(&place);
    await_aside(&mut place, 3);
    fate.becomes(DONE);
    place.make_due();
    await_effects(&mut place, 5);
    receiver.stop(PATIENCE);

    assert_eq!(effects(&mut place), [0, 1, 0, 2, 3]);
    assert_eq!(place.count("outtray.follower"), 0);
}

#[test]
fn an_entry_that_waits_is_given_up_once_where_it_is_read_again() {
    let mut place = books();
    place.send_all("ledger", 0..3);
    let fate = Fate::default();
    let receiver = fate.start(&place);
    await_effects(&mut place, 2);
    await_aside(&mut place, 0);

    fate.becomes(REJECTED);
    seek_start(&place);
    await_effects(&mut place, 4);
    await_aside(&mut place, 0);
    assert_eq!(place.dead_letters(ASIDE).len(), 0);
    place.make_due();
    eventually("it is dead", || place.dead_letters(ASIDE).len() == 1);
    receiver.stop(PATIENCE);

    assert_eq!(place.count("outtray.message"), 0);
    assert_eq!(place.count("outtray.scheduled"), 0);
}

#[test]
fn a_key_that_is_parked_after_a_second_reading_holds_up_no_other_topic() {
    let mut place = books();
    let park = TopicConfig {
        poisoned_key: Some(PoisonedKey::Park),
        ..TopicConfig::default()
    };
    place.messaging.topic(ASIDE).configure(park).unwrap();
    send_keyed(&place, 1..4);
    let fate = Fate::default();
    let receiver = fate.start(&place);
    await_aside(&mut place, 2);
    seek_start(&place);
    await_aside(&mut place, 2);

    fate.becomes(REJECTED);
    place.make_due();
    eventually("all are dead", || place.dead_letters(ASIDE).len() == 3);
    place.send_new(NewMessage::json("jobs", &1).unwrap().key("k").delay(HOUR));
    place.make_due();
    eventually("another topic goes on", || {
        place.count("outtray.message WHERE topic = 'jobs'") == 1
    });
    receiver.stop(PATIENCE);

    assert_eq!(place.count("outtray.stalled"), 0);
}
