//! A schema that is not the one of this release, or was copied without its sequences.

use super::{Clinic, check_well, found, is_ok, well};
use outtray::{Messaging, Severity};

#[test]
fn a_schema_that_is_missing_is_found_and_made() {
    let url = well().empty_database().unwrap();
    let client = crate::support::client(&url);
    let mut clinic = Clinic { url, client };

    let diagnosis = clinic.doctor().examine().unwrap();

    let finding = found(&diagnosis, "schema");
    assert_eq!(finding.severity, Severity::Unsafe);
    assert!(diagnosis.of("privileges").is_empty());
    assert!(clinic.carry_out(&finding).is_empty());
    check_well(&clinic.doctor().examine().unwrap());
}

#[test]
fn a_schema_of_another_name_is_named_in_the_command() {
    let mut clinic = Clinic::new();
    let doctor = Messaging::builder()
        .url(&clinic.url)
        .schema("other")
        .doctor();

    let finding = found(&doctor.examine().unwrap(), "schema");

    clinic.carry_out(&finding);
    check_well(&doctor.examine().unwrap());
}

#[test]
fn a_schema_that_is_older_is_found_and_upgraded() {
    let mut clinic = Clinic::new();
    clinic.sql(
        "DROP TABLE outtray.history; DROP FUNCTION outtray.history_prune();
        DELETE FROM outtray.migration WHERE name = 'history'",
    );

    let diagnosis = clinic.doctor().examine().unwrap();

    let finding = found(&diagnosis, "schema");
    assert_eq!(finding.severity, Severity::Unsafe);
    assert!(diagnosis.of("functions").is_empty());
    clinic.carry_out(&finding);
    check_well(&clinic.doctor().examine().unwrap());
}

#[test]
fn a_schema_that_is_newer_or_was_changed_is_found_where_nothing_can_connect() {
    let mut clinic = Clinic::new();
    clinic
        .sql("INSERT INTO outtray.migration (version, name, checksum) VALUES (9999, 'later', '')");
    assert!(Messaging::connect(&clinic.url).is_err());

    let finding = found(&clinic.doctor().examine().unwrap(), "schema");

    assert_eq!(finding.severity, Severity::Unsafe);
    assert!(finding.seen.contains("version 9999"), "{finding:?}");
    clinic.sql("DELETE FROM outtray.migration WHERE version = 9999");
    clinic.sql("UPDATE outtray.migration SET checksum = 'x' WHERE version = 3");
    let finding = found(&clinic.doctor().examine().unwrap(), "schema");
    assert!(finding.seen.contains("other content"), "{finding:?}");
}

#[test]
fn functions_that_were_changed_or_dropped_are_found_and_installed() {
    let mut clinic = Clinic::new();
    clinic.sql(
        "UPDATE outtray.function SET checksum = 'x' WHERE name = 'send'; DROP FUNCTION outtray.upkeep",
    );

    let finding = found(&clinic.doctor().examine().unwrap(), "functions");

    assert_eq!(finding.severity, Severity::Warning);
    assert!(finding.seen.contains("function send"), "{finding:?}");
    clinic.carry_out(&finding);
    check_well(&clinic.doctor().examine().unwrap());
}

#[test]
fn sequences_that_are_behind_their_tables_are_found_and_moved() {
    let mut clinic = Clinic::new();
    let messaging = clinic.messaging();
    for number in 0..10 {
        crate::support::send(&messaging, "jobs", &number);
    }
    clinic.sql("SELECT setval('outtray.message_seq', 1, false)");

    let finding = found(&clinic.doctor().examine().unwrap(), "sequences");

    assert_eq!(finding.severity, Severity::Unsafe);
    assert!(finding.seen.contains("message_seq"), "{finding:?}");
    clinic.carry_out(&finding);
    assert!(is_ok(&clinic.doctor().examine().unwrap(), "sequences"));
}

#[test]
fn sequences_near_their_end_are_found() {
    let mut clinic = Clinic::new();
    clinic.sql("SELECT setval('outtray.message_seq', 9223372036854775000)");

    let finding = found(&clinic.doctor().examine().unwrap(), "sequences");

    assert_eq!(finding.severity, Severity::Unsafe);
    assert!(finding.seen.contains("9223372036854775000"), "{finding:?}");
    clinic.carry_out(&finding);
    check_well(&clinic.doctor().examine().unwrap());
}

#[test]
fn sequences_are_compared_in_time_beside_many_poisoned_keys() {
    let mut clinic = Clinic::new();
    clinic.sql(
        "INSERT INTO outtray.dead_letter (topic, id, rank, attempts, reason, error, sent_at, payload, key, seq)
        SELECT 'jobs', gen_random_uuid(), 0, 1, 'rejected', 'no', now(), '1', 'key-' || n, n
        FROM generate_series(1, 20000) AS n",
    );

    let behind = found(&clinic.doctor().examine().unwrap(), "sequences");

    assert!(behind.seen.contains("message_seq"), "{behind:?}");
    clinic.carry_out(&behind);
    assert!(is_ok(&clinic.doctor().examine().unwrap(), "sequences"));
}
