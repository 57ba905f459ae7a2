//! How a delivery is settled, beside what else its transaction does.

use super::{LOST, ack, check_refused, lapse, payloads, settle, take, take_one};
use crate::support::{Place, client};
use outtray::{Backoff, NewMessage, TopicConfig};
use std::time::Duration;

#[test]
fn effects_and_the_end_of_the_message_commit_together_or_not_at_all() {
    let mut place = Place::new();
    place.sql("CREATE TABLE effect (id uuid)");
    place.send("jobs", &1);
    let taken = take_one(&mut place.client, "jobs");
    let work = |place: &mut Place, commits: bool| {
        let mut transaction = place.client.transaction().unwrap();
        let effect = "INSERT INTO effect VALUES ($1)";
        transaction.execute(effect, &[&taken.id]).unwrap();
        let ack = "SELECT outtray.ack($1, $2)";
        transaction
            .execute(ack, &[&taken.id, &taken.receipt])
            .unwrap();
        match commits {
            true => transaction.commit().unwrap(),
            false => transaction.rollback().unwrap(),
        }
    };

    work(&mut place, false);
    assert_eq!(place.count("effect"), 0);
    assert_eq!(place.count("outtray.scheduled"), 1);

    work(&mut place, true);
    assert_eq!(place.count("effect"), 1);
    assert!(place.is_empty("jobs"));
}

#[test]
fn the_effects_of_a_delivery_whose_lease_was_lost_are_rolled_back() {
    let mut place = Place::new();
    place.sql("CREATE TABLE effect (id uuid)");
    place.send("jobs", &1);
    let slow = take_one(&mut place.client, "jobs");
    lapse(&mut place.client);
    let other = take_one(&mut place.client, "jobs");

    let mut transaction = place.client.transaction().unwrap();
    let effect = "INSERT INTO effect VALUES ($1)";
    transaction.execute(effect, &[&slow.id]).unwrap();
    let late = transaction.execute("SELECT outtray.ack($1, $2)", &[&slow.id, &slow.receipt]);
    check_refused(late, LOST);
    // What a program does that looks away: it is told ROLLBACK.
    transaction.commit().unwrap();

    assert_eq!(place.count("effect"), 0);
    ack(&mut place.client, &other);
}

#[test]
fn of_two_who_settle_at_the_same_time_one_is_refused() {
    let mut place = Place::new();
    place.send("jobs", &1);
    let taken = take_one(&mut place.client, "jobs");
    let mut second = client(&place.url);
    let mut transaction = place.client.transaction().unwrap();
    transaction
        .execute("SELECT outtray.ack($1, $2)", &[&taken.id, &taken.receipt])
        .unwrap();

    let late = crate::support::aside(move || settle(&mut second, "nack($1, $2)", &taken));
    crate::support::await_lock_waits(&mut client(&place.url), 1);
    transaction.commit().unwrap();

    let late = late.recv_timeout(crate::support::PATIENCE).unwrap();
    check_refused(late, LOST);
    assert!(place.is_empty("jobs"));
}

#[test]
fn a_failed_message_waits_for_its_topics_backoff_and_is_dead_after_the_limit() {
    let mut place = Place::new();
    let hour = Duration::from_secs(3600);
    let config = TopicConfig {
        max_attempts: Some(3),
        backoff: Some(Backoff::linear(hour, 9 * hour).without_jitter()),
        ..TopicConfig::default()
    };
    place.messaging.topic("jobs").configure(config).unwrap();
    place.send("jobs", &1);
    for attempt in 1..=3 {
        let taken = take_one(&mut place.client, "jobs");
        assert_eq!(taken.attempt, attempt);
        let became = settle(&mut place.client, "nack($1, $2, error => 'no ink')", &taken).unwrap();
        let expected = if attempt < 3 { "scheduled" } else { "dead" };
        assert_eq!(became.as_deref(), Some(expected));
        if attempt < 3 {
            let hours = place.due_in() / 3600.0;
            assert!(
                (f64::from(attempt) - 0.1..=f64::from(attempt)).contains(&hours),
                "{hours}"
            );
            let error: String = place
                .client
                .query_one("SELECT error FROM outtray.scheduled", &[])
                .unwrap()
                .get(0);
            assert_eq!(error, "no ink");
            assert!(take(&mut place.client, "jobs", 1).is_empty());
            place.make_due();
        }
    }

    let dead = place.dead_letters("jobs");
    assert_eq!((dead[0].attempts, dead[0].error.as_str()), (3, "no ink"));
    assert_eq!(dead[0].reason.to_string(), "exhausted");
}

