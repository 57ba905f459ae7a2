//! A connection string means what it means to libpq, in each of its forms; what is not done here is
//! refused by name, and no error shows a password.

mod surroundings;

use crate::support::empty_database;
use outtray::testing::Server;
use outtray::{ErrorKind, Messaging};
use postgres::{Client, Config, NoTls};
use std::net::{Ipv4Addr, TcpListener};
use std::sync::OnceLock;

/// Names that need quotes or percent signs everywhere.
const USER: &str = r#"o'hara @:/?#[]\ %41 é"#;

const PASSWORD: &str = r#"p' @:/?#[]\ %41&=;"é"#;

const DATABASE: &str = r#"d' @:/?#[]\ %41&="é"#;

/// A server where the odd user has the odd database, and the folder of its socket.
struct Odd {
    _server: Server,
    port: u16,
    sockets: String,
}

fn odd() -> &'static Odd {
    static ODD: OnceLock<Odd> = OnceLock::new();
    ODD.get_or_init(|| {
        let server = Server::builder().always_embedded().start().unwrap();
        let config: Config = server.url().parse().unwrap();
        let mut client = Client::connect(server.url(), NoTls).unwrap();
        let double = |name: &str| name.replace('"', "\"\"");
        let (user, database) = (double(USER), double(DATABASE));
        let password = PASSWORD.replace('\'', "''");
        for sql in [
            format!("CREATE ROLE \"{user}\" LOGIN PASSWORD '{password}'"),
            format!("CREATE DATABASE \"{database}\" OWNER \"{user}\""),
        ] {
            client.batch_execute(&sql).unwrap();
        }
        let sockets = client
            .query_one("SHOW unix_socket_directories", &[])
            .unwrap()
            .get(0);
        let port = config.get_ports()[0];
        Odd {
            _server: server,
            port,
            sockets,
        }
    })
}

fn encoded(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02x}")).collect()
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\\', r"\\").replace('\'', r"\'"))
}

fn escaped(text: &str) -> String {
    text.chars().flat_map(|sign| ['\\', sign]).collect()
}

/// Returns the user, the database, the name of the application, and whether a socket file leads
/// there.
fn arrive(url: &str) -> (String, String, String, bool) {
    let messaging = Messaging::connect(url).unwrap_or_else(|error| panic!("{url}: {error:?}"));
    messaging
        .session(|session| {
            let row = session.query_one(
                "SELECT current_user::text, current_database()::text, current_setting('application_name'), \
                 inet_client_addr() IS NULL",
                &[],
            )?;
            Ok((row.try_get(0)?, row.try_get(1)?, row.try_get(2)?, row.try_get(3)?))
        })
        .unwrap_or_else(|error| panic!("{url}: {error:?}"))
}

fn closed_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    listener.local_addr().unwrap().port()
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table of connection strings")]
fn a_database_is_reached_by_every_way_to_write_it() {
    let Odd { port, sockets, .. } = odd();
    let (user, password, database) = (encoded(USER), encoded(PASSWORD), encoded(DATABASE));
    let (sockets_encoded, closed) = (encoded(sockets), closed_port());
    let words = format!(
        "user={} password = {}  dbname={}",
        quoted(USER),
        quoted(PASSWORD),
        escaped(DATABASE)
    );
    for (url, is_file) in [
        (
            format!("postgresql://{user}:{password}@127.0.0.1:{port}/{database}"),
            false,
        ),
        (
            format!("  postgres://{user}:{password}@localhost:{port}/{database}?sslmode=disable\n"),
            false,
        ),
        (
            format!("postgres://127.0.0.1/{database}?port={port}&user={user}&password={password}&"),
            false,
        ),
        (
            format!(
                "postgresql:///?host=127.0.0.1&port={port}&user={user}&pass%77ord={password}&dbname={database}"
            ),
            false,
        ),
        (
            format!(
                "postgresql://{user}:{password}@127.0.0.1:{closed},localhost:{port}/{database}"
            ),
            false,
        ),
        (
            format!(
                "postgresql://{user}:{password}@no-such.invalid/{database}?hostaddr=127.0.0.1&port={port}&sslmode=disable"
            ),
            false,
        ),
        (
            format!(
                "postgresql://{user}:{password}@{sockets_encoded}:{port}/{database}?sslmode=verify-full"
            ),
            true,
        ),
        (
            format!(
                "postgresql:///{database}?host={sockets_encoded}&port={port}&user={user}&password={password}"
            ),
            true,
        ),
        (format!("host=127.0.0.1 port={port} {words}"), false),
        (
            format!("host = '127.0.0.1'\n\tport = '{port}'{words} sslmode = disable"),
            false,
        ),
        (format!("hostaddr=127.0.0.1 port={port} {words}"), false),
        (
            format!("host=/nowhere,127.0.0.1 port={closed},{port} {words}"),
            false,
        ),
        (
            format!("host=127.0.0.1,{sockets} port={closed},{port} {words}"),
            true,
        ),
        (
            format!("host={sockets} port={port} {words} sslmode=require"),
            true,
        ),
    ] {
        let arrived = arrive(&url);
        let expected = (
            USER.to_owned(),
            DATABASE.to_owned(),
            "outtray".to_owned(),
            is_file,
        );
        assert_eq!(arrived, expected, "{url}");
    }
}

