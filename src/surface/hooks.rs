//! Code of the user's own that a process runs beside handlers.

use crate::observe::observers::Observer;
use std::sync::Arc;

/// What the user has a process run.
#[derive(Clone, Default)]
pub(crate) struct Hooks {
    pub(crate) observers: Vec<Arc<Observer>>,
}
