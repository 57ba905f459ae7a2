//! Messages under leases whose handlers did not use their sessions are settled together, a little
//! later, with what becomes of each as if it were settled alone.

use crate::support::{
    Child, Gate, Ledger, MINUTE, NO_POLLING, PATIENCE, Place, WORK, client, eventually, next,
    test_name,
};
use crossbeam_channel::unbounded;
use outtray::{DeadReason, HandlerError, Message, MessageId};
use postgres::Client;
use std::sync::Mutex;
use std::time::Duration;

/// Locks the row of a leased message, so that the heartbeat cannot settle it.
fn lock(url: &str, id: MessageId) -> Client {
    let mut holder = client(url);
    holder.batch_execute("BEGIN").unwrap();
    let lock = "SELECT FROM outtray.scheduled WHERE id = $1 FOR UPDATE";
    let locked = holder.query(lock, &[&id.as_uuid()]).unwrap();
    assert_eq!(locked.len(), 1, "it is leased");
    holder
}

#[test]
fn quick_messages_share_the_transactions_that_settle_them() {
    let mut place = Place::new();
    place.sql(
        "CREATE TABLE settled (xact xid8);
        CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS
            $$ BEGIN INSERT INTO settled VALUES (pg_current_xact_id()); RETURN NULL; END $$;
        CREATE TRIGGER note AFTER DELETE ON outtray.scheduled FOR EACH ROW EXECUTE FUNCTION note()",
    );
    place.send_all("jobs", 0..1000);

    let report = place
        .leasing(MINUTE)
        .drain(|_, _: Message<i32>| Ok(()))
        .unwrap();

    assert_eq!(report.handled, 1000);
    assert_eq!(place.numbers(), [0; 4]);
    // Some may have been given back, which settles them too.
    assert!(place.count("settled") >= 1000);
    let transactions = place.count("(SELECT DISTINCT xact FROM settled) AS settled");
    // A busy machine takes its time for some of them.
    assert!(transactions < 600, "{transactions}");
}

#[test]
fn what_is_done_behind_a_message_that_takes_long_is_settled_by_the_heartbeat() {
    let mut place = Place::polling(NO_POLLING);
    let gate = Gate::new();
    let handler_gate = gate.clone();
    place.send_all("jobs", 0..5);
    let receiver = place
        .leasing(MINUTE)
        .workers(1)
        .messages_per_transaction(5)
        .start(move |_, message: Message<i32>| {
            match message.payload {
                1 => return Err(HandlerError::reject("no")),
                2 => return Err(HandlerError::retry_after(MINUTE)),
                3 => handler_gate.pass(),
                _ => {}
            }
            Ok(())
        })
        .unwrap();
    gate.await_arrivals(1);

    eventually("those before it are settled", || {
        place.numbers() == [0, 1, 2, 1]
    });

    assert_eq!(
        place.count("outtray.scheduled WHERE payload::text = '0'"),
        0
    );
    assert_eq!(place.dead_letters("jobs")[0].error, "no");
    gate.open_for(1);
    eventually("the rest is settled", || place.numbers() == [0, 1, 0, 1]);
    receiver.stop(PATIENCE);
}

#[test]
fn successes_and_failures_of_one_batch_are_settled_each_in_its_way() {
    let place = Place::new();
    place.send_all("jobs", 0..10);
    let (tell, told) = unbounded();

    let report = place
        .leasing(MINUTE)
        .messages_per_transaction(10)
        .max_attempts(5)
        .drain(|session, message: Message<i32>| {
            tell.send((message.payload, message.attempt))?;
            match (message.payload, message.attempt) {
                (1 | 2, 1) => Err(HandlerError::retry_after(Duration::ZERO)),
                (3, _) => Err(HandlerError::reject("never")),
                (4, 1) => panic!("once"),
                (5, _) => Ok(session.send_message("next", &1).map(drop)?),
                (6, _) => {
                    session.send_message("next", &2)?;
                    Err(HandlerError::reject("after it sent"))
                }
                _ => Ok(()),
            }
        })
        .unwrap();

    let seen: Vec<_> = told.try_iter().collect();
    assert_eq!(seen[..10], (0..10).map(|n| (n, 1)).collect::<Vec<_>>());
    assert_eq!((report.dead, report.retried), (2, 3));
    let [ready, scheduled, leased, dead] = place.numbers();
    assert_eq!((ready, leased, dead), (0, 0, 2));
    // What panicked waits for its backoff, unless that was over soon enough.
    assert_eq!(report.handled + scheduled, 8);
    let letters = place.dead_letters("jobs");
    assert!(
        letters
            .iter()
            .all(|letter| letter.reason == DeadReason::Rejected)
    );
    assert_eq!(place.messaging.topic("next").stats().unwrap().ready, 1);
}

