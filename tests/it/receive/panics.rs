//! Whatever of the caller's panics, also while it is dropped, no worker dies of it: the next
//! message is handled.

use crate::support::{PATIENCE, Place, eventually, next};
use crossbeam_channel::{Sender, unbounded};
use outtray::{Backoff, BatchMessage, HandlerError, Message, ReceiverBuilder, TopicConfig};
use serde::Deserialize;
use std::error::Error;
use std::fmt;
use std::panic::panic_any;
use std::time::Duration;

/// What panics when it is dropped, with one more of its kind in the panic.
#[derive(Debug)]
struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            panic_any(Bomb);
        }
    }
}

impl fmt::Display for Bomb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a bomb")
    }
}

impl Error for Bomb {}

/// An error that cannot be printed.
#[derive(Debug)]
struct Unprintable(Bomb);

impl fmt::Display for Unprintable {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        panic_any(Bomb)
    }
}

impl Error for Unprintable {}

/// A payload that panics when it is dropped, or when it is read.
#[derive(Debug)]
struct Payload {
    text: String,
    _bomb: Option<Bomb>,
}

impl<'de> Deserialize<'de> for Payload {
    fn deserialize<D: serde::Deserializer<'de>>(reader: D) -> Result<Self, D::Error> {
        let text = String::deserialize(reader)?;
        if text == "reading" {
            panic_any(Bomb);
        }
        let _bomb = (text == "payload").then(|| Bomb);
        Ok(Payload { text, _bomb })
    }
}

const KINDS: [&str; 7] = [
    "panic", "error", "printing", "payload", "reading", "cause", "good",
];

/// Does what a payload says.
fn act(text: &str) -> Result<(), HandlerError> {
    match text {
        "panic" => panic_any(Bomb),
        "error" => Err(Bomb)?,
        "printing" => Err(Unprintable(Bomb))?,
        "cause" => Err(HandlerError::reject("no").because(Unprintable(Bomb))),
        _ => Ok(()),
    }
}

fn place() -> Place {
    let place = Place::watchful();
    let config = TopicConfig {
        max_attempts: Some(2),
        ..TopicConfig::default()
    };
    place.messaging.topic("bombs").configure(config).unwrap();
    for kind in KINDS {
        place.send("bombs", kind);
    }
    place
}

fn receiver(place: &Place) -> ReceiverBuilder<'_> {
    place
        .messaging
        .receiver("bombs")
        .workers(1)
        .backoff(Backoff::function(|_| panic_any(Bomb)))
}

fn handler(
    tell: Sender<String>,
) -> impl Fn(&mut outtray::MessagingSession<'_>, Message<Payload>) -> Result<(), HandlerError>
+ Send
+ Sync
+ 'static {
    let bomb = Bomb;
    move |_, message| {
        let _captured = &bomb;
        tell.send(message.payload.text.clone())?;
        act(&message.payload.text)
    }
}

/// Waits until all ended, and that the worker is well.
fn check(
    mut place: Place,
    told: &crossbeam_channel::Receiver<String>,
    receiver: outtray::Receiver,
) {
    let dead = "outtray.dead_letter WHERE topic = 'bombs'";
    eventually("all have ended", || {
        place.make_due();
        place.is_empty("bombs")
    });
    assert!(place.count(dead) >= 4, "{:?}", place.dead_letters("bombs"));
    let seen: Vec<String> = told.try_iter().collect();
    assert!(seen.iter().any(|text| text == "good"), "{seen:?}");
    place.send("bombs", "last");
    assert_eq!(next(told, 1), ["last"]);

    let report = receiver.stop(PATIENCE);

    assert_eq!(report.abandoned, 0);
    drop(receiver);
}

#[test]
fn a_worker_outlives_what_handlers_leave() {
    let place = place();
    let (tell, told) = unbounded();
    let receiver = receiver(&place).start(handler(tell)).unwrap();
    check(place, &told, receiver);
}

#[test]
fn a_worker_under_leases_outlives_what_handlers_leave() {
    let place = place();
    let (tell, told) = unbounded();
    let receiver = receiver(&place)
        .lease(Duration::from_secs(60))
        .start(handler(tell))
        .unwrap();
    check(place, &told, receiver);
}

#[test]
fn a_worker_outlives_what_handlers_of_batches_leave() {
    let place = place();
    let (tell, told) = unbounded();
    let bomb = Bomb;
    let receiver = receiver(&place)
        .start_batches(4, move |_, batch: &[BatchMessage<Payload>]| {
            let _captured = &bomb;
            for message in batch {
                tell.send(message.payload.text.clone())?;
                match message.payload.text.as_str() {
                    "error" => message.fail(Bomb),
                    "printing" => message.fail(Unprintable(Bomb)),
                    "cause" => message.fail(HandlerError::reject("no").because(Unprintable(Bomb))),
                    text => act(text)?,
                }
            }
            Ok(())
        })
        .unwrap();
    check(place, &told, receiver);
}

#[test]
fn a_batch_that_is_done_stays_done_whatever_its_payloads_do_when_they_go() {
    let mut place = Place::watchful();
    place.sql("CREATE TABLE effect (text text)");
    place.send_all("bombs", ["payload"; 5]);

    let receiver = place.messaging.receiver("bombs");
    let report = receiver.drain_batches(5, |session, batch: &[BatchMessage<Payload>]| {
        for message in batch {
            session.execute("INSERT INTO effect VALUES ($1)", &[&message.payload.text])?;
        }
        Ok(())
    });

    assert_eq!(report.unwrap().handled, 5);
    assert_eq!(place.count("effect"), 5);
}
