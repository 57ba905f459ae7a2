//! Other machines are served only if there is a token, and only who knows it.

use super::Serving;
use crate::support::database;
use std::io::Write;
use std::process::Command;
use tempfile::NamedTempFile;

const TOKEN: &str = "0123456789abcdef";

fn token_file() -> NamedTempFile {
    let mut file = NamedTempFile::new().unwrap();
    writeln!(file, "{TOKEN}").unwrap();
    file
}

#[test]
fn an_address_that_others_can_reach_needs_a_token() {
    for arguments in [
        &["serve", "--http", "0.0.0.0:0"][..],
        &["serve", "--http", "[::]:0", "--dsmq", "127.0.0.1:0"],
        &["work", "orders", "--http", "0.0.0.0:0", "--", "true"],
    ] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_outtray"));
        let output = command
            .args(arguments)
            .env("DATABASE_URL", "postgresql://x@localhost:1/x")
            .output()
            .unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains("other machines can reach"), "{said}");
        assert!(said.contains("--token-file"), "{said}");
    }
}

#[test]
fn metrics_are_for_those_who_know_the_token_and_health_is_for_all() {
    let file = token_file();
    let options = ["--token-file", file.path().to_str().unwrap()];
    let serving = Serving::over(&database(), &options);
    let ask = |path: &str, header: &str| {
        serving.ask(&format!("GET {path} HTTP/1.1\r\nHost: x\r\n{header}\r\n"))
    };

    for header in [
        "",
        "Authorization: Bearer 0123456789abcdeF\r\n",
        "Authorization: Bearer\r\n",
        "Authorization: 0123456789abcdef\r\n",
        "Authorization: \u{fc}\r\n",
    ] {
        let refused = ask("/metrics", header);
        assert_eq!(refused.status, 401, "{header}: {refused:?}");
        assert!(
            refused
                .head
                .to_lowercase()
                .contains("www-authenticate: bearer")
        );
        assert!(!refused.body.contains("outtray_"));
    }
    let header = format!("Authorization: Bearer {TOKEN}\r\n");
    assert_eq!(ask("/metrics", &header).status, 200);
    assert_eq!(ask("/healthz", "").status, 200);
    assert_eq!(ask("/readyz", "").status, 200);
}
