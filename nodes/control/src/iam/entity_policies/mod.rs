//! Policies of users, groups and roles: written into them, or attached. Each operation is written once, for all.

mod attach;
mod delete_inline;
mod detach;
mod entity;
mod get_inline;
mod list_attached;
mod list_inline;
mod put_inline;

pub use attach::Attach as AttachPolicy;
pub use delete_inline::DeleteInline;
pub use detach::Detach;
pub use entity::{OfGroup, OfRole, OfUser};
pub use get_inline::GetInline;
pub use list_attached::ListAttached;
pub use list_inline::ListInline;
pub use put_inline::PutInline;
