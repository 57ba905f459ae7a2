//! The user that an embedded server runs as. PostgreSQL refuses to run as root, so root drops to a
//! user without privileges.

use crate::words::{Error, ErrorKind, Result};
use std::fs;
use std::io;
use std::os::unix::fs::{MetadataExt, chown};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

/// Users that may run a server in root's place; first the one that PostgreSQL's packages make.
const INSTEAD_OF_ROOT: [&str; 2] = ["postgres", "nobody"];

/// A user other than the one that runs this process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Account {
    name: String,
    uid: u32,
    gid: u32,
}

impl Account {
    /// Returns the user that must run the server in `folder`, which this process has just made, and
    /// gives that user the folder and these files. Returns `None` if this process may run the
    /// server itself.
    ///
    /// # Errors
    /// `Server` when this process is root and there is no other user.
    pub(crate) fn for_server_in(folder: &Path, files: &[&str]) -> Result<Option<Account>> {
        let made_by = fs::metadata(folder).map_err(|error| {
            failed(format!("cannot look at {}", folder.display())).because(error)
        })?;
        if made_by.uid() != 0 {
            return Ok(None);
        }
        let users = fs::read_to_string("/etc/passwd").unwrap_or_default();
        let account = INSTEAD_OF_ROOT
            .iter()
            .find_map(|name| find_in(&users, name))
            .ok_or_else(|| {
                failed(
                    "PostgreSQL refuses to run as root, and /etc/passwd has neither postgres nor \
                     nobody to run it: add one of them, or set DATABASE_URL",
                )
            })?;
        // The folder comes last: until then only this process can put files into it.
        let mut files = files.iter().map(|name| folder.join(name));
        let taken = files.try_for_each(|file| account.take(&file));
        taken.and_then(|()| account.take(folder)).map_err(|error| {
            failed(format!(
                "PostgreSQL refuses to run as root, and {} cannot be given to user {}",
                folder.display(),
                account.name
            ))
            .because(error)
        })?;
        Ok(Some(account))
    }

    /// Makes a file or folder this user's own.
    fn take(&self, path: &Path) -> io::Result<()> {
        chown(path, Some(self.uid), Some(self.gid))
    }

    /// Makes `command` run as this user.
    pub(crate) fn runs(&self, command: &mut Command) {
        command.uid(self.uid).gid(self.gid);
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }
}

/// Finds a user by name in the text of `/etc/passwd`.
fn find_in(users: &str, name: &str) -> Option<Account> {
    users.lines().find_map(|line| {
        let mut fields = line.split(':');
        if fields.next() != Some(name) {
            return None;
        }
        let uid = fields.nth(1)?.parse().ok()?;
        let gid = fields.next()?.parse().ok()?;
        Some(Account {
            name: name.to_owned(),
            uid,
            gid,
        })
    })
}

fn failed(text: impl Into<String>) -> Error {
    Error::new(ErrorKind::Server, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_is_found_by_its_whole_name() {
        let users = "root:x:0:0::/:/bin/sh\npostgresql:x:7:8::/:\npostgres:x:101:104::/:\nbad:x:-2";

        let found = find_in(users, "postgres").unwrap();

        assert_eq!((found.uid, found.gid), (101, 104));
        assert_eq!(find_in(users, "nobody"), None);
        assert_eq!(find_in(users, "bad"), None);
    }
}
