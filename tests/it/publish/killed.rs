//! Publishers are killed and the server restarts: of each message there are all copies or none.

use crate::support::{Child, Ledger, eventually, test_name};
use crossbeam_channel::unbounded;
use outtray::testing::Server;
use outtray::{Messaging, NewMessage};
use std::collections::BTreeSet;
use std::time::Duration;

const CHILD: &str = test_name!(what_publishers_do_until_they_are_killed);
const SUBSCRIPTIONS: i64 = 50;
const PUBLISHERS: usize = 3;
const ROUNDS: usize = 3;

/// Of what was told to be committed nothing is missing, and of everything there are all copies or
/// none, none twice.
const WRONG: &str = "
    SELECT count(*) FROM (
        SELECT FROM (
            SELECT payload #>> '{}' AS number, topic FROM outtray.message
            UNION ALL SELECT payload #>> '{}', topic FROM outtray.scheduled
        ) AS copy
        GROUP BY copy.number
        HAVING count(*) <> 50 OR count(DISTINCT copy.topic) <> 50
    ) AS wrong";

#[test]
fn there_are_all_copies_or_none_whatever_dies() {
    let server = Server::builder().always_embedded().start().unwrap();
    let ledger = Ledger::of(server.database().unwrap());
    ledger.execute(
        "INSERT INTO outtray.subscription (topic, pattern)
            SELECT 't' || n, CASE n % 3 WHEN 0 THEN 'orders.*' WHEN 1 THEN '#' ELSE 'orders.created' END
            FROM generate_series(1, 50) AS n;
        INSERT INTO outtray.subscription_version VALUES ('', gen_random_uuid())",
    );
    let (tell, told) = unbounded();
    for round in 0..ROUNDS {
        let publishers: Vec<Child> = (0..PUBLISHERS)
            .map(|publisher| {
                let mut child = ledger.child(CHILD, &format!("{round}-{publisher}"));
                child.listen();
                child.pass_on(tell.clone());
                child
            })
            .collect();
        let before = told.len();
        eventually("all of them publish", || told.len() > before + 40);
        if round % 2 == 1 {
            server.restart_immediately().unwrap();
            let before = told.len();
            eventually("they publish again", || told.len() > before + 20);
        }
        publishers.into_iter().for_each(Child::kill);
    }
    eventually("the killed are gone", || {
        ledger.number(
            "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'outtray'",
            &[],
        ) == 0
    });

    let committed: BTreeSet<String> = told.try_iter().collect();
    let stored = "SELECT DISTINCT payload #>> '{}' FROM outtray.message";
    let rows = ledger.client().query(stored, &[]).unwrap();
    let stored: BTreeSet<String> = rows.iter().map(|row| row.get(0)).collect();
    let missing: Vec<&String> = committed.difference(&stored).collect();
    assert!(committed.len() > 100 && missing.is_empty(), "{missing:?}");
    assert_eq!(ledger.number(WRONG, &[]), 0, "of some there is a part");
}

#[test]
fn what_publishers_do_until_they_are_killed() {
    let Some(role) = Child::role() else {
        return;
    };
    let messaging: Messaging = Ledger::messaging_of_parent();
    Child::tell("begun");
    for number in 0.. {
        let name = format!("{role}-{number}");
        let published = match number % 3 {
            0 => messaging.publish("orders.created", &name),
            1 => messaging.session(|session| {
                session.execute("SELECT 1", &[])?;
                Ok(session.publish("orders.created", &name)?)
            }),
            // One topic's copies after the other's.
            _ => messaging.session(|session| {
                let keyed = NewMessage::json("", &name)?.key(&name);
                Ok(session.publish_message("orders.created", keyed)?)
            }),
        };
        match published {
            Ok(published) => {
                assert_eq!(published.copies as i64, SUBSCRIPTIONS);
                Child::tell(&name);
            }
            // The server restarts; whatever became of it, all of it did.
            Err(_) => crate::support::pass_time(Duration::from_millis(20)),
        }
    }
}
