//! Subscriptions come and go while others publish: a publish that begins after `subscribe` returned
//! reaches it, one that begins after `unsubscribe` returned does not, in whichever process.

use super::{publish, subscribed, taken};
use crate::support::{PATIENCE, Place, client, process};
use crossbeam_channel::bounded;
use outtray::{ErrorKind, HandlerError, Messaging, MessagingSession, NewMessage, TopicConfig};
use std::collections::HashSet;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

const ROUNDS: u64 = 30;

/// Tells others that it is over, also when that is a failure.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// Publishes a number; returns how many copies it was told, where it tells.
type Publish = fn(&Messaging, &str, u64) -> Option<usize>;

/// The ways in which a process publishes.
const WAYS: [Publish; 3] = [
    |messaging, key, number| Some(messaging.publish(key, &number).unwrap().copies),
    |messaging, key, number| {
        let published = messaging.session(|session| Ok(session.publish(key, &number)?));
        Some(published.unwrap().copies)
    },
    |messaging, key, number| {
        messaging
            .session(|session| {
                session.execute("SELECT 1", &[])?;
                drop(session.publish(key, &number)?);
                session.execute("SELECT 1", &[])?;
                Ok(())
            })
            .unwrap();
        None
    },
];

/// Two processes take turns: the one changes subscriptions, and the other publishes in the moment
/// in which the first returned. Twice: the second time it knows what it learned the first time.
#[test]
fn a_publish_that_begins_after_a_change_returned_obeys_it() {
    for publish in WAYS {
        let place = Place::new();
        let other = process(&place.url, PATIENCE);
        let (changed, is_changed) = bounded(0);
        let (published, is_published) = bounded(0);
        let mut told = Vec::new();
        thread::scope(|scope| {
            scope.spawn(move || {
                for round in 0..ROUNDS {
                    let was_other = match round % 2 {
                        0 => other.subscribe("orders.*", "billing"),
                        _ => other.unsubscribe("orders.*", "billing"),
                    };
                    assert!(was_other.unwrap());
                    if changed.send(()).is_err() || is_published.recv().is_err() {
                        return;
                    }
                }
            });
            for round in 0..ROUNDS {
                is_changed.recv_timeout(PATIENCE).unwrap();
                for _ in 0..2 {
                    let copies = publish(&place.messaging, "orders.created", round);
                    told.extend(copies.map(|copies| (round, copies)));
                }
                published.send(()).unwrap();
            }
        });
        let even = (0..ROUNDS as i32).step_by(2);
        let expected: Vec<i32> = even.flat_map(|round| [round; 2]).collect();
        assert_eq!(taken(&place.messaging, "billing"), expected);
        let is_right = |(round, copies): &(u64, usize)| *copies == usize::from(round % 2 == 0);
        assert!(told.iter().all(is_right), "{told:?}");
    }
}

