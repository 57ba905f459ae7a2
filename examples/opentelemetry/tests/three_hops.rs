//! Three hops through two processes are one trace, as a collector hears of it by OTLP.

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use outtray::testing::Server;
use prost::Message;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::Builder;
use std::time::{Duration, Instant};

/// What the page shows is what comes out here.
const PAGE: &str = include_str!("../../../docs/TRACING.md");
const PROGRAM: &str = include_str!("../src/main.rs");
const PATIENCE: Duration = Duration::from_secs(60);

/// A span, and the service that it is of.
struct Heard {
    service: String,
    span: Span,
}

/// Listens for spans by OTLP over HTTP; returns where, and what is heard.
fn collector() -> (String, Receiver<Heard>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let (tell, told) = channel();
    let listen = move || {
        for stream in listener.incoming() {
            let tell = tell.clone();
            start("connection", move || answer(&stream.unwrap(), &tell));
        }
    };
    start("collector", listen);
    (endpoint, told)
}

fn start(name: &str, run: impl FnOnce() + Send + 'static) {
    let named = Builder::new().name(name.to_owned());
    named.spawn(run).unwrap();
}

/// Answers the requests of one connection.
fn answer(stream: &TcpStream, tell: &Sender<Heard>) {
    let mut input = BufReader::new(stream);
    while let Some((path, body)) = request(&mut input) {
        assert_eq!(path, "/v1/traces");
        let exported = ExportTraceServiceRequest::decode(body.as_slice()).unwrap();
        for resource in exported.resource_spans {
            let service = service(&resource.resource.unwrap_or_default().attributes);
            for span in resource
                .scope_spans
                .into_iter()
                .flat_map(|scope| scope.spans)
            {
                let service = service.clone();
                let _ = tell.send(Heard { service, span });
            }
        }
        let mut output = stream;
        let head =
            "HTTP/1.1 200 OK\r\ncontent-type: application/x-protobuf\r\ncontent-length: 0\r\n\r\n";
        output.write_all(head.as_bytes()).unwrap();
    }
}

/// Reads a request: its path and its body.
fn request(input: &mut impl BufRead) -> Option<(String, Vec<u8>)> {
    let mut line = String::new();
    input.read_line(&mut line).ok()?;
    let path = line.split(' ').nth(1)?.to_owned();
    let mut length = 0;
    loop {
        line.clear();
        input.read_line(&mut line).ok()?;
        let Some((name, value)) = line.split_once(':') else {
            break;
        };
        if name.eq_ignore_ascii_case("content-length") {
            length = value.trim().parse().unwrap();
        }
    }
    let mut body = vec![0; length];
    input.read_exact(&mut body).ok()?;
    Some((path, body))
}

fn service(attributes: &[opentelemetry_proto::tonic::common::v1::KeyValue]) -> String {
    let name = attributes.iter().find(|one| one.key == "service.name");
    match name.and_then(|name| name.value.clone()?.value) {
        Some(Value::StringValue(name)) => name,
        other => panic!("no name of a service, but {other:?}"),
    }
}

/// A process of the example, killed when dropped.
struct Part(Child);

