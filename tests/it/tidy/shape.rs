//! What a source file looks like.

use super::files::{File, Offence, check, files, hold, sources};
use super::rust_text::{line_at, take_apart};

const MOST_SHIPPED_LINES: usize = 400;
const NAMES_THAT_SAY_NOTHING: [&str; 7] = [
    "util", "utils", "helper", "helpers", "common", "misc", "shared",
];

fn size(file: &File) -> Vec<Offence> {
    let lines = file.shipped().lines().count();
    if lines <= MOST_SHIPPED_LINES {
        return Vec::new();
    }
    let why = format!(
        "{lines} shipped lines, the most is {MOST_SHIPPED_LINES}: a file is to be read in one go, split it"
    );
    vec![file.offence(MOST_SHIPPED_LINES + 1, why)]
}

fn opening(file: &File) -> Vec<Offence> {
    if file.text.starts_with("//! ") {
        return Vec::new();
    }
    vec![file.offence(
        1,
        "does not begin with //!: the first lines of a file say what it is for and why",
    )]
}

fn names(file: &File) -> Vec<Offence> {
    let why = |name: &str| {
        format!("\"{name}\" says nothing about what is in it: name it for what it does")
    };
    let mut offences: Vec<Offence> = file
        .path
        .split(['/', '.'])
        .filter(|part| NAMES_THAT_SAY_NOTHING.contains(part))
        .map(|part| file.offence(1, why(part)))
        .collect();
    let code = take_apart(&file.text).code;
    for (at, _) in code.match_indices("mod ") {
        let rest = code[at + 4..].trim_start();
        let name: String = rest
            .chars()
            .take_while(|c| c.is_alphanumeric() || *c == '_')
            .collect();
        // `mod name;` is found by the file's path, too: once is enough.
        let is_inline = rest[name.len()..].trim_start().starts_with('{');
        if is_inline && NAMES_THAT_SAY_NOTHING.contains(&name.as_str()) {
            offences.push(file.offence(line_at(&code, at), why(&name)));
        }
    }
    offences
}

#[test]
fn a_source_file_has_at_most_400_shipped_lines() {
    hold(&sources(), size);
}

#[test]
fn a_source_file_begins_with_what_it_is_for() {
    hold(&sources(), opening);
}

#[test]
fn no_module_has_a_name_that_says_nothing() {
    hold(&sources(), names);
    hold(&files("tests", ".rs"), names);
}

#[test]
fn a_file_out_of_shape_is_found() {
    check(size, "src/words/long.rs", &"\n".repeat(401), &[401]);
    let tested = format!("{}#[cfg(test)]\n{}", "\n".repeat(400), "\n".repeat(400));
    check(size, "src/words/tested.rs", &tested, &[]);
    check(
        opening,
        "src/words/plain.rs",
        "// Not a module doc.\n",
        &[1],
    );
    check(names, "src/words/util.rs", "", &[1]);
    check(
        names,
        "src/common/mod.rs",
        "mod x {}\nmod helpers { }",
        &[1, 2],
    );
    check(
        names,
        "src/words/words.rs",
        "// mod util {\nlet misc = commons;",
        &[],
    );
}
