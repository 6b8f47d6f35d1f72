//! Fault points: named places in the code, before and after each durable step, where a test or a node that was
//! started for it crashes, waits or fails, by seed.
//!
//! A plan reads `seed=7;log.before_sync=crash@0.001;sm.before_apply=delay:20@0.01;log.after_sync=error@0.0005`:
//! a point's name, what happens there, and with which probability each time it is passed.
//! Without a plan a point costs one relaxed load.

use parking_lot::Mutex;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

static ARMED: AtomicBool = AtomicBool::new(false);
static PLAN: Mutex<Option<Plan>> = Mutex::new(None);

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

#[derive(Debug)]
struct Plan {
    rng: StdRng,
    points: HashMap<String, (Action, f64)>,
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
        let (action, chance) = value.split_once('@').ok_or_else(|| BadPlan(format!("{part:?} has no '@CHANCE'")))?;
        let chance: f64 = chance.parse().map_err(|_| BadPlan(format!("{chance:?} is not a number")))?;
        if !(0.0..=1.0).contains(&chance) {
            return Err(BadPlan(format!("chance {chance} is not between 0 and 1")));
        }
        let action = match action.split_once(':') {
            None if action == "crash" => Action::Crash,
            None if action == "error" => Action::Error,
            Some(("delay", ms)) => {
                Action::Delay(Duration::from_millis(ms.parse().map_err(|_| BadPlan(format!("delay {ms:?}")))?))
            }
            _ => return Err(BadPlan(format!("action {action:?} is none of crash, error, delay:MS"))),
        };
        points.insert(name.to_owned(), (action, chance));
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
        let Some(&(action, chance)) = plan.points.get(name) else { return Ok(()) };
        if plan.rng.random::<f64>() >= chance {
            return Ok(());
        }
        action
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
        for bad in ["x", "x=crash", "x=boom@1", "x=crash@2", "seed=a", "x=delay:q@1"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
        let plan = parse("seed=3; a=crash@0.5;b=delay:7@1").unwrap();
        assert_eq!(plan.points["b"], (Action::Delay(Duration::from_millis(7)), 1.0));
    }

    #[test]
    fn a_point_fails_only_when_armed_for_it() {
        arm("seed=1;here=error@1").unwrap();
        assert!(point("here").is_err());
        assert!(point("there").is_ok());
        arm("").unwrap();
        assert!(point("here").is_ok());
    }
}
