//! Settings that endanger the promises or the speed, wherever they were made.

use super::{Clinic, eventually_found, eventually_ok, found, is_ok, started};
use outtray::{Messaging, Remedy, Severity};
use std::fs;

/// Makes a setting of the server bad, and does what the finding says.
#[track_caller]
fn check_server(clinic: &mut Clinic, setting: &str, value: &str, severity: Severity) {
    clinic.sql(&format!("ALTER SYSTEM SET {setting} = {value}"));
    clinic.sql("SELECT pg_reload_conf()");

    let finding = eventually_found(&clinic.doctor(), setting);

    assert_eq!(finding.severity, severity, "{finding:?}");
    assert!(finding.seen.contains(setting), "{finding:?}");
    assert_eq!(clinic.carry_out(&finding), [""; 0]);
    eventually_ok(&clinic.doctor(), setting);
}

#[test]
fn settings_of_the_server_are_found_and_mended() {
    let server = started();
    let mut clinic = Clinic::on(&server);

    check_server(&mut clinic, "fsync", "off", Severity::Unsafe);
    check_server(&mut clinic, "full_page_writes", "off", Severity::Unsafe);
    check_server(&mut clinic, "synchronous_commit", "off", Severity::Unsafe);
    check_server(&mut clinic, "autovacuum", "off", Severity::Warning);
    check_server(&mut clinic, "track_counts", "off", Severity::Warning);
    check_server(&mut clinic, "track_activities", "off", Severity::Warning);
    check_server(&mut clinic, "statement_timeout", "'20s'", Severity::Warning);
    super::check_well(&clinic.doctor().examine().unwrap());
}

#[test]
fn a_setting_that_needs_a_restart_says_so() {
    let server = started();
    let mut clinic = Clinic::on(&server);
    let number: i32 = clinic.text("SHOW server_version_num").parse().unwrap();
    if number >= 170_000 {
        // It is gone.
        let diagnosis = clinic.doctor().examine().unwrap();
        assert!(diagnosis.of("old_snapshot_threshold").is_empty());
        return;
    }
    clinic.sql("ALTER SYSTEM SET old_snapshot_threshold = '1h'");
    server.restart_immediately().unwrap();
    clinic.client = crate::support::client(&clinic.url);

    let finding = eventually_found(&clinic.doctor(), "old_snapshot_threshold");

    assert_eq!(clinic.carry_out(&finding), ["restart the server"]);
    server.restart_immediately().unwrap();
    eventually_ok(&clinic.doctor(), "old_snapshot_threshold");
}

#[test]
fn settings_of_roles_and_databases_are_mended_where_they_were_made() {
    let mut clinic = Clinic::new();
    let (role, url) = clinic.able_role();
    let database = clinic.text("SELECT current_database()");
    let doctor = Messaging::builder().url(&url).doctor();
    let cases = [
        ("ALTER ROLE {role}", "synchronous_commit", "off"),
        ("ALTER DATABASE {database}", "statement_timeout", "'5s'"),
        (
            "ALTER ROLE {role} IN DATABASE {database}",
            "idle_in_transaction_session_timeout",
            "'1s'",
        ),
        ("ALTER ROLE {role}", "idle_session_timeout", "'2s'"),
        ("ALTER DATABASE {database}", "lock_timeout", "10"),
        (
            "ALTER ROLE {role}",
            "default_transaction_isolation",
            "'serializable'",
        ),
        (
            "ALTER DATABASE {database}",
            "default_transaction_read_only",
            "on",
        ),
        ("ALTER ROLE {role}", "enable_indexscan", "off"),
        ("ALTER ROLE {role}", "enable_nestloop", "off"),
        (
            "ALTER DATABASE {database}",
            "plan_cache_mode",
            "force_generic_plan",
        ),
    ];
    for (place, setting, value) in cases {
        let place = place
            .replace("{role}", &role)
            .replace("{database}", &database);
        clinic.client = crate::support::client(&clinic.url);
        clinic.sql("SET default_transaction_read_only = off");
        clinic.sql(&format!("{place} SET {setting} = {value}"));

        let finding = found(&doctor.examine().unwrap(), setting);

        let Remedy::Sql(statement) = &finding.remedies[0] else {
            panic!("{finding:?}");
        };
        assert!(
            statement.starts_with(&format!("{place} SET {setting} = ")),
            "{statement}"
        );
        clinic.carry_out(&finding);
        assert!(is_ok(&doctor.examine().unwrap(), setting), "{setting}");
    }
    super::check_well(&doctor.examine().unwrap());
}

