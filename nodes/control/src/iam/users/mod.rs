//! Users.

mod create_user;
mod delete_user;
mod delete_user_permissions_boundary;
mod follows;
mod get_user;
mod list_users;
mod put_user_permissions_boundary;
mod update_user;

pub use create_user::CreateUser;
pub use delete_user::DeleteUser;
pub use delete_user_permissions_boundary::DeleteUserPermissionsBoundary;
pub use get_user::GetUser;
pub use list_users::ListUsers;
pub use put_user_permissions_boundary::PutUserPermissionsBoundary;
pub use update_user::UpdateUser;
