//! No import circles: to understand a file, one has to know what it imports, and in a circle that
//! is all of it.

use super::files::{File, Offence, none, sources};
use super::modules::{Modules, ROOTS};
use std::collections::{BTreeMap, BTreeSet};

type Graph<'a> = BTreeMap<&'a str, BTreeSet<&'a str>>;

fn reached<'a>(graph: &Graph<'a>, from: &'a str) -> BTreeSet<&'a str> {
    let mut reached = BTreeSet::new();
    let mut open = vec![from];
    while let Some(next) = open.pop() {
        let further = graph.get(next).into_iter().flatten();
        open.extend(further.filter(|name| reached.insert(**name)));
    }
    reached
}

/// Returns the circles: each as all that reach each other.
fn circles<'a>(graph: &Graph<'a>) -> BTreeSet<BTreeSet<&'a str>> {
    let all: Graph<'a> = graph
        .keys()
        .map(|name| (*name, reached(graph, name)))
        .collect();
    let circle = |name: &&'a str| {
        let others = all[name].iter().filter(|other| all[*other].contains(name));
        others.copied().collect::<BTreeSet<&str>>()
    };
    let circles = all.keys().map(circle);
    circles.filter(|circle| circle.len() > 1).collect()
}

/// Returns a file's folder; in the root folder of a crate, each file stands for itself.
fn folder(path: &str) -> &str {
    let is_root = |folder: &str| ROOTS.iter().any(|(root, _)| *root == folder);
    match path.rsplit_once('/') {
        Some((folder, _)) if !is_root(&path[..=folder.len()]) => folder,
        _ => path,
    }
}

fn folders<'a>(files: &Graph<'a>) -> Graph<'a> {
    let mut folders = Graph::new();
    for (file, imports) in files {
        let own = folder(file);
        let others = imports.iter().map(|import| folder(import));
        let others = others.filter(|other| *other != own);
        folders.entry(own).or_default().extend(others);
    }
    folders
}

/// Returns the circles of folders; those of files alone are told as such.
fn folder_circles<'a>(files: &Graph<'a>) -> BTreeSet<BTreeSet<&'a str>> {
    let mut circles = circles(&folders(files));
    circles.retain(|circle| circle.iter().any(|name| !name.ends_with(".rs")));
    circles
}

/// Names all that are in circles, each with the others of its circle.
fn offences(circles: BTreeSet<BTreeSet<&str>>, what: &str) -> Vec<Offence> {
    let mut offences = Vec::new();
    for circle in circles {
        for name in &circle {
            let others: Vec<&str> = circle
                .iter()
                .copied()
                .filter(|other| other != name)
                .collect();
            let why = format!(
                "a circle of {what}, with {}: take what both need out of them, or pass it in",
                others.join(", ")
            );
            offences.push(File::new(name, "").offence(1, why));
        }
    }
    offences
}

#[test]
fn no_files_import_each_other() {
    let files = sources();
    let modules = Modules::of(&files);

    none(offences(circles(&modules.imports()), "files"));
}

#[test]
fn no_folders_import_each_other() {
    let files = sources();
    let modules = Modules::of(&files);

    let circles = folder_circles(&modules.imports());
    none(offences(circles, "folders"));
}

/// Returns the modules of a small crate with these files in it.
fn modules(files: &[(&str, &str)]) -> Modules {
    let root = [
        ("src/lib.rs", "pub use words::Text;"),
        ("src/words/mod.rs", "pub use text::Text;"),
        ("src/keys/mod.rs", ""),
    ];
    let files = root.iter().chain(files);
    let files: Vec<File> = files.map(|(path, text)| File::new(path, text)).collect();
    Modules::of(&files)
}

#[track_caller]
fn check(files: &[(&str, &str)], in_circles: &[&str]) {
    let modules = modules(files);
    let found: BTreeSet<&str> = circles(&modules.imports()).into_iter().flatten().collect();
    assert_eq!(found, in_circles.iter().copied().collect());
}

#[test]
fn a_circle_is_found_however_the_paths_are_written() {
    let text = "src/words/text.rs";
    let bytes = "src/words/bytes.rs";
    let both = &[bytes, text];
    let back = "use crate::words::{Other, bytes::{self as b, Bytes}};";
    check(&[(text, ""), (bytes, "use crate::words::Text;")], &[]);
    check(&[(text, back), (bytes, "use crate::words::Text;")], both);
    check(&[(text, back), (bytes, "use super::Text as Words;")], both);
    check(
        &[(text, back), (bytes, "fn f(t: super::text::Text) {}")],
        both,
    );
    check(
        &[
            (text, back),
            (bytes, "use super::text;\nfn f() { text::g() }"),
        ],
        both,
    );
    check(&[(text, back), (bytes, "fn f(t: crate::Text) {}")], both);
    check(
        &[
            (text, back),
            (bytes, "//! [`super::Text`]\nfn f(t: \"super::Text\") {}"),
        ],
        &[],
    );
    check(
        &[
            (text, back),
            (
                bytes,
                "\n#[cfg(test)]\nmod tests { use super::super::Text; }",
            ),
        ],
        &[],
    );
    let up = [
        ("src/keys/mod.rs", "mod lane;\nfn f() { lane::g() }"),
        ("src/keys/lane.rs", "use super::f;"),
    ];
    check(
        &[&up[..], &[(text, "")]].concat(),
        &["src/keys/mod.rs", "src/keys/lane.rs"],
    );
}

#[test]
fn a_circle_of_folders_is_found_where_no_file_is_in_one() {
    let modules = modules(&[
        ("src/words/a.rs", "use crate::keys::b::B;"),
        ("src/keys/b.rs", ""),
        ("src/keys/c.rs", "use crate::words::d::D;"),
        ("src/words/d.rs", ""),
        ("src/one.rs", "use crate::two::Two;"),
        ("src/two.rs", "use crate::one::One;"),
        ("src/three.rs", "use crate::four::e::E;"),
        ("src/four/e.rs", ""),
        ("src/four/mod.rs", "use crate::five::Five;"),
        ("src/five.rs", ""),
    ]);
    let imports = modules.imports();

    let found: BTreeSet<&str> = folder_circles(&imports).into_iter().flatten().collect();
    assert_eq!(found, ["src/keys", "src/words"].into());
}
