//! The command that a user gave us to run.

use crate::failure::CommandFailure;
use std::env;
use std::ffi::{OsStr, OsString};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A program and its arguments. It can be started, as far as that can be told without doing it.
#[derive(Debug, Clone)]
pub(crate) struct Invocation {
    name: OsString,
    arguments: Vec<OsString>,
}

impl Invocation {
    /// Checks that there is such a program, so that a typo is noticed before anything is begun.
    pub(crate) fn new(words: &[OsString]) -> Result<Self, CommandFailure> {
        let Some((name, arguments)) = words.split_first() else {
            return Err(CommandFailure::usage("no command was given to run"));
        };
        if find(name).is_none() {
            return Err(CommandFailure::usage(format!(
                "cannot run \"{}\": there is no such program",
                name.to_string_lossy()
            ))
            .hint("name a program in PATH or a file; for shell syntax: sh -c '…'"));
        }
        Ok(Invocation {
            name: name.clone(),
            arguments: arguments.to_vec(),
        })
    }

    /// Returns it as a command that can be completed and started.
    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(&self.name);
        command.args(&self.arguments);
        command
    }

    /// Returns the program's name for texts.
    pub(crate) fn name(&self) -> String {
        let file = Path::new(&self.name).file_name().unwrap_or(&self.name);
        file.to_string_lossy().into_owned()
    }
}

/// Returns the file that runs under this name, as the system would find it.
pub(crate) fn find(name: &OsStr) -> Option<PathBuf> {
    if name.as_encoded_bytes().contains(&b'/') {
        return Some(PathBuf::from(name)).filter(|path| can_run(path));
    }
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path)
        .map(|folder| folder.join(name))
        .find(|path| can_run(path))
}

fn can_run(path: &Path) -> bool {
    path.metadata()
        .is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0)
}
