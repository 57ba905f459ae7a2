//! Databases that cannot be reached, or must not be.

use super::{check_all, row};
use crate::support::{empty_database, eventually, send, server};
use outtray::ErrorKind::{Configuration, Denied, Invalid, Unavailable};
use outtray::testing::Server;
use outtray::{HandlerError, Message, Messaging};
use postgres::{Client, NoTls};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::sync::OnceLock;
use std::time::Duration;
use std::{fs, thread};

/// Returns `HOST:PORT/` of a server where everybody but postgres needs a password, and `clerk` has
/// one.
fn guarded() -> &'static str {
    static PLACE: OnceLock<(Server, String)> = OnceLock::new();
    let (_, place) = PLACE.get_or_init(|| {
        let server = Server::builder().always_embedded().start().unwrap();
        let mut client = Client::connect(server.url(), NoTls).unwrap();
        let rules =
            "host all postgres 127.0.0.1/32 trust\nhost all all 127.0.0.1/32 scram-sha-256\n";
        fs::write(server.data_dir().unwrap().join("pg_hba.conf"), rules).unwrap();
        client
            .batch_execute(
                "CREATE ROLE clerk LOGIN PASSWORD 'open sesame'; SELECT pg_reload_conf()",
            )
            .unwrap();
        let (_, place) = server.url().split_once('@').unwrap();
        let place = place.trim_end_matches("postgres").to_owned();
        let without = format!("postgresql://clerk@{place}postgres");
        eventually("passwords are asked for", || {
            Client::connect(&without, NoTls).is_err()
        });
        (server, place)
    });
    place
}

fn connect(url: impl Into<String>) -> outtray::Result<Messaging> {
    Messaging::connect(&url.into())
}

fn closed_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    listener.local_addr().unwrap().port()
}

/// Returns the port of something that is no PostgreSQL: it answers whoever speaks first, and hangs
/// up.
fn another_service(answer: &'static [u8]) -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let serve = move || {
        for mut client in listener.incoming().flatten() {
            let _ = client.read(&mut [0; 1024]);
            let _ = client.write_all(answer);
        }
    };
    thread::Builder::new().spawn(serve).unwrap();
    port
}

#[test]
fn a_server_that_cannot_be_reached_is_a_typed_error_that_says_what_to_do() {
    let local = |port: u16| format!("postgresql://me:secret@127.0.0.1:{port}/app");

    check_all(vec![
        row(
            "a closed port",
            Unavailable,
            "is the server running?",
            move |_| connect(local(closed_port())),
        ),
        row(
            "a missing socket",
            Unavailable,
            "is the server running?",
            |_| connect("host=/nowhere user=me"),
        ),
        row(
            "a host without a name",
            Unavailable,
            "no-such-host.invalid:5432/app",
            |_| connect("postgresql://me@no-such-host.invalid/app?sslmode=disable"),
        ),
        row(
            "a web server",
            Unavailable,
            "cannot reach 127.0.0.1",
            move |_| connect(local(another_service(b"HTTP/1.1 400 Bad Request\r\n\r\n"))),
        ),
        row(
            "a port that hangs up",
            Unavailable,
            "cannot reach 127.0.0.1",
            move |_| connect(local(another_service(b""))),
        ),
    ]);
}

#[test]
fn a_server_that_lets_one_not_in_is_a_typed_error_that_says_what_to_do() {
    let place = guarded();
    let at = |user: &str, database: &str| format!("postgresql://{user}@{place}{database}");
    let (wrong, none, unknown) = (
        at("clerk:secret", "postgres"),
        at("clerk", "postgres"),
        at("nobody:secret", "x"),
    );
    let missing = at("clerk:open%20sesame", "no_such_db");

    check_all(vec![
        row(
            "a wrong password",
            Denied,
            "check user and password in the URL",
            move |_| connect(wrong),
        ),
        row(
            "no password",
            Configuration,
            "password missing",
            move |_| connect(none),
        ),
        row(
            "an unknown user",
            Denied,
            "check user and password in the URL",
            move |_| connect(unknown),
        ),
        row(
            "an unknown database",
            Configuration,
            "create the database",
            move |_| connect(missing),
        ),
    ]);
}

#[test]
fn a_right_password_is_let_in() {
    let url = format!("postgresql://clerk:open%20sesame@{}postgres", guarded());

    let messaging = connect(url).unwrap();

    assert!(
        !format!("{messaging:?}").contains("sesame"),
        "{messaging:?}"
    );
}

