//! Whatever settings a role or a database has, everything goes the same way.
//!
//! Every setting that a role can have is read from the server itself, so that a new one is met by
//! itself, and is given values that an administrator could have chosen. Nearly all are set at once,
//! in a few rounds in which each meets other values of the others; where something goes
//! differently, halves of them are, until the one to blame is found.

mod scenario;
mod values;

use crate::support::{PATIENCE, client, database, empty_database, next};
use outtray::{ErrorKind, Message, Messaging, NewMessage};
use postgres::Client;
use values::values;

/// A setting and its value, as SQL.
type Setting = (String, String);

/// A database whose settings change, and a connection that was there before them.
struct Bed {
    url: String,
    database: String,
    client: Client,
    is_pooler_safe: bool,
}

impl Bed {
    fn new(is_pooler_safe: bool) -> Bed {
        let url = empty_database();
        let (_, database) = url.rsplit_once('/').unwrap();
        Bed {
            database: database.to_owned(),
            client: client(&url),
            url,
            is_pooler_safe,
        }
    }

    /// Returns whether the server takes a setting.
    fn is_taken(&mut self, (name, value): &Setting) -> bool {
        let set = format!("ALTER DATABASE {} SET {name} = {value}", self.database);
        self.client.batch_execute(&set).is_ok()
    }

    fn set(&mut self, settings: &[Setting]) {
        let database = &self.database;
        let mut sql =
            format!("DROP SCHEMA IF EXISTS outtray CASCADE; ALTER DATABASE {database} RESET ALL;");
        for (name, value) in settings {
            sql.push_str(&format!("ALTER DATABASE {database} SET {name} = {value};"));
        }
        self.client.batch_execute(&sql).unwrap();
    }

    /// Returns what happens under these settings.
    fn run(&mut self, settings: &[Setting]) -> Vec<String> {
        self.set(settings);
        if self.is_pooler_safe {
            // Compiling the plans that other settings make look dear takes minutes, and is not what
            // is looked at.
            self.client
                .batch_execute(&format!("ALTER DATABASE {} SET jit = off", self.database))
                .unwrap();
        }
        scenario::run(&self.url, self.is_pooler_safe, &mut self.client)
    }

    /// Returns what each setting to blame changes.
    fn blame(&mut self, settings: &[Setting], expected: &[String]) -> Vec<String> {
        let seen = self.run(settings);
        if seen == expected {
            return Vec::new();
        }
        let mut pairs = seen.iter().zip(expected);
        let first = pairs.find(|(seen, expected)| seen != expected);
        if let [(name, value)] = settings {
            return vec![format!("{name} = {value}: {first:?}")];
        }
        let (left, right) = settings.split_at(settings.len() / 2);
        let mut found = self.blame(left, expected);
        if found.is_empty() {
            found = self.blame(right, expected);
        }
        if found.is_empty() {
            found.push(format!("only together: {settings:?}: {first:?}"));
        }
        found
    }

    /// Returns each setting that a role can have, with those of its values that the server takes.
    fn settings(&mut self) -> Vec<Vec<Setting>> {
        let query = "SELECT name, vartype, coalesce(enumvals, '{}'), min_val, max_val, reset_val
            FROM pg_settings WHERE context IN ('user', 'superuser') ORDER BY name";
        // The settings of its language are there once it was used.
        self.client.batch_execute("DO 'BEGIN END'").unwrap();
        let rows = self.client.query(query, &[]).unwrap();
        let mut settings = Vec::new();
        for row in rows {
            let name: String = row.get(0);
            let values = values(&row, self.is_pooler_safe);
            let mut values: Vec<_> = values
                .into_iter()
                .map(|value| (name.clone(), value))
                .collect();
            values.retain(|setting| self.is_taken(setting));
            settings.push(values);
        }
        settings
    }
}

/// Returns rounds of settings. In each of them a setting has another one of its values, or none;
/// neighbours begin at different ones, so that they do not always meet the same.
fn rounds(settings: &[Vec<Setting>]) -> Vec<Vec<Setting>> {
    let most = settings.iter().map(Vec::len).max().unwrap_or_default();
    let round = |round: usize| {
        let chosen = settings.iter().enumerate().filter_map(|(at, values)| {
            let turn = (round + at) % (values.len() + 1);
            values.get(turn).cloned()
        });
        chosen.collect()
    };
    (0..=most).map(round).collect()
}

fn check_every_setting(is_pooler_safe: bool) {
    let mut bed = Bed::new(is_pooler_safe);
    let settings = bed.settings();
    let tried: usize = settings.iter().map(Vec::len).sum();
    assert!(tried > 200, "only {tried} values were taken");
    let expected = bed.run(&[]);
    let failed = expected.iter().find(|line| line.contains("FAILED"));
    assert_eq!(failed, None);

    for settings in rounds(&settings) {
        let found = bed.blame(&settings, &expected);

        assert!(found.is_empty(), "{}", found.join("\n"));
    }
}

#[test]
fn everything_goes_the_same_way_under_every_setting_that_a_role_can_have() {
    check_every_setting(false);
}

#[test]
fn behind_a_pooler_where_nothing_is_set_everything_goes_the_same_way_too() {
    check_every_setting(true);
}

#[test]
fn everything_goes_the_same_way_for_a_role_that_only_reads_unless_told_otherwise() {
    let mut bed = Bed::new(false);
    let expected = bed.run(&[]);
    let read_only = [("default_transaction_read_only", "on")];
    let read_only = read_only.map(|(name, value)| (name.to_owned(), value.to_owned()));

    assert_eq!(bed.run(&read_only), expected);
}

#[test]
fn behind_a_pooler_a_role_that_only_reads_is_refused_with_a_reason() {
    let mut bed = Bed::new(true);
    bed.set(&[("default_transaction_read_only".to_owned(), "on".to_owned())]);
    let connect = |url: &str| Messaging::builder().url(url).pooler_safe(true).connect();

    let refused = connect(&bed.url).err().unwrap();

    assert_eq!(refused.kind(), ErrorKind::Configuration);
    let text = refused.to_string();
    assert!(text.contains("default_transaction_read_only"), "{text}");
    connect(&format!("{}?target_session_attrs=read-only", bed.url)).unwrap();
}

#[test]
fn what_the_url_says_about_reading_only_is_obeyed() {
    let url = database();
    let options = "?options=-c%20default_transaction_read_only%3Don";
    let send = |url: &str| {
        let message = NewMessage::json("jobs", &1).unwrap();
        Messaging::connect(url).unwrap().send(message)
    };

    let refused = send(&format!("{url}{options}")).err().unwrap();

    assert_eq!(refused.kind(), ErrorKind::Database);
    send(&url).unwrap();
}

#[test]
fn a_handler_that_leaves_its_session_read_only_stops_nobody() {
    let messaging = Messaging::connect(&database()).unwrap();
    messaging
        .session(|session| Ok(session.send_messages("jobs", 0..5)?))
        .unwrap();
    let (tell, told) = crossbeam_channel::unbounded();

    let receiver = messaging.receiver("jobs").workers(1);
    let receiver = receiver.start(move |session, message: Message<i32>| {
        session.batch_execute("SET default_transaction_read_only = on")?;
        Ok(tell.send(message.payload)?)
    });

    let mut handled = next(&told, 5);
    handled.sort_unstable();
    assert_eq!(handled, [0, 1, 2, 3, 4]);
    receiver.unwrap().stop(PATIENCE);
}
