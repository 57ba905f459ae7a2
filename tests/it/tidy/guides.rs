//! What the guides for people name is where they say.

use super::files::{File, Offence, check, files, hold};
use std::path::Path;

const FOLDERS: [&str; 6] = ["src/", "tests/", "benches/", "docs/", "examples/", ".ci/"];

/// Finds paths of the project that lead nowhere. A module may be named without its ending, and, in
/// backticks, without the folder that all are in.
fn lost_paths(file: &File) -> Vec<Offence> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut offences = Vec::new();
    for (number, line) in (1..).zip(file.text.lines()) {
        let words = line.split(|c: char| c.is_whitespace() || "`()[],;:".contains(c));
        let paths = words.filter(|word| FOLDERS.iter().any(|folder| word.starts_with(folder)));
        let modules = line
            .split('`')
            .skip(1)
            .step_by(2)
            .filter(|name| is_module(root, name));
        let modules = modules.map(|name| format!("src/{name}"));
        let paths = paths.map(|path| path.trim_end_matches('.').to_owned());
        for path in paths.chain(modules) {
            let is_there = |ending| root.join(format!("{path}{ending}")).exists();
            if !["", ".rs", ".sql"].into_iter().any(is_there) {
                let why = format!("{path} is not there: who follows a guide finds what it names");
                offences.push(file.offence(number, why));
            }
        }
    }
    offences
}

/// Returns whether something is named as a file in a folder of the library is.
fn is_module(root: &Path, name: &str) -> bool {
    let is_sign =
        |sign: u8| sign.is_ascii_lowercase() || sign.is_ascii_digit() || b"_/".contains(&sign);
    let folder = name
        .split_once('/')
        // A page of a server begins with the slash.
        .filter(|(folder, _)| !folder.is_empty())
        .map(|(folder, _)| root.join("src").join(folder));
    name.bytes().all(is_sign) && folder.is_some_and(|folder| folder.is_dir())
}

#[test]
fn the_guides_name_files_that_are_there() {
    let mut guides = files("", ".md");
    // It tells of files that were there once.
    guides.retain(|guide| guide.path != "CHANGELOG.md");
    assert!(
        guides.len() > 3,
        "README, ARCHITECTURE, CONTRIBUTING and more are read"
    );

    hold(&guides, lost_paths);
}

#[test]
fn a_path_that_leads_nowhere_is_found() {
    let guide = "`src/lib.rs`, [docs](docs/nothing.md)\n    cat tests/it/main.rs src/gone.\nbenches or my/src/x\n`db/flight`, `db/gone`, `/page`";
    check(lost_paths, "CONTRIBUTING.md", guide, &[1, 2, 4]);
}
