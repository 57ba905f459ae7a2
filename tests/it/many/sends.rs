//! What is sent, and what is said for sends, is of one schema or database.

use super::{OTHER, job, one_in_work, ready, two_databases, two_schemas};
use crate::support::{DAY, Gate, PATIENCE, next, telling};
use crossbeam_channel::unbounded;
use outtray::{ErrorKind, Message, Messaging, TopicConfig, TopicKind};

/// Sends the same message with the same dedupe key to both, twice; each has it once.
#[track_caller]
fn check_dedupe_keys(one: &Messaging, other: &Messaging) {
    for is_again in [false, true] {
        for messaging in [one, other] {
            let sent = messaging.send(job(1).dedupe("order-1", DAY)).unwrap();
            assert_eq!(sent.is_duplicate(), is_again);
        }
    }
    for messaging in [one, other] {
        messaging
            .topic("jobs")
            .forget_dedupe_key("order-1")
            .unwrap();
        assert!(
            !messaging
                .send(job(2).dedupe("order-1", DAY))
                .unwrap()
                .is_duplicate()
        );
        assert_eq!(ready(messaging), 2);
    }
}

#[test]
fn a_dedupe_key_of_one_schema_is_free_in_another() {
    let (place, other) = two_schemas();
    check_dedupe_keys(&place.messaging, &other);
}

#[test]
fn a_dedupe_key_of_one_database_is_free_in_another() {
    let (one, other) = two_databases();
    check_dedupe_keys(&one.messaging, &other.messaging);
}

#[test]
fn a_key_whose_message_is_in_work_holds_up_no_other_schema() {
    let (place, other) = two_schemas();
    for messaging in [&place.messaging, &other] {
        messaging.send(job(1).key("ann")).unwrap();
        messaging.send(job(2).key("ann")).unwrap();
    }
    let held = place.take();

    let mut handled = Vec::new();
    let handler = |_: &mut outtray::MessagingSession<'_>, message: Message<i32>| {
        handled.push(message.payload);
        Ok(())
    };
    other.drain("jobs", handler).unwrap();

    assert_eq!(handled, [1, 2]);
    assert!(place.try_take().is_none());
    held.ack().unwrap();
    assert_eq!(place.take().payload, 2);
}

#[test]
fn a_limit_that_is_used_up_in_one_schema_is_free_in_another() {
    let (place, other) = two_schemas();
    for messaging in [&place.messaging, &other] {
        messaging.topic("jobs").configure(one_in_work()).unwrap();
    }
    let gate = Gate::new();
    let holding = gate.holding(place.messaging.receiver("jobs"));
    let (receiver, told) = telling::<i32>(other.receiver("jobs"));
    place.send_all("jobs", [1, 2]);
    gate.await_arrivals(1);

    other.send(job(3)).unwrap();
    other.send(job(4)).unwrap();

    assert_eq!(next(&told, 2), [3, 4]);
    assert_eq!(ready(&place.messaging), 2);
    gate.open_for(2);
    holding.stop(PATIENCE);
    receiver.stop(PATIENCE);
}

#[test]
fn a_topic_that_is_full_in_one_schema_takes_messages_in_another() {
    let (place, other) = two_schemas();
    let full = TopicConfig {
        max_length: Some(1),
        ..TopicConfig::default()
    };
    for messaging in [&place.messaging, &other] {
        messaging.topic("jobs").configure(full.clone()).unwrap();
    }
    place.messaging.send(job(1)).unwrap();
    place.messaging.send(job(1)).unwrap_err();

    other.send(job(2)).unwrap();

    assert_eq!((ready(&place.messaging), ready(&other)), (1, 1));
}

