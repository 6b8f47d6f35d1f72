//! `edge-node`: the one address that clients know. Forwards connections to front doors that are alive; stateless.

mod backend;
mod connections;
mod forward;

use backend::Backends;
use breakwater_node::{Common, Named, Pages, Source, run, settings};
use forward::{Forwarder, Metrics};
use serde_json::json;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

struct Ports {
    front: SocketAddr,
    dynamodb: SocketAddr,
    fronts: Vec<Named>,
    dynamos: Vec<Named>,
    connections_max: usize,
    first_byte_ms: u64,
}

fn read(source: &mut Source) -> (Common, Ports) {
    let common = Common::read(source);
    let ports = Ports {
        front: source.required("front", "where the region's AWS endpoint is published"),
        dynamodb: source.required("dynamodb", "where the DynamoDB endpoint of the data nodes is published"),
        fronts: source.required("fronts", "front doors of control nodes"),
        dynamos: source.required("dynamos", "front doors of dynamo nodes"),
        connections_max: source.or("connections_max", 4_096, "open connections of each port"),
        first_byte_ms: source.or("first_byte_ms", 10_000, "in which a client says something"),
    };
    (common, ports)
}

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let (common, ports) = match settings("edge-node", read) {
        Ok(settings) => settings,
        Err(code) => return code,
    };
    run("edge-node", &common.clone(), |shutdown| async move {
        let pages = Pages::new(json!({"name": common.name, "kind": "edge", "zone": null}));
        // Front doors trust this address. Of a machine's loopback addresses another one would be taken by itself.
        if common.address.is_loopback() {
            breakwater_net::set_source(common.address);
        }
        let metrics = Metrics::default();
        pages.register(|registry| metrics.register(registry));
        let mut backends = Vec::new();
        let (stop, stopping) = tokio::sync::watch::channel(false);
        let mut forwarding = tokio::task::JoinSet::new();
        for (address, behind) in [(ports.front, ports.fronts), (ports.dynamodb, ports.dynamos)] {
            let listener = breakwater_net::Listener::bind(address).await?;
            let behind = Backends::watch(behind);
            backends.push(behind.clone());
            let (metrics, stopping) = (metrics.clone(), stopping.clone());
            let first_byte = Duration::from_millis(ports.first_byte_ms);
            let open_max = ports.connections_max;
            let forwarder = Forwarder { backends: behind, metrics, open_max, first_byte, address, stopping };
            forwarding.spawn(Arc::new(forwarder).run(listener));
        }
        pages.set_status({
            let backends = backends.clone();
            move || json!({"backends": backends.iter().flat_map(|b| b.status()).collect::<Vec<_>>()})
        });
        pages.serve(common.at(common.metrics_port)).await?;
        pages.serve_admin(&common.run_dir.join("edge-node.sock"))?;
        let ready = async {
            loop {
                if backends.iter().all(|b| b.any_alive()) {
                    pages.ready();
                } else {
                    pages.not_ready("no front door is alive");
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        tokio::select! {
            () = ready => {}
            () = shutdown.asked() => {}
        }
        pages.not_ready("stopping");
        stop.send_replace(true);
        let bound = Duration::from_millis(common.drain_ms);
        if tokio::time::timeout(bound, forwarding.join_all()).await.is_err() {
            tracing::warn!("connections are cut that didn't end in time");
        }
        Ok(())
    })
}
