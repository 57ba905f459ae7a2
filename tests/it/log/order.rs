//! All readers see one order, in which nothing is missed, whatever transactions do meanwhile.

use super::{log, place, rest};
use crate::support::{PATIENCE, Place, client, database};
use outtray::{HandlerError, LogPosition, Message, Messaging, MessagingSession, Position, Tail};
use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

const WRITERS: u64 = 16;
const SESSIONS: u64 = 24;

/// Numbers by which writers differ, the same in each run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (self.0 >> 33) % sides
    }
}

/// Sends some messages in transactions of random length, some of which end in a rollback; returns
/// what was committed.
fn write(messaging: &Messaging, writer: u64) -> Vec<u64> {
    let mut dice = Dice(writer + 1);
    let mut committed = Vec::new();
    for session in 0..SESSIONS {
        let first = (writer * SESSIONS + session) * 10;
        let (delay_ms, size, way) = (dice.roll(12), 1 + dice.roll(4), dice.roll(5));
        let pause = format!("SELECT pg_sleep({delay_ms} / 1000.0)");
        let numbers: Vec<u64> = (first..first + size).collect();
        let done = messaging.session(|session| {
            if way == 4 {
                session.execute("SELECT pg_current_xact_id()", &[])?;
            } else if way > 0 {
                in_pieces(messaging, session, first)?;
            }
            session.batch_execute(&pause)?;
            session.send_messages("ledger", &numbers)?;
            match way {
                3 => Err(HandlerError::failed("not this time")),
                _ => Ok(()),
            }
        });
        assert_eq!(done.is_ok(), way != 3, "{done:?}");
        if way != 3 {
            committed.extend(numbers);
            committed.extend([1, 2].contains(&way).then_some(first + 8));
        }
    }
    committed
}

/// Sends one message in a part that is kept, and one in a part that is rolled back.
fn in_pieces(
    messaging: &Messaging,
    session: &mut MessagingSession<'_>,
    first: u64,
) -> Result<(), HandlerError> {
    let mut kept = session.transaction()?;
    MessagingSession::join(messaging, &mut kept)?.send_message("ledger", &(first + 8))?;
    kept.commit()?;
    let mut undone = session.transaction()?;
    MessagingSession::join(messaging, &mut undone)?.send_message("ledger", &(first + 9))?;
    undone.rollback()?;
    Ok(())
}

/// Reads until all is read, in batches of a size; returns the order.
fn read(tail: &mut Tail, size: usize, is_over: &AtomicBool) -> Vec<(LogPosition, u64)> {
    let started = Instant::now();
    let mut seen = Vec::new();
    loop {
        // Asked before the last look.
        let was_over = is_over.load(Ordering::SeqCst);
        let wait = Duration::from_millis(if was_over { 0 } else { 100 });
        let batch: Vec<Message<u64>> = tail.next_batch(size, wait).unwrap();
        if batch.is_empty() && was_over {
            return seen;
        }
        let one = |message: &Message<u64>| (message.log_position().unwrap(), message.payload);
        seen.extend(batch.iter().map(one));
        assert!(
            started.elapsed() < 2 * PATIENCE,
            "it does not end: {}",
            seen.len()
        );
    }
}

/// Checks that one reader saw the order that another one saw.
#[track_caller]
fn same(order: &[(LogPosition, u64)], replayed: &[(LogPosition, u64)]) {
    let differs = order
        .iter()
        .zip(replayed)
        .position(|(one, other)| one != other);
    let near = |order: &[(LogPosition, u64)]| {
        let at = differs.unwrap_or(order.len()).saturating_sub(2);
        format!("{:?}", order.iter().skip(at).take(6).collect::<Vec<_>>())
    };
    assert!(
        order == replayed,
        "{} of {}, at {differs:?}: {} where all are {}",
        order.len(),
        replayed.len(),
        near(order),
        near(replayed)
    );
}

