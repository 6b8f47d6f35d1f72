//! Making, changing and describing trails.

mod create_trail;
mod delete_trail;
mod describe_trails;
mod get_insight_selectors;
mod get_trail;
mod get_trail_status;
mod list_public_keys;
mod list_trails;
mod logging;
mod update_trail;
mod wanted;

pub use create_trail::CreateTrail;
pub use delete_trail::DeleteTrail;
pub use describe_trails::DescribeTrails;
pub use get_insight_selectors::GetInsightSelectors;
pub use get_trail::GetTrail;
pub use get_trail_status::GetTrailStatus;
pub use list_public_keys::ListPublicKeys;
pub use list_trails::ListTrails;
pub use logging::{StartLogging, StopLogging};
pub use update_trail::UpdateTrail;
