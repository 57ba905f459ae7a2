//! Which file of the source imports which. Paths are followed through re-exports to the file that
//! defines the name.

use super::files::File;
use super::rust_text::take_apart;
use std::collections::{BTreeMap, BTreeSet};

/// The folders of crates under `src`, inner ones first, and the names of their root files.
pub(super) const ROOTS: [(&str, &str); 2] = [("src/bin/outtray/", "main"), ("src/", "lib")];

/// Re-exports of re-exports are followed so far.
const DEEPEST: usize = 8;

/// What one file says.
struct Module {
    path: String,
    /// The names that its `use` declarations give, and what they stand for.
    names: BTreeMap<String, Vec<String>>,
    /// All paths in its code.
    mentions: Vec<Mention>,
}

struct Mention {
    path: Vec<String>,
    /// Whether it is of a `pub use`.
    is_published: bool,
}

/// What a path leads to: a module, or an item in the module at this place.
enum Target {
    Module,
    Item(Vec<String>),
}

/// The modules of all crates, by their place: the crate's root first.
pub(super) struct Modules(BTreeMap<Vec<String>, Module>);

impl Modules {
    pub(super) fn of(files: &[File]) -> Modules {
        let modules = files.iter().map(|file| (place(&file.path), read(file)));
        Modules(modules.collect())
    }

    /// Returns, for each file, the files that it imports from. A module that re-exports items of
    /// its own submodules does not import them.
    pub(super) fn imports(&self) -> BTreeMap<&str, BTreeSet<&str>> {
        let imports_of = |(place, module): (&Vec<String>, &Module)| {
            let found = module.mentions.iter().filter_map(|mention| {
                // A module that is imported as a whole counts where something in it is named.
                let Target::Item(at) = self.resolve(place, &mention.path, 0)? else {
                    return None;
                };
                let is_re_export = mention.is_published && at.starts_with(place);
                (!is_re_export && at != *place).then(|| self.0[&at].path.as_str())
            });
            found.collect::<BTreeSet<&str>>()
        };
        let files = self.0.iter();
        files
            .map(|(place, module)| (module.path.as_str(), imports_of((place, module))))
            .collect()
    }

    /// Follows a path as it is written in the module at `place`; `None` leads to other crates.
    fn resolve(&self, place: &[String], path: &[String], depth: usize) -> Option<Target> {
        let mut at = place.to_vec();
        let ups = path.iter().take_while(|name| *name == "super").count();
        let rest = match path.first()?.as_str() {
            "crate" => {
                at.truncate(1);
                &path[1..]
            }
            "self" => &path[1..],
            "super" => {
                at.truncate(at.len().saturating_sub(ups));
                &path[ups..]
            }
            first if self.child(&at, first).is_some() => path,
            first => {
                let named = self.0[place].names.get(first);
                let named = named.filter(|_| depth < DEEPEST && path.len() > 1)?;
                let whole = [named, &path[1..]].concat();
                return (whole != path).then(|| self.resolve(place, &whole, depth + 1))?;
            }
        };
        self.0.contains_key(&at).then(|| self.walk(at, rest, depth))
    }

    /// Goes from a module to what a path names there, through what is re-exported.
    fn walk(&self, mut at: Vec<String>, path: &[String], depth: usize) -> Target {
        for (index, name) in path.iter().enumerate() {
            if let Some(child) = self.child(&at, name) {
                at = child;
                continue;
            }
            let named = self.0[&at].names.get(name).filter(|_| depth < DEEPEST);
            let further = named.and_then(|named| {
                let whole = [named, &path[index + 1..]].concat();
                self.resolve(&at, &whole, depth + 1)
            });
            return further.unwrap_or(Target::Item(at));
        }
        Target::Module
    }

    fn child(&self, at: &[String], name: &str) -> Option<Vec<String>> {
        let child = [at, &[name.to_owned()]].concat();
        self.0.contains_key(&child).then_some(child)
    }
}

