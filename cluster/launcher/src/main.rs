//! `breakwater`: what the scripts call.

use anyhow::{Context, Result, bail};
use breakwater_launcher::chaos::{self, Action};
use breakwater_launcher::{HostStatus, PORT_OFFSET_MAX, Region, Settings, Status};
use clap::{Args, Parser, Subcommand};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

#[derive(Parser)]
#[command(about = "A private AWS region of real parts, on this machine")]
struct Cli {
    #[command(flatten)]
    which: Which,
    #[command(subcommand)]
    command: Command,
}

#[derive(Args)]
struct Which {
    /// Which region of this machine.
    #[arg(long, global = true, default_value = "breakwater", env = "BREAKWATER_NAME")]
    name: String,
    /// Where regions keep their files.
    #[arg(long, global = true, default_value = ".region", env = "BREAKWATER_ROOT")]
    root: PathBuf,
    /// The region's hosts are containers of docker-compose.yml.
    #[arg(long, global = true)]
    docker: bool,
}

#[derive(Subcommand)]
enum Command {
    /// Starts the region, or what isn't running of it.
    Up {
        /// Added to the published ports (first start only); 0 if nothing is said.
        #[arg(long, value_parser = clap::value_parser!(u16).range(..=i64::from(PORT_OFFSET_MAX)))]
        port_offset: Option<u16>,
        /// AWS's name of the region (first start only).
        #[arg(long)]
        region: Option<String>,
        /// Twelve digits (first start only).
        #[arg(long)]
        account: Option<String>,
        /// DynamoDB nodes in each zone (first start only).
        #[arg(long, default_value_t = 1)]
        dynamo_nodes: u8,
        /// Partitions of a table at least (first start only).
        #[arg(long, default_value_t = 1)]
        partitions_min: u32,
        /// Storage engine of the nodes: fjall or sled (first start only).
        #[arg(long, default_value = "fjall")]
        engine: String,
    },
    /// Stops the region; what it stores stays.
    Down {
        /// Removes what it stores too.
        #[arg(long)]
        wipe: bool,
    },
    /// Shows hosts, zones, roles and leaders; exits with 1 where a host isn't well.
    Status {
        #[arg(long)]
        json: bool,
        /// Again and again, until interrupted.
        #[arg(long)]
        watch: bool,
    },
    /// Breaks something: kill, kill-node, kill-agent, stop, start, pause, resume, restart, cut, isolate, heal, wipe,
    /// replace.
    Chaos {
        /// kill (a host's node and agent), kill-node, kill-agent, stop, start, pause, resume, restart, cut, isolate (cut from the
        /// other hosts, but not from clients), heal, wipe, replace, or random.
        action: String,
        /// A zone (az-b), host (dynamo-node-b1), kind (control-node), meta-leader, dynamodb-leader:TABLE, or all.
        #[arg(required_unless_present = "seed")]
        target: Option<String>,
        /// random: the same seed, the same faults.
        #[arg(long)]
        seed: Option<u64>,
        #[arg(long, default_value_t = 60)]
        seconds: u64,
        #[arg(long, default_value_t = 5)]
        faults: usize,
        /// random: hit this table's leaders too.
        #[arg(long)]
        table: Option<String>,
    },
    /// Makes and lists AWS accounts of the region.
    Account {
        #[command(subcommand)]
        what: Account,
    },
    /// Tells or sets the instance profile of a host, whose role's credentials its metadata service hands out.
    HostProfile {
        /// As dynamo-node-b1.
        host: String,
        /// The instance profile's name.
        #[arg(conflicts_with = "none")]
        profile: Option<String>,
        /// Takes away the one that it has.
        #[arg(long)]
        none: bool,
        /// Whose profile it is, if not the first account's.
        #[arg(long)]
        account: Option<String>,
    },
    /// Lists, copies and validates files that CloudTrail's trails have delivered.
    TrailFiles {
        #[command(subcommand)]
        what: TrailFiles,
    },
    /// Makes the files of a region without starting it: CA, tokens, settings. For containers.
    Init {
        /// Where the host's files are inside its container.
        #[arg(long)]
        host_dir: PathBuf,
    },
}

#[derive(Subcommand)]
enum Account {
    /// Makes an account with an administrator, and the AWS profile that has her access key.
    Create {
        /// Twelve digits.
        account: String,
        /// Its AWS profile; else the region's name and the account, as breakwater-444455556666.
        #[arg(long)]
        profile: Option<String>,
    },
    /// Lists the accounts.
    List,
}

#[derive(Subcommand)]
enum TrailFiles {
    /// Lists them: when each was made, its bytes, its path.
    List {
        /// BUCKET or BUCKET/PREFIX; all if nothing is said.
        #[arg(default_value = "")]
        prefix: String,
    },
    /// Copies them below a folder, with their metadata beside them.
    Copy {
        /// BUCKET or BUCKET/PREFIX.
        prefix: String,
        folder: PathBuf,
    },
    /// Validates digests, their chain, and the log files that they name, as `aws cloudtrail validate-logs` does; exits
    /// with 1 where one is invalid, or where there is none.
    Validate {
        /// Buckets, or folders that copy has made. Where there is a folder of that name, it is the folder.
        #[arg(required = true)]
        what: Vec<String>,
    },
}

