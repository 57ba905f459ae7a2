//! Whoever ends a message removes exactly what it holds, or nothing of it happened: a DELETE that
//! removes no row is a success to the server.

use crate::support::{PATIENCE, Place, eventually};
use outtray::{
    BatchMessage, DeadReason, ErrorKind, HandlerError, Message, MessagingSession, NewMessage,
    Receiver, ReceiverBuilder,
};
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::Duration;

/// Keeps the rows of the messages in `kept`, as what was never heard of: a DELETE skips them
/// without a word.
const KEEP: &str = "
    CREATE TABLE effect (n integer);
    CREATE TABLE kept (id uuid);
    CREATE FUNCTION keep() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        IF EXISTS (SELECT FROM kept WHERE kept.id = OLD.id) THEN RETURN NULL; END IF;
        RETURN OLD;
    END $$;
    CREATE TRIGGER keep BEFORE DELETE ON outtray.message FOR EACH ROW EXECUTE FUNCTION keep();";

/// The one whose row is kept, of twelve.
const KEPT: i32 = 3;

struct Kept {
    place: Place,
}

impl Kept {
    fn new(message: impl Fn(i32) -> NewMessage) -> Kept {
        let mut place = Place::watchful();
        place.sql(KEEP);
        for n in 0..12 {
            let id = place.send_new(message(n));
            if n == KEPT {
                place.sql(&format!("INSERT INTO kept VALUES ('{id}')"));
            }
        }
        Kept { place }
    }

    fn receiver(&self) -> ReceiverBuilder<'_> {
        self.place.messaging.receiver("jobs").workers(2)
    }

    /// Waits until all others are done and the kept one was tried, lets that go, and waits until it
    /// is done too.
    #[track_caller]
    fn check(mut self, receiver: Receiver, others: i64) {
        eventually("the others are done", || {
            self.place.count("effect") >= others
        });
        eventually("it was tried", || {
            self.place.number("SELECT last_value FROM tried") >= 3.0
        });
        assert_eq!(self.place.count(&format!("effect WHERE n = {KEPT}")), 0);
        assert_eq!(self.place.count("outtray.message"), 12 - others);

        self.place.sql("DELETE FROM kept");
        eventually("all are done", || self.place.is_empty("jobs"));
        receiver.stop(PATIENCE);

        assert_eq!(self.place.count("effect"), 12);
        assert_eq!(
            self.place.count("(SELECT DISTINCT n FROM effect) AS once"),
            12
        );
        assert_eq!(self.place.count("outtray.dead_letter"), 0);
    }
}

fn plain(n: i32) -> NewMessage {
    NewMessage::json("jobs", &n).unwrap()
}

fn note(session: &mut MessagingSession<'_>, n: i32) -> Result<(), HandlerError> {
    if n == KEPT {
        session.query("SELECT nextval('tried')", &[])?;
    }
    session.execute("INSERT INTO effect VALUES ($1)", &[&n])?;
    Ok(())
}

