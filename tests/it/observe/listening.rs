//! Observers themselves: their order, their panics, and what they do in a call.

use super::{Told, observed};
use crate::support::{PATIENCE, Place, database, keep_log, logged};
use outtray::{Event, Messaging};
use std::sync::{Arc, Mutex, OnceLock};

#[test]
fn several_are_told_in_the_order_in_which_they_were_added() {
    let (url, told) = (database(), Arc::new(Mutex::new(Vec::new())));
    let noting = |name: &'static str| {
        let told = Arc::clone(&told);
        move |event: &Event<'_>| {
            if let Event::Sent { .. } = event {
                told.lock().unwrap().push(name);
            }
        }
    };
    let builder = Messaging::builder().url(&url);
    let builder = builder.on_event(noting("first")).on_event(noting("second"));

    Place::over(&url, builder.connect().unwrap()).send("jobs", &1);

    assert_eq!(*told.lock().unwrap(), ["first", "second"]);
}

#[test]
fn an_observer_that_panics_harms_nobody_and_is_logged_once() {
    keep_log();
    let (url, told) = (database(), Told::default());
    let noting = told.clone();
    let builder = Messaging::builder().url(&url);
    let builder = builder.on_event(|_| panic!("the observer of this very test"));
    let builder = builder.on_event(move |event| noting.0.lock().unwrap().push(super::line(event)));
    let place = Place::over(&url, builder.connect().unwrap());

    place.send("jobs", &1);
    place.send("jobs", &2);
    assert_eq!(place.handled::<i32>("jobs"), [1, 2]);

    let done = told.take();
    let count = |line: &str| done.iter().filter(|told| *told == line).count();
    assert_eq!((count("1 sent to jobs"), count("jobs done 1")), (2, 2));
    let lines = logged("the observer of this very test");
    let of_sent = lines.iter().filter(|(_, line)| line.contains("Sent"));
    assert_eq!(of_sent.count(), 1, "{lines:?}");
}

#[test]
fn an_observer_may_send_with_a_pool_of_one_and_is_not_told_of_it() {
    let (url, own) = (database(), Arc::new(OnceLock::<Messaging>::new()));
    let (told, mine) = (Told::default(), Arc::clone(&own));
    let noting = told.clone();
    let builder = Messaging::builder().url(&url).pool_size(1);
    let builder = builder.checkout_timeout(PATIENCE);
    let builder = builder.on_event(move |event| {
        if let (Event::Sent { .. } | Event::Dead { .. } | Event::Cancelled { .. }, Some(own)) =
            (event, mine.get())
        {
            own.session(|session| Ok(session.send_message("audit", &super::line(event))?))
                .unwrap();
        }
    });
    let builder = builder.on_event(move |event| noting.0.lock().unwrap().push(super::line(event)));
    let place = Place::over(&url, builder.connect().unwrap());
    own.set(place.messaging.clone()).ok();

    let id = place.send("jobs", &1);
    place.messaging.cancel(id).unwrap();
    place.send("jobs", &2);
    place
        .messaging
        .drain("jobs", crate::support::reject)
        .unwrap();

    let audited = place.handled::<String>("audit");
    let expected = [
        "1 sent to jobs",
        "jobs cancelled",
        "1 sent to jobs",
        "jobs dead Some(1): rejected",
    ];
    assert_eq!(audited, expected);
    let lines = told.take();
    let audits = lines.iter().filter(|line| *line == "1 sent to audit");
    assert_eq!(audits.count(), 4, "others are told of it: {lines:?}");
}

#[test]
fn an_event_comes_on_the_thread_that_did_it() {
    let (url, threads) = (database(), Arc::new(Mutex::new(Vec::new())));
    let noted = Arc::clone(&threads);
    let noting = move |event: &Event<'_>| {
        let name = std::thread::current().name().unwrap_or("").to_owned();
        if let Event::Done { .. } = event {
            noted.lock().unwrap().push(name);
        }
    };
    let messaging = Messaging::builder().url(&url).on_event(noting);
    let place = Place::over(&url, messaging.connect().unwrap());
    let receiver = place.messaging.receiver("jobs").workers(1);
    let receiver = receiver.start(crate::support::done).unwrap();

    place.send("jobs", &1);
    crate::support::eventually("it is told", || !threads.lock().unwrap().is_empty());
    receiver.stop(PATIENCE);

    assert_eq!(*threads.lock().unwrap(), ["outtray-jobs-1"]);
}

#[test]
fn another_process_tells_its_own_observers() {
    let (place, told) = observed();
    let (elsewhere, other) = (Told::default(), place.url.clone());
    let elsewhere_messaging = elsewhere.connect(&other);
    place.send("jobs", &1);

    elsewhere_messaging
        .drain("jobs", crate::support::done)
        .unwrap();

    assert_eq!(told.take(), ["1 sent to jobs"]);
    assert_eq!(elsewhere.take(), ["jobs started 1 of 1", "jobs done 1"]);
}
