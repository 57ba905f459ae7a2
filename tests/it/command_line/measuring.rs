//! `outtray bench`: it measures on a server of its own, and says what it saw.

use super::{Ended, check, objects, outtray, run};
use tempfile::tempdir;

/// Runs the bench, which ends by itself: on a busy machine it is slow, and that is no fault.
fn bench(arguments: &[&str]) -> Ended {
    let output = outtray(&[&["bench"], arguments].concat()).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Ended {
        code: output.status.code().unwrap(),
        stdout: text(output.stdout),
        stderr: text(output.stderr),
    }
}

#[test]
fn the_cases_are_listed_and_an_unknown_one_is_named_with_those_there_are() {
    let listed = run(outtray(&["bench", "--list"]), "");
    check(&listed, 0, "");
    for name in [
        "send-one",
        "handle-adaptive",
        "held",
        "backlog",
        "latency-across",
    ] {
        assert!(listed.stdout.contains(name), "{name} in {}", listed.stdout);
    }

    let unknown = run(outtray(&["bench", "sendone"]), "");
    check(&unknown, 2, "no case sendone, there are send-one, ");
}

#[test]
fn a_case_prints_its_rate_beside_plain_sql_for_machines_and_for_people() {
    let two_cases = ["send-one", "handle-single"];
    let quickly = ["--scale", "0.02", "--rounds", "1", "--json"];

    let measured = bench(&[&two_cases[..], &quickly].concat());
    check(&measured, 0, "");
    let reports = objects(&measured.stdout);
    assert_eq!(reports.len(), 2);
    for report in &reports {
        let number = |field: &str| report[field].as_f64().unwrap_or_default();
        let ratio = number("per_second") / number("raw_per_second");
        assert!((number("ratio") - ratio).abs() < 1e-6, "{report}");
        assert!(
            number("p99_us") >= number("p50_us") && number("p50_us") > 0.0,
            "{report}"
        );
        assert!(number("wal_bytes_per_message") > 0.0, "{report}");
        // A server process reports its counts once a second: of so few some are missing.
        assert!(number("commits_per_message") > 0.0, "{report}");
    }

    let measured = bench(&["send-one", "--scale", "0.01", "--rounds", "1"]);
    check(&measured, 0, "");
    for part in ["PostgreSQL ", "ratio", "send-one"] {
        assert!(
            measured.stdout.contains(part),
            "{part} in {}",
            measured.stdout
        );
    }
}

#[test]
fn a_second_process_of_the_same_program_answers_where_a_case_needs_one() {
    let measured = bench(&["latency-across", "--scale", "0.01", "--json"]);

    check(&measured, 0, "");
    let reports = objects(&measured.stdout);
    assert!(
        reports[0]["p50_us"].as_f64().unwrap_or_default() > 0.0,
        "{measured:?}"
    );
}

#[test]
fn a_course_over_time_is_drawn() {
    let folder = tempdir().unwrap();
    let plots = folder.path().to_str().unwrap();

    let measured = bench(&["backlog", "--scale", "0.002", "--plots", plots]);

    check(&measured, 0, "");
    let drawn = std::fs::read_to_string(folder.path().join("backlog.svg")).unwrap();
    assert!(
        drawn.starts_with("<svg") && drawn.contains("<polyline"),
        "{drawn}"
    );
}

#[test]
fn the_cases_are_listed_for_machines_too() {
    let listed = run(outtray(&["bench", "--list", "--json"]), "");

    let cases = objects(&listed.stdout);
    assert!(
        cases.iter().any(|case| case["case"] == "send-one"),
        "{listed:?}"
    );
    assert!(cases.iter().all(|case| case["about"].is_string()));
}
