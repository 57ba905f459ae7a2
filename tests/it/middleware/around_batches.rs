//! Around handlers of batches, a middleware runs once for each batch.

use super::{Trace, effects, place, write};
use crate::support::{PATIENCE, eventually};
use outtray::{
    BatchMessage, DeadReason, ErrorKind, HandlerError, Message, MessagingSession, Router,
};

fn handle_all(
    session: &mut MessagingSession<'_>,
    batch: &[BatchMessage<i32>],
) -> Result<(), HandlerError> {
    let mut numbers = batch.iter().map(|message| message.payload.to_string());
    numbers.try_for_each(|number| write(session, "handler", &number))
}

#[test]
fn it_sees_the_messages_of_a_batch_together_and_commits_with_them() {
    let mut place = place(0..5);
    let trace = Trace::default();
    let (outer, before, after) = (trace.clone(), trace.clone(), trace.clone());
    let receiver = place
        .messaging
        .receiver("jobs")
        .workers(1)
        .batch_middleware(move |session, messages, next| {
            outer.note(&format!("{} messages", messages.len()));
            write(session, "batch", &messages[0].payload.to_string())?;
            next.run(session)
        })
        .before(move |_, message| {
            before.note(&format!("before {}", message.payload));
            Ok(())
        })
        .after(move |_, message| {
            after.note(&format!("after {}", message.payload));
            Ok(())
        })
        .start_batches(3, handle_all)
        .unwrap();
    eventually("all are handled", || place.is_empty("jobs"));
    receiver.stop(PATIENCE);

    let seen = trace.take();
    let first = [
        "3 messages",
        "before 0",
        "before 1",
        "before 2",
        "after 0",
        "after 1",
        "after 2",
    ];
    assert_eq!(seen[..7], first);
    assert_eq!(
        seen[7..],
        ["2 messages", "before 3", "before 4", "after 3", "after 4"]
    );
    let expected = [
        "batch 0",
        "handler 0",
        "handler 1",
        "handler 2",
        "batch 3",
        "handler 3",
        "handler 4",
    ];
    assert_eq!(effects(&mut place), expected);
}

#[test]
fn its_failure_is_one_of_the_whole_batch() {
    for is_panic in [false, true] {
        let mut place = place(0..3);
        let receiver = place.messaging.receiver("jobs");
        let receiver = receiver.batch_middleware(move |session, messages, next| {
            next.run(session)?;
            match messages.len() > 1 {
                true if is_panic => panic!("too many"),
                true => Err(HandlerError::failed("too many")),
                false => Ok(()),
            }
        });

        let report = receiver.drain_all_batches(3, handle_all).unwrap();

        assert_eq!((report.handled, report.retried), (3, 3));
        assert_eq!(effects(&mut place), ["handler 0", "handler 1", "handler 2"]);
    }
}

#[test]
fn it_can_skip_a_batch_and_must_not_forget_one() {
    let mut skipped = place(0..3);
    let receiver = skipped.messaging.receiver("jobs");
    let receiver = receiver.batch_middleware(|_, _, next| next.skip());
    assert_eq!(receiver.drain_batches(3, handle_all).unwrap().handled, 3);
    assert!(effects(&mut skipped).is_empty());

    let forgotten = place(0..1);
    let receiver = forgotten.messaging.receiver("jobs").max_attempts(1);
    let receiver = receiver.batch_middleware(|_, _, _| Ok(()));
    assert_eq!(receiver.drain_batches(3, handle_all).unwrap().dead, 1);
}

#[test]
fn messages_that_do_not_fit_are_seen_and_left_out_of_the_batch() {
    let mut place = place(0..2);
    place.send("jobs", "text");
    let trace = Trace::default();
    let noted = trace.clone();
    let receiver = place.messaging.receiver("jobs");
    let receiver = receiver.batch_middleware(move |session, messages, next| {
        noted.note(&format!("{} messages", messages.len()));
        next.run(session)
    });

    let report = receiver.drain_batches(3, handle_all).unwrap();

    assert_eq!((report.handled, report.dead), (2, 1));
    assert_eq!(trace.take(), ["3 messages"]);
    assert_eq!(
        place.dead_letters("jobs")[0].reason,
        DeadReason::Undecodable
    );
    assert_eq!(effects(&mut place), ["handler 0", "handler 1"]);
}

#[test]
fn what_a_handler_says_of_one_message_of_a_batch_still_counts() {
    let mut place = place(0..3);
    let receiver = place.messaging.receiver("jobs");
    let receiver = receiver.batch_middleware(|session, _, next| next.run(session));

    let report = receiver.drain_batches(3, |session, batch: &[BatchMessage<i32>]| {
        batch[1].reject("odd");
        handle_all(session, batch)
    });

    let report = report.unwrap();
    assert_eq!((report.handled, report.dead), (2, 1));
    assert_eq!(place.dead_letters("jobs")[0].error, "odd");
    assert_eq!(effects(&mut place).len(), 3);
}

#[test]
fn a_middleware_has_the_form_of_the_handler_that_it_is_around() {
    let mut place = place(0..1);
    let one = || {
        place
            .messaging
            .receiver("jobs")
            .middleware(|session, _, next| next.run(session))
    };
    let many = || {
        let receiver = place.messaging.receiver("jobs");
        receiver.batch_middleware(|session, _, next| next.run(session))
    };
    let done = |_: &mut MessagingSession, _: Message| Ok(());
    let router = || Router::new().on("#", done);
    let refused = [
        one().start_batches(3, handle_all).map(drop),
        one().drain_batches(3, handle_all).map(drop),
        one().drain_all_batches(3, handle_all).map(drop),
        many().start(done).map(drop),
        many().drain(done).map(drop),
        many().drain_all(done).map(drop),
        many().start_router(router()).map(drop),
        many().drain_router(&router()).map(drop),
    ];
    for refused in refused {
        let error = refused.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid);
        assert!(error.to_string().contains("middleware"), "{error}");
    }
    assert_eq!(place.count("outtray.worker"), 0);
}
