//! What a source file looks like.

use super::files::{File, Offence, check, files, hold, sources};
use super::rust_text::{line_at, take_apart};

const MOST_SHIPPED_LINES: usize = 400;
/// From the line of `fn` to the last brace. Clippy has the same limit for the code of the body
/// alone.
const MOST_LINES_OF_A_FUNCTION: usize = 60;
const MOST_COLUMNS_OF_A_COMMENT: usize = 100;

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

fn functions(file: &File) -> Vec<Offence> {
    let code = take_apart(file.shipped()).code;
    let mut offences = Vec::new();
    for (at, _) in code.match_indices("fn ") {
        let is_word = !code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_');
        let Some(end) = is_word.then(|| body_end(&code[at..])).flatten() else {
            continue;
        };
        let lines = 1 + code[at..at + end].matches('\n').count();
        if lines > MOST_LINES_OF_A_FUNCTION {
            let why = format!(
                "a function of {lines} lines, the most is {MOST_LINES_OF_A_FUNCTION}: it is to be seen on one screen"
            );
            offences.push(file.offence(line_at(&code, at), why));
        }
    }
    offences
}

/// Returns where the body ends of the function that begins the code; `None` where it has none.
fn body_end(code: &str) -> Option<usize> {
    let mut depth = 0;
    for (at, c) in code.char_indices() {
        match c {
            '(' | '[' | '{' => depth += 1,
            ')' | ']' => depth -= 1,
            '}' if depth == 1 => return Some(at),
            '}' => depth -= 1,
            ';' if depth == 0 => return None,
            _ => {}
        }
    }
    None
}

fn comments(file: &File) -> Vec<Offence> {
    let is_sql = file.path.ends_with(".sql");
    let code = match is_sql {
        true => String::new(),
        false => take_apart(&file.text).code,
    };
    let mut code = code.lines();
    let mut offences = Vec::new();
    for (number, line) in (1..).zip(file.text.lines()) {
        let code = code.next().unwrap_or_default().trim_end().chars().count();
        let columns = line.chars().count();
        let behind: String = line.chars().skip(code).collect();
        let has_comment = match is_sql {
            true => line.contains("-- "),
            false => behind.trim_start().starts_with("//"),
        };
        // A row of a table cannot go on in the next line.
        let is_row = behind.trim_start_matches(['/', '!', ' ']).starts_with('|');
        if has_comment && !is_row && columns > MOST_COLUMNS_OF_A_COMMENT {
            let why = format!(
                "a comment up to column {columns}, the most is {MOST_COLUMNS_OF_A_COMMENT}: longer lines are read twice"
            );
            offences.push(file.offence(number, why));
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
fn no_function_is_longer_than_60_lines() {
    hold(&sources(), functions);
}

#[test]
fn no_comment_is_wider_than_100_columns() {
    hold(&files("", ".rs"), comments);
    hold(&files("", ".sql"), comments);
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

#[test]
fn a_function_is_measured_with_its_head_to_its_last_line() {
    let function = |lines: usize| format!("fn f(\n) -> [u8; 1] {{\n{}}}\n", "\n".repeat(lines - 3));
    let long = format!("{}// fn g() {{\n{}", function(60), function(61));
    check(functions, "src/words/long.rs", &long, &[62]);
    let without_body = format!("trait T {{ fn f();\n{}}}", "\n".repeat(80));
    check(functions, "src/words/trait.rs", &without_body, &[]);
}

#[test]
fn a_wide_comment_is_found() {
    let wide = "é".repeat(98);
    let rust = format!("// {wide}\n//{wide}\nlet a = \"//{wide}\";\nlet b = 1; // {wide}\n");
    check(comments, "src/words/wide.rs", &rust, &[1, 4]);
    check(
        comments,
        "src/words/wide.rs",
        &format!("/// | {wide} |\n"),
        &[],
    );
    let sql = format!("-- {wide}\n--{wide}\nSELECT {wide}\nSELECT 1 -- {wide}\n");
    check(comments, "src/message/wide.sql", &sql, &[1, 4]);
}
