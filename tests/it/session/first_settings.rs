//! What an operator set for a topic holds for the first message of a process, whichever way it
//! sends, and a change of it within a moment.

use super::{count, place, things_and_messages};
use crate::support::{HOUR, Place, client, empty_database, eventually, pass_time};
use outtray::{ErrorKind, Message, Messaging, MessagingSession, NewMessage, TopicConfig};
use postgres::Client;
use std::sync::Barrier;
use std::thread;
use std::time::Duration;

fn bounded() -> TopicConfig {
    TopicConfig {
        max_length: Some(2),
        ..TopicConfig::default()
    }
}

fn delayed() -> TopicConfig {
    TopicConfig {
        delay: Some(HOUR),
        ..TopicConfig::default()
    }
}

/// Connects another process, which has read nothing yet.
fn newcomer(place: &Place) -> Messaging {
    Messaging::connect(&place.url).unwrap()
}

/// Sends one message in a transaction of the caller's, and commits it.
fn join_and_send(messaging: &Messaging, client: &mut Client, topic: &str) {
    let mut transaction = client.transaction().unwrap();
    MessagingSession::join(messaging, &mut transaction)
        .unwrap()
        .send_message(topic, &1)
        .unwrap();
    transaction.commit().unwrap();
}

#[test]
fn a_joined_session_keeps_to_a_topics_length_before_its_process_did_anything_else() {
    let place = place();
    let topic = place.messaging.topic("things");
    topic.configure(bounded()).unwrap();
    let newcomer = newcomer(&place);
    let mut client = client(&place.url);

    let mut transaction = client.transaction().unwrap();
    let mut session = MessagingSession::join(&newcomer, &mut transaction).unwrap();
    session.send_message("things", &1).unwrap();
    session.send_message("things", &2).unwrap();
    let error = session.send_message("things", &3).unwrap_err();
    session
        .execute("INSERT INTO thing VALUES ('one')", &[])
        .unwrap();
    drop(session);
    transaction.commit().unwrap();

    assert_eq!(error.kind(), ErrorKind::Full);
    assert_eq!(things_and_messages(&place), (1, 2));
}

#[test]
fn a_joined_session_gives_its_first_messages_the_delay_and_the_expiry_of_their_topics() {
    let place = place();
    place.messaging.topic("later").configure(delayed()).unwrap();
    let expiring = TopicConfig {
        expires_in: Some(HOUR),
        ..TopicConfig::default()
    };
    place.messaging.topic("short").configure(expiring).unwrap();
    let newcomer = newcomer(&place);
    let mut client = client(&place.url);

    let mut transaction = client.transaction().unwrap();
    let mut session = MessagingSession::join(&newcomer, &mut transaction).unwrap();
    session.send_messages("later", [1, 2]).unwrap();
    session.send(NewMessage::bytes("short", [1])).unwrap();
    session
        .send_group(
            [NewMessage::bytes("later", [3])],
            NewMessage::bytes("short", [2]),
        )
        .unwrap();
    drop(session);
    transaction.commit().unwrap();

    assert_eq!(count(&place, "outtray.scheduled WHERE topic = 'later'"), 3);
    let expiring = "WHERE topic = 'short' AND expires_at > now()";
    assert_eq!(count(&place, &format!("outtray.message {expiring}")), 1);
    assert_eq!(count(&place, &format!("outtray.scheduled {expiring}")), 1);
}

#[test]
fn a_process_that_only_joins_hears_of_changed_settings() {
    let place = place();
    let newcomer = newcomer(&place);
    let mut client = client(&place.url);
    join_and_send(&newcomer, &mut client, "later");
    assert_eq!(count(&place, "outtray.message"), 1);

    place.messaging.topic("later").configure(delayed()).unwrap();

    eventually("the delay is obeyed", || {
        join_and_send(&newcomer, &mut client, "later");
        count(&place, "outtray.scheduled") > 0
    });
}

