//! Work under an idempotency key happens once, wherever the connection breaks.

use crate::support::{COMMIT, Cut, DAY, PATIENCE, Place, Wire, process};
use outtray::{ErrorKind, HandlerError, MessageId, Messaging, Once};
use std::cell::Cell;
use std::sync::Barrier;
use std::thread;
use std::time::Duration;

/// Makes COMMIT take 300 ms, with all of the work done and nothing of it committed.
const SLOW_COMMIT: &str = "
    CREATE FUNCTION dawdle() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN PERFORM pg_sleep(0.3); RETURN NULL; END $$;
    CREATE CONSTRAINT TRIGGER slow AFTER INSERT ON payment
        DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION dawdle()";

fn place() -> Place {
    let mut place = Place::new();
    place.sql("CREATE TABLE payment (key text NOT NULL)");
    place
}

/// Writes a row and sends a message under `key`; counts how often that was tried.
fn pay(
    messaging: &Messaging,
    key: &str,
    tries: &Cell<usize>,
) -> outtray::Result<Once<(usize, MessageId)>> {
    messaging.retrying(key, DAY, |session| {
        tries.set(tries.get() + 1);
        session.execute("INSERT INTO payment VALUES ($1)", &[&key])?;
        let id = session.send_message("payments", key)?;
        Ok((tries.get(), id))
    })
}

/// Checks that the work of `key` was done once, by the try that says so.
#[track_caller]
fn check_once(place: &mut Place, key: &str, done: &Once<(usize, MessageId)>) {
    let rows = place.count(&format!("payment WHERE key = '{key}'"));
    let messages = place.count(&format!(
        "outtray.message WHERE payload::text = '\"{key}\"'"
    ));
    assert_eq!((rows, messages), (1, 1), "{key}");
    if let Once::Done((_, id)) = done {
        let stored = place.count(&format!("outtray.message WHERE id = '{id}'"));
        assert_eq!(stored, 1, "the id that is returned is the message's");
    }
}

/// Cuts the first try at a word; checks which try did the work, and that it is done once.
#[track_caller]
fn check_cut(cut: Cut, commit: &str, expected_try: usize) {
    let mut place = place();
    place.sql(commit);
    let wire = Wire::to(&place.url);
    let messaging = process(wire.url(), PATIENCE);
    // So that the first COMMIT that is said is the work's.
    messaging.session(|_| Ok(())).unwrap();
    wire.cut(cut);
    let tries = Cell::new(0);

    let done = pay(&messaging, "one", &tries).unwrap();

    assert!(wire.is_cut());
    check_once(&mut place, "one", &done);
    assert_eq!(done.done().map(|(number, _)| number), Some(expected_try));
    assert_eq!(tries.get(), expected_try);
}

#[test]
fn work_whose_commit_never_arrived_is_done_again() {
    check_cut(Cut::Before(COMMIT), "", 2);
}

#[test]
fn work_whose_commit_happened_unheard_is_not_done_again_and_its_result_is_returned() {
    check_cut(Cut::After(COMMIT), "", 1);
}

#[test]
fn a_commit_that_is_still_under_way_is_waited_for() {
    check_cut(Cut::After(COMMIT), SLOW_COMMIT, 1);
}

#[test]
fn work_that_broke_in_the_middle_is_done_again() {
    check_cut(Cut::Before("INSERT INTO payment"), "", 2);
    check_cut(Cut::After("INSERT INTO payment"), "", 2);
}

#[test]
fn thirty_pieces_of_work_under_random_cuts_are_done_once_each() {
    let mut place = place();
    let wire = Wire::to(&place.url);
    let messaging = process(wire.url(), PATIENCE);
    let tries = Cell::new(0);
    for round in 0..30 {
        let key = format!("work-{round}");
        let word = ["COMMIT", "START TRANSACTION", "payment", "SELECT 1"][fastrand::usize(..4)];
        wire.cut(match fastrand::bool() {
            true => Cut::Before(word),
            false => Cut::After(word),
        });
        let done = pay(&messaging, &key, &tries).unwrap();
        assert!(matches!(done, Once::Done(_)), "{key}: {done:?}");
        check_once(&mut place, &key, &done);
        assert_eq!(pay(&messaging, &key, &tries).unwrap(), Once::Before);
    }
    assert_eq!(place.count("payment"), 30);
    assert_eq!(place.count("outtray.message"), 30);
}

