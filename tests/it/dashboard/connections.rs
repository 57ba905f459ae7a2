//! Many browsers, slow ones, and those that say nothing.

use super::{Place, Visit};
use crate::support::{PATIENCE, eventually};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::thread;

fn connect(visit: &Visit) -> TcpStream {
    let stream = TcpStream::connect(visit.address()).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

fn request(visit: &Visit, more: &str) -> String {
    format!("GET / HTTP/1.1\r\nHost: {}\r\n{more}\r\n", visit.address())
}

/// Reads until a whole page has come.
fn read_page(stream: &mut TcpStream) -> String {
    let (mut text, mut piece) = (String::new(), [0; 4096]);
    while !text.contains("</html>") {
        let length = stream.read(&mut piece).unwrap();
        assert!(length > 0, "{text}");
        text.push_str(&String::from_utf8_lossy(&piece[..length]));
    }
    text
}

#[test]
fn a_browser_may_ask_again_on_its_connection_and_a_silent_one_is_shown_out() {
    let place = Place::new();
    let visit = Visit::new(&place.messaging);
    let mut stream = connect(&visit);

    for _ in 0..3 {
        stream.write_all(request(&visit, "").as_bytes()).unwrap();
        assert!(read_page(&mut stream).starts_with("HTTP/1.1 200"));
    }

    // Then it says nothing any more.
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).unwrap();
    assert!(rest.is_empty());
}

#[test]
fn two_hundred_at_once_are_all_answered_beside_slow_and_silent_ones() {
    let place = Place::new();
    place.send("orders", &1);
    let mut visit = Visit::new(&place.messaging);
    // These hold places, and say nothing or half of something.
    let mut idle: Vec<TcpStream> = (0..40).map(|_| connect(&visit)).collect();
    for stream in idle.iter_mut().skip(20) {
        stream
            .write_all(b"GET / HTTP/1.1\r\nHost: x\r\nX-Slow: ")
            .unwrap();
    }

    thread::scope(|scope| {
        let asks = (0..200).map(|_| {
            scope.spawn(|| {
                let mut stream = connect(&visit);
                let close = "Connection: close\r\n";
                stream.write_all(request(&visit, close).as_bytes()).unwrap();
                let mut text = String::new();
                stream.read_to_string(&mut text).unwrap();
                text
            })
        });
        let asks: Vec<_> = asks.collect();
        for ask in asks {
            let text = ask.join().unwrap();
            assert!(
                text.starts_with("HTTP/1.1 200") && text.contains("orders"),
                "{text}"
            );
        }
    });
    eventually("the slow ones are shown out", || {
        idle.iter_mut()
            .all(|stream| stream.write_all(b"a").is_err())
    });
    assert!(visit.page("/").contains("orders"));
}
