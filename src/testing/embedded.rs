//! A PostgreSQL server of our own, in a folder of its own.

use crate::observe::fields::told;
use crate::testing::account::Account;
use crate::testing::binaries;
use crate::testing::footing::{firm, who_we_are};
use crate::testing::memory;
use crate::testing::secret;
use crate::testing::watchdog::{Watchdog, of_server};
use crate::words::error::chain;
use crate::words::{Error, ErrorKind, Result};
use std::env;
use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::ops::Range;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};
use uuid::Uuid;

/// Ports below those that systems give to outgoing connections (from 32768 on Linux, 49152
/// elsewhere). A client that keeps trying a closed port in *that* range connects to itself sooner
/// or later, and then the server cannot take the port again when it restarts.
const PORTS: Range<u16> = 20_000..32_000;
/// Another process may take a port between the moment we find it free and the moment we take it.
const TRIES: u32 = 5;
/// The path of a socket file is limited to 108 bytes (Linux) or 104; the file's name takes 16.
const LONGEST_SOCKET_FOLDER: usize = 84;
/// Lines of the server's log that an error quotes.
const LINES_IN_ERROR: usize = 12;

/// An embedded server. Dropping it stops the server and removes the folder.
#[derive(Debug)]
pub(crate) struct Embedded {
    folder: PathBuf,
    data: PathBuf,
    bin: PathBuf,
    port: u16,
    password: String,
    account: Option<Account>,
    watchdog: Mutex<Watchdog>,
}

impl Embedded {
    /// Makes a server with these lines at the end of its `postgresql.conf` and starts it. Its files
    /// are on a disk if it is to be durable.
    pub(crate) fn start(bin: Option<&Path>, settings: &str, durable: bool) -> Result<Self> {
        let bin = binaries::find(bin)?;
        let folder = ground(durable)?.join(format!("outtray-{}", Uuid::now_v7().simple()));
        DirBuilder::new()
            .mode(0o700)
            .create(&folder)
            .map_err(|error| failed(format!("cannot make folder {}", folder.display()), error))?;
        let password = Uuid::new_v4().simple().to_string();
        let watched = watch(&folder, &bin, settings, &password);
        let (account, watchdog) = watched.inspect_err(|_| {
            // Without a watchdog nobody else removes the folder; the first error says more.
            let _ = fs::remove_dir_all(&folder);
        })?;
        let mut server = Embedded {
            data: folder.join("data"),
            folder,
            bin,
            port: 0,
            password,
            account,
            watchdog: Mutex::new(watchdog),
        };
        server.run("create", "be made (initdb)")?;
        server.take_a_port()?;
        tracing::debug!(
            "throwaway PostgreSQL of {} listens on port {}",
            server.bin.display(),
            server.port
        );
        Ok(server)
    }

    fn take_a_port(&mut self) -> Result<()> {
        for _ in 1..TRIES {
            self.port = free_port()?;
            let logged = self.log().len();
            match self.run(&format!("start {}", self.port), "start") {
                Err(_) if self.has_no_port(logged) => {}
                done => return done,
            }
        }
        self.port = free_port()?;
        self.run(&format!("start {}", self.port), "start")
    }

    /// Returns whether the log says so after its first `logged` bytes.
    fn has_no_port(&self, logged: usize) -> bool {
        let log = self.log();
        log.get(logged..)
            .is_some_and(|news| news.contains("could not bind"))
    }

    /// Kills the server at once, as a crash would, and starts it again.
    pub(crate) fn restart_immediately(&self) -> Result<()> {
        self.run("restart", "restart")
    }

    fn run(&self, command: &str, what: &str) -> Result<()> {
        let mut watchdog = self.watchdog.lock().unwrap_or_else(PoisonError::into_inner);
        match watchdog.run(command) {
            Ok(true) => Ok(()),
            Ok(false) => Err(Error::new(ErrorKind::Server, self.complaint(what))),
            Err(error) => Err(failed(
                "the watchdog of the throwaway PostgreSQL is gone",
                error,
            )),
        }
    }

    fn complaint(&self, what: &str) -> String {
        let log = self.log();
        let lines: Vec<&str> = log.lines().collect();
        let last = &lines[lines.len().saturating_sub(LINES_IN_ERROR)..];
        let user = self.account.as_ref().map_or_else(String::new, |account| {
            format!(" as user {}, since root must not run it,", account.name())
        });
        format!(
            "the throwaway PostgreSQL of {} could not{user} {what}; its log ends: {}",
            self.bin.display(),
            last.join(" | ")
        )
    }

    fn log(&self) -> String {
        let log = self.folder.join("log");
        // The folder may belong to another user by now, who must not choose what we read.
        let is_link = fs::symlink_metadata(&log).is_ok_and(|log| log.is_symlink());
        let log = if is_link {
            Vec::new()
        } else {
            fs::read(log).unwrap_or_default()
        };
        String::from_utf8_lossy(&log).into_owned()
    }