#[test]
fn an_earlier_call_is_recognised_until_its_window_is_over() {
    let mut place = place();
    let tries = Cell::new(0);
    assert!(
        pay(&place.messaging, "one", &tries)
            .unwrap()
            .done()
            .is_some()
    );
    let other = process(&place.url, PATIENCE);
    assert_eq!(pay(&other, "one", &tries).unwrap(), Once::Before);
    assert_eq!(tries.get(), 1);

    place.sql("UPDATE outtray.dedupe SET expires_at = expires_at - interval '25 hours'");
    assert!(pay(&other, "one", &tries).unwrap().done().is_some());
    assert_eq!(place.count("payment"), 2);
}

#[test]
fn the_keys_of_work_and_of_messages_do_not_meet() {
    let place = place();
    let tries = Cell::new(0);
    pay(&place.messaging, "one", &tries).unwrap();
    let message = outtray::NewMessage::bytes("payments", [1]).dedupe("one", DAY);
    let sent = place
        .messaging
        .session(|session| Ok(session.send(message)?));
    assert!(!sent.unwrap().is_duplicate());
}

#[test]
fn an_error_of_the_work_ends_it_and_leaves_the_key_free() {
    let mut place = place();
    let tries = Cell::new(0);
    let error = place
        .messaging
        .retrying("one", DAY, |session| {
            tries.set(tries.get() + 1);
            session.send_message("payments", &1)?;
            Err::<(), _>(HandlerError::failed("no"))
        })
        .unwrap_err();
    assert_eq!((error.kind(), tries.get()), (ErrorKind::RolledBack, 1));
    assert_eq!(place.count("outtray.message"), 0);

    assert!(
        pay(&place.messaging, "one", &tries)
            .unwrap()
            .done()
            .is_some()
    );
}

#[test]
fn a_conflict_is_tried_again() {
    let mut place = place();
    let tries = Cell::new(0);
    let done = place
        .messaging
        .retrying("one", DAY, |session| {
            tries.set(tries.get() + 1);
            session.send_message("payments", &1)?;
            if tries.get() < 3 {
                session.batch_execute("DO $$ BEGIN RAISE SQLSTATE '40001'; END $$")?;
            }
            Ok(tries.get())
        })
        .unwrap();

    assert_eq!(done, Once::Done(3));
    assert_eq!(place.count("outtray.message"), 1);
}

#[test]
fn of_eight_threads_with_the_same_key_one_does_the_work() {
    let mut place = place();
    let barrier = Barrier::new(8);
    let done: usize = thread::scope(|scope| {
        let racers: Vec<_> = (0..8)
            .map(|_| {
                let (messaging, barrier) = (place.messaging.clone(), &barrier);
                scope.spawn(move || {
                    barrier.wait();
                    let done = pay(&messaging, "one", &Cell::new(0)).unwrap();
                    usize::from(done.done().is_some())
                })
            })
            .collect();
        racers.into_iter().map(|racer| racer.join().unwrap()).sum()
    });

    assert_eq!((done, place.count("payment")), (1, 1));
}

#[test]
fn work_that_may_have_committed_is_not_done_again_when_its_window_is_over() {
    let mut place = place();
    let wire = Wire::to(&place.url);
    let messaging = process(wire.url(), PATIENCE);
    messaging.session(|_| Ok(())).unwrap();
    wire.cut(Cut::After(COMMIT));

    // Over before the second try: the first pause is longer.
    let window = Duration::from_millis(10);
    let unknown = messaging.retrying("one", window, |session| {
        session.execute("INSERT INTO payment VALUES ('one')", &[])?;
        Ok(())
    });

    assert!(wire.is_cut());
    assert_eq!(unknown.unwrap_err().kind(), ErrorKind::OutcomeUnknown);
    assert_eq!(place.count("payment"), 1);
}

#[test]
fn a_bad_key_or_window_is_refused() {
    let place = Place::new();
    for (key, window) in [
        ("", DAY),
        ("a\0b", DAY),
        (&*"x".repeat(513), DAY),
        ("one", Duration::ZERO),
        ("one", Duration::MAX),
    ] {
        let refused = place.messaging.retrying(key, window, |_| Ok(()));
        let error = refused.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid, "{error:?}");
    }
}
