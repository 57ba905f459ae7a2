//! A distributed PostgreSQL. Citus cannot be installed here: an extension of its name is planted,
//! with catalogs, views and functions of the names, columns and arguments that those of Citus 13
//! have. Their two nodes are this one server.

use super::{Clinic, found, is_ok};
use outtray::{Diagnosis, Doctor, Remedy, Severity};
use std::time::Duration;

const STAND_IN: &str = "
SET allow_system_table_mods = on;
INSERT INTO pg_extension (oid, extname, extowner, extnamespace, extrelocatable, extversion)
VALUES (99999, 'citus', 10, 'pg_catalog'::regnamespace, false, '13.2-1');
CREATE TABLE pg_catalog.pg_dist_schema (schemaid oid NOT NULL, colocationid int NOT NULL);
CREATE TABLE pg_catalog.pg_dist_partition (
    logicalrelid regclass NOT NULL, partmethod \"char\" NOT NULL, partkey text,
    colocationid integer NOT NULL DEFAULT 0, repmodel \"char\" NOT NULL DEFAULT 's',
    autoconverted boolean NOT NULL DEFAULT false
);
CREATE TABLE pg_catalog.pg_dist_node (
    nodeid int, groupid int, nodename text, nodeport int, isactive bool DEFAULT true
);
INSERT INTO pg_dist_node VALUES (1, 0, 'coordinator', 5432), (2, 1, 'worker', 9700);
-- What the nodes differ in from this server.
CREATE TABLE public.answers (nodeid int, command text, answer text);
CREATE TABLE public.clients (nodeid int, application_name text);
CREATE FUNCTION pg_catalog.run_command_on_all_nodes(
    command text, parallel bool DEFAULT true, give_warning_for_connection_errors bool DEFAULT false,
    OUT nodeid int, OUT success bool, OUT result text
) RETURNS SETOF record LANGUAGE plpgsql AS $$
BEGIN
    FOR nodeid IN SELECT pg_dist_node.nodeid FROM pg_dist_node LOOP
        success := true;
        SELECT answers.answer INTO result FROM public.answers
        WHERE answers.nodeid = run_command_on_all_nodes.nodeid
            AND strpos(run_command_on_all_nodes.command, answers.command) > 0;
        IF result IS NULL THEN
            EXECUTE command INTO result;
        END IF;
        RETURN NEXT;
    END LOOP;
END $$;
CREATE VIEW pg_catalog.citus_dist_stat_activity AS
SELECT 1::bigint AS global_pid, 1 AS nodeid, false AS is_worker_query, datname, application_name, query
FROM pg_stat_activity
UNION ALL
SELECT 2, clients.nodeid, false, current_database(), clients.application_name, ''
FROM public.clients;
CREATE FUNCTION pg_catalog.citus_schema_distribute(schemaname regnamespace) RETURNS void
LANGUAGE sql AS $$
INSERT INTO pg_dist_schema VALUES (schemaname, 7);
INSERT INTO pg_dist_partition
SELECT pg_class.oid, 'n' FROM pg_class WHERE relnamespace = schemaname AND relkind IN ('r', 'p')
$$;
CREATE FUNCTION pg_catalog.create_distributed_table(table_name regclass, distribution_column text)
RETURNS void LANGUAGE sql AS $$INSERT INTO pg_dist_partition VALUES (table_name, 'n')$$;
CREATE FUNCTION pg_catalog.recover_prepared_transactions() RETURNS int
LANGUAGE sql AS $$DELETE FROM public.answers WHERE command = 'pg_prepared_xacts'; SELECT 1$$;
RESET allow_system_table_mods;
-- They are not those of a user here.
SELECT create_distributed_table('public.answers', NULL), create_distributed_table('public.clients', NULL);
";

/// Returns a database that looks like one on Citus, with the schema distributed.
fn cluster() -> Clinic {
    let mut clinic = Clinic::new();
    clinic.sql(STAND_IN);
    // Each of the nodes of a cluster can prepare as many transactions as it has connections.
    clinic.sql("INSERT INTO answers SELECT nodeid, 'max_prepared_transactions', '600 300' FROM pg_dist_node");
    clinic.sql("SELECT citus_schema_distribute('outtray')");
    // Some functions are others there.
    clinic.messaging().migrate().unwrap();
    clinic
}

#[track_caller]
fn examine(doctor: &Doctor) -> Diagnosis {
    doctor.examine().unwrap()
}

#[test]
fn a_cluster_that_is_well_has_nothing_but_ok() {
    let clinic = cluster();

    let diagnosis = examine(&clinic.doctor());

    super::check_well(&diagnosis);
    assert_eq!(diagnosis.of("citus")[0].seen, "Citus 13.2-1");
    for check in ["schema", "tables", "two_phase", "prepared", "entry"] {
        assert!(is_ok(&diagnosis, &format!("citus_{check}")), "{check}");
    }
}

#[test]
fn without_it_nothing_is_asked_of_it() {
    let clinic = Clinic::new();

    let diagnosis = examine(&clinic.doctor());

    let of_it = diagnosis.findings.iter();
    assert_eq!(
        of_it.filter(|one| one.check.starts_with("citus")).count(),
        0
    );
}

#[test]
fn a_schema_that_is_not_distributed_is_found() {
    let mut clinic = cluster();
    clinic.sql("DELETE FROM pg_dist_schema");

    let finding = found(&examine(&clinic.doctor()), "citus_schema");

    assert_eq!(finding.severity, Severity::Warning);
    clinic.carry_out(&finding);
    super::check_well(&examine(&clinic.doctor()));
}