fn region(which: &Which, settings: Settings) -> Result<Region> {
    let root = std::path::absolute(which.root.join(&which.name))?;
    let binaries = std::env::current_exe()?.parent().context("this program has no folder")?.to_owned();
    Region::open(root, settings, binaries, which.docker)
}

fn up(which: &Which, settings: Settings, port_offset: Option<u16>) -> Result<()> {
    let began = Instant::now();
    let region = region(which, settings)?;
    let mut tell = |line: &str| say(&format!("  {line}"));
    region.must_have_offset(port_offset)?;
    if which.docker {
        region.must_exist().context("docker compose up -d starts the containers")?;
    } else {
        // Before the settings of a first start are kept: another offset may be chosen then.
        region.ports_must_be_free()?;
        region.initialise()?;
    }
    if let Some(note) = note_on_node_settings(&region, which.docker) {
        tell(&note);
    }
    region.start(&mut tell)?;
    region.wait_ready(Duration::from_secs(60), &mut tell)?;
    region.write_profile()?;
    say(&welcome(&region, which.docker, began.elapsed()));
    Ok(())
}

fn welcome(region: &Region, docker: bool, took: Duration) -> String {
    let name = &region.settings.name;
    let options = format!("{}{}", region.settings.name_option(), if docker { " --docker" } else { "" });
    format!(
        "\nThe region {} is ready ({:.1} s): {} hosts in three zones.\n\n  \
         AWS endpoint   {}\n  DynamoDB       {}  (stays when every control node is down)\n  \
         AWS profile    {name}\n  \
         Console        {}/_console\n\nTry:\n  AWS_PROFILE={name} aws dynamodb list-tables\n  \
         scripts/status{options}\n  scripts/chaos kill az-b{options}",
        region.settings.region,
        took.as_secs_f64(),
        region.hosts.len(),
        region.endpoint(),
        region.dynamodb_endpoint(),
        region.endpoint(),
    )
}

/// What somebody who has set BREAKWATER_NODE_SETTINGS should know of those that it doesn't reach.
fn note_on_node_settings(region: &Region, docker: bool) -> Option<String> {
    std::env::var("BREAKWATER_NODE_SETTINGS").ok().filter(|settings| !settings.trim().is_empty())?;
    if docker {
        return Some("BREAKWATER_NODE_SETTINGS does nothing here: containers have their settings already".to_owned());
    }
    let running = region.hosts.iter().filter(|host| region.driver.is_up(host)).count();
    (running > 0).then(|| {
        format!(
            "BREAKWATER_NODE_SETTINGS takes effect only for nodes that are started now: {running} hosts run already"
        )
    })
}

/// As `println!`, but a reader who has gone away is no panic.
fn print(text: &str) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{text}")?;
    out.flush()
}

/// Tells of what is done: that goes on though nobody reads it, as of `scripts/up | head`.
fn say(text: &str) {
    let _ = print(text);
}

fn list_trail_files(region: &Region, prefix: &str) -> Result<()> {
    print("CREATED (ms since 1970)\tSIZE (bytes)\tBUCKET/OBJECT")?;
    for file in region.trail_files(prefix)? {
        print(&format!("{}\t{}\t{}", file.created_unix_ms, file.bytes, file.path))?;
    }
    Ok(())
}

fn copy_trail_files(region: &Region, prefix: &str, folder: &Path) -> Result<()> {
    let copied = region.copy_trail_files(prefix, folder)?;
    if copied == 0 {
        let option = region.settings.name_option();
        bail!("there is nothing under {prefix:?}: scripts/trail-files list{option} shows what there is");
    }
    say(&format!("{copied} files copied"));
    Ok(())
}

/// Whether it is all valid.
fn validate_trail_files(region: &Region, what: &str) -> Result<bool> {
    let is_folder = Path::new(what).is_dir();
    let report = if is_folder { region.validate_folder(Path::new(what))? } else { region.validate_bucket(what)? };
    // Though nobody reads it: the status tells it too.
    say(&format!("Validating the {} {what}", if is_folder { "folder" } else { "bucket" }));
    report.invalid.iter().chain(&report.summaries).for_each(|line| say(line));
    if report.summaries.is_empty() {
        say("No digests found: a trail that was made with --enable-log-file-validation delivers one an hour");
    }
    if report.unnamed > 0 {
        let files = if report.unnamed == 1 { "log file is" } else { "log files are" };
        say(&format!("{} {files} named by no valid digest (yet): nothing is known of them", report.unnamed));
    }
    Ok(report.is_valid())
}