#[test]
fn a_role_that_may_not_read_settings_can_join_and_its_transaction_goes_on() {
    let place = place();
    let newcomer = newcomer(&place);
    let mut client = client(&place.url);
    let role = "producer_that_joins";
    client
        .batch_execute(&format!(
            "DROP ROLE IF EXISTS {role}; CREATE ROLE {role};
            GRANT USAGE ON SCHEMA outtray TO {role}; GRANT INSERT ON outtray.message TO {role};
            GRANT USAGE ON SEQUENCE outtray.message_seq TO {role}; GRANT INSERT ON thing TO {role}"
        ))
        .unwrap();

    let mut transaction = client.transaction().unwrap();
    transaction
        .batch_execute(&format!("SET LOCAL ROLE {role}"))
        .unwrap();
    let mut session = MessagingSession::join(&newcomer, &mut transaction).unwrap();
    session.send_message("things", &1).unwrap();
    session
        .execute("INSERT INTO thing VALUES ('one')", &[])
        .unwrap();
    drop(session);
    transaction.commit().unwrap();

    assert_eq!(things_and_messages(&place), (1, 1));
    client
        .batch_execute(&format!("DROP OWNED BY {role}; DROP ROLE {role}"))
        .unwrap();
}

#[test]
fn a_joined_session_without_a_schema_fails_at_its_first_send_and_says_so() {
    let url = empty_database();
    let messaging = Messaging::connect(&url).unwrap();
    let mut client = crate::support::client(&url);
    let mut transaction = client.transaction().unwrap();

    let error = MessagingSession::join(&messaging, &mut transaction)
        .unwrap()
        .send_message("things", &1)
        .unwrap_err();

    assert_eq!(error.kind(), ErrorKind::SchemaMissing);
}

#[test]
fn each_schema_has_its_own_settings_for_those_who_join() {
    let place = place();
    let second = |url: &str| {
        let builder = Messaging::builder().url(url).schema("second");
        builder.connect().unwrap()
    };
    let other = second(&place.url);
    other.migrate().unwrap();
    other.topic("later").configure(delayed()).unwrap();
    let (first, other) = (newcomer(&place), second(&place.url));
    let mut client = client(&place.url);

    join_and_send(&first, &mut client, "later");
    join_and_send(&other, &mut client, "later");

    assert_eq!(count(&place, "outtray.message"), 1);
    assert_eq!(count(&place, "second.scheduled"), 1);
}

#[test]
fn threads_that_send_first_at_the_same_time_all_obey() {
    const THREADS: usize = 8;
    let place = place();
    place.messaging.topic("later").configure(delayed()).unwrap();

    for _ in 0..5 {
        let newcomer = newcomer(&place);
        let start = Barrier::new(THREADS);
        thread::scope(|scope| {
            for _ in 0..THREADS {
                scope.spawn(|| {
                    start.wait();
                    newcomer.send(NewMessage::bytes("later", [1])).unwrap();
                });
            }
        });
    }

    assert_eq!(count(&place, "outtray.message"), 0);
}

#[test]
fn what_a_long_drain_sends_obeys_settings_that_change_meanwhile() {
    const MESSAGES: u64 = 150;
    let place = place();
    let operator = place.messaging.clone();
    operator
        .session(|session| Ok(session.send_messages("lines", 0..MESSAGES)?))
        .unwrap();
    let batch_job = newcomer(&place);

    // Three seconds of work, of which the settings are those of before for one at most.
    let report = batch_job
        .drain("lines", move |session, message: Message<u64>| {
            if message.payload == 0 {
                operator.topic("later").configure(delayed())?;
            }
            pass_time(Duration::from_millis(20));
            session.send_message("later", &message.payload)?;
            Ok(())
        })
        .unwrap();

    assert_eq!(report.handled, MESSAGES);
    assert!(count(&place, "outtray.scheduled") > 0);
}
