//! The pages and the changes: a file for each subject, a line for each address.
//!
//! A page is a function that is given a [`View`] and returns what to show. A change is a function
//! that is given a [`ChangeForm`] and returns a sentence that says what was done; whether the
//! visitor may ask for it was checked before. Both run on a thread that may wait for the database.

mod changes;
mod dead;
mod edited;
mod charts;
mod limits;
mod message;
mod messages;
mod overview;
mod payload;
#[cfg(feature = "cron")]
mod recurring;
mod processes;
mod settings;
mod topic;
mod topic_lists;

use crate::dashboard::frame::view::{ChangeForm, Done, PageTrouble, Rendered, View};

/// A page, and where it is.
pub(crate) struct Page {
    pub(crate) path: &'static str,
    pub(crate) show: fn(&View<'_>) -> Result<Rendered, PageTrouble>,
}

/// A change, and where its form is sent to.
pub(crate) struct Action {
    pub(crate) path: &'static str,
    pub(crate) act: fn(&ChangeForm<'_>) -> Result<Done, PageTrouble>,
}

/// All pages. Those that every page leads to are in the navigation of `dashboard/layout`, too.
pub(crate) static PAGES: &[Page] = &[
    page("/", overview::show),
    page("/changes", changes::show),
    page("/dead", dead::show),
    page("/limits", limits::show),
    page("/message", message::show),
    page("/message/payload", message::download),
    page("/messages", messages::show),
    #[cfg(feature = "cron")]
    page("/recurring", recurring::show),
    page("/processes", processes::show),
    page("/settings", settings::show),
    page("/topic", topic::show),
];

/// All changes.
pub(crate) static ACTIONS: &[Action] = &[
    action("/dead/edit", dead::edit),
    action("/dead/purge", dead::purge),
    action("/dead/purge-all", dead::purge_all),
    action("/dead/redrive", dead::redrive),
    action("/dead/redrive-all", dead::redrive_all),
    action("/messages/cancel", messages::cancel),
    action("/messages/run-now", messages::run_now),
    #[cfg(feature = "cron")]
    action("/recurring/pause", recurring::pause),
    #[cfg(feature = "cron")]
    action("/recurring/remove", recurring::remove),
    #[cfg(feature = "cron")]
    action("/recurring/resume", recurring::resume),
    #[cfg(feature = "cron")]
    action("/recurring/run", recurring::run),
    action("/settings/save", settings::save),
    action("/topic/pause", topic::pause),
    action("/topic/purge", topic::purge),
    action("/topic/resume", topic::resume),
];

const fn page(path: &'static str, show: fn(&View<'_>) -> Result<Rendered, PageTrouble>) -> Page {
    Page { path, show }
}

const fn action(
    path: &'static str,
    act: fn(&ChangeForm<'_>) -> Result<Done, PageTrouble>,
) -> Action {
    Action { path, act }
}
