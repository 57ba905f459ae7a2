//! Imports point down: a reader who knows the layers below knows all that a file rests on.

use super::files::{File, Offence, check, hold, sources};
use super::rust_text::{line_at, take_apart};

/// The order of the folders: that of the modules in the crate's root. Each may use itself and those
/// before it.
struct Layers(Vec<String>);

/// What a path to another module looks like from the crate's root; split, so that no rule finds it
/// here.
const ROOT: &str = "crate::";

impl Layers {
    fn of(root: &str) -> Layers {
        let lines = root.lines().filter_map(|line| {
            let line = line.strip_prefix("pub ").unwrap_or(line);
            line.strip_prefix("mod ")?.strip_suffix(';')
        });
        Layers(lines.map(str::to_owned).collect())
    }

    fn rank(&self, layer: &str) -> Option<usize> {
        self.0.iter().position(|name| name == layer)
    }
}

/// Finds imports that point up or go through the crate's root, and files outside all layers.
fn imports(layers: &Layers, file: &File) -> Vec<Offence> {
    let inside = file.path.strip_prefix("src/").unwrap_or(&file.path);
    // The root is docs and re-exports; a command is a crate of its own, above all layers.
    if inside == "lib.rs" || inside.starts_with("bin/") {
        return Vec::new();
    }
    let layer = inside.split(['/', '.']).next().unwrap_or_default();
    let Some(own) = layers.rank(layer) else {
        let why = format!(
            "\"{layer}\" is no module of the crate's root, where every folder has its place"
        );
        return vec![file.offence(1, why)];
    };
    let code = take_apart(file.shipped()).code;
    let mut offences = Vec::new();
    for (at, target) in paths_from_root(&code) {
        let line = line_at(&code, at);
        match layers.rank(&target) {
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
    let sources = sources();
    let root = sources.iter().find(|file| file.path == "src/lib.rs");
    let layers = Layers::of(&root.expect("the root is read").text);
    assert!(layers.0.len() > 20, "{:?}", layers.0);

    hold(&sources, |file| imports(&layers, file));
}

#[test]
fn an_import_that_points_up_or_through_the_root_is_found() {
    let layers =
        "mod words;\nmod store;\n#[cfg(unix)]\nmod wake;\nmod session;\npub mod testing;\n";
    let layers = Layers::of(layers);
    let check = |path, text, lines| check(|file| imports(&layers, file), path, text, lines);

    let bad = "//! Docs: crate::Error.\nuse crate::words::Error;\nuse crate::session::Session;\n\
        fn f() -> crate::Result<()> { \"crate::wake\"; }\n";
    check("src/store/claim.rs", bad, &[3, 4]);
    let grouped =
        "use crate::{\n    words::{a, wake},\n    Error,\n    session::{b},\n};\nuse crate::*;\n";
    check("src/store/claim.rs", grouped, &[1, 1, 6]);
    check("src/store.rs", "use crate::wake::f;", &[1]);
    check("src/elsewhere.rs", "", &[1]);
    let root = "use crate::Messaging;\nuse crate::words::Error;";
    check("src/testing/server.rs", root, &[]);
    let tests = "\n#[cfg(test)]\nmod tests { use crate::testing::Server; }";
    check("src/store/claim.rs", tests, &[]);
}
