//! Whether other servers may have the tables, which this one only sends statements on to.

use postgres::{Error, GenericClient};

/// Returns whether the database has Citus.
pub(crate) fn is_distributed(client: &mut impl GenericClient) -> Result<bool, Error> {
    let citus = "SELECT EXISTS (SELECT FROM pg_catalog.pg_extension WHERE extname = 'citus')";
    client
        .query_typed_one(citus, &[])
        .and_then(|row| row.try_get(0))
}
