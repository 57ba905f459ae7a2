//! The books of a test that breaks things: what was sent, what it did, what is left. The table
//! `effect` has no unique constraint, so that an effect that happened twice shows.

use super::{Child, Gate, database, eventually};
use crossbeam_channel::{Receiver as Told, unbounded};
use outtray::{HandlerError, Message, MessageId, Messaging, MessagingSession, Receiver};
use postgres::types::ToSql;
use postgres::{Client, NoTls};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::process::Command;

/// The topic that everything is sent to.
pub(crate) const WORK: &str = "work";
/// The topic that every handler sends one message on to.
pub(crate) const NEXT: &str = "next";

/// Tells a child process where the books are.
const DATABASE: &str = "OUTTRAY_TEST_DATABASE";

const TABLES: &str = "CREATE TABLE effect \
    (id uuid NOT NULL, worker integer NOT NULL, at timestamptz NOT NULL DEFAULT clock_timestamp())";

const LISTING: &str = "
    WITH done AS (SELECT id FROM effect),
    dead AS (SELECT id FROM outtray.dead_letter WHERE topic = 'work'),
    ended AS (SELECT id FROM done UNION ALL SELECT id FROM dead),
    next AS (SELECT (payload #>> '{}')::uuid AS id FROM outtray.message WHERE topic = 'next')
    SELECT
        (SELECT count(*) FROM done) AS done,
        (SELECT count(*) FROM dead) AS dead,
        (SELECT count(*) FROM (SELECT FROM ended GROUP BY id HAVING count(*) > 1) AS twice) AS twice,
        (SELECT count(*) FROM unnest($1::uuid[]) AS sent (id)
            WHERE id NOT IN (SELECT id FROM ended)) AS lost,
        (SELECT count(*) FROM ended WHERE id <> ALL ($1::uuid[]) AND id <> ALL ($2::uuid[])) AS from_nowhere,
        (SELECT count(*) FROM next) AS next,
        (SELECT count(*) FROM (SELECT FROM next GROUP BY id HAVING count(*) > 1) AS twice) AS next_twice,
        (SELECT count(*) FROM next WHERE id NOT IN (SELECT id FROM done)) AS next_from_nowhere";

/// The books of one database.
pub(crate) struct Ledger {
    url: String,
}

impl Ledger {
    /// Opens empty books in a fresh database of the shared server.
    pub(crate) fn open() -> Ledger {
        Ledger::of(database())
    }

    /// Opens empty books in the database `url`.
    pub(crate) fn of(url: String) -> Ledger {
        let ledger = Ledger { url };
        ledger.execute(TABLES);
        ledger
    }

    /// Returns the books that were opened in the database before it was at `url`.
    pub(crate) fn at(url: String) -> Ledger {
        Ledger { url }
    }

    pub(crate) fn messaging(&self) -> Messaging {
        Messaging::connect(&self.url).unwrap()
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Starts a child process that runs `test` as `role` and knows the database.
    pub(crate) fn child(&self, test: &str, role: &str) -> Child {
        self.start_child(Child::this_program(), test, role)
    }

    /// Like [`child`](Ledger::child), from a command that runs this program in some way.
    pub(crate) fn start_child(&self, mut program: Command, test: &str, role: &str) -> Child {
        program.env(DATABASE, &self.url);
        Child::start(program, test, role)
    }

    /// In the child: connects to the parent's database.
    pub(crate) fn messaging_of_parent() -> Messaging {
        Messaging::connect(&Ledger::url_of_parent()).unwrap()
    }

    /// In the child: returns where the parent's database is.
    pub(crate) fn url_of_parent() -> String {
        std::env::var(DATABASE).unwrap()
    }

    /// In a handler: has the effect of a message, and sends one on.
    pub(crate) fn enter<T>(
        session: &mut MessagingSession<'_>,
        message: &Message<T>,
    ) -> Result<(), HandlerError> {
        let worker = i32::try_from(std::process::id())?;
        session.execute(
            "INSERT INTO effect (id, worker) VALUES ($1, $2)",
            &[&message.id.as_uuid(), &worker],
        )?;
        session.send_message(NEXT, &message.id)?;
        Ok(())
    }

    /// Sends payloads to [`WORK`] in one session.
    pub(crate) fn send<T: Serialize>(
        &self,
        payloads: impl IntoIterator<Item = T>,
    ) -> Vec<MessageId> {
        self.messaging()
            .session(|session| Ok(session.send_messages(WORK, payloads)?))
            .unwrap()
    }

    /// Handles all that is left, in this process.
    pub(crate) fn handle_the_rest<T: DeserializeOwned + 'static>(&self) {
        let messaging = self.messaging();
        let receiver = messaging
            .start_receiving_messages(WORK, |session, message: Message<T>| {
                Ledger::enter(session, &message)
            })
            .unwrap();
        self.await_end();
        receiver.stop(super::PATIENCE);
    }

    /// Starts one worker that asks the database something, stops at the gate, and has the effect.
    pub(crate) fn start_at(messaging: &Messaging, gate: &Gate) -> Receiver {
        let gate = gate.clone();
        let receiver = messaging.receiver(WORK).workers(1);
        let receiver = receiver.messages_per_transaction(1);
        let started = receiver.start(move |session, message: Message<String>| {
            session.query_one("SELECT 1", &[])?;
            gate.pass();
            Ledger::enter(session, &message)
        });
        started.unwrap()
    }

    /// Starts a receiver that tells the id of each message.
    pub(crate) fn start_telling(messaging: &Messaging) -> (Receiver, Told<MessageId>) {
        let (tell, told) = unbounded();
        let handler = move |_: &mut MessagingSession<'_>, message: Message<String>| {
            Ok(tell.send(message.id)?)
        };
        let receiver = messaging.start_receiving_messages(WORK, handler);
        (receiver.unwrap(), told)
    }

    /// Waits until no message is ready, in work or scheduled.
    #[track_caller]
    pub(crate) fn await_end(&self) {
        eventually("every message was handled", || self.left() == 0);
    }

    pub(crate) fn left(&self) -> i64 {
        self.number(
            "SELECT (SELECT count(*) FROM outtray.message WHERE topic = 'work') \
                + (SELECT count(*) FROM outtray.scheduled WHERE topic = 'work') \
                + (SELECT count(*) FROM outtray.follower WHERE topic = 'work')",
            &[],
        )
    }

    pub(crate) fn number(&self, query: &str, params: &[&(dyn ToSql + Sync)]) -> i64 {
        self.client().query_one(query, params).unwrap().get(0)
    }

    pub(crate) fn execute(&self, sql: &str) {
        self.client().batch_execute(sql).unwrap();
    }

    /// A new connection each time: servers restart here.
    pub(crate) fn client(&self) -> Client {
        Client::connect(&self.url, NoTls).unwrap()
    }

    /// Closes the books: nothing is left; each message that was sent had its effect once, with one
    /// message sent on, or is a dead letter; each of the `unknown` at most; and nothing else had
    /// any. Returns the number of dead letters.
    #[track_caller]
    pub(crate) fn check(&self, sent: &[MessageId], unknown: &[MessageId]) -> i64 {
        let ids = |ids: &[MessageId]| ids.iter().map(MessageId::as_uuid).collect::<Vec<_>>();
        let row = self
            .client()
            .query_one(LISTING, &[&ids(sent), &ids(unknown)])
            .unwrap();
        let number = |name: &str| row.get::<_, i64>(name);
        for wrong in [
            "lost",
            "twice",
            "from_nowhere",
            "next_twice",
            "next_from_nowhere",
        ] {
            assert_eq!(number(wrong), 0, "{wrong}");
        }
        assert_eq!(self.left(), 0, "left");
        assert_eq!(
            number("next"),
            number("done"),
            "messages sent on, and effects"
        );
        let ended = number("done") + number("dead");
        let most = sent.len() + unknown.len();
        assert!((sent.len()..=most).contains(&usize::try_from(ended).unwrap()));
        number("dead")
    }
}
