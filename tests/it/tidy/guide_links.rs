//! What the guides for people refer to is there: links and their headings, names of the API, and
//! the modules of tests that a promise names. Their Rust is compiled.

use super::files::{File, Offence, check, files, hold, none, sources};
use std::collections::HashSet;
use std::path::Path;

/// Types of the standard library that guides name.
const FOREIGN: [&str; 1] = ["Duration"];

/// What is read first, and how many lines it may have: who wants more follows its links.
const SHORT: [(&str, usize); 2] = [("README.md", 150), ("ARCHITECTURE.md", 160)];

/// Returns the guides. The changelog is none: it names things that were there once.
fn guides() -> Vec<File> {
    let mut guides = files("", ".md");
    guides.retain(|guide| guide.path != "CHANGELOG.md");
    let pages = guides.iter().filter(|page| page.path.starts_with("docs/"));
    assert!(pages.count() > 3, "the pages in docs are read");
    guides
}

/// Returns the lines with their numbers, without those of code blocks.
fn prose(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut is_code = false;
    (1..).zip(text.lines()).filter(move |(_, line)| {
        let is_fence = line.starts_with("```");
        is_code ^= is_fence;
        !is_fence && !is_code
    })
}

/// Returns what is in backticks.
fn quoted(line: &str) -> impl Iterator<Item = &str> {
    line.split('`').skip(1).step_by(2)
}

/// Returns the anchor that a heading gets where Markdown is shown.
fn anchor(heading: &str) -> String {
    let text = heading.trim_start_matches('#').trim().to_lowercase();
    let kept = text
        .chars()
        .filter(|c| c.is_alphanumeric() || " -_".contains(*c));
    kept.map(|c| if c == ' ' { '-' } else { c }).collect()
}

/// Finds links that lead to no file of the project, or to no heading in it.
fn dead_links(file: &File, pages: &[File]) -> Vec<Offence> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folder = file.path.rsplit_once('/').map_or("", |(folder, _)| folder);
    let mut offences = Vec::new();
    for (number, line) in prose(&file.text) {
        for link in line.split("](").skip(1) {
            let link = link.split(')').next().unwrap_or_default();
            if link.starts_with("http") {
                continue;
            }
            let (path, heading) = link.split_once('#').unwrap_or((link, ""));
            let target = match (path, path.strip_prefix("../")) {
                ("", _) => file.path.clone(),
                (_, Some(above)) => above.to_owned(),
                _ if folder.is_empty() => path.to_owned(),
                _ => format!("{folder}/{path}"),
            };
            if target != file.path && !root.join(&target).exists() {
                offences.push(file.offence(number, format!("{link} leads to no file")));
                continue;
            }
            let page = pages.iter().find(|page| page.path == target);
            let page = page.unwrap_or(file);
            let has_heading = || {
                let mut headings = prose(&page.text).filter(|(_, line)| line.starts_with('#'));
                headings.any(|(_, line)| anchor(line) == heading)
            };
            if !heading.is_empty() && !has_heading() {
                offences.push(file.offence(number, format!("{link} leads to no heading")));
            }
        }
    }
    offences
}

/// The words that the library defines: its types, functions, fields and variants.
fn defined(sources: &[File]) -> HashSet<&str> {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let mut words = HashSet::new();
    for line in sources.iter().flat_map(|source| source.text.lines()) {
        let line = line.trim_start();
        let line = line.split_once("pub ").map_or(line, |(_, rest)| rest);
        let kinds = ["fn ", "const fn ", "struct ", "enum ", "type ", "trait "];
        let rest = kinds.iter().find_map(|kind| line.strip_prefix(kind));
        let rest = rest.unwrap_or(line);
        let word = rest.split(|c| !is_word(c)).next().unwrap_or_default();
        words.insert(word);
    }
    words
}

/// Finds names of the API, written `Type::name`, that the library does not define.
fn unknown_names(file: &File, defined: &HashSet<&str>) -> Vec<Offence> {
    let is_sign = |c: char| c.is_alphanumeric() || "_:".contains(c);
    let mut offences = Vec::new();
    for (number, line) in prose(&file.text) {
        for name in quoted(line).flat_map(|text| text.split(|c| !is_sign(c))) {
            let Some((of, item)) = name.rsplit_once("::") else {
                continue;
            };
            let is_ours = of.starts_with(|c: char| c.is_uppercase()) && !FOREIGN.contains(&of);
            if is_ours && !(defined.contains(of) && defined.contains(item)) {
                offences.push(file.offence(number, format!("{name} is not in the library")));
            }
        }
    }
    offences
}

