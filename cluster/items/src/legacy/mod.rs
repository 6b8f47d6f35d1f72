//! Placeholder until the legacy parameters land.
