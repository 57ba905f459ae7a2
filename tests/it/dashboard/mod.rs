//! The dashboard, as browsers and those who would misuse them see it.

mod away;
mod browser;
mod connections;
mod dead;
mod hostile;
mod limits;
mod messages;
mod mounted;
mod overview;
mod processes;
mod security;
mod topic;

use crate::support::{PATIENCE, Place, eventually};
use outtray::dashboard::{Dashboard, Token};
use outtray::{Messaging, Position};
use std::any::Any;
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

const TOKEN: &str = "0123456789abcdef";
/// The mark of a page that lacks something which is still being read.
const SOON: &str = "data-soon";

/// A dashboard, and a browser that looks at it.
struct Visit {
    address: SocketAddr,
    /// What ends when it is dropped.
    _server: Box<dyn Any + Send + Sync>,
    cookies: BTreeMap<String, String>,
}

/// What was answered.
#[derive(Debug)]
struct Answer {
    status: u16,
    head: String,
    body: String,
}

impl Visit {
    /// Starts a dashboard without a token.
    fn new(messaging: &Messaging) -> Visit {
        Visit::with(Dashboard::new(messaging))
    }

    /// Starts a dashboard with a token, and logs in.
    fn logged_in(messaging: &Messaging) -> Visit {
        let mut visit = Visit::with(Dashboard::new(messaging).token(token()));
        visit.log_in();
        visit
    }

    fn with(dashboard: Dashboard) -> Visit {
        let running = dashboard.start("127.0.0.1:0").unwrap();
        Visit::at(running.address(), running)
    }

    /// Looks at what serves there.
    fn at(address: SocketAddr, server: impl Any + Send + Sync) -> Visit {
        Visit {
            address,
            _server: Box::new(server),
            cookies: BTreeMap::new(),
        }
    }

    #[track_caller]
    fn log_in(&mut self) {
        let page = self.get("/login");
        let csrf = page.csrf();
        let fields = [("csrf", csrf.as_str()), ("name", "Ada"), ("token", TOKEN)];
        let answer = self.post("/login", &fields);
        assert_eq!(answer.status, 303, "{answer:?}");
        assert!(self.cookies.contains_key("outtray_session"));
    }

    fn address(&self) -> SocketAddr {
        self.address
    }

    fn get(&mut self, path: &str) -> Answer {
        self.ask("GET", path, &[], "")
    }

    /// Returns a page that is there, once it has all its numbers.
    #[track_caller]
    fn page(&mut self, path: &str) -> String {
        let mut page = String::new();
        eventually("the page has all its numbers", || {
            let answer = self.get(path);
            assert_eq!(answer.status, 200, "{path}: {answer:?}");
            page = answer.body;
            !page.contains(SOON)
        });
        page
    }

    /// Sends a form as its page does.
    fn post(&mut self, path: &str, fields: &[(&str, &str)]) -> Answer {
        let form = ("Content-Type", "application/x-www-form-urlencoded");
        self.ask("POST", path, &[form], &encoded(fields))
    }

    /// Sends a form with the mark of a page that this visitor sees, and returns the page after it.
    #[track_caller]
    fn change(&mut self, path: &str, fields: &[(&str, &str)]) -> String {
        let csrf = self.get("/").csrf();
        let mut all = vec![("csrf", csrf.as_str())];
        all.extend(fields);
        let answer = self.post(path, &all);
        assert_eq!(answer.status, 303, "{answer:?}");
        let next = answer.header("location").unwrap().to_owned();
        self.page(&next)
    }

