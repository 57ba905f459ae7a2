//! What pages load besides themselves: a style sheet, and a script that refreshes parts of a page.
//!
//! Both are compiled in. Idiomorph is the work of others, and comes with its licence.

use crate::dashboard::frame::site::Site;
use axum::Router;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS};
use axum::response::IntoResponse;
use axum::routing::get;

struct Asset {
    path: &'static str,
    kind: &'static str,
    text: &'static str,
}

pub(crate) const STYLE: &str = "/assets/dashboard.css";
pub(crate) const SCRIPT: &str = "/assets/dashboard.js";
pub(crate) const MORPH: &str = "/assets/idiomorph.js";
const SCRIPT_KIND: &str = "text/javascript; charset=utf-8";

static ASSETS: [Asset; 4] = [
    Asset {
        path: STYLE,
        kind: "text/css; charset=utf-8",
        text: include_str!("assets/dashboard.css"),
    },
    Asset {
        path: SCRIPT,
        kind: SCRIPT_KIND,
        text: include_str!("assets/dashboard.js"),
    },
    Asset {
        path: MORPH,
        kind: SCRIPT_KIND,
        text: include_str!("assets/idiomorph.min.js"),
    },
    Asset {
        path: "/assets/idiomorph.LICENSE",
        kind: "text/plain; charset=utf-8",
        text: include_str!("assets/idiomorph.LICENSE"),
    },
];

/// Changes with any of the texts: an address with it is of this release's text for ever.
const MARK: u64 = mark(0xcbf2_9ce4_8422_2325, 0);

/// Mixes the bytes of all texts.
const fn mark(mut hash: u64, asset: usize) -> u64 {
    let texts = [
        include_str!("assets/dashboard.css").as_bytes(),
        include_str!("assets/dashboard.js").as_bytes(),
        include_str!("assets/idiomorph.min.js").as_bytes(),
    ];
    if asset == texts.len() {
        return hash;
    }
    let bytes = texts[asset];
    let mut at = 0;
    while at < bytes.len() {
        hash = (hash ^ bytes[at] as u64).wrapping_mul(0x0100_0000_01b3);
        at += 1;
    }
    mark(hash, asset + 1)
}

/// Returns the address of an asset, under which browsers keep it.
pub(crate) fn href(site: &Site, path: &str) -> String {
    format!("{}?v={MARK:016x}", site.path(path))
}

/// Returns their routes. They are for everybody, since the login page needs them.
pub(crate) fn router(site: &Site) -> Router {
    ASSETS.iter().fold(Router::new(), |router, asset| {
        let headers = [
            (CONTENT_TYPE, asset.kind),
            (CACHE_CONTROL, "public, max-age=31536000, immutable"),
            (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        ];
        let serves = get(move || async move { (headers, asset.text).into_response() });
        router.route(&site.path(asset.path), serves)
    })
}
