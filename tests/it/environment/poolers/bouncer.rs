//! PgBouncers of our own in front of the server that all tests share.

use crate::support::{eventually, not_checked, server};
use postgres::config::Host;
use postgres::{Client, Config, NoTls};
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::{MetadataExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::{env, fs};

/// What a client has a server connection for.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Mode {
    /// A transaction, with fewer server connections for each database than a test has workers.
    Transaction,
    /// A transaction, with as many server connections as PgBouncer has by default: enough when
    /// clients are lost in some.
    WideTransaction,
    /// As long as it is connected. All else is as PgBouncer comes.
    Session,
    /// A statement: whoever begins a transaction is refused.
    Statement,
}

/// PgBouncer refuses to run as root; this user owns nothing.
const NOBODY: u32 = 65_534;

/// Runs it for as long as standard input is open, which is as long as this process lives.
const SCRIPT: &str =
    r#""$1" "$2/pgbouncer.ini" >"$2/log" 2>&1 & cat >/dev/null; kill -KILL $!; rm -rf "$2""#;

struct Bouncer {
    port: u16,
    folder: PathBuf,
    /// Kept, since its standard input is what the pooler lives by.
    _process: Child,
}

/// Returns the way to the database of `url` through a PgBouncer in transaction mode; nothing where
/// none is installed, which is said loudly, and in CI a failure.
pub(super) fn behind_pgbouncer(url: &str) -> Option<String> {
    behind_pgbouncer_in(Mode::Transaction, url)
}

/// The same for any mode.
pub(crate) fn behind_pgbouncer_in(mode: Mode, url: &str) -> Option<String> {
    let bouncer = bouncer(mode)?;
    Some(format!(
        "postgresql://anybody@127.0.0.1:{}/{}",
        bouncer.port,
        database(url)
    ))
}

/// The same by a socket file.
pub(super) fn behind_pgbouncers_file(mode: Mode, url: &str) -> Option<String> {
    let bouncer = bouncer(mode)?;
    Some(format!(
        "host={} port={} user=anybody dbname={}",
        bouncer.folder.display(),
        bouncer.port,
        database(url)
    ))
}

fn database(url: &str) -> &str {
    url.rsplit_once('/').unwrap().1
}

fn bouncer(mode: Mode) -> Option<&'static Bouncer> {
    static BOUNCERS: [OnceLock<Option<Bouncer>>; 4] = [const { OnceLock::new() }; 4];
    let bouncer = BOUNCERS[mode as usize].get_or_init(|| start(mode));
    let Some(bouncer) = bouncer else {
        not_checked("pgbouncer is not installed (apt-get install pgbouncer)");
        return None;
    };
    Some(bouncer)
}

fn start(mode: Mode) -> Option<Bouncer> {
    let program = find()?;
    let folder = tempfile::tempdir().unwrap().keep();
    let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    fs::write(folder.join("pgbouncer.ini"), settings(mode, port, &folder)).unwrap();
    let mut command = Command::new("/bin/sh");
    command
        .args(["-c", SCRIPT, "pgbouncer"])
        .arg(program)
        .arg(&folder);
    if fs::metadata(&folder).unwrap().uid() == 0 {
        chown(&folder, Some(NOBODY), Some(NOBODY)).unwrap();
        chown(folder.join("pgbouncer.ini"), Some(NOBODY), Some(NOBODY)).unwrap();
        command.uid(NOBODY).gid(NOBODY);
    }
    let process = command
        .current_dir("/")
        .stdin(Stdio::piped())
        .process_group(0)
        .spawn()
        .unwrap();
    let bouncer = Bouncer {
        port,
        folder,
        _process: process,
    };
    let url = format!("postgresql://anybody@127.0.0.1:{port}/postgres");
    eventually("PgBouncer answers", || Client::connect(&url, NoTls).is_ok());
    Some(bouncer)
}

fn find() -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    // Debian keeps it where only root's PATH leads.
    let folders = env::split_paths(&path).chain([PathBuf::from("/usr/sbin")]);
    folders
        .map(|folder| folder.join("pgbouncer"))
        .find(|program| Path::is_file(program))
}

fn settings(mode: Mode, port: u16, folder: &Path) -> String {
    let config: Config = server().url().parse().unwrap();
    let Host::Tcp(host) = &config.get_hosts()[0] else {
        panic!("the tests' server is reached over TCP");
    };
    let server_port = config.get_ports().first().copied().unwrap_or(5432);
    let user = config.get_user().unwrap_or("postgres");
    let password = config.get_password().map_or_else(String::new, |password| {
        format!(
            " password='{}'",
            String::from_utf8_lossy(password).replace('\'', "''")
        )
    });
    let pooling = match mode {
        Mode::Transaction => "pool_mode = transaction\ndefault_pool_size = 2",
        Mode::WideTransaction => "pool_mode = transaction",
        Mode::Session => "pool_mode = session",
        Mode::Statement => "pool_mode = statement",
    };
    let folder = folder.display();
    format!(
        "[databases]\n\
         * = host={host} port={server_port} user={user}{password}\n\
         [pgbouncer]\n\
         listen_addr = 127.0.0.1\n\
         listen_port = {port}\n\
         unix_socket_dir = {folder}\n\
         auth_type = any\n\
         {pooling}\n\
         max_client_conn = 1000\n\
         server_lifetime = 1\n"
    )
}
