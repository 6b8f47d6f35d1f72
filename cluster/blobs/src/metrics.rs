//! What this node holds, lacks and has repaired, as Prometheus reads it.

use crate::blobs::Blobs;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;

pub struct BlobMetrics(pub Arc<Blobs>);

impl fmt::Debug for BlobMetrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BlobMetrics")
    }
}

impl Collector for BlobMetrics {
    fn encode(&self, mut encoder: DescriptorEncoder) -> Result<(), fmt::Error> {
        let blobs = &self.0;
        let (chunks, bytes) = blobs.chunks.size();
        let gauges = [
            ("blobs", "Blobs that the catalogue has", blobs.catalogue.view().blobs as f64),
            ("blob_chunks", "Chunks that this node holds", chunks as f64),
            ("blob_chunk_bytes", "Bytes of the chunks that this node holds", bytes as f64),
            (
                "blob_chunks_missing",
                "Chunks that this node should hold and doesn't, or holds damaged",
                blobs.missing.load(Ordering::Relaxed) as f64,
            ),
            (
                "blob_zones_needed",
                "Zones that must have a chunk before it counts",
                blobs.layout().zones_needed() as f64,
            ),
        ];
        for (name, help, value) in gauges {
            let gauge = ConstGauge::new(value);
            gauge.encode(encoder.encode_descriptor(name, help, None, gauge.metric_type())?)?;
        }
        let counts = &blobs.chunks.counts;
        let counters = [
            ("blob_chunks_repaired", "Copies made from another node's", &counts.repaired),
            ("blob_chunks_damaged", "Copies found to be damaged or gone", &counts.damaged),
            ("blob_chunks_collected", "Chunks removed because no blob named them", &counts.collected),
            ("blob_chunks_scrubbed", "Chunks read to find damage", &counts.scrubbed),
        ];
        for (name, help, value) in counters {
            let counter = ConstCounter::new(value.load(Ordering::Relaxed));
            counter.encode(encoder.encode_descriptor(name, help, None, counter.metric_type())?)?;
        }
        Ok(())
    }
}