/// Finds modules of tests that a table of promises names and that are not there.
fn lost_tests(file: &File) -> Vec<Offence> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it");
    let mut offences = Vec::new();
    let mut is_promises = false;
    for (number, line) in prose(&file.text) {
        if !line.starts_with('|') {
            is_promises = false;
            continue;
        }
        let last = line.trim_end_matches([' ', '|']).rsplit("| ").next();
        let last = last.unwrap_or_default();
        is_promises |= last.trim() == "tested in";
        if !is_promises {
            continue;
        }
        for name in quoted(last) {
            let path = name.replace("::", "/");
            if !root.join(&path).is_dir() && !root.join(format!("{path}.rs")).is_file() {
                offences.push(file.offence(number, format!("tests/it has no module {name}")));
            }
        }
    }
    offences
}

/// Finds a page with Rust in it that no test compiles.
fn uncompiled(file: &File, root: &str) -> Vec<Offence> {
    let opening = (1..).zip(file.text.lines()).find(|(_, line)| {
        let language = line.strip_prefix("```").unwrap_or("-");
        language.starts_with("rust")
    });
    let included = format!("include_str!(\"../{}\")", file.path);
    let why = "Rust that nothing compiles is wrong sooner or later: include the page in src/lib.rs";
    let opening = opening.filter(|_| !root.contains(&included));
    opening
        .map(|(number, _)| file.offence(number, why))
        .into_iter()
        .collect()
}

/// Finds a guide that has grown too long to be read at one go.
fn long(file: &File) -> Vec<Offence> {
    let lines = file.text.lines().count();
    let most = SHORT.iter().find(|(path, _)| *path == file.path);
    let most = most.filter(|(_, most)| lines > *most);
    let why = "too long: move what is not needed first to a page in docs, or to the rustdoc";
    most.map(|(_, most)| file.offence(most + 1, why))
        .into_iter()
        .collect()
}

#[test]
fn what_is_read_first_is_short() {
    let guides = guides();
    let is_there = |path: &str| guides.iter().any(|guide| guide.path == path);
    assert!(SHORT.iter().all(|(path, _)| is_there(path)));

    hold(&guides, long);
}

#[test]
fn the_links_of_the_guides_lead_somewhere() {
    let guides = guides();

    hold(&guides, |guide| dead_links(guide, &guides));
}

#[test]
fn the_guides_name_what_the_library_has() {
    let sources = sources();
    let defined = defined(&sources);

    hold(&guides(), |guide| unknown_names(guide, &defined));
}

#[test]
fn the_tests_that_a_promise_names_are_there() {
    hold(&guides(), lost_tests);
}

#[test]
fn the_rust_in_the_guides_is_compiled() {
    let sources = sources();
    let root = sources.iter().find(|source| source.path == "src/lib.rs");
    let root = root.expect("src/lib.rs is read");

    none(
        guides()
            .iter()
            .flat_map(|guide| uncompiled(guide, &root.text))
            .collect(),
    );
}

#[test]
fn a_reference_that_leads_nowhere_is_found() {
    let text = "# One `two`, three\n```sh\n# four\n```\n";
    let pages = [File::new("docs/DESIGN.md", text)];
    let links = "[a](../README.md)\n[b](NOTHING.md)\n[c](#title)\n[d](#nothing)\n# Title\n\
                 [e](DESIGN.md#one-two-three), [f](DESIGN.md#four)\n```text\n[g](NOTHING.md)\n```";
    let links_of = |file: &File| dead_links(file, &pages);
    check(links_of, "docs/A.md", links, &[2, 4, 6]);

    let source = File::new("src/a.rs", "pub struct Known {\n    pub field: u8,\n}\n");
    let sources = [source];
    let defined = defined(&sources);
    let names = "`Known::field`, `Known::field(7)?`\n`Known::gone`, Known::gone\n`Gone::field`";
    check(
        |file| unknown_names(file, &defined),
        "docs/A.md",
        names,
        &[2, 3],
    );

    check(long, "README.md", &"a\n".repeat(150), &[]);
    check(long, "README.md", &"a\n".repeat(151), &[151]);

    let promises = "| promise | tested in |\n|---|---|\n| a `b` | `tidy`, `main` |\n| c | `gone` |\n\n| d | `gone` |";
    check(lost_tests, "docs/A.md", promises, &[4]);

    let rust = "```sh\n```\n```rust,no_run\n```";
    check(|file| uncompiled(file, ""), "docs/A.md", rust, &[3]);
    let root = "#[doc = include_str!(\"../docs/A.md\")]";
    check(|file| uncompiled(file, root), "docs/A.md", rust, &[]);
}
