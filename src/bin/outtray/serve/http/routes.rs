//! What is served where. Health is for everybody who can connect; the rest for those who know the
//! token, where there is one.

use crate::serve::http::asker::{Asker, Found};
use crate::serve::http::check::Health;
use crate::serve::http::process::ProcessMetrics;
use crate::serve::listening::token::Gatekeeper;
use axum::Router;
use axum::extract::{Request, State};
use axum::http::header::{
    AUTHORIZATION, CACHE_CONTROL, CONNECTION, CONTENT_TYPE, WWW_AUTHENTICATE,
    X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderValue, StatusCode};
use axum::middleware::{Next, from_fn_with_state, map_response};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use outtray::Messaging;
use outtray::dashboard::StopSignal;
use std::sync::Arc;
use std::time::Duration;
use tokio::join;

/// How long `/metrics` waits for the database. Prometheus waits for 10 s, unless told otherwise.
const METRICS_WITHIN: Duration = Duration::from_secs(3);
/// How long `/readyz` waits for it. Kubernetes waits for 1 s, unless told otherwise.
const READY_WITHIN: Duration = Duration::from_millis(800);

const PLAIN_TEXT: &str = "text/plain; charset=utf-8";
/// Prometheus's text format.
const METRICS_TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// What pages are made of.
pub(crate) struct MachinePages {
    pub(crate) check: Asker<Health>,
    /// The numbers of topics as text for Prometheus; `None` where they could not be had.
    pub(crate) numbers: Asker<Option<String>>,
    pub(crate) metrics: ProcessMetrics,
    pub(crate) messaging: Messaging,
    pub(crate) guard: Gatekeeper,
    /// How the process is to stop, once it is.
    pub(crate) stopped: StopSignal,
}

/// Returns all routes.
pub(crate) fn router(site: Arc<MachinePages>) -> Router {
    let guarded = Router::new()
        .route("/metrics", get(metrics))
        .layer(from_fn_with_state(Arc::clone(&site), ask_for_token));
    Router::new()
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .merge(guarded)
        .layer(map_response(one_for_each_connection))
        .with_state(site)
}

/// Has the connection end with its answer: machines ask rarely, and are not to hold places.
async fn one_for_each_connection(mut answer: Response) -> Response {
    let close = HeaderValue::from_static("close");
    answer.headers_mut().insert(CONNECTION, close);
    answer
}

/// Lets those through who know the token, if there is one.
async fn ask_for_token(
    State(site): State<Arc<MachinePages>>,
    request: Request,
    next: Next,
) -> Response {
    if site.guard.has_token() {
        let header = request.headers().get(AUTHORIZATION);
        let header = header.and_then(|header| header.to_str().ok());
        if !site.guard.accepts_header(header) {
            let asks = [(WWW_AUTHENTICATE, "Bearer")];
            return (StatusCode::UNAUTHORIZED, asks, "a token is needed\n").into_response();
        }
    }
    next.run(request).await
}

/// The process lives, and its thread for HTTP does.
async fn healthz() -> Response {
    page(StatusCode::OK, PLAIN_TEXT, "alive\n".to_owned())
}

/// The process can do its work, and goes on with it.
async fn readyz(State(site): State<Arc<MachinePages>>) -> Response {
    let unready = |why: &str| {
        page(
            StatusCode::SERVICE_UNAVAILABLE,
            PLAIN_TEXT,
            format!("{why}\n"),
        )
    };
    if site.stopped.told().is_some() {
        return unready("stopping");
    }
    match health(site.check.ask(READY_WITHIN).await) {
        Health::Ready => page(StatusCode::OK, PLAIN_TEXT, "ready\n".to_owned()),
        other => unready(other.text()),
    }
}

async fn metrics(State(site): State<Arc<MachinePages>>) -> Response {
    let (check, numbers) = join!(
        site.check.ask(METRICS_WITHIN),
        site.numbers.ask(METRICS_WITHIN)
    );
    let health = health(check);
    // Numbers that come late are those of the last time, as their age says. Those of a database
    // that is away say nothing of it.
    let numbers = numbers.or_else(|| site.numbers.last());
    let numbers = numbers.filter(|_| health == Health::Ready);
    let numbers = numbers.filter(|numbers| numbers.what.is_some());
    let age = numbers.as_ref().map(|numbers| numbers.at.elapsed());
    let mut text = site.metrics.text(&site.messaging, health, age);
    text.push_str(
        numbers
            .iter()
            .find_map(|found| found.what.as_deref())
            .unwrap_or_default(),
    );
    page(StatusCode::OK, METRICS_TEXT, text)
}

fn health(found: Option<Arc<Found<Health>>>) -> Health {
    found.map_or(Health::Away, |found| found.what)
}

fn page(status: StatusCode, kind: &'static str, text: String) -> Response {
    let headers = [
        (CONTENT_TYPE, kind),
        (CACHE_CONTROL, "no-store"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    (status, headers, text).into_response()
}
