//! The log as it is really read, by a process that lives just for that.

use super::op::{LOG, TOPICS};
use super::real::Real;
use super::seen::Seen;
use super::sending::label;
use super::spreading::DIVISOR;
use crate::support::{PATIENCE, eventually, process};
use outtray::{ErrorKind, HandlerError, Message, Messaging, MessagingSession, Position, Receiver};
use std::sync::Arc;
use std::time::Duration;

/// The reader, and the topic in which its dead letters are.
const READER: &str = "reader";
pub(super) const ASIDE: &str = "story@reader";

/// What the handler of the reader writes, in the order in which it does.
pub(super) const EFFECTS: &str = "CREATE TABLE effect (at bigserial, label bigint NOT NULL)";

/// Smaller than what is there to read at times.
const BATCH: usize = 3;

/// Soon enough for a process that lives for a moment.
const POLLING: Duration = Duration::from_millis(20);

const EXPIRED: &str = "(
    SELECT expires_at FROM outtray.message UNION ALL SELECT expires_at FROM outtray.follower
    UNION ALL SELECT expires_at FROM outtray.scheduled WHERE receipt IS NULL
    ) AS message WHERE expires_at <= now()";

/// Whether the place is behind all that there is.
const IS_AT_END: &str = "SELECT NOT outtray.log_has_news('story') AND NOT EXISTS (
        SELECT FROM outtray.log_place
        WHERE topic = 'story' AND tick <= (SELECT max(tick) FROM outtray.log_tick WHERE topic = 'story')
    )";

/// How many entries came to their end since some time.
const ENDED: &str = "SELECT (SELECT count(*) FROM effect)
    + (SELECT count(*) FROM outtray.dead_letter WHERE topic = 'story@reader' AND died_at > $1::text::timestamptz)";

/// Moves the end of what is over out of the way of a process that is to read, and back.
const LATER: [&str; 2] = [
    "+ interval '9999 days' WHERE expires_at <= now()",
    "- interval '9999 days' WHERE expires_at > now() + interval '9000 days'",
];

impl Real {
    /// Lets a process run until it took out all that is expired and that nobody has in hand.
    pub(super) fn take_out_expired(&mut self) {
        let process = process(&self.place.url, POLLING);
        let nobody = |_: &mut MessagingSession<'_>, _: outtray::Message| Ok(());
        let receiver = process.receiver("nobody").workers(1).start(nobody).unwrap();
        eventually("what expired is gone, and what it held up", || {
            self.place.count(EXPIRED) + self.place.count("outtray.stalled") == 0
        });
        receiver.stop(PATIENCE);
    }

    /// Lets a process run until it read the log, and take out nothing.
    pub(super) fn read(&mut self, rejects: Option<usize>) -> Seen {
        self.move_ends(LATER[0]);
        let entries = self.place.count("outtray.log_entry");
        let unread = entries - self.entries_read;
        let now = "SELECT clock_timestamp()::text";
        let since: String = self.place.client.query_one(now, &[]).unwrap().get(0);
        let process = process(&self.place.url, POLLING);
        let receiver = self.start_reader(&process, rejects);
        let client = &mut self.place.client;
        eventually("the log is read", || {
            let ended: i64 = client.query_one(ENDED, &[&since]).unwrap().get(0);
            ended >= unread || client.query_one(IS_AT_END, &[]).unwrap().get(0)
        });
        receiver.stop(PATIENCE);
        drop(process);
        self.move_ends(LATER[1]);
        self.entries_read = entries;
        Seen {
            read: self.effects(),
            ..Seen::default()
        }
    }

    fn start_reader(&self, process: &Messaging, rejects: Option<usize>) -> Receiver {
        let ids = Arc::clone(&self.ids);
        let reader = process.reader(TOPICS[LOG], READER).batch_size(BATCH);
        let started = reader.start(move |session, entries: &[Message<usize>]| {
            for entry in entries {
                let label = label(&ids, entry.id);
                session.execute("INSERT INTO effect (label) VALUES ($1)", &[&(label as i64)])?;
                if rejects == Some(label % DIVISOR) {
                    return Err(HandlerError::reject("as scripted"));
                }
            }
            Ok(())
        });
        started.unwrap()
    }

    fn move_ends(&mut self, how: &str) {
        let tables = ["message", "scheduled", "follower"];
        let moves =
            tables.map(|table| format!("UPDATE outtray.{table} SET expires_at = expires_at {how}"));
        self.place.sql(&moves.join(";"));
    }

    /// Takes what the handler did and kept.
    fn effects(&mut self) -> Vec<usize> {
        let sql = "SELECT label FROM effect ORDER BY at";
        let rows = self.place.client.query(sql, &[]).unwrap();
        self.place.sql("DELETE FROM effect");
        let labels = rows.iter().map(|row| row.get::<_, i64>(0));
        labels
            .map(|label| usize::try_from(label).unwrap())
            .collect()
    }

    pub(super) fn rewind(&mut self) -> Seen {
        match self.topic(LOG).seek(READER, Position::Start) {
            Ok(_) => {
                self.entries_read = 0;
                Seen::is_new(true)
            }
            Err(error) if error.kind() == ErrorKind::Invalid => Seen::is_new(false),
            Err(error) => panic!("{error}"),
        }
    }
}
