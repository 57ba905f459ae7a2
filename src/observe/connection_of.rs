//! The connections that a process's own threads keep.

/// Whose connection an event is about. Connections of the pool are not told: who uses one gets the
/// error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ConnectionOf<'a> {
    /// A worker of a receiver, or the thread of a lane of a log's reader.
    #[non_exhaustive]
    Worker {
        /// The topic; of a reader, `LOG@READER`.
        topic: &'a str,
    },
    /// The thread that looks after the process's receivers.
    Upkeep,
    /// The thread that hears the notifications of other processes.
    Listener,
}
