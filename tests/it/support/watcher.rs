//! What this process tells those who watch it: log lines and spans. All tests of a process share
//! it: each looks for topics of its own.
//!
//! Whatever is told is looked through for values that must be in none of it, in every test: the
//! password of the server, and [`CANARY`]; and spans have no fields but those that are known, with
//! values of their kinds. Whatever else is told ends the process at once.

use log::{Log, Metadata, Record};
use outtray::MessageId;
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt::{self, Write};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, Once, OnceLock};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record as Recorded};
use tracing::{Event, Level, Metadata as About, Subscriber};

/// What nothing that is told may have in it, in whatever case. No table, column or topic is named
/// like that.
pub(crate) const CANARY: &str = "canary";

/// A span, with its fields as texts, and its parent if that is kept, too.
#[derive(Debug, Clone)]
pub(crate) struct SeenSpan {
    pub(crate) name: &'static str,
    pub(crate) level: Level,
    pub(crate) fields: BTreeMap<&'static str, String>,
    pub(crate) parent: Option<u64>,
    pub(crate) id: u64,
}

static KEEPS_LINES: AtomicBool = AtomicBool::new(false);
static LINES: Mutex<Vec<(log::Level, String)>> = Mutex::new(Vec::new());
static TOPICS: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());
static SPANS: OnceLock<Mutex<HashMap<u64, SeenSpan>>> = OnceLock::new();
static NEXT: AtomicU64 = AtomicU64::new(1);
static PASSWORD: OnceLock<String> = OnceLock::new();

thread_local! {
    static CURRENT: RefCell<Vec<u64>> = const { RefCell::new(Vec::new()) };
}

/// Watches from now on all that this process tells, at every level.
pub(crate) fn watch(url: &str) {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let login = url
            .split_once("//")
            .and_then(|(_, rest)| rest.split_once('@'));
        if let Some((_, password)) = login.and_then(|(login, _)| login.split_once(':')) {
            PASSWORD.get_or_init(|| password.to_owned());
        }
        let watcher = Watcher { on_leak: abort };
        tracing::subscriber::set_global_default(watcher).expect("nobody else watches");
        log::set_logger(&OtherLines).expect("nobody else keeps the log");
        log::set_max_level(log::LevelFilter::Info);
    });
}

fn abort(told: &str) {
    eprintln!("a value was told: {told}");
    std::process::abort();
}

/// Keeps from now on what is logged.
pub(crate) fn keep_log() {
    KEEPS_LINES.store(true, Ordering::Relaxed);
}

/// Returns the lines that have `part` in them, with their levels.
pub(crate) fn logged(part: &str) -> Vec<(log::Level, String)> {
    let lines = LINES.lock().unwrap();
    let found = lines.iter().filter(|(_, line)| line.contains(part));
    found.cloned().collect()
}

/// Keeps from now on the spans with this destination.
pub(crate) fn keep_spans(topic: &str) {
    TOPICS.lock().unwrap().insert(topic.to_owned());
}

/// Returns the spans of a topic with this name, in the order in which they were made.
pub(crate) fn spans(name: &str, topic: &str) -> Vec<SeenSpan> {
    let kept = kept().lock().unwrap();
    let is_of = |span: &&SeenSpan| span.name == name && span.fields[DESTINATION] == topic;
    let mut spans: Vec<SeenSpan> = kept.values().filter(is_of).cloned().collect();
    spans.sort_by_key(|span| span.id);
    spans
}

const DESTINATION: &str = "messaging.destination.name";

fn kept() -> &'static Mutex<HashMap<u64, SeenSpan>> {
    SPANS.get_or_init(Mutex::default)
}

fn is_leak(text: &str) -> bool {
    let has_password = |password: &String| text.contains(password.as_str());
    text.to_lowercase().contains(CANARY) || PASSWORD.get().is_some_and(has_password)
}

/// Sees all that the library tells, and says when that is what nobody may be told.
pub(crate) struct Watcher {
    pub(crate) on_leak: fn(&str),
}

