//! Clients that are slow, idle or hostile keep nobody from asking, and the process from ending.

use super::{Serving, answer};
use crate::support::eventually;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};

#[test]
fn hundreds_of_connections_that_say_nothing_keep_nobody_out_and_the_process_ends() {
    let serving = Serving::new();
    let mut idle: Vec<TcpStream> = (0..600).map(|_| serving.connect()).collect();
    for stream in idle.iter_mut().skip(400) {
        // It may have had to make room already.
        let _ = stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\nX-Slow: ");
    }
    for stream in &idle[550..] {
        let _ = stream.shutdown(Shutdown::Write);
    }

    assert_eq!(serving.get("/healthz").status, 200);
    assert_eq!(serving.get("/metrics").status, 200);

    // The first had to make room.
    let mut byte = [0];
    assert!(matches!(idle[0].read(&mut byte), Ok(0) | Err(_)));
    serving.signal("TERM");
    assert_eq!(serving.end(), Some(0));
}

#[test]
fn a_request_that_is_too_large_or_none_at_all_is_refused_and_closed() {
    let serving = Serving::new();
    let long = format!(
        "GET /healthz HTTP/1.1\r\nX-Long: {}\r\n\r\n",
        "x".repeat(20_000)
    );
    let many = format!("GET /healthz HTTP/1.1\r\n{}\r\n", "a: b\r\n".repeat(200));
    let path = format!("GET /{} HTTP/1.1\r\n\r\n", "x".repeat(70_000));
    for request in [long.as_str(), &many, &path, "\0\0\0\0\r\n\r\n", "x\r\n\r\n"] {
        let mut stream = serving.connect();
        // It may be refused before all of it was written.
        let _ = stream.write_all(request.as_bytes());
        let mut said = String::new();
        let _ = stream.read_to_string(&mut said);
        assert!(said.is_empty() || said.starts_with("HTTP/1.1 4"), "{said}");
    }
    // Two requests in one: the first is answered, and that is all.
    let one = "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n";
    let answered = serving.ask(&format!("{one}{one}"));
    assert_eq!((answered.status, answered.body.as_str()), (200, "alive\n"));
}

#[test]
fn who_takes_too_long_for_a_request_is_shown_out() {
    let serving = Serving::new();
    let mut slow = serving.connect();
    slow.write_all(b"GET /healthz HTTP/1.1\r\nHost: x\r\n")
        .unwrap();
    let mut said = String::new();

    // A byte now and then does not help.
    eventually("the connection is closed", || slow.write_all(b"a").is_err());

    let _ = slow.read_to_string(&mut said);
    assert!(!said.contains("HTTP/1.1 200"), "{said}");
    // One that only says nothing any more is answered.
    let mut half = serving.connect();
    half.write_all(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        .unwrap();
    half.shutdown(Shutdown::Write).unwrap();
    assert_eq!(answer(&mut half).status, 200);
}
