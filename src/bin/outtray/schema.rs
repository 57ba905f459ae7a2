//! `outtray schema`: prints the SQL that makes the schema. Needs no database.

use crate::failure::CommandFailure;
use crate::global::Global;
use crate::output::Output;
use outtray::Messaging;
use serde_json::json;

pub(crate) fn run(global: &Global, output: &mut Output) -> Result<(), CommandFailure> {
    let sql = Messaging::schema_sql(global.schema())?;
    match output.is_json() {
        true => output.object(&json!({ "sql": sql }))?,
        false => output.verbatim(&sql)?,
    }
    Ok(())
}