#[test]
fn names_and_options_arrive_as_they_were_written() {
    let url = empty_database();
    let config: Config = url.parse().unwrap();
    let password = String::from_utf8(config.get_password().unwrap_or_default().to_vec()).unwrap();
    let words = format!(
        "host=127.0.0.1 port={} user={} password={} dbname={}",
        config.get_ports()[0],
        config.get_user().unwrap(),
        quoted(&password),
        config.get_dbname().unwrap(),
    );

    for (url, name) in [
        (format!("{url}?application_name=me@here"), "me@here"),
        (format!("{url}?application_name=a%20b%26c%3Dd"), "a b&c=d"),
        (format!("{url}?fallback_application_name=fallen"), "fallen"),
        (format!("{words} application_name = 'it''s'"), "it"),
        (format!("{words} application_name = 'a://b?c'"), "a://b?c"),
        (format!(r"{words} application_name=a\ b"), "a b"),
    ] {
        if name == "it" {
            // A quote is no escape for a quote: what follows is a word of its own.
            assert!(Messaging::connect(&url).is_err(), "{url}");
            continue;
        }
        assert_eq!(arrive(&url).2, name, "{url}");
    }
    for url in [
        format!("{url}?options=-c%20work_mem%3D7MB%20-c%20DateStyle%3DISO,%5C%20DMY"),
        format!("{url}?options=-c%20work_mem=7MB%20-c%20DateStyle=ISO,%5C%20DMY"),
        format!(r"{words} options='-c work_mem=7MB -c DateStyle=ISO,\\ DMY'"),
    ] {
        let messaging = Messaging::connect(&url).unwrap();
        let set: (String, String) = messaging
            .session(|session| {
                let row = session.query_one(
                    "SELECT current_setting('work_mem'), current_setting('DateStyle')",
                    &[],
                )?;
                Ok((row.try_get(0)?, row.try_get(1)?))
            })
            .unwrap();
        assert_eq!(set, ("7MB".to_owned(), "ISO, DMY".to_owned()), "{url}");
    }
}

/// The shared server speaks no TLS, so that whoever insists on it is refused, also by a build that
/// has none.
#[test]
fn a_wish_for_tls_is_heard_however_it_is_written() {
    let url = empty_database();
    let config: Config = url.parse().unwrap();
    let words = format!(
        "host=127.0.0.1 port={} user=postgres",
        config.get_ports()[0]
    );

    for wish in ["require", "verify-ca", "verify-full"] {
        for url in [
            format!("{words} sslmode={wish}"),
            format!("{words} sslmode = {wish}"),
            format!("{words}\tsslmode\n=\n{wish}"),
            format!("{words} sslmode='{wish}'"),
            format!("sslmode = '{wish}'{words}"),
            format!("{words} sslmode=\\{wish}"),
            format!("{words} sslmode=disable sslmode={wish}"),
            format!("{url}?sslmode={wish}"),
            format!("{url}?sslmode={}", encoded(wish)),
            format!("{url}?{}={wish}", encoded("sslmode")),
            format!("{url}?sslmode= {wish}&application_name=a%3Fb"),
            format!("{url}?application_name=a?b&sslmode={wish}"),
            format!("{url}?sslmode=disable&sslmode={wish}"),
            format!("{url}?ssl=true"),
            format!("{words} requiressl=1"),
            format!("{words} sslrootcert=system"),
        ] {
            let error = Messaging::connect(&url).expect_err(&url);
            let text = error.to_string();
            assert!(
                text.contains("TLS") || text.contains("encrypted"),
                "{url}: {error:?}"
            );
        }
    }
}

#[test]
fn what_is_not_done_is_refused_by_its_keyword_and_shows_no_password() {
    for keyword in [
        "service",
        "servicefile",
        "passfile",
        "require_auth",
        "requirepeer",
        "sslcrl",
        "sslcrldir",
        "sslpassword",
        "sslkeylogfile",
        "scram_client_key",
        "scram_server_key",
        "oauth_issuer",
        "oauth_client_id",
        "oauth_client_secret",
        "oauth_scope",
        "sslmod",
        "pssword",
        "hots",
        "target_session_attr",
    ] {
        for url in [
            format!("postgresql://me:sesame@localhost/app?{keyword}=sesame"),
            format!("host = localhost password = 'sesame' {keyword} = 'sesame'"),
        ] {
            let error = Messaging::connect(&url).expect_err(&url);
            assert_eq!(error.kind(), ErrorKind::Configuration, "{url}");
            assert!(error.to_string().contains(keyword), "{url}: {error}");
            assert!(!format!("{error:?}").contains("sesame"), "{url}: {error:?}");
        }
    }
}

#[test]
fn a_password_that_was_not_encoded_is_not_shown() {
    for url in [
        "postgresql://me:open@sesame@localhost/app",
        "postgresql://me:open/sesame@localhost/app",
        "postgresql://me:1/sesame@localhost/app",
        "postgresql://me:open@sesame/word@localhost/app",
        "postgresql://me:open@sesame?word@localhost/app",
        "postgresql://me:100%sesame@localhost/app",
        "postgresql://me:open\nsesame@localhost/app",
        "postgresql://me:open sesame@localhost/app",
        "postgresql://localhost/app?password=open&sesame&user=me",
        "postgresql://localhost/app?password=open=sesame",
        "host=localhost password=open sesame user=me",
        "host=localhost password='open sesame user=me",
        "host=localhost password=open sesame!=x user=me sesame",
    ] {
        let error = Messaging::connect(url).expect_err(url);
        assert_eq!(error.kind(), ErrorKind::Configuration, "{url}");
        let shown = format!("{error:?}").to_lowercase();
        assert!(
            !shown.contains("sesame") && !shown.contains("open"),
            "{url}: {shown}"
        );
    }
}
