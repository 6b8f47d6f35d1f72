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
use setting::Setting;
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
    /// Whether a killed process loses what it hadn't synced. By itself: in every other round of power-loss, always
    /// with fault points, never with leaders.
    #[arg(long, value_enum)]
    lose_unsynced: Option<Lose>,
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
    let mut ledger = power::Ledger::default();
    let lose = args.lose_unsynced.unwrap_or(match args.mode {
        Mode::Leaders => Lose::Never,
        Mode::PowerLoss => Lose::Alternate,
        Mode::FaultPoints => Lose::Always,
    });
    tokio::task::block_in_place(|| setting.up())?;
    if args.mode == Mode::PowerLoss {
        power::prepare(&setting).await?;
    }
    for seed in args.seeds.clone() {
        let loses = lose == Lose::Always || (lose == Lose::Alternate && seed % 2 == 0);
        tokio::task::block_in_place(|| setting.ensure_loses_unsynced(loses))?;
        let done = match args.mode {
            Mode::PowerLoss => power::round(&setting, &mut ledger, seed, &args.limits).await?,
            Mode::FaultPoints => {
                let faults = plan::points(seed, args.faults, partitions);
                seed::one(&setting, "fault-points", seed, &faults, &args.limits).await?
            }
            Mode::Leaders => {
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
    tokio::task::block_in_place(|| setting.ensure_loses_unsynced(false))?;
    Ok(report)
}

/// The report's table, and how the program ends.
fn concluded(report: &Report, all_kinds: bool) -> Result<ExitCode> {
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

fn main() -> ExitCode {
    let args = Args::parse();
    let all_kinds = args.all_kinds;
    let ended = || -> Result<ExitCode> {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        // A worker's thread may block, this one may not.
        let report = runtime.block_on(async { tokio::spawn(run(args)).await })??;
        concluded(&report, all_kinds)
    };
    ended().unwrap_or_else(|e| {
        eprintln!("breakwater-histories: {e:#}");
        ExitCode::FAILURE
    })
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
