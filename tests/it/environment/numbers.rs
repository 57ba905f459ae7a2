//! Numbers are as large as the database's, and a sequence that a copy left behind its table is
//! found and moved.

use crate::support::{Gate, MINUTE, NO_POLLING, Place, eventually, next, process, telling};
use crossbeam_channel::unbounded;
use outtray::{
    ErrorKind, HandlerError, Message, MessageId, MessagingSession, NewMessage, Position, Result,
    TopicConfig, TopicKind,
};
use std::time::Duration;

/// Where a sequence may stand: at 31 bits, where somebody moved it, at a node's own range, and near
/// its end.
const NUMBERS: [i64; 4] = [i32::MAX as i64 - 1, 1 << 40, 5 << 48, i64::MAX - 1_000_000];

fn keyed(number: i32) -> NewMessage {
    NewMessage::json("jobs", &number).unwrap().key("k")
}

#[test]
fn receivers_work_and_are_missed_whatever_their_numbers_are() {
    for number in NUMBERS {
        let mut place = Place::polling(NO_POLLING);
        place.set_sequence("worker_seq", number);
        place.write_dead_worker("jobs", number + 1_000);
        // Its number differs from that of the one that lives by the bits above the 32nd.
        place.write_dead_worker("jobs", number ^ (1 << 33));
        place.send("jobs", &1);
        let gate = Gate::new();

        let receiver = gate.holding(place.messaging.receiver("jobs"));
        gate.await_arrivals(1);

        // Another process sees that it lives, and that the others do not.
        let elsewhere = process(&place.url, NO_POLLING);
        let _other = elsewhere
            .start_receiving_messages("jobs", |_, _: Message<i32>| Ok(()))
            .unwrap();
        let ids = "SELECT array_agg(id ORDER BY id) FROM outtray.worker";
        let left: Vec<i64> = place.client.query_one(ids, &[]).unwrap().get(0);
        assert_eq!(left, [number, number + 1]);
        let suspects = "outtray.topic WHERE topic = 'jobs' AND suspect_until > now()";
        assert_eq!(place.count(suspects), 1);
        gate.open_for(1);
        let _ = receiver.stop(Duration::from_secs(10));
        assert_eq!(place.count("outtray.worker"), 1);
    }
}

#[test]
fn messages_keep_their_order_whatever_their_numbers_are() {
    for number in NUMBERS {
        let mut place = Place::watchful();
        place.set_sequence("message_seq", number);
        place.send_all("jobs", 0..10);
        place
            .messaging
            .session(|session| Ok(session.send_all((10..20).map(keyed))?))
            .unwrap();

        let (_receiver, told) = telling::<i32>(place.messaging.receiver("jobs").workers(1));

        assert_eq!(next(&told, 20), (0..20).collect::<Vec<i32>>());
        eventually("nothing is left", || place.is_empty("jobs"));
    }
}

type Way = (&'static str, fn(&Place) -> Result<()>);

/// Ways to send to topic `jobs`, which has messages with the numbers that come next.
const WAYS: &[Way] = &[
    ("alone", |place| {
        let message = NewMessage::json("jobs", &1)?;
        place.messaging.send(message).map(drop)
    }),
    ("in a session", |place| {
        place
            .messaging
            .session(|session| {
                session.execute("SELECT 1", &[])?;
                Ok(session.send_message("jobs", &1)?)
            })
            .map(drop)
    }),
    ("many", |place| {
        let work = |session: &mut MessagingSession<'_>| -> Result<_, HandlerError> {
            Ok(session.send_messages("jobs", 0..6_000)?)
        };
        place.messaging.session(work).map(drop)
    }),
    ("with a dedupe key", |place| {
        let message = NewMessage::json("jobs", &1)?.dedupe("d", Duration::from_secs(60));
        place.messaging.send(message).map(drop)
    }),
    ("with a key", |place| {
        let message = NewMessage::json("jobs", &1)?.key("other");
        place.messaging.send(message).map(drop)
    }),
    ("behind others of its key", |place| {
        let message = NewMessage::json("keyed", &1)?.key("k");
        place.messaging.send(message).map(drop)
    }),
    ("in a caller's transaction", |place| {
        let mut client = crate::support::client(&place.url);
        let mut transaction = client.transaction().unwrap();
        let mut session = MessagingSession::join(&place.messaging, &mut transaction)?;
        session.send_message("jobs", &1).map(drop)
    }),
];

