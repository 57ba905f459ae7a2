//! What the server logs of statements that it refuses. Its messages and their DETAIL are its own;
//! these say nothing.

use super::{CANARY, check_silent};
use crate::support::{PATIENCE, Place, eventually};
use outtray::testing::Server;
use outtray::{Backoff, HandlerError, Message, Messaging, MessagingSession, NewMessage};
use serde_json::json;
use std::fs;
use std::time::Duration;

/// Refuses, and says nothing of what: rows of a handler's, at once and at COMMIT; messages of one
/// topic; results; dead letters.
const REFUSALS: &str = "
    CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'refused here'; END $$;
    CREATE TABLE at_once (name text, data bytea, number bigint);
    CREATE TRIGGER refuse BEFORE INSERT ON at_once FOR EACH ROW EXECUTE FUNCTION refuse();
    CREATE TABLE at_commit (name text);
    CREATE CONSTRAINT TRIGGER refuse AFTER INSERT ON at_commit DEFERRABLE INITIALLY DEFERRED
        FOR EACH ROW EXECUTE FUNCTION refuse();
    CREATE TRIGGER refuse BEFORE INSERT ON outtray.message FOR EACH ROW
        WHEN (NEW.topic = 'refused') EXECUTE FUNCTION refuse();
    CREATE TRIGGER refuse BEFORE INSERT ON outtray.lane FOR EACH ROW
        WHEN (NEW.topic = 'refused') EXECUTE FUNCTION refuse();
    CREATE TRIGGER refuse BEFORE UPDATE ON outtray.outcome FOR EACH ROW EXECUTE FUNCTION refuse();
    CREATE TRIGGER refuse BEFORE INSERT ON outtray.dead_letter FOR EACH ROW
        WHEN (NEW.topic LIKE 'unburied%') EXECUTE FUNCTION refuse();
    CREATE TRIGGER refuse BEFORE INSERT ON outtray.dedupe FOR EACH ROW EXECUTE FUNCTION refuse()";

/// Too long to be part of a random name of a folder.
const NUMBER: i64 = 471_104_711_047_110;

type Refused = fn(&mut MessagingSession<'_>) -> Result<(), HandlerError>;

/// What handlers and sessions do that is refused.
const WAYS: &[(&str, Refused)] = &[
    ("a row", |session| {
        let sql = "INSERT INTO at_once VALUES ($1, $2, $3)";
        session.execute(sql, &[&CANARY, &CANARY.as_bytes(), &NUMBER])?;
        Ok(())
    }),
    ("a row at commit", |session| {
        session.execute("INSERT INTO at_commit VALUES ($1)", &[&CANARY])?;
        session.send(message("sent"))?;
        Ok(())
    }),
    ("a message", |session| {
        session.query("SELECT 1", &[])?;
        session.send(NewMessage::json("refused", &json!(CANARY))?.header("by", CANARY))?;
        Ok(())
    }),
    ("bytes", |session| {
        session.query("SELECT 1", &[])?;
        session.send(NewMessage::bytes("refused", CANARY))?;
        Ok(())
    }),
    ("a message with a key", |session| {
        session.query("SELECT 1", &[])?;
        session.send(message("refused"))?;
        Ok(())
    }),
    ("a dedupe key", |session| {
        session.send(NewMessage::bytes("sent", [1]).dedupe(CANARY, Duration::from_secs(60)))?;
        Ok(())
    }),
];

fn message(topic: &str) -> NewMessage {
    let message = NewMessage::json(topic, &json!({ "name": CANARY })).unwrap();
    message.key(CANARY).header("by", CANARY)
}

/// Has all of it refused, by handlers and in sessions.
fn be_refused(messaging: &Messaging) {
    for (number, (way, work)) in WAYS.iter().enumerate() {
        for _ in 0..3 {
            messaging.session(work).expect_err(way);
        }
        for lease in [false, true] {
            let topic = format!("work-{number}-{lease}");
            for n in 0..4 {
                messaging
                    .send(NewMessage::json(&topic, &n).unwrap())
                    .unwrap();
            }
            let receiver = messaging.receiver(&topic).workers(1).max_attempts(1);
            let receiver = match lease {
                true => receiver.lease(Duration::from_secs(60)),
                false => receiver,
            };
            let work = *work;
            let receiver = receiver
                .start(move |session, _: Message<i32>| work(session))
                .unwrap();
            let dead = || messaging.topic(&topic).dead_letters(10).unwrap().len();
            eventually(way, || dead() == 4);
            receiver.stop(PATIENCE);
        }
    }
}

/// Has the ends of messages refused: results, and errors that are to be kept.
fn be_refused_at_the_end(messaging: &Messaging, refusals: impl Fn() -> usize) {
    for lease in [false, true] {
        let topics = [format!("unrecorded-{lease}"), format!("unburied-{lease}")];
        let before = refusals();
        let mut receivers = Vec::new();
        for topic in &topics {
            messaging.send(message(topic).tracked()).unwrap();
            let receiver = messaging
                .receiver(topic.as_str())
                .workers(1)
                .max_attempts(1);
            let receiver = match lease {
                true => receiver.lease(Duration::from_secs(60)),
                false => receiver.backoff(Backoff::fixed(Duration::from_secs(1))),
            };
            let fails = topic.starts_with("unburied");
            let handler = move |session: &mut MessagingSession<'_>,
                                _: Message<serde_json::Value>| {
                session.query("SELECT 1", &[])?;
                session.record_result(CANARY)?;
                match fails {
                    true => Err(HandlerError::reject(CANARY)),
                    false => Ok(()),
                }
            };
            receivers.push(receiver.start(handler).unwrap());
        }
        eventually("both were refused", || refusals() > before + 1);
        for receiver in receivers {
            receiver.stop(Duration::from_secs(1));
        }
    }
}

fn check(is_pooler_safe: bool) {
    let server = Server::builder().always_embedded().start().unwrap();
    let url = server.database().unwrap();
    let mut place = Place::over(&url, Messaging::connect(&url).unwrap());
    place.sql(REFUSALS);
    let messaging = Messaging::builder()
        .url(&url)
        .pooler_safe(is_pooler_safe)
        .poll_interval(Duration::from_millis(100))
        .connect()
        .unwrap();

    let log = server.data_dir().unwrap().parent().unwrap().join("log");
    let log = || fs::read_to_string(&log).unwrap();
    let refusals = || log().matches("refused here").count();

    be_refused(&messaging);
    be_refused_at_the_end(&messaging, refusals);

    let log = log();
    let refused = refusals();
    assert!(refused > 3 * 3 * WAYS.len(), "{refused} refusals in {log}");
    let number = NUMBER.to_string();
    let hex: String = CANARY.bytes().map(|byte| format!("{byte:02x}")).collect();
    for line in log.lines() {
        check_silent("the server's log", line);
        assert!(!line.contains(&hex) && !line.contains(&number), "{line}");
    }
}

#[test]
fn the_server_logs_no_value_of_what_it_refuses() {
    check(false);
}

#[test]
fn the_server_logs_no_value_of_what_it_refuses_behind_a_pooler() {
    check(true);
}
