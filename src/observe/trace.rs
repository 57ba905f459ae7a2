//! Where a message stands in a distributed trace, by W3C Trace Context.
//!
//! With the feature `opentelemetry`, a message that is sent within a span carries that span in its
//! headers, and the span of its handler becomes the child of it. Without the feature nothing is
//! done here: a trace that a message has is carried on as it is (`words/cause`).

#[cfg(feature = "opentelemetry")]
pub(crate) use with::{carry, continue_from, link};
#[cfg(not(feature = "opentelemetry"))]
pub(crate) use without::{carry, continue_from, link};

#[cfg(not(feature = "opentelemetry"))]
mod without {
    use crate::words::{Headers, NewMessage};
    use tracing::Span;

    pub(crate) fn carry(_: &mut NewMessage) {}

    pub(crate) fn continue_from(_: &Span, _: &Headers) {}

    pub(crate) fn link(_: &Span, _: &Headers) {}
}

#[cfg(feature = "opentelemetry")]
mod with {
    use crate::words::envelope::{TRACEPARENT, TRACESTATE, traceparent, tracestate};
    use crate::words::headers::{MAX_TOTAL_BYTES, total_bytes};
    use crate::words::trace_context::tracestate_flaw;
    use crate::words::{Headers, NewMessage};
    use opentelemetry::Context;
    use opentelemetry::trace::{
        SpanContext, SpanId, TraceContextExt, TraceFlags, TraceId, TraceState,
    };
    use tracing::Span;
    use tracing::level_filters::LevelFilter;
    use tracing_opentelemetry::OpenTelemetrySpanExt;

    /// Adds the current span to a message that names none itself. Leaves out what would make its
    /// headers too large.
    pub(crate) fn carry(message: &mut NewMessage) {
        let (own, nulls) = (&message.headers, &message.rare.null_headers);
        let says = |name: &str| own.contains_key(name) || nulls.contains(name);
        if says(TRACEPARENT) || says(TRACESTATE) {
            return;
        }
        let Some(here) = here() else { return };
        let parent = format!(
            "00-{}-{}-{:02x}",
            here.trace_id(),
            here.span_id(),
            here.trace_flags().to_u8()
        );
        let state = here.trace_state().header();
        let state = tracestate_flaw(&state).is_none().then_some(state);
        let added = [(TRACEPARENT, Some(parent)), (TRACESTATE, state)];
        let added = added
            .into_iter()
            .filter_map(|(name, value)| Some((name, value?)));
        let mut bytes = total_bytes(own, nulls);
        for (name, value) in added {
            bytes += name.len() + value.len();
            if bytes > MAX_TOTAL_BYTES {
                break;
            }
            message.headers.insert(name.to_owned(), value);
        }
    }

    /// Makes a span, which has not begun yet, the child of the span that sent a message.
    pub(crate) fn continue_from(span: &Span, headers: &Headers) {
        if let Some(sender) = sender(span, headers) {
            // It fails where a layer of another version, or none, listens.
            let _ = span.set_parent(Context::new().with_remote_span_context(sender));
        }
    }

    /// Links a span with the one that sent a message.
    pub(crate) fn link(span: &Span, headers: &Headers) {
        if let Some(sender) = sender(span, headers) {
            span.add_link(sender);
        }
    }

    /// Returns the span that is current here: one of `tracing`, or else one of OpenTelemetry.
    fn here() -> Option<SpanContext> {
        let of = |context: &Context| Some(context.span().span_context().clone());
        let is_valid = |context: &SpanContext| context.is_valid();
        let traced = LevelFilter::current() != LevelFilter::OFF;
        let ours = traced.then(|| Span::current().context());
        let ours = ours.as_ref().and_then(of).filter(is_valid);
        ours.or_else(|| Context::map_current(of).filter(is_valid))
    }

    /// Returns the span that sent a message, if anybody looks at `span`.
    fn sender(span: &Span, headers: &Headers) -> Option<SpanContext> {
        if span.is_disabled() {
            return None;
        }
        let mut parts = traceparent(headers)?.split('-').skip(1);
        let trace_id = TraceId::from_hex(parts.next()?).ok()?;
        let span_id = SpanId::from_hex(parts.next()?).ok()?;
        let flags = u8::from_str_radix(parts.next()?, 16).ok()?;
        let state = tracestate(headers).and_then(|state| state.parse::<TraceState>().ok());
        Some(SpanContext::new(
            trace_id,
            span_id,
            TraceFlags::new(flags) & TraceFlags::SAMPLED,
            true,
            state.unwrap_or_default(),
        ))
    }
}