#[test]
fn a_lost_lease_is_left_alone_and_keeps_none_beside_it_from_being_settled() {
    let mut place = Place::watchful();
    place.send_all("jobs", 0..3);
    let (url, (hold, holds)) = (place.url.clone(), unbounded());
    let (tell, told) = unbounded();
    let receiver = place
        .leasing(MINUTE)
        .workers(1)
        .messages_per_transaction(3)
        .start(move |_, message: Message<i32>| {
            if (message.payload, message.attempt) == (0, 1) {
                let _ = hold.send((lock(&url, message.id), message.id));
            }
            Ok(tell.send((message.payload, message.attempt))?)
        })
        .unwrap();
    assert_eq!(next(&told, 1), [(0, 1)]);

    // Somebody else has the first from now on.
    let (mut holder, id) = holds.recv_timeout(PATIENCE).unwrap();
    let take = "UPDATE outtray.scheduled SET receipt = gen_random_uuid() WHERE id = $1";
    holder.execute(take, &[&id.as_uuid()]).unwrap();
    holder.batch_execute("COMMIT").unwrap();

    assert_eq!(next(&told, 2), [(1, 1), (2, 1)]);
    eventually("the others are settled", || place.numbers() == [0, 0, 1, 0]);
    assert_eq!(
        place.count("outtray.scheduled WHERE payload::text = '0'"),
        1
    );
    place.make_due();
    assert_eq!(next(&told, 1), [(0, 2)]);
    eventually("it is settled", || place.is_empty("jobs"));
    receiver.stop(PATIENCE);
}

#[test]
fn a_lease_is_prolonged_until_its_message_is_settled() {
    let mut place = Place::watchful();
    let gate = Gate::new();
    let handler_gate = gate.clone();
    place.send_all("jobs", 0..2);
    // No row of the first goes while this is there, so that it cannot be settled.
    place.sql(
        "CREATE FUNCTION keep() RETURNS trigger LANGUAGE plpgsql AS
            $$ BEGIN RAISE EXCEPTION 'not now'; END $$;
        CREATE TRIGGER keep BEFORE DELETE ON outtray.scheduled
            FOR EACH ROW WHEN (OLD.payload::text = '0') EXECUTE FUNCTION keep()",
    );
    let (tell, told) = unbounded();
    let receiver = place
        .leasing(Duration::from_millis(600))
        .workers(1)
        .messages_per_transaction(2)
        .start(move |_, message: Message<i32>| {
            tell.send((message.payload, message.attempt))?;
            if message.payload == 1 {
                handler_gate.pass();
            }
            Ok(())
        })
        .unwrap();
    gate.await_arrivals(1);
    let end = "SELECT extract(epoch FROM due_at) FROM outtray.scheduled WHERE payload::text = '0'";
    let first_end = place.number(end);

    eventually("the lease lasts on", || place.number(end) > first_end + 0.6);
    place.sql("DROP TRIGGER keep ON outtray.scheduled");
    eventually("it is settled", || place.numbers() == [0, 0, 1, 0]);

    gate.open_for(1);
    eventually("so is the other", || place.is_empty("jobs"));
    receiver.stop(PATIENCE);
    assert_eq!(next(&told, 2), [(0, 1), (1, 1)]);
    assert!(told.is_empty());
}

