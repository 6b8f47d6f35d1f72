//! One seed: clients on registers, faults beside them, then the checker.

use crate::Limits;
use crate::breaker::{Breaker, Came};
use crate::plan::Fault;
use crate::report::{Seed, Verdict};
use crate::setting::Setting;
use anyhow::{Result, anyhow};
use breakwater_testkit::history::{Operation, Outcome, counts};
use breakwater_testkit::linearizable::{self, check};
use breakwater_testkit::register::{read_all, run};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// What the checker says; a history that is wrong is kept beside the others' logs.
pub fn judge(seed: u64, operations: &[Operation], keep: &Path) -> Verdict {
    match check(operations) {
        linearizable::Verdict::Linearizable => Verdict::Clean,
        linearizable::Verdict::Violation { key, explained, of, stuck } => {
            let file = keep.join(format!("history-{seed}.json"));
            let history: Vec<_> = operations.iter().filter(|o| o.key == key).collect();
            let kept = serde_json::to_vec_pretty(&history).map_err(anyhow::Error::from);
            let kept = match kept.and_then(|text| Ok(std::fs::write(&file, text)?)) {
                Ok(()) => format!("kept in {}", file.display()),
                Err(e) => format!("could not be kept: {e}"),
            };
            Verdict::Violation(format!("key {key}: {explained} of {of} explained, then {stuck:?}; {kept}"))
        }
        linearizable::Verdict::TooLarge { key } => {
            Verdict::Failed(format!("the history of key {key} is too large to check"))
        }
    }
}

/// Faults evenly over the time, each undone before the next; what came, and why no more did.
fn bring_all(
    setting: &Setting,
    table: &str,
    faults: &[Fault],
    duration: Duration,
    stop: &AtomicBool,
) -> (Vec<Came>, Result<()>) {
    let born = Instant::now();
    let breaker = Breaker { region: &setting.region, table: table.to_owned(), partitions: setting.partitions(), born };
    let slot = duration / faults.len().max(1) as u32;
    let mut came = Vec::new();
    let mut result = Ok(());
    for (n, fault) in faults.iter().enumerate() {
        std::thread::sleep((slot * n as u32 + slot / 8).saturating_sub(born.elapsed()));
        match breaker.bring(fault, slot.mul_f64(0.35).min(Duration::from_secs(4))) {
            Ok(one) => {
                println!("  {}", serde_json::to_string(&one).unwrap_or_default());
                came.push(one);
            }
            Err(e) => {
                result = Err(anyhow!("{fault:?}: {e:#}"));
                break;
            }
        }
    }
    if result.is_ok() {
        std::thread::sleep(duration.saturating_sub(born.elapsed()));
    }
    stop.store(true, Ordering::Relaxed);
    (came, result)
}

pub async fn one(setting: &Setting, mode: &'static str, seed: u64, faults: &[Fault], limits: &Limits) -> Result<Seed> {
    setting.up()?;
    let table = format!("registers-{seed}-{}", std::process::id());
    setting.create_table(&table).await?;
    let workload = setting.workload(&table, seed, limits.clients, limits.keys, limits.pause_ms);
    let stop = Arc::new(AtomicBool::new(false));
    let began = Instant::now();
    let clients = tokio::spawn(run(workload.clone(), stop.clone()));
    // This thread is given to the faults: the clients have the others.
    let duration = Duration::from_secs(limits.seconds);
    let (came, brought) = tokio::task::block_in_place(|| bring_all(setting, &table, faults, duration, &stop));
    let mut operations = clients.await?;
    let seconds = began.elapsed().as_secs_f64();
    let recovered = tokio::task::block_in_place(|| setting.up());
    let counted = counts(&operations);
    let total = operations.len();
    let conditions_failed = operations.iter().filter(|o| o.outcome == Outcome::ConditionFailed).count();
    let read = match &recovered {
        Ok(()) => read_all(&workload, &mut operations).await,
        Err(e) => Err(format!("{e:#}")),
    };
    let planned = faults.iter().filter(|f| f.hits_a_leader()).count();
    let hit = came.iter().filter(|c| !c.hits.is_empty()).count();
    let mut verdict = judge(seed, &operations, &limits.keep);
    if verdict == Verdict::Clean {
        let share = counted.unknown_share();
        let why = match (brought, read) {
            (Err(e), _) => Some(format!("{e:#}")),
            (_, Err(e)) => Some(e),
            _ if hit < planned => Some(format!("{hit} of {planned} faults hit a leader")),
            _ if counted.ok < limits.operations_min => {
                Some(format!("{} operations were answered, {} are wanted", counted.ok, limits.operations_min))
            }
            _ if share > limits.unknown_max => Some(format!("{share:.1} % of the outcomes are unknown")),
            _ => None,
        };
        if let Some(why) = why {
            verdict = Verdict::Failed(why);
        }
    }
    if verdict == Verdict::Clean {
        setting.delete_table(&table).await?;
    }
    Ok(Seed {
        seed,
        mode,
        seconds,
        operations: total,
        conditions_failed,
        counts: counted,
        kept: 0,
        faults: came,
        verdict,
    })
}
