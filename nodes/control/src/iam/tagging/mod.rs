//! Tags of users, roles, managed policies, MFA devices and instance profiles: the same three operations on each.

mod list_tags;
mod tag;
mod tagged;
mod untag;

pub use list_tags::ListTags;
pub use tag::TagResource;
pub use tagged::{
    OfInstanceProfile, OfMfaDevice, OfOidcProvider, OfPolicy, OfRole, OfSamlProvider, OfServerCertificate, OfUser,
};
pub use untag::UntagResource;
