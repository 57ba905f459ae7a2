//! Whether a folder is fit to hold what is ours: whoever may rename a folder can put another one,
//! or a link, in its place between two of our steps.

use std::fs;
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// Only the owner of a file in such a folder may rename it.
const STICKY: u32 = 0o1000;

/// Returns who this process is; `None` where the system does not tell it in a file.
pub(crate) fn who_we_are() -> Option<u32> {
    fs::metadata("/proc/self").ok().map(|process| process.uid())
}

/// Returns a folder without links on the way, or a folder on its way that is not safe: one in which
/// others may rename; for root also one of somebody else's.
///
/// # Errors
/// The folder cannot be looked at.
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
