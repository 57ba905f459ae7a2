//! Imports point down: a reader who knows the layers below knows all that a file rests on.

use super::files::{File, Offence, check, hold, sources};
use super::rust_text::{line_at, take_apart};

/// Each may use itself and those before it. Anything new gets its place here.
const LAYERS: [&str; 11] = [
    "words", "schema", "store", "connect", "session", "wake", "receive", "route", "upkeep",
    "surface", "testing",
];

/// What a path to another module looks like from the crate's root; split, so that no rule finds it
/// here.
const ROOT: &str = "crate::";

fn rank(layer: &str) -> Option<usize> {
    LAYERS.iter().position(|name| *name == layer)
}

/// Finds imports that point up or go through the crate's root, and files outside all layers.
pub(super) fn imports(file: &File) -> Vec<Offence> {
    let inside = file.path.strip_prefix("src/").unwrap_or(&file.path);
    // The root is docs and re-exports; a command is a crate of its own, above all layers.
    if inside == "lib.rs" || inside.starts_with("bin/") {
        return Vec::new();
    }
    let layer = inside.split(['/', '.']).next().unwrap_or_default();
    let Some(own) = rank(layer) else {
        let why = format!(
            "\"{layer}\" is no layer, and every file has a layer: add it to LAYERS in tests/it/tidy"
        );
        return vec![file.offence(1, why)];
    };
    let code = take_apart(file.shipped()).code;
    let mut offences = Vec::new();
    for (at, target) in paths_from_root(&code) {
        let line = line_at(&code, at);
        match rank(&target) {
            Some(other) if other <= own => {}
            Some(_) => offences.push(file.offence(
                line,
                format!("{layer} uses {target}, which is above it: imports point down, so that layers can be read one by one"),
            )),
            None if layer == "testing" => {}
            None => offences.push(file.offence(
                line,
                format!("{ROOT}{target} goes through the crate's root: name the layer it is in, so that its place is seen"),
            )),
        }
    }
    offences
}

/// Returns the first name of every path from the crate's root, and where it is.
fn paths_from_root(code: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for (at, _) in code.match_indices(ROOT) {
        if code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_') {
            continue;
        }
        let start = at + ROOT.len();
        let rest = code[start..].trim_start();
        match rest.strip_prefix('{') {
            Some(group) => found.extend(group_members(group).into_iter().map(|name| (at, name))),
            None => found.push((at, first_name(rest))),
        }
    }
    found
}

/// Returns the first names of what a `{…}` of an import lists, itself without those of inner
/// groups.
fn group_members(group: &str) -> Vec<String> {
    let mut members = vec![String::new()];
    let mut depth = 0;
    for c in group.chars() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => members.push(String::new()),
            _ if depth == 0 => members.last_mut().expect("one is open").push(c),
            _ => {}
        }
    }
    members.retain(|member| !member.trim().is_empty());
    members
        .iter()
        .map(|member| first_name(member.trim()))
        .collect()
}

fn first_name(path: &str) -> String {
    path.chars()
        .take_while(|c| c.is_alphanumeric() || matches!(c, '_' | '*'))
        .collect()
}

#[test]
fn imports_point_down_and_never_through_the_root() {
    hold(&sources(), imports);
}

#[test]
fn an_import_that_points_up_or_through_the_root_is_found() {
    let bad = "//! Docs: crate::Error.\nuse crate::words::Error;\nuse crate::session::Session;\n\
        fn f() -> crate::Result<()> { \"crate::wake\"; }\n";
    check(imports, "src/store/claim.rs", bad, &[3, 4]);
    let grouped =
        "use crate::{\n    words::{a, wake},\n    Error,\n    receive::{b},\n};\nuse crate::*;\n";
    check(imports, "src/store/claim.rs", grouped, &[1, 1, 6]);
    check(imports, "src/elsewhere.rs", "", &[1]);
    check(
        imports,
        "src/testing/server.rs",
        "use crate::Messaging;\nuse crate::words::Error;",
        &[],
    );
    check(
        imports,
        "src/store/claim.rs",
        "\n#[cfg(test)]\nmod tests { use crate::testing::Server; }",
        &[],
    );
}
