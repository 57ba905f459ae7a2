//! Code of the user's own that a process runs besides handlers.

#[cfg(feature = "metrics")]
use crate::metrics::Recording;
use crate::observe::observers::Observer;
use crate::receive::middleware::Middleware;
use crate::session::send_hooks::SendHook;
use std::sync::Arc;

/// What the user has a process run.
#[derive(Clone, Default)]
pub(crate) struct Hooks {
    pub(crate) observers: Vec<Arc<Observer>>,
    pub(crate) sends: Vec<Arc<SendHook>>,
    pub(crate) middleware: Middleware,
    /// One of the observers, which also records how the process is.
    #[cfg(feature = "metrics")]
    pub(crate) recording: Option<Arc<Recording>>,
}
