//! What a connection string says about TLS is heard however it is written.

use super::{
    AUTHORITY, SERVER, certify, check_handling, check_refused, connections, encrypted,
    put_in_place, write_as_server,
};
use crate::support::eventually;
use outtray::testing::Server;
use outtray::{ErrorKind, Messaging, Result};
use postgres::{Client, Config, NoTls};
use std::fs;
use std::io::Read;
use std::net::{Ipv4Addr, TcpListener};
use std::path::PathBuf;
use std::thread;

/// What a client shows of itself: the role `postgres`.
const CLIENT: [&str; 2] = [include_str!("client.pem"), include_str!("client.key")];

fn encoded(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\\', r"\\").replace('\'', r"\'"))
}

/// Writes a file whose name needs quotes or percent signs everywhere.
fn oddly_named(name: &str, text: &str) -> PathBuf {
    let folder = encrypted()
        .folder
        .path()
        .join(r"my keys & 100% o'odd=?#\ é");
    fs::create_dir_all(&folder).unwrap();
    let path = folder.join(name);
    put_in_place(&path, text);
    path
}

/// Returns the words for a database on the server, without a host.
fn words(server: &Server) -> String {
    let config: Config = server.database().unwrap().parse().unwrap();
    let password = String::from_utf8(config.get_password().unwrap().to_vec()).unwrap();
    format!(
        "port={} user={} password={password} dbname={}",
        config.get_ports()[0],
        config.get_user().unwrap(),
        config.get_dbname().unwrap()
    )
}

/// Returns the version of TLS that the session speaks.
fn version(url: &str) -> Result<String> {
    Messaging::connect(url)?.session(|session| {
        let sql = "SELECT version FROM pg_stat_ssl WHERE pid = pg_backend_pid()";
        Ok(session.query_one(sql, &[])?.try_get(0)?)
    })
}

#[track_caller]
fn check_encrypted(url: &str) {
    let messaging = Messaging::connect(url).unwrap_or_else(|error| panic!("{url}: {error:?}"));
    let (encrypted, plain) = connections(&messaging);
    assert!(encrypted > 0 && plain == 0, "{url}: {plain} in plain text");
}

#[test]
fn a_file_is_found_whatever_is_in_its_name() {
    let it = encrypted();
    let root = oddly_named("root.pem", AUTHORITY);
    let root = root.to_str().unwrap();
    let words = words(&it.server);

    for url in [
        it.url(&format!(
            "sslmode=verify-full&sslrootcert={}",
            encoded(root)
        )),
        it.url(&format!("sslrootcert={}", encoded(root))),
        it.url(&format!(
            "{}={}&sslmode= require",
            encoded("sslrootcert"),
            encoded(root)
        )),
        format!(
            "host=localhost {words} sslmode=require sslrootcert={}",
            quoted(root)
        ),
        format!(
            "host = localhost {words} sslmode = 'verify-ca' sslrootcert = {}",
            quoted(root)
        ),
        format!(
            "sslrootcert={}host=localhost sslmode\n=\nverify-full {words}",
            quoted(root)
        ),
        format!("host=localhost {words} sslrootcert={}", quoted(root)),
    ] {
        check_encrypted(&url);
    }
}

#[test]
fn plain_text_is_no_way_out_of_a_wish_with_spaces_or_quotes() {
    let it = encrypted();
    let words = words(&it.server);

    // The platform trusts nobody who vouches for this server.
    for url in [
        format!("host=localhost {words} sslmode = require"),
        format!("host=localhost {words} sslmode='require'"),
        format!("host=localhost {words} sslmode=\\require"),
        format!("host=localhost {words} sslrootcert=system"),
        it.url("sslmode=requ%69re"),
        it.url("ssl=true"),
    ] {
        check_refused(&url, &url);
    }
}

#[test]
fn other_servers_are_tried_with_tls_too_and_files_without() {
    let it = encrypted();
    let root = oddly_named("root.pem", AUTHORITY);
    let root = quoted(root.to_str().unwrap());
    let words = words(&it.server);
    let mut client = Client::connect(it.server.url(), NoTls).unwrap();
    let sockets: String = client
        .query_one("SHOW unix_socket_directories", &[])
        .unwrap()
        .get(0);

    check_encrypted(&format!(
        "host=/nowhere,localhost {words} sslrootcert={root}"
    ));
    check_encrypted(&format!(
        "host=no-such.invalid,localhost hostaddr=127.0.0.2,127.0.0.1 {words} sslrootcert={root}"
    ));
    let by_file = Messaging::connect(&format!(
        "host={sockets},localhost {words} sslmode=verify-full sslrootcert={root}"
    ));
    assert_eq!(connections(&by_file.unwrap()).0, 0);
}

