//! What would be allowed: questions to the evaluator that guards the front door, without doing what they ask about.

mod asked;
mod context;
mod get_context_keys_for_custom_policy;
mod get_context_keys_for_principal_policy;
pub(crate) mod input;
mod questions;
mod scenario;
mod simulate_custom_policy;
mod simulate_principal_policy;

pub use get_context_keys_for_custom_policy::GetContextKeysForCustomPolicy;
pub use get_context_keys_for_principal_policy::GetContextKeysForPrincipalPolicy;
pub use simulate_custom_policy::SimulateCustomPolicy;
pub use simulate_principal_policy::SimulatePrincipalPolicy;
