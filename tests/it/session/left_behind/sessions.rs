//! Sessions that set something, and those that have the same connection next.

use super::{BY, By, TRACES, look, prepare, set};
use crate::support::{Place, by_socket};
use outtray::{HandlerError, Messaging};

/// A process with one connection for its sessions.
fn alone(url: &str) -> Messaging {
    Messaging::builder()
        .url(url)
        .pool_size(1)
        .connect()
        .unwrap()
}

#[track_caller]
fn check(place: &mut Place, messaging: &Messaging, is_blind: bool) {
    prepare(place);
    for trace in &TRACES {
        for by in BY {
            // Who finds statements gone that nobody saw dropped is told to run again.
            let is_unseen = is_blind && matches!(by, By::Borrowed | By::Nested);
            if is_unseen && trace.set.starts_with("DEALLOCATE") {
                continue;
            }
            let what = format!("{}, {by:?}", trace.set);
            for is_kept in [true, false] {
                let ended = messaging.session(|session| {
                    if !trace.set.contains("READ ONLY") {
                        session.send_message("sent", &1)?;
                    }
                    set(session, trace.set, by)?;
                    match is_kept {
                        true => Ok(()),
                        false => Err(HandlerError::failed("not kept")),
                    }
                });
                assert_eq!(ended.is_ok(), is_kept, "{what}: {ended:?}");

                let saw = messaging.session(|session| look(session, trace)).unwrap();

                assert_eq!(saw, trace.nothing, "{what}, kept: {is_kept}");
            }
        }
    }
    let kept = if is_blind { 23 * 4 - 2 } else { 23 * 4 };
    assert_eq!(place.count("outtray.message"), kept);
}

#[test]
fn the_next_session_finds_nothing_of_what_one_set() {
    let mut place = Place::new();
    let messaging = alone(&place.url);

    check(&mut place, &messaging, false);
}

#[test]
fn the_next_session_finds_nothing_of_what_one_set_through_a_socket_file() {
    let mut place = Place::new();
    let messaging = alone(&by_socket(&place.url));

    check(&mut place, &messaging, true);
}
