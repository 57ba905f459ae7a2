//! What a connection string does not say is not taken from the surroundings.

use super::{arrive, quoted};
use crate::support::{Child, empty_database, server, test_name};
use outtray::Messaging;
use outtray::testing::Server;
use postgres::{Client, Config, NoTls};

const CHILD: &str = test_name!(what_child_processes_run);

#[test]
fn the_environment_of_libpq_is_not_read() {
    let folder = tempfile::tempdir().unwrap();
    let config: Config = server().url().parse().unwrap();
    let password = String::from_utf8(config.get_password().unwrap_or_default().to_vec()).unwrap();
    let file = folder.path().join("pass");
    std::fs::write(&file, format!("*:*:*:*:{password}\n")).unwrap();
    let mut program = Child::this_program();
    program
        .env("PGHOST", "127.0.0.1")
        .env("PGPORT", config.get_ports()[0].to_string())
        .env("PGUSER", "postgres")
        .env("PGPASSWORD", &password)
        .env("PGPASSFILE", &file)
        .env("PGSSLMODE", "require")
        .env("PGOPTIONS", "-c work_mem=7MB")
        .env("PGAPPNAME", "somebody")
        .env("PGSERVICE", "somewhere")
        .env("OUTTRAY_TEST_URL", empty_database());

    let mut child = Child::start(program, CHILD, "look around");

    assert_eq!(child.listen(), "no host");
    assert_eq!(child.listen(), "no password");
    assert_eq!(child.listen(), "outtray");
    child.finish();
}

#[test]
fn tests_find_the_server_of_a_connection_string_in_words() {
    let config: Config = server().url().parse().unwrap();
    let password = String::from_utf8(config.get_password().unwrap_or_default().to_vec()).unwrap();
    let url = format!(
        "host = 127.0.0.1 port='{}'user=postgres password={} application_name='a://b?c/d' dbname = 'postgres'",
        config.get_ports()[0],
        quoted(&password),
    );
    let mut program = Child::this_program();
    program.env("DATABASE_URL", url);

    let mut child = Child::start(program, CHILD, "make a database");

    let database = child.listen();
    let mut client = Client::connect(&database, NoTls).unwrap();
    client.batch_execute("SELECT FROM outtray.message").unwrap();
    let name: String = client
        .query_one("SHOW application_name", &[])
        .unwrap()
        .get(0);
    assert_eq!(name, "a://b?c/d");
    drop(client);
    child.finish();
}

/// Does nothing in the test run itself.
#[test]
fn what_child_processes_run() {
    match Child::role().as_deref() {
        Some("look around") => {
            let nowhere = Messaging::connect("user=postgres").expect_err("nobody named a host");
            Child::tell(if nowhere.to_string().contains("names no host") {
                "no host"
            } else {
                "a host"
            });
            let url = std::env::var("OUTTRAY_TEST_URL").unwrap();
            let config: Config = url.parse().unwrap();
            let place = format!(
                "postgresql://postgres@127.0.0.1:{}/postgres",
                config.get_ports()[0]
            );
            let refused = Messaging::connect(&place).expect_err("a password is needed");
            Child::tell(if refused.to_string().contains("password missing") {
                "no password"
            } else {
                "a password"
            });
            Child::tell(&arrive(&url).2);
            Child::await_parent();
        }
        Some("make a database") => {
            let server = Server::start().unwrap();
            Child::tell(&server.database().unwrap());
            Child::await_parent();
        }
        _ => {}
    }
}
