//! What is around every page.

use crate::dashboard::assets::{MORPH, SCRIPT, STYLE, href};
use crate::dashboard::frame::parts::text;
use crate::dashboard::frame::site::Site;
use crate::dashboard::frame::view::Visitor;
use crate::web::fields::address;
use crate::web::sessions::Flash;
use axum::response::Html;
use maud::{DOCTYPE, Markup, html};

/// The pages that every page leads to: their paths, what they are called, and what other paths
/// belong to them.
const NAVIGATION: &[(&str, &str, &[&str])] = &[
    ("/", "Topics", &["/topic", "/settings"]),
    ("/messages", "Messages", &["/message"]),
    ("/dead", "Dead letters", &[]),
    #[cfg(feature = "cron")]
    ("/recurring", "Recurring", &[]),
    ("/processes", "Processes", &[]),
    ("/limits", "Limits", &[]),
    ("/changes", "Changes", &[]),
];

/// A picture of an out-tray, so that browsers ask for none.
const ICON: &str = "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'%3E%3Crect width='16' height='16' rx='3' fill='%231f6feb'/%3E%3Cpath d='M3 9h3l1 2h2l1-2h3v4H3zM8 2l3 3H9v3H7V5H5z' fill='%23fff'/%3E%3C/svg%3E";

/// What a page is put into.
pub(crate) struct Around<'a> {
    pub(crate) site: &'a Site,
    pub(crate) visitor: &'a Visitor,
    /// The path of the page, without the prefix.
    pub(crate) path: &'a str,
    /// The whole address of the page.
    pub(crate) here: &'a str,
    /// What is to be told on it.
    pub(crate) flashes: &'a [Flash],
}

impl Around<'_> {
    /// Returns the whole page.
    pub(crate) fn whole(&self, title: &str, content: &Markup) -> Html<String> {
        let (site, visitor, path) = (self.site, self.visitor, self.path);
        let body = html! {
            a.skip href="#content" { "Skip to content" }
            header.top {
                a.brand href=(site.path("/")) { "outtray" }
                nav aria-label="Pages" {
                    ul {
                        @for (target, name, below) in NAVIGATION {
                            @let is_here = *target == path || below.contains(&path);
                            li {
                                a href=(site.path(target)) aria-current=[is_here.then_some("page")] { (name) }
                            }
                        }
                    }
                }
                (controls(site, visitor, self.here))
            }
            @if !site.allows_changes() {
                p.notice { (read_only_reason(site)) }
            }
            main id="content" tabindex="-1" {
                @for flash in self.flashes {
                    p.flash.error[flash.is_error] role=(if flash.is_error { "alert" } else { "status" }) {
                        (text(&flash.text))
                    }
                }
                (content)
            }
        };
        document(site, visitor, title, body)
    }
}

fn read_only_reason(site: &Site) -> Markup {
    html! {
        @if site.is_read_only {
            "This dashboard only shows."
        } @else {
            "Read-only: changes need a token (" code { "--token-file" } ")."
        }
    }
}

/// What a visitor chooses about the dashboard itself.
fn controls(site: &Site, visitor: &Visitor, here: &str) -> Markup {
    html! {
        div.controls {
            // The script shows it: without one nothing is refreshed.
            button type="button" id="updates" hidden aria-pressed="false" { "Pause updates" }
            (themes(site, visitor, here))
            @if let Some(name) = &visitor.name {
                span.who { (text(name)) }
            }
            @if visitor.session.is_some() {
                form method="post" action=(site.path("/logout")) {
                    input type="hidden" name="csrf" value=(visitor.csrf);
                    button type="submit" { "Log out" }
                }
            }
        }
    }
}

/// Links that choose light, dark, or what the system has.
fn themes(site: &Site, visitor: &Visitor, here: &str) -> Markup {
    let to = |theme: &str| address(&site.path("/theme"), [("to", theme), ("back", here)]);
    let choices = [
        ("auto", None),
        ("light", Some("light")),
        ("dark", Some("dark")),
    ];
    html! {
        ul.themes aria-label="Colours" {
            @for (name, theme) in choices {
                li {
                    a href=(to(name)) rel="nofollow" aria-current=[(theme == visitor.theme).then_some("true")] { (name) }
                }
            }
        }
    }
}

/// Returns a page that says why a request was refused.
pub(crate) fn refusal(site: &Site, visitor: &Visitor, title: &str, why: &str) -> Html<String> {
    let body = html! {
        main.alone id="content" {
            h1 { (title) }
            p { (why) }
            p { a href=(site.path("/")) { "To the dashboard" } }
        }
    };
    document(site, visitor, title, body)
}

/// Returns the page that asks for the token.
pub(crate) fn login(
    site: &Site,
    visitor: &Visitor,
    csrf: &str,
    back: &str,
    name: &str,
    flaw: Option<&str>,
) -> Html<String> {
    let body = html! {
        main.alone id="content" {
            h1 { "Log in" }
            @if let Some(flaw) = flaw {
                p.flash.error role="alert" { (flaw) }
            }
            form.stacked method="post" action=(site.path("/login")) {
                input type="hidden" name="csrf" value=(csrf);
                input type="hidden" name="back" value=(back);
                label for="name" { "Your name" }
                input id="name" name="name" value=(name) required maxlength="60" autocomplete="username" aria-describedby="name-help";
                p.help id="name-help" { "Changes are listed with it." }
                label for="token" { "Token" }
                input id="token" name="token" type="password" required autocomplete="current-password" aria-describedby="token-help";
                p.help id="token-help" { "What is in the token file of the server, or what the program was given." }
                button.primary type="submit" { "Log in" }
            }
        }
    };
    document(site, visitor, "Log in", body)
}

fn document(site: &Site, visitor: &Visitor, title: &str, body: Markup) -> Html<String> {
    let title = crate::dashboard::frame::parts::plain(title);
    let whole = html! {
        (DOCTYPE)
        html lang="en" data-theme=[visitor.theme] {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta name="robots" content="noindex";
                title { (title) " · outtray" }
                link rel="icon" href=(ICON);
                link rel="stylesheet" href=(href(site, STYLE));
                script src=(href(site, MORPH)) defer {}
                script src=(href(site, SCRIPT)) defer {}
            }
            body { (body) }
        }
    };
    Html(whole.into_string())
}
