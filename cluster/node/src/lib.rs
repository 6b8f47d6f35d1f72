//! What every `main.rs` of a node needs: settings, telemetry, pages about itself, and an orderly end.
//!
//! This crate must not: know what a node does.
//!
//! Start reading at [`run`]; [`Source`] reads settings, [`Pages`] shows metrics, health and status.

mod callers;
mod config;
mod pages;
mod process;
mod shutdown;
mod source;
pub mod telemetry;

pub use callers::Callers;
pub use config::Common;
pub use pages::{Pages, Readiness};
pub use shutdown::Shutdown;
pub use source::{ConfigError, Named, Setting, Source};

use std::future::Future;
use std::process::ExitCode;

/// Reads the settings or says what is wrong with them; `None` and an exit code where the process should end.
pub fn settings<T>(program: &str, read: impl FnOnce(&mut Source) -> T) -> Result<T, ExitCode> {
    let mut source = Source::from_process();
    let settings = read(&mut source);
    match source.finish(program) {
        Ok(()) => Ok(settings),
        Err(ConfigError::Help(text)) => {
            println!("{text}");
            Err(ExitCode::SUCCESS)
        }
        Err(e) => {
            eprintln!("{program}: {e}");
            Err(ExitCode::from(2))
        }
    }
}

/// Runs a node until it ends or fails.
pub fn run<F>(program: &'static str, common: &Common, node: impl FnOnce(Shutdown) -> F) -> ExitCode
where
    F: Future<Output = anyhow::Result<()>>,
{
    let zone = common.zone.as_ref().map(breakwater_types::Zone::as_str);
    let telemetry_and_runtime = || -> anyhow::Result<_> {
        breakwater_types::faults::arm(&common.faults)?;
        // A group of a resting partition would keep megabytes for the few pages that it has touched.
        if let Err(e) = rustix::thread::disable_transparent_huge_pages(true) {
            eprintln!("{program}: huge pages stay on: {e}");
        }
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(common.threads).enable_all().build()?;
        let entered = runtime.enter();
        let telemetry = telemetry::start(program, common.name.as_str(), zone, &common.log)?;
        drop(entered);
        Ok((runtime, telemetry))
    };
    let (runtime, telemetry) = match telemetry_and_runtime() {
        Ok(made) => made,
        Err(e) => {
            eprintln!("{program}: {e:#}");
            return ExitCode::FAILURE;
        }
    };
    let ended = runtime.block_on(async {
        let shutdown = Shutdown::on_signals()?;
        node(shutdown).await
    });
    let code = match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            tracing::error!(error = %format!("{e:#}"), "{program} ends");
            eprintln!("{program}: {e:#}");
            ExitCode::FAILURE
        }
    };
    drop(telemetry);
    runtime.shutdown_timeout(std::time::Duration::from_millis(500));
    code
}