#[test]
fn the_version_of_tls_is_the_one_that_was_asked_for() {
    let it = encrypted();
    let root = encoded(oddly_named("root.pem", AUTHORITY).to_str().unwrap());

    for (asked, spoken) in [
        ("ssl_min_protocol_version=TLSv1.3", "TLSv1.3"),
        ("ssl_max_protocol_version=TLSv1.2", "TLSv1.2"),
        ("ssl_min_protocol_version=TLSv1&sslsni=0", "TLSv1.3"),
    ] {
        let url = it.url(&format!("sslrootcert={root}&{asked}"));
        assert_eq!(version(&url).unwrap(), spoken, "{asked}");
    }
}

#[test]
fn channel_binding_is_insisted_on_when_asked_for() {
    let it = encrypted();
    let root = encoded(oddly_named("root.pem", AUTHORITY).to_str().unwrap());

    // The password travels as it is to this server, which binds nothing.
    let refused =
        Messaging::connect(&it.url(&format!("sslrootcert={root}&channel_binding=require")));

    let text = format!(
        "{:?}",
        refused.expect_err("the server does not prove itself")
    );
    assert!(text.contains("channel binding"), "{text}");
}

#[test]
fn a_handshake_without_a_question_is_the_first_that_a_server_hears() {
    const QUESTION: u8 = 0;
    const HANDSHAKE: u8 = 22;
    let root = encoded(oddly_named("root.pem", AUTHORITY).to_str().unwrap());

    for (asked, expected) in [
        ("", QUESTION),
        ("&sslnegotiation=postgres", QUESTION),
        ("&sslnegotiation=direct", HANDSHAKE),
    ] {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let url = format!("postgres://me@localhost:{port}/mine?sslrootcert={root}{asked}");
        let mut first = [0];

        thread::scope(|scope| {
            let connecting = scope.spawn(|| Messaging::connect(&url));
            let (mut heard, _) = listener.accept().unwrap();
            heard.read_exact(&mut first).unwrap();
            drop((heard, listener));
            assert!(connecting.join().unwrap().is_err());
        });

        assert_eq!(first, [expected], "{asked}");
    }
}

#[test]
fn a_handshake_without_a_question_is_for_servers_that_know_it() {
    let it = encrypted();
    let root = oddly_named("root.pem", AUTHORITY);
    let (in_url, quoted) = (
        encoded(root.to_str().unwrap()),
        quoted(root.to_str().unwrap()),
    );
    let url = it.url(&format!("sslrootcert={in_url}&sslnegotiation=direct"));
    let mut client = Client::connect(it.server.url(), NoTls).unwrap();
    let version: String = client
        .query_one("SHOW server_version_num", &[])
        .unwrap()
        .get(0);
    if version.parse::<u32>().unwrap() < 170_000 {
        eprintln!(
            "only refused: PostgreSQL {version} takes no handshake without a question, 17 does"
        );
        assert!(Messaging::connect(&url).is_err());
        return;
    }

    check_encrypted(&url);
    check_encrypted(&format!(
        "host=localhost {} sslrootcert={quoted} sslnegotiation = direct",
        words(&it.server)
    ));
    check_handling(&url);
    // Whoever begins so has to prove itself, too.
    let elsewhere = url.replace("localhost", "127.0.0.1");
    check_refused("another name", &elsewhere);
    check_refused(
        "the authorities of the platform",
        &it.url("sslnegotiation=direct"),
    );
}

#[test]
fn a_server_that_wants_a_certificate_is_shown_one() {
    let server = Server::builder()
        .always_embedded()
        .setting("ssl_ca_file", "root.crt")
        .start()
        .unwrap();
    let data = server.data_dir().unwrap();
    write_as_server(data, "root.crt", AUTHORITY);
    certify(&server, SERVER);
    let url = server.database().unwrap().replace("127.0.0.1", "localhost");
    let rules =
        "hostssl all all all cert\nhostnossl all all all password\nlocal all all password\n";
    write_as_server(data, "pg_hba.conf", rules);
    let mut client = Client::connect(server.url(), NoTls).unwrap();
    client.batch_execute("SELECT pg_reload_conf()").unwrap();
    let file = |name: &str, text: &str| encoded(oddly_named(name, text).to_str().unwrap());
    let root = file("root.pem", AUTHORITY);
    let (certificate, key) = (file("client.pem", CLIENT[0]), file("client.key", CLIENT[1]));
    let with = format!("{url}?sslrootcert={root}&sslcert={certificate}&sslkey={key}");
    eventually("a certificate lets one in", || {
        Messaging::connect(&with).is_ok()
    });

    check_encrypted(&with);
    for without in [
        format!("{url}?sslrootcert={root}"),
        format!("{with}&sslcertmode=disable"),
    ] {
        assert!(Messaging::connect(&without).is_err(), "{without}");
    }
    for (what, wrong) in [
        (
            "no key",
            format!("{url}?sslrootcert={root}&sslcert={certificate}"),
        ),
        ("a file without a key", format!("{with}&sslkey={root}")),
        ("no such file", format!("{with}&sslcert=/nowhere.pem")),
    ] {
        let error = Messaging::connect(&wrong).expect_err(what);
        assert_eq!(error.kind(), ErrorKind::Configuration, "{what}: {error:?}");
    }
}