#[test]
fn what_is_published_reaches_the_subscriptions_of_its_schema() {
    let (place, other) = two_schemas();
    place.messaging.subscribe("orders.*", "jobs").unwrap();
    other.subscribe("orders.#", "jobs").unwrap();
    other.subscribe("*.created", "mails").unwrap();
    let publish = |messaging: &Messaging| {
        let published = messaging.session(|session| Ok(session.publish("orders.created", &1)?));
        published.unwrap().copies
    };

    assert_eq!((publish(&place.messaging), publish(&other)), (1, 2));

    place.messaging.unsubscribe("orders.*", "jobs").unwrap();
    assert_eq!((publish(&place.messaging), publish(&other)), (0, 2));
    assert_eq!((ready(&place.messaging), ready(&other)), (1, 2));
}

#[test]
fn a_question_is_answered_by_a_replier_of_its_schema() {
    let (place, other) = two_schemas();
    let answering = |messaging: &Messaging, answer: i32| {
        let reply = move |session: &mut outtray::MessagingSession<'_>, question: Message<i32>| {
            session.reply(&question, &(question.payload * answer))?;
            Ok(())
        };
        messaging.start_receiving_messages("quotes", reply).unwrap()
    };
    let repliers = [answering(&place.messaging, 10), answering(&other, 100)];

    for number in 1..5 {
        for (messaging, answer) in [(&place.messaging, 10), (&other, 100)] {
            let reply: i32 = messaging.request("quotes", &number, PATIENCE).unwrap();
            assert_eq!(reply, number * answer);
        }
    }

    for replier in repliers {
        replier.stop(PATIENCE);
    }
}

#[test]
fn logs_of_the_same_name_have_entries_and_readers_of_their_own() {
    let (mut place, other) = two_schemas();
    let log = TopicConfig {
        kind: TopicKind::Log,
        ..TopicConfig::default()
    };
    let (tell, told) = unbounded();
    let mut readers = Vec::new();
    for (messaging, name) in [(&place.messaging, "outtray"), (&other, OTHER)] {
        messaging.topic("ledger").configure(log.clone()).unwrap();
        let tell = tell.clone();
        let read = move |_: &mut outtray::MessagingSession<'_>, entries: &[Message<i32>]| {
            entries
                .iter()
                .for_each(|entry| tell.send((name, entry.payload)).unwrap());
            Ok(())
        };
        readers.push(messaging.reader("ledger", "billing").start(read).unwrap());
    }

    for (messaging, first) in [(&place.messaging, 0), (&other, 100)] {
        let send = |session: &mut outtray::MessagingSession<'_>| {
            Ok(session.send_messages("ledger", first..first + 10)?)
        };
        messaging.session(send).unwrap();
    }

    let mut read = next(&told, 20);
    read.sort_unstable();
    let expected = (100..110).map(|entry| (OTHER, entry));
    let expected: Vec<_> = expected
        .chain((0..10).map(|entry| ("outtray", entry)))
        .collect();
    assert_eq!(read, expected);
    for reader in readers {
        reader.stop(PATIENCE);
    }
    other.topic("ledger").remove_reader("billing").unwrap();
    assert_eq!(place.count("outtray.log_reader"), 1);
}

#[cfg(feature = "cron")]
#[test]
fn a_recurring_message_of_the_same_name_is_sent_in_each_schema() {
    let (place, other) = two_schemas();
    let every = outtray::Recurrence::cron("@daily").unwrap();
    place.messaging.repeat("report", &every, job(1)).unwrap();
    other.repeat("report", &every, job(2)).unwrap();

    assert!(place.jobs().unrepeat("report").unwrap());

    assert!(place.messaging.recurring().unwrap().is_empty());
    assert_eq!(other.recurring().unwrap().len(), 1);
}

#[test]
fn a_process_waits_for_the_end_of_a_message_in_its_schema() {
    let (place, other) = two_schemas();
    let [one, another] = [&place.messaging, &other].map(|messaging| {
        let sent = messaging.send(job(1).tracked());
        sent.unwrap().id()
    });
    place.drained("jobs");

    assert!(
        place
            .messaging
            .wait_for_completion(one, PATIENCE)
            .unwrap()
            .is_some()
    );
    assert!(other.completion(another).unwrap().is_none());
    let unknown = other.completion(one).unwrap_err();
    assert_eq!(unknown.kind(), ErrorKind::NotTracked);
}