fn trail_files(region: &Region, what: &TrailFiles) -> Result<ExitCode> {
    match what {
        TrailFiles::List { prefix } => list_trail_files(region, prefix)?,
        TrailFiles::Copy { prefix, folder } => copy_trail_files(region, prefix, folder)?,
        TrailFiles::Validate { what } => {
            let mut valid = true;
            for one in what {
                valid &= validate_trail_files(region, one)?;
            }
            return Ok(if valid { ExitCode::SUCCESS } else { ExitCode::FAILURE });
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn down(region: &Region, wipe: bool) -> Result<()> {
    // Of containers that are gone, data may still be there.
    if !region.root.exists() {
        region.must_exist()?;
    }
    region.stop(&mut |line| say(&format!("  {line}")))?;
    if !wipe {
        say("The region is down.");
        return Ok(());
    }
    let profiles = region.profiles().join(", ");
    // Containers keep their data in the same folder.
    if region.root.exists() {
        std::fs::remove_dir_all(&region.root).with_context(|| format!("removing {}", region.root.display()))?;
    }
    say(&format!(
        "The region is down, and its data removed. AWS profiles that it wrote stay where they are: {profiles}."
    ));
    Ok(())
}

fn main() -> ExitCode {
    match command(Cli::parse()) {
        Ok(code) => code,
        Err(e) if e.downcast_ref::<std::io::Error>().is_some_and(|e| e.kind() == ErrorKind::BrokenPipe) => {
            ExitCode::SUCCESS
        }
        Err(e) => {
            eprintln!("breakwater: {e:#}");
            ExitCode::FAILURE
        }
    }
}

fn command(cli: Cli) -> Result<ExitCode> {
    let defaults = Settings::new(&cli.which.name);
    match cli.command {
        Command::Up { port_offset, region, account, dynamo_nodes, partitions_min, engine } => {
            let settings = Settings {
                port_offset: port_offset.unwrap_or_default(),
                region: region.map_or(Ok(defaults.region.clone()), |r| r.parse())?,
                account: account.map_or(Ok(defaults.account.clone()), |a| a.parse())?,
                dynamo_nodes_per_zone: dynamo_nodes,
                partitions_min,
                engine,
                ..defaults
            };
            up(&cli.which, settings, port_offset)?;
        }
        Command::Down { wipe } => {
            let region = region(&cli.which, defaults)?;
            down(&region, wipe)?;
        }
        Command::Status { json, watch } => {
            let region = region(&cli.which, defaults)?;
            region.must_exist()?;
            loop {
                let status = Status::gather(&region);
                if json {
                    print(&serde_json::to_string(&status)?)?;
                } else if watch {
                    print(&format!("\x1b[2J\x1b[H{}", status.table()))?;
                } else {
                    print(&status.table())?;
                }
                if !watch {
                    let well = status.hosts.iter().all(HostStatus::is_well);
                    return Ok(if well { ExitCode::SUCCESS } else { ExitCode::FAILURE });
                }
                std::thread::sleep(Duration::from_secs(1));
            }
        }
        Command::Chaos { action, target, seed, seconds, faults, table } => {
            let region = region(&cli.which, defaults)?;
            region.must_exist()?;
            if action == "random" {
                let seed = seed.context("random needs --seed")?;
                let told = |line: String| say(&line);
                chaos::random(&region, seed, Duration::from_secs(seconds), faults, table.as_deref(), told)?;
                return Ok(ExitCode::SUCCESS);
            }
            let action = Action::parse(&action).with_context(|| format!("{action:?} is not an action"))?;
            let hosts = chaos::targets(&region, &target.unwrap_or_default())?;
            chaos::act(&region, action, &hosts)?;
            for host in hosts {
                say(&format!("{} {}", action.word(), host.name));
            }
        }
        Command::Account { what } => {
            let region = region(&cli.which, defaults)?;
            region.must_exist()?;
            match what {
                Account::Create { account, profile } => {
                    let account = account.parse()?;
                    let profile = profile.unwrap_or_else(|| format!("{}-{account}", region.settings.name));
                    region.create_account(&account, &profile)?;
                    say(&format!(
                        "Account {account} is there, with the user administrator.\n\n  AWS profile    {profile}"
                    ));
                }
                Account::List => region.accounts()?.iter().try_for_each(|account| print(account))?,
            }
        }
        Command::HostProfile { host, profile, none, account } => {
            let region = region(&cli.which, defaults)?;
            region.must_exist()?;
            let account = account.map_or(Ok(region.settings.account.clone()), |account| account.parse())?;
            let told = region.host_profile(&host, &account, profile.as_deref(), none)?;
            let word = |name: &str| told[name].as_str().unwrap_or("-").to_owned();
            print(&format!("{host}  {}  {}  {}", word("instance_id"), word("account_id"), word("profile")))?;
        }
        Command::TrailFiles { what } => {
            let region = region(&cli.which, defaults)?;
            region.must_exist()?;
            return trail_files(&region, &what);
        }
        Command::Init { host_dir } => {
            let root = std::path::absolute(cli.which.root.join(&cli.which.name))?;
            breakwater_launcher::initialise_for_containers(&root, &defaults, &host_dir)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}