impl Part {
    fn start(name: &str, database: &str, endpoint: &str) -> Part {
        let mut command = Command::new(env!("CARGO_BIN_EXE_traced"));
        command
            .arg(name)
            .env("DATABASE_URL", database)
            .env("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint)
            .stderr(Stdio::piped());
        Part(command.spawn().unwrap())
    }

    /// Waits for its end; returns what it logged.
    fn end(mut self) -> String {
        let mut logged = String::new();
        let mut stderr = self.0.stderr.take().unwrap();
        stderr.read_to_string(&mut logged).unwrap();
        assert!(self.0.wait().unwrap().success(), "{logged}");
        logged
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn an_order_through_two_processes_is_one_trace() {
    let server = Server::start().unwrap();
    let database = server.database().unwrap();
    let (endpoint, told) = collector();

    let parts = ["billing", "shop"].map(|name| Part::start(name, &database, &endpoint));
    let logged = parts.map(Part::end);

    // Each process exports all that it has before it ends.
    let mut heard: Vec<Heard> = Vec::new();
    let until = Instant::now() + PATIENCE;
    let is_there = |heard: &[Heard], name: &str| heard.iter().any(|one| one.span.name == name);
    while !["checkout", "handle mails"]
        .iter()
        .all(|name| is_there(&heard, name))
    {
        let left = until.saturating_duration_since(Instant::now());
        heard.push(told.recv_timeout(left).expect("all spans are exported"));
    }
    heard.extend(told.try_iter());
    let chain = [
        ("shop", "checkout", SpanKind::Internal),
        ("shop", "send orders", SpanKind::Producer),
        ("billing", "handle orders", SpanKind::Consumer),
        ("billing", "send invoices", SpanKind::Producer),
        ("shop", "handle invoices", SpanKind::Consumer),
        ("shop", "send mails", SpanKind::Producer),
        ("billing", "handle mails", SpanKind::Consumer),
    ];
    let mut parent: Option<&Span> = None;
    for (service, name, kind) in chain {
        let mut found = heard.iter().filter(|one| one.span.name == name);
        let one = found.next().unwrap_or_else(|| panic!("no span {name}"));
        assert!(found.next().is_none(), "two spans {name}");
        assert_eq!(one.service, service, "{name}");
        assert_eq!(one.span.kind, kind as i32, "{name}");
        match parent {
            None => assert!(one.span.parent_span_id.is_empty()),
            Some(parent) => {
                assert_eq!(one.span.trace_id, parent.trace_id, "{name}");
                assert_eq!(one.span.parent_span_id, parent.span_id, "{name}");
            }
        }
        parent = Some(&one.span);
    }
    let mut tree = String::new();
    add(&mut tree, &heard, &heard_of(&heard, "checkout").span, 0);
    check_shown(&tree, "all spans of the trace");
    check_shown(&masked(&logged[1]), "what the shop logs");
}

fn heard_of<'h>(heard: &'h [Heard], name: &str) -> &'h Heard {
    let mut found = heard.iter().filter(|one| one.span.name == name);
    found.next().unwrap()
}

/// Writes a span and all below it, those that began first before the others.
fn add(tree: &mut String, heard: &[Heard], span: &Span, depth: usize) {
    let one = heard.iter().find(|one| one.span.span_id == span.span_id);
    let service = &one.unwrap().service;
    tree.push_str(&format!(
        "{service:<9}{}{}\n",
        "  ".repeat(depth),
        span.name
    ));
    let mut below: Vec<&Span> = heard
        .iter()
        .map(|one| &one.span)
        .filter(|one| one.parent_span_id == span.span_id)
        .collect();
    below.sort_by_key(|one| one.start_time_unix_nano);
    for one in below {
        add(tree, heard, one, depth + 1);
    }
}

/// Returns lines without their times and ids, which are others each time.
fn masked(lines: &str) -> String {
    let mask = |line: &str| {
        let (_, line) = line.split_once(' ').unwrap();
        let words = line
            .split_inclusive(' ')
            .map(|word| match word.split_once("message.id=") {
                Some((before, _)) => format!("{before}message.id=ID "),
                None => word.to_owned(),
            });
        format!("TIME {}\n", words.collect::<String>())
    };
    lines.lines().map(mask).collect()
}

#[track_caller]
fn check_shown(text: &str, what: &str) {
    let shown = PAGE.split("```text\n").skip(1);
    let mut shown = shown.filter_map(|block| block.split("```").next());
    assert!(
        shown.any(|block| block == text || block.starts_with("20") && masked(block) == text),
        "the page does not show {what}:\n{text}"
    );
}

#[test]
fn the_page_shows_the_program() {
    let (_, rest) = PROGRAM.split_once("/// Exports spans").unwrap();
    let (export, _) = rest.split_once("\n}\n").unwrap();

    check_shown(
        &format!("/// Exports spans{export}\n}}\n"),
        "how spans are exported",
    );
}
