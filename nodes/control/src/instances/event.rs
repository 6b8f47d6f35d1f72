//! CloudTrail's record of EC2 assuming a role for a host.

use super::Instances;
use super::view::{SERVICE, View};
use crate::iam::shapes::time;
use breakwater_aws::audit::{answer_time, new_id, uuid};
use breakwater_aws::{Event, Session};
use breakwater_iam::records::Role;
use serde_json::{Value, json};

/// Without a session: the role's trust policy refused it.
pub fn assumed(ctx: &Instances, view: &View, role: &Role, session_name: &str, session: Option<&Session>) -> Event {
    let (unix_ms, id) = (ctx.clock.unix_ms(), new_id());
    let role_arn = view.role_arn(role);
    let mut record = json!({
        "eventVersion": "1.11",
        "userIdentity": {"type": "AWSService", "invokedBy": SERVICE},
        "eventTime": time(unix_ms.div_euclid(1_000)),
        "eventSource": "sts.amazonaws.com",
        "eventName": "AssumeRole",
        "awsRegion": ctx.region,
        "sourceIPAddress": SERVICE,
        "userAgent": SERVICE,
        "requestParameters": {"roleArn": role_arn, "roleSessionName": session_name},
        // Secret and token are left out.
        "responseElements": session.map(|s| json!({"credentials": {
            "accessKeyId": s.access_key_id,
            "expiration": answer_time(s.expires_unix_s),
        }})),
        "requestID": uuid(new_id()),
        "eventID": uuid(id),
        "readOnly": true,
        "resources": [{"accountId": view.account, "type": "AWS::IAM::Role", "ARN": role_arn}],
        "eventType": "AwsApiCall",
        "managementEvent": true,
        "recipientAccountId": view.account,
        "eventCategory": "Management",
    });
    if session.is_none() {
        record["errorCode"] = "AccessDenied".into();
        record["errorMessage"] = Value::from(format!(
            "User: {SERVICE} is not authorized to perform: sts:AssumeRole on resource: {role_arn}"
        ));
    }
    Event {
        account: view.account.clone(),
        unix_ms,
        id,
        done: session.is_some(),
        access_key_id: String::new(),
        user_name: String::new(),
        resources: vec![role_arn],
        record: record.to_string(),
    }
}
