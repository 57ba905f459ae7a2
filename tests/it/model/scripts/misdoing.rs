//! What handlers do that is undone, or fails.

use super::acting::Run;
use super::script::{Failing, Nested};
use outtray::{HandlerError, MessagingSession};

pub(super) fn nest(
    session: &mut MessagingSession<'_>,
    how: Nested,
    literals: &str,
) -> Result<(), HandlerError> {
    let mut nested = session.transaction()?;
    nested.batch_execute(&format!("INSERT INTO public.effect VALUES {literals}"))?;
    match how {
        Nested::Commit => nested.commit()?,
        Nested::RollBack => nested.rollback()?,
        Nested::Drop => {}
        Nested::FailAndDrop => drop(nested.batch_execute("SELECT 1 / 0")),
    }
    Ok(())
}

pub(super) fn fail(
    session: &mut MessagingSession<'_>,
    how: Failing,
    (n, run): Run,
) -> Result<(), HandlerError> {
    match how {
        Failing::Insert => {
            let insert = "INSERT INTO public.effect VALUES ($1, $2, $3)";
            session.execute(insert, &[&(n as i32), &(run as i32), &-1])?;
        }
        Failing::Query => drop(session.query("SELECT 1 / 0", &[])?),
        Failing::BatchExecute => session.batch_execute("SELECT 1; SELECT 1 / 0")?,
    }
    Ok(())
}
