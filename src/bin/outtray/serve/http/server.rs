//! The sockets: who is let in, for how long, and how much of a request is read.
//!
//! One thread with a runtime of its own; nothing on it waits for the database. Each connection is
//! for one request, and is over after [`LONGEST`] whatever its client does. When there are too many
//! the oldest goes: those who only hold a place make room for those who ask.

use crate::serve::listening::Stopping;
use crate::serve::listening::token::Gatekeeper;
use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use std::collections::VecDeque;
use std::net::TcpListener as StdListener;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Builder;
use tokio::select;
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{sleep, timeout};

/// Connections at the same time: far more than ask, and far fewer than the files that a process may
/// have open.
const MOST_CONNECTIONS: usize = 256;
/// How long a client may take for the head of its request.
const HEAD_WITHIN: Duration = Duration::from_secs(5);
/// How long a connection lasts at most: a client that reads slowly included.
const LONGEST: Duration = Duration::from_secs(30);
/// The most bytes of the head of a request.
const MOST_HEAD_BYTES: usize = 16 << 10;
/// The most headers of a request.
const MOST_HEADERS: usize = 64;
/// How long a stop waits for answers under way.
const LAST_ANSWERS: Duration = Duration::from_secs(2);
/// How long nobody is let in where the system has no room for a connection.
const NO_ROOM: Duration = Duration::from_millis(100);

/// A listener, and what answers.
pub(crate) struct HttpServer {
    pub(crate) listener: StdListener,
    pub(crate) router: Router,
    pub(crate) guard: Gatekeeper,
    /// How it is to stop, once it is.
    pub(crate) stopped: watch::Receiver<Option<Stopping>>,
}

impl HttpServer {
    /// Serves until it is told to end.
    pub(crate) fn serve(self) -> Result<(), String> {
        let runtime = Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| format!("cannot wait for sockets: {error}"))?;
        runtime.block_on(self.accept())
    }

    async fn accept(mut self) -> Result<(), String> {
        let listener = TcpListener::from_std(self.listener)
            .map_err(|error| format!("cannot wait for sockets: {error}"))?;
        let mut open = Open::default();
        loop {
            let accepted = select! {
                _ = self.stopped.wait_for(|how| *how >= Some(Stopping::Soon)) => break,
                accepted = listener.accept() => accepted,
            };
            match accepted {
                Ok((stream, peer)) if self.guard.has_token() || self.guard.admits(peer) => {
                    open.add(converse(stream, self.router.clone()));
                }
                Ok(_) => {}
                Err(error) => {
                    tracing::debug!("http: nobody is let in: {error}");
                    sleep(NO_ROOM).await;
                }
            }
        }
        drop(listener);
        select! {
            _ = self.stopped.wait_for(|how| *how == Some(Stopping::Now)) => {}
            _ = timeout(LAST_ANSWERS, open.finish()) => {}
        }
        Ok(())
    }
}

/// Answers one request.
async fn converse(stream: TcpStream, router: Router) {
    let conversation = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_WITHIN)
        .keep_alive(false)
        // Who has said all that it had to say is answered.
        .half_close(true)
        .max_buf_size(MOST_HEAD_BYTES)
        .max_headers(MOST_HEADERS)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    match timeout(LONGEST, conversation).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::debug!("http: {error}"),
        Err(_) => tracing::debug!("http: a connection was not over after {LONGEST:?}"),
    }
}

/// The connections that are open, the oldest first.
#[derive(Default)]
struct Open {
    tasks: JoinSet<()>,
    handles: VecDeque<AbortHandle>,
}

impl Open {
    fn add(&mut self, conversation: impl Future<Output = ()> + Send + 'static) {
        while self.tasks.try_join_next().is_some() {}
        if self.handles.len() >= MOST_CONNECTIONS {
            self.handles.retain(|handle| !handle.is_finished());
        }
        if self.handles.len() >= MOST_CONNECTIONS
            && let Some(oldest) = self.handles.pop_front()
        {
            oldest.abort();
        }
        self.handles.push_back(self.tasks.spawn(conversation));
    }

    async fn finish(&mut self) {
        while self.tasks.join_next().await.is_some() {}
    }
}
