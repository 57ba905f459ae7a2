//! Servers of a list that say nothing cost the others no connect timeout, and names that are moved
//! are followed, also while the server that was there still answers.

use super::failover::{started, twin};
use crate::support::{
    Child, PATIENCE, Tunnel, aside, carry_all, next, server, spawn, test_name, unshare,
};
use crossbeam_channel::{Receiver as Told, unbounded};
use outtray::{Message, Messaging};
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::Write as _;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::time::{Duration, Instant};
use std::{env, process};

/// Returns the URL of a list: `first` before the host of `url`.
fn list(first: SocketAddr, url: &str) -> String {
    let (credentials, place) = url.rsplit_once('@').unwrap();
    format!("{credentials}@{first},{place}")
}

/// Takes so many sessions, one inside the other: each has a new connection.
fn nest(messaging: &Messaging, depth: usize) {
    if depth > 0 {
        let nested = messaging.session(|session| {
            session.query_one("SELECT 1", &[])?;
            nest(messaging, depth - 1);
            Ok(())
        });
        nested.unwrap();
    }
}

#[test]
fn a_first_host_that_says_nothing_does_not_cost_each_new_connection_a_timeout() {
    // The kernel accepts, and nobody answers: as a frozen server.
    let mute = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = list(mute.local_addr().unwrap(), &server().database().unwrap());

    let started = Instant::now();
    let messaging = Messaging::connect(&url).unwrap();
    nest(&messaging, 12);

    // With a second or two for each it would be half a minute.
    assert!(
        started.elapsed() < Duration::from_secs(12),
        "{:?}",
        started.elapsed()
    );
}

#[test]
fn hosts_that_say_nothing_do_not_keep_a_list_from_being_tried_to_its_end() {
    let mute = [(); 3].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
    let mut url = server().database().unwrap();
    for mute in &mute {
        url = list(mute.local_addr().unwrap(), &url);
    }

    let started = Instant::now();
    Messaging::connect(&url).unwrap();

    // One after the other they would take half a minute, a second each four.
    assert!(
        started.elapsed() < Duration::from_secs(3),
        "{:?}",
        started.elapsed()
    );
}

/// In the child: a name that leads to what its own file of hosts says.
const NAME: &str = "primary.outtray-test";
const HOSTS: &str = "OUTTRAY_TEST_HOSTS";
const URL: &str = "OUTTRAY_TEST_URL";

fn point(hosts: &Path, at: &str) {
    let mut text = fs::read_to_string("/etc/hosts").unwrap_or_default();
    let _ = writeln!(text, "\n{at} {NAME}");
    // The same file, which is mounted: not another one of its name.
    let mut file = File::options()
        .write(true)
        .truncate(true)
        .open(hosts)
        .unwrap();
    file.write_all(text.as_bytes()).unwrap();
}

/// Starts this program where [`NAME`] is known: with a mount of its own over the file of hosts.
fn child_with(hosts: &Path, url: &str, test: &str) -> Option<Child> {
    let mut program = unshare(&["--mount"])?;
    let script = format!("mount --bind \"${HOSTS}\" /etc/hosts && exec \"$0\" \"$@\"");
    program.args(["sh", "-c", &script]);
    program.arg(env::current_exe().unwrap());
    program.env(HOSTS, hosts).env(URL, url);
    Some(Child::start(program, test, "follow"))
}

/// Carries connections from `address` to the server of `url`.
fn stand_at(address: SocketAddr, url: &str) {
    let config: postgres::Config = url.parse().unwrap();
    let server = SocketAddr::from(([127, 0, 0, 1], config.get_ports()[0]));
    let listener = TcpListener::bind(address).unwrap();
    spawn("relay", move || {
        for client in listener.incoming() {
            let (client, server) = (client.unwrap(), TcpStream::connect(server).unwrap());
            carry_all(client.try_clone().unwrap(), server.try_clone().unwrap());
            carry_all(server, client);
        }
    });
}