#[test]
fn a_url_that_makes_no_sense_is_refused_without_being_shown() {
    let malformed = "write postgresql://user@host:port/database";
    let urls = [
        (
            "a port that is no number",
            "postgresql://me:secret@db:port/app",
        ),
        ("a port out of range", "postgresql://me:secret@db:99999/app"),
        ("another scheme", "mysql://me:secret@db/app"),
        ("a word", "secret"),
        (
            "an unknown parameter",
            "postgresql://me@localhost/app?pssword=secret",
        ),
        ("a key without a value", "host=localhost password"),
        ("an open quote", "host=localhost password='secret"),
    ];
    let mut rows: Vec<_> = urls
        .into_iter()
        .map(|(tried, url)| row(tried, Configuration, malformed, move |_| connect(url)))
        .collect();
    rows.extend([
        row(
            "a URL without a host",
            Configuration,
            "names no host",
            |_| connect("postgresql://"),
        ),
        row(
            "pairs without a host",
            Configuration,
            "names no host",
            |_| connect("user=me dbname=app"),
        ),
        row("an empty URL", Invalid, "say .url(", |_| connect("")),
        row("no URL", Invalid, "say .url(", |_| {
            Messaging::builder().connect()
        }),
    ]);

    check_all(rows);
}

#[test]
fn plain_text_by_accident_is_refused() {
    let modes = ["prefer", "allow", "Disable", "nonsense", "", "require%00"];
    let mut rows: Vec<_> = modes
        .into_iter()
        .map(|mode| {
            let says = "use verify-full or disable";
            row(
                format!("sslmode={mode}"),
                Configuration,
                says,
                move |ground| connect(format!("{}?sslmode={mode}", ground.url)),
            )
        })
        .collect();
    rows.push(row(
        "sslmode=prefer in pairs",
        Configuration,
        "use verify-full or disable",
        |_| connect("host=localhost user=me sslmode=prefer"),
    ));

    check_all(rows);
}

#[cfg(not(any(feature = "rustls", feature = "native-tls")))]
#[test]
fn a_build_without_tls_does_not_go_on_in_plain_text() {
    let says = "build outtray with the feature rustls or native-tls";

    check_all(vec![
        row("another machine", Configuration, says, |_| {
            connect("postgresql://me@db.example.com/app")
        }),
        row("verify-full", Configuration, says, |ground| {
            connect(format!("{}?sslmode=verify-full", ground.url))
        }),
    ]);
}

#[cfg(any(feature = "rustls", feature = "native-tls"))]
#[test]
fn an_authority_that_cannot_be_read_is_refused() {
    let says = "/nowhere/root.pem cannot be read";

    check_all(vec![row("a missing file", Configuration, says, |ground| {
        connect(format!(
            "{}?sslmode=verify-full&sslrootcert=/nowhere/root.pem",
            ground.url
        ))
    })]);
}

#[test]
fn the_server_that_all_tests_share_is_reached_without_any_of_this() {
    connect(server().url()).unwrap();
}

/// Makes an empty database with this encoding beside one that is there, and returns its URL.
fn encoded(encoding: &str) -> String {
    let url = empty_database();
    let (server, name) = url.rsplit_once('/').unwrap();
    let (name, url) = (format!("{name}_2"), format!("{server}/{name}_2"));
    let make = format!(
        "CREATE DATABASE {name} ENCODING '{encoding}' TEMPLATE template0 LC_COLLATE 'C' LC_CTYPE 'C'"
    );
    let mut client =
        Client::connect(&format!("{server}/{}", &name[..name.len() - 2]), NoTls).unwrap();
    client.batch_execute(&make).unwrap();
    url
}

#[test]
fn a_database_that_cannot_hold_every_text_is_refused_also_to_migrate() {
    for encoding in ["LATIN1", "WIN1252", "EUC_JP"] {
        let url = encoded(encoding);
        for is_pooler_safe in [false, true] {
            let messaging = Messaging::builder()
                .url(&url)
                .pooler_safe(is_pooler_safe)
                .checkout_timeout(Duration::from_secs(1));
            let error = messaging
                .connect()
                .and_then(|messaging| messaging.migrate())
                .unwrap_err();

            let text = error.to_string();
            assert!(text.contains(encoding) && text.contains("UTF8"), "{text}");
            assert_eq!(error.kind(), Configuration);
        }
    }
}

#[test]
fn texts_in_all_scripts_go_through_a_database_without_an_encoding() {
    let url = encoded("SQL_ASCII");
    let messaging = connect(&url).unwrap();
    messaging.migrate().unwrap();
    let text = "Zoë, 10 €, 日本語, 🐘";

    send(&messaging, "jobs", text);
    messaging
        .drain("jobs", |_, message: Message<String>| {
            Err(HandlerError::reject(message.payload))
        })
        .unwrap();

    let letters = messaging.topic("jobs").dead_letters(1).unwrap();
    assert_eq!(letters[0].error, text);
}
