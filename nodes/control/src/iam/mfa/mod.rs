//! Virtual MFA devices: TOTP seeds that control nodes alone read, and the codes that are asked of their users.

mod create_virtual_mfa_device;
mod deactivate_mfa_device;
mod delete_virtual_mfa_device;
mod device;
mod enable_mfa_device;
mod enabled;
mod get_mfa_device;
mod list_mfa_devices;
mod list_virtual_mfa_devices;
mod picture;
mod resync_mfa_device;
mod seed;
mod totp;
mod verify;

pub use create_virtual_mfa_device::CreateVirtualMfaDevice;
pub use deactivate_mfa_device::DeactivateMfaDevice;
pub use delete_virtual_mfa_device::DeleteVirtualMfaDevice;
pub(crate) use device::{device, serial};
pub use enable_mfa_device::EnableMfaDevice;
pub(crate) use enabled::enabled;
pub use get_mfa_device::GetMfaDevice;
pub use list_mfa_devices::ListMfaDevices;
pub use list_virtual_mfa_devices::ListVirtualMfaDevices;
pub(crate) use picture::{address, qr_png};
pub use resync_mfa_device::ResyncMfaDevice;
pub(crate) use verify::{given, verify};
