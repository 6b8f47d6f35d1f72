//! The front door's numbers.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;
use std::borrow::Cow;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    service: &'static str,
    operation: &'static str,
    /// `OK`, or the error's code.
    code: Cow<'static, str>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OperationLabels {
    service: &'static str,
    operation: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CutLabels {
    phase: &'static str,
}

/// What a connection can be cut in; each is there from the start, at zero, so that its first cut is seen as a rise.
const PHASES: [&str; 6] = ["handshake", "idle", "head", "body", "write", "evicted"];

fn latency() -> Histogram {
    // From 100 µs, under which nothing durable answers, to the default deadline.
    Histogram::new([
        0.000_1, 0.000_2, 0.000_4, 0.000_8, 0.001_5, 0.003, 0.006, 0.012, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0,
        10.0,
    ])
}

#[derive(Clone, Debug)]
pub struct Metrics {
    requests: Family<RequestLabels, Counter>,
    latency: Family<OperationLabels, Histogram, fn() -> Histogram>,
    pub in_flight: Gauge,
    pub connections: Gauge,
    cut: Family<CutLabels, Counter>,
}

/// Of one operation; looked up once, at mounting.
#[derive(Clone, Debug)]
pub struct OperationMetrics {
    service: &'static str,
    operation: &'static str,
    ok: Counter,
    latency: Histogram,
    requests: Family<RequestLabels, Counter>,
}

impl Metrics {
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = Metrics {
            requests: Family::default(),
            latency: Family::new_with_constructor(latency),
            in_flight: Gauge::default(),
            connections: Gauge::default(),
            cut: Family::default(),
        };
        for phase in PHASES {
            metrics.cut.get_or_create_owned(&CutLabels { phase });
        }
        registry.register("aws_requests", "Requests answered, by operation and error code", metrics.requests.clone());
        registry.register("aws_request_duration_seconds", "From the body's end to the answer", metrics.latency.clone());
        registry.register("aws_requests_in_flight", "Requests being worked on", metrics.in_flight.clone());
        registry.register("aws_connections", "Open client connections", metrics.connections.clone());
        registry.register(
            "aws_connections_cut",
            "Client connections cut because the client was too slow, by phase",
            metrics.cut.clone(),
        );
        metrics
    }

    pub fn operation(&self, service: &'static str, operation: &'static str) -> OperationMetrics {
        let ok = RequestLabels { service, operation, code: Cow::Borrowed("OK") };
        OperationMetrics {
            service,
            operation,
            ok: self.requests.get_or_create_owned(&ok),
            latency: self.latency.get_or_create_owned(&OperationLabels { service, operation }),
            requests: self.requests.clone(),
        }
    }

    /// A request that reached no operation.
    pub fn refused(&self, service: &'static str, code: Cow<'static, str>) {
        self.requests.get_or_create(&RequestLabels { service, operation: "", code }).inc();
    }

    pub fn cut(&self, phase: &'static str) {
        self.cut.get_or_create(&CutLabels { phase }).inc();
    }
}

impl OperationMetrics {
    pub fn answered(&self, code: Option<&Cow<'static, str>>, seconds: f64) {
        self.latency.observe(seconds);
        match code {
            None => self.ok.inc(),
            Some(code) => {
                let (service, operation, code) = (self.service, self.operation, code.clone());
                self.requests.get_or_create(&RequestLabels { service, operation, code }).inc()
            }
        };
    }
}
