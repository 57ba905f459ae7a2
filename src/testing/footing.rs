//! Checks whether a folder is safe for our files: a user who may rename it can replace it by
//! another folder, or by a link, between two of our steps.

use std::fs;
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// Only the owner of a file in such a folder may rename it.
const STICKY: u32 = 0o1000;

/// Returns the user id of this process; `None` where the system has no file that tells it.
pub(crate) fn who_we_are() -> Option<u32> {
    fs::metadata("/proc/self").ok().map(|process| process.uid())
}

/// Returns the folder's path without links, or a folder on that path that is not safe because
/// others may rename entries in it. For root, a folder of another user is not safe either.
///
/// # Errors
/// The folder cannot be read.
pub(crate) fn firm(folder: &Path) -> io::Result<Result<PathBuf, PathBuf>> {
    let folder = folder.canonicalize()?;
    let we_are_root = who_we_are() == Some(0);
    for part in folder.ancestors() {
        let part_is = fs::metadata(part)?;
        let others = if we_are_root { 0o022 } else { 0o002 };
        let mode = part_is.permissions().mode();
        let is_open = mode & others != 0 && mode & STICKY == 0;
        if is_open || (we_are_root && part_is.uid() != 0) {
            return Ok(Err(part.to_owned()));
        }
    }
    Ok(Ok(folder))
}