    /// Stops the server and removes its folder. A second call does nothing.
    pub(crate) fn stop(&mut self) -> Result<()> {
        let watchdog = self
            .watchdog
            .get_mut()
            .unwrap_or_else(PoisonError::into_inner);
        let waited = watchdog.stop();
        if self.folder.exists() {
            // Somebody killed the watchdog, so this process removes the folder.
            self.stop_without_watchdog();
        }
        if self.folder.exists() {
            let left = waited
                .err()
                .unwrap_or_else(|| io::ErrorKind::DirectoryNotEmpty.into());
            let text = format!("cannot remove {}", self.folder.display());
            return Err(failed(text, left));
        }
        Ok(())
    }

    fn stop_without_watchdog(&self) {
        let command = Command::new(self.bin.join("pg_ctl"));
        let _ = of_server(command, &self.folder, self.account.as_ref())
            .args(["stop", "-m", "immediate", "-s", "-w", "-t", "10", "-D"])
            .arg(&self.data)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        let _ = fs::remove_dir_all(&self.folder);
    }

    /// Returns the URL of the database `postgres`, for its superuser.
    pub(crate) fn url(&self) -> String {
        format!(
            "postgresql://postgres:{}@127.0.0.1:{}/postgres",
            self.password, self.port
        )
    }

    pub(crate) fn data_dir(&self) -> &Path {
        &self.data
    }

    pub(crate) fn bin_dir(&self) -> &Path {
        &self.bin
    }
}

impl Drop for Embedded {
    fn drop(&mut self) {
        if let Err(error) = self.stop() {
            let why = chain(&error);
            tracing::warn!(error = told(&why), "{why}");
        }
    }
}

/// Returns the temporary folder, if no other user can replace the files that we make there; a
/// folder in memory where that will do.
fn ground(durable: bool) -> Result<PathBuf> {
    let memory = (!durable).then(memory::folder).flatten();
    if let Some(folder) = memory.filter(|folder| matches!(firm(folder), Ok(Ok(_)))) {
        return Ok(folder);
    }
    let folder = env::temp_dir();
    let looked = firm(&folder)
        .map_err(|error| failed(format!("cannot look at {}", folder.display()), error))?;
    looked.map_err(|part| {
        let text = format!(
            "{} belongs to another user, or others may rename what is in it: set TMPDIR to a folder that is safe for \
             {}'s server",
            part.display(),
            if who_we_are() == Some(0) { "root" } else { "this user" }
        );
        Error::new(ErrorKind::Server, text)
    })
}

/// Fills the folder with what the watchdog needs, gives it to who is to run the server, and starts
/// the watchdog.
fn watch(
    folder: &Path,
    bin: &Path,
    settings: &str,
    password: &str,
) -> Result<(Option<Account>, Watchdog)> {
    // The socket file is an extra beside the port, left out where its path would be too long.
    let is_short = folder.as_os_str().len() <= LONGEST_SOCKET_FOLDER;
    let sockets = match folder.to_str() {
        Some(path) if is_short && !path.contains(['\'', '\\', ',', '\n']) => path,
        _ => "",
    };
    let settings = format!("unix_socket_directories = '{sockets}'\n{settings}");
    let secret = secret::one_round(password, Uuid::new_v4().as_bytes());
    let files = [
        ("settings.conf", settings.as_str()),
        ("secret", secret.as_str()),
    ];
    // Written while the folder is still ours: in another user's folder, a name may be a link to
    // anywhere.
    for (name, text) in files {
        write_new(&folder.join(name), text)?;
    }
    let account = Account::for_server_in(folder, &files.map(|(name, _)| name))?;
    let watchdog = Watchdog::start(folder, bin, account.as_ref()).map_err(|error| {
        let user = account.as_ref().map_or_else(String::new, |account| {
            format!(
                " as user {}: set TMPDIR to a folder it can reach",
                account.name()
            )
        });
        let text = format!("cannot run /bin/sh in {}{user}", folder.display());
        failed(text, error)
    })?;
    Ok((account, watchdog))
}

/// Writes a new file that only this user can read.
fn write_new(file: &Path, text: &str) -> Result<()> {
    let mut options = OpenOptions::new();
    let opened = options.write(true).create_new(true).mode(0o600).open(file);
    opened
        .and_then(|mut opened| opened.write_all(text.as_bytes()))
        .map_err(|error| failed(format!("cannot write {}", file.display()), error))
}

fn free_port() -> Result<u16> {
    for _ in 0..100 {
        let port = fastrand::u16(PORTS);
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return Ok(port);
        }
    }
    Err(failed(
        format!("no free port of 127.0.0.1 in {PORTS:?}"),
        io::ErrorKind::AddrInUse.into(),
    ))
}

fn failed(text: impl Into<String>, error: io::Error) -> Error {
    Error::new(ErrorKind::Server, text).because(error)
}