/// Returns a file's place: its crate, and the names of the modules down to it.
fn place(path: &str) -> Vec<String> {
    let root = ROOTS.iter().find(|(folder, _)| path.starts_with(folder));
    let (folder, root_file) = root.expect("a file is of a crate");
    let inside = path[folder.len()..].trim_end_matches(".rs");
    let mut place: Vec<String> = vec![(*folder).to_owned()];
    place.extend(inside.split('/').map(ToOwned::to_owned));
    let last = place.last().map(String::as_str);
    if last == Some("mod") || last == Some(root_file) && place.len() == 2 {
        place.pop();
    }
    place
}

fn read(file: &File) -> Module {
    let code = take_apart(file.shipped()).code;
    let tokens = tokens(&code);
    let mut module = Module {
        path: file.path.clone(),
        names: BTreeMap::new(),
        mentions: Vec::new(),
    };
    let mut at = 0;
    while at < tokens.len() {
        at += match tokens[at] {
            "use" if tokens.get(at + 1).is_some_and(|next| is_name(next)) => {
                module.read_use(&tokens[at + 1..], is_public(&tokens[..at])) + 1
            }
            name if is_name(name) => module.read_path(&tokens[at..]),
            _ => 1,
        };
    }
    module
}

impl Module {
    /// Reads what follows a `use`, with all its groups; returns how many tokens that is.
    fn read_use(&mut self, tokens: &[&str], is_published: bool) -> usize {
        let mut path: Vec<String> = Vec::new();
        // Where the path goes on after each open group.
        let mut groups = Vec::new();
        let length = tokens.iter().position(|token| *token == ";");
        let length = length.unwrap_or(tokens.len());
        let mut at = 0;
        while at < length {
            match tokens[at] {
                "::" => {}
                "{" => groups.push(path.len()),
                "," => path.truncate(groups.last().copied().unwrap_or_default()),
                "}" => drop(groups.pop()),
                name => {
                    path.push(name.to_owned());
                    let renamed = (tokens.get(at + 1) == Some(&"as")).then(|| tokens[at + 2]);
                    at += if renamed.is_some() { 2 } else { 0 };
                    if tokens.get(at + 1) != Some(&"::") {
                        self.declare(&path, renamed, is_published);
                    }
                }
            }
            at += 1;
        }
        length
    }

    fn declare(&mut self, path: &[String], renamed: Option<&str>, is_published: bool) {
        // `a::{self}` is `a`.
        let path = match path {
            [path @ .., last] if last == "self" => path,
            path => path,
        };
        let Some(last) = path.last() else { return };
        let name = renamed.unwrap_or(last).to_owned();
        self.names.insert(name, path.to_vec());
        self.mentions.push(Mention {
            path: path.to_vec(),
            is_published,
        });
    }

    /// Reads a path, if it has more than one part; returns how many tokens that is.
    fn read_path(&mut self, tokens: &[&str]) -> usize {
        let mut path = vec![tokens[0].to_owned()];
        let mut length = 1;
        while let [Some(&"::"), Some(name)] = [tokens.get(length), tokens.get(length + 1)] {
            if !is_name(name) {
                break;
            }
            path.push((*name).to_owned());
            length += 2;
        }
        if path.len() > 1 {
            let is_published = false;
            self.mentions.push(Mention { path, is_published });
        }
        length
    }
}

/// Returns whether what comes next is public, whoever may see it.
fn is_public(before: &[&str]) -> bool {
    let before = match before {
        [before @ .., "(", _, ")"] => before,
        before => before,
    };
    before.last() == Some(&"pub")
}

fn is_name(token: &str) -> bool {
    token.starts_with(|c: char| c.is_alphabetic() || c == '_')
}

/// Returns names, `::`, and all other signs one by one.
fn tokens(code: &str) -> Vec<&str> {
    let mut tokens = Vec::new();
    let mut rest = code.trim_start();
    while let Some(first) = rest.chars().next() {
        let is_part = |c: char| c.is_alphanumeric() || c == '_';
        let length = match first {
            ':' if rest.starts_with("::") => 2,
            c if is_part(c) => rest.find(|c| !is_part(c)).unwrap_or(rest.len()),
            c => c.len_utf8(),
        };
        tokens.push(&rest[..length]);
        rest = rest[length..].trim_start();
    }
    tokens
}
