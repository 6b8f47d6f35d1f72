//! The services of a process, found by what a request says: the Query protocol's form, or `X-Amz-Target`.

use crate::error::AwsError;
use crate::mount::Mounted;
use crate::operation::Protocol;
use crate::query::Form;
use http::HeaderMap;
use std::collections::HashMap;
use std::sync::Arc;

const NAME_CHARACTERS_MAX: usize = 128;

/// The service and operation that a request names, and the form it came as.
pub struct Asked<'a> {
    pub mount: &'a Arc<dyn Mounted>,
    pub index: usize,
    pub form: Option<Form>,
}

#[derive(Default)]
pub struct Mounts {
    /// By what targets begin with; of services that speak the Query protocol, their API's version.
    by_prefix: HashMap<&'static str, Arc<dyn Mounted>>,
    first: Option<&'static str>,
    queries: bool,
}

impl Mounts {
    pub fn add(&mut self, prefix: &'static str, mount: Arc<dyn Mounted>) {
        let names = mount.names();
        self.first.get_or_insert(names.service);
        self.queries |= names.protocol == Protocol::Query;
        let before = self.by_prefix.insert(prefix, mount);
        assert!(before.is_none(), "two services under {prefix}");
    }

    /// Answers for requests that name no service.
    pub fn first_service(&self) -> &'static str {
        self.first.unwrap_or("aws")
    }

    pub fn serves(&self, service: &str) -> bool {
        self.by_prefix.values().any(|mount| mount.names().service == service)
    }

    /// Whether any of them speaks the Query protocol.
    pub fn has_queries(&self) -> bool {
        self.queries
    }

    pub fn named(&self, service: &str, operation: &str) -> Option<Asked<'_>> {
        let mount = self.by_prefix.values().find(|mount| mount.names().service == service)?;
        Some(Asked { mount, index: mount.find(operation)?, form: None })
    }

    /// What a form names: by its API's version, since operations of several services share names.
    pub fn find_query(&self, form: Form) -> Result<Asked<'_>, AwsError> {
        let Some(action) = form.get("Action").filter(|action| !action.is_empty()) else {
            return Err(AwsError::new("MissingAction", 400, "The request must contain the parameter Action"));
        };
        let version = form.get("Version").unwrap_or_default();
        // Anybody can send this, unsigned: no more of it comes back than a name may be long.
        let unknown = || {
            let (action, version) = (shortened(action), shortened(version));
            AwsError::new("InvalidAction", 400, format!("Could not find operation {action} for version {version}"))
        };
        let known = self.by_prefix.get(version).filter(|m| m.names().protocol == Protocol::Query);
        let mount = known.ok_or_else(unknown)?;
        let index = mount.find(action).ok_or_else(unknown)?;
        Ok(Asked { mount, index, form: Some(form) })
    }

    /// What `X-Amz-Target` names.
    pub fn find_target(&self, headers: &HeaderMap) -> Option<Asked<'_>> {
        let target = headers.get("x-amz-target")?.to_str().ok()?;
        let (prefix, operation) = target.rsplit_once('.')?;
        // Some SDKs leave out the model's package before the service's name, as those of CloudTrail's in Go.
        let short = || {
            let mut all = self.by_prefix.iter();
            all.find(|(target, _)| target.rsplit('.').next() == Some(prefix)).map(|(_, mount)| mount)
        };
        let mount = self.by_prefix.get(prefix).or_else(short).filter(|m| m.names().protocol != Protocol::Query)?;
        Some(Asked { mount, index: mount.find(operation)?, form: None })
    }
}

fn shortened(text: &str) -> String {
    text.chars().take(NAME_CHARACTERS_MAX).collect()
}
