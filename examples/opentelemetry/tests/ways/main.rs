//! However messages are sent and handled, the handler's span knows the span that sent them.

mod handling;
mod sending;
mod without;

use opentelemetry::Context;
use opentelemetry::trace::{SpanContext, TraceContextExt, TracerProvider};
use opentelemetry_sdk::trace::{InMemorySpanExporter, SdkTracerProvider, SpanData};
use outtray::testing::Server;
use outtray::{Message, Messaging, MessagingSession};
use std::sync::OnceLock;
use std::time::{Duration, Instant};
use tracing::{Level, info_span};
use tracing_opentelemetry::OpenTelemetrySpanExt;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

const PATIENCE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);

/// What all tests share: a database, and where spans are exported to.
struct World {
    _server: Server,
    url: String,
    messaging: Messaging,
    spans: InMemorySpanExporter,
    _provider: SdkTracerProvider,
}

fn world() -> &'static World {
    static WORLD: OnceLock<World> = OnceLock::new();
    WORLD.get_or_init(|| {
        let spans = InMemorySpanExporter::default();
        let provider = SdkTracerProvider::builder()
            .with_simple_exporter(spans.clone())
            .build();
        let layer = tracing_opentelemetry::layer().with_tracer(provider.tracer("ways"));
        let looked_at = Targets::new()
            .with_target("outtray", Level::DEBUG)
            .with_target("ways", Level::INFO);
        tracing_subscriber::registry()
            .with(layer.with_filter(looked_at))
            .init();
        let server = Server::start().unwrap();
        let url = server.database().unwrap();
        let messaging = Messaging::connect(&url).unwrap();
        World {
            _server: server,
            url,
            messaging,
            spans,
            _provider: provider,
        }
    })
}

fn messaging() -> &'static Messaging {
    &world().messaging
}

/// Returns the ended spans of this name.
fn spans(name: &str) -> Vec<SpanData> {
    let all = world().spans.get_finished_spans().unwrap();
    all.into_iter().filter(|span| span.name == name).collect()
}

/// Returns the one span of this name.
#[track_caller]
fn span(name: &str) -> SpanData {
    let mut spans = spans(name);
    assert_eq!(spans.len(), 1, "{name}: {spans:?}");
    spans.remove(0)
}

/// Runs some work within a span of the caller's, and returns which that is, too.
fn within<T>(work: impl FnOnce() -> T) -> (SpanContext, T) {
    let span = info_span!("caller");
    let context = context_of(&span.context());
    (context, span.in_scope(work))
}

fn context_of(context: &Context) -> SpanContext {
    context.span().span_context().clone()
}

#[track_caller]
fn check_child(child: &SpanData, parent: &SpanContext) {
    assert_eq!(
        child.span_context.trace_id(),
        parent.trace_id(),
        "{child:?}"
    );
    assert_eq!(child.parent_span_id, parent.span_id(), "{child:?}");
}

/// Writes a span as a header does.
fn written(context: &SpanContext) -> String {
    format!("00-{}-{}-01", context.trace_id(), context.span_id())
}

/// Drains a topic; returns the messages.
fn drained(topic: &str) -> Vec<Message> {
    let mut messages = Vec::new();
    let handler = |_: &mut MessagingSession<'_>, message: Message| {
        messages.push(message);
        Ok(())
    };
    messaging().drain(topic, handler).unwrap();
    messages
}

#[track_caller]
fn eventually(what: &str, is_so: impl Fn() -> bool) {
    let until = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < until, "{what} did not happen");
        std::thread::yield_now();
        std::thread::park_timeout(Duration::from_millis(10));
    }
}
