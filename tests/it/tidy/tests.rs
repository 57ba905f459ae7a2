//! Tests read as well as the code: short files in folders, names that are sentences, and one world
//! that all of them share.

use super::files::{File, Offence, check, files, hold};
use super::rust_text::{line_at, take_apart};

const MOST_LINES: usize = 400;
/// Of the line with a test's name: `fn`, indentation and all.
const MOST_COLUMNS_OF_A_NAME: usize = 100;

const SUPPORT: &str = "tests/it/support/";

fn size(file: &File) -> Vec<Offence> {
    let lines = file.text.lines().count();
    if lines <= MOST_LINES {
        return Vec::new();
    }
    let why = format!("{lines} lines, the most is {MOST_LINES}: split it by what it is about");
    vec![file.offence(MOST_LINES + 1, why)]
}

fn names(file: &File) -> Vec<Offence> {
    let mut offences = Vec::new();
    let code = take_apart(&file.text).code;
    for (number, line) in (1..).zip(code.lines()) {
        let columns = line.chars().count();
        if line.trim_start().starts_with("fn ") && columns > MOST_COLUMNS_OF_A_NAME {
            let why = format!(
                "a name up to column {columns}, the most is {MOST_COLUMNS_OF_A_NAME}: say it in fewer words"
            );
            offences.push(file.offence(number, why));
        }
    }
    offences
}

/// Finds tests that are in no folder.
fn lost(file: &File) -> Vec<Offence> {
    let is_lost = file.path.matches('/').count() == 2 && file.path != "tests/it/main.rs";
    let why = "in no folder: put it where its subject is";
    is_lost.then(|| file.offence(1, why)).into_iter().collect()
}

/// Returns the names of the types that tests share.
fn shared_types(files: &[File]) -> Vec<String> {
    let support = files.iter().filter(|file| file.path.starts_with(SUPPORT));
    let types = support.flat_map(|file| {
        let lines = file.text.lines();
        let found = lines.filter_map(|line| line.strip_prefix("pub(crate) struct "));
        found.map(|rest| rest.split([' ', '<', '(', ';']).next().unwrap_or_default())
    });
    types.map(ToOwned::to_owned).collect()
}

/// Finds twins of what tests share, and what one module adds to it for itself.
fn twins(file: &File, shared: &[String]) -> Vec<Offence> {
    if file.path.starts_with(SUPPORT) {
        return Vec::new();
    }
    let code = take_apart(&file.text).code;
    let mut offences = Vec::new();
    for name in shared {
        for (before, why) in [
            (
                "impl ",
                "is added to apart from the rest: do it in support, or in a function",
            ),
            (
                "struct ",
                "is a name that tests share for something else: use it, or another name",
            ),
        ] {
            let declared = format!("{before}{name}");
            for (at, _) in code.match_indices(&declared) {
                let is_whole = code[at + declared.len()..].starts_with([' ', '<', '(', ';']);
                if is_whole {
                    offences.push(file.offence(line_at(&code, at), format!("{name} {why}")));
                }
            }
        }
    }
    offences
}

fn tests() -> Vec<File> {
    let tests = files("tests", ".rs");
    assert!(tests.len() > 100, "only {} files read", tests.len());
    tests
}

#[test]
fn a_file_of_tests_has_at_most_400_lines() {
    hold(&tests(), size);
}

#[test]
fn the_name_of_a_test_fits_a_line() {
    hold(&tests(), names);
}

#[test]
fn tests_are_in_folders_by_subject() {
    hold(&tests(), lost);
}

#[test]
fn the_world_of_the_tests_is_made_in_one_place() {
    let tests = tests();
    let shared = shared_types(&tests);
    assert!(shared.iter().any(|name| name == "Place"), "{shared:?}");

    hold(&tests, |file| twins(file, &shared));
}

#[test]
fn a_file_of_tests_out_of_shape_is_found() {
    check(size, "tests/it/keys/long.rs", &"\n".repeat(401), &[401]);
    let name = "n".repeat(92);
    let wide = format!("fn {name}() {{}}\nfn {name}n() {{}}\n// fn {name}n() {{\nfn {name}() {{");
    check(names, "tests/it/keys/wide.rs", &wide, &[2]);
    check(lost, "tests/it/keys.rs", "", &[1]);
    check(lost, "tests/it/main.rs", "", &[]);
    check(lost, "tests/it/keys/order.rs", "", &[]);
}

#[test]
fn a_twin_of_what_tests_share_is_found() {
    let place =
        "//! The world.\npub(crate) struct Place {\n}\npub(crate) struct Gate;\nstruct Own;\n";
    let shared = shared_types(&[File::new("tests/it/support/place.rs", place)]);
    assert_eq!(shared, ["Place", "Gate"]);
    let rule = |file: &File| twins(file, &shared);
    let twin =
        "impl Place {}\n// impl Place {}\nimpl Placed {}\nstruct Gate;\nimpl Drop for Gate {}";

    check(rule, "tests/it/keys/order.rs", twin, &[1, 4]);
    check(rule, "tests/it/support/place.rs", place, &[]);
}
