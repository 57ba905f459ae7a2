//! What users of the library see: a flat root, three modules beside it, and one of names that is
//! re-exported.

use super::files::{File, Offence, check, files, none};
use super::rust_text::{line_at, take_apart};

/// The modules that users name.
const PUBLIC: [&str; 3] = ["dashboard", "metrics", "testing"];

/// Finds modules of the crate's root that are public and not meant to be.
fn public_modules(root: &File) -> Vec<Offence> {
    let code = take_apart(&root.text).code;
    code.match_indices("pub mod ")
        .filter_map(|(at, found)| {
            let rest = code[at + found.len()..].trim_start();
            let name = rest.split([';', ' ', '{']).next().unwrap_or_default();
            let why = format!(
                "\"{name}\" is public: users would see, and hold on to, what is not made for them; re-export its types, or move it"
            );
            (!PUBLIC.contains(&name)).then(|| root.offence(line_at(&code, at), why))
        })
        .collect()
}

#[test]
fn the_root_of_the_library_shows_what_users_need() {
    let root = files("src", "/lib.rs");
    assert_eq!(root.len(), 1, "src/lib.rs is read");
    none(root.iter().flat_map(public_modules).collect());
}

#[test]
fn a_public_module_that_is_not_for_users_is_found() {
    let root = "//! pub mod docs;\nmod words;\npub mod testing;\n#[cfg(x)]\npub mod bench;\npub mod words {}";
    check(public_modules, "src/lib.rs", root, &[5, 6]);
}
