//! From a request to a page or a change, and back.

use crate::dashboard::assets;
use crate::dashboard::door::{self, REFRESHES, admit, back, go_to};
use crate::dashboard::frame::site::Site;
use crate::dashboard::frame::view::{ChangeForm, Done, PageTrouble, Rendered, View, Visitor};
use crate::dashboard::layout::{Around, refusal};
use crate::dashboard::pages::{ACTIONS, Action, PAGES, Page};
use crate::dashboard::requests::{query, read_form};
use crate::web::desk::NoAnswer;
use crate::web::fields::FormFields;
use crate::web::provenance::is_from_own_page;
use crate::web::sessions::Flash;
use crate::web::token::same;
use crate::words::ErrorKind;
use crate::words::error::chain;
use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::header::{
    CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY,
    X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::middleware::map_response;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use std::sync::Arc;
use std::time::Duration;

/// How long a page waits for the database.
const PAGE_WITHIN: Duration = Duration::from_secs(3);
/// How long a change is waited for. It goes on after that.
const CHANGE_WITHIN: Duration = Duration::from_secs(10);
/// The largest form: an edited payload, in the longest way to write it.
const MOST_FORM_BYTES: usize = 8 << 20;

const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
    connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'";

/// Returns all routes of the dashboard.
pub(crate) fn router(site: &Arc<Site>) -> Router {
    let mut router = Router::new();
    for page in PAGES {
        let own = Arc::clone(site);
        let shows = get(move |request: Request| show(own, page, request));
        router = router.route(&site.path(page.path), shows);
    }
    for action in ACTIONS {
        let own = Arc::clone(site);
        let changes = post(move |request: Request| change(own, action, request));
        router = router.route(&site.path(action.path), changes);
    }
    if !site.prefix.is_empty() {
        let front = site.path("/");
        router = router.route(&site.prefix, get(move || async move { go_to(&front) }));
    }
    let (theme, asked, login, logout) = (site.clone(), site.clone(), site.clone(), site.clone());
    router
        .route(
            &site.path("/login"),
            get(move |request: Request| door::login_page(asked, request))
                .post(move |request: Request| door::login(login, request)),
        )
        .route(
            &site.path("/logout"),
            post(move |request: Request| door::logout(logout, request)),
        )
        .route(
            &site.path("/theme"),
            get(move |request: Request| door::choose_theme(theme, request)),
        )
        .layer(map_response(guarded))
        .merge(assets::router(site))
}

/// Adds what keeps browsers from doing more with a page than showing it.
async fn guarded(mut answer: Response) -> Response {
    const POLICIES: [(HeaderName, &str); 7] = [
        (CONTENT_SECURITY_POLICY, POLICY),
        (CACHE_CONTROL, "no-store"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (X_FRAME_OPTIONS, "DENY"),
        // With less, browsers do not say which page a form comes from.
        (REFERRER_POLICY, "same-origin"),
        (
            HeaderName::from_static("cross-origin-opener-policy"),
            "same-origin",
        ),
        (
            HeaderName::from_static("cross-origin-resource-policy"),
            "same-origin",
        ),
    ];
    for (name, value) in POLICIES {
        let value = HeaderValue::from_static(value);
        answer.headers_mut().insert(name, value);
    }
    answer
}

async fn show(site: Arc<Site>, page: &'static Page, request: Request) -> Response {
    let (parts, _) = request.into_parts();
    let visitor = match admit(&site, &parts) {
        Ok(visitor) => visitor,
        Err(refused) => return *refused,
    };
    let query = query(&parts.uri);
    let (own, visits, asked) = (Arc::clone(&site), visitor.clone(), query.clone());
    let made = site.desk.ask(PAGE_WITHIN, move || {
        (page.show)(&View::new(&own, &visits, page.path, &asked))
    });
    let (status, shown) = match made.await {
        Ok(Ok(shown)) => (StatusCode::OK, shown),
        Ok(Err(trouble)) => explained(&trouble),
        Err(why) => explained_silence(why),
    };
    let (title, content) = match shown {
        Rendered::Page { title, content } => (title, content),
        Rendered::Download { name, bytes } => return download(&name, bytes),
    };
    let flashes = match &visitor.session {
        Some(id) if !parts.headers.contains_key(REFRESHES) => site.sessions.told(id),
        _ => Vec::new(),
    };
    let here = query.address(&site.path(page.path));
    let around = Around {
        site: &site,
        visitor: &visitor,
        path: page.path,
        here: &here,
        flashes: &flashes,
    };
    (status, around.whole(&title, &content)).into_response()
}

/// Has a browser keep something as a file, and show nothing of it.
fn download(name: &str, bytes: Vec<u8>) -> Response {
    let headers = [
        (CONTENT_TYPE, "application/octet-stream".to_owned()),
        (
            CONTENT_DISPOSITION,
            format!("attachment; filename=\"{name}\""),
        ),
    ];
    (headers, bytes).into_response()
}

async fn change(site: Arc<Site>, action: &'static Action, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let (visitor, form) = match allowed(&site, &parts.headers, admit(&site, &parts), body).await {
        Ok(allowed) => allowed,
        Err(refused) => return *refused,
    };
    let (own, visits, fields) = (Arc::clone(&site), visitor.clone(), form.clone());
    let made = site.desk.ask(CHANGE_WITHIN, move || {
        let done = (action.act)(&ChangeForm::new(&own, &visits, &fields));
        if let Ok(done) = &done {
            own.shelf.clear();
            note(action, &visits, done);
        }
        done
    });
    let made = match made.await {
        Ok(Ok(done)) => Ok(done),
        Ok(Err(trouble)) => Err(said(&trouble)),
        Err(NoAnswer::Late) => Err(
            "The database did not answer in time. The change may be made all the same: look again."
                .to_owned(),
        ),
        Err(_) => Err("The change failed in the dashboard: see the log of its process.".to_owned()),
    };
    answered(&site, &visitor, &form, made)
}

/// Returns who asks for a change, and the form; or the answer for those who may not.
async fn allowed(
    site: &Site,
    headers: &HeaderMap,
    visitor: Result<Visitor, Box<Response>>,
    body: Body,
) -> Result<(Visitor, FormFields), Box<Response>> {
    let visitor = visitor?;
    let refuse = |title: &str, text: &str| {
        let page = refusal(site, &visitor, title, text);
        Box::new((StatusCode::FORBIDDEN, page).into_response())
    };
    if !is_from_own_page(headers) {
        let text = "The form was on a page of another site. Nothing was changed.";
        return Err(refuse("Refused", text));
    }
    if site.is_read_only {
        let text = "This dashboard only shows. It was started so: --read-only, or read_only() in a program.";
        return Err(refuse("Read-only", text));
    }
    if site.token.is_none() {
        let text = "Changes need a token, so that it is known who made them. Start outtray serve with \
                    --token-file FILE, or give the program's Dashboard a token, and log in.";
        return Err(refuse("Read-only", text));
    }
    let form = read_form(headers, body, MOST_FORM_BYTES).await;
    let form = form.map_err(|refused| Box::new(refused.into_response()))?;
    // A program shows the token with each request, which no other site can have a browser do.
    let is_browser = visitor.session.is_some();
    if is_browser && !same(&visitor.csrf, form.get("csrf").unwrap_or_default()) {
        let text = "The form was too old, or not from this dashboard. Nothing was changed. Go back, reload, try again.";
        return Err(refuse("Refused", text));
    }
    Ok((visitor, form))
}

/// Keeps who changed what.
fn note(action: &Action, visitor: &Visitor, done: &Done) {
    let name = visitor.name.as_deref().unwrap_or_default();
    let (address, path) = (&visitor.address, action.path);
    let topic = done.topic.as_deref().unwrap_or_default();
    tracing::info!(
        name,
        address,
        path,
        topic,
        "dashboard: {name} from {address}: {}",
        done.text
    );
}

/// Returns to the page that the form was on, and says there what became of it. A program is told at
/// once.
fn answered(
    site: &Site,
    visitor: &Visitor,
    form: &FormFields,
    made: Result<Done, String>,
) -> Response {
    let (text, is_error, goes_to) = match made {
        Ok(done) => (done.text, false, done.goes_to),
        Err(text) => (text, true, None),
    };
    let Some(id) = &visitor.session else {
        let status = match is_error {
            true => StatusCode::CONFLICT,
            false => StatusCode::OK,
        };
        return (status, format!("{text}\n")).into_response();
    };
    site.sessions.tell(id, Flash { text, is_error });
    go_to(&goes_to.unwrap_or_else(|| back(site, form)))
}

/// Returns a page that says why there is none.
fn explained(trouble: &PageTrouble) -> (StatusCode, Rendered) {
    let (status, title) = match trouble {
        PageTrouble::NotFound(_) => (StatusCode::NOT_FOUND, "Not found"),
        PageTrouble::Bad(_) => (StatusCode::BAD_REQUEST, "Not understood"),
        PageTrouble::Database(_) => (
            StatusCode::SERVICE_UNAVAILABLE,
            "The database is in trouble",
        ),
    };
    (status, trouble_page(title, &said(trouble)))
}

fn explained_silence(why: NoAnswer) -> (StatusCode, Rendered) {
    let (title, text) = match why {
        NoAnswer::Late => (
            "The database does not answer",
            format!("It was waited for for {} s.", PAGE_WITHIN.as_secs()),
        ),
        NoAnswer::Broken => (
            "The page broke",
            "Making it panicked: see the log of the dashboard's process.".to_owned(),
        ),
        NoAnswer::NoThread => (
            "The page broke",
            "The system has no room for a thread.".to_owned(),
        ),
    };
    (StatusCode::SERVICE_UNAVAILABLE, trouble_page(title, &text))
}

fn trouble_page(title: &str, text: &str) -> Rendered {
    let content = maud::html! {
        h1 { (title) }
        p.trouble { (crate::dashboard::frame::parts::text(text)) }
    };
    Rendered::new(title, content)
}

fn said(trouble: &PageTrouble) -> String {
    match trouble {
        PageTrouble::NotFound(text) | PageTrouble::Bad(text) => text.clone(),
        PageTrouble::Database(error) if error.kind() == ErrorKind::Unavailable => {
            format!("The database does not answer: {}.", chain(error))
        }
        PageTrouble::Database(error) => format!("{}.", chain(error)),
    }
}
