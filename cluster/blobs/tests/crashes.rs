//! A node that crashes at each durable step of a put: what was acknowledged is there afterwards, what wasn't is whole or
//! not there, and nothing is left over.

mod region;

use anyhow::Result;
use breakwater_blobs::{Also, Settings};
use breakwater_types::faults;
use region::{Region, content, patience, quick};
use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

const DIR: &str = "BREAKWATER_BLOBS_CRASH_DIR";
const PLAN: &str = "BREAKWATER_BLOBS_CRASH_PLAN";
const POINTS: [&str; 4] = ["files.before_write", "files.before_sync", "files.before_rename", "files.after_rename"];

fn settings() -> Settings {
    Settings { collect_after: Duration::from_millis(100), ..quick() }
}

async fn put(region: &Region, key: &str, number: u8, bytes: usize) -> Result<()> {
    let content = content(number, bytes);
    region.nodes[0].blobs().put(key, content, BTreeMap::new(), Also::default(), patience()).await?;
    Ok(())
}

/// Run by the test below in a process of its own, which dies in it.
#[tokio::test(flavor = "multi_thread")]
async fn child_that_crashes() -> Result<()> {
    let (Ok(dir), Ok(plan)) = (std::env::var(DIR), std::env::var(PLAN)) else { return Ok(()) };
    let region = Region::start_durable(Path::new(&dir), &settings()).await?;
    put(&region, "acknowledged", 1, 3 << 20).await?;
    faults::arm(&plan)?;
    put(&region, "crashed", 2, 3 << 20).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_at_any_step_loses_nothing_acknowledged_and_leaves_nothing_behind() -> Result<()> {
    let root = std::env::temp_dir().join(format!("breakwater-blobs-crash-{}", std::process::id()));
    for point in POINTS {
        // The first chunk's step, and the last one's.
        for pass in [1, 3] {
            let dir = root.join(format!("{point}-{pass}"));
            let child = Command::new(std::env::current_exe()?)
                .args(["--exact", "child_that_crashes", "--nocapture"])
                .env(DIR, &dir)
                .env(PLAN, format!("seed=1;{point}=crash#{pass}"))
                .output()?;
            let told = String::from_utf8_lossy(&child.stderr).into_owned();
            assert!(told.contains(&format!("fault point {point}: crash")), "{point} {pass}: {told}");
            let region = Region::start_durable(&dir, &settings()).await?;
            let node = &region.nodes[0];
            let got = node.blobs().get("acknowledged", patience()).await?;
            assert_eq!(got.expect("it was acknowledged").1, content(1, 3 << 20), "{point} {pass}");
            assert_eq!(node.blobs().get("crashed", patience()).await?, None, "{point} {pass}");
            node.holds(3).await;
            put(&region, "crashed", 2, 3 << 20).await?;
            node.holds(6).await;
            region.stop().await;
        }
    }
    std::fs::remove_dir_all(&root)?;
    Ok(())
}

/// The same steps failing without a crash, on all nodes at once: told as not applied, and tried again.
#[tokio::test(flavor = "multi_thread")]
async fn a_step_that_fails_is_told_and_can_be_tried_again() -> Result<()> {
    let root = std::env::temp_dir().join(format!("breakwater-blobs-fail-{}", std::process::id()));
    let region = Region::start_durable(&root, &settings()).await?;
    let node = &region.nodes[0];
    for point in POINTS {
        // The plan holds for the whole process: the tests of this file that run beside it have processes of their own.
        faults::arm(&format!("seed=1;{point}=error@1"))?;
        assert!(put(&region, point, 1, 100).await.is_err());
        faults::arm("")?;
        assert_eq!(node.blobs().get(point, patience()).await?, None);
        if point == "files.after_rename" {
            // It doesn't know what is durable now, and stores nothing until it is opened anew.
            assert!(put(&region, point, 1, 100).await.is_err());
            node.stop_blobs();
            node.start_blobs(&settings()).await;
        }
        put(&region, point, 1, 100).await?;
        assert_eq!(node.blobs().get(point, patience()).await?.expect("it is there").1, content(1, 100));
    }
    node.holds(POINTS.len()).await;
    region.stop().await;
    Ok(())
}