#[track_caller]
fn check(
    message: impl Fn(i32) -> NewMessage,
    set: impl Fn(ReceiverBuilder<'_>) -> ReceiverBuilder<'_>,
    others: i64,
) {
    let mut kept = Kept::new(message);
    kept.place.sql("CREATE SEQUENCE tried");
    let receiver = set(kept.receiver())
        .start(|session, message: Message<i32>| note(session, message.payload))
        .unwrap();

    kept.check(receiver, others);
}

#[test]
fn a_message_whose_row_stays_has_no_effects_and_holds_up_no_other() {
    check(plain, |receiver| receiver.messages_per_transaction(1), 11);
    check(plain, |receiver| receiver, 11);
    check(plain, |receiver| receiver.messages_per_transaction(8), 11);
}

#[test]
fn of_tracked_and_keyed_messages_it_is_the_same() {
    check(|n| plain(n).tracked(), |receiver| receiver, 11);
    check(|n| plain(n).key(n.to_string()), |receiver| receiver, 11);
}

#[test]
fn in_strict_order_what_comes_after_it_waits() {
    check(plain, |receiver| receiver.strict_order(), i64::from(KEPT));
}

#[test]
fn a_batch_with_a_message_whose_row_stays_is_handled_without_it() {
    let mut kept = Kept::new(plain);
    kept.place.sql("CREATE SEQUENCE tried");
    let receiver = kept
        .receiver()
        .start_batches(6, |session, batch: &[BatchMessage<i32>]| {
            batch
                .iter()
                .try_for_each(|message| note(session, message.payload))
        })
        .unwrap();

    kept.check(receiver, 11);
}

#[test]
fn what_cannot_be_retried_or_buried_is_tried_again_without_harm_to_others() {
    for is_rejected in [false, true] {
        let mut kept = Kept::new(plain);
        kept.place.sql("CREATE SEQUENCE tried");
        let receiver = kept
            .receiver()
            .max_attempts(1)
            .start(move |session, message: Message<i32>| {
                note(session, message.payload)?;
                match message.payload {
                    KEPT if is_rejected => Err(HandlerError::reject("no")),
                    KEPT => Err(HandlerError::retry_after(Duration::ZERO)),
                    _ => Ok(()),
                }
            })
            .unwrap();
        eventually("the others are done", || kept.place.count("effect") == 11);
        eventually("it was tried", || {
            kept.place.number("SELECT last_value FROM tried") >= 3.0
        });
        assert_eq!(kept.place.count("outtray.dead_letter"), 0);
        assert_eq!(kept.place.count("outtray.scheduled"), 0);
        assert_eq!(kept.place.count("outtray.message WHERE attempts = 0"), 1);

        kept.place.sql("DELETE FROM kept");
        eventually("it is dead", || {
            kept.place.count("outtray.dead_letter") == 1
        });
        receiver.stop(PATIENCE);

        assert_eq!(kept.place.count("effect"), 11);
        assert_eq!(kept.place.count("outtray.message"), 0);
    }
}

#[test]
fn one_that_is_to_be_given_up_and_whose_row_stays_once_is_not_handled_instead() {
    let mut kept = Kept::new(plain);
    kept.place.sql(
        "CREATE SEQUENCE times;
        CREATE OR REPLACE FUNCTION keep() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
            IF EXISTS (SELECT FROM kept WHERE kept.id = OLD.id) AND nextval('times') = 1 THEN
                RETURN NULL;
            END IF;
            RETURN OLD;
        END $$",
    );
    let messaging = kept.place.messaging.clone();
    let runs = AtomicU32::new(0);
    let receiver = kept
        .receiver()
        .start(move |session, message: Message<i32>| {
            if message.payload == KEPT && runs.fetch_add(1, Relaxed) == 0 {
                messaging.cancel(message.id)?;
                return Err("to be given up".into());
            }
            session.execute("INSERT INTO effect VALUES ($1)", &[&message.payload])?;
            Ok(())
        });

    eventually("nothing is left", || kept.place.is_empty("jobs"));

    receiver.unwrap().stop(PATIENCE);
    assert!(kept.place.number("SELECT last_value FROM times") >= 2.0);
    assert_eq!(kept.place.count(&format!("effect WHERE n = {KEPT}")), 0);
    assert_eq!(kept.place.count("effect"), 11);
    assert_eq!(kept.place.count("outtray.dead_letter"), 0);
}

#[test]
fn a_drain_leaves_it_and_ends() {
    let mut kept = Kept::new(plain);
    kept.place.sql("CREATE SEQUENCE tried");

    let drained = kept
        .place
        .messaging
        .drain("jobs", |session, message: Message<i32>| {
            note(session, message.payload)
        });

    assert_eq!(drained.unwrap().handled, 11);
    assert_eq!(
        (
            kept.place.count("effect"),
            kept.place.count("outtray.message")
        ),
        (11, 1)
    );
}

/// The same for rows of messages under leases.
fn leased(message: impl Fn(i32) -> NewMessage) -> Kept {
    let mut kept = Kept::new(message);
    kept.place.sql(
        "CREATE SEQUENCE tried; DROP TRIGGER keep ON outtray.message;
        CREATE TRIGGER keep BEFORE DELETE ON outtray.scheduled FOR EACH ROW WHEN (OLD.due_at > clock_timestamp())
            EXECUTE FUNCTION keep()",
    );
    kept
}

#[test]
fn a_lease_whose_row_stays_is_lost_and_what_its_handler_wrote_with_it() {
    for is_tracked in [false, true] {
        let mut kept = leased(|n| match is_tracked {
            true => plain(n).tracked(),
            false => plain(n),
        });
        let receiver = kept
            .receiver()
            .lease(Duration::from_secs(1))
            .start(|session, message: Message<i32>| note(session, message.payload))
            .unwrap();
        eventually("the others are done", || kept.place.count("effect") >= 11);
        eventually("it was tried", || {
            kept.place.number("SELECT last_value FROM tried") >= 2.0
        });
        assert_eq!(kept.place.count(&format!("effect WHERE n = {KEPT}")), 0);
        assert_eq!(
            kept.place.count("outtray.outcome WHERE state = 'pending'"),
            i64::from(is_tracked)
        );

        kept.place.sql("DELETE FROM kept");
        eventually("all are done", || {
            // It waits twice as long each time, for as long as all of this took.
            kept.place
                .sql("UPDATE outtray.scheduled SET due_at = now() WHERE receipt IS NULL");
            kept.place.is_empty("jobs")
        });
        receiver.stop(PATIENCE);
        assert_eq!(kept.place.count("effect"), 12);
    }
}

#[test]
fn a_tracked_delivery_by_hand_that_cannot_be_settled_says_so() {
    let mut kept = leased(|n| plain(n).tracked());
    let topic = kept.place.messaging.topic("jobs");
    let deliveries = topic
        .receive_batch::<i32>(12, Duration::from_secs(600))
        .unwrap();
    let stuck = deliveries
        .iter()
        .find(|delivery| delivery.payload == KEPT)
        .unwrap();

    for settled in [stuck.ack(), stuck.nack(), stuck.reject("no")] {
        let kind = settled.unwrap_err().kind();
        assert!(
            matches!(kind, ErrorKind::Conflict | ErrorKind::LeaseLost),
            "{kind:?}"
        );
    }

    assert_eq!(
        kept.place.count("outtray.outcome WHERE state = 'pending'"),
        12
    );
    assert_eq!(kept.place.count("outtray.scheduled"), 12);
    assert_eq!(
        kept.place.count("outtray.message") + kept.place.count("outtray.dead_letter"),
        0
    );
    kept.place.sql("DELETE FROM kept");
    stuck.reject("no").unwrap();
    assert_eq!(
        kept.place.dead_letters("jobs")[0].reason,
        DeadReason::Rejected
    );
}
