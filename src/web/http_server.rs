//! The sockets: who is let in, for how long, and how much of a request is read.
//!
//! One thread with a runtime of its own; nothing on it waits for the database. A browser may ask
//! again on the same connection, but not for longer than [`ASKS_FOR`]; a connection is over after
//! [`LONGEST`] whatever its client does. When there are too many the oldest goes: those who only
//! hold a place make room for those who ask.

use crate::web::stopping::{StopSignal, Stopping};
use crate::web::token::Token;
use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use hyper::body::Incoming as IncomingBody;
use hyper::server::conn::http1;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use std::collections::VecDeque;
use std::io;
use std::net::{SocketAddr, TcpListener as StdListener};
use std::pin::pin;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Builder as RuntimeBuilder;
use tokio::select;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{sleep, timeout};

/// Connections at the same time: far more than ask, and far fewer than the files that a process may
/// have open.
const MOST_CONNECTIONS: usize = 256;
/// How long a client may take for the head of its request, and be silent before the next one.
const HEAD_WITHIN: Duration = Duration::from_secs(5);
/// How long further requests are taken on a connection.
const ASKS_FOR: Duration = Duration::from_secs(20);
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

/// The address of the client that asks, among the extensions of its request.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Peer(pub(crate) SocketAddr);

/// Listens on an address, and serves a router there.
///
/// Nobody is let in from other machines unless there is a token; whether a request shows it is for
/// the router to see. Slow clients and silent ones are shown out.
#[derive(Debug)]
pub struct HttpServer {
    listener: StdListener,
    address: SocketAddr,
    has_token: bool,
}

impl HttpServer {
    /// Begins to listen. Nobody is answered yet.
    ///
    /// # Errors
    /// `PermissionDenied` for an address that other machines can reach when there is no token, and
    /// what the system says of an address that cannot be listened on.
    pub fn bind(address: SocketAddr, token: Option<&Token>) -> io::Result<HttpServer> {
        let has_token = token.is_some();
        if !has_token && !address.ip().to_canonical().is_loopback() {
            let why = "other machines can reach it, and nobody would be asked who they are: a token is needed";
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, why));
        }
        let listener = StdListener::bind(address)?;
        listener.set_nonblocking(true)?;
        Ok(HttpServer {
            address: listener.local_addr()?,
            listener,
            has_token,
        })
    }

    /// Returns where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves on this thread until it is told to stop.
    ///
    /// # Errors
    /// When the system has no room for a runtime, or refuses to wait for the socket.
    pub fn serve(self, router: Router, stopped: StopSignal) -> io::Result<()> {
        let runtime = RuntimeBuilder::new_current_thread().enable_all().build()?;
        runtime.block_on(self.accept(router, stopped))
    }

    async fn accept(self, router: Router, mut stopped: StopSignal) -> io::Result<()> {
        let listener = TcpListener::from_std(self.listener)?;
        let mut open = Open::default();
        loop {
            let accepted = select! {
                () = stopped.wait(Stopping::Soon) => break,
                accepted = listener.accept() => accepted,
            };
            match accepted {
                Ok((stream, peer)) if self.has_token || peer.ip().to_canonical().is_loopback() => {
                    open.add(converse(stream, peer, router.clone()));
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
            () = stopped.wait(Stopping::Now) => {}
            _ = timeout(LAST_ANSWERS, open.finish()) => {}
        }
        Ok(())
    }
}

/// Answers the requests of one connection.
async fn converse(stream: TcpStream, peer: SocketAddr, router: Router) {
    let routed = TowerToHyperService::new(router);
    let service = service_fn(move |request: hyper::Request<IncomingBody>| {
        let mut request: Request = request.map(Body::new);
        request.extensions_mut().insert(Peer(peer));
        routed.call(request)
    });
    let conversation = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_WITHIN)
        // Who has said all that it had to say is answered.
        .half_close(true)
        .max_buf_size(MOST_HEAD_BYTES)
        .max_headers(MOST_HEADERS)
        .serve_connection(TokioIo::new(stream), service);
    let mut conversation = pin!(conversation);
    let whole = async {
        if let Ok(ended) = timeout(ASKS_FOR, conversation.as_mut()).await {
            return ended;
        }
        conversation.as_mut().graceful_shutdown();
        conversation.await
    };
    match timeout(LONGEST, whole).await {
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
