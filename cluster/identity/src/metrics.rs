//! When this node's certificate ends, as Prometheus reads it.

use crate::Credentials;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::gauge::ConstGauge;
use std::sync::Arc;

#[derive(Debug)]
pub struct CertificateMetrics(pub Arc<Credentials>);

impl Collector for CertificateMetrics {
    fn encode(&self, mut encoder: DescriptorEncoder) -> Result<(), std::fmt::Error> {
        let gauges = [
            ("certificate_not_after_timestamp_seconds", "When the certificate ends", self.0.not_after_s()),
            // With a moved clock, Prometheus' own time says nothing about the certificate.
            (
                "certificate_clock_timestamp_seconds",
                "The clock that certificates are checked by",
                self.0.clock().unix_s(),
            ),
        ];
        for (name, help, value) in gauges {
            let gauge = ConstGauge::new(value as f64);
            gauge.encode(encoder.encode_descriptor(name, help, None, gauge.metric_type())?)?;
        }
        Ok(())
    }
}
