//! What a session's closure returns that says what to do about it says so to the session's caller,
//! too.

use super::{place, things_and_messages};
use outtray::{ErrorKind, HandlerError, Messaging, MessagingSession, NewMessage, Result};
use std::error::Error as StdError;
use std::fmt;

type Work = fn(&mut MessagingSession<'_>) -> Result<()>;

/// An application's own error, with one of ours behind it.
#[derive(Debug)]
struct NoMail(outtray::Error);

impl fmt::Display for NoMail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the mail cannot be sent")
    }
}

impl StdError for NoMail {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        Some(&self.0)
    }
}

fn too_large(session: &mut MessagingSession<'_>) -> Result<()> {
    let bytes = vec![0; (1 << 20) + 1];
    session.send(NewMessage::bytes("things", bytes)).map(drop)
}

fn bad_topic(session: &mut MessagingSession<'_>) -> Result<()> {
    session.send_message("no such\ntopic", &1).map(drop)
}

fn no_json(session: &mut MessagingSession<'_>) -> Result<()> {
    session.send_message("things", &f64::NAN).map(drop)
}

fn commit_by_hand(session: &mut MessagingSession<'_>) -> Result<()> {
    session.execute("COMMIT", &[]).map(drop)
}

/// Fails in a session, and checks that its caller is told the same, with nothing in front of it.
#[track_caller]
fn check_told(messaging: &Messaging, work: Work, kind: ErrorKind) {
    let mut text = String::new();
    let failing = |session: &mut MessagingSession<'_>| -> Result<(), HandlerError> {
        session.execute("INSERT INTO thing VALUES ('one')", &[])?;
        let error = work(session).unwrap_err();
        text = error.to_string();
        Err(error.into())
    };

    let error = messaging.session(failing).unwrap_err();

    assert_eq!(error.kind(), kind, "{error:?}");
    assert_eq!(error.to_string(), text);
}

#[test]
fn an_error_that_says_what_to_do_comes_back_from_a_session_as_it_is() {
    let place = place();

    check_told(&place.messaging, too_large, ErrorKind::TooLarge);
    check_told(&place.messaging, bad_topic, ErrorKind::Invalid);
    check_told(&place.messaging, no_json, ErrorKind::Payload);
    check_told(&place.messaging, commit_by_hand, ErrorKind::Invalid);

    assert_eq!(things_and_messages(&place), (0, 0));
}

#[test]
fn an_error_that_is_told_ends_a_session_that_is_tried_again() {
    let place = place();
    let day = std::time::Duration::from_secs(86_400);
    let mut tries = 0;

    let error = place
        .messaging
        .retrying("one", day, |session| {
            tries += 1;
            Ok(too_large(session)?)
        })
        .unwrap_err();

    assert_eq!((error.kind(), tries), (ErrorKind::TooLarge, 1));
}

#[test]
fn what_is_behind_an_error_of_the_applications_own_gives_it_its_kind() {
    let place = place();

    let error = place
        .messaging
        .session(|session| Ok(too_large(session).map_err(NoMail)?))
        .unwrap_err();

    assert_eq!(error.kind(), ErrorKind::TooLarge);
    assert!(error.cause::<NoMail>().is_some(), "{error:?}");
    assert!(format!("{error:?}").contains("the mail cannot be sent"));
}

#[test]
fn what_says_something_about_another_transaction_says_nothing_about_this_one() {
    let place = place();

    let error = place
        .messaging
        .session(|_| {
            let refused = place.messaging.session(|session| {
                session.execute("INSERT INTO nowhere VALUES (1)", &[])?;
                Ok(())
            });
            Ok(refused?)
        })
        .unwrap_err();

    assert_eq!(error.kind(), ErrorKind::RolledBack);
}
