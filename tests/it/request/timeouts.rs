//! Who gets no answer learns so in time, and nothing is left of the question.

use super::{QUOTES, doubling, left};
use crate::support::{A_WHILE, Gate, HOUR, PATIENCE, Place, aside, eventually, process};
use outtray::{ErrorKind, Interrupt, Message, NewMessage};
use std::time::{Duration, Instant};

const SHORT: Duration = Duration::from_millis(100);

#[test]
fn who_gets_no_answer_learns_so_and_the_question_is_dropped() {
    let mut place = Place::watchful();
    let started = Instant::now();
    let error = place
        .messaging
        .request::<i64>(QUOTES, &1, SHORT)
        .unwrap_err();

    assert_eq!(error.kind(), ErrorKind::Timeout);
    assert!(started.elapsed() >= SHORT);
    let text = error.to_string();
    assert!(text.contains(QUOTES) && text.contains("100ms"), "{text}");
    // Nobody answers it later, nor is it kept.
    let receiver = doubling(&place.messaging);
    eventually("the question is gone", || place.is_empty(QUOTES));
    receiver.stop(PATIENCE);
    assert_eq!(place.count("outtray.dead_letter"), 0);
}

#[test]
fn a_question_that_is_claimed_too_late_is_dropped_by_its_worker() {
    let mut place = Place::new();
    let error = place
        .messaging
        .request::<i64>(QUOTES, &1, SHORT)
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);

    // Without upkeep of its own; and under a lease.
    let replier = process(&place.url, PATIENCE);
    let report = replier.drain(QUOTES, |_, _: Message<i64>| panic!("it is too late"));
    let taken = replier.topic(QUOTES).receive::<i64>(HOUR).unwrap();

    assert_eq!(report.unwrap().handled, 0);
    assert!(taken.is_none());
    // The asker's upkeep may be about to drop it, too, and then nobody else sees it.
    eventually("it is gone", || place.is_empty(QUOTES));
    assert_eq!(place.count("outtray.dead_letter"), 0);
}

#[test]
fn a_zero_timeout_asks_nothing() {
    let mut place = Place::new();
    let error = place.messaging.request::<i64>(QUOTES, &1, Duration::ZERO);

    assert_eq!(error.unwrap_err().kind(), ErrorKind::Timeout);
    assert_eq!(left(&mut place), 0);
    let bad = place
        .messaging
        .request::<i64>("no topic", &1, Duration::ZERO);
    assert_eq!(bad.unwrap_err().kind(), ErrorKind::Invalid);
}

#[test]
fn the_longest_timeouts_are_answered() {
    let place = Place::new();
    let receiver = doubling(&place.messaging);
    for timeout in [
        Duration::MAX,
        Duration::from_secs(u64::MAX),
        HOUR * 24 * 365 * 50,
    ] {
        let answer: i64 = place.messaging.request(QUOTES, &4, timeout).unwrap();
        assert_eq!(answer, 8);
    }
    receiver.stop(PATIENCE);
}

#[test]
fn a_late_reply_is_dropped_and_disturbs_no_other_question() {
    let mut place = Place::new();
    let replier = process(&place.url, PATIENCE);
    let (gate, inside) = (Gate::new(), Gate::new());
    let waiting = inside.clone();
    let receiver = replier
        .receiver(QUOTES)
        .workers(1)
        .start(move |session, ask: Message<i64>| {
            if ask.payload == 1 {
                waiting.pass();
            }
            session.reply(&ask, &(ask.payload * 2))?;
            Ok(())
        })
        .unwrap();
    // One that stays open, so that the inbox does.
    let other = NewMessage::json("others", &0).unwrap();
    let other = place.messaging.begin_request(other, HOUR).unwrap();

    let question = NewMessage::json(QUOTES, &1).unwrap();
    let mut late = place.messaging.begin_request(question, A_WHILE).unwrap();
    inside.await_arrivals(1);
    let error = late.wait::<i64>(PATIENCE).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    inside.open_for(1);

    let answer: i64 = place.messaging.request(QUOTES, &3, PATIENCE).unwrap();
    assert_eq!(answer, 6);
    eventually("no reply is left", || {
        place.count("outtray.message WHERE topic LIKE 'outtray.reply.%'") == 0
    });
    assert_eq!(
        late.wait::<i64>(SHORT).unwrap_err().kind(),
        ErrorKind::Timeout
    );
    drop((other, gate));
    receiver.stop(PATIENCE);
}

#[test]
fn an_interrupt_ends_the_wait() {
    let place = Place::new();
    let interrupt = Interrupt::new();
    let (asking, wait) = (place.messaging.clone(), interrupt.within(HOUR));
    let told = aside(move || {
        asking
            .request::<i64>(QUOTES, &1, wait)
            .map_err(|e| e.kind())
    });
    eventually("the question is there", || !place.is_empty(QUOTES));

    interrupt.interrupt();

    assert_eq!(told.recv_timeout(PATIENCE), Ok(Err(ErrorKind::Interrupted)));
    let at_once = place
        .messaging
        .request::<i64>(QUOTES, &1, interrupt.within(HOUR));
    assert_eq!(at_once.unwrap_err().kind(), ErrorKind::Interrupted);
}

#[test]
fn a_wait_that_was_too_short_may_be_taken_up_again() {
    let place = Place::new();
    let question = NewMessage::json(QUOTES, &5).unwrap();
    let mut pending = place.messaging.begin_request(question, HOUR).unwrap();

    for _ in 0..2 {
        let error = pending.wait::<i64>(SHORT).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Timeout);
    }
    let receiver = doubling(&place.messaging);

    assert_eq!(pending.wait::<i64>(PATIENCE).unwrap().payload, 10);
    // And is over then.
    assert_eq!(
        pending.wait::<i64>(HOUR).unwrap_err().kind(),
        ErrorKind::Timeout
    );
    receiver.stop(PATIENCE);
}

#[test]
fn a_question_to_a_log_is_answered_by_its_readers() {
    let place = Place::new();
    let log = outtray::TopicConfig {
        kind: outtray::TopicKind::Log,
        ..outtray::TopicConfig::default()
    };
    place.messaging.topic(QUOTES).configure(log).unwrap();
    let reader = place.messaging.reader(QUOTES, "first");
    let reader = reader.start(|session, entries: &[Message<i64>]| {
        for entry in entries {
            session.reply(entry, &(entry.payload * 2))?;
        }
        Ok(())
    });
    let reader = reader.unwrap();

    let answer: i64 = place.messaging.request(QUOTES, &21, PATIENCE).unwrap();

    assert_eq!(answer, 42);
    reader.stop(PATIENCE);
}
