//! What a page and an action are given, and what they return.
//!
//! Both are plain functions on a thread that may wait for the database.

use crate::changes::operator::Operator;
use crate::dashboard::frame::site::Site;
use crate::surface::messaging::Messaging;
use crate::web::fields::{FormFields, address};
use crate::words::{Error, ErrorKind};
use maud::{Markup, html};
use std::any::Any;
use std::cell::Cell;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long a page waits for what takes long, all in all, before it does without it.
const PATIENCE: Duration = Duration::from_millis(80);
/// What is older is not shown in place of what is still being found.
const TOO_OLD: Duration = Duration::from_secs(600);

/// Who looks, and what they may do.
#[derive(Debug, Clone, Default)]
pub(crate) struct Visitor {
    /// The name given at login, if somebody is logged in.
    pub(crate) name: Option<String>,
    /// The number of the session, if there is one.
    pub(crate) session: Option<String>,
    /// What forms of this visitor have to have.
    pub(crate) csrf: String,
    /// Whether changes are allowed.
    pub(crate) may_change: bool,
    /// Where the request comes from.
    pub(crate) address: String,
    /// The look that was chosen: `light` or `dark`; otherwise the system's.
    pub(crate) theme: Option<&'static str>,
}

/// A request for a page.
pub(crate) struct View<'a> {
    pub(crate) site: &'a Arc<Site>,
    pub(crate) visitor: &'a Visitor,
    /// The path of the page, without the prefix.
    pub(crate) path: &'a str,
    /// The fields of the query.
    pub(crate) query: &'a FormFields,
    /// How long it still waits for what takes long.
    patience: Cell<Duration>,
    /// Whether the page has to do without something.
    lacks_something: Cell<bool>,
}

/// A request for a change, from a form.
pub(crate) struct ChangeForm<'a> {
    pub(crate) site: &'a Site,
    pub(crate) form: &'a FormFields,
    messaging: Messaging,
}

/// What a page shows.
pub(crate) enum Rendered {
    /// A page, without what is around it; the title is plain text.
    Page { title: String, content: Markup },
    /// A file to be kept, whatever is in it.
    Download { name: String, bytes: Vec<u8> },
}

/// A change that was made.
pub(crate) struct Done {
    /// What was done, for the person who did it and for the list of changes: a sentence without a
    /// full stop, with no content of a message.
    pub(crate) text: String,
    /// The topic that it is about, if it is about one.
    pub(crate) topic: Option<String>,
    /// The page to go to; that which the form names, if it names one.
    pub(crate) goes_to: Option<String>,
}

/// Why there is no page, or no change.
#[derive(Debug)]
pub(crate) enum PageTrouble {
    /// What was asked for is not there.
    NotFound(String),
    /// The request makes no sense: a sentence that says what is wrong with it.
    Bad(String),
    /// What the database said, or that it said nothing.
    Database(Error),
}

impl From<Error> for PageTrouble {
    fn from(error: Error) -> Self {
        match error.kind() {
            ErrorKind::Invalid => PageTrouble::Bad(error.to_string()),
            _ => PageTrouble::Database(error),
        }
    }
}

impl<'a> View<'a> {
    pub(crate) fn new(
        site: &'a Arc<Site>,
        visitor: &'a Visitor,
        path: &'a str,
        query: &'a FormFields,
    ) -> Self {
        View {
            site,
            visitor,
            path,
            query,
            patience: Cell::new(PATIENCE),
            lacks_something: Cell::new(false),
        }
    }

    pub(crate) fn messaging(&self) -> &Messaging {
        &self.site.messaging
    }

    /// Returns a field of the query that has to be there.
    pub(crate) fn needs(&self, name: &str) -> Result<&str, PageTrouble> {
        let missing = || PageTrouble::Bad(format!("the address lacks \"{name}\""));
        self.query.get(name).ok_or_else(missing)
    }

    /// Returns whether this visitor may change something. Forms are shown only then.
    pub(crate) fn may_change(&self) -> bool {
        self.visitor.may_change
    }

    /// Returns whether payloads, values of headers and keys are hidden.
    pub(crate) fn hides_payloads(&self) -> bool {
        self.site.hides_payloads
    }

    /// Returns the address of a page of the dashboard.
    pub(crate) fn href(&self, path: &str, fields: &[(&str, &str)]) -> String {
        address(&self.site.path(path), fields.iter().copied())
    }

    /// Returns the address of this page with one field of its query set, or taken away.
    pub(crate) fn here_with(&self, name: &str, value: Option<&str>) -> String {
        let fields = self.query.with(name, value);
        fields.address(&self.site.path(self.path))
    }

