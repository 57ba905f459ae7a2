//! How a program starts the dashboard.

use crate::dashboard::frame::minutes::Hour;
use crate::dashboard::frame::site::Site;
use crate::dashboard::serving;
use crate::surface::messaging::Messaging;
use crate::threads;
use crate::web::desk::Desk;
use crate::web::http_server::HttpServer;
use crate::web::sessions::Sessions;
use crate::web::shelf::Shelf;
use crate::web::stopping::{StopSwitch, Stopping};
use crate::web::token::Token;
use crate::words::{Error, ErrorKind, Result};
use axum::Router;
use std::fmt;
use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::thread::JoinHandle;

/// Threads that make pages, and so connections that they use at the same time at most.
const THREADS: usize = 4;

/// The dashboard, and its options.
///
/// Without a token it only shows, and only on this machine.
///
/// ```no_run
/// # fn f(messaging: &outtray::Messaging) -> Result<(), Box<dyn std::error::Error>> {
/// use outtray::dashboard::{Dashboard, Token};
///
/// let token = Token::new(&std::fs::read_to_string("/etc/outtray/token")?)?;
/// let dashboard = Dashboard::new(messaging)
///     .token(token)
///     .start("127.0.0.1:9188")?;
/// println!("http://{}", dashboard.address());
/// # Ok(()) }
/// ```
#[derive(Debug, Clone)]
pub struct Dashboard {
    messaging: Messaging,
    token: Option<Token>,
    is_read_only: bool,
    hides_payloads: bool,
    prefix: String,
}

impl Dashboard {
    /// Makes a dashboard of what this `Messaging` connects to. It uses up to five connections of
    /// its pool while somebody looks, and none while nobody does.
    pub fn new(messaging: &Messaging) -> Dashboard {
        Dashboard {
            messaging: messaging.clone(),
            token: None,
            is_read_only: false,
            hides_payloads: false,
            prefix: String::new(),
        }
    }

    /// Lets in only those who know the token, and lets them make changes. Default: no token;
    /// whoever is on this machine may look, and nobody may change anything.
    pub fn token(mut self, token: Token) -> Dashboard {
        self.token = Some(token);
        self
    }

    /// Refuses all changes, also of those who know the token.
    pub fn read_only(mut self) -> Dashboard {
        self.is_read_only = true;
        self
    }

    /// Hides payloads, the values of headers, and keys. Default: they are shown.
    pub fn hide_payloads(mut self, hides: bool) -> Dashboard {
        self.hides_payloads = hides;
        self
    }

    /// Serves below a path, such as `/queues`, instead of at `/`.
    ///
    /// # Errors
    /// `Invalid` unless the path begins with `/`, ends otherwise, and has no other characters than
    /// ASCII letters, digits and `/ - _ . ~` in between.
    pub fn below(mut self, path: &str) -> Result<Dashboard> {
        let is_plain = |c: char| c.is_ascii_alphanumeric() || "/-_.~".contains(c);
        let is_path = path.starts_with('/') && !path.ends_with('/') && !path.contains("//");
        if !is_path || !path.chars().all(is_plain) {
            return Err(Error::invalid(format!(
                "\"{}\" is no path for a dashboard: write it as /queues",
                path.escape_debug()
            )));
        }
        path.clone_into(&mut self.prefix);
        Ok(self)
    }

    /// Starts to serve, on a thread of its own. The dashboard ends when what is returned is
    /// dropped.
    ///
    /// # Errors
    /// `Invalid` for a text that is no address, and for an address that other machines can reach
    /// when there is no token. `Unavailable` when the address is taken, or the system has no room
    /// for a thread.
    pub fn start(self, address: &str) -> Result<RunningDashboard> {
        let address = resolved(address, self.token.is_some())?;
        let cannot = |error: std::io::Error| {
            let text = format!("the dashboard cannot listen on {address}");
            Error::new(ErrorKind::Unavailable, text).because(error)
        };
        let server = HttpServer::bind(address, self.token.as_ref()).map_err(cannot)?;
        let (switch, stopped) = StopSwitch::pair();
        let address = server.address();
        let router = self.router();
        let thread = threads::spawn("outtray-dashboard".to_owned(), move || {
            if let Err(error) = server.serve(router, stopped) {
                tracing::error!("the dashboard ends: {error}");
            }
        })?;
        Ok(RunningDashboard {
            address,
            switch,
            thread: Some(thread),
        })
    }

    /// Returns the dashboard's routes, for a program that has a server made with axum. They are for
    /// the root of that server; [`below`](Self::below) puts them under a path.
    ///
    /// The dashboard still asks for its own token. Without one it answers only requests for
    /// `localhost` and addresses of this machine. [`HttpServer`] has the limits that keep slow
    /// clients from doing harm; another server needs its own.
    pub fn router(self) -> Router {
        serving::router(&Arc::new(Site {
            messaging: self.messaging,
            desk: Desk::new("outtray-dashboard", THREADS),
            back_desk: Desk::new("outtray-dashboard-lists", 1),
            shelf: Shelf::default(),
            hour: Hour::default(),
            sessions: Sessions::default(),
            token: self.token,
            is_read_only: self.is_read_only,
            hides_payloads: self.hides_payloads,
            prefix: self.prefix,
        }))
    }
}

/// A dashboard that serves. It ends when this is dropped.
pub struct RunningDashboard {
    address: SocketAddr,
    switch: StopSwitch,
    thread: Option<JoinHandle<()>>,
}

impl RunningDashboard {
    /// Returns where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Stops it: answers that are under way have two seconds to end. Dropping it does the same.
    pub fn stop(self) {}
}

impl Drop for RunningDashboard {
    fn drop(&mut self) {
        self.switch.stop(Stopping::Soon);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl fmt::Debug for RunningDashboard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RunningDashboard({})", self.address)
    }
}

/// Returns the address to listen on, which other machines may reach only if there is a token.
fn resolved(address: &str, has_token: bool) -> Result<SocketAddr> {
    let shown = address.escape_debug();
    let bad = |why: &str| {
        Error::invalid(format!(
            "\"{shown}\" is no address to listen on, write it as 127.0.0.1:9188: {why}"
        ))
    };
    let found = address.to_socket_addrs();
    let found = found.map_err(|error| bad(&error.to_string()))?.next();
    let found = found.ok_or_else(|| bad("it has no address"))?;
    if !has_token && !found.ip().to_canonical().is_loopback() {
        return Err(Error::invalid(format!(
            "other machines can reach {found}, and nobody would be asked who they are: \
             give the dashboard a token"
        )));
    }
    Ok(found)
}
