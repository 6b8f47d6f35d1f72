//! Logs, and traces where somebody wants them.
//!
//! Logs go to standard error as JSON lines. Traces go out by OTLP when `OTEL_EXPORTER_OTLP_ENDPOINT` (or its traces
//! variant) is set; otherwise no tracing layer is installed, and the spans of requests are
//! switched off where they are made.

use opentelemetry::KeyValue;
use opentelemetry::trace::TracerProvider;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer};

/// The target of the spans of requests.
const REQUESTS: &str = "breakwater::request";

/// Sends what is left when it is dropped.
pub struct Telemetry {
    traces: Option<SdkTracerProvider>,
}

pub fn start(program: &'static str, node: &str, zone: Option<&str>, filter: &str) -> anyhow::Result<Telemetry> {
    // Spans of requests are for traces alone: in the log they would cost every request their formatting.
    let filter = EnvFilter::try_new(format!("{filter},{REQUESTS}=off"))?;
    let logs = tracing_subscriber::fmt::layer().json().with_writer(std::io::stderr).with_filter(filter);
    let wanted = ["OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"]
        .iter()
        .any(|name| std::env::var_os(name).is_some());
    let traces = if wanted {
        opentelemetry::global::set_text_map_propagator(TraceContextPropagator::new());
        let exporter = opentelemetry_otlp::SpanExporter::builder().with_tonic().build()?;
        let resource = Resource::builder()
            .with_service_name(program)
            .with_attribute(KeyValue::new("service.instance.id", node.to_owned()))
            .with_attribute(KeyValue::new("cloud.availability_zone", zone.unwrap_or("-").to_owned()))
            .build();
        Some(SdkTracerProvider::builder().with_batch_exporter(exporter).with_resource(resource).build())
    } else {
        None
    };
    let layer = traces.as_ref().map(|provider| {
        tracing_opentelemetry::layer().with_tracer(provider.tracer(program)).with_filter(EnvFilter::new("info"))
    });
    tracing_subscriber::registry().with(layer).with(logs).try_init()?;
    Ok(Telemetry { traces })
}

impl Drop for Telemetry {
    fn drop(&mut self) {
        if let Some(traces) = self.traces.take()
            && let Err(e) = traces.shutdown()
        {
            tracing::warn!(error = %e, "the last traces were not sent");
        }
    }
}
