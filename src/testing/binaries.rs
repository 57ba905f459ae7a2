//! Finds the PostgreSQL server binaries of this machine.
//!
//! Few systems have them on `PATH`: Debian keeps one folder per release, so that several can be
//! installed side by side.

use crate::testing::fetched;
use crate::words::{Error, ErrorKind, Result, chain};
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The programs that a folder must have to start a server from it.
const NEEDED: [&str; 3] = ["initdb", "pg_ctl", "postgres"];

/// Where packages install them; a `*` stands for any text, such as a release.
const USUAL_PLACES: [&str; 5] = [
    "/usr/lib/postgresql/*/bin",
    "/usr/pgsql-*/bin",
    "/usr/local/pgsql/bin",
    "/opt/homebrew/opt/postgresql*/bin",
    "/usr/local/opt/postgresql*/bin",
];

const HOW_TO_INSTALL: &str = "install PostgreSQL (apt-get install postgresql, dnf install \
     postgresql-server, brew install postgresql), name the folder of its binaries in \
     OUTTRAY_POSTGRES_BIN, or set DATABASE_URL to use a running server";

/// Returns the folder of the server binaries: `wanted`, else `$OUTTRAY_POSTGRES_BIN`, else the
/// first folder that has them all among `PATH`, `pg_config --bindir` and the usual places. If there
/// is none, the binaries are fetched.
///
/// # Errors
/// `Server`, naming the programs and the folders that were searched. A folder that was asked for is
/// not replaced by another.
pub(crate) fn find(wanted: Option<&Path>) -> Result<PathBuf> {
    let from_environment = || {
        env::var_os("OUTTRAY_POSTGRES_BIN")
            .filter(|folder| !folder.is_empty())
            .map(PathBuf::from)
    };
    if let Some(folder) = wanted.map(Path::to_owned).or_else(from_environment) {
        return match first_missing(&folder) {
            None => Ok(folder),
            Some(missing) => Err(Error::new(
                ErrorKind::Server,
                format!(
                    "no {missing} in {}, the folder given for the PostgreSQL binaries: {HOW_TO_INSTALL}",
                    folder.display()
                ),
            )),
        };
    }
    let mut installed = candidates().into_iter();
    if let Some(folder) = installed.find(|folder| first_missing(folder).is_none()) {
        return Ok(behind_links(folder));
    }
    fetched::find().map_err(|why| {
        Error::new(
            ErrorKind::Server,
            format!(
                "no folder with {} found in PATH, pg_config --bindir, {}, and {}: {HOW_TO_INSTALL}",
                NEEDED.join(", "),
                USUAL_PLACES.join(", "),
                chain(&why)
            ),
        )
    })
}

/// Returns the folder that the links in `folder` point to, which has the client programs too.
fn behind_links(folder: PathBuf) -> PathBuf {
    match fs::canonicalize(folder.join("postgres")) {
        Ok(server) => match server.parent() {
            Some(real) if first_missing(real).is_none() => real.to_owned(),
            _ => folder,
        },
        Err(_) => folder,
    }
}

fn first_missing(folder: &Path) -> Option<&'static str> {
    NEEDED.into_iter().find(|name| !folder.join(name).is_file())
}

fn candidates() -> Vec<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let mut folders: Vec<PathBuf> = env::split_paths(&path)
        .filter(|folder| folder.is_absolute())
        .collect();
    let told = Command::new("pg_config").arg("--bindir").output();
    if let Ok(told) = told
        && let Ok(folder) = String::from_utf8(told.stdout)
        && told.status.success()
    {
        folders.push(PathBuf::from(folder.trim_end()));
    }
    for place in USUAL_PLACES {
        folders.extend(matching(Path::new("/"), &place[1..]));
    }
    folders
}

/// Returns the folders under `root` that match a pattern with `*`, highest release first.
fn matching(root: &Path, pattern: &str) -> Vec<PathBuf> {
    let Some((before, after)) = pattern.split_once('*') else {
        return vec![root.join(pattern)];
    };
    let (parent, prefix) = before.rsplit_once('/').unwrap_or(("", before));
    let after = after.trim_start_matches('/');
    let Ok(entries) = fs::read_dir(root.join(parent)) else {
        return Vec::new();
    };
    let mut found: Vec<(u32, PathBuf)> = entries
        .flatten()
        .filter_map(|entry| {
            let name = entry.file_name().into_string().ok()?;
            let rest = name.strip_prefix(prefix)?;
            Some((release(rest), entry.path().join(after)))
        })
        .collect();
    found.sort_by(|left, right| right.cmp(left));
    found.into_iter().map(|(_, folder)| folder).collect()
}

/// Returns the first number in a name, such as 16 in `@16`. Names without a number come last.
fn release(name: &str) -> u32 {
    let digits: String = name
        .chars()
        .skip_while(|c| !c.is_ascii_digit())
        .take_while(char::is_ascii_digit)
        .collect();
    digits.parse().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_release_comes_first_by_number() {
        let root = tempfile::tempdir().unwrap();
        for folder in ["lib/pg/9.6", "lib/pg/15", "lib/pg/@16", "lib/other"] {
            fs::create_dir_all(root.path().join(folder)).unwrap();
        }

        let found = matching(root.path(), "lib/pg/*/bin");

        let expected = ["lib/pg/@16/bin", "lib/pg/15/bin", "lib/pg/9.6/bin"];
        assert_eq!(found, expected.map(|folder| root.path().join(folder)));
    }

    #[test]
    fn a_folder_that_was_asked_for_is_not_replaced_by_another() {
        let folder = tempfile::tempdir().unwrap();

        let error = find(Some(folder.path())).unwrap_err();

        assert_eq!(error.kind(), ErrorKind::Server);
        let text = error.to_string();
        assert!(text.starts_with("no initdb in "), "{text}");
        assert!(text.contains("apt-get install postgresql"), "{text}");
    }
}
