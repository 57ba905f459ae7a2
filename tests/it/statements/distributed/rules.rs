//! What a statement must not do, told from its tree. Most rules are those by which Citus 13 refuses
//! statements (`multi_router_planner.c`); the others keep it quick, or right, on several nodes.

use super::analyst::{Analyst, type_of};
use super::tree::{Node, Tree};
use std::collections::BTreeSet;

/// A rule that a statement breaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Rule {
    /// ON CONFLICT DO UPDATE (SET and WHERE) calls IMMUTABLE functions alone: what is proposed is
    /// computed before, and the time is a column of the proposed row. An operator counts: a time
    /// plus an interval depends on the time zone.
    OnConflict,
    /// So does RETURNING of a modification.
    Returning,
    /// So do CASE and COALESCE in SET and in WHERE of an UPDATE or DELETE.
    Lazy,
    /// A STABLE function or operator there takes no column.
    OfColumn,
    /// Nothing VOLATILE is there, not even in a sub-select.
    Volatile,
    /// No place of a row (`ctid`): rows have other places on other nodes.
    Place,
    /// No recursion around a modification.
    Recursion,
    /// No bytes become a number.
    BytesAsNumber,
    /// No parameter in a sub-select of ON CONFLICT DO UPDATE.
    ParameterInSubselect,
    /// No sub-select among the values of an INSERT: INSERT … SELECT does it.
    SubselectAmongValues,
    /// One command for each prepared statement.
    Commands,
    /// Numbers of workers, rows and locks have 64 bits: a node counts from its own number × 2^48.
    Narrow,
    /// Who changes messages names their whole key.
    WholeKey,
    /// The topic of a row never changes in place.
    Topic,
    /// No MERGE.
    Merge,
    /// No WHERE CURRENT OF.
    Cursor,
    /// No notification inside a modification.
    Notification,
    /// No advisory lock in a statement that reads a table: it would be taken on the node of the
    /// rows, and nobody who asks elsewhere would find it taken.
    LockBesideTable,
}

const UPDATE: &str = "2";
const INSERT: &str = "3";
const DELETE: &str = "4";
const MERGE: &str = "5";

/// The tables in which messages wait.
const MESSAGES: [&str; 3] = ["message", "scheduled", "follower"];

/// The numbers of the types that rules are about.
const BYTEA: &str = "17";
const INT8: &str = "20";
const INT2: &str = "21";
const INT4: &str = "23";
const TID: &str = "27";
const FLOAT8: &str = "701";

/// Returns the rules that a statement breaks.
pub(super) fn broken(analyst: &Analyst, tree: &Tree) -> BTreeSet<Rule> {
    let mut broken = BTreeSet::new();
    let commands: usize = tree.list().iter().map(|list| list.list().len()).sum();
    let mut note = |breaks: bool, rule: Rule| {
        if breaks {
            broken.insert(rule);
        }
    };
    note(commands != 1, Rule::Commands);
    note(
        tree.any(|node| node.name == "VAR" && node.text("vartype") == TID),
        Rule::Place,
    );
    note(tree.any(|node| is_narrow(analyst, node)), Rule::Narrow);
    note(
        tree.any(|node| is_lock(analyst, node)) && tree.any(is_table),
        Rule::LockBesideTable,
    );
    note(tree.any(makes_bytes_a_number), Rule::BytesAsNumber);
    for query in tree.queries() {
        let changes = [UPDATE, INSERT, DELETE, MERGE].contains(&query.text("commandType"));
        let changes_inside =
            query.any(|node| node.name == "QUERY" && node.text("commandType") != "1");
        note(
            query.text("hasRecursive") == "true" && (changes || changes_inside),
            Rule::Recursion,
        );
        if changes {
            for rule in broken_by_change(analyst, query) {
                note(true, rule);
            }
        }
    }
    broken
}

fn broken_by_change(analyst: &Analyst, query: &Node) -> Vec<Rule> {
    let kind = query.text("commandType");
    let returning = query.field("returningList");
    let conflict = query.field("onConflict").and_then(Tree::node);
    let quals = query
        .field("jointree")
        .and_then(Tree::node)
        .and_then(|tree| tree.field("quals"));
    let set = query.field("targetList").filter(|_| kind == UPDATE);
    let mut irreducible = Irreducible::default();
    let evaluated: Vec<&Tree> = match kind {
        UPDATE | DELETE => [set, quals].into_iter().flatten().collect(),
        _ => Vec::new(),
    };
    for tree in &evaluated {
        irreducible.look(analyst, tree);
    }
    let volatile = |tree: &Tree| tree.any(|node| analyst.volatility(node) == 'v');
    let notifies = |tree: &Tree| tree.any(|node| is_called(analyst, node, "pg_notify"));
    let judged = [
        (kind == MERGE, Rule::Merge),
        (
            quals.is_some_and(|quals| quals.any(|node| node.name == "CURRENTOFEXPR")),
            Rule::Cursor,
        ),
        (
            returning.is_some_and(|list| is_mutable(analyst, list)),
            Rule::Returning,
        ),
        (returning.is_some_and(notifies), Rule::Notification),
        (irreducible.is_lazy, Rule::Lazy),
        (irreducible.is_of_column, Rule::OfColumn),
        (evaluated.iter().any(|tree| volatile(tree)), Rule::Volatile),
        (
            conflict.is_some_and(|conflict| is_mutable_on_conflict(analyst, conflict)),
            Rule::OnConflict,
        ),
        (
            conflict.is_some_and(has_parameter_in_subselect),
            Rule::ParameterInSubselect,
        ),
        (
            kind == INSERT && query.text("hasSubLinks") == "true" && has_sublink_in_values(query),
            Rule::SubselectAmongValues,
        ),
        (
            set.is_some_and(|set| set.list().iter().any(|entry| sets(entry, "topic"))),
            Rule::Topic,
        ),
        (
            [UPDATE, DELETE].contains(&kind) && !names_key(analyst, query, quals),
            Rule::WholeKey,
        ),
    ];
    let broken = judged.into_iter().filter(|(breaks, _)| *breaks);
    broken.map(|(_, rule)| rule).collect()
}

