//! One order through two processes, as one trace: `shop` sends it, `billing` handles it and sends
//! an invoice, `shop` handles that and sends a mail, which `billing` handles. Spans go by
//! OTLP over HTTP to `OTEL_EXPORTER_OTLP_ENDPOINT`, by default `http://localhost:4318`, where a
//! collector or Jaeger listens.
//!
//! ```text
//! export DATABASE_URL=postgresql://…
//! cargo run -- billing &
//! cargo run -- shop
//! ```

use opentelemetry::trace::TracerProvider;
use opentelemetry_otlp::SpanExporter;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SdkTracerProvider;
use outtray::{HandlerError, Message, Messaging, MessagingSession};
use std::error::Error;
use std::sync::mpsc::{Sender, channel};
use std::time::Duration;
use tracing::{Level, info, info_span};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// How long the other process may take.
const PATIENCE: Duration = Duration::from_secs(60);

fn main() -> Result<(), Box<dyn Error>> {
    let name = std::env::args().nth(1).unwrap_or_default();
    let part = match name.as_str() {
        "shop" => shop,
        "billing" => billing,
        _ => return Err("say which part this process is: shop or billing".into()),
    };
    let exported = export(name)?;
    let messaging = Messaging::connect(&std::env::var("DATABASE_URL")?)?;
    messaging.migrate()?;
    part(&messaging)?;
    // What has not been exported yet is exported now.
    exported.shutdown()?;
    Ok(())
}

/// Exports spans from now on: what this program says, and what outtray does at its levels `info`
/// and `debug`. Lines go to standard error, too.
fn export(name: String) -> Result<SdkTracerProvider, Box<dyn Error>> {
    let exporter = SpanExporter::builder().with_http().build()?;
    let provider = SdkTracerProvider::builder()
        .with_batch_exporter(exporter)
        .with_resource(Resource::builder().with_service_name(name).build())
        .build();
    // Not what the exporter's own client does: exporting that would never end.
    let spans = Targets::new()
        .with_target("outtray", Level::DEBUG)
        .with_target("traced", Level::INFO);
    let layer = tracing_opentelemetry::layer().with_tracer(provider.tracer("traced"));
    tracing_subscriber::registry()
        .with(layer.with_filter(spans.clone()))
        .with(
            tracing_subscriber::fmt::layer()
                .with_ansi(false)
                .with_writer(std::io::stderr)
                .with_filter(spans.with_target("outtray", Level::INFO)),
        )
        .init();
    Ok(provider)
}

fn shop(messaging: &Messaging) -> Result<(), Box<dyn Error>> {
    let (tell, told) = channel();
    let receiver = messaging.start_receiving_messages(
        "invoices",
        move |session: &mut MessagingSession<'_>, invoice: Message<i64>| {
            info!("order {} is invoiced", invoice.payload);
            session.send_message("mails", &invoice.payload)?;
            end(&tell)
        },
    )?;
    info_span!("checkout")
        .in_scope(|| messaging.session(|session| Ok(session.send_message("orders", &42)?)))?;
    told.recv_timeout(PATIENCE)?;
    receiver.stop(PATIENCE);
    Ok(())
}

fn billing(messaging: &Messaging) -> Result<(), Box<dyn Error>> {
    let (tell, told) = channel();
    let orders = messaging.start_receiving_messages(
        "orders",
        |session: &mut MessagingSession<'_>, order: Message<i64>| {
            info!("order {} is billed", order.payload);
            session.send_message("invoices", &order.payload)?;
            Ok(())
        },
    )?;
    let mails = messaging.start_receiving_messages(
        "mails",
        move |_: &mut MessagingSession<'_>, mail: Message<i64>| {
            info!("a mail about order {}", mail.payload);
            end(&tell)
        },
    )?;
    told.recv_timeout(PATIENCE)?;
    orders.stop(PATIENCE);
    mails.stop(PATIENCE);
    Ok(())
}

/// Has the process end.
fn end(tell: &Sender<()>) -> Result<(), HandlerError> {
    Ok(tell.send(())?)
}
