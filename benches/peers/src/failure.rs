//! Why something could not be measured: a text, as it ends up in a table.

use std::fmt;

pub type Result<T> = std::result::Result<T, Failure>;

/// What went wrong, for people.
#[derive(Debug, Clone)]
pub struct Failure(String);

impl Failure {
    pub fn new(what: impl Into<String>) -> Failure {
        Failure(what.into())
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Failure {}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Failure {
        Failure(error.to_string())
    }
}

impl From<postgres::Error> for Failure {
    fn from(error: postgres::Error) -> Failure {
        let detail = error
            .as_db_error()
            .map(|detail| detail.message().to_owned());
        Failure(detail.unwrap_or_else(|| error.to_string()))
    }
}

impl From<outtray::Error> for Failure {
    fn from(error: outtray::Error) -> Failure {
        Failure(error.to_string())
    }
}

impl From<serde_json::Error> for Failure {
    fn from(error: serde_json::Error) -> Failure {
        Failure(format!("not JSON: {error}"))
    }
}
