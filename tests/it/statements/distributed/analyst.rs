//! The server's own analysis of statements: what functions and operators they call, and how
//! volatile these are.

use super::tree::{Node, Tree};
use crate::support::{Place, client};
use postgres::Client;
use std::collections::BTreeMap;

/// What the catalog says of a function.
#[derive(Debug)]
pub(super) struct Function {
    pub(super) name: String,
    /// `i`, `s` or `v`.
    pub(super) volatility: char,
}

/// A database with outtray's tables, and what its catalog says.
pub(super) struct Analyst {
    pub(super) client: Client,
    functions: BTreeMap<String, Function>,
    /// By a type's number the functions that read and write its text.
    texts: BTreeMap<String, [String; 2]>,
    /// By a table's number its name, and the columns of its primary key by their numbers.
    tables: BTreeMap<String, (String, Vec<i16>)>,
    // Its database is dropped with it.
    _place: Place,
}

impl Analyst {
    pub(super) fn new() -> Analyst {
        let place = Place::new();
        let mut client = client(&place.url);
        // A body is analysed as it is created.
        client
            .batch_execute("SET search_path = pg_catalog")
            .unwrap();
        let functions = rows(
            &mut client,
            "SELECT oid::text, proname::text, provolatile::text FROM pg_proc",
        );
        let functions = functions.into_iter().map(|[oid, name, volatility]| {
            let volatility = volatility.chars().next().unwrap();
            (oid, Function { name, volatility })
        });
        let functions = functions.collect();
        let texts = rows(
            &mut client,
            "SELECT oid::text, typinput::oid::text, typoutput::oid::text FROM pg_type",
        );
        let texts = texts
            .into_iter()
            .map(|[oid, input, output]| (oid, [input, output]))
            .collect();
        let keys = "SELECT pg_class.oid::text, relname::text, coalesce(indkey::text, '')
            FROM pg_class LEFT JOIN pg_index ON indrelid = pg_class.oid AND indisprimary
            WHERE relnamespace = 'outtray'::regnamespace AND relkind IN ('r', 'p')";
        let tables = rows(&mut client, keys);
        let tables = tables.into_iter().map(|[oid, name, key]| {
            let key = key.split_whitespace().map(|at| at.parse().unwrap());
            (oid, (name, key.collect()))
        });
        let tables = tables.collect();
        Analyst {
            client,
            functions,
            texts,
            tables,
            _place: place,
        }
    }

    /// Returns the tree of a statement whose parameters have casts.
    pub(super) fn prepared(&mut self, text: &str) -> Result<Tree, String> {
        said(self.client.batch_execute(&format!("PREPARE it AS {text}")))?;
        let look = "SELECT array_to_string(parameter_types::text[], ', ')
            FROM pg_prepared_statements WHERE name = 'it'";
        let types: String = said(self.client.query_one(look, &[]))?.get(0);
        said(self.client.batch_execute("DEALLOCATE it"))?;
        self.body(&types, text)
    }

    /// Returns the tree of a statement, given the names and types of its variables.
    pub(super) fn body(&mut self, parameters: &str, text: &str) -> Result<Tree, String> {
        let make = format!(
            "CREATE OR REPLACE FUNCTION pg_temp.analysed({parameters}) RETURNS void BEGIN ATOMIC\n{text};\nEND"
        );
        said(self.client.batch_execute(&make))?;
        let look = "SELECT prosqlbody::text FROM pg_proc WHERE proname = 'analysed'";
        let tree: String = said(self.client.query_one(look, &[]))?.get(0);
        let drop = "DROP FUNCTION pg_temp.analysed";
        said(self.client.batch_execute(drop))?;
        Ok(Tree::read(&tree))
    }

    /// Returns the functions that a node calls by itself.
    pub(super) fn called(&self, node: &Node) -> Vec<&Function> {
        let numbers: Vec<&str> = match node.name.as_str() {
            "COERCEVIAIO" => {
                let from = node.field("arg").and_then(Tree::node).and_then(type_of);
                let texts = |kind: &str| self.texts.get(kind);
                let input = texts(node.text("resulttype")).map(|[input, _]| input.as_str());
                let output = from.and_then(texts).map(|[_, output]| output.as_str());
                [input, output].into_iter().flatten().collect()
            }
            _ => ["funcid", "opfuncid", "aggfnoid", "winfnoid"]
                .iter()
                .map(|field| node.text(field))
                .collect(),
        };
        let functions = numbers.iter().filter_map(|oid| self.functions.get(*oid));
        functions.collect()
    }

    /// Returns how volatile a node is by itself: `i`, `s` or `v`.
    pub(super) fn volatility(&self, node: &Node) -> char {
        let called = self.called(node).into_iter();
        let by_itself = match node.name.as_str() {
            // Such as CURRENT_TIMESTAMP.
            "SQLVALUEFUNCTION" => 's',
            "NEXTVALUEEXPR" => 'v',
            _ => 'i',
        };
        let all = called
            .map(|function| function.volatility)
            .chain([by_itself]);
        // In the order of their letters.
        all.max().unwrap()
    }

    /// Returns the table that a statement changes: its name, and the columns of its primary key.
    pub(super) fn changed(&self, query: &Node) -> Option<(&str, &[i16])> {
        let at: usize = query.text("resultRelation").parse().ok()?;
        let entry = query.field("rtable")?.list().get(at.checked_sub(1)?)?;
        let (name, key) = self.tables.get(entry.node()?.text("relid"))?;
        Some((name, key))
    }
}

/// Returns the number of an expression's type.
pub(super) fn type_of(node: &Node) -> Option<&str> {
    node.first_text(&[
        "vartype",
        "consttype",
        "paramtype",
        "funcresulttype",
        "opresulttype",
        "resulttype",
        "coalescetype",
        "casetype",
        "minmaxtype",
        "array_typeid",
        "aggtype",
        "wintype",
        "refrestype",
    ])
}

fn said<T>(result: Result<T, postgres::Error>) -> Result<T, String> {
    result.map_err(|error| {
        let message = error.as_db_error().map(|error| error.message().to_owned());
        message.unwrap_or_else(|| error.to_string())
    })
}

fn rows<const N: usize>(client: &mut Client, query: &str) -> Vec<[String; N]> {
    let rows = client.query(query, &[]).unwrap();
    let row = |row: &postgres::Row| std::array::from_fn(|at| row.get(at));
    rows.iter().map(row).collect()
}
