//! What endangers the promises or the speed: settings of the server and the role, the way to the
//! server, the schema, what holds dead rows back, and what is stuck in topics.
//!
//! Each check ([`checks`]) is one function with its statement beside it, and asks in a transaction
//! of its own that only reads and has a limit of time ([`examination`]). So a check that fails, or
//! takes too long, is a finding of its own and hides no other. Catalogs and tables of ours are read
//! by statements of their own: where tables are distributed, one that reads both would run on a
//! worker, and read that worker's catalogs.
//!
//! A role sees the settings that its sessions begin with, whatever outtray set on its connection:
//! statements read `reset_val`.

pub(crate) mod ask;
pub(crate) mod checks;
pub(crate) mod cluster;
pub(crate) mod connections;
pub(crate) mod examination;
pub(crate) mod facts;
pub(crate) mod finding;
pub(crate) mod horizon;
pub(crate) mod listed;
pub(crate) mod logs;
pub(crate) mod messages;
pub(crate) mod role_settings;
pub(crate) mod schema_state;
pub(crate) mod server;
pub(crate) mod topics;
pub(crate) mod way;
