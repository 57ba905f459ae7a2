//! A filter as the database evaluates it: step by step, on a stack of answers.

use crate::words::filter::{Condition, Filter, Test};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// The steps of a filter, for `outtray.matches`. Each puts an answer on the stack, or replaces the
/// last one (`not`) or the last two (`and`, `or`).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Program {
    steps: Vec<&'static str>,
    /// The headers that they are about; empty for those that are about answers.
    names: Vec<String>,
    /// What headers are compared with, as JSON: of several texts an object with their names, else a
    /// text.
    operands: Vec<String>,
}

impl Program {
    pub(crate) fn of(filter: &Filter) -> Self {
        let mut program = Program::default();
        program.push_filter(filter);
        program
    }

    /// Makes the program of headers that all have to have these values; of none it wants
    /// everything.
    pub(crate) fn of_headers(wanted: &[(String, String)]) -> Self {
        let mut program = Program::default();
        program.push_each(wanted, "and", |program, (name, value)| {
            program.push("in", name, keys([value.as_str()]));
        });
        program
    }

    /// Returns the steps, the names and the operands, as statements take them.
    pub(crate) fn columns(&self) -> [Vec<Option<&str>>; 3] {
        [
            self.steps.iter().map(|step| Some(*step)).collect(),
            self.names.iter().map(|name| Some(name.as_str())).collect(),
            self.operands
                .iter()
                .map(|operand| Some(operand.as_str()))
                .collect(),
        ]
    }

    /// Writes it down beside the text of its filter, for those who cannot read that.
    pub(crate) fn document(&self, filter: &Filter) -> String {
        let operands = self.operands.iter();
        let operands: Vec<Value> = operands
            .map(|operand| serde_json::from_str(operand).unwrap_or_default())
            .collect();
        let document = json!({
            "filter": filter.to_string(), "steps": self.steps, "names": self.names, "operands": operands
        });
        document.to_string()
    }

    fn push_filter(&mut self, filter: &Filter) {
        self.push_each(&filter.conditions, "and", Program::push_condition);
    }

    fn push_condition(&mut self, condition: &Condition) {
        match condition {
            Condition::Header(name, test) => self.push_test(name, test),
            Condition::Any(filters) => self.push_each(filters, "or", Program::push_filter),
            Condition::Not(filter) => {
                self.push_filter(filter);
                self.push("not", "", text(""));
            }
        }
    }

    fn push_test(&mut self, name: &str, test: &Test) {
        match test {
            Test::OneOf(values) => {
                let values = keys(values.iter().map(String::as_str));
                self.push("in", name, values);
            }
            Test::Prefix(prefix) => self.push("prefix", name, text(prefix)),
            Test::Exists => self.push("exists", name, text("")),
            Test::Null => self.push("null", name, text("")),
            Test::Number(how, number) => self.push(how.sign(), name, text(number)),
        }
    }

    /// Appends what each item calls for, and joins the answers.
    fn push_each<T>(&mut self, items: &[T], join: &'static str, push: impl Fn(&mut Self, &T)) {
        for (index, item) in items.iter().enumerate() {
            push(self, item);
            if index > 0 {
                self.push(join, "", text(""));
            }
        }
    }

    fn push(&mut self, step: &'static str, name: &str, operand: String) {
        self.steps.push(step);
        self.names.push(name.to_owned());
        self.operands.push(operand);
    }
}

fn text(text: &str) -> String {
    Value::from(text).to_string()
}

/// Returns an object with these names: the database looks one up in it, however many there are.
fn keys<'v>(values: impl IntoIterator<Item = &'v str>) -> String {
    let keys: BTreeMap<&str, ()> = values.into_iter().map(|value| (value, ())).collect();
    serde_json::to_string(&keys).expect("a map of texts is JSON")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_becomes_steps_in_the_order_in_which_they_are_answered() {
        let filter = Filter::new()
            .one_of("a", ["y", "x", "y"])
            .and_not(Filter::any([
                Filter::new().exists("b"),
                Filter::new().below("c", 2),
            ]));

        let program = Program::of(&filter);

        assert_eq!(program.steps, ["in", "exists", "<", "or", "not", "and"]);
        assert_eq!(program.names, ["a", "b", "c", "", "", ""]);
        assert_eq!(program.operands[0], r#"{"x":null,"y":null}"#);
        assert_eq!(program.operands[2], "\"2\"");
    }
}
