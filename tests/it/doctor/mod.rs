//! An examination finds what endangers the promises or the speed, says what to do about it, and
//! what it says to do mends it; where all is well it finds nothing.

mod cluster;
mod command;
mod few_privileges;
mod guide;
mod horizon;
mod schema;
mod settings;
mod topics;
mod way;

use crate::support::{PATIENCE, aside, client, eventually};
use outtray::testing::Server;
use outtray::{Diagnosis, Doctor, Finding, Messaging, Remedy, Severity};
use postgres::Client;
use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;

const OUTTRAY: &str = env!("CARGO_BIN_EXE_outtray");

/// Returns a server that is as a production server should be. Tests change nothing of the whole
/// server here.
fn well() -> &'static Server {
    static WELL: OnceLock<Server> = OnceLock::new();
    WELL.get_or_init(started)
}

/// Starts a server that is well, for a test that changes that.
fn started() -> Server {
    let builder = Server::builder().always_embedded().durable(true);
    let builder = builder.setting("max_prepared_transactions", "10");
    builder.setting("wal_level", "logical").start().unwrap()
}

/// A database to be examined.
struct Clinic {
    url: String,
    client: Client,
}

impl Clinic {
    fn new() -> Clinic {
        Clinic::on(well())
    }

    fn on(server: &Server) -> Clinic {
        let url = server.database().unwrap();
        let client = client(&url);
        Clinic { url, client }
    }

    fn doctor(&self) -> Doctor {
        Messaging::builder().url(&self.url).doctor()
    }

    fn messaging(&self) -> Messaging {
        Messaging::connect(&self.url).unwrap()
    }

    fn sql(&mut self, statements: &str) {
        self.client.batch_execute(statements).unwrap();
    }

    fn text(&mut self, query: &str) -> String {
        self.client.query_one(query, &[]).unwrap().get(0)
    }

    /// Makes a role that may log in, with these attributes; returns its name and the way in as it.
    fn role(&mut self, attributes: &str) -> (String, String) {
        let name = format!("role_{}", uuid());
        self.sql(&format!(
            "CREATE ROLE {name} LOGIN PASSWORD 'secret' {attributes}"
        ));
        let (_, place) = self.url.rsplit_once('@').unwrap();
        let url = format!("postgresql://{name}:secret@{place}");
        (name, url)
    }

    /// Makes a role that may do what outtray needs.
    fn able_role(&mut self) -> (String, String) {
        let (name, url) = self.role("");
        self.sql(&format!(
            "GRANT pg_monitor TO {name};
            GRANT USAGE ON SCHEMA outtray TO {name};
            GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA outtray TO {name};
            GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA outtray TO {name};
            GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA outtray TO {name}"
        ));
        (name, url)
    }

    /// Does what a finding says, as an administrator; returns what of it was advice.
    fn carry_out(&mut self, finding: &Finding) -> Vec<String> {
        let mut advice = Vec::new();
        for remedy in &finding.remedies {
            match remedy {
                Remedy::Sql(statement) => self.client.batch_execute(statement).unwrap(),
                Remedy::Command(line) => run_line(line, &self.url),
                Remedy::Advice(text) => advice.push(text.clone()),
                other => panic!("{other:?}"),
            }
        }
        advice
    }
}

/// Runs a command line as it is printed.
fn run_line(line: &str, url: &str) {
    let folder = Path::new(OUTTRAY).parent().unwrap();
    let path = std::env::var("PATH").unwrap();
    let mut shell = Command::new("sh");
    shell
        .args(["-c", line])
        .env("PATH", format!("{}:{path}", folder.display()))
        .env("DATABASE_URL", url)
        .env_remove("OUTTRAY_SCHEMA");
    let ended = shell.output().unwrap();
    assert!(ended.status.success(), "{line}: {ended:?}");
}

fn uuid() -> String {
    uuid::Uuid::now_v7().simple().to_string()
}

/// Returns the only finding of a check, which is not that all is well.
#[track_caller]
fn found(diagnosis: &Diagnosis, check: &str) -> Finding {
    let findings = diagnosis.of(check);
    assert_eq!(findings.len(), 1, "{check}: {diagnosis:#?}");
    assert!(findings[0].severity > Severity::Ok, "{findings:?}");
    assert!(!findings[0].means.is_empty(), "{findings:?}");
    findings[0].clone()
}

