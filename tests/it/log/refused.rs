//! A log refuses what only a queue can do, and a queue what only a log can do.

use super::{log, place};
use crate::support::{HOUR, Place, done};
use outtray::{
    ErrorKind, Message, MessagingSession, NewMessage, Position, Recurrence, TopicConfig, TopicKind,
};

#[track_caller]
fn check<T>(result: outtray::Result<T>, part: &str) {
    let error = result.map(drop).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
    assert!(error.to_string().contains(part), "{error}");
}

#[test]
fn nobody_claims_from_a_log() {
    let place = place();
    place.send("ledger", &1);
    let (messaging, ledger) = (&place.messaging, place.messaging.topic("ledger"));
    let handler = |_: &mut MessagingSession<'_>, _: Message<i32>| Ok(());

    check(
        messaging
            .start_receiving_messages("ledger", handler)
            .map(drop),
        "is a log",
    );
    check(messaging.drain("ledger", done), "is a log");
    check(ledger.receive::<i32>(None), "is a log");
    check(
        ledger.receive_batch_timeout::<i32>(5, HOUR, None),
        "is a log",
    );
    check(
        messaging.receiver("ledger").lease(HOUR).start(handler),
        "is a log",
    );
}

#[test]
fn a_send_to_a_log_asks_for_nothing_that_logs_do_not_have() {
    let mut place = place();
    let message = || NewMessage::json("ledger", &1).unwrap();
    for (message, part) in [
        (message().priority(1), "priority"),
        (message().expires_in(HOUR), "expiry"),
        (message().tracked(), "tracking"),
        (message().dedupe_until_end("k"), "dedupe"),
        (message().key("k").delay(HOUR), "key and a delay"),
    ] {
        check(place.messaging.send(message.clone()), part);
        let sent = |session: &mut MessagingSession<'_>| Ok(session.send_all([message])?);
        check(place.messaging.session(sent), part);
    }
    assert_eq!(place.count("outtray.log_entry"), 0);
}

#[test]
fn a_dedupe_key_with_a_window_holds_in_a_log_too() {
    let mut place = place();
    let message = || NewMessage::json("ledger", &1).unwrap().dedupe("k", HOUR);

    let first = place.messaging.send(message()).unwrap();
    let second = place.messaging.send(message()).unwrap();

    assert!(!first.is_duplicate() && second.is_duplicate());
    assert_eq!(place.count("outtray.log_entry"), 1);
    assert_eq!(place.count("outtray.message"), 0);
}

#[test]
fn settings_of_the_other_kind_are_refused() {
    let place = place();
    let (ledger, jobs) = (place.messaging.topic("ledger"), place.jobs());

    check(
        ledger.reconfigure(|config| config.max_length = Some(5)),
        "max_length",
    );
    check(
        ledger.reconfigure(|config| config.max_attempts = Some(5)),
        "max_attempts",
    );
    check(
        jobs.reconfigure(|config| config.keep_for = Some(HOUR)),
        "keep_for",
    );
    let mut both = log();
    both.rate_per_key = Some(outtray::Rate {
        messages: 1,
        per: HOUR,
        burst: 1,
    });
    check(jobs.configure(both), "rate_per_key");
}

#[test]
fn a_queue_that_holds_something_stays_one_and_so_does_a_log() {
    let place = Place::new();
    let jobs = place.jobs();
    place.send("jobs", &1);
    let in_use = |config: TopicConfig| {
        let error = jobs.configure(config).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InUse, "{error}");
    };
    in_use(log());
    jobs.purge().unwrap();

    jobs.configure(log()).unwrap();
    jobs.configure(TopicConfig::default()).unwrap();
    assert!(place.messaging.tail("jobs", Position::Start).is_err());
    jobs.configure(log()).unwrap();

    place.send("jobs", &1);
    in_use(TopicConfig::default());
    assert_eq!(jobs.config().unwrap().kind, TopicKind::Log);
}

#[test]
fn only_logs_are_followed_and_only_where_they_are() {
    let place = place();
    let tail = |topic: &str, position: Position| place.messaging.tail(topic, position).map(drop);
    let far = "9000-0".parse().unwrap();

    check(tail("jobs", Position::Start), "is no log");
    check(tail("ledger", Position::At(far)), "not there yet");
    check(place.messaging.topic("jobs").readers(), "is no log");
    check(
        place
            .messaging
            .topic("ledger")
            .seek("nobody", Position::Start),
        "no reader",
    );
    check(
        place.messaging.topic("ledger").remove_reader("nobody"),
        "no reader",
    );
    check(tail("a b", Position::Start), "character");
}

#[test]
fn a_recurring_message_to_a_log_asks_for_nothing_else_either() {
    let mut place = place();
    let daily = Recurrence::cron("0 3 * * *").unwrap();
    let message = NewMessage::json("ledger", &1).unwrap();
    for (message, part) in [
        (message.clone().priority(1), "priority"),
        (message.clone().expires_in(HOUR), "expiry"),
        (message.clone().dedupe_until_end("k"), "dedupe"),
    ] {
        check(place.messaging.repeat("nightly", &daily, message), part);
    }
    assert_eq!(place.count("outtray.recurring"), 0);
    place.messaging.repeat("nightly", &daily, message).unwrap();
}

#[test]
fn no_two_readers_put_aside_into_one_topic() {
    let place = place();
    let handler = |_: &mut MessagingSession<'_>, _: &[Message<i32>]| Ok(());
    let reader = place.messaging.reader("ledger", "b@c");
    check(reader.start(handler), "@ in its name");
}