#[test]
fn a_send_that_meets_a_sequence_behind_its_table_says_what_to_do() {
    let mut place = Place::new();
    place.set_sequence("message_seq", 1);
    place.send_all("jobs", 0..100);
    let other = |number: i32| NewMessage::json("keyed", &number).unwrap().key("k");
    // As old as the others.
    place.set_sequence("message_seq", 1);
    place
        .messaging
        .session(|session| Ok(session.send_all((0..100).map(other))?))
        .unwrap();
    let before = place.count("outtray.message");

    for (way, send) in WAYS {
        // One after the other, a refused send takes its number with it.
        place.set_sequence("message_seq", 2);
        let error = send(&place).unwrap_err();

        assert_eq!(error.kind(), ErrorKind::SequenceBehind, "{way}: {error}");
        assert!(error.to_string().contains("migrate()"), "{way}: {error}");
    }

    assert_eq!(place.count("outtray.message"), before);
}

#[test]
fn migrate_moves_sequences_that_a_copy_left_behind() {
    let mut place = Place::new();
    place.send_all("jobs", 0..10);
    place
        .messaging
        .session(|session| Ok(session.send_all((0..10).map(keyed))?))
        .unwrap();
    place.write_dead_worker("jobs", 7);
    place.sql("INSERT INTO outtray.vacated (topic, id, messages) VALUES ('bounded', 9, 1)");
    place.leave_sequences_behind();
    let names = ["message_seq", "worker_seq", "vacated_seq"].map(|name| format!("sequence {name}"));

    let pending = place.messaging.pending_migrations().unwrap();
    let mut moved = place.messaging.migrate().unwrap();
    let again = place.messaging.migrate().unwrap();

    let mut expected = names.to_vec();
    expected.sort();
    moved.sort();
    assert_eq!(pending.len(), 3);
    assert_eq!(moved, expected);
    assert!(again.is_empty(), "{again:?}");
    assert!(place.messaging.pending_migrations().unwrap().is_empty());
    // Everything works again, in order.
    for number in 10..20 {
        place.send_new(keyed(number));
    }
    let (tell, told) = unbounded();
    let _receiver = place
        .messaging
        .receiver("jobs")
        .workers(1)
        .start(move |_, message: Message<i32>| {
            let said = message.key.is_some().then_some(message.payload);
            Ok(tell.send(said)?)
        })
        .unwrap();
    let handled: Vec<i32> = next(&told, 30).into_iter().flatten().collect();
    assert_eq!(handled, (0..20).collect::<Vec<i32>>());
}

/// Where the largest number may be, each by the statement that leaves it there alone.
const PLACES: &[&str] = &[
    "INSERT INTO outtray.message (topic, rank, seq, id, payload) VALUES ('a', 3, 5000, gen_random_uuid(), '1'), ('b', 0, 5, gen_random_uuid(), '1')",
    "INSERT INTO outtray.follower (topic, key, rank, seq, id, payload) VALUES ('a', 'k', 3, 5000, gen_random_uuid(), '1'), ('b', 'a', 0, 5, gen_random_uuid(), '1')",
    "INSERT INTO outtray.scheduled (topic, key, rank, seq, id, payload, due_at) VALUES ('a', 'k', 3, 5000, gen_random_uuid(), '1', now())",
    "INSERT INTO outtray.scheduled (topic, receipt, rank, seq, id, payload, due_at) VALUES ('a', gen_random_uuid(), 3, 5000, gen_random_uuid(), '1', now())",
    "INSERT INTO outtray.dead_letter (topic, key, rank, seq, id, payload, attempts, reason, error, sent_at) VALUES ('a', 'k', 3, 5000, gen_random_uuid(), '1', 1, 'rejected', '', now())",
];

#[test]
fn a_sequence_is_moved_beyond_the_largest_number_wherever_that_is() {
    for insert in PLACES {
        let mut place = Place::new();
        place.sql(insert);
        // The limit of what a hand may write says nothing.
        place.sql("INSERT INTO outtray.message (topic, rank, seq, id, payload) VALUES ('c', 0, 9223372036854775807, gen_random_uuid(), '1')");
        place.set_sequence("message_seq", 5000);

        assert_eq!(
            place.messaging.migrate().unwrap(),
            ["sequence message_seq"],
            "{insert}"
        );
        let next = place.number("SELECT last_value FROM outtray.message_seq");
        assert!(next > 5000.0, "{insert}");

        place.set_sequence("message_seq", 5001);
        assert!(place.messaging.migrate().unwrap().is_empty(), "{insert}");
    }
}

