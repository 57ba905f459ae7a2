//! The wire of dsmq, a small message queue over TCP: three generations of clients on one port.
//!
//! All queues of a server are in one log, the topic `dsmq` unless said otherwise: a message's key
//! is the name of its queue. So a queue costs nothing, may have any name, and begins with its first
//! message; and where a connection begins to read is one place in one log, for all the queues that
//! it may ever ask for. A queue with a topic of its own would cost tables, made by whoever
//! connects.
//!
//! Four threads, however many clients: `hub` has the sockets, `store` writes, `follow` reads the
//! end of the log into memory, and a second reader serves those who fell behind.

mod closing;
mod complaints;
mod connection;
mod follow;
mod frame_watch;
mod hub;
mod json_stream;
mod limits;
mod news;
mod pending;
mod recent;
mod request;
mod store;
mod told;
mod trouble;
mod turn;
mod websocket;
mod wire;

#[cfg(test)]
mod fuzz;

pub(crate) use crate::serve::dsmq::limits::ClientLimits;

use crate::failure::CommandFailure;
use crate::serve::dsmq::follow::{Log, follow, look_back};
use crate::serve::dsmq::hub::{Hub, LISTENER, Parts, WAKER};
use crate::serve::dsmq::store::Store;
use crate::serve::dsmq::told::{CommonGround, LookBack, StoreErrand, Tell, Told};
use crate::serve::listening::token::Gatekeeper;
use crate::serve::listening::{Listener, Listening, named};
use crossbeam_channel::{Receiver, bounded, unbounded};
use mio::net::TcpListener;
use mio::{Interest, Poll, Waker};
use outtray::dashboard::Stopping;
use outtray::{LogPosition, Messaging, Position, TopicConfig, TopicKind};
use std::io;
use std::net::{SocketAddr, TcpListener as StdListener};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::{JoinHandle, park_timeout};
use std::time::{Duration, Instant};

/// The address in hints.
pub(crate) const EXAMPLE: &str = "127.0.0.1:30008";
/// How long the log keeps messages, unless its settings say something else.
const KEEP_FOR: Duration = Duration::from_secs(86_400);
/// What the threads may tell the event loop before they wait for it: each may be many messages.
const MOST_TOLD: usize = 8;
/// How long threads are waited for whose last call to the database takes long.
const LAST_CALL: Duration = Duration::from_secs(2);

/// What `serve --dsmq` was asked for.
pub(crate) struct Dsmq {
    pub(crate) address: SocketAddr,
    pub(crate) topic: String,
    pub(crate) limits: ClientLimits,
    pub(crate) guard: Gatekeeper,
}

/// Begins to listen.
pub(crate) fn start(messaging: &Messaging, dsmq: Dsmq) -> Result<Listening, CommandFailure> {
    let cannot = |error: io::Error| {
        CommandFailure::failed(format!("cannot listen on {}: {error}", dsmq.address))
    };
    let listener = StdListener::bind(dsmq.address).map_err(cannot)?;
    listener.set_nonblocking(true).map_err(cannot)?;
    let address = listener.local_addr().map_err(cannot)?;
    let mut listener = TcpListener::from_std(listener);
    let poll = Poll::new().map_err(cannot)?;
    let registry = poll.registry();
    registry
        .register(&mut listener, LISTENER, Interest::READABLE)
        .map_err(cannot)?;
    let waker = Arc::new(Waker::new(registry, WAKER).map_err(cannot)?);
    be_a_log(messaging, &dsmq.topic)?;
    let start = messaging.tail(&dsmq.topic, Position::Now)?.position();
    let (told, hear) = bounded(MOST_TOLD);
    let log = Log {
        messaging: messaging.clone(),
        topic: dsmq.topic.clone(),
        tell: Tell::new(told, waker),
        known: Arc::new(CommonGround::new(start)),
    };
    // Bounded by the bytes of puts, and by connections.
    let ((errands, asked), (wish, wishes)) = (unbounded(), unbounded());
    let hub = Hub::new(Parts {
        poll,
        listener,
        told: hear,
        errands,
        look_back: wish,
        known: Arc::clone(&log.known),
        limits: dsmq.limits,
        guard: dsmq.guard,
        topic: dsmq.topic,
        start,
    });
    let tell = log.tell.clone();
    let stop = move |stopping| match stopping {
        Stopping::Announced => {}
        Stopping::Soon => tell.tell(Told::Stop),
        Stopping::Now => tell.tell(Told::StopNow),
    };
    let name = "dsmq";
    Listener { name, address }.start(serve(hub, log, asked, wishes, start)?, stop)
}

/// Starts the threads that talk to the database; returns what serves clients until the end of all.
fn serve(
    hub: Hub,
    log: Log,
    asked: Receiver<StoreErrand>,
    wishes: Receiver<LookBack>,
    start: LogPosition,
) -> Result<impl FnOnce() -> Result<(), String> + Send + 'static, CommandFailure> {
    let known = Arc::clone(&log.known);
    let (store, following) = (Store::new(log.clone(), asked), log.clone());
    let threads = [
        named("dsmq-store", move || store.run())?,
        named("dsmq-follow", move || follow(&following, start))?,
        named("dsmq-look-back", move || look_back(&log, &wishes))?,
    ];
    Ok(move || {
        let served = hub.run();
        known.end.interrupt();
        known.is_given_up.store(true, Ordering::Release);
        await_ends(threads);
        match served {
            Ok(0) => Ok(()),
            Ok(bytes) => Err(format!("{bytes} bytes of puts were not stored")),
            Err(error) => Err(format!("cannot wait for sockets: {error}")),
        }
    })
}

/// Waits until threads have ended; one that is still in a call ends with the process.
fn await_ends<const N: usize>(threads: [JoinHandle<()>; N]) {
    let begun = Instant::now();
    for thread in threads {
        while !thread.is_finished() && begun.elapsed() < LAST_CALL {
            thread.thread().unpark();
            park_timeout(Duration::from_millis(5));
        }
        if thread.is_finished() {
            let _ = thread.join();
        }
    }
}

/// Has a topic be a log, unless it is one.
fn be_a_log(messaging: &Messaging, topic: &str) -> Result<(), CommandFailure> {
    let topic = messaging.topic(topic);
    let is_log = topic.config()?.kind == TopicKind::Log;
    if is_log {
        return Ok(());
    }
    let log = TopicConfig {
        kind: TopicKind::Log,
        keep_for: Some(KEEP_FOR),
        ..TopicConfig::default()
    };
    topic.configure(log)?;
    Ok(())
}
