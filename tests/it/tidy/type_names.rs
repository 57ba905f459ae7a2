//! Each type has a name of its own: a search for it finds one definition.

use super::files::{File, Offence, none, sources};
use super::rust_text::{line_at, take_apart};
use std::collections::BTreeMap;

/// A crate's alias of the standard library's type is named like it, as `io::Result` is.
const ALIAS: &str = "Result";

const KINDS: [&str; 5] = ["struct ", "enum ", "union ", "trait ", "type "];

/// Returns the types that a file defines, without those inside other things, and on which lines.
fn defined(file: &File) -> Vec<(usize, String)> {
    let code = take_apart(file.shipped()).code;
    let mut defined = Vec::new();
    let mut at = 0;
    for line in code.lines() {
        let item = match line.strip_prefix("pub") {
            Some(rest) if rest.starts_with('(') => {
                rest.split_once(") ").map_or("", |(_, item)| item)
            }
            Some(rest) => rest.trim_start(),
            None => line,
        };
        if let Some(rest) = KINDS.iter().find_map(|kind| item.strip_prefix(kind)) {
            let name = rest
                .split(|c: char| !c.is_alphanumeric() && c != '_')
                .next();
            defined.push((line_at(&code, at), name.unwrap_or_default().to_owned()));
        }
        at += line.len() + 1;
    }
    defined
}

fn named_twice(files: &[File]) -> Vec<Offence> {
    let mut first: BTreeMap<String, &File> = BTreeMap::new();
    let mut offences = Vec::new();
    for file in files {
        for (line, name) in defined(file) {
            if name == ALIAS {
                continue;
            }
            if let Some(other) = first.get(&name) {
                let why = format!(
                    "{name} is a type of {} too: name each for what it is",
                    other.path
                );
                offences.push(file.offence(line, why));
            } else {
                first.insert(name, file);
            }
        }
    }
    offences
}

#[test]
fn no_type_has_the_name_of_another() {
    none(named_twice(&sources()));
}

#[test]
fn a_name_that_two_types_have_is_found() {
    let files = [
        (
            "src/a.rs",
            "struct One;\npub struct Two<T>(T);\n// struct Three;\nimpl X for One {\n    type Four = u8;\n}",
        ),
        (
            "src/b.rs",
            "pub(crate) enum Two {\n}\nstruct Three {}\npub trait Four {}\nstruct Twos;\ntype Result = u8;",
        ),
        (
            "src/c.rs",
            "pub(in crate::a) type One = u8;\ntype Result = u8;\n\n#[cfg(test)]\nmod tests {}\nstruct Three;",
        ),
    ];
    let files = files.map(|(path, text)| File::new(path, text));

    let found: Vec<String> = named_twice(&files)
        .iter()
        .map(|found| found.place().to_owned())
        .collect();

    assert_eq!(found, ["src/b.rs:1", "src/c.rs:1"]);
}