/// Nobody waits for anybody: what every publisher counts at its beginning and its end says which
/// subscriptions it must have met.
#[test]
fn publishers_and_subscribers_that_do_not_wait_for_each_other_never_miss_one_another() {
    let mut place = Place::new();
    let (subscribed, unsubscribed) = (AtomicU64::new(0), AtomicU64::new(0));
    let (begun_to_end, is_over) = (AtomicU64::new(0), AtomicBool::new(false));
    let url = place.url.clone();
    // Topic n is subscribed, then unsubscribed, in order.
    let told = thread::scope(|scope| {
        let over = Over(&is_over);
        let publishers: Vec<_> = (0..3_usize)
            .map(|publisher| {
                let (url, is_over) = (&url, &is_over);
                let (subscribed, begun_to_end) = (&subscribed, &begun_to_end);
                let unsubscribed = &unsubscribed;
                scope.spawn(move || {
                    let messaging = process(url, PATIENCE);
                    let mut told = Vec::new();
                    let mut number = publisher as u64;
                    while !is_over.load(Ordering::SeqCst) {
                        let gone = unsubscribed.load(Ordering::SeqCst);
                        let there = subscribed.load(Ordering::SeqCst);
                        WAYS[publisher](&messaging, "orders.created", number);
                        // All that nobody began to unsubscribe before this returned.
                        let first_kept = begun_to_end.load(Ordering::SeqCst);
                        told.push((number, gone, first_kept..there));
                        number += 3;
                    }
                    told
                })
            })
            .collect();
        let changing = process(&url, PATIENCE);
        for topic in 0..ROUNDS {
            changing
                .subscribe("orders.*", &format!("t{topic}"))
                .unwrap();
            subscribed.store(topic + 1, Ordering::SeqCst);
            if let Some(old) = topic.checked_sub(3) {
                begun_to_end.store(old + 1, Ordering::SeqCst);
                changing
                    .unsubscribe("orders.*", &format!("t{old}"))
                    .unwrap();
                unsubscribed.store(old + 1, Ordering::SeqCst);
            }
        }
        drop(over);
        let told = publishers
            .into_iter()
            .flat_map(|publisher| publisher.join().unwrap());
        told.collect::<Vec<_>>()
    });
    assert!(told.len() >= 10, "{}", told.len());

    check_reached(&mut place, told);
}

/// Of each number that was published: which topics had ended before, and which were there from its
/// beginning to its end.
type Told = (u64, u64, Range<u64>);

/// Checks that whoever must have a number has it once, and nobody has it who must not.
#[track_caller]
fn check_reached(place: &mut Place, told: Vec<Told>) {
    let query = "SELECT substr(topic, 2)::bigint, (payload #>> '{}')::bigint FROM outtray.message";
    let rows = place.client.query(query, &[]).unwrap();
    let mut got = HashSet::new();
    for row in &rows {
        let copy = (row.get::<_, i64>(0) as u64, row.get::<_, i64>(1) as u64);
        assert!(got.insert(copy), "{copy:?} twice");
    }
    for (number, gone, must) in told {
        for topic in must {
            assert!(got.contains(&(topic, number)), "t{topic} misses {number}");
        }
        for topic in 0..gone {
            assert!(
                !got.contains(&(topic, number)),
                "t{topic} had ended before {number}"
            );
        }
    }
}

/// Publishes, and lets another process subscribe before the session ends.
#[track_caller]
fn check_changed_within(
    place: &Place,
    before: impl FnOnce(&mut MessagingSession<'_>) -> Result<(), HandlerError>,
    change: impl FnOnce(&Messaging),
) -> outtray::Result<()> {
    let other = process(&place.url, PATIENCE);
    // So that it is known, and young enough.
    publish(&place.messaging, "nothing", 0);
    place.messaging.session(|session| {
        before(session)?;
        let published = session.publish("orders.created", &1)?;
        session.send_message("billing", &2)?;
        drop(session.publish("orders.created", &3)?);
        assert_eq!(published.copies, 1);
        change(&other);
        Ok(())
    })
}

#[test]
fn a_session_finds_out_whom_to_send_to_again() {
    for has_begun in [false, true] {
        let mut place = subscribed("billing");
        let begin = |session: &mut MessagingSession<'_>| {
            if has_begun {
                session.execute("CREATE TABLE thing ()", &[])?;
            }
            Ok(())
        };
        check_changed_within(&place, begin, |other| {
            other.subscribe("#", "audit").unwrap();
            other.subscribe("nobody", "nobody").unwrap();
        })
        .unwrap();
        assert_eq!(taken(&place.messaging, "billing"), [1, 2, 3]);
        let audit = taken(&place.messaging, "audit");
        // Those of them that had asked the database before are not sent again: which they are
        // depends on how old the answer was that this process had.
        let each_once = [vec![], vec![1], vec![3], vec![1, 3]];
        assert!(each_once.contains(&audit), "{audit:?}");
        assert_eq!(
            place.count("pg_class WHERE relname = 'thing'"),
            i64::from(has_begun)
        );
    }
}