#[test]
fn a_failed_message_waits_as_long_as_its_consumer_says() {
    let mut place = Place::new();
    place.send_all("jobs", [1, 2]);
    let first = take_one(&mut place.client, "jobs");

    let became = settle(&mut place.client, "nack($1, $2, '0 s')", &first).unwrap();
    assert_eq!(became.as_deref(), Some("ready"));
    let failures = &place.messaging.topic("jobs").peek(1).unwrap()[0].failures;
    let kept: Vec<_> = failures
        .iter()
        .map(|one| (one.attempt, &*one.error))
        .collect();
    assert_eq!(kept, [(1, "nacked")]);
    let again = take_one(&mut place.client, "jobs");
    assert_eq!((again.id, again.attempt), (first.id, 2));
    let became = settle(&mut place.client, "nack($1, $2, '2 hours')", &again).unwrap();
    assert_eq!(became.as_deref(), Some("scheduled"));

    let hours = place.due_in() / 3600.0;
    assert!((1.9..=2.0).contains(&hours), "{hours}");
    for delay in ["-1 s", "20 years"] {
        let other = take(&mut place.client, "jobs", 1).pop();
        let other = other.unwrap_or_else(|| again.clone());
        let call = format!("nack($1, $2, '{delay}')");
        check_refused(settle(&mut place.client, &call, &other), super::INVALID);
    }
}

#[test]
fn a_delivery_is_rejected_released_or_extended() {
    let mut place = Place::new();
    place.send_all("jobs", [1, 2]);

    let taken = take_one(&mut place.client, "jobs");
    settle(&mut place.client, "reject($1, $2, 'not ours')", &taken).unwrap();
    let dead = place.dead_letters("jobs");
    assert_eq!((dead[0].attempts, dead[0].error.as_str()), (1, "not ours"));
    assert_eq!(dead[0].reason.to_string(), "rejected");

    let taken = take_one(&mut place.client, "jobs");
    let became = settle(&mut place.client, "release($1, $2)", &taken).unwrap();
    assert_eq!(became.as_deref(), Some("ready"));
    let taken = take_one(&mut place.client, "jobs");
    assert_eq!(taken.attempt, 1);

    let told = settle(&mut place.client, "extend($1, $2, '5 hours')", &taken).unwrap();
    assert_eq!(told.as_deref(), Some("false"));
    let hours = place.due_in() / 3600.0;
    assert!((4.9..=5.0).contains(&hours), "{hours}");
    check_refused(
        settle(&mut place.client, "extend($1, $2, '2 days')", &taken),
        super::INVALID,
    );
}

#[test]
fn deliveries_of_the_library_are_settled_by_sql_if_they_tell_their_receipts() {
    let mut place = Place::new();
    place.send_all("jobs", [1, 2]);
    let delivery = place.take();
    let by_sql = take_one(&mut place.client, "jobs");
    let receipt = "SELECT receipt FROM outtray.scheduled WHERE id = $1";
    let row = place
        .client
        .query_one(receipt, &[&delivery.id.as_uuid()])
        .unwrap();
    let same = super::Taken {
        id: delivery.id.as_uuid(),
        receipt: row.get(0),
        ..by_sql
    };

    ack(&mut place.client, &same);

    assert_eq!(
        delivery.ack().unwrap_err().kind(),
        outtray::ErrorKind::LeaseLost
    );
    assert_eq!(place.messaging.topic("jobs").stats().unwrap().leased, 1);
}

