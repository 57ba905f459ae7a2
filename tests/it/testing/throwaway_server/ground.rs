//! A server's folder is made only where nobody else can put another one, or a link, in its place.

use super::CHILD;
use crate::support::Child;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::path::Path;

/// Returns what a process is told that starts a server with this temporary folder, which is to stay
/// empty.
#[track_caller]
fn told_in(folder: &Path) -> String {
    let mut program = Child::this_program();
    program.env("TMPDIR", folder);
    let mut child = Child::start(program, CHILD, "try to start");
    let told = child.listen();
    child.finish();
    assert_eq!(fs::read_dir(folder).unwrap().count(), 0, "{told}");
    told
}

#[test]
fn nothing_is_made_where_others_may_put_something_else_in_its_place() {
    let outer = tempfile::tempdir().unwrap();
    let open = outer.path().join("open");
    let inner = open.join("inner");
    fs::create_dir_all(&inner).unwrap();
    fs::set_permissions(&open, fs::Permissions::from_mode(0o777)).unwrap();
    let link = outer.path().join("link");
    symlink(&inner, &link).unwrap();

    for folder in [&inner, &link] {
        let told = told_in(folder);
        assert!(
            told.contains("set TMPDIR") && told.contains("open"),
            "{told}"
        );
    }
    // As the system's own temporary folder is.
    fs::set_permissions(&open, fs::Permissions::from_mode(0o1777)).unwrap();
    fs::set_permissions(outer.path(), fs::Permissions::from_mode(0o755)).unwrap();
    assert_eq!(told_in(&inner), "started");
}

#[test]
fn root_makes_nothing_in_a_folder_of_somebody_else() {
    let outer = tempfile::tempdir().unwrap();
    if fs::metadata(outer.path()).unwrap().uid() != 0 {
        // Nobody else can do it there.
        return;
    }
    let folder = outer.path().join("folder");
    fs::create_dir(&folder).unwrap();
    chown(&folder, Some(65_534), Some(65_534)).unwrap();

    let told = told_in(&folder);

    assert!(
        told.contains("belongs to another user") && told.contains("set TMPDIR"),
        "{told}"
    );
}
