//! The credential report: a CSV file of all users and the state of their credentials, made at most every four hours.

mod csv;
mod generate_credential_report;
mod get_credential_report;

pub use generate_credential_report::GenerateCredentialReport;
pub use get_credential_report::GetCredentialReport;

use super::prelude::*;
use breakwater_types::AccountId;

/// For so long a report is given out, and no other is made.
const GOOD_FOR_S: i64 = 4 * 3_600;
/// Pieces that a report is stored in: an entry of the control store holds no more than 1 MiB.
const PIECE_BYTES: usize = 512 * 1024;

#[derive(Serialize, Deserialize)]
struct Report {
    made_unix_s: i64,
    pieces: u32,
}

fn key(account: &AccountId) -> Vec<u8> {
    format!("control/credential-report/{account}/head").into_bytes()
}

fn piece_key(account: &AccountId, number: u32) -> Vec<u8> {
    format!("control/credential-report/{account}/piece/{number:04}").into_bytes()
}