#[test]
fn a_table_of_handlers_that_citus_does_not_know_is_unsafe() {
    let mut clinic = cluster();
    clinic.sql(
        "CREATE TABLE \"my ledger\" (x int); CREATE SCHEMA shop; CREATE TABLE shop.cart (x int)",
    );

    let unnamed = examine(&clinic.doctor());
    let named = clinic.doctor().table("public.\"my ledger\"");
    let finding = found(&examine(&named), "citus_tables");
    let other = clinic.doctor().table("shop.carts");
    let mistyped = found(&examine(&other), "citus_tables");

    let unnamed = unnamed.of("citus_tables");
    assert_eq!(unnamed.len(), 2, "{unnamed:?}");
    assert!(unnamed.iter().all(|one| one.severity == Severity::Warning));
    assert_eq!(finding.severity, Severity::Unsafe);
    assert!(
        finding
            .seen
            .starts_with("table public.\"my ledger\" is local"),
        "{finding:?}"
    );
    assert!(
        mistyped.seen.contains("no table shop.carts"),
        "{mistyped:?}"
    );
    clinic.carry_out(&finding);
    assert!(is_ok(&examine(&named), "citus_tables"));
    clinic.carry_out(unnamed[1]);
    super::check_well(&examine(&clinic.doctor()));
}

#[test]
fn a_node_that_cannot_prepare_transactions_is_named() {
    let mut clinic = cluster();
    for (answer, severity) in [
        ("0 300", Severity::Unsafe),
        ("10 300", Severity::Warning),
        ("lost", Severity::Warning),
    ] {
        clinic.sql(&format!(
            "UPDATE answers SET answer = '{answer}' WHERE nodeid = 2 AND command = 'max_prepared_transactions'"
        ));

        let finding = found(&examine(&clinic.doctor()), "citus_two_phase");

        assert_eq!(finding.severity, severity, "{finding:?}");
        assert!(finding.seen.contains("node worker:9700"), "{finding:?}");
    }
    clinic.sql("UPDATE answers SET answer = '10 300'");
    let diagnosis = examine(&clinic.doctor());
    let remedy = Remedy::Sql("ALTER SYSTEM SET max_prepared_transactions = 600;".to_owned());
    let findings = diagnosis.of("citus_two_phase");
    assert!(findings.len() == 2 && findings.iter().all(|one| one.remedies.contains(&remedy)));
}

#[test]
fn what_citus_prepared_is_left_to_citus_on_whichever_node_it_is() {
    let mut clinic = cluster();
    clinic.sql("CREATE TABLE pg_temp.nothing (x int)");
    let mut other = crate::support::client(&clinic.url);
    let name = format!("citus_0_{}", super::uuid());
    other
        .batch_execute(&format!(
            "BEGIN; INSERT INTO answers VALUES (9, 'x', 'y'); PREPARE TRANSACTION '{name}'"
        ))
        .unwrap();
    let impatient = clinic.doctor().patience(Duration::ZERO);

    let diagnosis = examine(&impatient);

    assert!(is_ok(&diagnosis, "prepared_transactions"), "{diagnosis:#?}");
    let findings = diagnosis.of("citus_prepared");
    assert!(
        findings[0]
            .seen
            .starts_with("1 transactions are prepared on node coordinator:5432"),
        "{findings:?}"
    );
    other
        .batch_execute(&format!("ROLLBACK PREPARED '{name}'"))
        .unwrap();
    assert!(is_ok(&examine(&impatient), "citus_prepared"));
    clinic.sql("INSERT INTO answers VALUES (2, 'pg_prepared_xacts', '3 7200000')");
    let finding = found(&examine(&clinic.doctor()), "citus_prepared");
    assert!(
        finding
            .seen
            .contains("3 transactions are prepared on node worker:9700, the oldest for 2 h"),
        "{finding:?}"
    );
    clinic.carry_out(&finding);
    super::check_well(&examine(&clinic.doctor()));
}

#[test]
fn clients_that_come_in_by_two_nodes_are_found() {
    let mut clinic = cluster();
    let _messaging = clinic.messaging();
    clinic.sql("INSERT INTO clients VALUES (2, 'somebody else')");
    assert!(is_ok(&examine(&clinic.doctor()), "citus_entry"));
    clinic.sql("INSERT INTO clients VALUES (2, 'outtray'), (2, 'outtray')");

    let finding = found(&examine(&clinic.doctor()), "citus_entry");

    assert!(finding.seen.contains("2 on worker:9700"), "{finding:?}");
    assert!(finding.seen.contains("on coordinator:5432"), "{finding:?}");
    clinic.sql("DELETE FROM clients");
    assert!(is_ok(&examine(&clinic.doctor()), "citus_entry"));
}

#[test]
fn generic_plans_are_unsafe_there() {
    let mut clinic = cluster();
    let database = clinic.text("SELECT current_database()");
    clinic.sql(&format!(
        "ALTER DATABASE {database} SET plan_cache_mode = force_generic_plan"
    ));

    let finding = found(&examine(&clinic.doctor()), "plan_cache_mode");

    assert_eq!(finding.severity, Severity::Unsafe);
    clinic.carry_out(&finding);
    super::check_well(&examine(&clinic.doctor()));
}
