//! Messages whose rows somebody locked who is no worker.

use super::{TOPIC, check_sentence, why};
use crate::support::{Gate, PATIENCE, Place, client};
use outtray::{Remedy, WhyState};
use postgres::Client;

/// Connects as a person with `psql` does.
fn psql(url: &str) -> Client {
    let mut client = client(url);
    client
        .batch_execute("SET application_name = 'psql'")
        .unwrap();
    client
}

fn server_process(client: &mut Client) -> i32 {
    client
        .query_one("SELECT pg_backend_pid()", &[])
        .unwrap()
        .get(0)
}

#[test]
fn a_row_that_somebody_else_locked_names_the_session_and_what_ends_it() {
    let place = Place::new();
    let gate = Gate::new();
    // A receiver lives, so that its sessions are known.
    let receiver = gate.holding(
        place
            .messaging
            .receiver(TOPIC)
            .workers(1)
            .messages_per_transaction(1),
    );
    place.send(TOPIC, &0);
    gate.await_arrivals(1);
    let id = place.send(TOPIC, &1);
    let mut somebody = psql(&place.url);
    let process = server_process(&mut somebody);
    let mut open = somebody.transaction().unwrap();
    open.execute(
        "SELECT FROM outtray.message WHERE id = $1 FOR UPDATE",
        &[&id.as_uuid()],
    )
    .unwrap();

    let locked = why(&place, id);

    let WhyState::Locked { holder } = &locked.state else {
        panic!("{locked:?}");
    };
    assert_eq!(holder.server_process, Some(process));
    assert_eq!(holder.program.as_deref(), Some("psql"));
    let terminate = format!("SELECT pg_terminate_backend({process});");
    assert_eq!(locked.remedies[0], Remedy::Sql(terminate));
    check_sentence(
        &locked,
        &[&format!(
            "is locked by server process {process} (psql, role"
        )],
    );
    open.rollback().unwrap();
    assert!(matches!(why(&place, id).state, WhyState::Ready { .. }));
    gate.open_for(2);
    receiver.stop(PATIENCE);
}

#[test]
fn a_lock_inside_a_savepoint_and_a_shared_one_are_found_too() {
    let place = Place::new();
    for (begin, lock) in [
        ("SAVEPOINT one", "FOR UPDATE"),
        ("SELECT 1", "FOR SHARE"),
        ("SELECT 1", "FOR KEY SHARE"),
    ] {
        let id = place.send(TOPIC, &1);
        let mut somebody = psql(&place.url);
        let process = server_process(&mut somebody);
        let mut open = somebody.transaction().unwrap();
        open.batch_execute(begin).unwrap();
        let text = format!("SELECT FROM outtray.message WHERE id = $1 {lock}");
        open.execute(&text, &[&id.as_uuid()]).unwrap();

        let locked = why(&place, id);

        let is_told = matches!(&locked.state, WhyState::Locked { holder } if holder.server_process == Some(process));
        assert!(is_told, "{begin}, {lock}: {locked:?}");
    }
}

#[test]
fn several_who_share_a_lock_are_found_as_well() {
    let place = Place::new();
    let id = place.send(TOPIC, &1);
    let (mut one, mut two) = (psql(&place.url), psql(&place.url));
    let processes = [server_process(&mut one), server_process(&mut two)];
    let text = "SELECT FROM outtray.message WHERE id = $1 FOR SHARE";
    let (mut one, mut two) = (one.transaction().unwrap(), two.transaction().unwrap());
    one.execute(text, &[&id.as_uuid()]).unwrap();
    two.execute(text, &[&id.as_uuid()]).unwrap();

    let locked = why(&place, id);

    let WhyState::Locked { holder } = &locked.state else {
        panic!("{locked:?}");
    };
    assert!(
        processes.contains(&holder.server_process.unwrap()),
        "{locked:?}"
    );
}

#[test]
fn a_transaction_that_is_prepared_has_no_session() {
    let place = Place::new();
    let mut client = client(&place.url);
    let slots: i32 = client
        .query_one(
            "SELECT current_setting('max_prepared_transactions')::integer",
            &[],
        )
        .unwrap()
        .get(0);
    if slots == 0 {
        return;
    }
    let id = place.send(TOPIC, &1);
    client
        .batch_execute("BEGIN; SELECT FROM outtray.message FOR UPDATE; PREPARE TRANSACTION 'why'")
        .unwrap();

    let why = why(&place, id);

    check_sentence(&why, &["a transaction that is prepared or on another node"]);
    client.batch_execute("ROLLBACK PREPARED 'why'").unwrap();
}
