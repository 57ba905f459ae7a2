//! A request to give a message up holds for the life it was made in. What a process remembers of it
//! decides nothing.

use crate::support::{
    Gate, NO_POLLING, PATIENCE, Place, database, deaf_process, eventually, next, pass_time, process,
};
use crossbeam_channel::{Receiver, unbounded};
use outtray::{BatchMessage, Cancelled, HandlerError, Message, MessageId, Messaging};
use std::time::Duration;

/// Tells which messages are begun; the first one waits at the gate.
fn holding(messaging: &Messaging, is_batch: bool) -> (outtray::Receiver, Gate, Receiver<i32>) {
    let (tell, told) = unbounded();
    let gate = Gate::new();
    let at_gate = gate.clone();
    let handle = move |n: i32| -> Result<(), HandlerError> {
        tell.send(n)?;
        if n == 0 {
            at_gate.pass();
        }
        Ok(())
    };
    let receiver = messaging.receiver("jobs").workers(1);
    let receiver = match is_batch {
        true => receiver.start_batches(1, move |_, batch: &[BatchMessage<i32>]| {
            batch.iter().try_for_each(|message| handle(message.payload))
        }),
        false => receiver.start(move |_, message: Message<i32>| handle(message.payload)),
    };
    (receiver.unwrap(), gate, told)
}

/// Connects a process that neither tells nor asks what happens.
fn deaf(url: &str) -> Messaging {
    deaf_process(url, NO_POLLING)
}

/// Cancels a message while another process has it in hand, which does not hear of it and rejects
/// it.
fn die_unheard(place: &mut Place) -> MessageId {
    let deaf = deaf(&place.url);
    let gate = Gate::new();
    let at_gate = gate.clone();
    let id = place.send("jobs", &1);
    let other = deaf
        .receiver("jobs")
        .workers(1)
        .start(move |_, _: Message<i32>| {
            at_gate.pass();
            Err(HandlerError::reject("no"))
        })
        .unwrap();
    gate.await_arrivals(1);
    assert_eq!(place.messaging.cancel(id).unwrap(), Cancelled::Asked);
    gate.open_for(9);
    other.stop(PATIENCE);
    id
}

#[test]
fn a_redriven_message_is_handled_by_a_process_that_remembers_a_request_of_its_last_life() {
    for is_batch in [false, true] {
        let url = database();
        let mut place = Place::over(&url, deaf(&url));
        let (receiver, gate, told) = holding(&place.messaging, is_batch);
        place.send("jobs", &0);
        assert_eq!(next(&told, 1), [0]);
        let id = die_unheard(&mut place);
        assert_eq!(place.dead_letters("jobs")[0].id, id);

        assert_eq!(place.messaging.topic("jobs").redrive([id]).unwrap(), 1);
        gate.open_for(9);

        assert_eq!(next(&told, 1), [1]);
        eventually("it is done", || place.is_empty("jobs"));
        receiver.stop(PATIENCE);
    }
}

#[test]
fn a_handler_that_gave_up_for_nothing_runs_again_and_is_not_charged() {
    for is_tracked in [false, true] {
        let mut place = Place::polling(NO_POLLING);
        let (tell, told) = unbounded();
        let gate = Gate::new();
        let at_gate = gate.clone();
        let receiver = place
            .messaging
            .receiver("jobs")
            .workers(1)
            .max_attempts(1)
            .start(move |_, message: Message<i32>| {
                tell.send(message.attempt)?;
                if message.is_cancelled() || told_to_give_up(&message) {
                    at_gate.pass();
                    return Err(HandlerError::failed("given up"));
                }
                Ok(())
            })
            .unwrap();
        let message = outtray::NewMessage::json("jobs", &1).unwrap();
        let id = place.send_new(match is_tracked {
            true => message.tracked(),
            false => message,
        });
        assert_eq!(next(&told, 1), [1]);
        assert_eq!(place.messaging.cancel(id).unwrap(), Cancelled::Asked);
        gate.await_arrivals(1);

        place.sql("DELETE FROM outtray.cancellation");
        gate.open_for(9);

        assert_eq!(next(&told, 1), [1]);
        eventually("it is done", || place.is_empty("jobs"));
        receiver.stop(PATIENCE);
        assert_eq!(place.count("outtray.dead_letter"), 0);
        assert_eq!(
            place.count("outtray.outcome WHERE state = 'done'"),
            i64::from(is_tracked)
        );
    }
}

/// Looks for a while whether it is asked to give up.
fn told_to_give_up(message: &Message<i32>) -> bool {
    (0..200).any(|_| {
        pass_time(Duration::from_millis(10));
        message.is_cancelled()
    })
}

#[test]
fn a_request_that_stands_still_ends_what_comes_back() {
    let mut place = Place::watchful();
    let other = process(&place.url, NO_POLLING);
    let gate = Gate::new();
    let at_gate = gate.clone();
    let receiver = place
        .messaging
        .receiver("jobs")
        .workers(1)
        .max_attempts(32_767)
        .start(move |_, message: Message<i32>| {
            if message.attempt == 1 {
                at_gate.pass();
            }
            Err(HandlerError::retry_after(Duration::ZERO))
        })
        .unwrap();
    let id = place.send("jobs", &1);
    gate.await_arrivals(1);

    assert_eq!(other.cancel(id).unwrap(), Cancelled::Asked);
    gate.open_for(1);

    eventually("it is gone", || place.is_empty("jobs"));
    receiver.stop(PATIENCE);
    assert_eq!(place.count("outtray.dead_letter"), 0);
}
