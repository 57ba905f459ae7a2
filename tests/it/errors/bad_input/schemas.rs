//! Databases whose schema is missing, of another release, or out of bounds for the role that asks.

use super::{Row, check_all, row};
use crate::support::{MINUTE, database, empty_database};
use outtray::ErrorKind::{Denied, SchemaMissing, SchemaNewer};
use outtray::{ErrorKind, Message, Messaging, NewMessage, Result, TopicConfig};
use postgres::{Client, NoTls};
use serde_json::Value;

type Verb = (&'static str, fn(&Messaging) -> Result<()>);

/// Everything that touches the schema.
const VERBS: &[Verb] = &[
    ("sending", |messaging| {
        messaging
            .session(|session| Ok(session.send_message("t", &1)?))
            .map(drop)
    }),
    ("sending many", |messaging| {
        messaging
            .session(|session| Ok(session.send_messages("t", 0..100)?))
            .map(drop)
    }),
    ("sending alone", |messaging| {
        messaging.send(NewMessage::bytes("t", [1])).map(drop)
    }),
    ("sending alone, deduped", |messaging| {
        let message = NewMessage::bytes("t", [1]).dedupe("d", MINUTE);
        messaging.send(message).map(drop)
    }),
    ("sending deduped", |messaging| {
        let message = NewMessage::bytes("t", [1]).dedupe("d", MINUTE);
        messaging
            .session(|session| Ok(session.send(message)?))
            .map(drop)
    }),
    ("taking by hand", |messaging| {
        messaging.topic("t").receive::<Value>(MINUTE).map(drop)
    }),
    ("configuring", |messaging| {
        messaging.topic("t").configure(TopicConfig::default())
    }),
    ("cancelling", |messaging| {
        messaging
            .cancel("00000000-0000-7000-8000-000000000000".parse()?)
            .map(drop)
    }),
    ("writing and sending", |messaging| {
        messaging
            .session(|session| {
                session.execute("SELECT 1", &[])?;
                Ok(session.send_message("t", &1)?)
            })
            .map(drop)
    }),
    ("receiving", |messaging| {
        messaging
            .start_receiving_messages("t", |_, _: Message<Value>| Ok(()))
            .map(drop)
    }),
    ("draining", |messaging| {
        messaging
            .drain("t", |_, _: Message<Value>| Ok(()))
            .map(drop)
    }),
    ("topics", |messaging| messaging.topics().map(drop)),
    ("stats", |messaging| messaging.topic("t").stats().map(drop)),
    ("is_empty", |messaging| {
        messaging.topic("t").is_empty().map(drop)
    }),
    ("peek", |messaging| messaging.topic("t").peek(1).map(drop)),
    ("scheduled", |messaging| {
        messaging.topic("t").scheduled(1).map(drop)
    }),
    ("dead_letters", |messaging| {
        messaging.topic("t").dead_letters(1).map(drop)
    }),
    ("redrive", |messaging| {
        messaging.topic("t").redrive(..).map(drop)
    }),
    ("purge", |messaging| messaging.topic("t").purge().map(drop)),
];

fn execute(url: &str, sql: &str) {
    Client::connect(url, NoTls)
        .unwrap()
        .batch_execute(sql)
        .unwrap();
}

/// Makes rows that try every verb on one database.
fn every_verb(messaging: &Messaging, kind: ErrorKind, says: &'static str) -> Vec<Row> {
    VERBS
        .iter()
        .map(|(tried, attempt)| {
            let messaging = messaging.clone();
            row(*tried, kind, says, move |_| attempt(&messaging))
        })
        .collect()
}

#[test]
fn a_missing_schema_is_a_typed_error_that_says_what_to_run() {
    let messaging = Messaging::connect(&empty_database()).unwrap();

    check_all(every_verb(&messaging, SchemaMissing, "run migrate()"));

    // What is told to do helps, on the same connections.
    messaging.migrate().unwrap();
    for (tried, attempt) in VERBS {
        attempt(&messaging).expect(tried);
    }
}

#[test]
fn a_ledger_without_a_migration_is_a_missing_schema() {
    let url = empty_database();
    execute(
        &url,
        "CREATE SCHEMA outtray; CREATE TABLE outtray.migration (version integer PRIMARY KEY, \
         name text NOT NULL, checksum text NOT NULL, applied_at timestamptz NOT NULL DEFAULT now())",
    );
    let messaging = Messaging::connect(&url).unwrap();

    check_all(every_verb(&messaging, SchemaMissing, "run migrate()"));

    messaging.migrate().unwrap();
}

#[test]
fn a_schema_of_a_later_release_is_a_typed_error_that_says_what_to_upgrade() {
    let url = database();
    let before = Messaging::connect(&url).unwrap();
    execute(
        &url,
        "INSERT INTO outtray.migration VALUES (999, 'the future', 'x')",
    );
    let (migrating, asking, receiving) = (before.clone(), before.clone(), before);
    let says = "upgrade this program";

    check_all(vec![
        row("connecting", SchemaNewer, says, move |_| {
            Messaging::connect(&url)
        }),
        row("migrating", SchemaNewer, says, move |_| migrating.migrate()),
        row("a dry run", SchemaNewer, says, move |_| {
            asking.pending_migrations()
        }),
        row("receiving", SchemaNewer, says, move |_| {
            receiving.start_receiving_messages("t", |_, _: Message<Value>| Ok(()))
        }),
    ]);
}

#[test]
fn a_migration_with_other_content_is_refused() {
    let url = database();
    execute(&url, "UPDATE outtray.migration SET checksum = 'changed'");
    let messaging = Messaging::connect(&url).unwrap();

    check_all(vec![row(
        "migrating",
        SchemaNewer,
        "are not the same release",
        move |_| messaging.migrate(),
    )]);
}

/// Makes a role that may log in and returns the URL with it in place of the user.
fn role(url: &str, grants: &str) -> String {
    let name = format!("role_{}", uuid::Uuid::now_v7().simple());
    let grants = grants.replace("ROLE", &name);
    execute(
        url,
        &format!("CREATE ROLE {name} LOGIN PASSWORD 'secret'; {grants}"),
    );
    let (_, place) = url.split_once('@').unwrap();
    format!("postgresql://{name}:secret@{place}")
}

/// Roles belong to a whole server, which need not be ours alone.
fn drop_role(url: &str, role_url: &str) {
    let name = role_url.split([':', '/']).nth(3).unwrap();
    execute(url, &format!("DROP OWNED BY {name}; DROP ROLE {name}"));
}

#[test]
fn a_role_without_privileges_is_denied_and_told_what_it_lacks() {
    let url = database();
    let stranger = role(&url, "");
    let guest = role(&url, "GRANT USAGE ON SCHEMA outtray TO ROLE");

    for (who, says) in [
        (&stranger, "permission denied for schema outtray"),
        (&guest, "permission denied for"),
    ] {
        let messaging = Messaging::connect(who).unwrap();
        check_all(every_verb(&messaging, Denied, says));
        check_all(every_verb(
            &messaging,
            Denied,
            "check the role's privileges",
        ));
    }

    drop_role(&url, &stranger);
    drop_role(&url, &guest);
}

#[test]
fn a_role_that_may_not_create_is_denied_the_migration() {
    let url = empty_database();
    let stranger = role(&url, "");
    let messaging = Messaging::connect(&stranger).unwrap();

    check_all(vec![row(
        "migrating",
        Denied,
        "check the role's privileges",
        move |_| messaging.migrate(),
    )]);

    drop_role(&url, &stranger);
}

#[test]
fn a_role_that_owns_nothing_may_migrate_where_nothing_is_missing() {
    let url = database();
    let guest = role(
        &url,
        "GRANT USAGE ON SCHEMA outtray TO ROLE; GRANT SELECT ON outtray.migration TO ROLE",
    );
    let messaging = Messaging::connect(&guest).unwrap();

    let migrated = messaging.migrate().unwrap();

    assert!(migrated.is_empty(), "{migrated:?}");
    drop_role(&url, &guest);
}

#[test]
fn a_role_that_may_only_insert_can_send() {
    let url = database();
    let producer = role(
        &url,
        "GRANT USAGE ON SCHEMA outtray TO ROLE; GRANT INSERT ON outtray.message, outtray.scheduled TO ROLE; \
         GRANT USAGE ON SEQUENCE outtray.message_seq TO ROLE",
    );
    let messaging = Messaging::connect(&producer).unwrap();

    messaging
        .session(|session| {
            session.send_message("t", &1)?;
            session.send_messages("t", [2, 3])?;
            let later =
                outtray::NewMessage::bytes("t", [4]).delay(std::time::Duration::from_secs(60));
            Ok(session.send(later)?)
        })
        .unwrap();
    messaging
        .session(|session| Ok(session.send_message("t", &5)?))
        .unwrap();
    messaging
        .session(|session| Ok(session.send_messages("t", 0..5_000)?))
        .unwrap();

    let stats = Messaging::connect(&url)
        .unwrap()
        .topic("t")
        .stats()
        .unwrap();
    assert_eq!((stats.ready, stats.scheduled), (5_004, 1));
    drop_role(&url, &producer);
}

#[test]
fn a_role_that_owns_a_schema_migrates_it_without_a_right_to_make_schemas() {
    let url = empty_database();
    let owner = role(&url, "CREATE SCHEMA shop AUTHORIZATION ROLE");
    let messaging = Messaging::builder().url(&owner).schema("shop");

    messaging.connect().unwrap().migrate().unwrap();

    drop_role(&url, &owner);
}
