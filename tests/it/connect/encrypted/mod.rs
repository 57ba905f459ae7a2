//! Across a network, nothing travels in plain text, and nobody but the right server is talked to.
//!
//! The certificates beside this file are for tests alone, and their keys guard nothing.
//! `authority`, `stranger` and `another` vouch for themselves. `authority` vouches for `server`
//! (`localhost`), for `client` (the role `postgres`), and for `expired` (`localhost`, until 2021).
//! All others end in 2120.

mod written;

use crate::support::{PATIENCE, database, eventually};
use crossbeam_channel::bounded;
use outtray::testing::Server;
use outtray::{ErrorKind, Message, Messaging, Result};
use postgres::{Client, NoTls};
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use tempfile::{NamedTempFile, TempDir};

const AUTHORITY: &str = include_str!("authority.pem");
const STRANGER: &str = include_str!("stranger.pem");
const ANOTHER: &str = include_str!("another.pem");
/// Certificates and their keys.
const SERVER: [&str; 2] = [include_str!("server.pem"), include_str!("server.key")];
const EXPIRED: [&str; 2] = [include_str!("expired.pem"), include_str!("expired.key")];

/// A server that speaks TLS, with a certificate for `localhost`.
struct Encrypted {
    server: Server,
    folder: TempDir,
}

fn encrypted() -> &'static Encrypted {
    static ENCRYPTED: OnceLock<Encrypted> = OnceLock::new();
    ENCRYPTED.get_or_init(|| {
        let server = Server::builder().always_embedded().start().unwrap();
        certify(&server, SERVER);
        Encrypted {
            server,
            folder: tempfile::tempdir().unwrap(),
        }
    })
}

impl Encrypted {
    /// Returns the URL of a database, by the name that the certificate is for, and `parameters`.
    fn url(&self, parameters: &str) -> String {
        let url = self.server.database().unwrap();
        format!("{}?{parameters}", url.replace("127.0.0.1", "localhost"))
    }

    /// Writes what a client is to trust into a file.
    fn trust(&self, name: &str, pem: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        put_in_place(&path, pem);
        path
    }

    fn trusted(&self) -> PathBuf {
        self.trust("root.pem", AUTHORITY)
    }
}

/// Writes a file that tests share: each of them finds all of it, whoever writes it once more.
fn put_in_place(path: &Path, text: &str) {
    let new = NamedTempFile::new_in(path.parent().unwrap()).unwrap();
    fs::write(&new, text).unwrap();
    new.persist(path).unwrap();
}

/// Gives the server a certificate and turns TLS on.
fn certify(server: &Server, [certificate, key]: [&str; 2]) {
    let data = server.data_dir().unwrap();
    write_as_server(data, "server.crt", certificate);
    write_as_server(data, "server.key", key);
    let mut client = Client::connect(server.url(), NoTls).unwrap();
    client.batch_execute("ALTER SYSTEM SET ssl = on").unwrap();
    client.batch_execute("SELECT pg_reload_conf()").unwrap();
    eventually("the server speaks TLS", || {
        let mut client = Client::connect(server.url(), NoTls).unwrap();
        let row = client.query_one("SHOW ssl", &[]).unwrap();
        row.get::<_, &str>(0) == "on"
    });
}

/// The server reads a key only if nobody else can.
fn write_as_server(data: &Path, name: &str, text: &str) {
    let path = data.join(name);
    fs::write(&path, text).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    let owner = fs::metadata(data).unwrap();
    chown(&path, Some(owner.uid()), Some(owner.gid())).unwrap();
}

fn verified(root: &Path) -> String {
    format!("sslmode=verify-full&sslrootcert={}", root.display())
}

/// Counts the connections to our database other than `client`'s own, by whether they are encrypted.
fn connections(messaging: &Messaging) -> (i64, i64) {
    let query = "SELECT count(*) FILTER (WHERE ssl), count(*) FILTER (WHERE NOT ssl) \
        FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE datname = current_database()";
    messaging
        .session(|session| {
            let row = session.query_one(query, &[])?;
            Ok((row.try_get(0)?, row.try_get(1)?))
        })
        .unwrap()
}

