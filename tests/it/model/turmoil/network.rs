//! A network between processes and the server that can be cut, stall, and fall silent.

use crate::support::{Relay, spawn};
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant};

/// When the server learns of a client that is gone and whose connection is lost, as its keepalives
/// tell in a network. Those of a socket of this machine tell nothing, since the relay lives. Later
/// than what living clients find by themselves is to be found.
const TOLD_BY_KEEPALIVES: Duration = Duration::from_secs(10);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Weather {
    Clear,
    /// What is said arrives when it is over.
    Stalled,
    /// What is said is lost, and so are the connections, which nobody learns of.
    Silent,
}

struct Sky {
    weather: Weather,
    /// Connections that are older than this never speak again, and stay open.
    lost_before: u64,
    made: u64,
    open: Vec<TcpStream>,
    is_over: bool,
}

/// A relay to a server. Ends when it is dropped.
pub(super) struct Network {
    relay: Relay,
    sky: Arc<(Mutex<Sky>, Condvar)>,
}

impl Network {
    /// Puts a relay before the server of `url`.
    pub(super) fn before(url: &str) -> Network {
        let sky = Arc::new((
            Mutex::new(Sky {
                weather: Weather::Clear,
                lost_before: 0,
                made: 0,
                open: Vec::new(),
                is_over: false,
            }),
            Condvar::new(),
        ));
        let carried = Arc::clone(&sky);
        let relay = Relay::before(url, move |client, server| carry(client, server, &carried));
        Network { relay, sky }
    }

    /// Returns the URL by way of the relay.
    pub(super) fn url(&self) -> &str {
        self.relay.url()
    }

    /// Breaks all connections.
    pub(super) fn cut(&self) {
        for connection in sky_of(&self.sky).open.drain(..) {
            let _ = connection.shutdown(Shutdown::Both);
        }
    }

    pub(super) fn stall(&self) {
        self.become_weather(Weather::Stalled);
    }

    pub(super) fn fall_silent(&self) {
        self.become_weather(Weather::Silent);
    }

    pub(super) fn clear_up(&self) {
        self.become_weather(Weather::Clear);
    }

    fn become_weather(&self, weather: Weather) {
        let mut sky = sky_of(&self.sky);
        if sky.weather == Weather::Silent || weather == Weather::Silent {
            sky.lost_before = sky.made;
        }
        sky.weather = weather;
        self.sky.1.notify_all();
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        sky_of(&self.sky).is_over = true;
        self.sky.1.notify_all();
        self.cut();
    }
}

fn sky_of(sky: &(Mutex<Sky>, Condvar)) -> MutexGuard<'_, Sky> {
    sky.0.lock().unwrap()
}

fn carry(client: TcpStream, server: SocketAddr, sky: &Arc<(Mutex<Sky>, Condvar)>) {
    let Ok(server) = TcpStream::connect(server) else {
        // The server is down: refused, as it would be without a relay.
        return;
    };
    let number = {
        let mut sky = sky_of(sky);
        sky.open.push(client.try_clone().unwrap());
        sky.open.push(server.try_clone().unwrap());
        sky.made += 1;
        sky.made
    };
    let ways = [
        (client.try_clone().unwrap(), server.try_clone().unwrap()),
        (server, client),
    ];
    for (from, to) in ways {
        let sky = Arc::clone(sky);
        spawn("relay", move || relay(from, to, number, &sky));
    }
}

/// Carries what one side says to the other as the weather allows.
fn relay(mut from: TcpStream, mut to: TcpStream, number: u64, sky: &(Mutex<Sky>, Condvar)) {
    let mut buffer = vec![0; 1 << 16];
    while let Ok(length @ 1..) = from.read(&mut buffer) {
        let mut now = sky_of(sky);
        while now.weather == Weather::Stalled && !now.is_over {
            now = sky.1.wait(now).unwrap();
        }
        if now.is_over {
            break;
        }
        let is_lost = now.weather == Weather::Silent || number <= now.lost_before;
        drop(now);
        if !is_lost && to.write_all(&buffer[..length]).is_err() {
            break;
        }
    }
    let is_lost = number <= sky_of(sky).lost_before;
    if is_lost {
        await_keepalives(sky);
    }
    let _ = to.shutdown(Shutdown::Both);
    let _ = from.shutdown(Shutdown::Both);
}

/// Waits until the weather has been clear for so long that keepalives told, or all is over.
fn await_keepalives((sky, changed): &(Mutex<Sky>, Condvar)) {
    let mut now = sky.lock().unwrap();
    let mut told_at = Instant::now() + TOLD_BY_KEEPALIVES;
    loop {
        if now.weather != Weather::Clear {
            told_at = Instant::now() + TOLD_BY_KEEPALIVES;
        }
        let left = told_at.saturating_duration_since(Instant::now());
        if now.is_over || left.is_zero() {
            return;
        }
        now = changed.wait_timeout(now, left).unwrap().0;
    }
}
