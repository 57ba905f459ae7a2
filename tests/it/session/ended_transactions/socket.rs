//! The same through a socket file, where nobody sees the server's answers but the driver.

use super::{
    ATTEMPTS, By, COMMITS, READABLE, ROLLS_BACK, Way, check_dead, check_neighbours, effects, play,
    run,
};
use crate::support::{Place, by_socket};
use outtray::{DeadReason, ErrorKind, Messaging};

fn effects_by_socket() -> Place {
    let place = effects();
    let url = by_socket(&place.url);
    let messaging = Messaging::connect(&url).unwrap();
    Place { messaging, ..place }
}

#[test]
fn a_handler_cannot_end_its_transaction_by_a_text() {
    let mut place = effects_by_socket();
    for sql in READABLE {
        play(&mut place, Way::Fixed, (sql, By::BatchExecute, false));

        assert_eq!(check_neighbours(&mut place, sql), 0, "{sql}");
        check_dead(&mut place, DeadReason::Exhausted, ATTEMPTS, sql);
    }
}

#[test]
fn a_handler_that_committed_does_not_run_again_and_its_neighbours_are_done_once() {
    let mut place = effects_by_socket();
    for sql in ["COMMIT", "COMMIT; BEGIN", COMMITS[0]] {
        for (way, by) in [
            (Way::Fixed, By::Borrowed),
            (Way::Adaptive, By::Nested),
            (Way::Leases, By::Borrowed),
            (Way::Drain, By::BatchExecute),
        ] {
            if by == By::BatchExecute && !sql.contains('\\') {
                continue;
            }
            let what = format!("{way:?}, {by:?}, {sql}");

            play(&mut place, way, (sql, by, true));

            assert_eq!(check_neighbours(&mut place, &what), 1, "{what}");
            check_dead(&mut place, DeadReason::Rejected, 1, &what);
        }
    }
}

#[test]
fn a_handler_that_rolled_back_is_charged_and_its_neighbours_are_done_once() {
    let mut place = effects_by_socket();
    for (sql, by) in [
        ("ROLLBACK", By::Borrowed),
        ("ROLLBACK; BEGIN", By::Nested),
        (ROLLS_BACK[2], By::BatchExecute),
    ] {
        play(&mut place, Way::Fixed, (sql, by, true));

        assert_eq!(check_neighbours(&mut place, sql), 0, "{sql}");
        check_dead(&mut place, DeadReason::Exhausted, ATTEMPTS, sql);
    }
}

#[test]
fn a_session_that_was_ended_says_what_happened() {
    let mut place = effects_by_socket();
    for (sql, is_committed) in [
        ("COMMIT", true),
        ("COMMIT; BEGIN", true),
        ("ROLLBACK", false),
        ("ROLLBACK AND CHAIN", false),
    ] {
        place.sql("DELETE FROM effect");
        let ended = place.messaging.session(|session| {
            session.execute("INSERT INTO effect VALUES (1)", &[])?;
            session.send_message("sent", &1)?;
            run(session, sql, By::Borrowed)
        });

        let error = ended.expect_err(sql);
        assert_eq!(
            error.kind(),
            ErrorKind::TransactionEnded,
            "{sql}: {error:?}"
        );
        assert_eq!(place.count("effect"), i64::from(is_committed), "{sql}");
    }
    assert_eq!(place.count("outtray.message"), 0);
}
