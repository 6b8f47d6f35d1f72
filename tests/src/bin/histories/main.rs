//! Histories of concurrent clients under faults, checked for linearizability key by key.
//!
//! Start reading at [`seed::one`]; [`plan`] says which faults come, [`breaker`] brings them, [`power`] is the loss of
//! power to everything at once.

mod breaker;
mod plan;
mod power;
mod report;
mod seed;
mod setting;

use anyhow::{Context, Result, ensure};
use breakwater_launcher::chaos::Action;
use clap::{Parser, ValueEnum};
use report::{EXPECTED, Report, Verdict};
use setting::{LOSES_UNSYNCED, Setting};
use std::path::PathBuf;
use std::process::ExitCode;

/// A history that no order explains, or acknowledged data that is gone.
const VIOLATION: u8 = 3;

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Mode {
    /// Faults that hit leaders, two of them twice in a row, and the edge.
    Leaders,
    /// Everything is killed at once, with and without the loss of what wasn't synced.
    PowerLoss,
    /// Fault points in running nodes: crashes, errors and delays at durable steps; a crash loses what wasn't synced.
    FaultPoints,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Lose {
    Always,
    Never,
    Alternate,
}

#[derive(Parser)]
#[command(
    about = "Concurrent clients on registers while faults hit the region; their history must be linearizable",
    after_help = "Ends with 0 if all is clean, with 3 at a violation, with 1 where it couldn't be tested as it should"
)]
struct Args {
    /// The folder of a region of processes.
    #[arg(long)]
    region_root: PathBuf,
    #[arg(long, value_enum, default_value = "leaders")]
    mode: Mode,
    /// One seed (7) or several (1..20, both included).
    #[arg(long, value_parser = seeds)]
    seeds: std::ops::RangeInclusive<u64>,
    /// Ends at the first seed with a violation.
    #[arg(long)]
    first_violation: bool,
    /// leaders: this action alone, on leaders of partitions.
    #[arg(long, value_parser = action)]
    only: Option<Action>,
    /// power-loss: whether what wasn't synced is lost.
    #[arg(long, value_enum, default_value = "alternate")]
    lose_unsynced: Lose,
    /// Everything that enough seeds bring must have been hit: each kind of node, each zone, each leader twice.
    #[arg(long)]
    all_kinds: bool,
    /// Where the report goes as JSON.
    #[arg(long)]
    json: Option<PathBuf>,
    /// Faults that hit leaders, or fault points, in each seed.
    #[arg(long, default_value_t = 5)]
    faults: usize,
    #[command(flatten)]
    limits: Limits,
}

#[derive(Clone, Debug, clap::Args)]
pub struct Limits {
    /// Of each seed; power-loss: of load before the end, at most.
    #[arg(long, default_value_t = 60)]
    pub seconds: u64,
    #[arg(long, default_value_t = 16)]
    pub clients: usize,
    #[arg(long, default_value_t = 60)]
    pub keys: u32,
    /// Spreads the operations over the run: about clients × 1000 / this a second.
    #[arg(long, default_value_t = 25)]
    pub pause_ms: u64,
    /// Operations that must have been answered in each seed.
    #[arg(long, default_value_t = 10_000)]
    pub operations_min: usize,
    /// Per cent of the outcomes that may be unknown.
    #[arg(long, default_value_t = 5.0)]
    pub unknown_max: f64,
    /// Where a history is kept that is not linearizable.
    #[arg(long, default_value = "/tmp")]
    pub keep: PathBuf,
}

fn seeds(text: &str) -> Result<std::ops::RangeInclusive<u64>, String> {
    let number = |t: &str| t.parse::<u64>().map_err(|e| format!("{t:?}: {e}"));
    let range = match text.split_once("..") {
        Some((first, last)) => number(first)?..=number(last)?,
        None => number(text)?..=number(text)?,
    };
    if range.is_empty() { Err("no seed is in it".to_owned()) } else { Ok(range) }
}

fn action(text: &str) -> Result<Action, String> {
    Action::parse(text).filter(|a| plan::MEANS.contains(a)).ok_or_else(|| format!("{text:?} is no fault of a leader"))
}

async fn run(args: Args) -> Result<Report> {
    let mut setting = Setting::open(&args.region_root)?;
    let partitions = setting.partitions();
    let mut report = Report::default();
    let mut ledger = match args.mode {
        Mode::Leaders => {
            setting.up()?;
            None
        }
        Mode::PowerLoss => Some(power::prepare(&mut setting, "").await?),
        Mode::FaultPoints => {
            power::restart_all(&mut setting, LOSES_UNSYNCED)?;
            None
        }
    };
    for seed in args.seeds.clone() {
        let done = match (args.mode, &mut ledger) {
            (Mode::PowerLoss, Some(ledger)) => {
                let lose = match args.lose_unsynced {
                    Lose::Always => true,
                    Lose::Never => false,
                    Lose::Alternate => seed % 2 == 0,
                };
                power::round(&mut setting, ledger, seed, lose, &args.limits).await?
            }
            (Mode::FaultPoints, _) => {
                let faults = plan::points(seed, args.faults, partitions);
                seed::one(&setting, "fault-points", seed, &faults, &args.limits).await?
            }
            (Mode::Leaders | Mode::PowerLoss, _) => {
                let faults = plan::leaders(seed, args.faults, partitions, args.only);
                seed::one(&setting, "leaders", seed, &faults, &args.limits).await?
            }
        };
        println!("{}", done.line());
        let violation = matches!(done.verdict, Verdict::Violation(_));
        report.seeds.push(done);
        if let Some(file) = &args.json {
            report.write(file).context("the report")?;
        }
        if violation && args.first_violation {
            break;
        }
    }
    if args.mode == Mode::FaultPoints {
        power::restart_all(&mut setting, "")?;
    }
    Ok(report)
}

fn main() -> Result<ExitCode> {
    let args = Args::parse();
    let all_kinds = args.all_kinds;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let report = runtime.block_on(async { tokio::spawn(run(args)).await })??;
    println!("\n{}", report.table());
    if report.violations() > 0 {
        return Ok(ExitCode::from(VIOLATION));
    }
    ensure!(report.failures() == 0, "{} of {} seeds failed", report.failures(), report.seeds.len());
    if all_kinds {
        let covered = report.coverage();
        let missing: Vec<_> = EXPECTED.iter().filter(|what| !covered.contains_key(**what)).collect();
        ensure!(missing.is_empty(), "never hit: {missing:?}");
    }
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seeds_are_one_or_a_range_with_both_ends() {
        assert_eq!(seeds("7"), Ok(7..=7));
        assert_eq!(seeds("1..20"), Ok(1..=20));
        for bad in ["", "a", "3..", "5..4", "1...2"] {
            assert!(seeds(bad).is_err(), "{bad}");
        }
        use clap::CommandFactory;
        Args::command().debug_assert();
    }
}
