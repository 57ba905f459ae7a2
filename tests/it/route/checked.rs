//! What is wrong with a table is said before anything is started.

use super::TOPIC;
use crate::support::{Place, done};
use outtray::{ErrorKind, NoMatch, Router};

/// Checks that a table is refused in every way to use it, and that nothing was done.
#[track_caller]
fn check_refused(make: impl Fn() -> Router, part: &str) {
    let mut place = Place::new();
    place.send(TOPIC, &1);
    let refused = [
        make().check().unwrap_err(),
        place
            .messaging
            .receiver(TOPIC)
            .start_router(make())
            .unwrap_err(),
        place
            .messaging
            .receiver(TOPIC)
            .drain_router(&make())
            .unwrap_err(),
        place
            .messaging
            .receiver(TOPIC)
            .drain_all_router(&make())
            .unwrap_err(),
    ];
    for error in refused {
        assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
        assert!(error.to_string().contains(part), "{error}");
    }
    assert_eq!(place.count("outtray.worker"), 0);
    assert_eq!(place.count("outtray.message WHERE attempts = 0"), 1);

    let by_hand = place.messaging.drain(TOPIC, |session, message| {
        let error = make().handle(session, &message).unwrap_err();
        assert!(error.to_string().contains(part), "{error}");
        Ok(())
    });
    assert_eq!(by_hand.unwrap().handled, 1);
}

#[test]
fn bad_patterns_are_refused() {
    check_refused(|| Router::new().on("", done), "must not be empty");
    check_refused(|| Router::new().on("a..b", done), "empty segment");
    check_refused(|| Router::new().on("order*", done), "whole segments");
    check_refused(|| Router::new().on("a b", done), "' '");
    check_refused(|| Router::new().on("x".repeat(300), done), "300 bytes");
    check_refused(|| Router::new().on(["a", "b."], done), "empty segment");
}

#[test]
fn the_first_flaw_counts_wherever_it_is() {
    let router = || Router::new().on("a", done).on("b..c", done).on("d*", done);
    check_refused(router, "b..c");
}

#[test]
fn a_table_that_makes_no_sense_is_refused() {
    check_refused(Router::new, "no routes");
    check_refused(|| Router::new().otherwise(NoMatch::Ignore), "no routes");
    check_refused(|| Router::new().on([""; 0], done), "no patterns");
    check_refused(
        || Router::new().on(["a.*", "b", "a.*"], done),
        "\"a.*\" twice",
    );
    check_refused(
        || {
            Router::new()
                .on("a", done)
                .otherwise(NoMatch::Ignore)
                .otherwise_handle(done)
        },
        "twice",
    );
    check_refused(|| Router::new().on_versions("a", 3..3, done), "empty range");
    check_refused(|| Router::new().on_versions("a", ..0, done), "empty range");
}

#[test]
fn two_handlers_of_one_pattern_and_a_default_alone_make_sense() {
    assert!(Router::new().on("a", done).on("a", done).check().is_ok());
    assert!(Router::new().otherwise_handle(done).check().is_ok());
}
