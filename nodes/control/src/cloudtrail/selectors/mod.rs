//! What trails select.

mod get_event_selectors;
mod put_event_selectors;
mod read;
mod wire;

pub use get_event_selectors::GetEventSelectors;
pub use put_event_selectors::PutEventSelectors;
