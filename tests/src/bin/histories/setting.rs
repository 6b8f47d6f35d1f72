//! The region under test: its doors, its keys, a table of its own.

use anyhow::{Context, Result, ensure};
use breakwater_launcher::{Region, Settings};
use breakwater_testkit::client::{AccessKey, Client};
use breakwater_testkit::register::Workload;
use breakwater_types::NodeKind;
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// With it, the end of a process is a loss of power to its disk.
const LOSES_UNSYNCED: &str = "hold_back_unsynced = true";
const READY_MAX: Duration = Duration::from_secs(90);
const DYNAMODB_PORT: u16 = 8000;

pub struct Setting {
    pub root: PathBuf,
    pub region: Region,
    pub key: AccessKey,
    /// The edge's two doors, then each data node's own.
    pub doors: Vec<SocketAddr>,
    /// What nodes are started with now.
    loses_unsynced: bool,
}

fn open(root: &Path, extra: &str) -> Result<Region> {
    let name = root.file_name().and_then(|n| n.to_str()).context("the region's folder has no name")?;
    let binaries = std::env::current_exe()?.parent().context("this program has no folder")?.to_owned();
    Region::open_with(root.to_owned(), Settings::new(name), binaries, false, extra)
}

impl Setting {
    pub fn open(root: &Path) -> Result<Self> {
        let region = open(root, "")?;
        let admin = region.admin()?;
        let key = AccessKey {
            id: admin.access_key_id,
            secret: admin.secret_access_key,
            region: region.settings.region.to_string(),
        };
        let offset = region.settings.port_offset;
        let mut doors = vec![SocketAddr::from(([127, 0, 0, 1], DYNAMODB_PORT + offset))];
        doors.extend(
            region
                .hosts
                .iter()
                .filter(|h| h.kind == NodeKind::Dynamo)
                .filter_map(|h| region.driver.page(h, DYNAMODB_PORT)),
        );
        doors.push(SocketAddr::from(([127, 0, 0, 1], 4566 + offset)));
        Ok(Setting { root: root.to_owned(), region, key, doors, loses_unsynced: false })
    }

    /// Starts all nodes anew where they don't run like that already.
    pub fn ensure_loses_unsynced(&mut self, loses: bool) -> Result<()> {
        if self.loses_unsynced == loses {
            return Ok(());
        }
        self.kill_all()?;
        self.region = open(&self.root, if loses { LOSES_UNSYNCED } else { "" })?;
        self.loses_unsynced = loses;
        self.up()
    }

    /// Every process of the region, at once.
    pub fn kill_all(&self) -> Result<()> {
        self.region.driver.kill_at_once(&self.region.hosts.iter().collect::<Vec<_>>())
    }

    pub fn partitions(&self) -> u32 {
        self.region.settings.partitions_min
    }

    /// Starts what isn't running, and waits for all of it.
    pub fn up(&self) -> Result<()> {
        self.region.start(&mut |_| {})?;
        self.region.wait_ready(READY_MAX, &mut |_| {})
    }

    pub fn client(&self) -> Client {
        Client::new(self.doors[0], self.key.clone(), Duration::from_secs(12))
    }

    pub fn workload(&self, table: &str, seed: u64, clients: usize, keys: u32, pause_ms: u64) -> Workload {
        Workload {
            addresses: self.doors.clone(),
            key: self.key.clone(),
            table: table.to_owned(),
            clients,
            keys,
            seed,
            pause: Duration::from_millis(pause_ms),
            timeout: Duration::from_secs(12),
        }
    }

    /// Makes a table and waits until each of its partitions answers.
    pub async fn create_table(&self, name: &str) -> Result<()> {
        let mut client = self.client();
        let create = json!({"TableName": name, "BillingMode": "PAY_PER_REQUEST",
            "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}],
            "AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "S"}]});
        call(&mut client, "CreateTable", &create).await?;
        self.await_active(name).await
    }

    pub async fn await_active(&self, name: &str) -> Result<()> {
        let mut client = self.client();
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            let described = call(&mut client, "DescribeTable", &json!({"TableName": name})).await;
            if described.as_ref().is_ok_and(|d| d["Table"]["TableStatus"] == "ACTIVE") {
                return Ok(());
            }
            ensure!(Instant::now() < deadline, "table {name} did not become ACTIVE: {described:?}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    pub async fn delete_table(&self, name: &str) -> Result<()> {
        call(&mut self.client(), "DeleteTable", &json!({"TableName": name})).await.map(|_| ())
    }
}

pub async fn call(client: &mut Client, operation: &str, body: &Value) -> Result<Value> {
    let answer = client.call(operation, body.to_string().as_bytes()).await.context(operation.to_owned())?;
    ensure!(answer.status == 200, "{operation}: {} {}", answer.status, String::from_utf8_lossy(&answer.body));
    Ok(serde_json::from_slice(&answer.body)?)
}
