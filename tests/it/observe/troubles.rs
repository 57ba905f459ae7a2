//! Lost connections, lost replies of COMMIT, and conflicts.

use super::Told;
use crate::support::{COMMIT, Cut, PATIENCE, Place, Wire, database, eventually};
use outtray::{ErrorKind, HandlerError, Message};

/// Returns a database behind a wire, and what the process there tells.
fn wired() -> (Place, Wire, Told) {
    let (url, told) = (database(), Told::default());
    let wire = Wire::to(&url);
    let messaging = told.connect(wire.url());
    (Place::over(&url, messaging), wire, told)
}

#[test]
fn a_session_whose_commit_is_unknown_is_told_as_that() {
    let (place, wire, told) = wired();
    place.send("jobs", &1);
    told.take();

    wire.cut(Cut::After(COMMIT));
    let sent = place.messaging.session(|session| {
        session.execute("SELECT 1", &[])?;
        Ok(session.send_message("jobs", &2)?)
    });

    assert_eq!(sent.unwrap_err().kind(), ErrorKind::OutcomeUnknown);
    assert_eq!(told.take(), ["unknown of None: 0 handled, 1 sent"]);
}

#[test]
fn a_worker_whose_commit_is_unknown_says_so_and_does_not_guess() {
    let (place, wire, told) = wired();
    place.send("jobs", &1);
    told.take();

    let drained = place
        .messaging
        .drain("jobs", |session, message: Message<i32>| {
            session.send_message("sent", &message.payload)?;
            wire.cut(Cut::After(COMMIT));
            Ok(())
        });

    assert_eq!(drained.unwrap_err().kind(), ErrorKind::Unavailable);
    let unknown = "unknown of Some(\"jobs\"): 1 handled, 1 sent";
    assert_eq!(told.take(), ["jobs started 1 of 1", unknown]);
    assert_eq!(place.handled::<i32>("sent"), [1], "it was committed");
}

#[test]
fn a_worker_whose_connection_breaks_before_its_commit_has_done_nothing() {
    let (place, wire, told) = wired();
    place.send("jobs", &1);
    told.take();

    let drained = place
        .messaging
        .drain("jobs", |session, message: Message<i32>| {
            session.send_message("sent", &message.payload)?;
            wire.cut(Cut::Before("SELECT 1"));
            session.execute("SELECT 1", &[])?;
            Ok(())
        });

    assert_eq!(drained.unwrap_err().kind(), ErrorKind::Unavailable);
    assert_eq!(told.take(), ["jobs started 1 of 1", "1 of jobs undone"]);
    assert!(place.is_empty("sent"));
}

#[test]
fn a_transaction_that_a_conflict_undid_is_told_as_undone() {
    let (url, told) = (database(), Told::default());
    let place = Place::over(&url, told.connect(&url));
    place.send("jobs", &1);
    told.take();
    let mut is_first = true;

    let conflict = "DO $$ BEGIN RAISE EXCEPTION 'no' USING ERRCODE = '40001'; END $$";
    let handler =
        |session: &mut outtray::MessagingSession<'_>, _: Message<i32>| match std::mem::take(
            &mut is_first,
        ) {
            true => session.batch_execute(conflict).map_err(HandlerError::from),
            false => Ok(()),
        };
    place.messaging.drain("jobs", handler).unwrap();

    let expected = [
        "jobs started 1 of 1",
        "1 of jobs undone",
        "jobs started 1 of 1",
        "jobs done 1",
    ];
    assert_eq!(told.take(), expected);
}

#[test]
fn a_lost_connection_and_the_next_one_are_told() {
    let (url, told) = (database(), Told::default());
    let mut place = Place::over(&url, told.connect(&url));
    let receiver = place.idle_receiver();
    let listener = place.await_listener();

    place
        .client
        .execute("SELECT pg_terminate_backend($1)", &[&listener])
        .unwrap();

    eventually("it listens again", || told.has("Listener reconnected"));
    receiver.stop(PATIENCE);
    assert!(told.has("Listener lost"));
}
