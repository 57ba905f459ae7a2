//! The files of the project, and what a rule finds in them.

use std::fmt;
use std::fs;
use std::path::Path;
use std::process::Command;

/// A file: its path from the project's root, with `/`, and its text.
#[derive(Clone)]
pub(super) struct File {
    pub(super) path: String,
    pub(super) text: String,
}

impl File {
    pub(super) fn new(path: &str, text: &str) -> File {
        File {
            path: path.to_owned(),
            text: text.to_owned(),
        }
    }

    /// Returns the text up to its tests.
    pub(super) fn shipped(&self) -> &str {
        let tests = self.text.find("\n#[cfg(test)]\n");
        tests.map_or(&self.text, |at| &self.text[..at + 1])
    }

    /// Returns the file's name without folder and extension.
    pub(super) fn stem(&self) -> &str {
        let name = self.path.rsplit('/').next().unwrap_or_default();
        name.split('.').next().unwrap_or_default()
    }

    /// Returns an offence on this line, counted from 1.
    pub(super) fn offence(&self, line: usize, why: impl Into<String>) -> Offence {
        Offence {
            place: format!("{}:{line}", self.path),
            why: why.into(),
        }
    }
}

/// A place that breaks a rule, and why the rule is there.
pub(super) struct Offence {
    place: String,
    why: String,
}

impl Offence {
    pub(super) fn place(&self) -> &str {
        &self.place
    }
}

impl fmt::Display for Offence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.why)
    }
}

/// Returns the text files of the project that are in `folder` and whose names end in `ending`.
pub(super) fn files(folder: &str, ending: &str) -> Vec<File> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut paths = tracked(root).unwrap_or_else(|| {
        let mut found = Vec::new();
        collect(root, "", &mut found);
        found
    });
    let is_inside = |path: &str| match path.strip_prefix(folder) {
        Some(rest) => folder.is_empty() || rest.starts_with('/'),
        None => false,
    };
    paths.retain(|path| is_inside(path) && path.ends_with(ending));
    paths.sort();
    let read = |path: String| {
        let text = fs::read_to_string(root.join(&path)).ok()?;
        Some(File { path, text })
    };
    paths.into_iter().filter_map(read).collect()
}

/// Returns what git tracks: a checkout may have other things in it. `None` where git cannot tell,
/// as in an unpacked archive.
fn tracked(root: &Path) -> Option<Vec<String>> {
    let listed = Command::new("git")
        .args(["ls-files", "-z"])
        .current_dir(root)
        .output()
        .ok()?;
    let paths = String::from_utf8(listed.stdout).ok()?;
    let paths: Vec<String> = paths
        .split_terminator('\0')
        .map(ToOwned::to_owned)
        .collect();
    // In an archive inside another repository git tracks none of this.
    (listed.status.success() && paths.iter().any(|path| path == "Cargo.toml")).then_some(paths)
}

/// Returns the Rust files under `src`, of which there must be some.
pub(super) fn sources() -> Vec<File> {
    let sources = files("src", ".rs");
    assert!(
        !sources.is_empty(),
        "src has no .rs file: the rules would hold for nothing"
    );
    sources
}

fn collect(root: &Path, folder: &str, found: &mut Vec<String>) {
    let Ok(entries) = fs::read_dir(root.join(folder)) else {
        return;
    };
    for entry in entries.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        // What git does not track; packages under benches have targets of their own.
        if name == "target" || name == ".git" {
            continue;
        }
        let path = match folder {
            "" => name,
            _ => format!("{folder}/{name}"),
        };
        if entry.path().is_dir() {
            collect(root, &path, found);
        } else {
            found.push(path);
        }
    }
}

/// Fails with every offence that `rule` finds in the files.
#[track_caller]
pub(super) fn hold(files: &[File], rule: impl Fn(&File) -> Vec<Offence>) {
    none(files.iter().flat_map(rule).collect());
}

#[track_caller]
pub(super) fn none(offences: Vec<Offence>) {
    let lines: Vec<String> = offences.iter().map(Offence::to_string).collect();
    assert!(lines.is_empty(), "\n{}\n", lines.join("\n"));
}

/// Checks that `rule` finds exactly this in a file that breaks it: the lines, in order.
#[track_caller]
pub(super) fn check(rule: impl Fn(&File) -> Vec<Offence>, path: &str, text: &str, lines: &[usize]) {
    let file = File::new(path, text);
    let found: Vec<String> = rule(&file).into_iter().map(|found| found.place).collect();
    let expected: Vec<String> = lines.iter().map(|line| format!("{path}:{line}")).collect();
    assert_eq!(found, expected, "in\n{text}");
}