#[test]
fn all_readers_see_one_order_and_miss_nothing_under_sixteen_writers() {
    let url = database();
    let messaging = Messaging::builder()
        .url(&url)
        .pool_size(24)
        .connect()
        .unwrap();
    messaging.topic("ledger").configure(log()).unwrap();
    // Held open during all of it, with an id of its own, as by somebody else's program.
    let mut other = client(&url);
    let mut held = other.transaction().unwrap();
    held.execute("SELECT pg_current_xact_id()", &[]).unwrap();
    let tails = [1, 7, 500].map(|size| (size, messaging.tail("ledger", Position::Start).unwrap()));
    let is_over = AtomicBool::new(false);

    let (committed, orders) = thread::scope(|scope| {
        let writers: Vec<_> = (0..WRITERS)
            .map(|writer| {
                scope.spawn({
                    let messaging = &messaging;
                    move || write(messaging, writer)
                })
            })
            .collect();
        let readers = tails.map(|(size, mut tail)| {
            let is_over = &is_over;
            scope.spawn(move || read(&mut tail, size, is_over))
        });
        let committed: Vec<u64> = writers
            .into_iter()
            .flat_map(|writer| writer.join().unwrap())
            .collect();
        is_over.store(true, Ordering::SeqCst);
        (committed, readers.map(|reader| reader.join().unwrap()))
    });

    held.commit().unwrap();
    let mut replay = messaging.tail("ledger", Position::Start).unwrap();
    let replayed = read(&mut replay, 1000, &is_over);
    assert!(replayed.is_sorted_by(|one, next| one.0 < next.0));
    let seen: HashSet<u64> = replayed.iter().map(|(_, number)| *number).collect();
    assert_eq!(seen.len(), replayed.len(), "some twice");
    let committed: HashSet<u64> = committed.into_iter().collect();
    let missed: Vec<&u64> = committed.difference(&seen).collect();
    let extra: Vec<&u64> = seen.difference(&committed).collect();
    assert!(
        missed.is_empty() && extra.is_empty(),
        "missed {missed:?}, not sent {extra:?}"
    );
    for order in orders {
        same(&order, &replayed);
    }
}

#[test]
fn what_a_transaction_wrote_comes_when_it_commits_and_stops_nobody_before() {
    let place = place();
    let mut slow = client(&place.url);
    let mut held = slow.transaction().unwrap();
    MessagingSession::join(&place.messaging, &mut held)
        .unwrap()
        .send_message("ledger", &1)
        .unwrap();
    let mut tail = place.messaging.tail("ledger", Position::Start).unwrap();
    place.send("ledger", &2);
    assert_eq!(rest(&mut tail), [2]);
    place.send("ledger", &3);
    assert_eq!(rest(&mut tail), [3]);

    held.commit().unwrap();
    place.send("ledger", &4);

    assert_eq!(rest(&mut tail), [1, 4]);
    let mut other = place.messaging.tail("ledger", Position::Start).unwrap();
    assert_eq!(rest(&mut other), [2, 3, 1, 4]);
}

#[test]
fn what_is_sent_after_another_was_seen_comes_after_it() {
    let place = place();
    let mut early = client(&place.url);
    let mut one = early.transaction().unwrap();
    // Its id is older than that of what it is about to see.
    one.execute("SELECT pg_current_xact_id()", &[]).unwrap();
    place.send("ledger", &1);
    let seen = one.query_one("SELECT count(*) FROM outtray.log_entry", &[]);
    assert_eq!(seen.unwrap().get::<_, i64>(0), 1);
    MessagingSession::join(&place.messaging, &mut one)
        .unwrap()
        .send_message("ledger", &2)
        .unwrap();
    one.commit().unwrap();

    let mut tail = place.messaging.tail("ledger", Position::Start).unwrap();

    assert_eq!(rest(&mut tail), [1, 2]);
}