/// In the child: tells what it receives, and sends on.
fn follow() {
    let messaging = Messaging::connect(&env::var(URL).unwrap()).unwrap();
    let receiver =
        messaging.start_receiving_messages("jobs", |session, message: Message<String>| {
            session.send_message("done", &message.payload)?;
            Child::tell(&message.payload);
            Ok(())
        });
    let receiver = receiver.unwrap();
    Child::tell("ready");
    Child::await_parent();
    receiver.stop(PATIENCE);
}

#[test]
fn a_name_that_is_moved_is_followed_while_the_server_that_was_there_still_answers() {
    if Child::role().is_some() {
        return follow();
    }
    let (one, other) = (started(), started());
    let url = one.database().unwrap();
    let other_url = twin(&url, &other);
    let before = Messaging::connect(&url).unwrap();
    let after = Messaging::connect(&other_url).unwrap();
    // The same port at two addresses of this machine.
    let free = TcpListener::bind("127.0.0.2:0").unwrap();
    let port = free.local_addr().unwrap().port();
    drop(free);
    stand_at(SocketAddr::from(([127, 0, 0, 2], port)), &url);
    stand_at(SocketAddr::from(([127, 0, 0, 3], port)), &other_url);
    let hosts = env::temp_dir().join(format!("outtray-hosts-{}", process::id()));
    fs::write(&hosts, "").unwrap();
    point(&hosts, "127.0.0.2");
    let (credentials, rest) = url.rsplit_once('@').unwrap();
    let (_, database) = rest.split_once('/').unwrap();
    let url = format!("{credentials}@{NAME}:{port}/{database}?sslmode=disable");
    let Some(mut child) = child_with(
        &hosts,
        &url,
        test_name!(a_name_that_is_moved_is_followed_while_the_server_that_was_there_still_answers),
    ) else {
        return;
    };
    assert_eq!(child.listen(), "ready");
    before
        .session(|session| Ok(session.send_message("jobs", "before")?))
        .unwrap();
    assert_eq!(child.listen(), "before");

    point(&hosts, "127.0.0.3");
    after
        .session(|session| Ok(session.send_message("jobs", "after")?))
        .unwrap();

    let moved = Instant::now();
    let (tell, told) = unbounded();
    child.pass_on(tell);
    assert_eq!(next(&told, 1), ["after"]);
    assert!(
        moved.elapsed() < super::BACK_FROM_ANYTHING,
        "{:?}",
        moved.elapsed()
    );
    fs::remove_file(&hosts).unwrap();
}

#[test]
fn a_server_that_is_silent_is_left_as_soon_as_another_one_is_found_at_its_place() {
    let (one, other) = (started(), started());
    let url = one.database().unwrap();
    let other_url = twin(&url, &other);
    let tunnel = Tunnel::to(&url);
    let messaging = Messaging::connect(tunnel.url()).unwrap();
    let (tell, told): (_, Told<String>) = unbounded();
    let receiver = messaging
        .start_receiving_messages("jobs", move |_, message: Message<String>| {
            Ok(tell.send(message.payload)?)
        });
    let receiver = receiver.unwrap();
    let send = |messaging: &Messaging, text: &'static str| {
        messaging.session(|session| Ok(session.send_message("jobs", text)?))
    };
    send(&messaging, "before").unwrap();
    assert_eq!(next(&told, 1), ["before"]);

    // Connections that are there say nothing any more, new ones lead to the other.
    tunnel.lead_to(&other_url);
    tunnel.heal_forgetful();
    let caller = messaging.clone();
    let ended = aside(move || caller.session(|session| Ok(session.send_message("jobs", "x")?)));
    let moved = Instant::now();
    send(&Messaging::connect(&other_url).unwrap(), "after").unwrap();

    assert!(next(&told, 1)[0] != "before");
    assert!(
        moved.elapsed() < super::BACK_FROM_ANYTHING,
        "{:?}",
        moved.elapsed()
    );
    let _ = ended.recv_timeout(PATIENCE).unwrap();
    receiver.stop(PATIENCE);
}
