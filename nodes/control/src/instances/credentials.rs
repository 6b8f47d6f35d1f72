//! What a host's agent gets: who the host is, and temporary credentials of its profile's role.

use super::view::{View, instance_arn};
use super::{Instances, event};
use crate::iam::{secrets, shapes};
use breakwater_aws::audit::ROLE_DELIVERY;
use breakwater_aws::{Credentials as _, Session, SessionMore};
use breakwater_iam::records::{self, Kind, Role};
use breakwater_proto::instance::{Credentials, Failure, Instance, Profile};
use breakwater_types::NodeName;
use breakwater_types::instance::instance_id;
use tokio::time::Instant;

impl Instances {
    /// `is_news`: it isn't what the host knows, so that a refusal is told too.
    pub(super) async fn instance(
        &self,
        host: &NodeName,
        view: &View,
        is_news: bool,
        deadline: Instant,
    ) -> Result<Instance, String> {
        let account_id = view.account.to_string();
        let Some(profile) = &view.profile else { return Ok(Instance { account_id, profile: None }) };
        let mut shape = Profile {
            arn: records::arn(&view.account, Kind::InstanceProfile, &profile.path, &profile.name),
            id: profile.id.clone(),
            ..Profile::default()
        };
        if let Some(role) = &view.role {
            shape.role = role.name.clone();
            let session_name = instance_id(&self.region, host);
            if view.trusted {
                let session = self.session(view, role, host);
                let token = self.keys.sessions().seal(&session).ok_or("no key to seal a session with")?;
                let event = event::assumed(self, view, role, &session_name, Some(&session));
                self.record(event, deadline).await?;
                shape.credentials = Some(Credentials {
                    access_key_id: session.access_key_id,
                    secret_access_key: session.secret,
                    session_token: token,
                    issued_unix_s: session.issued_unix_s,
                    expires_unix_s: session.expires_unix_s,
                });
            } else {
                if is_news {
                    self.record(event::assumed(self, view, role, &session_name, None), deadline).await?;
                }
                shape.failure = Some(Failure {
                    code: "AssumeRoleUnauthorizedAccess".to_owned(),
                    message: format!(
                        "EC2 cannot assume the role {}. Please see documentation at \
                         https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot_iam-ec2.html.",
                        role.name
                    ),
                });
            }
        }
        Ok(Instance { account_id, profile: Some(shape) })
    }

    fn session(&self, view: &View, role: &Role, host: &NodeName) -> Session {
        let name = instance_id(&self.region, host);
        let now = self.clock.unix_s();
        Session {
            access_key_id: shapes::temporary_id(&view.account),
            secret: secrets::new_secret().to_string(),
            account: view.account.clone(),
            arn: format!("arn:aws:sts::{}:assumed-role/{}/{name}", view.account, role.name),
            role: Some((role.name.clone(), view.role_arn(role))),
            user_id: format!("{}:{name}", role.id),
            issued_unix_s: now,
            expires_unix_s: now + self.lasts_s,
            mfa_unix_s: None,
            policies: Vec::new(),
            policy_arns: Vec::new(),
            tags: Vec::new(),
            source_identity: None,
            more: SessionMore {
                keys: vec![
                    (ROLE_DELIVERY.to_owned(), "2.0".to_owned()),
                    ("ec2:SourceInstanceARN".to_owned(), instance_arn(self, &view.account, host)),
                ],
                ..SessionMore::default()
            },
        }
    }

    /// Nobody gets credentials before the event of it is kept.
    async fn record(&self, event: breakwater_aws::Event, deadline: Instant) -> Result<(), String> {
        if !self.recorder.is_active() {
            return Ok(());
        }
        self.recorder
            .record(vec![event], deadline)
            .await
            .map_err(|e| e.cause.map_or(e.message.to_string(), |cause| cause.to_string()))
    }
}
