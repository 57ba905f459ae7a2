//! The library's statements, found by name wherever their files are under `src`.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// Returns the text of a statement.
#[track_caller]
pub(crate) fn statement_text(name: &str) -> String {
    fs::read_to_string(statement_file(name)).unwrap()
}

/// Returns the path of a statement's file from the project's root.
#[track_caller]
pub(crate) fn statement_file(name: &str) -> &'static Path {
    let file = sql_files().get(name);
    file.unwrap_or_else(|| panic!("there is no {name}.sql under src"))
}

/// Returns how a statement is planned, as its `sql!` beside its file says.
#[track_caller]
pub(crate) fn statement_plan(name: &str) -> String {
    let folder = statement_file(name).parent().unwrap();
    let beside = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let rust = beside.filter(|path| path.extension().is_some_and(|ending| ending == "rs"));
    let declared = format!("sql!(\"{name}\", ");
    let mut plans = rust.filter_map(|path| {
        let text = fs::read_to_string(path).unwrap();
        let (_, plan) = text.split_once(&declared)?;
        Some(plan.split_once(')')?.0.to_owned())
    });
    let plan = plans.next();
    plan.unwrap_or_else(|| panic!("nobody beside {name}.sql says how it is planned"))
}

/// Returns the names of all statements of the library: every SQL file outside `src/schema`, and not
/// beside the command, nor where catalogs of Citus are asked, which are not there.
pub(crate) fn statement_names() -> Vec<&'static str> {
    let files = sql_files().iter();
    let others = ["src/schema", "src/bin", "src/doctor/cluster"];
    let statements = files.filter(|(_, path)| !others.iter().any(|other| path.starts_with(other)));
    statements.map(|(name, _)| name.as_str()).collect()
}

/// Returns all SQL files by name. No name is there twice: prepared statements are known by it.
fn sql_files() -> &'static BTreeMap<String, PathBuf> {
    static FILES: OnceLock<BTreeMap<String, PathBuf>> = OnceLock::new();
    FILES.get_or_init(|| {
        let mut found = BTreeMap::new();
        collect(Path::new("src"), &mut found);
        found
    })
}

fn collect(folder: &Path, found: &mut BTreeMap<String, PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path == Path::new("src/schema/functions") {
            // Functions have names of their own.
        } else if path.is_dir() {
            collect(&path, found);
        } else if path.extension().is_some_and(|ending| ending == "sql") {
            let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
            if let Some(other) = found.insert(name, path.clone()) {
                panic!("{} and {} have one name", other.display(), path.display());
            }
        }
    }
}

#[test]
#[should_panic(expected = "have one name")]
fn a_statement_that_is_there_twice_is_found() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("statements-twice");
    for inside in ["one", "two"] {
        fs::create_dir_all(folder.join(inside)).unwrap();
        fs::write(folder.join(inside).join("claim.sql"), "").unwrap();
    }

    collect(&folder, &mut BTreeMap::new());
}
