//! What holds for every file that is tracked, whatever it is.

use super::files::{File, Offence, check, files, hold, none};

/// Folders that only exist where this was written. Put together here, so that this file does not
/// break its own rule.
const MACHINE_FOLDERS: [&str; 3] = [
    concat!("/wo", "rk/"),
    concat!("/fa", "rm/"),
    concat!("/ro", "ot/"),
];
const ISSUE_NUMBER: &str = concat!("issue", " #");
const SKIPPED_TEST: &str = concat!("#[ign", "ore");

fn lines_with(file: &File, needle: &str, why: &str) -> Vec<Offence> {
    let lines = (1..).zip(file.text.lines());
    lines
        .filter(|(_, line)| line.to_lowercase().contains(needle))
        .map(|(number, _)| file.offence(number, why))
        .collect()
}

fn machine_paths(file: &File) -> Vec<Offence> {
    let why = "a path of one machine: nobody else has it";
    MACHINE_FOLDERS
        .iter()
        .flat_map(|folder| lines_with(file, folder, why))
        .collect()
}

fn issue_numbers(file: &File) -> Vec<Offence> {
    lines_with(
        file,
        ISSUE_NUMBER,
        "a number of a tracker: say what it is about, trackers move",
    )
}

fn skipped_tests(file: &File) -> Vec<Offence> {
    lines_with(
        file,
        SKIPPED_TEST,
        "a test that nobody runs promises nothing: mend it or remove it",
    )
}

/// Finds a changelog without a heading for the version of `Cargo.toml`.
fn changelog(manifest: &str, changelog: &File) -> Vec<Offence> {
    let version = manifest
        .lines()
        .find_map(|line| line.strip_prefix("version = "))
        .expect("Cargo.toml has a version")
        .trim_matches('"');
    let is_there = changelog.text.lines().any(|line| {
        let mut words = line.split_whitespace();
        words.next() == Some("##") && words.next() == Some(version)
    });
    if is_there {
        return Vec::new();
    }
    vec![changelog.offence(
        1,
        format!("no \"## {version}\": users read here what a version changed"),
    )]
}

fn tracked() -> Vec<File> {
    let tracked = files("", "");
    assert!(tracked.len() > 10, "only {} files read", tracked.len());
    tracked
}

#[test]
fn no_file_names_a_folder_of_one_machine() {
    hold(&tracked(), machine_paths);
}

#[test]
fn no_file_cites_a_tracker_by_number() {
    hold(&tracked(), issue_numbers);
}

#[test]
fn no_test_is_skipped() {
    hold(&tracked(), skipped_tests);
}

#[test]
fn the_changelog_names_the_version() {
    let tracked = tracked();
    let named = |path: &str| {
        let found = tracked.iter().find(|file| file.path == path);
        found.unwrap_or_else(|| panic!("{path} is missing"))
    };
    none(changelog(&named("Cargo.toml").text, named("CHANGELOG.md")));
}

#[test]
fn a_file_that_does_not_belong_is_found() {
    let folder = MACHINE_FOLDERS[0];
    check(
        machine_paths,
        "README.md",
        &format!("a\nsee {folder}x"),
        &[2],
    );
    check(
        issue_numbers,
        "README.md",
        &ISSUE_NUMBER.to_uppercase(),
        &[1],
    );
    check(
        skipped_tests,
        "src/x.rs",
        &format!("{SKIPPED_TEST} = \"\"]"),
        &[1],
    );
    let manifest = "[package]\nversion = \"1.2.0\"\n";
    check(
        |file| changelog(manifest, file),
        "CHANGELOG.md",
        "## 1.2.0 - now\n",
        &[],
    );
    check(
        |file| changelog(manifest, file),
        "CHANGELOG.md",
        "## 1.2.01\n1.2.0",
        &[1],
    );
}
