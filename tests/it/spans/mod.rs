//! Spans: who sends and who handles has one, with the attributes of OpenTelemetry's conventions.

mod leaks;
mod looking;
mod of_handlers;
mod of_sends;
