//! What is served where. Health is for everybody who can connect; the rest for those who know the
//! token, where there is one.

use crate::serve::http::backlogs::Backlogs;
use crate::serve::http::check::{Health, check};
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
use outtray::dashboard::{Desk, Shelf, StopSignal};
use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::join;

/// How long `/metrics` waits for the database. Prometheus waits for 10 s, unless told otherwise.
const METRICS_WITHIN: Duration = Duration::from_secs(3);
/// How long `/readyz` waits for it. Kubernetes waits for 1 s, unless told otherwise.
const READY_WITHIN: Duration = Duration::from_millis(800);

/// How long it is kept that the database answered, or did not.
const KEEP_CHECK: Duration = Duration::from_secs(1);
/// How long the numbers of topics are kept at least; and for so many times what it took to find
/// them, so that one part in twenty of the time is spent on asking at most, but no longer than
/// this.
const KEEP_NUMBERS: Duration = Duration::from_secs(2);
const SHARE: u32 = 20;
const KEEP_LONGEST: Duration = Duration::from_secs(60);
/// What they are on the shelf as.
const CHECK: &str = "check";
const NUMBERS: &str = "numbers";

const PLAIN_TEXT: &str = "text/plain; charset=utf-8";
/// Prometheus's text format.
const METRICS_TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// What pages are made of.
pub(crate) struct MachinePages {
    pub(crate) check: Desk,
    pub(crate) numbers: Desk,
    pub(crate) shelf: Shelf,
    pub(crate) backlogs: Mutex<Backlogs>,
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
    match health(&site, READY_WITHIN).await {
        Health::Ready => page(StatusCode::OK, PLAIN_TEXT, "ready\n".to_owned()),
        other => unready(other.text()),
    }
}

async fn metrics(State(site): State<Arc<MachinePages>>) -> Response {
    let ask = Arc::clone(&site);
    let asked = site.numbers.ask(METRICS_WITHIN, move || ask.find_numbers());
    let (health, _) = join!(health(&site, METRICS_WITHIN), asked);
    // Numbers that come late are those of the last time, as their age says. Those of a database
    // that is away say nothing of it.
    let last = site.shelf.last::<NumbersText>(NUMBERS);
    let last = last.filter(|(_, numbers)| health == Health::Ready && numbers.text.is_some());
    let age = last.as_ref().map(|(found_at, _)| found_at.elapsed());
    let mut text = site.metrics.text(&site.messaging, health, age);
    let numbers = last
        .as_ref()
        .and_then(|(_, numbers)| numbers.text.as_deref());
    text.push_str(numbers.unwrap_or_default());
    page(StatusCode::OK, METRICS_TEXT, text)
}

async fn health(site: &Arc<MachinePages>, within: Duration) -> Health {
    let ask = Arc::clone(site);
    let found = site.check.ask(within, move || {
        let find = || Ok::<_, Infallible>(check(&ask.messaging));
        ask.shelf
            .get(CHECK, |_| KEEP_CHECK, find)
            .map(|health| *health)
    });
    match found.await {
        Ok(Ok(health)) => health,
        Err(_) => Health::Away,
    }
}

/// The numbers of topics as text for Prometheus; `None` where they could not be had.
struct NumbersText {
    took: Duration,
    text: Option<String>,
}

impl MachinePages {
    /// Has the numbers of topics on the shelf.
    fn find_numbers(&self) {
        let kept = |numbers: &NumbersText| kept_for(numbers.took);
        let find = || {
            let begun = Instant::now();
            // What is known of topics is whole at any time.
            let mut backlogs = self.backlogs.lock().unwrap_or_else(PoisonError::into_inner);
            let text = backlogs.ask(&self.messaging);
            let took = begun.elapsed();
            Ok::<_, Infallible>(NumbersText { took, text })
        };
        let _ = self.shelf.get(NUMBERS, kept, find);
    }
}

/// Returns how long numbers are kept that took so long.
fn kept_for(took: Duration) -> Duration {
    KEEP_NUMBERS.max((took * SHARE).min(KEEP_LONGEST))
}

fn page(status: StatusCode, kind: &'static str, text: String) -> Response {
    let headers = [
        (CONTENT_TYPE, kind),
        (CACHE_CONTROL, "no-store"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    (status, headers, text).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_took_long_is_kept_longer() {
        for (took_ms, kept_ms) in [(1, 2_000), (100, 2_000), (500, 10_000), (9_000, 60_000)] {
            let took = Duration::from_millis(took_ms);
            assert_eq!(kept_for(took), Duration::from_millis(kept_ms));
        }
    }
}
