//! What subscriptions a transaction sees does not depend on its isolation level.

use super::{publish, subscribed, taken};
use crate::support::{PATIENCE, client, process};
use outtray::MessagingSession;
use postgres::IsolationLevel;

const LEVELS: [&str; 2] = ["REPEATABLE READ", "SERIALIZABLE"];

#[test]
fn a_session_that_sees_only_the_past_publishes_to_those_who_are_there_now() {
    for level in LEVELS {
        let place = subscribed("billing");
        let other = process(&place.url, PATIENCE);
        publish(&place.messaging, "nothing", 0);
        place
            .messaging
            .session(|session| {
                session.batch_execute(&format!("SET TRANSACTION ISOLATION LEVEL {level}"))?;
                let seen = "SELECT count(*) FROM outtray.subscription";
                session.query(seen, &[])?;
                other.subscribe("#", "audit").unwrap();
                assert_eq!(session.publish("orders.created", &1)?.copies, 2);
                other.unsubscribe("orders.#", "billing").unwrap();
                assert_eq!(session.publish("orders.created", &2)?.copies, 1);
                let seen: i64 = session.query_one(seen, &[])?.try_get(0)?;
                assert_eq!(seen, 1, "it is the past");
                Ok(())
            })
            .unwrap();
        assert_eq!(taken(&place.messaging, "billing"), [1]);
        assert_eq!(taken(&place.messaging, "audit"), [1, 2]);
    }
}

#[test]
fn a_database_may_have_such_a_level_by_default() {
    let mut place = subscribed("billing");
    place.sql(
        "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET default_transaction_isolation
            = ''repeatable read''', current_database()); END $$",
    );
    let (messaging, other) = (process(&place.url, PATIENCE), process(&place.url, PATIENCE));
    for number in 0..3 {
        assert_eq!(
            messaging.publish("orders.created", &number).unwrap().copies,
            1
        );
        assert_eq!(publish(&messaging, "orders.created", number), 1);
        let copies = messaging.session(|session| {
            session.query("SELECT FROM outtray.subscription", &[])?;
            other.subscribe("orders.*", &format!("t{number}")).unwrap();
            let copies = session.publish("orders.created", &number)?.copies;
            other
                .unsubscribe("orders.*", &format!("t{number}"))
                .unwrap();
            Ok((copies, session.publish("orders.created", &number)?.copies))
        });
        assert_eq!(copies.unwrap(), (2, 1));
        assert_eq!(taken(&place.messaging, &format!("t{number}")), [number]);
    }
    assert_eq!(
        taken(&place.messaging, "billing"),
        [0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2]
    );
}

#[test]
fn a_callers_transaction_is_told_the_present_and_stays_whole() {
    let place = subscribed("billing");
    let other = process(&place.url, PATIENCE);
    let mut client = client(&place.url);
    for level in [
        IsolationLevel::ReadCommitted,
        IsolationLevel::RepeatableRead,
        IsolationLevel::Serializable,
    ] {
        let builder = client.build_transaction().isolation_level(level);
        let mut transaction = builder.start().unwrap();
        let mut session = MessagingSession::join(&place.messaging, &mut transaction).unwrap();
        session.query("SELECT FROM outtray.message", &[]).unwrap();
        assert_eq!(session.publish("orders.created", &1).unwrap().copies, 1);
        other.subscribe("#", "audit").unwrap();
        assert_eq!(session.publish("orders.created", &2).unwrap().copies, 2);
        other.unsubscribe("#", "audit").unwrap();
        assert_eq!(session.publish("orders.created", &3).unwrap().copies, 1);
        drop(session);
        transaction.commit().unwrap();
        assert_eq!(taken(&place.messaging, "billing"), [1, 2, 3]);
        assert_eq!(taken(&place.messaging, "audit"), [2]);
    }
}
