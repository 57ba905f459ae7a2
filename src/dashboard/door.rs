//! Who is let in, and what they may do.
//!
//! Without a token whoever reaches this machine may look, and nobody may change anything. With one,
//! a login makes a session, which a cookie names; a program shows the token in a header instead.

use crate::dashboard::frame::site::Site;
use crate::dashboard::frame::view::Visitor;
use crate::dashboard::layout::{self, refusal};
use crate::dashboard::requests::{query, read_form};
use crate::web::fields::{FormFields, address, is_local};
use crate::web::http_server::Peer;
use crate::web::provenance::{cookie, is_for_this_machine, is_from_own_page};
use crate::web::sessions::{LIFE, secret};
use crate::web::token::same;
use axum::extract::Request;
use axum::http::header::{AUTHORIZATION, LOCATION, SET_COOKIE};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::sleep;

const SESSION: &str = "outtray_session";
const LOGIN: &str = "outtray_login";
const THEME: &str = "outtray_theme";
/// How long the form for the token may be filled in.
const FORM_LIFE: Duration = Duration::from_secs(3600);
/// How long a wrong token is waited for, so that guessing takes its time.
const WRONG_TOKEN: Duration = Duration::from_millis(300);
/// The longest name that somebody may give at login, in characters.
const LONGEST_NAME: usize = 60;
/// The largest form here: a token and a name.
const MOST_FORM_BYTES: usize = 16 << 10;
/// What the script sends when it asks for the parts of a page that changed.
pub(crate) const REFRESHES: &str = "x-outtray-refresh";

/// Returns who asks, or the answer for those who are not let in.
pub(crate) fn admit(site: &Site, request: &Parts) -> Result<Visitor, Box<Response>> {
    let stranger = stranger(site, request)?;
    let Some(token) = &site.token else {
        return Ok(stranger);
    };
    let may_change = site.allows_changes();
    if let Some(id) = cookie(&request.headers, SESSION)
        && let Some(who) = site.sessions.find(id)
    {
        return Ok(Visitor {
            name: Some(who.name),
            session: Some(id.to_owned()),
            csrf: who.csrf,
            may_change,
            ..stranger
        });
    }
    let shown = request.headers.get(AUTHORIZATION);
    let shown = shown.and_then(|header| header.to_str().ok());
    // A browser sends a password again by itself, also for a form of another site.
    let bearer = shown.and_then(|header| header.split_once(' '));
    if let Some((scheme, shown)) = bearer
        && scheme.eq_ignore_ascii_case("bearer")
        && token.accepts(shown.trim())
    {
        return Ok(Visitor {
            name: Some("token".to_owned()),
            may_change,
            ..stranger
        });
    }
    if request.method == Method::GET && !request.headers.contains_key(REFRESHES) {
        let wanted = request.uri.path_and_query().map_or("", |uri| uri.as_str());
        let login = address(&site.path("/login"), [("back", wanted)]);
        return Err(Box::new(go_to(&login)));
    }
    let text = "Log in first: the session has ended, or there is none.";
    let page = refusal(site, &stranger, "Not logged in", text);
    Err(Box::new((StatusCode::UNAUTHORIZED, page).into_response()))
}

/// Returns what is known of somebody who is not logged in; refuses a request that was meant for
/// another host.
fn stranger(site: &Site, request: &Parts) -> Result<Visitor, Box<Response>> {
    let peer = request.extensions.get::<Peer>();
    let theme = match cookie(&request.headers, THEME) {
        Some("light") => Some("light"),
        Some("dark") => Some("dark"),
        _ => None,
    };
    let visitor = Visitor {
        address: peer.map_or_else(|| "unknown".to_owned(), |peer| peer.0.ip().to_string()),
        theme,
        ..Visitor::default()
    };
    if site.token.is_none() && !is_for_this_machine(&request.headers) {
        let text = "Without a token the dashboard answers only to names of its own machine: \
                    localhost, 127.0.0.1 or [::1].";
        let page = refusal(site, &visitor, "Another host was asked for", text);
        return Err(Box::new((StatusCode::FORBIDDEN, page).into_response()));
    }
    Ok(visitor)
}

/// Shows the form for the token.
pub(crate) async fn login_page(site: Arc<Site>, request: Request) -> Response {
    let (parts, _) = request.into_parts();
    match stranger(&site, &parts) {
        Ok(visitor) => ask_for_token(&site, &parts.headers, &visitor, &query(&parts.uri), None),
        Err(refused) => *refused,
    }
}

