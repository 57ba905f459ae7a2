//! A handler of batches learns which of its messages are to be given up.

use super::{LEASE, until_cancelled, worker};
use crate::support::{Gate, NO_POLLING, PATIENCE, Place, awaited, next, process, tracked};
use crossbeam_channel::unbounded;
use outtray::{Backoff, BatchMessage, Cancelled, HandlerError, How, MessageId};

#[test]
fn a_handler_of_batches_learns_which_of_its_messages_are_to_be_given_up() {
    let place = Place::polling(NO_POLLING);
    let other = process(&place.url, NO_POLLING);
    for canceller in [&place.messaging, &other] {
        let (tell, told) = unbounded();
        let ids: Vec<MessageId> = (0..3).map(|_| place.send_new(tracked("jobs", 1))).collect();
        let receiver = worker(&place.messaging, false)
            .start_batches(10, move |_, batch: &[BatchMessage<i32>]| {
                tell.send(batch.len())?;
                until_cancelled(&batch[1]);
                for message in batch.iter().filter(|message| message.is_cancelled()) {
                    message.retry("given up");
                }
                Ok(())
            })
            .unwrap();
        assert_eq!(next(&told, 1), [3]);

        assert_eq!(canceller.cancel(ids[1]).unwrap(), Cancelled::Asked);

        let ends = [How::Done, How::Cancelled, How::Done];
        assert_eq!([0, 1, 2].map(|n| awaited(&other, ids[n]).how), ends);
        receiver.stop(PATIENCE);
        assert!(place.is_empty("jobs"));
    }
}

#[test]
fn a_batch_that_fails_is_not_tried_again_with_those_that_were_to_be_given_up() {
    let mut place = Place::polling(NO_POLLING);
    let (tell, told) = unbounded();
    let ids: Vec<MessageId> = (0..3).map(|_| place.send_new(tracked("jobs", 1))).collect();
    let receiver = worker(&place.messaging, false)
        .backoff(Backoff::fixed(LEASE))
        .start_batches(10, move |_, batch: &[BatchMessage<i32>]| {
            tell.send(batch.len())?;
            until_cancelled(&batch[2]);
            Err(HandlerError::failed("no"))
        })
        .unwrap();
    assert_eq!(next(&told, 1), [3]);

    assert_eq!(place.messaging.cancel(ids[2]).unwrap(), Cancelled::Asked);

    assert_eq!(awaited(&place.messaging, ids[2]).how, How::Cancelled);
    receiver.stop(PATIENCE);
    assert_eq!(place.count("outtray.scheduled WHERE attempts = 1"), 2);
    assert!(place.dead_letters("jobs").is_empty());
}

#[test]
fn one_that_is_to_be_given_up_before_its_batch_begins_is_left_out_of_it() {
    let mut place = Place::polling(NO_POLLING);
    let gate = Gate::new();
    let handler_gate = gate.clone();
    let (tell, told) = unbounded();
    let alone = place.send_new(tracked("jobs", 1));
    // What failed before goes alone, before the batch.
    place.sql("UPDATE outtray.message SET attempts = 1");
    let ids: Vec<MessageId> = (0..2).map(|_| place.send_new(tracked("jobs", 1))).collect();
    let receiver = worker(&place.messaging, false)
        .start_batches(10, move |_, batch: &[BatchMessage<i32>]| {
            if batch[0].id == alone {
                handler_gate.pass();
            }
            let ids: Vec<MessageId> = batch.iter().map(|message| message.id).collect();
            Ok(tell.send(ids)?)
        })
        .unwrap();
    gate.await_arrivals(1);

    assert_eq!(place.messaging.cancel(ids[0]).unwrap(), Cancelled::Asked);
    gate.open_for(1);

    assert_eq!(next(&told, 2), [vec![alone], vec![ids[1]]]);
    assert_eq!(awaited(&place.messaging, ids[0]).how, How::Cancelled);
    assert_eq!(awaited(&place.messaging, ids[1]).how, How::Done);
    receiver.stop(PATIENCE);
}
