//! Messages under leases, of receivers and taken by hand, are told as others are.

use super::observed;
use crate::support::MINUTE;
use outtray::{HandlerError, Message, MessagingSession};

#[test]
fn a_handler_under_a_lease_is_told() {
    let (place, told) = observed();
    place.send_all("jobs", 0..2);
    told.take();

    place
        .leasing(MINUTE)
        .max_attempts(1)
        .drain(
            |session: &mut MessagingSession<'_>, message: Message<i32>| {
                session.send_message("sent", &1)?;
                match message.payload {
                    0 => Ok(()),
                    _ => Err(HandlerError::failed("no")),
                }
            },
        )
        .unwrap();

    let expected = [
        "jobs started 1 of 1",
        "1 sent to sent",
        "jobs done 1",
        "jobs started 1 of 1",
        "jobs failed 1: no",
        "jobs dead Some(1): exhausted",
    ];
    assert_eq!(told.take(), expected);
}

#[test]
fn what_is_taken_by_hand_is_told_as_it_is_settled() {
    let (place, told) = observed();
    place.send_all("jobs", 0..1);
    told.take();

    place.take().nack().unwrap();
    place.take().release().unwrap();
    drop(place.take());
    let delivery = place.take();
    let settled = place.messaging.session(|session| {
        session.settle(&delivery)?;
        Err::<(), _>(HandlerError::failed("no"))
    });
    assert!(settled.is_err());
    delivery
        .settle_in(|session| Ok(session.send_message("sent", &1)?))
        .unwrap();

    let expected = [
        "jobs started 1 of 1",
        "jobs failed 1: nacked, again",
        "jobs started 2 of 1",
        "jobs released",
        "jobs started 2 of 1",
        "jobs failed 2: dropped unsettled, again",
        "jobs started 3 of 1",
        "1 sent to sent",
        "jobs done 3",
    ];
    assert_eq!(told.take(), expected);
}

#[test]
fn one_that_is_cancelled_in_hand_and_given_back_is_gone() {
    let (place, told) = observed();
    place.send_all("jobs", 0..3);
    let (nacked, released, done) = (place.take(), place.take(), place.take());
    for delivery in [&nacked, &released, &done] {
        place.messaging.cancel(delivery.id).unwrap();
    }
    told.take();

    nacked.nack().unwrap();
    released.release().unwrap();
    done.ack().unwrap();

    assert_eq!(
        told.take(),
        ["jobs cancelled", "jobs cancelled", "jobs done 1"]
    );
    assert!(place.is_empty("jobs"));
}

#[test]
fn a_handler_that_fails_after_a_cancel_ends_its_message() {
    let (place, told) = observed();
    for lease in [None, Some(MINUTE)] {
        let id = place.send("jobs", &1);
        told.take();
        let builder = place.messaging.receiver("jobs");
        let builder = match lease {
            None => builder,
            Some(lease) => builder.lease(lease),
        };

        builder
            .drain(|_, _: Message<i32>| {
                place.messaging.cancel(id)?;
                Err(HandlerError::failed("no"))
            })
            .unwrap();

        assert_eq!(told.take(), ["jobs started 1 of 1", "jobs cancelled"]);
    }
}

#[test]
fn one_that_is_cancelled_before_its_handler_runs_and_given_back_is_gone() {
    let (mut place, told) = observed();
    place.send("jobs", &1);
    let second = place.send("jobs", &2);
    // It goes alone, so it is given back after the first.
    place.sql("UPDATE outtray.message SET attempts = 1 WHERE payload::text = '2'");
    told.take();

    let receiver = place.leasing(MINUTE).messages_per_transaction(2);
    let handler = |_: &mut MessagingSession<'_>, _: Message<i32>| {
        place.messaging.cancel(second)?;
        Ok(())
    };
    receiver.drain(handler).unwrap();

    let expected = ["jobs started 1 of 1", "jobs done 1", "jobs cancelled"];
    assert_eq!(told.take(), expected);
}