/// Returns whether a field of a span is what it may be.
fn is_known(name: &str, value: &str) -> bool {
    let is_word = |sign: char| sign.is_ascii_alphabetic() || sign == '_';
    match name {
        // Topics are names, and texts of errors are their own business.
        DESTINATION | "messaging.consumer.group.name" => true,
        "otel.name" | "otel.status_description" => true,
        "messaging.message.id" => value.parse::<MessageId>().is_ok(),
        "messaging.batch.message_count" | "outtray.message.attempt" => value.parse::<u32>().is_ok(),
        "messaging.system" | "messaging.operation.name" | "messaging.operation.type" => {
            value.chars().all(is_word)
        }
        "otel.kind" | "otel.status_code" | "outtray.round" | "error.type" => {
            value.chars().all(is_word)
        }
        _ => false,
    }
}

impl Watcher {
    fn look_at_span(&self, fields: &Fields) {
        let is_wrong = |(name, value): (&&str, &String)| !is_known(name, value) || is_leak(value);
        if fields.0.iter().any(is_wrong) {
            (self.on_leak)(&format!("in a span: {:?}", fields.0));
        }
    }

    fn look(&self, about: &About<'_>, fields: &Fields) {
        if fields.0.values().any(|value| is_leak(value)) {
            (self.on_leak)(&format!("{}: {:?}", about.target(), fields.0));
        }
    }
}

impl Subscriber for Watcher {
    fn enabled(&self, about: &About<'_>) -> bool {
        about.target().starts_with("outtray")
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        let mut fields = Fields::default();
        span.record(&mut fields);
        self.look_at_span(&fields);
        let id = NEXT.fetch_add(1, Ordering::Relaxed);
        let topic = fields.0.get(DESTINATION);
        if topic.is_some_and(|topic| TOPICS.lock().unwrap().contains(topic)) {
            let seen = SeenSpan {
                name: span.metadata().name(),
                level: *span.metadata().level(),
                fields: fields.0,
                parent: CURRENT.with_borrow(|current| current.last().copied()),
                id,
            };
            kept().lock().unwrap().insert(id, seen);
        }
        Id::from_u64(id)
    }

    fn record(&self, span: &Id, values: &Recorded<'_>) {
        let mut fields = Fields::default();
        values.record(&mut fields);
        self.look_at_span(&fields);
        if let Some(seen) = kept().lock().unwrap().get_mut(&span.into_u64()) {
            seen.fields.extend(fields.0);
        }
    }

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let about = event.metadata();
        self.look(about, &fields);
        if *about.level() <= Level::DEBUG && KEEPS_LINES.load(Ordering::Relaxed) {
            let message = fields.0.remove("message").unwrap_or_default();
            let line = format!("{}: {message}", about.target());
            LINES.lock().unwrap().push((level(*about.level()), line));
        }
    }

    fn enter(&self, span: &Id) {
        CURRENT.with_borrow_mut(|current| current.push(span.into_u64()));
    }

    fn exit(&self, span: &Id) {
        CURRENT.with_borrow_mut(|current| current.retain(|id| *id != span.into_u64()));
    }
}

fn level(level: Level) -> log::Level {
    match level {
        Level::ERROR => log::Level::Error,
        Level::WARN => log::Level::Warn,
        Level::INFO => log::Level::Info,
        Level::DEBUG => log::Level::Debug,
        Level::TRACE => log::Level::Trace,
    }
}

/// Fields as texts.
#[derive(Default)]
struct Fields(BTreeMap<&'static str, String>);

impl Visit for Fields {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name(), value.to_owned());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let mut text = String::new();
        write!(text, "{value:?}").expect("a text takes all");
        self.0.insert(field.name(), text);
    }
}

/// Keeps what others log, such as the driver. At lower levels the driver shows values.
struct OtherLines;

impl Log for OtherLines {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.level() <= log::Level::Info
    }

    fn log(&self, record: &Record<'_>) {
        if self.enabled(record.metadata()) && KEEPS_LINES.load(Ordering::Relaxed) {
            let line = format!("{}: {}", record.target(), record.args());
            LINES.lock().unwrap().push((record.level(), line));
        }
    }

    fn flush(&self) {}
}
