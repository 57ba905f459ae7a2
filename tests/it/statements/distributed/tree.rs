//! Reads the trees that the server writes for statements: nodes in braces with named fields, lists
//! in parentheses.

/// One piece of a tree.
#[derive(Debug, Clone)]
pub(super) enum Tree {
    Atom(String),
    List(Vec<Tree>),
    Node(Node),
}

/// A node: its name, and what stands in its fields.
#[derive(Debug, Clone)]
pub(super) struct Node {
    pub(super) name: String,
    fields: Vec<(String, Vec<Tree>)>,
}

impl Tree {
    pub(super) fn read(text: &str) -> Tree {
        let mut reader = Reader { rest: text };
        reader.tree().expect("the server writes a tree")
    }

    /// Calls `see` with each node in it, and goes on below those for which that returns true.
    pub(super) fn walk<'t>(&'t self, see: &mut impl FnMut(&'t Node) -> bool) {
        match self {
            Tree::Atom(_) => {}
            Tree::List(list) => list.iter().for_each(|tree| tree.walk(see)),
            Tree::Node(node) => {
                if see(node) {
                    node.walk(see);
                }
            }
        }
    }

    /// Returns whether any node in it is like this.
    pub(super) fn any<'t>(&'t self, mut is: impl FnMut(&'t Node) -> bool) -> bool {
        let mut found = false;
        self.walk(&mut |node| {
            found = found || is(node);
            !found
        });
        found
    }

    pub(super) fn list(&self) -> &[Tree] {
        match self {
            Tree::List(list) => list,
            _ => &[],
        }
    }

    pub(super) fn node(&self) -> Option<&Node> {
        match self {
            Tree::Node(node) => Some(node),
            _ => None,
        }
    }

    /// Returns all statements in it, also those inside of others.
    pub(super) fn queries(&self) -> Vec<&Node> {
        let mut queries = Vec::new();
        self.walk(&mut |node| {
            if node.name == "QUERY" {
                queries.push(node);
            }
            true
        });
        queries
    }
}

impl Node {
    /// Calls `see` with each node below it.
    pub(super) fn walk<'t>(&'t self, see: &mut impl FnMut(&'t Node) -> bool) {
        for (_, values) in &self.fields {
            values.iter().for_each(|tree| tree.walk(see));
        }
    }

    /// Returns whether any node below it is like this.
    pub(super) fn any<'t>(&'t self, mut is: impl FnMut(&'t Node) -> bool) -> bool {
        let mut trees = self.fields.iter().flat_map(|(_, values)| values);
        trees.any(|tree| tree.any(&mut is))
    }

    /// Returns what stands first in a field.
    pub(super) fn field(&self, name: &str) -> Option<&Tree> {
        let (_, values) = self.fields.iter().find(|(field, _)| field == name)?;
        values.first()
    }

    /// Returns the text of a field, empty if it is not there.
    pub(super) fn text(&self, name: &str) -> &str {
        match self.field(name) {
            Some(Tree::Atom(text)) => text,
            _ => "",
        }
    }

    /// Returns what stands in the first of these fields that it has.
    pub(super) fn first_text(&self, names: &[&str]) -> Option<&str> {
        let mut texts = names.iter().map(|name| self.text(name));
        texts.find(|text| !text.is_empty())
    }
}

struct Reader<'a> {
    rest: &'a str,
}

impl Reader<'_> {
    fn tree(&mut self) -> Option<Tree> {
        self.rest = self.rest.trim_start();
        match self.rest.chars().next()? {
            '{' => Some(self.node()),
            '(' => {
                self.rest = &self.rest[1..];
                Some(Tree::List(self.up_to(')')))
            }
            // The bytes of a constant.
            '[' => {
                self.rest = &self.rest[1..];
                self.up_to(']');
                Some(Tree::List(Vec::new()))
            }
            ')' | ']' | '}' => None,
            _ => Some(Tree::Atom(self.atom())),
        }
    }

    fn up_to(&mut self, end: char) -> Vec<Tree> {
        let mut trees = Vec::new();
        while let Some(tree) = self.tree() {
            trees.push(tree);
        }
        self.rest = self.rest.strip_prefix(end).expect("what opens closes");
        trees
    }

    fn node(&mut self) -> Tree {
        self.rest = &self.rest[1..];
        let name = self.atom();
        let mut fields: Vec<(String, Vec<Tree>)> = Vec::new();
        for tree in self.up_to('}') {
            match (&tree, fields.last_mut()) {
                (Tree::Atom(text), _) if text.starts_with(':') => {
                    fields.push((text[1..].to_owned(), Vec::new()));
                }
                (_, Some((_, values))) => values.push(tree),
                (_, None) => {}
            }
        }
        Tree::Node(Node { name, fields })
    }

    /// Takes a word; a backslash stands before what would end it.
    fn atom(&mut self) -> String {
        let mut word = String::new();
        let mut chars = self.rest.char_indices();
        while let Some((at, next)) = chars.next() {
            match next {
                '\\' => word.extend(chars.next().map(|(_, escaped)| escaped)),
                ' ' | '\n' | '\t' | '(' | ')' | '{' | '}' | '[' | ']' => {
                    self.rest = &self.rest[at..];
                    return word;
                }
                _ => word.push(next),
            }
        }
        self.rest = "";
        word
    }
}

#[test]
fn a_tree_is_read() {
    let text = "(({QUERY :commandType 1 :name a\\ b :list ({VAR :varno 1} {CONST :constvalue 2 [ 1 0 ]}) :none <>}))";

    let tree = Tree::read(text);

    let query = tree.list()[0].list()[0].node().unwrap();
    assert_eq!((query.name.as_str(), query.text("name")), ("QUERY", "a b"));
    assert!(tree.any(|node| node.name == "VAR" && node.text("varno") == "1"));
    assert!(!tree.any(|node| node.name == "PARAM"));
    assert_eq!(query.field("list").unwrap().list().len(), 2);
    assert_eq!(tree.queries().len(), 1);
}
