//! What an examination found, for people and for programs.

use serde::Serialize;
use std::fmt;

/// How bad a [`Finding`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Severity {
    /// As it should be.
    Ok,
    /// Worth knowing; nothing has to be done.
    Note,
    /// Something is slow or stuck, or will be.
    Warning,
    /// A promise may be broken, or nothing works.
    Unsafe,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Severity::Ok => "ok",
            Severity::Note => "note",
            Severity::Warning => "warning",
            Severity::Unsafe => "unsafe",
        })
    }
}

/// One step of what to do about a [`Finding`].
///
/// Its JSON is an object with one field, as in `{"sql": "…"}`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Remedy {
    /// One SQL statement, to be run outside of a transaction by a role that may.
    Sql(String),
    /// A command line for a shell.
    Command(String),
    /// What no statement and no command does.
    Advice(String),
}

impl Remedy {
    /// The call of a function.
    pub(crate) fn call(call: &str) -> Self {
        Remedy::Sql(["SELECT", call].join(" ") + ";")
    }
}

impl fmt::Display for Remedy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Remedy::Sql(text) | Remedy::Command(text) | Remedy::Advice(text) => f.write_str(text),
        }
    }
}

/// What one check of an examination found.
///
/// Its JSON is that of `outtray doctor --json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Finding {
    /// The name of the check, in `snake_case`; a check may find several things.
    pub check: &'static str,
    /// How bad it is.
    pub severity: Severity,
    /// What was seen, with figures.
    pub seen: String,
    /// What that means; empty where all is as it should be.
    pub means: String,
    /// What to do, step by step; empty where nothing has to be done.
    pub remedies: Vec<Remedy>,
}

impl Finding {
    pub(crate) fn new(check: &'static str, severity: Severity, seen: impl Into<String>) -> Self {
        Finding {
            check,
            severity,
            seen: seen.into(),
            means: String::new(),
            remedies: Vec::new(),
        }
    }

    pub(crate) fn means(mut self, means: impl Into<String>) -> Self {
        self.means = means.into();
        self
    }

    pub(crate) fn sql(mut self, statement: impl Into<String>) -> Self {
        self.remedies.push(Remedy::Sql(statement.into()));
        self
    }

    /// Adds the call of a function.
    pub(crate) fn call(mut self, call: impl AsRef<str>) -> Self {
        self.remedies.push(Remedy::call(call.as_ref()));
        self
    }

    pub(crate) fn command(mut self, command: impl Into<String>) -> Self {
        self.remedies.push(Remedy::Command(command.into()));
        self
    }

    pub(crate) fn advice(mut self, advice: impl Into<String>) -> Self {
        self.remedies.push(Remedy::Advice(advice.into()));
        self
    }

    /// Adds the steps that give a setting another value: in the file of the server.
    pub(crate) fn alter_system(self, setting: &str, value: &str) -> Self {
        self.sql(format!("ALTER SYSTEM SET {setting} = {value};"))
            .call(RELOAD)
    }
}

/// What has the server read its settings again.
pub(crate) const RELOAD: &str = "pg_reload_conf()";

/// What an examination found: see [`Messaging::doctor`](crate::Messaging::doctor).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Diagnosis {
    /// All findings, in the order of the checks. A check with nothing to complain about has one
    /// that is [`Ok`](Severity::Ok); one that does not apply has none.
    pub findings: Vec<Finding>,
}

impl Diagnosis {
    /// Returns how bad the worst finding is.
    pub fn worst(&self) -> Severity {
        let severities = self.findings.iter().map(|finding| finding.severity);
        severities.max().unwrap_or(Severity::Ok)
    }

    /// Returns the findings of one check, by its name.
    pub fn of(&self, check: &str) -> Vec<&Finding> {
        let findings = self.findings.iter();
        findings.filter(|finding| finding.check == check).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_finding_is_that_of_the_highest_severity() {
        let of = |severities: &[Severity]| Diagnosis {
            findings: severities
                .iter()
                .map(|severity| Finding::new("x", *severity, ""))
                .collect(),
        };

        assert_eq!(of(&[]).worst(), Severity::Ok);
        let mixed = [Severity::Note, Severity::Unsafe, Severity::Warning];
        assert_eq!(of(&mixed).worst(), Severity::Unsafe);
    }

    #[test]
    fn a_remedy_is_an_object_with_one_field() {
        let finding = Finding::new("x", Severity::Unsafe, "y").call("1");

        let json = serde_json::to_string(&finding).unwrap();

        let expected = r#"{"check":"x","severity":"unsafe","seen":"y","means":"","remedies":[{"sql":"SELECT 1;"}]}"#;
        assert_eq!(json, expected);
    }
}