/// Returns whether a check found that all is well.
fn is_ok(diagnosis: &Diagnosis, check: &str) -> bool {
    let findings = diagnosis.of(check);
    !findings.is_empty() && findings.iter().all(|one| one.severity == Severity::Ok)
}

/// Examines until a check finds something: what the server read anew, or counts late.
#[track_caller]
fn eventually_found(doctor: &Doctor, check: &str) -> Finding {
    let mut last = None;
    eventually(&format!("{check} finds something"), || {
        let diagnosis = doctor.examine().unwrap();
        let is_found = !is_ok(&diagnosis, check) && !diagnosis.of(check).is_empty();
        last = is_found.then_some(diagnosis);
        is_found
    });
    found(&last.unwrap(), check)
}

#[track_caller]
fn eventually_ok(doctor: &Doctor, check: &str) {
    eventually(&format!("{check} is ok"), || {
        is_ok(&doctor.examine().unwrap(), check)
    });
}

/// Fails unless nothing is worse than well.
#[track_caller]
fn check_well(diagnosis: &Diagnosis) {
    let bad: Vec<&Finding> = diagnosis
        .findings
        .iter()
        .filter(|finding| finding.severity > Severity::Ok)
        .collect();
    assert!(bad.is_empty(), "{bad:#?}");
    assert!(diagnosis.findings.len() > 20, "{diagnosis:#?}");
}

#[test]
fn where_all_is_well_nothing_is_found() {
    let clinic = Clinic::new();

    check_well(&clinic.doctor().examine().unwrap());
    check_well(&clinic.messaging().doctor().unwrap());
}

#[test]
fn a_role_that_may_do_all_that_is_needed_finds_nothing_either() {
    let mut clinic = Clinic::new();
    let (_, url) = clinic.able_role();

    check_well(&Messaging::builder().url(url).doctor().examine().unwrap());
}

#[test]
fn an_examination_changes_nothing_and_has_no_transaction_id() {
    let next = "SELECT pg_snapshot_xmax(pg_current_snapshot())::text";
    let server = started();
    let mut alone = Clinic::on(&server);
    let before = alone.text(next);

    alone.doctor().examine().unwrap();

    assert_eq!(alone.text(next), before);
}

#[test]
fn a_check_that_fails_is_a_finding_of_its_own_and_hides_no_other() {
    let clinic = Clinic::new();
    // As while something migrates that takes long.
    let mut other = client(&clinic.url);
    let mut migration = other.transaction().unwrap();
    migration
        .batch_execute("LOCK TABLE outtray.migration IN ACCESS EXCLUSIVE MODE")
        .unwrap();

    let diagnosis = clinic.doctor().examine().unwrap();

    let schema = found(&diagnosis, "schema");
    assert_eq!(schema.severity, Severity::Warning);
    assert!(schema.seen.starts_with("not found out: "), "{schema:?}");
    assert!(is_ok(&diagnosis, "fsync") && is_ok(&diagnosis, "connections"));
    migration.rollback().unwrap();
    check_well(&clinic.doctor().examine().unwrap());
}

#[test]
fn a_connection_that_is_lost_costs_the_check_that_had_it_and_no_other() {
    let mut clinic = Clinic::new();
    let mut other = client(&clinic.url);
    let mut migration = other.transaction().unwrap();
    migration
        .batch_execute("LOCK TABLE outtray.topic IN ACCESS EXCLUSIVE MODE")
        .unwrap();
    let doctor = clinic.doctor();
    let examined = aside(move || doctor.examine().unwrap());
    let waiting = "SELECT coalesce(string_agg(pid::text, ','), '') FROM pg_stat_activity
        WHERE datname = current_database() AND wait_event_type = 'Lock'";
    let mut process = String::new();
    eventually("it waits", || {
        process = clinic.text(waiting);
        !process.is_empty()
    });
    clinic.sql(&format!("SELECT pg_terminate_backend({process})"));
    migration.rollback().unwrap();

    let diagnosis = examined.recv_timeout(PATIENCE).unwrap();

    let bad = diagnosis.findings.iter();
    let bad: Vec<_> = bad.filter(|one| one.severity > Severity::Ok).collect();
    assert_eq!(bad.len(), 1, "{bad:#?}");
    assert!(bad[0].seen.starts_with("not found out: "), "{bad:?}");
    assert!(is_ok(&diagnosis, "upkeep"));
}
