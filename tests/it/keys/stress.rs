//! Threads that send, roll back, handle and fail, with few keys: all is handled once and in order.

use super::{TOPIC, keyed};
use crate::support::{PATIENCE, Place, client, eventually, pass_time, process};
use outtray::{Backoff, ErrorKind, HandlerError, Message, MessagingSession};
use std::thread;
use std::time::{Duration, Instant};

const KEYS: usize = 6;
const SENDERS: usize = 4;
const FOR: Duration = Duration::from_secs(5);

/// Sends with random keys until the time is over: in sessions and in joined transactions of both
/// kinds.
fn send_for_a_while(url: &str, until: Instant) {
    let messaging = process(url, Duration::from_millis(50));
    let mut client = client(url);
    while Instant::now() < until {
        let key = fastrand::usize(..KEYS);
        let is_old = fastrand::u8(..4) == 0;
        let level = match is_old {
            true => postgres::IsolationLevel::RepeatableRead,
            false => postgres::IsolationLevel::ReadCommitted,
        };
        let mut open = client
            .build_transaction()
            .isolation_level(level)
            .start()
            .unwrap();
        let sent = (|| {
            let mut session = MessagingSession::join(&messaging, &mut open)?;
            let name = format!("key-{key}");
            for _ in 0..fastrand::usize(1..4) {
                session.send(keyed(&name, 0))?;
            }
            if fastrand::u8(..3) == 0 {
                let pause = fastrand::u64(..20_000);
                pass_time(Duration::from_micros(pause));
            }
            Ok::<(), outtray::Error>(())
        })();
        match sent {
            Ok(()) if fastrand::u8(..10) > 0 => open.commit().unwrap(),
            Ok(()) => open.rollback().unwrap(),
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Conflict, "{error:?}");
                open.rollback().unwrap();
            }
        }
    }
}

#[test]
fn random_sends_failures_and_rollbacks_leave_every_key_in_order_and_nothing_behind() {
    let mut place = Place::watchful();
    let elsewhere = process(&place.url, Duration::from_millis(50));
    place.sql("CREATE TABLE step (n bigserial, key text, seq bigint, id uuid)");
    // What was sent, in the order of the key's lock: both tables a message can be stored in.
    place.sql(
        "CREATE TABLE sent (n bigserial, key text, id uuid);
        CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
            IF NOT EXISTS (SELECT FROM sent WHERE id = NEW.id) THEN
                INSERT INTO sent (key, id) VALUES (NEW.key, NEW.id);
            END IF;
            RETURN NULL;
        END $$;
        CREATE INDEX sent_id ON sent (id);
        CREATE TRIGGER note AFTER INSERT ON outtray.message FOR EACH ROW EXECUTE FUNCTION note();
        CREATE TRIGGER note AFTER INSERT ON outtray.follower FOR EACH ROW EXECUTE FUNCTION note()",
    );
    let receivers = [&place.messaging, &elsewhere].map(|messaging| {
        messaging
            .receiver(TOPIC)
            .workers(4)
            .max_attempts(1000)
            .backoff(Backoff::fixed(Duration::from_millis(3)))
            .start(|session, message: Message<i32>| {
                session.execute(
                    "INSERT INTO step (key, id) VALUES ($1, $2)",
                    &[&message.key, &message.id.as_uuid()],
                )?;
                match fastrand::u8(..10) {
                    0 => Err(HandlerError::failed("again")),
                    1 => Err(HandlerError::snooze(Duration::from_millis(2))),
                    _ => Ok(()),
                }
            })
            .unwrap()
    });

    let (url, until) = (place.url.clone(), Instant::now() + FOR);
    thread::scope(|scope| {
        for _ in 0..SENDERS {
            scope.spawn(|| send_for_a_while(&url, until));
        }
    });

    eventually("all handled", || place.is_empty(TOPIC));
    // Who ends the last message of a key may meet upkeep at its lane, which comes once more then.
    eventually("nobody is to look after a key", || {
        place.count("outtray.stalled") == 0
    });
    for receiver in receivers {
        receiver.stop(PATIENCE);
    }
    assert_eq!(place.dead_letters(TOPIC).len(), 0);
    let sent = place.count("sent");
    assert!(sent > 200, "{sent}");
    assert_eq!(place.count("step"), sent, "each once");
    let wrong = "(SELECT sent.n, lag(sent.n) OVER (PARTITION BY step.key ORDER BY step.n) AS before
        FROM step JOIN sent USING (id)) AS steps WHERE before > n";
    assert_eq!(place.count(wrong), 0, "out of order");
    for table in ["lane", "follower", "stalled"] {
        assert_eq!(place.count(&format!("outtray.{table}")), 0, "{table}");
    }
}