    fn ask(&mut self, verb: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        let host = self.address().to_string();
        let mut all = vec![("Host", host.as_str())];
        all.retain(|(name, _)| !headers.iter().any(|(own, _)| own == name));
        all.extend(headers);
        let cookies = self.cookies.iter();
        let cookies: Vec<String> = cookies
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        let mut request = format!("{verb} {path} HTTP/1.1\r\nConnection: close\r\n");
        for (name, value) in all {
            request.push_str(&format!("{name}: {value}\r\n"));
        }
        if !cookies.is_empty() {
            request.push_str(&format!("Cookie: {}\r\n", cookies.join("; ")));
        }
        request.push_str(&format!("Content-Length: {}\r\n\r\n{body}", body.len()));
        let mut stream = TcpStream::connect(self.address()).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        // It may be refused before all of it was written.
        let _ = stream.write_all(request.as_bytes());
        let mut text = Vec::new();
        stream.read_to_end(&mut text).unwrap();
        let text = String::from_utf8(text).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").expect("an answer has a head");
        let answer = Answer {
            status: head.split(' ').nth(1).unwrap().parse().unwrap(),
            head: head.to_owned(),
            body: body.to_owned(),
        };
        self.keep_cookies(&answer);
        answer
    }

    fn keep_cookies(&mut self, answer: &Answer) {
        for line in answer.head.lines() {
            let Some((name, value)) = line.split_once(": ") else {
                continue;
            };
            if name.eq_ignore_ascii_case("set-cookie") {
                let (name, value) = value.split(';').next().unwrap().split_once('=').unwrap();
                self.cookies.insert(name.to_owned(), value.to_owned());
            }
        }
    }
}

impl Answer {
    fn header(&self, name: &str) -> Option<&str> {
        let lines = self.head.lines().filter_map(|line| line.split_once(": "));
        let mut mine = lines.filter(|(own, _)| own.eq_ignore_ascii_case(name));
        mine.next().map(|(_, value)| value)
    }

    /// Returns the mark that forms of the page have; empty where there is no form.
    fn csrf(&self) -> String {
        let begin = "name=\"csrf\" value=\"";
        let rest = self.body.split_once(begin).map(|(_, rest)| rest);
        let value = rest.and_then(|rest| rest.split('"').next());
        value.unwrap_or_default().to_owned()
    }
}

fn token() -> Token {
    Token::new(TOKEN).unwrap()
}

/// Returns fields as a browser sends them.
fn encoded(fields: &[(&str, &str)]) -> String {
    let escaped = |text: &str| -> String {
        text.bytes()
            .map(|byte| match byte {
                b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' => char::from(byte).to_string(),
                byte => format!("%{byte:02X}"),
            })
            .collect()
    };
    let pairs = fields.iter();
    let pairs: Vec<String> = pairs
        .map(|(name, value)| format!("{}={}", escaped(name), escaped(value)))
        .collect();
    pairs.join("&")
}

/// Returns a page without its markup, each tag a line break.
fn text_of_page(page: &str) -> String {
    let mut text = String::new();
    for piece in page.split('<') {
        text.push_str(piece.split_once('>').map_or(piece, |(_, rest)| rest));
        text.push('\n');
    }
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    lines.collect::<Vec<_>>().join("\n").replace('\u{202f}', "")
}

/// Returns the cells of the row of a table that has this text in its first cell.
#[track_caller]
fn row_of(page: &str, first: &str) -> Vec<String> {
    let row = page.split("<tr>").find(|row| {
        let cell = row.split("</td>").next().unwrap_or_default();
        text_of_page(cell).lines().any(|line| line == first)
    });
    let row = row.unwrap_or_else(|| panic!("no row of {first} in {page}"));
    let cells = row
        .split("</td>")
        .map(|cell| text_of_page(cell).replace('\n', " "));
    cells.collect()
}

/// Makes the log `ledger` of five entries, none of which its reader `billing` has read.
fn fill_log(place: &Place) {
    let ledger = place.messaging.topic("ledger");
    ledger.configure(crate::log::log()).unwrap();
    let reader = place
        .messaging
        .reader("ledger", "billing")
        .from(Position::Start);
    reader
        .start(|_, _: &[outtray::Message<i32>]| Ok(()))
        .unwrap()
        .stop(PATIENCE);
    place.send_all("ledger", 0..5);
}
