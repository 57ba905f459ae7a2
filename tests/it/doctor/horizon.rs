//! Who holds dead rows back, and where they are.

use super::{Clinic, eventually_found, eventually_ok, found, is_ok, started};
use crate::environment::replication::pair;
use crate::support::{client, eventually};
use outtray::Severity;
use postgres::Client;
use std::time::Duration;

#[test]
fn a_transaction_that_is_open_for_long_is_named_and_ended() {
    let mut clinic = Clinic::new();
    let url = format!("{}?application_name=monthly_report", clinic.url);
    let mut other = client(&url);
    let process: i32 = other
        .query_one("SELECT pg_backend_pid()", &[])
        .unwrap()
        .get(0);
    other
        .batch_execute("BEGIN; SELECT pg_current_xact_id()")
        .unwrap();
    let impatient = clinic.doctor().patience(Duration::ZERO);

    let patient = clinic.doctor().examine().unwrap();
    let finding = found(&impatient.examine().unwrap(), "long_transactions");

    assert!(is_ok(&patient, "long_transactions"));
    assert_eq!(finding.severity, Severity::Warning);
    let named =
        format!("server process {process} of role postgres, application \"monthly_report\"");
    assert!(finding.seen.starts_with(&named), "{finding:?}");
    clinic.carry_out(&finding);
    eventually_ok(&impatient, "long_transactions");
    assert!(other.batch_execute("COMMIT").is_err());
}

#[test]
fn a_transaction_that_was_prepared_long_ago_is_named_and_ended() {
    let mut clinic = Clinic::new();
    clinic.sql("CREATE TABLE mine (x int)");
    clinic.sql(&format!(
        "BEGIN; INSERT INTO mine VALUES (1); PREPARE TRANSACTION 'it''s {}'",
        super::uuid()
    ));
    let impatient = clinic.doctor().patience(Duration::ZERO);

    let patient = clinic.doctor().examine().unwrap();
    let finding = found(&impatient.examine().unwrap(), "prepared_transactions");

    assert!(is_ok(&patient, "prepared_transactions"));
    assert!(finding.seen.contains("'it''s "), "{finding:?}");
    clinic.carry_out(&finding);
    assert!(is_ok(
        &impatient.examine().unwrap(),
        "prepared_transactions"
    ));
}

#[test]
fn a_slot_that_nobody_reads_from_is_named_and_dropped() {
    let server = started();
    let mut clinic = Clinic::on(&server);
    clinic.sql("SELECT pg_create_physical_replication_slot('gone', true)");
    clinic.sql("SELECT pg_create_logical_replication_slot('lost', 'pgoutput')");

    let diagnosis = clinic.doctor().examine().unwrap();

    let slots = diagnosis.of("replication_slots");
    assert_eq!(slots.len(), 2, "{slots:?}");
    for (finding, name) in slots.iter().zip(["'gone'", "'lost'"]) {
        assert_eq!(finding.severity, Severity::Warning);
        let seen = format!("slot {name} is not in use, keeps ");
        assert!(finding.seen.starts_with(&seen), "{finding:?}");
        clinic.carry_out(finding);
    }
    super::check_well(&clinic.doctor().examine().unwrap());
}

/// Changes a setting of a server that need not take writes.
fn settle(there: &mut Client, setting: &str) {
    let alter = format!("ALTER SYSTEM SET {setting}");
    there.batch_execute(&alter).unwrap();
    there.batch_execute("SELECT pg_reload_conf()").unwrap();
}

/// Has some transactions happen.
fn burn(clinic: &mut Clinic) {
    for _ in 0..5 {
        clinic.sql("SELECT pg_current_xact_id()");
    }
}

