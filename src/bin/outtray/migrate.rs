//! `outtray migrate`: makes or upgrades the schema.

use crate::failure::CommandFailure;
use crate::global::Global;
use crate::output::Output;
use crate::progress::Meter;
use clap::Args;
use serde_json::json;

#[derive(Debug, Args)]
pub(crate) struct MigrateOptions {
    /// Only says what would be applied
    #[arg(long)]
    dry_run: bool,
}

pub(crate) fn run(
    options: &MigrateOptions,
    global: &Global,
    output: &mut Output,
) -> Result<(), CommandFailure> {
    let messaging = global.connect()?;
    let progress = Meter::doing("migrating");
    let (done, names) = match options.dry_run {
        true => ("pending", messaging.pending_migrations()?),
        false => ("applied", messaging.migrate()?),
    };
    drop(progress);
    if output.is_json() {
        return Ok(output.object(&json!({ done: names }))?);
    }
    if names.is_empty() {
        output.line("nothing to apply, the schema is complete")?;
    }
    for name in names {
        output.line(&format!("{done} {name}"))?;
    }
    Ok(())
}
