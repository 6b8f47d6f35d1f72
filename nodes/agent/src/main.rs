//! `host-agent`: on every host beside the node. Starts, stops and watches the host's service, reports on the host.

mod host;
mod metadata;
mod service;

use breakwater_node::{Common, Pages, Source, run, settings};
use metadata::Metadata;
use serde_json::json;
use service::{Service, ServiceSettings};
use std::process::ExitCode;
use std::sync::Arc;

fn read(source: &mut Source) -> (Common, ServiceSettings, Metadata) {
    (Common::read(source), ServiceSettings::read(source), Metadata::read(source))
}

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let (common, service, metadata) = match settings("host-agent", read) {
        Ok(settings) => settings,
        Err(code) => return code,
    };
    run("host-agent", &common.clone(), |shutdown| async move {
        let pages = Pages::new(json!({"name": common.name, "kind": "agent", "zone": common.zone}));
        pages.register(|registry| registry.register_collector(Box::new(host::Host::new(&common.data_dir))));
        let service = Arc::new(Service::new(service, &common.run_dir));
        pages.register(|registry| service.register(registry));
        pages.set_status({
            let service = service.clone();
            move || service.status()
        });
        for (path, action) in [("/services/stop", false), ("/services/start", true)] {
            let service = service.clone();
            pages.action(path, move |_| {
                let service = service.clone();
                async move {
                    service.want(action);
                    Ok(service.status())
                }
            });
        }
        pages.serve(common.at(common.metrics_port)).await?;
        pages.serve_admin(&common.run_dir.join("host-agent.sock"))?;
        pages.ready();
        // So that the other side can tell hosts apart.
        breakwater_net::set_source(common.address);
        metadata.start(&common).await;
        service.run(shutdown).await
    })
}
