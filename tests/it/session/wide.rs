//! Sessions that have to do with very many topics and keys take time for each message, and no more
//! for each than for a few.

use super::place;
use crate::support::Place;
use outtray::NewMessage;
use std::time::{Duration, Instant};

const MESSAGES: usize = 40_000;
/// How many times longer they may take, on a machine that does other things, than as many to one
/// topic.
const TIMES: u32 = 8;

fn time(place: &Place, message: impl Fn(usize) -> NewMessage, together: bool) -> Duration {
    let started = Instant::now();
    let sent = place.messaging.session(|session| {
        if together {
            session.send_all((0..MESSAGES).map(&message))?;
        } else {
            for n in 0..MESSAGES {
                session.send(message(n))?;
            }
        }
        Ok(())
    });
    sent.unwrap();
    started.elapsed()
}

fn numbered(topic: &str) -> impl Fn(usize) -> NewMessage {
    move |n| NewMessage::json(topic, &n).unwrap()
}

#[test]
fn forty_thousand_topics_take_about_as_long_as_one() {
    let place = place();
    let one = time(&place, numbered("one"), false);

    let many = time(
        &place,
        |n| NewMessage::json(&format!("topic-{n}"), &n).unwrap(),
        false,
    );

    assert!(many < TIMES * one, "{many:?} and {one:?}");
}

#[test]
fn forty_thousand_keys_take_about_as_long_as_as_few() {
    let place = place();
    let few = time(
        &place,
        |n| numbered("few")(n).key(format!("k{}", n % 10)),
        false,
    );

    let many = time(&place, |n| numbered("many")(n).key(format!("k{n}")), false);
    let deduped =
        |n: usize| numbered("deduped")(n).dedupe(format!("k{n}"), Duration::from_secs(60));
    let deduped = time(&place, deduped, true);

    assert!(many < TIMES * few, "{many:?} and {few:?}");
    assert!(deduped < TIMES * few, "{deduped:?} and {few:?}");
}
