//! A role that may do little sees what it may, and is told what it does not see.

use super::{Clinic, check_well, found, is_ok};
use outtray::{Messaging, Severity, TopicConfig, TopicKind};

#[test]
fn a_role_that_may_do_nothing_is_told_what_it_lacks_and_gets_it() {
    let mut clinic = Clinic::new();
    let (_, url) = clinic.role("");
    let doctor = Messaging::builder().url(&url).doctor();

    let diagnosis = doctor.examine().unwrap();

    let lacking = found(&diagnosis, "privileges");
    assert_eq!(lacking.severity, Severity::Warning);
    assert!(lacking.seen.contains("USAGE on the schema"), "{lacking:?}");
    let hidden = found(&diagnosis, "visibility");
    assert_eq!(hidden.severity, Severity::Note);
    let schema = found(&diagnosis, "schema");
    assert_eq!(schema.severity, Severity::Note);
    assert!(schema.seen.starts_with("not found out"), "{schema:?}");
    assert!(is_ok(&diagnosis, "fsync") && is_ok(&diagnosis, "connections"));
    assert!(diagnosis.worst() == Severity::Warning, "{diagnosis:#?}");
    clinic.carry_out(&lacking);
    clinic.carry_out(&hidden);
    check_well(&doctor.examine().unwrap());
}

#[test]
fn a_role_that_only_sends_lacks_the_rest() {
    let mut clinic = Clinic::new();
    let (name, url) = clinic.able_role();
    clinic.sql(&format!(
        "REVOKE DELETE, UPDATE ON outtray.message FROM {name}"
    ));
    let doctor = Messaging::builder().url(&url).doctor();

    let finding = found(&doctor.examine().unwrap(), "privileges");

    assert!(
        finding
            .seen
            .contains("lacks 2: DELETE on message, UPDATE on message"),
        "{finding:?}"
    );
    clinic.carry_out(&finding);
    check_well(&doctor.examine().unwrap());
}

#[test]
fn what_says_what_a_check_lacks_is_enough_for_that_check() {
    let mut clinic = Clinic::new();
    let (_, url) = clinic.role("");
    let doctor = Messaging::builder().url(&url).doctor();
    let schema = found(&doctor.examine().unwrap(), "schema");

    clinic.carry_out(&schema);

    assert!(is_ok(&doctor.examine().unwrap(), "schema"));
}

#[test]
fn a_role_with_what_the_guides_grant_lacks_nothing_until_there_is_a_log() {
    let mut clinic = Clinic::new();
    let (name, url) = clinic.role("");
    clinic.sql(&format!(
        "GRANT USAGE ON SCHEMA outtray TO {name};
        GRANT USAGE ON ALL SEQUENCES IN SCHEMA outtray TO {name};
        GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA outtray TO {name}"
    ));
    let doctor = Messaging::builder().url(&url).doctor();
    let diagnosis = doctor.examine().unwrap();
    assert!(is_ok(&diagnosis, "privileges"), "{diagnosis:#?}");
    assert_eq!(diagnosis.worst(), Severity::Note);
    // It may not read the values of sequences, and nobody says that they are well.
    let sequences = found(&diagnosis, "sequences");
    let log = TopicConfig {
        kind: TopicKind::Log,
        ..TopicConfig::default()
    };
    clinic.messaging().topic("ledger").configure(log).unwrap();

    let finding = found(&doctor.examine().unwrap(), "privileges");

    assert!(finding.seen.contains("EXECUTE on log_end"), "{finding:?}");
    clinic.carry_out(&finding);
    clinic.carry_out(&sequences);
    check_well(&doctor.examine().unwrap());
}

#[test]
fn functions_that_cannot_be_compared_are_not_said_to_be_well() {
    let mut clinic = Clinic::new();
    let (name, url) = clinic.able_role();
    clinic.sql(&format!("REVOKE SELECT ON outtray.function FROM {name}"));
    let doctor = Messaging::builder().url(&url).doctor();

    let finding = found(&doctor.examine().unwrap(), "functions");

    assert_eq!(finding.severity, Severity::Note);
    clinic.carry_out(&finding);
    check_well(&doctor.examine().unwrap());
}
