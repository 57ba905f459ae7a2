//! Messages are run on the test's thread as workers run them, and it is said what became of each.

use crate::support::{DAY, HOUR, MINUTE, Place};
use outtray::testing::{AssertSent, Ran, RunOutcome, Runner};
use outtray::{
    Backoff, DeadReason, ErrorKind, Expired, HandlerError, Message, MessagingSession, NewMessage,
    NoMatch, Router, TopicConfig,
};
use std::time::Duration;

type Handled = Result<(), HandlerError>;

fn ok(_: &mut MessagingSession<'_>, _: Message<i32>) -> Handled {
    Ok(())
}

fn jobs(place: &Place, payloads: impl IntoIterator<Item = i32>) {
    place.send_all("jobs", payloads);
}

fn ten_seconds(receiver: outtray::ReceiverBuilder<'_>) -> outtray::ReceiverBuilder<'_> {
    receiver.backoff(Backoff::fixed(Duration::from_secs(10)).without_jitter())
}

#[test]
fn one_message_is_run_and_the_others_stay() {
    let place = Place::new();
    jobs(&place, [1, 2, 3]);
    let mut seen = Vec::new();

    let mut runner = Runner::new(&place.messaging).on("jobs", |_, job: Message<i32>| {
        seen.push(job.payload);
        Ok(())
    });
    let ran = runner.run_one("jobs").unwrap().unwrap();
    drop(runner);

    assert!(ran.is_done() && ran.attempt == 1 && ran.topic == "jobs");
    assert_eq!(seen, [1]);
    place.messaging.assert_sent_count("jobs", 2);
}

#[test]
fn one_message_is_run_under_a_lease_too() {
    let place = Place::new();
    jobs(&place, [1, 2, 3]);

    let mut runner = Runner::new(&place.messaging).on_receiver("jobs", |it| it.lease(MINUTE), ok);
    let ran = runner.run_one("jobs").unwrap().unwrap();

    assert!(ran.is_done());
    place.messaging.assert_sent_count("jobs", 2);
    let rest = runner.run_until_idle().unwrap();
    assert_eq!(rest.len(), 2);
    assert_eq!(runner.run_one("jobs").unwrap(), None);
}

#[test]
fn one_that_expired_is_one_that_was_run() {
    let place = Place::new();
    let soon = Duration::from_secs(1);
    place.send_new(NewMessage::json("jobs", &1).unwrap().expires_in(soon));
    place.send_new(NewMessage::json("jobs", &2).unwrap());
    outtray::testing::advance(&place.messaging, MINUTE).unwrap();

    let mut runner = Runner::new(&place.messaging).on("jobs", ok);
    let first = runner.run_one("jobs").unwrap().unwrap();
    let second = runner.run_one("jobs").unwrap().unwrap();

    let RunOutcome::Dead { reason, .. } = &first.outcome else {
        panic!("{first:?}");
    };
    assert_eq!((*reason, first.attempt), (DeadReason::Expired, 0));
    assert!(second.is_done());
}

#[test]
fn it_is_said_how_long_a_failed_message_waits_and_why_a_dead_one_died() {
    let place = Place::new();
    jobs(&place, [1]);

    let mut runner = Runner::new(&place.messaging).on_receiver(
        "jobs",
        |receiver| ten_seconds(receiver).max_attempts(2),
        |_, _: Message<i32>| Err("no paper".into()),
    );
    let first = runner.run_one("jobs").unwrap().unwrap();
    assert_eq!(first.retried_after(), Some(Duration::from_secs(10)));
    assert_eq!((first.attempt, first.error()), (1, Some("no paper")));
    assert_eq!(runner.run_one("jobs").unwrap(), None, "it is not due");
    runner.advance(Duration::from_secs(11)).unwrap();
    let second = runner.run_one("jobs").unwrap().unwrap();

    let dead = RunOutcome::Dead {
        reason: DeadReason::Exhausted,
        error: "no paper".to_owned(),
    };
    assert_eq!((second.outcome, second.attempt), (dead, 2));
}

#[test]
fn snoozed_rejected_and_expired_messages_are_told_apart() {
    let place = Place::new();
    let drops = TopicConfig {
        expired: Some(Expired::Drop),
        ..TopicConfig::default()
    };
    place.jobs().configure(drops).unwrap();
    jobs(&place, [1, 2]);
    place.send_new(NewMessage::json("jobs", &3).unwrap().expires_in(MINUTE));
    place.send("jobs", "not a number");
    let mut runner = Runner::new(&place.messaging).on("jobs", |_, job: Message<i32>| {
        Err(match job.payload {
            1 => HandlerError::snooze(HOUR),
            _ => HandlerError::reject("never"),
        })
    });

    runner.advance(2 * MINUTE).unwrap();
    let ran = runner.run_ready().unwrap();

    let has = |is: fn(&RunOutcome) -> bool| ran.iter().filter(|one| is(&one.outcome)).count();
    assert_eq!(ran.len(), 4, "{ran:?}");
    assert_eq!(
        has(|it| matches!(it, RunOutcome::Snoozed { after, .. } if *after == HOUR)),
        1
    );
    assert_eq!(has(|it| *it == RunOutcome::Expired), 1);
    for reason in [DeadReason::Rejected, DeadReason::Undecodable] {
        let is_it = |one: &&Ran| matches!(&one.outcome, RunOutcome::Dead { reason: of, .. } if *of == reason);
        assert_eq!(ran.iter().filter(is_it).count(), 1, "{ran:?}");
    }
}

#[test]
fn topics_that_send_to_each_other_run_until_all_are_idle() {
    let place = Place::new();
    place.send("orders", &3);

    let mut runner = Runner::new(&place.messaging).on("mails", ok).on(
        "orders",
        |session, order: Message<i32>| {
            for mail in 0..order.payload {
                let mail = NewMessage::json("mails", &mail)?;
                session.send(mail.delay(2 * DAY))?;
            }
            Ok(())
        },
    );
    let ready = runner.run_ready().unwrap();
    assert_eq!(ready.len(), 1);
    let later = runner.run_until_idle().unwrap();

    assert_eq!(later.len(), 3);
    assert!(
        later
            .iter()
            .all(|one| one.is_done() && one.topic == "mails")
    );
    assert_eq!(runner.ran().len(), 4);
    place.messaging.assert_nothing_sent("mails");
}

#[test]
fn a_message_that_keeps_failing_dies_through_all_its_backoffs() {
    let place = Place::new();
    jobs(&place, [1]);

    let mut runner =
        Runner::new(&place.messaging).on("jobs", |_, _: Message<i32>| Err("always".into()));
    let ran = runner.run_until_idle().unwrap();

    let attempts: Vec<u32> = ran.iter().map(|one| one.attempt).collect();
    assert_eq!(attempts, (1..=10).collect::<Vec<u32>>());
    assert!(ran.last().is_some_and(Ran::is_dead));
    assert_eq!(place.jobs().stats().unwrap().dead, 1);
}

#[test]
fn a_handler_that_snoozes_for_ever_is_given_up() {
    let place = Place::new();
    jobs(&place, [1]);

    let mut runner = Runner::new(&place.messaging)
        .on("jobs", |_, _: Message<i32>| Err(HandlerError::snooze(DAY)));
    let error = runner.run_until_idle().unwrap_err();

    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert!(error.to_string().contains("snooze"), "{error}");
    assert!(runner.ran().len() > 50);
}

#[test]
fn routers_and_batches_are_run() {
    let place = Place::new();
    place.send_new(NewMessage::json("events", &1).unwrap().message_type("a.b"));
    jobs(&place, [1, 2, 3]);
    let router = Router::new()
        .on("a.*", |_, _: Message<i32>| Ok(()))
        .otherwise(NoMatch::DeadLetter);
    let mut sizes = Vec::new();

    let mut runner = Runner::new(&place.messaging)
        .on_router("events", |receiver| receiver, router)
        .on_batches(
            "jobs",
            |receiver| receiver,
            2,
            |_, batch: &[outtray::BatchMessage<i32>]| {
                sizes.push(batch.len());
                Ok(())
            },
        );
    runner.run_one("jobs").unwrap();
    let ran = runner.run_until_idle().unwrap();
    drop(runner);

    assert_eq!(ran.iter().filter(|one| one.is_done()).count(), 3, "{ran:?}");
    assert_eq!(sizes, [1, 2]);
}

#[test]
fn a_topic_without_a_handler_is_an_error() {
    let place = Place::new();

    let error = Runner::new(&place.messaging).run_one("jobs").unwrap_err();

    assert_eq!(error.kind(), ErrorKind::Invalid);
}

#[test]
fn a_message_of_a_holder_that_died_is_run_when_its_lease_has_ended() {
    let place = Place::new();
    jobs(&place, [1]);
    std::mem::forget(place.take());

    let ran = Runner::new(&place.messaging)
        .on("jobs", ok)
        .run_until_idle();

    assert_eq!(
        ran.unwrap()
            .iter()
            .map(|one| one.attempt)
            .collect::<Vec<u32>>(),
        [2]
    );
}
