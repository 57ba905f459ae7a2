//! Pages answer in time, whatever the database does.

use super::Visit;
use crate::support::{Frozen, Place, eventually};
use outtray::Messaging;
use outtray::dashboard::Dashboard;
use outtray::testing::Server;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

/// How long a page may take whatever the database does, on a busy machine.
const IN_TIME: Duration = Duration::from_secs(8);

#[test]
fn a_database_that_is_silent_delays_no_page_for_long() {
    let server = Server::builder().always_embedded().start().unwrap();
    let url = server.database().unwrap();
    let place = Place::over(&url, Messaging::connect(&url).unwrap());
    place.messaging.migrate().unwrap();
    place.send("orders", &1);
    let mut visit = Visit::logged_in(&place.messaging);
    visit.page("/");

    let frozen = Frozen::server(&server);
    eventually("it is told that the database is away", || {
        let began = Instant::now();
        let topic = visit.get("/topic?name=orders");
        let login = visit.get("/login");
        assert!(began.elapsed() < IN_TIME, "{:?}", began.elapsed());
        assert_eq!(login.status, 200);
        topic.status == 503 && topic.body.contains("database")
    });
    let csrf = visit.get("/").csrf();
    let fields = [("csrf", csrf.as_str()), ("topic", "orders")];
    let changed = visit.post("/topic/pause", &fields);
    assert_eq!(changed.status, 303, "{changed:?}");
    drop(frozen);

    eventually("it is back", || visit.get("/").status == 200);
}

#[test]
fn a_schema_that_is_missing_is_named() {
    let url = crate::support::empty_database();
    let messaging = Messaging::connect(&url).unwrap();
    let mut visit = Visit::new(&messaging);

    let answer = visit.get("/");

    assert_eq!(answer.status, 503);
    assert!(answer.body.contains("migrate"), "{answer:?}");
}

#[test]
fn a_dashboard_that_is_dropped_answers_nobody() {
    let place = Place::new();
    // No other server answers under this path, should another test get the port.
    let dashboard = Dashboard::new(&place.messaging).below("/dropped").unwrap();
    let mut visit = Visit::with(dashboard);
    visit.page("/dropped/");
    let address = visit.address();

    drop(visit);

    assert!(!is_answered(address, "/dropped/"));
}

/// Returns whether a dashboard answers there. That somebody accepts says little: a child process
/// holds all sockets of this one until it runs its program.
fn is_answered(address: SocketAddr, path: &str) -> bool {
    let Ok(mut stream) = TcpStream::connect(address) else {
        return false;
    };
    stream.set_read_timeout(Some(IN_TIME)).unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    let mut answer = Vec::new();
    let _ = stream.write_all(request.as_bytes());
    let _ = stream.read_to_end(&mut answer);
    answer.starts_with(b"HTTP/1.1 200")
}
