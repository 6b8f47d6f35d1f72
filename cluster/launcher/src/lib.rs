//! Starts, stops, watches and breaks a region: as local processes or as containers. The scripts and the tests of
//! whole regions are its users.
//!
//! This crate must not: be linked into a node, or reach one but by its pages, its admin socket and, as any client, the AWS
//! endpoint.
//!
//! Start reading at [`Region`]; [`chaos`] has the words for what is to break.

pub mod chaos;
mod containers;
mod hosts;
mod pages;
mod processes;
mod profile;
mod public_keys;
mod region;
mod status;
mod trail_files;
mod validation;

pub use containers::Containers;
pub use hosts::{Host, PORT_OFFSET_MAX, Settings};
pub use processes::Processes;
pub use region::{AdminCredentials, Condition, Driver, Region, initialise_for_containers};
pub use status::{HostStatus, Status};
pub use trail_files::TrailFile;
pub use validation::Report;