fn is_called(analyst: &Analyst, node: &Node, name: &str) -> bool {
    let mut called = analyst.called(node).into_iter();
    called.any(|function| function.name == name)
}

fn is_mutable(analyst: &Analyst, tree: &Tree) -> bool {
    tree.any(|node| analyst.volatility(node) != 'i')
}

fn is_mutable_on_conflict(analyst: &Analyst, conflict: &Node) -> bool {
    ["onConflictSet", "onConflictWhere", "arbiterWhere"]
        .iter()
        .filter_map(|field| conflict.field(field))
        .any(|tree| is_mutable(analyst, tree))
}

fn has_parameter_in_subselect(conflict: &Node) -> bool {
    let fields = ["onConflictSet", "onConflictWhere"];
    let mut trees = fields.iter().filter_map(|field| conflict.field(field));
    let is_outer = |node: &Node| node.name == "PARAM" && node.text("paramkind") == "0";
    trees.any(|tree| tree.any(|node| node.name == "SUBLINK" && node.any(is_outer)))
}

/// Returns whether a value that is inserted is a sub-select; one in the SELECT that gives the rows
/// stands in a query of its own.
fn has_sublink_in_values(query: &Node) -> bool {
    let targets = query.field("targetList");
    let in_targets = targets.is_some_and(|list| list.any(|node| node.name == "SUBLINK"));
    let tables = query.field("rtable").map_or(&[][..], Tree::list).iter();
    let mut lists = tables.filter_map(|table| table.node()?.field("values_lists"));
    in_targets || lists.any(|list| list.any(|node| node.name == "SUBLINK"))
}

fn sets(entry: &Tree, column: &str) -> bool {
    let entry = entry.node();
    entry.is_some_and(|entry| entry.text("resname") == column && entry.text("resjunk") != "true")
}

/// Returns whether a change of messages says which by all columns of their key.
fn names_key(analyst: &Analyst, query: &Node, quals: Option<&Tree>) -> bool {
    let Some((table, key)) = analyst.changed(query) else {
        return true;
    };
    let table_at = query.text("resultRelation");
    let names = |column: &i16| {
        let column = column.to_string();
        let is_it = |node: &Node| {
            node.name == "VAR"
                && node.text("varno") == table_at
                && node.text("varattno") == column
                && node.text("varlevelsup") == "0"
        };
        quals.is_some_and(|quals| quals.any(is_it))
    };
    !MESSAGES.contains(&table) || key.iter().all(names)
}

/// Returns whether a number of 64 bits from a row or a caller is made a smaller one, or a lock's
/// key is two small ones.
fn is_narrow(analyst: &Analyst, node: &Node) -> bool {
    let arguments = node.field("args").map_or(&[][..], Tree::list);
    let of_type = |kind: &str| {
        let nodes = arguments.iter().filter_map(Tree::node);
        nodes.filter_map(type_of).any(|found| found == kind)
    };
    let is_cast = node.name == "FUNCEXPR"
        && [INT2, INT4].contains(&node.text("funcresulttype"))
        && ["int2", "int4"]
            .iter()
            .any(|name| is_called(analyst, node, name));
    let is_from_outside =
        |node: &Node| node.name == "VAR" || node.name == "PARAM" && node.text("paramkind") == "0";
    (is_lock(analyst, node) && of_type(INT4))
        || (is_cast && of_type(INT8) && node.any(is_from_outside))
}

/// Returns whether an advisory lock is taken, tried or given back.
fn is_lock(analyst: &Analyst, node: &Node) -> bool {
    analyst.called(node).iter().any(|function| {
        function.name.starts_with("pg_advisory") || function.name.starts_with("pg_try_advisory")
    })
}

/// Returns whether it is a table that is read or written.
fn is_table(node: &Node) -> bool {
    ["RTE", "RANGETBLENTRY"].contains(&node.name.as_str()) && node.text("rtekind") == "0"
}

fn makes_bytes_a_number(node: &Node) -> bool {
    let is_number = type_of(node) == Some(FLOAT8)
        && ["FUNCEXPR", "COERCEVIAIO", "RELABELTYPE"].contains(&node.name.as_str());
    is_number && node.any(|below| type_of(below) == Some(BYTEA))
}

/// What SET and WHERE have that no node can compute before a statement travels to the rows.
#[derive(Default)]
struct Irreducible {
    has_column: bool,
    is_of_column: bool,
    is_lazy: bool,
}

impl Irreducible {
    fn look(&mut self, analyst: &Analyst, tree: &Tree) {
        tree.walk(&mut |node| match node.name.as_str() {
            "CASE" | "CASEEXPR" | "COALESCE" | "COALESCEEXPR" => {
                self.is_lazy |= node.any(|below| analyst.volatility(below) != 'i');
                false
            }
            "VAR" => {
                self.has_column = true;
                false
            }
            // A sub-select is a statement of its own.
            "QUERY" => false,
            _ if analyst.volatility(node) == 's' => {
                let mut below = Irreducible::default();
                below.look_below(analyst, node);
                self.is_of_column |= below.has_column || below.is_of_column;
                self.is_lazy |= below.is_lazy;
                false
            }
            _ => true,
        });
    }

    fn look_below(&mut self, analyst: &Analyst, node: &Node) {
        for field in ["args", "arg"] {
            if let Some(tree) = node.field(field) {
                self.look(analyst, tree);
            }
        }
    }
}
