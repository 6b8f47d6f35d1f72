//! SIGTERM and SIGINT.

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

/// Tells when the process should end. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Shutdown {
    asked: watch::Receiver<bool>,
}

impl Shutdown {
    /// The first signal asks for an orderly end, the second ends at once.
    pub(crate) fn on_signals() -> std::io::Result<Self> {
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let (tx, asked) = watch::channel(false);
        tokio::spawn(async move {
            for n in 0.. {
                tokio::select! {
                    _ = terminate.recv() => {}
                    _ = interrupt.recv() => {}
                }
                if n > 0 {
                    std::process::exit(130);
                }
                tracing::info!("asked to end");
                tx.send_replace(true);
            }
        });
        Ok(Shutdown { asked })
    }

    pub fn is_asked(&self) -> bool {
        *self.asked.borrow()
    }

    /// Ends when the process should.
    pub async fn asked(&self) {
        let mut asked = self.asked.clone();
        // The sender lives as long as the process.
        let _ = asked.wait_for(|asked| *asked).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[tokio::test]
    async fn the_first_signal_asks_every_holder() {
        let shutdown = Shutdown::on_signals().unwrap();
        let another = shutdown.clone();
        assert!(!shutdown.is_asked());
        rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::TERM).unwrap();
        tokio::time::timeout(Duration::from_secs(5), another.asked()).await.unwrap();
        assert!(shutdown.is_asked());
        shutdown.asked().await;
    }
}