#[test]
fn a_setting_of_the_urls_options_is_to_be_taken_out_there() {
    let clinic = Clinic::new();
    let url = format!("{}?options=-c%20synchronous_commit%3Doff", clinic.url);

    let diagnosis = Messaging::builder().url(url).doctor().examine().unwrap();

    let finding = found(&diagnosis, "synchronous_commit");
    assert_eq!(finding.severity, Severity::Unsafe);
    assert_eq!(
        finding.remedies,
        [Remedy::Advice(
            "take synchronous_commit out of the URL's options".to_owned()
        )]
    );
}

#[test]
fn a_setting_of_the_servers_command_line_is_to_be_changed_there() {
    let server = started();
    let clinic = Clinic::on(&server);
    let file = server.data_dir().unwrap().join("postmaster.opts");
    let well = fs::read_to_string(&file).unwrap();
    let bad = format!("{} \"-c\" \"fsync=off\"\n", well.trim_end());
    fs::write(&file, bad).unwrap();
    server.restart_immediately().unwrap();

    let finding = eventually_found(&clinic.doctor(), "fsync");

    assert_eq!(finding.seen, "fsync is off, by the server's command line");
    assert!(matches!(&finding.remedies[..], [Remedy::Advice(_)]));
    fs::write(&file, well).unwrap();
    server.restart_immediately().unwrap();
    eventually_ok(&clinic.doctor(), "fsync");
}

#[test]
fn the_setting_that_has_the_say_is_the_one_that_is_named() {
    let mut clinic = Clinic::new();
    let (role, url) = clinic.able_role();
    let database = clinic.text("SELECT current_database()");
    let doctor = Messaging::builder().url(&url).doctor();
    clinic.sql(&format!(
        "ALTER DATABASE {database} SET synchronous_commit = off; ALTER ROLE {role} SET synchronous_commit = on"
    ));

    assert!(is_ok(&doctor.examine().unwrap(), "synchronous_commit"));
    clinic.sql(&format!("ALTER ROLE {role} RESET synchronous_commit"));
    let finding = found(&doctor.examine().unwrap(), "synchronous_commit");

    assert!(finding.seen.contains("set for the database"), "{finding:?}");
}

#[test]
fn commits_that_wait_for_a_standby_that_is_not_there_are_found() {
    let server = started();
    let mut clinic = Clinic::on(&server);
    clinic.sql("ALTER SYSTEM SET synchronous_standby_names = 'gone'");
    clinic.sql("SELECT pg_reload_conf()");

    let finding = eventually_found(&clinic.doctor(), "synchronous_standby");
    clinic.client = crate::support::client(&clinic.url);
    clinic.sql("SET synchronous_commit = local");
    clinic.sql("ALTER ROLE postgres SET synchronous_commit = local");
    let loose = found(&clinic.doctor().examine().unwrap(), "synchronous_standby");

    assert_eq!(finding.severity, Severity::Unsafe);
    assert_eq!(loose.severity, Severity::Warning);
    clinic.carry_out(&loose);
    assert_eq!(
        found(&clinic.doctor().examine().unwrap(), "synchronous_standby"),
        finding
    );
    clinic.carry_out(&finding);
    eventually_ok(&clinic.doctor(), "synchronous_standby");
}

#[test]
fn too_few_connections_are_found_at_each_limit() {
    let mut clinic = Clinic::new();
    let (role, url) = clinic.able_role();
    let database = clinic.text("SELECT current_database()");
    let doctor = Messaging::builder().url(&url).doctor();
    for place in [format!("ROLE {role}"), format!("DATABASE {database}")] {
        clinic.sql(&format!("ALTER {place} CONNECTION LIMIT 4"));

        let finding = found(&doctor.examine().unwrap(), "connections");

        assert!(finding.seen.contains(" of 4 connections"), "{finding:?}");
        clinic.carry_out(&finding);
        eventually_ok(&doctor, "connections");
    }
}
