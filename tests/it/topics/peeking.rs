//! A look at a topic says what is in work, and in whose hands, and disturbs nobody.

use crate::support::{Gate, HOUR, PATIENCE, Place, client};
use outtray::{Backoff, HandlerError, Message, MessageState, NewMessage, WaitingMessage};

/// Returns the first ten, each with its payload and its state.
fn peek(place: &Place) -> Vec<(String, MessageState)> {
    let shown = |one: WaitingMessage| (one.payload.to_string(), one.state);
    let peeked = place.messaging.topic("jobs").peek(10).unwrap();
    peeked.into_iter().map(shown).collect()
}

fn words(peeked: &[(String, MessageState)]) -> Vec<(&str, &str)> {
    let word = |one: &'_ (String, MessageState)| -> &'static str { one.1.as_str() };
    let shown = peeked.iter();
    shown.map(|one| (one.0.as_str(), word(one))).collect()
}

#[test]
fn a_message_in_the_hands_of_a_worker_is_in_work_by_its_server_process_until_it_is_free() {
    let mut place = Place::new();
    place.send_all("jobs", 0..3);
    let gate = Gate::new();
    let handler_gate = gate.clone();
    let receiver = place
        .messaging
        .receiver("jobs")
        .workers(1)
        .messages_per_transaction(1)
        .backoff(Backoff::fixed(HOUR))
        .start(move |_, message: Message<i32>| {
            handler_gate.pass();
            match message.payload {
                1 => Err(HandlerError::failed("no")),
                _ => Ok(()),
            }
        })
        .unwrap();
    gate.await_arrivals(1);

    let peeked = peek(&place);
    assert_eq!(
        words(&peeked),
        [("0", "in_work"), ("1", "ready"), ("2", "ready")]
    );
    let MessageState::InWork {
        server_process: Some(process),
        program,
    } = &peeked[0].1
    else {
        panic!("{peeked:?}");
    };
    assert_eq!(program.as_deref(), Some("outtray"));
    let its = format!("pg_stat_activity WHERE pid = {process} AND state = 'idle in transaction'");
    assert_eq!(place.count(&its), 1);

    gate.open_for(2);
    gate.await_arrivals(2);
    assert_eq!(words(&peek(&place)), [("2", "in_work")]);
    gate.open_for(1);
    receiver.stop(PATIENCE);
    assert_eq!(peek(&place), []);
}

#[test]
fn a_message_that_was_in_work_and_was_given_back_is_ready() {
    let place = Place::new();
    place.send("jobs", &1);
    let mut own = client(&place.url);
    let mut transaction = own.transaction().unwrap();
    let lock = "SELECT id FROM outtray.message FOR UPDATE";
    transaction.batch_execute(lock).unwrap();
    assert_eq!(words(&peek(&place)), [("1", "in_work")]);

    transaction.rollback().unwrap();

    assert_eq!(words(&peek(&place)), [("1", "ready")]);
}

#[test]
fn leases_are_in_work_for_as_long_as_they_last_in_claim_order_and_followers_are_behind() {
    let place = Place::new();
    let jobs = place.messaging.topic("jobs");
    place.send_all("jobs", [0, 1]);
    for n in [2, 3] {
        let keyed = NewMessage::json("jobs", &n).unwrap().key("k");
        place.send_new(keyed);
    }
    place.send_new(NewMessage::json("jobs", &4).unwrap().delay(HOUR));
    let first = jobs.receive::<i32>(HOUR).unwrap().unwrap();
    let second = jobs.receive::<i32>(HOUR).unwrap().unwrap();
    first.release().unwrap();

    let peeked = peek(&place);

    let expected = [
        ("0", "ready"),
        ("1", "leased"),
        ("2", "ready"),
        ("3", "behind"),
    ];
    assert_eq!(words(&peeked), expected);
    let MessageState::Leased { left } = peeked[1].1 else {
        panic!("{peeked:?}");
    };
    assert!(left > HOUR / 2 && left <= HOUR, "{left:?}");
    let attempts = jobs.peek(2).unwrap()[1].attempts;
    assert_eq!((attempts, second.attempt), (0, 1));
}

#[test]
fn the_failed_head_of_a_topic_in_strict_order_is_retrying() {
    let place = Place::new();
    let gate = Gate::new();
    let handler_gate = gate.clone();
    let _receiver = place
        .messaging
        .receiver("jobs")
        .strict_order()
        .backoff(Backoff::fixed(HOUR))
        .start(move |_, _: Message<i32>| {
            handler_gate.pass();
            Err(HandlerError::failed("no"))
        })
        .unwrap();
    place.send("jobs", &1);
    place.send("jobs", &2);
    gate.await_arrivals(1);
    gate.open_for(1);

    crate::support::eventually("the first has failed", || {
        words(&peek(&place)) == [("1", "retrying"), ("2", "ready")]
    });
}