    /// Returns the address of this page.
    pub(crate) fn here(&self) -> String {
        self.query.address(&self.site.path(self.path))
    }

    /// Returns a form that asks for a change, and comes back to this page.
    pub(crate) fn form(&self, action: &str, hidden: &[(&str, &str)], content: Markup) -> Markup {
        html! {
            form method="post" action=(self.site.path(action)) {
                input type="hidden" name="csrf" value=(self.visitor.csrf);
                input type="hidden" name="back" value=(self.here());
                @for (name, value) in hidden {
                    input type="hidden" name=(name) value=(value);
                }
                (content)
            }
        }
    }

    /// Returns what is kept under this name, or finds it, and keeps it for this long.
    pub(crate) fn kept<T: Any + Send + Sync>(
        &self,
        name: &str,
        kept_for: Duration,
        find: impl FnOnce() -> Result<T, PageTrouble>,
    ) -> Result<Arc<T>, PageTrouble> {
        self.site.shelf.get(name, |_| kept_for, find)
    }

    /// Does the same with what may take longer than a page may. It is found on a thread of its own,
    /// for whoever looks next; where it takes too long, returns what was found before, or `None`.
    pub(crate) fn soon<T: Any + Send + Sync>(
        &self,
        name: &'static str,
        kept_for: fn(&T) -> Duration,
        find: impl FnOnce(&Site) -> Result<T, PageTrouble> + Send + 'static,
    ) -> Result<Option<Arc<T>>, PageTrouble> {
        if let Some(kept) = self.site.shelf.kept(name) {
            return Ok(Some(kept));
        }
        let (begun, site) = (Instant::now(), Arc::clone(self.site));
        let found = self.site.back_desk.begin(self.patience.get(), move || {
            site.shelf.get(name, kept_for, || find(&site))
        });
        let left = self.patience.get().saturating_sub(begun.elapsed());
        self.patience.set(left);
        if let Ok(found) = found {
            return found.map(Some);
        }
        let last = self.site.shelf.last(name);
        let last = last.filter(|(at, _)| at.elapsed() < TOO_OLD);
        if last.is_none() {
            self.lacks_something.set(true);
        }
        Ok(last.map(|(_, found)| found))
    }

    /// Says that the page does without something that is still being found, if it does. What the
    /// page shows has to be asked for before.
    pub(crate) fn lacks(&self) -> Markup {
        html! {
            div id="lacks" data-live {
                @if self.lacks_something.get() {
                    p.dim data-soon { "Some numbers are still being read. They are here in a moment." }
                }
            }
        }
    }
}

impl<'a> ChangeForm<'a> {
    pub(crate) fn new(site: &'a Site, visitor: &'a Visitor, form: &'a FormFields) -> Self {
        let name = visitor.name.as_deref().unwrap_or("a program");
        let operator = Operator::new(name).address(&visitor.address);
        ChangeForm {
            site,
            form,
            messaging: site.messaging.as_operator(operator),
        }
    }

    /// Returns what makes changes in the name of the visitor.
    pub(crate) fn messaging(&self) -> &Messaging {
        &self.messaging
    }

    /// Returns a field of the form that has to be there.
    pub(crate) fn needs(&self, name: &str) -> Result<&str, PageTrouble> {
        let missing = || PageTrouble::Bad(format!("the form lacks \"{name}\""));
        self.form.get(name).ok_or_else(missing)
    }

    /// Returns the address of a page of the dashboard, for [`Done::then`].
    pub(crate) fn href(&self, path: &str, fields: &[(&str, &str)]) -> String {
        address(&self.site.path(path), fields.iter().copied())
    }
}

impl Rendered {
    pub(crate) fn new(title: impl Into<String>, content: Markup) -> Rendered {
        Rendered::Page {
            title: title.into(),
            content,
        }
    }

    /// Returns a file. Its name keeps only letters, digits, dots, `-` and `_`.
    pub(crate) fn download(name: &str, bytes: Vec<u8>) -> Rendered {
        let is_plain = |c: &char| c.is_ascii_alphanumeric() || "._-".contains(*c);
        let name = name.chars().filter(is_plain).collect();
        Rendered::Download { name, bytes }
    }
}

impl Done {
    pub(crate) fn new(text: impl Into<String>) -> Done {
        Done {
            text: text.into(),
            topic: None,
            goes_to: None,
        }
    }

    /// Says which topic was changed.
    pub(crate) fn of(mut self, topic: &str) -> Done {
        self.topic = Some(topic.to_owned());
        self
    }

    /// Says which page to show next, where it is not the one that the form was on.
    pub(crate) fn then(mut self, address: String) -> Done {
        self.goes_to = Some(address);
        self
    }
}