#[test]
fn handlers_that_send_while_a_sequence_is_behind_spend_no_attempts() {
    for is_leasing in [false, true] {
        let mut place = Place::watchful();
        place.send("jobs", &1);
        place.set_sequence("message_seq", 100);
        place.send("results", &0);
        place.set_sequence("message_seq", 100);
        let (tell, told) = unbounded();
        let receiver = place.messaging.receiver("jobs").max_attempts(1);
        let receiver = match is_leasing {
            true => receiver.lease(Duration::from_secs(60)),
            false => receiver,
        };

        let _receiver = receiver
            .start(move |session, message: Message<i32>| {
                tell.send(message.attempt)?;
                session.send_message("results", &message.payload)?;
                Ok(())
            })
            .unwrap();
        assert_eq!(next(&told, 1), [1]);
        place.messaging.migrate().unwrap();

        place.await_growth("outtray.message WHERE topic = 'results'", 2);
        assert!(place.dead_letters("jobs").is_empty());
    }
}

/// The sequences of a node of a distributed database begin at its number shifted by 48.
const NODE: i64 = 3 << 48;

#[test]
fn all_that_has_a_number_works_where_numbers_begin_at_a_nodes_own() {
    for number in [1000, NODE] {
        check_all(number);
    }
}

/// Makes a place whose numbers begin there, with messages and entries of all kinds; returns the
/// first message, too.
fn filled(first_number: i64) -> (Place, MessageId) {
    let mut place = Place::watchful();
    let sequences = [
        "message_seq",
        "worker_seq",
        "vacated_seq",
        "log_seq",
        "log_segment_seq",
    ];
    for sequence in sequences {
        place.set_sequence(sequence, first_number);
    }
    let bounded = TopicConfig {
        max_length: Some(100),
        ..TopicConfig::default()
    };
    place.messaging.topic("jobs").configure(bounded).unwrap();
    let log = TopicConfig {
        kind: TopicKind::Log,
        ..TopicConfig::default()
    };
    place.messaging.topic("ledger").configure(log).unwrap();
    let sent = place.messaging.session(|session| {
        let first = session.send(NewMessage::json("jobs", &0)?.tracked())?.id();
        session.send_all((1..10).map(keyed))?;
        let last = NewMessage::json("jobs", &10)?.after(&[first]);
        session.send(last.tracked())?;
        session.send_messages("ledger", 0..10)?;
        Ok(first)
    });
    (place, sent.unwrap())
}

#[track_caller]
fn check_all(first_number: i64) {
    let (mut place, first) = filled(first_number);

    // By lease, by SQL, and by receivers.
    let delivery = place
        .messaging
        .topic("jobs")
        .receive::<i32>(MINUTE)
        .unwrap()
        .unwrap();
    assert_eq!((delivery.id, delivery.payload), (first, 0));
    delivery.retry_after(Duration::ZERO).unwrap();
    let by_sql = "SELECT outtray.ack(id, receipt, topic => 'jobs') FROM outtray.receive('jobs')";
    place.sql(by_sql);
    let (_receiver, told) = telling::<i32>(place.messaging.receiver("jobs").workers(2));
    let mut handled: Vec<i32> = Vec::new();
    eventually("all but one are handled", || {
        handled.extend(told.try_iter());
        handled.len() == 10
    });
    let lines: Vec<i32> = handled
        .iter()
        .copied()
        .filter(|number| (1..10).contains(number))
        .collect();
    assert!(lines.is_sorted(), "{lines:?}");
    handled.sort_unstable();
    assert_eq!(handled.last(), Some(&10));
    check_log(&place);
    eventually("nothing is left", || place.is_empty("jobs"));
    let numbers = "SELECT min(id)::float8 FROM outtray.worker";
    assert!(place.number(numbers) >= first_number as f64);
    assert!(place.messaging.migrate().unwrap().is_empty());
}

#[track_caller]
fn check_log(place: &Place) {
    let (tell, read) = unbounded();
    let _reader = place
        .messaging
        .reader("ledger", "one")
        .from(Position::Start)
        .start(move |_, entries: &[Message<i32>]| {
            for entry in entries {
                tell.send(entry.payload)?;
            }
            Ok(())
        })
        .unwrap();
    let mut entries: Vec<i32> = Vec::new();
    eventually("all entries are read", || {
        entries.extend(read.try_iter());
        entries.len() >= 10
    });
    assert_eq!(entries, (0..10).collect::<Vec<i32>>());
}
