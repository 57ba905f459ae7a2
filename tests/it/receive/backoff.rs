//! A message that fails is tried again when it was asked for.

use crate::support::{PATIENCE, Place, eventually, next};
use crossbeam_channel::{Receiver, unbounded};
use outtray::{Backoff, HandlerError, Message};
use std::time::Duration;

/// What a receiver does that fails every message until its attempt `good`.
struct Failing {
    place: Place,
    attempts: Receiver<(String, u32)>,
    _receiver: outtray::Receiver,
}

impl Failing {
    fn start(workers: usize, backoff: Backoff, good: u32) -> Failing {
        let place = Place::watchful();
        let (tell, attempts) = unbounded();
        let receiver = place
            .messaging
            .receiver("jobs")
            .workers(workers)
            .backoff(backoff)
            .start(move |_, message: Message<String>| {
                tell.send((message.payload, message.attempt))?;
                match message.attempt < good {
                    true => Err(HandlerError::failed("not good yet")),
                    false => Ok(()),
                }
            })
            .unwrap();
        Failing {
            place,
            attempts,
            _receiver: receiver,
        }
    }

    /// Waits for this attempt of a message, and checks the delay after it.
    #[track_caller]
    fn check_attempt(&mut self, message: &str, attempt: u32, delay_s: f64) {
        assert_eq!(next(&self.attempts, 1), [(message.to_owned(), attempt)]);
        eventually("it waits", || self.place.count("outtray.scheduled") == 1);
        let due_in = self.place.due_in();
        let tolerance = delay_s * 0.1 + 20.0;
        assert!(
            (due_in - delay_s).abs() < tolerance,
            "{due_in} after attempt {attempt}"
        );
        self.place.make_due();
    }

    #[track_caller]
    fn check_handled(&mut self, message: &str, attempt: u32) {
        assert_eq!(next(&self.attempts, 1), [(message.to_owned(), attempt)]);
        eventually("it is handled", || self.place.is_empty("jobs"));
    }
}

fn check_fixed(workers: usize) {
    let mut failing = Failing::start(workers, Backoff::fixed(Duration::from_secs(300)), 4);

    failing.place.send("jobs", "one");

    failing.check_attempt("one", 1, 300.0);
    failing.check_attempt("one", 2, 300.0);
    failing.check_attempt("one", 3, 300.0);
    failing.check_handled("one", 4);
}

fn check_function(workers: usize) {
    let backoff = Backoff::function(|failed| Duration::from_secs(100) * failed * failed);
    let mut failing = Failing::start(workers, backoff, 3);

    for message in ["one", "two"] {
        failing.place.send("jobs", message);

        failing.check_attempt(message, 1, 100.0);
        failing.check_attempt(message, 2, 400.0);
        failing.check_handled(message, 3);
    }
}

#[test]
fn a_fixed_backoff_waits_the_same_after_every_failure() {
    check_fixed(1);
    check_fixed(2);
}

#[test]
fn a_backoff_function_gets_the_number_of_failures_which_starts_again_for_the_next_message() {
    check_function(1);
    check_function(2);
}

#[test]
fn an_exponential_backoff_grows_up_to_its_cap() {
    let backoff = Backoff::exponential(Duration::from_secs(200), 2.0, Duration::from_secs(500));
    let mut failing = Failing::start(1, backoff, 5);

    failing.place.send("jobs", "one");

    failing.check_attempt("one", 1, 200.0);
    failing.check_attempt("one", 2, 400.0);
    failing.check_attempt("one", 3, 500.0);
    failing.check_attempt("one", 4, 500.0);
    failing.check_handled("one", 5);
}

#[test]
fn a_backoff_function_that_panics_means_one_second() {
    let mut place = Place::polling(Duration::from_secs(60));
    place.send("jobs", &1);

    place
        .messaging
        .receiver("jobs")
        .workers(1)
        .backoff(Backoff::function(|_| panic!("no idea")))
        .start(|_, _: Message<i32>| Err(HandlerError::failed("no")))
        .map(|receiver| {
            eventually("it waits", || {
                place.count("outtray.scheduled WHERE attempts = 1") == 1
            });
            receiver.stop(PATIENCE);
        })
        .unwrap();

    let latest = "SELECT due_at <= clock_timestamp() + interval '1 second' FROM outtray.scheduled";
    let is_within_a_second: bool = place.client.query_one(latest, &[]).unwrap().get(0);
    assert!(is_within_a_second);
}
