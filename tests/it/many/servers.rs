//! Two servers in one process: one that is lost, or stands still, takes nothing from the work on
//! the other.

use super::job;
use crate::support::{Frozen, PATIENCE, aside, next, send, telling};
use outtray::Messaging;
use outtray::testing::Server;
use std::time::{Duration, Instant};

/// What a message takes at most on a busy machine; a call that waits for the other server takes
/// longer, or for ever.
const SOON: Duration = Duration::from_secs(10);

struct TwoServers {
    lost: Server,
    here: Messaging,
    there: Messaging,
    _other: Server,
}

fn two_servers() -> TwoServers {
    let [lost, other] = [(), ()].map(|()| Server::builder().always_embedded().start().unwrap());
    let connect = |server: &Server| {
        let url = server.database().unwrap();
        let messaging = Messaging::builder()
            .url(&url)
            .notice_silence(Duration::from_secs(2));
        messaging.connect().unwrap()
    };
    let (here, there) = (connect(&other), connect(&lost));
    TwoServers {
        lost,
        here,
        there,
        _other: other,
    }
}

/// Sends and handles on the server that is there, and starts receivers and connects anew; each step
/// is done soon.
#[track_caller]
fn check_full_work(messaging: &Messaging) {
    let (receiver, told) = telling::<i32>(messaging.receiver("jobs"));
    for number in 0..50 {
        let began = Instant::now();
        send(messaging, "jobs", &number);
        assert_eq!(next(&told, 1), [number]);
        let took = began.elapsed();
        assert!(took < SOON, "message {number} took {took:?}");
    }
    let began = Instant::now();
    assert_eq!(receiver.stop(PATIENCE).abandoned, 0);
    let answer = messaging.topic("jobs").stats().unwrap();
    assert_eq!(answer.ready, 0);
    let took = began.elapsed();
    assert!(took < SOON, "the end took {took:?}");
}

#[test]
fn a_server_that_stands_still_takes_nothing_from_the_work_on_another() {
    let servers = two_servers();
    let (receiver, told) = telling::<i32>(servers.there.receiver("jobs"));
    servers.there.send(job(1)).unwrap();
    assert_eq!(next(&told, 1), [1]);

    let frozen = Frozen::server(&servers.lost);
    let there = servers.there.clone();
    // A burst of sessions, of which each waits for the server.
    let waiting: Vec<_> = (0..8)
        .map(|_| {
            let there = there.clone();
            aside(move || there.send(job(2)).is_ok())
        })
        .collect();
    check_full_work(&servers.here);
    drop(frozen);

    for sent in waiting {
        sent.recv_timeout(2 * PATIENCE).expect("each send ends");
    }
    servers.there.send(job(3)).unwrap();
    while next(&told, 1) != [3] {}
    receiver.stop(PATIENCE);
}

#[test]
fn a_server_that_is_gone_takes_nothing_from_the_work_on_another() {
    let servers = two_servers();
    let (receiver, told) = telling::<i32>(servers.there.receiver("jobs"));
    servers.there.send(job(1)).unwrap();
    assert_eq!(next(&told, 1), [1]);

    drop(Frozen::server(&servers.lost).doomed());
    check_full_work(&servers.here);
    check_full_work(&servers.here);

    // All that runs for the lost one ends all the same.
    let began = Instant::now();
    receiver.stop(PATIENCE);
    drop((receiver, servers.there));
    let took = began.elapsed();
    assert!(took < PATIENCE, "{took:?}");
    check_full_work(&servers.here);
}
