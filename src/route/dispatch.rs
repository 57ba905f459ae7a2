//! One message on its way through the table.

use crate::observe::fields::told;
use crate::route::handlers::PreparedRoute;
use crate::route::versions::version_of;
use crate::route::{NoMatch, Otherwise, Route, Router};
use crate::session::messaging_session::MessagingSession;
use crate::words::envelope::{MESSAGE_TYPE, SCHEMA_VERSION};
use crate::words::incoming::Incoming;
use crate::words::{HandlerError, Result};
use std::borrow::Cow;
use std::fmt;

impl Router {
    /// Runs the handlers of a message. The router was checked.
    pub(crate) fn route(
        &self,
        session: &mut MessagingSession<'_>,
        message: &Incoming<'_>,
    ) -> Result<(), HandlerError> {
        let name = message.message_type().unwrap_or_default();
        let matching = self.matching(name);
        let each = || matching.iter().map(|&at| &self.routes[at]);
        let version = match each().any(|route| !route.versions.are_all()) {
            true => version_of(message.headers).ok_or_else(|| without_version(name))?,
            false => 0,
        };
        let taking = each().filter(|route| route.versions.contains(version));
        let prepared = taking
            .map(|route| route.prepare(message))
            .collect::<Result<Vec<_>, _>>()?;
        if prepared.is_empty() {
            let version = (!matching.is_empty()).then_some(version);
            return self.miss(session, message, &Unmatched { name, version });
        }
        for (route, run) in prepared {
            run(session).map_err(|error| error.of_route(&route.name))?;
        }
        Ok(())
    }

    /// Returns the routes of a type, in the order in which they were added.
    fn matching(&self, name: &str) -> Cow<'_, [usize]> {
        match self.plain.get(name) {
            Some(routes) => Cow::Borrowed(routes),
            None => Cow::Owned(self.found(name)),
        }
    }

    /// Does what is to be done with a message that no route takes.
    fn miss(
        &self,
        session: &mut MessagingSession<'_>,
        message: &Incoming<'_>,
        unmatched: &Unmatched<'_>,
    ) -> Result<(), HandlerError> {
        match &self.otherwise {
            Some(Otherwise::Handler(handler)) => {
                let prepared = handler.prepare(message);
                let run = prepared.map_err(HandlerError::undecodable)?;
                run(session)
            }
            Some(Otherwise::Policy(NoMatch::Ignore)) => {
                let (topic, id) = (message.topic, message.id);
                tracing::debug!(
                    topic = told(&topic),
                    message_id = told(&id),
                    "topic {topic}: message {id} is acked unhandled: {unmatched}"
                );
                Ok(())
            }
            Some(Otherwise::Policy(NoMatch::DeadLetter)) | None => {
                Err(HandlerError::reject(unmatched.to_string()))
            }
        }
    }
}

impl Route {
    /// Decodes a message for its handler.
    fn prepare<'r>(
        &'r self,
        message: &Incoming<'_>,
    ) -> Result<(&'r Route, PreparedRoute<'r>), HandlerError> {
        match self.handler.prepare(message) {
            Ok(prepared) => Ok((self, prepared)),
            Err(error) => Err(HandlerError::undecodable(error).of_route(&self.name)),
        }
    }
}

/// Why no route takes a message.
struct Unmatched<'a> {
    name: &'a str,
    /// If routes match its type, but not this version.
    version: Option<u32>,
}

impl fmt::Display for Unmatched<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.name, self.version) {
            (name, Some(version)) => {
                write!(f, "no route takes version {version} of {}", named(name))
            }
            (name, None) => write!(f, "no route matches {}", named(name)),
        }
    }
}

/// Refuses a message of which nobody can say which version it has.
fn without_version(name: &str) -> HandlerError {
    HandlerError::reject(format!(
        "no route can be found for {}: the header {SCHEMA_VERSION} is no whole number from 0 to {}",
        named(name),
        u32::MAX
    ))
}

/// Says of what type a message is.
fn named(name: &str) -> String {
    match name.is_empty() {
        true => format!("a message without a type (header {MESSAGE_TYPE})"),
        false => {
            let shown: String = name.chars().take(100).collect();
            format!("the type \"{}\"", shown.escape_debug())
        }
    }
}
