//! A database of a test's own, with the message system in it.

mod ends;
mod jobs;
mod rows;
mod time;
mod watching;

pub(crate) use watching::await_lock_waits;

use super::{database, eventually};
use outtray::{DeadLetter, MessageId, Messaging, NewMessage, Rate, TopicConfig};
use postgres::{Client, Config, NoTls};
use serde::Serialize;
use std::time::Duration;

/// A database of a test's own: the message system as one process has it, and a plain connection.
pub(crate) struct Place {
    pub(crate) url: String,
    pub(crate) messaging: Messaging,
    pub(crate) client: Client,
}

/// A poll interval at which only notifications are in time.
pub(crate) const NO_POLLING: Duration = Duration::from_secs(60);

impl Place {
    /// Makes one with all defaults.
    pub(crate) fn new() -> Place {
        let url = database();
        Place::over(&url, Messaging::connect(&url).unwrap())
    }

    /// Makes one whose process asks this often whether it missed anything.
    pub(crate) fn polling(interval: Duration) -> Place {
        let url = database();
        Place::over(&url, process(&url, interval))
    }

    /// Makes one for tests that let time pass by moving rows, which nobody is told of.
    pub(crate) fn watchful() -> Place {
        Place::polling(Duration::from_millis(50))
    }

    pub(crate) fn over(url: &str, messaging: Messaging) -> Place {
        Place {
            url: url.to_owned(),
            messaging,
            client: client(url),
        }
    }

    /// Sends one message in a session of its own.
    pub(crate) fn send<T: Serialize + ?Sized>(&self, topic: &str, payload: &T) -> MessageId {
        send(&self.messaging, topic, payload)
    }

    /// Sends many messages in one session.
    pub(crate) fn send_all<T: Serialize>(
        &self,
        topic: &str,
        payloads: impl IntoIterator<Item = T>,
    ) {
        self.messaging
            .session(|session| Ok(session.send_messages(topic, payloads)?))
            .unwrap();
    }

    /// Sends one message with options in a session of its own.
    pub(crate) fn send_new(&self, message: NewMessage) -> MessageId {
        self.messaging
            .session(|session| Ok(session.send(message)?.id()))
            .unwrap()
    }

    /// Runs statements of the test.
    pub(crate) fn sql(&mut self, statements: &str) {
        self.client.batch_execute(statements).unwrap();
    }

    /// Counts what `FROM rows` gives.
    pub(crate) fn count(&mut self, rows: &str) -> i64 {
        let query = format!("SELECT count(*) FROM {rows}");
        self.client.query_one(&query, &[]).unwrap().get(0)
    }

    /// Waits until `FROM rows` gives so many, as long as they become more: a busy machine is slow.
    #[track_caller]
    pub(crate) fn await_growth(&mut self, rows: &str, expected: i64) {
        let mut seen = 0;
        while seen < expected {
            let before = seen;
            eventually(&format!("{rows} grows over {before}"), || {
                seen = self.count(rows);
                seen > before
            });
        }
    }

    /// Returns the one number that `query` gives.
    pub(crate) fn number(&mut self, query: &str) -> f64 {
        let query = format!("SELECT ({query})::float8");
        self.client.query_one(&query, &[]).unwrap().get(0)
    }

    /// Returns in how many seconds the only scheduled message is due.
    pub(crate) fn due_in(&mut self) -> f64 {
        self.number("SELECT extract(epoch FROM due_at - clock_timestamp()) FROM outtray.scheduled")
    }

    /// Lets the time pass until every scheduled message is due.
    pub(crate) fn make_due(&mut self) {
        self.sql("UPDATE outtray.scheduled SET due_at = now()");
    }

    /// Returns the server process that listens for notifications, once there is one.
    pub(crate) fn await_listener(&mut self) -> i32 {
        let query = "SELECT pid FROM pg_stat_activity
            WHERE datname = current_database() AND state = 'idle' AND query LIKE 'LISTEN %'";
        let mut listener = None;
        eventually("somebody listens", || {
            let found = self.client.query_opt(query, &[]).unwrap();
            listener = found.map(|row| row.get(0));
            listener.is_some()
        });
        listener.unwrap()
    }

    /// Waits until so many processes listen for notifications.
    pub(crate) fn await_listeners(&mut self, count: i64) {
        eventually("all of them listen", || {
            self.count(
                "pg_stat_activity
                    WHERE datname = current_database() AND state = 'idle' AND query LIKE 'LISTEN %'",
            ) == count
        });
    }

    pub(crate) fn is_empty(&self, topic: &str) -> bool {
        self.messaging.topic(topic).is_empty().unwrap()
    }

    pub(crate) fn dead_letters(&self, topic: &str) -> Vec<DeadLetter> {
        self.messaging.topic(topic).dead_letters(100).unwrap()
    }
}

/// Has a topic be suspect, as if a process had died at it.
pub(crate) fn make_suspect(client: &mut Client, topic: &str) {
    let text = "INSERT INTO outtray.topic (topic, suspect_until) VALUES ($1, now() + interval '4 minutes')";
    client.execute(text, &[&topic]).unwrap();
}

/// Returns settings by which each key has a rate that it does not use up.
pub(crate) fn rated_keys() -> TopicConfig {
    let rate = Rate {
        messages: 100,
        per: Duration::from_secs(1),
        burst: 10,
    };
    TopicConfig {
        rate_per_key: Some(rate),
        ..TopicConfig::default()
    }
}

/// Connects another process, as far as the database can tell, to the same messages.
pub(crate) fn process(url: &str, poll_interval: Duration) -> Messaging {
    Messaging::builder()
        .url(url)
        .poll_interval(poll_interval)
        .connect()
        .unwrap()
}

/// Connects a process that hears no notifications.
pub(crate) fn deaf_process(url: &str, poll_interval: Duration) -> Messaging {
    let deaf = Messaging::builder().url(url).notify(false);
    deaf.poll_interval(poll_interval).connect().unwrap()
}

pub(crate) fn client(url: &str) -> Client {
    Client::connect(url, NoTls).unwrap()
}

pub(crate) fn send<T: Serialize + ?Sized>(
    messaging: &Messaging,
    topic: &str,
    payload: &T,
) -> MessageId {
    messaging
        .session(|session| Ok(session.send_message(topic, payload)?))
        .unwrap()
}

/// Returns the way to the same database by the server's socket file.
pub(crate) fn by_socket(url: &str) -> String {
    let folder: String = client(url)
        .query_one("SHOW unix_socket_directories", &[])
        .unwrap()
        .get(0);
    let config: Config = url.parse().unwrap();
    let password = String::from_utf8(config.get_password().unwrap_or_default().to_vec()).unwrap();
    format!(
        "host='{folder}' port={} user='{}' password='{password}' dbname='{}'",
        config.get_ports()[0],
        config.get_user().unwrap(),
        config.get_dbname().unwrap()
    )
}
