//! No text of a server's message decides anything: it comes in the server's language.

use super::files::{File, Offence, check, hold, sources};

/// The one file that reads such texts, to pass them on.
const READER: &str = "src/words/redacted.rs";
/// What looks into a text, or compares it.
const LOOKS: [&str; 6] = [
    ".contains(",
    ".starts_with(",
    ".ends_with(",
    ".find(",
    " == ",
    ".eq(",
];

fn comparisons(file: &File) -> Vec<Offence> {
    let mut texts: Vec<&str> = Vec::new();
    let mut offences = Vec::new();
    for (index, line) in file.shipped().lines().enumerate() {
        let reads = [".message()", ".detail()", ".hint()"];
        if file.path != READER && reads.iter().any(|read| line.contains(read)) {
            offences.push(file.offence(
                index + 1,
                "reads a message of the server: use text_of, for people",
            ));
        }
        let named = line
            .trim()
            .strip_prefix("let ")
            .and_then(|rest| rest.split_once(" = text_of("));
        texts.extend(named.map(|(name, _)| name));
        let is_text = |before: &str| {
            before.ends_with(')') && before.contains("text_of(")
                || texts.iter().any(|name| {
                    before
                        .strip_suffix(name)
                        .is_some_and(|rest| !rest.ends_with(char::is_alphanumeric))
                })
        };
        let looks = LOOKS.iter().any(|look| {
            line.split(look)
                .next()
                .is_some_and(|before| before != line && is_text(before))
        });
        if looks {
            let why = "decides by a text of the server, which may come in any language: use the SQLSTATE, and the phase";
            offences.push(file.offence(index + 1, why));
        }
    }
    offences
}

#[test]
fn no_text_of_the_server_decides() {
    hold(&sources(), comparisons);
}

#[test]
fn a_decision_by_a_text_of_the_server_is_found() {
    let bad = "let why = text_of(&error);\nif why.contains(\"cached plan\") {}\nif text_of(&error) == x {}\n\
               format!(\"{why}\");\nlet text = error.message();\nwhyever.contains(x);";
    check(comparisons, "src/connect/x.rs", bad, &[2, 3, 5]);
}