/// Checks that messages are sent and handled, all of it encrypted.
#[track_caller]
fn check_handling(url: &str) {
    let messaging = Messaging::connect(url).unwrap();
    let elsewhere = Messaging::connect(url).unwrap();
    let (seen, handled) = bounded(9);
    let receiver = messaging
        .start_receiving_messages("t", move |session, message: Message<i32>| {
            session.send_message("out", &message.payload)?;
            seen.send(message.payload)?;
            Ok(())
        })
        .unwrap();

    elsewhere
        .session(|session| Ok(session.send_message("t", &7)?))
        .unwrap();

    assert_eq!(handled.recv_timeout(PATIENCE).unwrap(), 7);
    // Sessions here and there, a worker, the listener, the upkeep, the notifier.
    let (encrypted, plain) = connections(&messaging);
    assert!(
        encrypted >= 4 && plain == 0,
        "{encrypted} encrypted, {plain} not"
    );
    receiver.stop(PATIENCE);
}

#[track_caller]
fn check_refused(what: &str, url: &str) {
    let error = Messaging::connect(url).expect_err(what);
    assert_eq!(error.kind(), ErrorKind::Configuration, "{what}: {error:?}");
    let text = error.to_string();
    assert!(
        text.contains("sslrootcert") || text.contains("sslmode"),
        "{what}: {error:?}"
    );
}

#[test]
fn a_server_that_proves_its_name_is_talked_to_encrypted() {
    let it = encrypted();
    let root = it.trusted();

    for mode in ["verify-full", "verify-ca", "require"] {
        let url = it.url(&format!("sslmode={mode}&sslrootcert={}", root.display()));
        assert_eq!(
            connections(&Messaging::connect(&url).unwrap()).1,
            0,
            "{mode}"
        );
    }
}

#[test]
fn everything_that_a_program_does_is_encrypted() {
    let it = encrypted();
    check_handling(&it.url(&verified(&it.trusted())));
}

#[test]
fn a_server_of_another_name_is_refused() {
    let it = encrypted();
    let url = it
        .url(&verified(&it.trusted()))
        .replace("localhost", "127.0.0.1");

    check_refused("another name", &url);
    check_refused(
        "another name, with require",
        &url.replace("verify-full", "require"),
    );
}

#[test]
fn a_server_that_nobody_trusted_vouches_for_is_refused() {
    let it = encrypted();
    let stranger = it.trust("stranger.pem", STRANGER);

    check_refused("another authority", &it.url(&verified(&stranger)));
    check_refused(
        "the authorities of the platform",
        &it.url("sslmode=verify-full"),
    );
    check_refused("the same with require", &it.url("sslmode=require"));
}

#[test]
fn a_file_of_several_authorities_trusts_each_of_them() -> Result<()> {
    let it = encrypted();
    let bundle = it.trust("bundle.pem", &format!("{STRANGER}{ANOTHER}{AUTHORITY}"));

    Messaging::connect(&it.url(&verified(&bundle)))?;
    Ok(())
}

#[test]
fn a_file_that_holds_no_authority_is_refused() {
    let it = encrypted();
    let broken = "-----BEGIN CERTIFICATE-----\nbm9uc2Vuc2U=\n-----END CERTIFICATE-----\n";

    for (name, text) in [("empty", ""), ("prose", "trust me"), ("broken", broken)] {
        check_refused(name, &it.url(&verified(&it.trust(name, text))));
    }
    check_refused(
        "missing",
        &it.url(&verified(Path::new("/nowhere/root.pem"))),
    );
}

#[test]
fn a_certificate_that_has_expired_is_refused() {
    let server = Server::builder().always_embedded().start().unwrap();
    certify(&server, EXPIRED);
    let root = encrypted().trusted();

    let url = server.url().replace("127.0.0.1", "localhost");

    check_refused(
        "an expired certificate",
        &format!("{url}?{}", verified(&root)),
    );
}

#[test]
fn a_server_without_tls_is_refused_and_never_talked_to_in_plain_text() {
    let url = database();
    let root = encrypted().trusted();

    check_refused(
        "a server without TLS",
        &format!("{url}?{}", verified(&root)),
    );
    check_refused(
        "a server without TLS, with require",
        &format!("{url}?sslmode=require"),
    );
}

#[test]
fn plain_text_is_for_those_who_ask_for_it() {
    let it = encrypted();

    let messaging = Messaging::connect(&it.url("sslmode=disable")).unwrap();

    assert_eq!(connections(&messaging).0, 0);
}
