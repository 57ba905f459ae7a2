//! A message that cannot be read becomes a dead letter with its reason, whichever way its topic is
//! worked on, and the others are handled in their first attempt.

use super::{check_set_aside, write_both};
use crate::support::{Place, eventually, next};
use crossbeam_channel::{Receiver as Told, Sender, unbounded};
use outtray::{BatchMessage, Filter, Message, MessagingSession, Receiver, ReceiverBuilder};
use std::time::Duration;

const LEASE: Duration = Duration::from_secs(60);

type Start = fn(ReceiverBuilder<'_>, Sender<(i32, u32)>) -> Receiver;

fn start_single(receiver: ReceiverBuilder<'_>, tell: Sender<(i32, u32)>) -> Receiver {
    receiver
        .start(move |_, message: Message<i32>| Ok(tell.send((message.payload, message.attempt))?))
        .unwrap()
}

fn start_batches(receiver: ReceiverBuilder<'_>, tell: Sender<(i32, u32)>) -> Receiver {
    let handler = move |_: &mut MessagingSession<'_>, batch: &[BatchMessage<i32>]| {
        for message in batch {
            tell.send((message.payload, message.attempt))?;
        }
        Ok(())
    };
    receiver.start_batches(50, handler).unwrap()
}

/// Checks that the good ones arrive in their first attempt, and the others are set aside.
#[track_caller]
fn check(place: &Place, told: &Told<(i32, u32)>, count: usize) {
    let mut handled = next(told, count);
    handled.sort_unstable();
    let good = (0..count).map(|number| (i32::try_from(number).unwrap(), 1));
    assert_eq!(handled, good.collect::<Vec<_>>());
    eventually("nothing is left", || place.is_empty("jobs"));
    check_set_aside(place, "jobs", count);
    assert!(told.is_empty());
}

#[track_caller]
fn check_receiver(set_up: fn(ReceiverBuilder<'_>) -> ReceiverBuilder<'_>, start: Start) {
    let mut place = Place::new();
    let count = write_both(&mut place, "jobs");
    let (tell, told) = unbounded();

    let _receiver = start(set_up(place.messaging.receiver("jobs").workers(1)), tell);

    check(&place, &told, count);
}

#[test]
fn a_worker_sets_it_aside_and_handles_the_others() {
    check_receiver(|receiver| receiver, start_single);
}

#[test]
fn a_worker_in_strict_order_sets_it_aside_and_handles_the_others() {
    check_receiver(|receiver| receiver.strict_order(), start_single);
}

#[test]
fn a_worker_under_leases_sets_it_aside_and_no_other_spends_an_attempt() {
    check_receiver(|receiver| receiver.lease(LEASE), start_single);
}

#[test]
fn a_message_that_cannot_be_read_is_left_out_of_its_batch() {
    check_receiver(|receiver| receiver, start_batches);
}

#[test]
fn a_topic_with_limits_goes_on() {
    let mut place = Place::new();
    let config = outtray::TopicConfig {
        max_in_work: Some(3),
        max_attempts: Some(1),
        ..outtray::TopicConfig::default()
    };
    place.messaging.topic("jobs").configure(config).unwrap();
    let count = write_both(&mut place, "jobs");
    let (tell, told) = unbounded();

    let _receiver = start_single(place.messaging.receiver("jobs"), tell);

    check(&place, &told, count);
}

#[test]
fn who_takes_messages_by_hand_gets_the_others() {
    let mut place = Place::new();
    let count = write_both(&mut place, "jobs");

    let batch = place
        .messaging
        .topic("jobs")
        .receive_batch::<i32>(100, LEASE)
        .unwrap();

    let taken: Vec<(i32, u32)> = batch
        .iter()
        .map(|delivery| (delivery.payload, delivery.attempt))
        .collect();
    let good = (0..count).map(|number| (i32::try_from(number).unwrap(), 1));
    assert_eq!(taken, good.collect::<Vec<_>>());
    check_set_aside(&place, "jobs", count);
    assert!(place.messaging.ack_all(&batch).unwrap().is_empty());
    assert!(place.is_empty("jobs"));
}

#[test]
fn a_drain_handles_the_others_and_reports_it() {
    let mut place = Place::new();
    let count = write_both(&mut place, "jobs");

    let report = place
        .messaging
        .drain("jobs", |_, _: Message<i32>| Ok(()))
        .unwrap();

    assert_eq!((report.handled, report.dead), (count as u64, count as u64));
    check_set_aside(&place, "jobs", count);
}

#[test]
fn the_head_of_a_key_that_cannot_be_read_makes_way_for_the_next() {
    let mut place = Place::watchful();
    let keyed = |number: i32| {
        let message = outtray::NewMessage::json("jobs", &number).unwrap();
        message.key("k").header("kind", "good")
    };
    place
        .messaging
        .session(|session| Ok(session.send_all((0..3).map(keyed))?))
        .unwrap();
    place.sql(r#"UPDATE outtray.message SET headers = '{"retry": 3}', payload = '-1'"#);
    let (tell, told) = unbounded();

    let _receiver = start_single(place.messaging.receiver("jobs").workers(1), tell);

    assert_eq!(next(&told, 2), [(1, 1), (2, 1)]);
    eventually("nothing is left", || place.is_empty("jobs"));
    check_set_aside(&place, "jobs", 1);
}

/// Headers that the server cannot compare, and one with a character outside the basic plane, which
/// it can.
const ESCAPED: &[(&str, bool)] = &[
    (r#"{"kind": "good", "from": "\u0000"}"#, false),
    (r#"{"kind": "good", "from": "\ud800"}"#, false),
    (r#"{"kind": "good", "from": "\ud83d x"}"#, false),
    (r#"{"kind": "good", "from": "\udc00\ud83d"}"#, false),
    (
        r#"{"kind": "good", "from": "\ud83d\ude00 \u00e9 \\u0000 \\\\ud800"}"#,
        true,
    ),
    (r#"{"kind": "\u0067ood"}"#, true),
    (r#"["kind", "good"]"#, false),
    (r#"{"kind": ["good"]}"#, false),
    (r#""good""#, false),
];

#[test]
fn a_filter_passes_over_headers_that_the_server_cannot_compare() {
    for is_leasing in [false, true] {
        let mut place = Place::new();
        for (number, (headers, _)) in ESCAPED.iter().enumerate() {
            place.write("jobs", headers, &number.to_string());
        }
        let (tell, told) = unbounded();
        let receiver = place.messaging.receiver("jobs").workers(1);
        let receiver = receiver.filter(Filter::new().equals("kind", "good"));

        let _receiver = match is_leasing {
            true => start_single(receiver.lease(LEASE), tell),
            false => start_single(receiver, tell),
        };

        assert_eq!(next(&told, 2), [(4, 1), (5, 1)]);
        eventually("the others stay", || {
            place.count("outtray.message") == 7 && place.count("outtray.scheduled") == 0
        });
    }
}

#[test]
fn messages_are_cancelled_by_headers_beside_those_that_the_server_cannot_compare() {
    let mut place = Place::new();
    for (headers, _) in ESCAPED {
        place.write("jobs", headers, "1");
    }
    let filter = [("kind", "good")];

    let cancelled = place.messaging.topic("jobs").cancel_where(filter).unwrap();

    let comparable = ESCAPED.iter().filter(|(_, is_comparable)| *is_comparable);
    assert_eq!(cancelled, comparable.count() as u64);
    assert_eq!(place.count("outtray.message"), 7);
}
