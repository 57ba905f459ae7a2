//! What a middleware does commits with the message, and is undone with it.

use super::{effects, handle, place, write};
use crate::support::{MINUTE, Place};
use outtray::{
    Backoff, DeadReason, DrainReport, HandlerError, Incoming, Message, MessagingSession, Next,
    ReceiverBuilder,
};
use std::time::Duration;

/// Longer than any test.
const LATER: Duration = Duration::from_secs(500);

type Configure = fn(ReceiverBuilder<'_>) -> ReceiverBuilder<'_>;

/// All ways to hold a message.
const HELD: [Configure; 3] = [
    |receiver| receiver.messages_per_transaction(3),
    |receiver| receiver.messages_per_transaction(1),
    |receiver| receiver.lease(MINUTE),
];

fn text(message: &Incoming<'_>) -> String {
    message.payload.to_string()
}

/// Handles the numbers 0 to 2 inside a middleware that fails for 1 in this way after it wrote, and
/// checks that nothing of 1 is left and everything of the others is.
#[track_caller]
fn check_failing<F>(fail: F) -> Vec<(Place, DrainReport)>
where
    F: Fn(&mut MessagingSession<'_>) -> Result<(), HandlerError> + Copy + Send + Sync + 'static,
{
    let check = |held: Configure| {
        let mut place = place(0..3);
        let receiver = held(place.messaging.receiver("jobs"))
            .max_attempts(2)
            .backoff(Backoff::fixed(LATER))
            .middleware(move |session, message, next| {
                write(session, "begun", &text(message))?;
                next.run(session)?;
                write(session, "ended", &text(message))?;
                match text(message).as_str() {
                    "1" => fail(session),
                    _ => Ok(()),
                }
            });

        let report = receiver.drain(handle).unwrap();

        let effects = effects(&mut place);
        let expected = [
            "begun 0",
            "ended 0",
            "handler 0",
            "begun 2",
            "ended 2",
            "handler 2",
        ];
        assert_eq!(effects, expected);
        let sent = place.count("outtray.message WHERE topic = 'sent'");
        assert_eq!(sent, 6);
        (place, report)
    };
    HELD.map(check).into()
}

#[test]
fn its_error_is_an_error_of_the_handler() {
    for (_, report) in check_failing(|_| Err(HandlerError::failed("not now"))) {
        assert_eq!((report.handled, report.retried), (2, 1));
    }
}

#[test]
fn its_panic_is_a_panic_of_the_handler() {
    for (mut place, report) in check_failing(|_| panic!("in a middleware")) {
        assert_eq!((report.handled, report.retried), (2, 1));
        place.make_due();
        let panicking = |session: &mut MessagingSession, _: &Incoming, next: Next| {
            next.run(session)?;
            panic!("in a middleware")
        };
        let receiver = place.messaging.receiver("jobs").max_attempts(2);
        let report = receiver.middleware(panicking).drain(handle).unwrap();
        assert_eq!(report.dead, 1);
        let dead = place.dead_letters("jobs");
        assert_eq!(dead[0].error, "handler panicked: in a middleware");
    }
}

#[test]
fn it_can_reject_a_message_and_put_one_off() {
    for (place, report) in check_failing(|_| Err(HandlerError::reject("stale"))) {
        assert_eq!((report.handled, report.dead), (2, 1));
        let dead = place.dead_letters("jobs");
        assert_eq!(
            (dead[0].reason, dead[0].error.as_str()),
            (DeadReason::Rejected, "stale")
        );
    }
    for (mut place, report) in check_failing(|_| Err(HandlerError::snooze(LATER))) {
        assert_eq!(report.handled, 2);
        assert_eq!(place.count("outtray.scheduled WHERE attempts = 0"), 1);
    }
}

#[test]
fn an_sql_error_that_it_swallows_fails_the_message() {
    let swallowed = check_failing(|session| {
        let _ = session.batch_execute("SELECT 1 / 0");
        Ok(())
    });
    for (_, report) in swallowed {
        assert_eq!((report.handled, report.retried), (2, 1));
    }
}

#[test]
fn a_handler_does_not_run_whose_before_fails() {
    for held in HELD {
        let mut place = place(1..2);
        let receiver = held(place.messaging.receiver("jobs")).max_attempts(1);
        let receiver = receiver.before(|session, message| {
            write(session, "before", &text(message))?;
            Err(HandlerError::failed("no tenant"))
        });

        let report = receiver.drain(handle).unwrap();

        assert_eq!(report.dead, 1);
        assert_eq!(place.dead_letters("jobs")[0].error, "no tenant");
        assert!(effects(&mut place).is_empty());
    }
}

#[test]
fn a_failing_after_undoes_the_handler() {
    for held in HELD {
        let mut place = place(1..2);
        let receiver = held(place.messaging.receiver("jobs")).max_attempts(1);
        let receiver = receiver.after(|_, _| Err(HandlerError::failed("no paper")));

        let report = receiver.drain(handle).unwrap();

        assert_eq!(report.dead, 1);
        assert_eq!(place.dead_letters("jobs")[0].error, "no paper");
        assert!(effects(&mut place).is_empty());
    }
}

#[test]
fn it_may_decide_otherwise_about_what_the_handler_returned() {
    let mut place = place(0..3);
    let receiver = place
        .messaging
        .receiver("jobs")
        .middleware(
            |session, message, next| match (next.run(session), text(message).as_str()) {
                (Err(_), "0") => Ok(()),
                (Err(error), "1") => Err(HandlerError::reject(format!("given up: {error}"))),
                (result, _) => result,
            },
        );

    let report = receiver.drain(|session, message: Message<i32>| {
        handle(session, message)?;
        Err(HandlerError::failed("out of paper"))
    });

    let report = report.unwrap();
    assert_eq!((report.handled, report.dead, report.retried), (1, 1, 1));
    assert_eq!(effects(&mut place), ["handler 0"]);
    assert_eq!(
        place.dead_letters("jobs")[0].error,
        "given up: out of paper"
    );
}

#[test]
fn a_payload_that_does_not_fit_is_a_dead_letter_that_the_middleware_saw() {
    for held in HELD {
        let mut place = place(0..2);
        place.send("jobs", "text");
        let (tell, told) = crossbeam_channel::unbounded();
        let receiver = held(place.messaging.receiver("jobs"));
        let receiver = receiver.middleware(move |session, _, next| {
            let result = next.run(session);
            tell.send(result.as_ref().err().map(ToString::to_string))?;
            result
        });

        let report = receiver.drain(handle).unwrap();

        assert_eq!((report.handled, report.dead), (2, 1));
        let dead = place.dead_letters("jobs");
        assert_eq!(dead[0].reason, DeadReason::Undecodable);
        let errors: Vec<String> = told.try_iter().flatten().collect();
        assert_eq!(errors, [dead[0].error.clone()]);
        assert_eq!(effects(&mut place), ["handler 0", "handler 1"]);
    }
}

#[test]
fn a_setting_that_it_makes_holds_for_the_handler_and_ends_with_it() {
    let mut place = place(0..3);
    let receiver = place.messaging.receiver("jobs").messages_per_transaction(3);
    let receiver = receiver.before(|session, message| {
        if text(message) == "1" {
            session.execute("SELECT set_config('app.tenant', $1, true)", &[&"acme"])?;
        }
        Ok(())
    });

    let report = receiver.drain(|session, message: Message<i32>| {
        let row = session.query_one("SELECT current_setting('app.tenant', true)", &[])?;
        let tenant: Option<String> = row.try_get(0)?;
        write(
            session,
            &tenant.unwrap_or_default(),
            &message.payload.to_string(),
        )
    });

    assert_eq!(report.unwrap().handled, 3);
    assert_eq!(effects(&mut place), [" 0", "acme 1", " 2"]);
}
