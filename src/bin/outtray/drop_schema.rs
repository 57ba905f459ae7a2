//! `outtray drop-schema`: removes all of it, for who names it.

use crate::confirm::confirm_by_name;
use crate::failure::CommandFailure;
use crate::global::Global;
use crate::output::Output;
use clap::Args;
use serde_json::json;

const EXAMPLES: &str = "\
All messages, dead letters and settings are gone then. Refused while receivers run, in whatever process, and \
where anything else is in the schema.

Example:
  outtray drop-schema --confirm outtray";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct DropSchemaOptions {
    /// Does not ask: the name of the schema that is meant
    #[arg(long, value_name = "SCHEMA")]
    confirm: Option<String>,
}

pub(crate) fn run(
    options: &DropSchemaOptions,
    global: &Global,
    output: &mut Output,
) -> Result<(), CommandFailure> {
    let schema = global.schema();
    let name = match &options.confirm {
        Some(name) => name.clone(),
        None => {
            let what = format!("drop the schema {schema} for good, with all messages");
            confirm_by_name(&what, schema)?
        }
    };
    let (dropped, text) = match global.connect()?.drop_schema(&name)? {
        true => (true, format!("dropped {schema}")),
        false => (false, format!("there is no schema {schema}")),
    };
    Ok(output.say(&text, &json!({ "schema": schema, "dropped": dropped }))?)
}
