//! Tags of trails.

mod add_tags;
mod list_tags;
mod remove_tags;

pub use add_tags::AddTags;
pub use list_tags::ListTags;
pub use remove_tags::RemoveTags;