#[test]
fn one_that_the_database_refuses_to_settle_keeps_none_beside_it() {
    let mut place = Place::new();
    place.send_all("jobs", 0..10);
    place.sql(
        "CREATE FUNCTION keep() RETURNS trigger LANGUAGE plpgsql AS
            $$ BEGIN RAISE EXCEPTION 'not this one'; END $$;
        CREATE TRIGGER keep BEFORE DELETE ON outtray.scheduled
            FOR EACH ROW WHEN (OLD.payload::text = '4') EXECUTE FUNCTION keep()",
    );

    let (_receiver, told) = crate::support::telling::<i32>(
        place
            .leasing(MINUTE)
            .workers(1)
            .messages_per_transaction(10),
    );

    assert_eq!(next(&told, 10), (0..10).collect::<Vec<_>>());
    eventually("the others are settled", || place.numbers() == [0, 0, 1, 0]);
    assert_eq!(
        place.count("outtray.scheduled WHERE payload::text = '4'"),
        1
    );
}

#[test]
fn a_stop_settles_what_is_done_also_behind_a_handler_that_it_abandons() {
    for is_abandoned in [false, true] {
        let place = Place::polling(NO_POLLING);
        let gate = Gate::new();
        let handler_gate = gate.clone();
        place.send_all("jobs", 0..3);
        let receiver = place
            .leasing(MINUTE)
            .workers(1)
            .messages_per_transaction(3)
            .start(move |_, message: Message<i32>| {
                if message.payload == 2 {
                    handler_gate.pass();
                }
                Ok(())
            })
            .unwrap();
        gate.await_arrivals(1);

        if is_abandoned {
            assert_eq!(receiver.stop(Duration::ZERO).abandoned, 1);
            eventually("those before are settled", || {
                place.numbers() == [0, 0, 1, 0]
            });
            gate.open_for(1);
            eventually("it is settled, too", || place.numbers() == [0; 4]);
        } else {
            receiver.request_stop();
            gate.open_for(1);
            receiver.stop(PATIENCE);
            assert_eq!(place.numbers(), [0; 4]);
        }
    }
}

const CHILD: &str = test_name!(what_a_child_process_runs);

#[test]
fn what_a_child_process_runs() {
    if Child::role().is_none() {
        return;
    }
    let (messaging, held) = (Ledger::messaging_of_parent(), Mutex::new(None));
    let _receiver = messaging
        .receiver(WORK)
        .workers(1)
        .messages_per_transaction(3)
        .lease(MINUTE)
        .start(move |_, message: Message<i32>| {
            match message.payload {
                // Gone with this process.
                0 => *held.lock().unwrap() = Some(lock(&Ledger::url_of_parent(), message.id)),
                _ => {
                    Child::tell("the first is done");
                    Child::await_parent();
                }
            }
            Ok(())
        })
        .unwrap();
    Child::await_parent();
}

#[test]
fn a_message_whose_process_dies_before_it_is_settled_is_delivered_again() {
    let ledger = Ledger::open();
    ledger.send(0..3);
    let mut child = ledger.child(CHILD, "victim");
    assert_eq!(child.listen(), "the first is done");
    child.kill();
    ledger.execute("UPDATE outtray.scheduled SET due_at = now()");
    let (tell, told) = unbounded();

    let messaging = ledger.messaging();
    let receiver = messaging.receiver(WORK).lease(MINUTE).workers(1);
    let receiver = receiver
        .start(move |_, message: Message<i32>| Ok(tell.send((message.payload, message.attempt))?))
        .unwrap();

    let mut seen = next(&told, 3);
    seen.sort_unstable();
    assert_eq!(seen, [(0, 2), (1, 2), (2, 2)]);
    ledger.await_end();
    receiver.stop(PATIENCE);
    assert!(told.is_empty());
}

#[test]
fn two_processes_settle_each_message_once() {
    let place = Place::new();
    let other = outtray::Messaging::connect(&place.url).unwrap();
    let (tell, told) = unbounded();
    place.send_all("jobs", 0..2000);
    let start = |messaging: &outtray::Messaging| {
        let tell = tell.clone();
        let receiver = messaging.receiver("jobs").workers(3).lease(MINUTE);
        let started =
            receiver.start(move |_, message: Message<i32>| Ok(tell.send(message.payload)?));
        started.unwrap()
    };

    let receivers = [start(&place.messaging), start(&other)];
    let mut seen = next(&told, 2000);
    eventually("all are settled", || place.is_empty("jobs"));
    for receiver in receivers {
        receiver.stop(PATIENCE);
    }

    seen.sort_unstable();
    assert_eq!(seen, (0..2000).collect::<Vec<_>>());
    assert!(told.is_empty());
}