#[test]
fn copies_for_a_topic_that_became_full_or_was_left_are_no_surprise() {
    let mut place = subscribed("billing");
    check_changed_within(
        &place,
        |_| Ok(()),
        |other| {
            assert!(other.unsubscribe("orders.#", "billing").unwrap());
        },
    )
    .unwrap();
    let left = taken(&place.messaging, "billing");
    assert!(
        [vec![2], vec![1, 2], vec![1, 2, 3]].contains(&left),
        "{left:?}"
    );

    place.messaging.subscribe("orders.#", "billing").unwrap();
    let full = TopicConfig {
        max_length: Some(1),
        ..TopicConfig::default()
    };
    place.messaging.topic("few").configure(full).unwrap();
    place.send("few", &0);
    let committed = check_changed_within(
        &place,
        |_| Ok(()),
        |other| {
            other.subscribe("#", "few").unwrap();
        },
    );
    match committed {
        // It had asked before the topic was there.
        Ok(()) => assert_eq!(taken(&place.messaging, "billing"), [1, 2, 3]),
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::Full);
            assert_eq!(place.count("outtray.message WHERE topic = 'billing'"), 0);
        }
    }
    assert_eq!(place.count("outtray.message WHERE topic = 'few'"), 1);
}

#[test]
fn a_storm_of_subscriptions_stops_no_publisher() {
    let place = subscribed("billing");
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        let over = Over(&is_over);
        for storm in 0..2 {
            let (url, is_over) = (&place.url, &is_over);
            scope.spawn(move || {
                let mut client = client(url);
                while !is_over.load(Ordering::SeqCst) {
                    // As fast as the server can, without the pause of the call.
                    let change = format!(
                        "BEGIN;
                        INSERT INTO outtray.subscription_version VALUES ('', gen_random_uuid())
                        ON CONFLICT (topic) DO UPDATE SET version = excluded.version;
                        INSERT INTO outtray.subscription (topic, pattern) VALUES ('t{storm}', 'x')
                        ON CONFLICT DO NOTHING; COMMIT"
                    );
                    client.batch_execute(&change).unwrap();
                }
            });
        }
        let started = Instant::now();
        let (mut sent, mut jobs) = (0, 0);
        while started.elapsed() < Duration::from_millis(700) {
            for publish in WAYS {
                assert!([None, Some(1)].contains(&publish(
                    &place.messaging,
                    "orders.created",
                    sent
                )));
                sent += 1;
            }
            place.send_all("jobs", 0..3);
            jobs += 3;
            let drained = place
                .messaging
                .drain("jobs", |session, _: outtray::Message| {
                    session.publish("orders.created", &0)?;
                    Ok(())
                });
            assert_eq!(drained.unwrap().handled, 3);
        }
        drop(over);
        let ready = place.messaging.topic("billing").stats().unwrap().ready;
        assert_eq!(ready, sent + jobs);
        assert_eq!(place.dead_letters("jobs").len(), 0);
        let message = NewMessage::bytes("", [1]).mandatory();
        assert_eq!(
            place
                .messaging
                .publish_message("x", message)
                .unwrap()
                .copies,
            2
        );
    });
}

#[test]
fn ids_come_in_the_order_of_topics_also_where_somebody_new_subscribed() {
    let mut place = subscribed("late");
    assert_eq!(publish(&place.messaging, "orders.created", 1), 1);
    let other = process(&place.url, PATIENCE);
    other.subscribe("orders.#", "early").unwrap();

    let published = place.messaging.publish("orders.created", &2).unwrap();

    let ids = published.ids.iter().map(|id| id.as_uuid());
    let topics = ids.map(|id| {
        let sql = "SELECT topic FROM outtray.message WHERE id = $1";
        place.client.query_one(sql, &[&id]).unwrap().get(0)
    });
    assert_eq!(topics.collect::<Vec<String>>(), ["early", "late"]);
}
