//! Fault points: named places in the code, before and after each durable step, where a test or a node that was
//! started for it crashes, waits or fails, by seed.
//!
//! A plan reads `seed=7;log.before_sync=crash@0.001;machine.before_apply=delay:20@0.01;log.after_sync=error#12`:
//! a point's name, what happens there, and with which probability each time it is passed, or at which pass from now.
//! Without a plan a point costs one relaxed load.

use parking_lot::Mutex;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

static ARMED: AtomicBool = AtomicBool::new(false);
static PLAN: Mutex<Option<Plan>> = Mutex::new(None);

/// Every point there is, for those who choose some by seed.
pub const POINTS: &[&str] = &[
    "files.after_rename",
    "files.before_rename",
    "files.before_sync",
    "files.before_write",
    "kv.after_sync",
    "kv.before_sync",
    "kv.before_write",
    "log.after_sync",
    "log.before_sync",
    "log.before_write",
    "machine.before_apply",
    "machine.snapshot_flipped",
    "partition.apply",
];

/// Those of [`POINTS`] that every write passes, on each replica.
pub const POINTS_OF_A_WRITE: &[&str] = &[
    "kv.before_write",
    "log.after_sync",
    "log.before_sync",
    "log.before_write",
    "machine.before_apply",
    "partition.apply",
];

#[derive(Debug, thiserror::Error)]
#[error("fault injected at {0}")]
pub struct Injected(pub &'static str);

#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("fault plan: {0}")]
pub struct BadPlan(String);

#[derive(Clone, Copy, Debug, PartialEq)]
enum Action {
    Crash,
    Delay(Duration),
    Error,
}

/// When a point does what its action says.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Trigger {
    Chance(f64),
    /// The pass after so many others, once.
    After(u64),
}

impl Trigger {
    fn fires(&mut self, rng: &mut StdRng) -> bool {
        match self {
            Trigger::Chance(chance) => rng.random::<f64>() < *chance,
            Trigger::After(passes) => {
                let fires = *passes == 0;
                // Wraps from 0 to what is never counted down.
                *passes = passes.wrapping_sub(1);
                fires
            }
        }
    }
}

#[derive(Debug)]
struct Plan {
    rng: StdRng,
    points: HashMap<String, (Action, Trigger)>,
}

fn parse(text: &str) -> Result<Plan, BadPlan> {
    let mut seed = 0u64;
    let mut points = HashMap::new();
    for part in text.split(';').filter(|p| !p.trim().is_empty()) {
        let (name, value) = part.trim().split_once('=').ok_or_else(|| BadPlan(format!("{part:?} has no '='")))?;
        if name == "seed" {
            seed = value.parse().map_err(|_| BadPlan(format!("seed {value:?} is not a number")))?;
            continue;
        }
        let (action, trigger) = if let Some((action, chance)) = value.split_once('@') {
            let chance: f64 = chance.parse().map_err(|_| BadPlan(format!("{chance:?} is not a number")))?;
            if !(0.0..=1.0).contains(&chance) {
                return Err(BadPlan(format!("chance {chance} is not between 0 and 1")));
            }
            (action, Trigger::Chance(chance))
        } else {
            let (action, pass) =
                value.split_once('#').ok_or_else(|| BadPlan(format!("{part:?} has no '@CHANCE' or '#PASS'")))?;
            let pass: u64 = pass.parse().map_err(|_| BadPlan(format!("{pass:?} is not a number")))?;
            (action, Trigger::After(pass.checked_sub(1).ok_or_else(|| BadPlan("passes count from 1".to_owned()))?))
        };
        let action = match action.split_once(':') {
            None if action == "crash" => Action::Crash,
            None if action == "error" => Action::Error,
            Some(("delay", ms)) => {
                Action::Delay(Duration::from_millis(ms.parse().map_err(|_| BadPlan(format!("delay {ms:?}")))?))
            }
            _ => return Err(BadPlan(format!("action {action:?} is none of crash, error, delay:MS"))),
        };
        points.insert(name.to_owned(), (action, trigger));
    }
    Ok(Plan { rng: StdRng::seed_from_u64(seed), points })
}

/// Arms the plan of this process; an empty text disarms it.
pub fn arm(text: &str) -> Result<(), BadPlan> {
    if text.trim().is_empty() {
        ARMED.store(false, Ordering::Relaxed);
        *PLAN.lock() = None;
        return Ok(());
    }
    let plan = parse(text)?;
    *PLAN.lock() = Some(plan);
    ARMED.store(true, Ordering::Relaxed);
    Ok(())
}

/// A place where things may be made to go wrong. Blocks for a delay, so call it where blocking is allowed or
/// where the plan is known to hold no delay for it.
#[inline]
pub fn point(name: &'static str) -> Result<(), Injected> {
    if ARMED.load(Ordering::Relaxed) { hit(name) } else { Ok(()) }
}

#[cold]
fn hit(name: &'static str) -> Result<(), Injected> {
    let action = {
        let mut guard = PLAN.lock();
        let Some(plan) = guard.as_mut() else { return Ok(()) };
        let Some((action, trigger)) = plan.points.get_mut(name) else { return Ok(()) };
        if !trigger.fires(&mut plan.rng) {
            return Ok(());
        }
        *action
    };
    match action {
        Action::Crash => {
            eprintln!("fault point {name}: crash");
            std::process::abort();
        }
        Action::Delay(d) => {
            std::thread::sleep(d);
            Ok(())
        }
        Action::Error => Err(Injected(name)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plans_are_checked() {
        for bad in ["x", "x=crash", "x=boom@1", "x=crash@2", "seed=a", "x=delay:q@1", "x=crash#0", "x=crash#b"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
        let plan = parse("seed=3; a=crash@0.5;b=delay:7@1").unwrap();
        assert_eq!(plan.points["b"], (Action::Delay(Duration::from_millis(7)), Trigger::Chance(1.0)));
    }

    #[test]
    fn a_point_fails_only_when_armed_for_it() {
        arm("seed=1;here=error@1").unwrap();
        assert!(point("here").is_err());
        assert!(point("there").is_ok());
        arm("there=error#3").unwrap();
        let failed: Vec<bool> = (0..6).map(|_| point("there").is_err()).collect();
        assert_eq!(failed, [false, false, true, false, false, false], "the third pass, once");
        arm("").unwrap();
        assert!(point("here").is_ok());
    }

    /// Every `faults::point("…")` of the nodes' code is in the list, and nothing else.
    #[test]
    fn the_list_of_points_is_the_code() {
        fn visit(dir: &std::path::Path, found: &mut std::collections::BTreeSet<String>) {
            for entry in std::fs::read_dir(dir).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() && path.file_name().is_some_and(|name| name != "tests") {
                    visit(&path, found);
                } else if path.extension().is_some_and(|e| e == "rs") {
                    let text = std::fs::read_to_string(&path).unwrap();
                    let names = text.split("faults::point(\"").skip(1).filter_map(|rest| rest.split('"').next());
                    found.extend(names.filter(|name| name.contains('.')).map(str::to_owned));
                }
            }
        }
        let workspace = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap();
        let mut found = std::collections::BTreeSet::new();
        for room in ["cluster", "nodes"] {
            visit(&workspace.join(room), &mut found);
        }
        assert_eq!(found, POINTS.iter().map(|name| (*name).to_owned()).collect());
        assert!(POINTS_OF_A_WRITE.iter().all(|name| POINTS.contains(name)));
    }
}