/// Logs in who knows the token.
pub(crate) async fn login(site: Arc<Site>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let visitor = match stranger(&site, &parts) {
        Ok(visitor) => visitor,
        Err(refused) => return *refused,
    };
    let form = match read_form(&parts.headers, body, MOST_FORM_BYTES).await {
        Ok(form) => form,
        Err(refused) => return refused.into_response(),
    };
    let shown = cookie(&parts.headers, LOGIN).unwrap_or_default();
    let sent = form.get("csrf").unwrap_or_default();
    if !is_from_own_page(&parts.headers) || shown.is_empty() || !same(shown, sent) {
        let why = "This form was too old, or not from this dashboard. Try again.";
        return ask_for_token(&site, &parts.headers, &visitor, &form, Some(why));
    }
    let name = form.get("name").unwrap_or_default().trim();
    if !is_name(name) {
        let why = "Give a name of 1 to 60 letters, digits, spaces and . _ - @ +: changes are listed with it.";
        return ask_for_token(&site, &parts.headers, &visitor, &form, Some(why));
    }
    let token = form.get("token").unwrap_or_default().trim();
    let is_right = site.token.as_ref().is_some_and(|own| own.accepts(token));
    if !is_right {
        tracing::info!("dashboard: a wrong token from {}", visitor.address);
        sleep(WRONG_TOKEN).await;
        return ask_for_token(
            &site,
            &parts.headers,
            &visitor,
            &form,
            Some("This is not the token."),
        );
    }
    let id = site.sessions.begin(name);
    let session = baked(&site, &parts.headers, SESSION, &id, LIFE, "Strict");
    let done = baked(&site, &parts.headers, LOGIN, "", Duration::ZERO, "Strict");
    let mut answer = go_to(&back(&site, &form));
    for cookie in [session, done] {
        if let Ok(cookie) = cookie.parse() {
            answer.headers_mut().append(SET_COOKIE, cookie);
        }
    }
    answer
}

/// Logs out.
pub(crate) async fn logout(site: Arc<Site>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let visitor = match admit(&site, &parts) {
        Ok(visitor) => visitor,
        Err(refused) => return *refused,
    };
    let form = match read_form(&parts.headers, body, MOST_FORM_BYTES).await {
        Ok(form) => form,
        Err(refused) => return refused.into_response(),
    };
    let is_own = same(&visitor.csrf, form.get("csrf").unwrap_or_default());
    if let Some(session) = visitor.session.as_ref().filter(|_| is_own) {
        site.sessions.end(session);
    }
    let gone = baked(&site, &parts.headers, SESSION, "", Duration::ZERO, "Strict");
    ([(SET_COOKIE, gone)], go_to(&site.path("/login"))).into_response()
}

/// Chooses a look, and comes back. Works without a script, and changes nothing here.
pub(crate) async fn choose_theme(site: Arc<Site>, request: Request) -> Response {
    let (parts, _) = request.into_parts();
    if let Err(refused) = stranger(&site, &parts) {
        return *refused;
    }
    let query = query(&parts.uri);
    let theme = match query.get("to") {
        Some("light") => "light",
        Some("dark") => "dark",
        _ => "",
    };
    let year = Duration::from_secs(365 * 24 * 3600);
    let cookie = baked(&site, &parts.headers, THEME, theme, year, "Lax");
    ([(SET_COOKIE, cookie)], go_to(&back(&site, &query))).into_response()
}

fn ask_for_token(
    site: &Site,
    headers: &HeaderMap,
    visitor: &Visitor,
    fields: &FormFields,
    flaw: Option<&str>,
) -> Response {
    let csrf = secret();
    let back = back(site, fields);
    let name = fields.get("name").unwrap_or_default();
    let page = layout::login(site, visitor, &csrf, &back, name, flaw);
    let cookie = baked(site, headers, LOGIN, &csrf, FORM_LIFE, "Strict");
    let status = match flaw {
        Some(_) => StatusCode::UNAUTHORIZED,
        None => StatusCode::OK,
    };
    (status, [(SET_COOKIE, cookie)], page).into_response()
}

/// Returns the page to go back to: one of this server.
pub(crate) fn back(site: &Site, fields: &FormFields) -> String {
    let wanted = fields.get("back").filter(|wanted| is_local(wanted));
    wanted.map_or_else(|| site.path("/"), ToOwned::to_owned)
}

/// Sends a browser to another page.
pub(crate) fn go_to(address: &str) -> Response {
    (StatusCode::SEE_OTHER, [(LOCATION, address.to_owned())]).into_response()
}

/// Returns a cookie. Behind a proxy that speaks TLS it is never sent in the clear.
fn baked(
    site: &Site,
    headers: &HeaderMap,
    name: &str,
    value: &str,
    life: Duration,
    same_site: &str,
) -> String {
    let by = headers.get("x-forwarded-proto");
    let secure = match by.is_some_and(|by| by == "https") {
        true => "; Secure",
        false => "",
    };
    let life = life.as_secs();
    let path = site.path("/");
    format!("{name}={value}; HttpOnly; SameSite={same_site}; Path={path}; Max-Age={life}{secure}")
}

fn is_name(name: &str) -> bool {
    let is_one = |c: char| c.is_alphanumeric() || " ._-@+".contains(c);
    (1..=LONGEST_NAME).contains(&name.chars().count()) && name.chars().all(is_one)
}
