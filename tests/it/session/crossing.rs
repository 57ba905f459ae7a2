//! A session that sends, and beside it, on the same thread, another one that wants the same: it
//! ends, with a reason.

use super::place;
use crate::support::{Place, aside};
use outtray::{ErrorKind, Messaging, NewMessage, TopicConfig};
use std::time::Duration;

/// Much longer than sessions wait for a lock here.
const LONG: Duration = Duration::from_secs(55);

/// Makes a place whose sessions wait a second for a lock, and not 20 as they would otherwise.
fn impatient() -> Place {
    let place = place();
    let url = format!("{}?options=-c%20lock_timeout%3D1s", place.url);
    let messaging = Messaging::connect(&url).unwrap();
    Place { messaging, ..place }
}

/// Sends a message in a session, and one beside it while that is open.
#[track_caller]
fn check(
    place: &Place,
    message: impl Fn(i32) -> NewMessage + Send + 'static,
    flush: bool,
    reason: &str,
) {
    let messaging = place.messaging.clone();
    let crossed = aside(move || {
        let mut beside = None;
        let session = messaging.session(|session| {
            session.send(message(1))?;
            if flush {
                // More than a session keeps: they are stored, and their keys are held.
                session.send_messages("many", 0..6_000)?;
            }
            beside = Some(messaging.send(message(2)));
            Ok(())
        });
        (session, beside.unwrap())
    });

    let (session, beside) = crossed.recv_timeout(LONG).expect("it ends");

    session.unwrap();
    let error = beside.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict, "{error:?}");
    let text = error.to_string();
    assert!(text.contains(reason) && text.contains("open"), "{text}");
}

#[test]
fn what_waits_for_the_room_that_its_own_thread_holds_ends_with_a_reason() {
    let place = impatient();
    let config = TopicConfig {
        max_length: Some(10),
        ..TopicConfig::default()
    };
    place.messaging.topic("bounded").configure(config).unwrap();
    let message = |n: i32| NewMessage::json("bounded", &n).unwrap();
    place.send_new(message(0));
    check(&place, message, false, "the room of topic bounded");
}

#[test]
fn what_waits_for_the_key_that_its_own_thread_holds_ends_with_a_reason() {
    let place = impatient();
    let message = |n: i32| NewMessage::json("keyed", &n).unwrap().key("k");
    check(&place, message, true, "a key of a message");
}

#[test]
fn what_waits_for_the_dedupe_key_that_its_own_thread_holds_ends_with_a_reason() {
    let place = impatient();
    let message = |n: i32| NewMessage::json("deduped", &n).unwrap().dedupe("k", LONG);
    check(
        &place,
        message,
        false,
        "the dedupe key of a message to topic deduped",
    );
}

/// Returns a setting that sessions have.
fn setting(messaging: &Messaging, name: &str) -> String {
    let asked = messaging.session(|session| {
        Ok(session
            .query_one("SELECT current_setting($1)", &[&name])?
            .get(0))
    });
    asked.unwrap()
}

fn lock_timeout(messaging: &Messaging) -> String {
    setting(messaging, "lock_timeout")
}

#[test]
fn what_an_administrator_set_for_a_database_stays() {
    let mut place = place();
    let settings = [
        ("client_connection_check_interval", "500ms", "2s"),
        ("tcp_keepalives_idle", "10", "7"),
        ("tcp_keepalives_interval", "5", "4"),
        ("tcp_keepalives_count", "3", "6"),
        ("tcp_user_timeout", "30000", "40000"),
        ("idle_in_transaction_session_timeout", "10min", "3min"),
    ];
    for (name, ours, _) in settings {
        assert_eq!(setting(&place.messaging, name), ours, "{name}");
    }

    for (name, _, theirs) in settings {
        place.sql(&format!(
            "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET {name} = %L', current_database(), '{theirs}'); END $$"
        ));
    }

    let url = place.url.clone();
    let later = Messaging::connect(&url).unwrap();
    let by_url = format!("{url}?options=-c%20idle_in_transaction_session_timeout%3D0");
    let by_url = Messaging::connect(&by_url).unwrap();
    for (name, _, theirs) in settings {
        assert_eq!(setting(&later, name), theirs, "{name}");
    }
    let name = "idle_in_transaction_session_timeout";
    assert_eq!(setting(&by_url, name), "0", "the URL's options win");
}

#[test]
fn a_wait_for_a_lock_is_bounded_unless_somebody_said_otherwise() {
    let mut place = place();
    assert_eq!(lock_timeout(&place.messaging), "20s");

    place.sql("DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET lock_timeout = %L', current_database(), '7s'); END $$");

    let url = place.url.clone();
    assert_eq!(lock_timeout(&Messaging::connect(&url).unwrap()), "7s");
    let url = format!("{url}?options=-c%20lock_timeout%3D9s");
    assert_eq!(lock_timeout(&Messaging::connect(&url).unwrap()), "9s");
}
