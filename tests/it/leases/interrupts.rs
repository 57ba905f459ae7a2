//! Another thread can end a wait.

use crate::support::{HOUR, MINUTE, NO_POLLING, PATIENCE, Place, aside, send};
use outtray::{Delivery, ErrorKind, Interrupt, NewMessage, Result};
use std::time::Duration;

#[test]
fn a_wait_for_a_message_ends_when_it_is_interrupted_and_takes_nothing() {
    let mut place = Place::polling(NO_POLLING);
    let interrupt = Interrupt::new();
    let waits: Vec<_> = (0..3)
        .map(|_| {
            let (messaging, wait) = (place.messaging.clone(), interrupt.within(HOUR));
            let take = move || -> Result<Vec<Delivery<i32>>> {
                messaging.receive_from_timeout(&["jobs", "others"], 9, wait, MINUTE)
            };
            aside(take)
        })
        .collect();
    place.await_listener();
    assert!(waits.iter().all(|wait| wait.is_empty()));

    interrupt.clone().interrupt();

    for wait in waits {
        let ended = wait.recv_timeout(PATIENCE).expect("it ends");
        assert_eq!(ended.unwrap_err().kind(), ErrorKind::Interrupted);
    }
    assert!(interrupt.is_interrupted());
    interrupt.interrupt();
    place.send("jobs", &1);
    let wait = interrupt.within(HOUR);
    let late = place.jobs().receive_timeout::<i32>(wait, MINUTE);
    assert_eq!(late.unwrap_err().kind(), ErrorKind::Interrupted);
    assert_eq!(place.numbers(), [1, 0, 0, 0]);
}

#[test]
fn a_wait_that_nobody_interrupts_ends_as_any_other() {
    let place = Place::polling(NO_POLLING);
    let (interrupt, other) = (Interrupt::new(), Interrupt::default());
    let jobs = place.jobs();
    other.interrupt();

    let wait = interrupt.within(Duration::from_millis(100));
    assert!(jobs.receive_timeout::<i32>(wait, None).unwrap().is_none());
    let (messaging, wait) = (place.messaging.clone(), interrupt.within(HOUR));
    let taken = aside(move || messaging.topic("jobs").receive_timeout::<i32>(wait, None));
    send(&place.messaging, "jobs", &7);

    let taken = taken.recv_timeout(PATIENCE).expect("a message in time");
    let delivery = taken.unwrap().expect("a message");
    assert_eq!(delivery.payload, 7);
    delivery.ack().unwrap();
}

#[test]
fn a_wait_for_the_end_of_a_message_can_be_interrupted_too() {
    let mut place = Place::polling(NO_POLLING);
    let interrupt = Interrupt::new();
    let id = place.send_new(NewMessage::json("jobs", &1).unwrap().tracked());
    let (messaging, wait) = (place.messaging.clone(), interrupt.within(HOUR));
    let waiting = aside(move || messaging.wait_for_completion(id, wait));
    place.await_listener();
    assert!(waiting.is_empty());

    interrupt.interrupt();

    let ended = waiting.recv_timeout(PATIENCE).expect("it ends");
    assert_eq!(ended.unwrap_err().kind(), ErrorKind::Interrupted);
}