#[test]
fn a_standby_that_holds_rows_back_is_found_and_so_is_the_slot_that_it_left() {
    let Some([primary, standby]) = pair() else {
        return;
    };
    let url = primary.database();
    standby.follow(&url);
    let mut clinic = Clinic {
        client: client(&url),
        url: url.clone(),
    };
    let impatient = clinic.doctor().patience(Duration::ZERO);
    let mut there = client(&standby.here(&url));
    let mut reading = client(&standby.here(&url));

    settle(&mut there, "hot_standby_feedback = on");
    settle(&mut there, "wal_receiver_status_interval = '1s'");
    reading
        .batch_execute("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1")
        .unwrap();
    burn(&mut clinic);
    let finding = eventually_found(&impatient, "standby_feedback");
    assert!(
        finding.seen.contains("holds rows of the last"),
        "{finding:?}"
    );
    let advice = finding.remedies[0].to_string();
    let (_, setting) = advice.split_once("ALTER SYSTEM SET ").unwrap();
    settle(&mut there, setting);
    eventually_ok(&impatient, "standby_feedback");

    clinic.sql("SELECT pg_create_physical_replication_slot('seat')");
    settle(&mut there, "primary_slot_name = 'seat'");
    settle(&mut there, "hot_standby_feedback = on");
    burn(&mut clinic);
    eventually("the slot holds rows", || {
        let xmin = clinic.text("SELECT coalesce(xmin::text, '') FROM pg_replication_slots");
        !xmin.is_empty()
    });
    // Commits must not wait for a standby that is gone.
    clinic.sql("ALTER SYSTEM RESET synchronous_standby_names");
    clinic.sql("SELECT pg_reload_conf()");
    standby.die();
    burn(&mut clinic);
    let finding = eventually_found(&clinic.doctor(), "replication_slots");
    assert!(
        finding
            .seen
            .contains("slot 'seat' is not in use, holds rows"),
        "{finding:?}"
    );
    clinic.carry_out(&finding);
    assert!(is_ok(
        &clinic.doctor().examine().unwrap(),
        "replication_slots"
    ));
}

#[test]
fn many_dead_rows_are_found_and_removed_once_nobody_holds_them() {
    let mut clinic = Clinic::new();
    let mut holder = client(&clinic.url);
    holder
        .batch_execute("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1")
        .unwrap();
    clinic.sql(
        "INSERT INTO outtray.message (topic, rank, id, payload)
        SELECT 'jobs', 0, gen_random_uuid(), '1' FROM generate_series(1, 120000);
        DELETE FROM outtray.message",
    );

    let finding = eventually_found(&clinic.doctor(), "dead_rows");

    assert_eq!(finding.severity, Severity::Warning);
    assert!(
        finding
            .seen
            .starts_with("message has 120000 dead rows beside 0"),
        "{finding:?}"
    );
    holder.batch_execute("COMMIT").unwrap();
    clinic.carry_out(&finding);
    eventually_ok(&clinic.doctor(), "dead_rows");
}

#[test]
fn a_table_that_vacuum_is_kept_from_is_found() {
    let mut clinic = Clinic::new();
    clinic.sql("ALTER TABLE outtray.follower SET (autovacuum_enabled = off)");

    let finding = found(&clinic.doctor().examine().unwrap(), "dead_rows");

    assert!(
        finding.seen.starts_with("autovacuum is off for follower"),
        "{finding:?}"
    );
    clinic.carry_out(&finding);
    super::check_well(&clinic.doctor().examine().unwrap());
}

#[test]
fn a_table_that_is_large_for_few_rows_is_noted() {
    let mut clinic = Clinic::new();
    clinic.sql(
        "INSERT INTO outtray.message (topic, rank, id, payload)
        SELECT 'jobs', 0, gen_random_uuid(), to_json(repeat(md5(n::text), 56)) FROM generate_series(1, 38000) AS n",
    );
    clinic.sql("DELETE FROM outtray.message");
    // Again and again: it leaves rows that another snapshot may see, such as that of an ANALYZE.
    eventually("vacuum has removed them", || {
        clinic.sql("VACUUM outtray.message");
        let left = "SELECT (last_vacuum IS NULL OR n_live_tup + n_dead_tup > 0)::text FROM pg_stat_all_tables \
                    WHERE relid = 'outtray.message'::regclass";
        clinic.text(left) == "false"
    });

    let finding = eventually_found(&clinic.doctor(), "dead_rows");

    assert_eq!(finding.severity, Severity::Note, "{finding:?}");
    clinic.carry_out(&finding);
    eventually_ok(&clinic.doctor(), "dead_rows");
}
