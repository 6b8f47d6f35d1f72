//! What CloudTrail's operations share: trails by name or ARN, and changes of them.

use super::prelude::*;
use crate::store::Store;
use breakwater_audit::AuditService;
use breakwater_meta::MetaClient;
use breakwater_types::SharedClock;
use breakwater_types::formats::{Formats, TRAILS};

pub struct Context {
    pub audit: Arc<AuditService>,
    pub clock: SharedClock,
    pub meta: MetaClient,
    /// What may be stored.
    pub formats: Arc<Formats>,
}

/// A trail that is named, by its name or ARN, as policies know it.
pub fn resource(call: &Call, given: Option<&str>) -> Arn {
    match given {
        Some(arn) if arn.starts_with("arn:") => Arn::raw(arn),
        name => Arn::raw(shapes::arn(&call.scope, name.unwrap_or_default())),
    }
}

/// Region, account and name of a trail's ARN.
fn parts(arn: &str) -> Option<(&str, &str, &str)> {
    let mut parts = arn.strip_prefix("arn:aws:cloudtrail:")?.splitn(3, ':');
    let (region, account) = (parts.next()?, parts.next()?);
    let name = parts.next()?.strip_prefix("trail/")?;
    let well_formed = !region.is_empty() && account.len() == 12 && account.bytes().all(|b| b.is_ascii_digit());
    well_formed.then_some((region, account, name))
}

impl Context {
    pub fn store(&self) -> Store<'_> {
        Store { meta: &self.meta, conflict: errors::conflict }
    }

    /// Refuses what nodes of an older format, which a region has during an upgrade, wouldn't understand.
    pub fn needs_trails(&self) -> Result<(), AwsError> {
        match self.formats.active() >= TRAILS {
            true => Ok(()),
            false => Err(AwsError::unavailable("the region still has nodes of an older build")),
        }
    }

    /// The name of the account's own trail that is meant.
    pub fn name(&self, call: &Call, given: Option<&str>) -> Result<String, AwsError> {
        let given = given.unwrap_or_default();
        if !given.starts_with("arn:") {
            check::name(given)?;
            return Ok(given.to_owned());
        }
        let (region, account, name) = parts(given).ok_or_else(|| errors::arn(given))?;
        check::name(name)?;
        if account != call.principal.account.as_str() || region != call.scope.region.as_str() {
            return Err(errors::not_found(given, call.principal.account.as_str()));
        }
        Ok(name.to_owned())
    }

    /// The same for what must be called where the trail was made.
    pub fn own_name(&self, call: &Call, given: Option<&str>) -> Result<String, AwsError> {
        if let Some((region, account, _)) = given.and_then(parts)
            && account == call.principal.account.as_str()
            && region != call.scope.region.as_str()
        {
            return Err(errors::home_region(call.scope.region.as_str()));
        }
        self.name(call, given)
    }

    pub async fn trail(&self, call: &Call, name: &str) -> Result<Found<Trail>, AwsError> {
        let account = &call.principal.account;
        let found = self.store().find(call, trails::key(account, name)).await?;
        found.ok_or_else(|| errors::not_found(&shapes::arn(&call.scope, name), account.as_str()))
    }

    /// How far it has got.
    pub async fn delivery(&self, call: &Call, trail: &Trail) -> Result<Delivery, AwsError> {
        let found = self.store().find::<Delivery>(call, trails::delivery_key(trail)).await?;
        Ok(found.map(|found| found.record).unwrap_or_default())
    }

    /// A trail that is named as a resource that has tags: by its ARN only.
    pub async fn resource(&self, call: &Call, arn: Option<&str>) -> Result<Found<Trail>, AwsError> {
        let arn = arn.unwrap_or_default();
        if parts(arn).is_none() {
            return Err(errors::arn(arn));
        }
        let none = |e: AwsError| match &*e.code {
            "TrailNotFoundException" => errors::resource_not_found(arn),
            _ => e,
        };
        let name = self.name(call, Some(arn)).map_err(none)?;
        self.trail(call, &name).await.map_err(none)
    }

    /// Ends when it is in the store, together with the call's event.
    pub async fn commit<F>(&self, call: &Call, plan: impl FnMut() -> F) -> Result<Value, AwsError>
    where
        F: Future<Output = Result<Change<Value>, AwsError>>,
    {
        self.store().commit(call, plan).await.map(|(answer, _)| answer)
    }

    /// Changes one trail; `change` gives the answer.
    pub async fn change_trail(
        &self,
        call: &Call,
        given: Option<&str>,
        change: impl Fn(&mut Trail) -> Result<Value, AwsError>,
    ) -> Result<Value, AwsError> {
        let name = self.own_name(call, given)?;
        self.commit(call, || async {
            let mut found = self.trail(call, &name).await?;
            found.record.forget(self.delivery(call, &found.record).await?.settled);
            let answer = change(&mut found.record)?;
            check::spells(&found.record)?;
            Ok(Change { compares: vec![found.unchanged()], ops: vec![found.put()?], answer })
        })
        .await
    }

    pub async fn tagged(
        &self,
        call: &Call,
        arn: Option<&str>,
        change: impl Fn(&mut Trail) -> Result<(), AwsError>,
    ) -> Result<Value, AwsError> {
        self.commit(call, || async {
            let mut found = self.resource(call, arn).await?;
            change(&mut found.record)?;
            Ok(Change { compares: vec![found.unchanged()], ops: vec![found.put()?], answer: json!({}) })
        })
        .await
    }
}