#[test]
fn a_tick_with_very_many_messages_is_read_in_order_in_small_pieces() {
    let place = place();
    let mut slow = client(&place.url);
    let mut held = slow.transaction().unwrap();
    let mut joined = MessagingSession::join(&place.messaging, &mut held).unwrap();
    joined.send_messages("ledger", 0..900).unwrap();
    let mut all = place.messaging.tail("ledger", Position::Start).unwrap();
    place.send("ledger", &-1);
    assert_eq!(rest(&mut all), [-1]);
    joined.send_messages("ledger", 900..3000).unwrap();
    place.send_all("ledger", 3000..6000);
    drop(joined);
    held.commit().unwrap();

    let mut seen = Vec::new();
    while seen.len() < 6000 {
        let batch: Vec<Message<i32>> = all.next_batch(77, PATIENCE).unwrap();
        seen.extend(batch.iter().map(|message| message.payload));
    }

    assert!(seen.into_iter().eq(0..6000));
    assert!(rest(&mut all).is_empty());
}

#[test]
fn what_a_long_transaction_wrote_is_read_past_what_others_wrote_meanwhile() {
    let place = place();
    let mut slow = client(&place.url);
    let mut held = slow.transaction().unwrap();
    let mut joined = MessagingSession::join(&place.messaging, &mut held).unwrap();
    joined.send_messages("ledger", 0..700).unwrap();
    let mut all = place.messaging.tail("ledger", Position::Start).unwrap();
    place.send_all("ledger", 10_000..13_000);
    assert_eq!(rest(&mut all).len(), 3000);
    joined.send_messages("ledger", 700..900).unwrap();
    place.send_all("ledger", 13_000..14_000);
    assert_eq!(rest(&mut all).len(), 1000);
    drop(joined);
    held.commit().unwrap();
    place.send_all("ledger", 14_000..14_700);

    let mut seen = Vec::new();
    while seen.len() < 1600 {
        let batch: Vec<Message<i32>> = all.next_batch(50, PATIENCE).unwrap();
        assert!(!batch.is_empty());
        seen.extend(batch.iter().map(|message| message.payload));
    }

    assert!(seen.into_iter().eq((0..900).chain(14_000..14_700)));
    assert!(rest(&mut all).is_empty());
    let mut again = place.messaging.tail("ledger", Position::Start).unwrap();
    let order = rest(&mut again);
    assert!(
        order
            .into_iter()
            .eq((10_000..14_000).chain(0..900).chain(14_000..14_700))
    );
}

#[test]
fn two_logs_do_not_mix_and_a_quiet_one_is_read_past_a_busy_one() {
    let place = place();
    place.messaging.topic("other").configure(log()).unwrap();
    let mut quiet = place.messaging.tail("other", Position::Start).unwrap();
    for round in 0..20 {
        place.send_all("ledger", 0..300);
        place.send("other", &round);
        assert_eq!(rest(&mut quiet), [round]);
    }

    let mut busy = place.messaging.tail("ledger", Position::Start).unwrap();
    let mut again = place.messaging.tail("other", Position::Start).unwrap();

    assert_eq!(rest(&mut busy).len(), 6000);
    assert!(rest(&mut again).into_iter().eq(0..20));
}

#[test]
fn messages_of_several_topics_commit_together() {
    let place: Place = place();
    place.messaging.topic("other").configure(log()).unwrap();
    let sent = |fails: bool| {
        place.messaging.session(|session| {
            session.send_message("ledger", &1)?;
            session.send_message("other", &2)?;
            session.send_message("queue", &3)?;
            match fails {
                true => Err(HandlerError::failed("no")),
                false => Ok(()),
            }
        })
    };

    sent(true).unwrap_err();
    sent(false).unwrap();

    for (topic, number) in [("ledger", 1), ("other", 2)] {
        let mut tail = place.messaging.tail(topic, Position::Start).unwrap();
        assert_eq!(rest(&mut tail), [number]);
    }
    assert_eq!(place.handled::<i32>("queue"), [3]);
}
