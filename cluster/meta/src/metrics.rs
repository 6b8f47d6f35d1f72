//! How far and how fresh a node's mirrors are, as Prometheus reads them.

use crate::Mirror;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::gauge::ConstGauge;
use std::fmt;
use std::sync::Arc;

/// Mirrors by the name that people know them by.
pub struct MirrorMetrics(pub Vec<(&'static str, Arc<Mirror>)>);

impl fmt::Debug for MirrorMetrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|(name, _)| name)).finish()
    }
}

impl Collector for MirrorMetrics {
    fn encode(&self, mut encoder: DescriptorEncoder) -> Result<(), fmt::Error> {
        let kind = ConstGauge::new(0.0).metric_type();
        let mut family =
            encoder.encode_descriptor("meta_mirror_revision", "Revision that a mirror shows", None, kind)?;
        for (name, mirror) in &self.0 {
            let gauge = ConstGauge::new(mirror.revision() as f64);
            gauge.encode(family.encode_family(&[("mirror", *name)])?)?;
        }
        let help = "Since the control store was last heard";
        let mut family = encoder.encode_descriptor("meta_mirror_age_seconds", help, None, kind)?;
        for (name, mirror) in &self.0 {
            // Nothing was heard yet: no age, rather than a false one.
            let Some(age_ms) = mirror.age_ms() else { continue };
            ConstGauge::new(age_ms as f64 / 1e3).encode(family.encode_family(&[("mirror", *name)])?)?;
        }
        Ok(())
    }
}