#[test]
fn a_key_keeps_its_place_through_failures() {
    let mut place = Place::new();
    for number in 0..2 {
        place.send_new(NewMessage::json("jobs", &number).unwrap().key("k"));
    }
    let first = take_one(&mut place.client, "jobs");
    settle(&mut place.client, "nack($1, $2, '1 hour')", &first).unwrap();

    assert!(take(&mut place.client, "jobs", 9).is_empty());
    place.make_due();

    assert_eq!(payloads(&take(&mut place.client, "jobs", 9)), ["0"]);
}

#[test]
fn a_batch_is_settled_by_one_statement_or_not_at_all() {
    let mut place = Place::new();
    place.send_all("jobs", 0..5);
    let taken = take(&mut place.client, "jobs", 3);
    let mut ids: Vec<_> = taken.iter().map(|one| one.id).collect();
    let mut receipts: Vec<_> = taken.iter().map(|one| one.receipt).collect();
    let all = "SELECT outtray.ack(done.id, done.receipt, 'jobs')
        FROM unnest($1::uuid[], $2::uuid[]) AS done (id, receipt)";

    place.client.execute(all, &[&ids, &receipts]).unwrap();

    assert!(place.messaging.topic("jobs").stats().unwrap().leased == 0);
    let rest = take(&mut place.client, "jobs", 9);
    ids.extend(rest.iter().map(|one| one.id));
    receipts.extend(rest.iter().map(|one| one.receipt));
    // Three of them are settled already.
    check_refused(place.client.execute(all, &[&ids, &receipts]), LOST);
    assert_eq!(place.messaging.topic("jobs").stats().unwrap().leased, 2);
}

#[test]
fn a_time_counts_from_the_call_and_not_from_the_beginning_of_its_transaction() {
    let mut place = Place::new();
    place.send_all("jobs", [1, 2]);
    let taken = take(&mut place.client, "jobs", 2);
    let mut transaction = place.client.transaction().unwrap();
    let before = transaction.query_one("SELECT clock_timestamp()::text", &[]);
    let before: String = before.unwrap().get(0);
    for (call, one) in [
        ("extend($1, $2, '1 hour')", &taken[0]),
        ("nack($1, $2, '1 hour')", &taken[1]),
    ] {
        let query = format!("SELECT outtray.{call}");
        let params: [&(dyn postgres::types::ToSql + Sync); 2] = [&one.id, &one.receipt];
        transaction.execute(&query, &params).unwrap();
    }
    let query =
        "SELECT min(due_at) >= $1::text::timestamptz + interval '1 hour' FROM outtray.scheduled";
    let is_late: bool = transaction.query_one(query, &[&before]).unwrap().get(0);
    transaction.commit().unwrap();

    assert!(is_late);
}

#[test]
fn what_is_taken_in_a_transaction_that_is_rolled_back_was_never_delivered() {
    let mut place = Place::new();
    place.send("jobs", &1);
    let mut transaction = place.client.transaction().unwrap();
    let query = "SELECT attempt FROM outtray.receive('jobs')";
    assert_eq!(transaction.query(query, &[]).unwrap().len(), 1);
    transaction.rollback().unwrap();

    // One that takes, works and settles in one transaction is no worse off.
    let mut transaction = place.client.transaction().unwrap();
    let query = "SELECT attempt, outtray.ack(id, receipt)::text FROM outtray.receive('jobs')";
    let attempt: i32 = transaction.query_one(query, &[]).unwrap().get(0);
    transaction.commit().unwrap();

    assert_eq!(attempt, 1);
    assert!(place.is_empty("jobs"));
}
