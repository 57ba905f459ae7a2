//! Comments name modules and items that exist: a name that is gone leads readers nowhere.

use super::files::{File, Offence, check, files, hold};
use super::rust_text::take_apart;
use std::collections::HashSet;

/// Returns the words of all code, and the paths of all modules from each of their folders on.
fn known(files: &[File]) -> HashSet<String> {
    let mut known = HashSet::from(["benches/throughput", "outtray/testing"].map(str::to_owned));
    for file in files {
        let code = take_apart(&file.text).code;
        let words = code.split(|c: char| !(c.is_alphanumeric() || c == '_'));
        known.extend(words.map(str::to_owned));
        let module = file.path.trim_end_matches(".rs").trim_end_matches("/mod");
        let folders = module.match_indices('/');
        known.extend(folders.map(|(at, _)| module[at + 1..].to_owned()));
        known.insert(module.to_owned());
    }
    known
}

/// Finds what comments name that does not exist: in backticks the path of a module, or of something
/// in one, and in the brackets of a link a word that no code has.
fn gone(file: &File, known: &HashSet<String>) -> Vec<Offence> {
    let mut offences = Vec::new();
    for (number, line) in (1..).zip(file.text.lines()) {
        let comment = line.trim_start().strip_prefix("//").unwrap_or_default();
        let pieces: Vec<&str> = comment.split('`').collect();
        for around in pieces.windows(3).step_by(2) {
            let (before, name, after) = (around[0], around[1], around[2]);
            let path = name.trim_start_matches("crate::").replace("::", "/");
            let (folder, last) = path.rsplit_once('/').unwrap_or(("", &path));
            let is_path = |c: char| c.is_ascii_lowercase() || "_/".contains(c);
            let is_item = name.contains("::") && known.contains(folder);
            let is_module = path.contains('/') && path.chars().all(is_path);
            let is_link = before.ends_with('[') && after.starts_with(']');
            let is_there = match is_link && !after.starts_with("](") {
                true => known.contains(last),
                false => !is_module || path.starts_with('/') || known.contains(&path) || is_item,
            };
            if !is_there {
                offences.push(file.offence(number, format!("{name} does not exist")));
            }
        }
    }
    offences
}

#[test]
fn comments_name_what_exists() {
    let files = [files("src", ".rs"), files("tests", ".rs")].concat();
    let known = known(&files);
    hold(&files, |file| gone(file, &known));
}

#[test]
fn a_comment_that_names_what_is_gone_is_found() {
    let known = known(&[File::new("src/wake/hands.rs", "fn f() { Board::new() }")]);
    let text = "// `wake/hands`, `hands::f`, [`Board`], `/b/c`, `wake/c`\n/// [`Gone`](Board) [`Gone`]\nfn f() { \"`b/c`\" }";
    let found = |file: &File| gone(file, &known);
    check(found, "src/wake/mod.rs", text, &[1, 2]);
}
