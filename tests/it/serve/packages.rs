//! The clients that dsmq's own packages bring, unchanged, and dsmq's own tests.
//!
//! They need Python and `tests/dsmq/fetch target/dsmq`, which `.ci/run` calls. Without it these
//! tests are skipped, unless `CI` says that nothing may be.

use super::{Serving, database};
use crate::support::not_checked;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Returns the folder with the packages; `None` where they were not fetched.
fn packages() -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/dsmq");
    if folder.join("complete").exists() {
        return Some(folder);
    }
    not_checked("the packages of dsmq are not there: call tests/dsmq/fetch target/dsmq");
    None
}

fn tests() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/dsmq")
}

fn python(packages: &Path) -> Command {
    Command::new(packages.join("venv/bin/python"))
}

#[test]
fn the_tests_of_dsmq_1_4_1_pass_with_this_server_in_the_place_of_theirs() {
    let Some(packages) = packages() else {
        return;
    };
    let output = python(&packages)
        .args([
            "-m",
            "pytest",
            "-p",
            "no:cacheprovider",
            "-q",
            "--pyargs",
            "dsmq.tests.integration_test",
        ])
        .env("PYTHONPATH", tests().join("stand_in"))
        .env("OUTTRAY", env!("CARGO_BIN_EXE_outtray"))
        .env("DATABASE_URL", database())
        .current_dir(std::env::temp_dir())
        .output()
        .unwrap();

    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success(),
        "{said}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(said.contains("10 passed"), "{said}");
}

#[test]
fn the_clients_of_dsmq_before_1_0_work_unchanged() {
    let Some(packages) = packages() else {
        return;
    };
    for version in ["0.2.0", "0.6.0", "0.7.0"] {
        let serving = Serving::new();
        let output = python(&packages)
            .arg(tests().join("clients.py"))
            .arg(packages.join(version))
            .args([
                serving.address.ip().to_string(),
                serving.address.port().to_string(),
            ])
            .output()
            .unwrap();

        let said = String::from_utf8_lossy(&output.stdout);
        assert!(
            output.status.success(),
            "{version}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        for number in 0..5 {
            assert!(
                said.contains(&format!("{number}. Hello, world")),
                "{version}: {said}"
            );
        }
        let all = (0..20)
            .map(|number| format!("'{number} é', "))
            .collect::<String>();
        assert_eq!(said.contains(&all), version != "0.2.0", "{version}: {said}");
    }
}
