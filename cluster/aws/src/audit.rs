//! What is left of every management call: an event with CloudTrail's fields, done or denied.
//!
//! A call that changes the control plane writes its event in the same transaction ([`Call::event`], then
//! [`Pending::is_written`]); of all others the front door hands it to the [`Recorder`] before it answers. An event's id
//! is the call's own, so that the event of a transaction whose outcome nobody knew, and that of the error which was
//! answered, are one: the one that tells of success counts.

mod elements;

pub use elements::{SECRETS, answer_time, omitted};

use crate::arn::Arn;
use crate::call::{Call, Federated, Identity};
use crate::error::AwsError;
use breakwater_policy::CallerKind;
use breakwater_types::{AccountId, rfc3339};
use bytes::Bytes;
use elements::{ELEMENTS_BYTES_MAX, Members, elements, shortened, told_text};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use std::future::Future;
use std::pin::Pin;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::time::Instant;

/// Of CloudTrail's records.
const EVENT_VERSION: &str = "1.11";
/// Of request parameters of a call that failed, and of who has proved nothing: anybody can send them, and they take
/// place from what tells of changes.
const FAILED_BYTES_MAX: usize = 16 * 1024;
const UNPROVED_BYTES_MAX: usize = 2 * 1024;
/// Longer bodies aren't even read for their event: nothing of them would be told.
pub const TOLD_BODY_BYTES_MAX: usize = 1 << 20;
/// Resources of one call that are told. A data call has 100 at most, and selectors look at all of them.
const RESOURCES_MAX: usize = 20;
const RESOURCES_KNOWN_MAX: usize = 100;
/// An event of this build has less: two lots of elements, and resources by their bounds.
const EVENT_BYTES_MAX: usize = 1 << 20;

/// An event as it is stored and sent: what it is found by, and CloudTrail's record. It may grow at its end only, behind
/// a new format.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// In whose trail it stands.
    pub account: AccountId,
    pub unix_ms: i64,
    pub id: u128,
    /// Whether the call succeeded.
    pub done: bool,
    pub access_key_id: String,
    pub user_name: String,
    /// ARNs of what the call was about.
    pub resources: Vec<String>,
    /// CloudTrail's record, as JSON.
    pub record: String,
}

/// The condition key of sessions that the instance metadata service handed out: its version.
pub const ROLE_DELIVERY: &str = "ec2:RoleDelivery";

/// Keeps events. Nothing is answered before it has them durably.
pub trait Recorder: Send + Sync + 'static {
    /// False while the region still has nodes of a format without events.
    fn is_active(&self) -> bool;

    /// Whether any trail asks for data events. Asked of each data call: it costs a look at a flag.
    fn hears_data(&self) -> bool {
        false
    }

    /// Whether changes of the control plane may go on: what tells of them waits somewhere within a bound.
    fn has_room(&self) -> bool {
        true
    }

    /// Takes the event of a data call that is over, if a trail selects it. Never waits: data calls don't.
    fn offer(&self, _call: &Call, _outcome: Result<(), &AwsError>) {}

    fn record<'a>(
        &'a self,
        events: Vec<Event>,
        deadline: Instant,
    ) -> Pin<Box<dyn Future<Output = Result<(), AwsError>> + Send + 'a>>;
}

/// Keeps nothing: for tests of what isn't about events.
#[derive(Debug, Default)]
pub struct Unrecorded;

impl Recorder for Unrecorded {
    fn is_active(&self) -> bool {
        false
    }
    fn record<'a>(
        &'a self,
        _events: Vec<Event>,
        _deadline: Instant,
    ) -> Pin<Box<dyn Future<Output = Result<(), AwsError>> + Send + 'a>> {
        Box::pin(std::future::ready(Ok(())))
    }
}

/// What the event of a data call tells of its request: keys, and never what is stored under them.
#[derive(Clone, Debug, PartialEq)]
pub struct DataCall {
    /// With CloudTrail's spelling of members.
    pub parameters: Value,
    /// As `2012-08-10`.
    pub api_version: &'static str,
}

/// Of the connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tls {
    pub version: String,
    pub cipher: String,
}

/// What is known of a call's event before its outcome.
#[derive(Debug)]
pub struct Pending {
    pub id: u128,
    pub service: &'static str,
    pub operation: &'static str,
    pub read_only: bool,
    /// Whether the event has the call's answer.
    pub tells_answer: bool,
    /// Codes of errors end with "Exception" in events, also where the protocol leaves it out.
    pub query: bool,
    pub region: String,
    /// The caller's unique id, as `AIDA…`.
    pub principal_id: String,
    pub host: Option<String>,
    pub tls: Option<Tls>,
    /// The request's body, as JSON; of a data call nothing, until somebody wants it.
    pub request: Value,
    /// Request parameters that aren't in the body, as CloudTrail spells them.
    pub more: Mutex<Map<String, Value>>,
    /// The body of a data call.
    pub data: Option<Bytes>,
    pub resources: Mutex<Vec<String>>,
    /// Who calls an operation that needs no signature, once that is proved.
    pub federated: OnceLock<Federated>,
    pub written: AtomicBool,
}

impl Pending {
    /// The event was committed together with what the call changed.
    pub fn is_written(&self) -> bool {
        self.written.load(Ordering::Acquire)
    }

    pub fn set_written(&self) {
        self.written.store(true, Ordering::Release);
    }

    pub fn proved(&self, caller: Federated) {
        // The first proof is the one that was decided by.
        let _ = self.federated.set(caller);
    }

    /// A request parameter that isn't in the request itself, as tags that the calling session hands on.
    pub fn adds(&self, name: &str, value: Value) {
        self.more.lock().insert(name.to_owned(), value);
    }

    pub fn concerns(&self, resource: &Arn) {
        let mut resources = self.resources.lock();
        if resource.as_str() != "*"
            && resources.len() < RESOURCES_KNOWN_MAX
            && !resources.iter().any(|r| r == resource.as_str())
        {
            resources.push(resource.as_str().to_owned());
        }
    }
}

impl Event {
    /// About what it takes where it is kept, but for its keys.
    pub fn bytes(&self) -> usize {
        let texts = [&self.access_key_id, &self.user_name, &self.record];
        texts.into_iter().chain(&self.resources).map(String::len).sum()
    }

    /// Itself, or what is left of one that is too long to be sent: a build of before had no bound.
    pub fn bounded(self) -> Event {
        let bytes = self.bytes();
        if bytes <= EVENT_BYTES_MAX {
            return self;
        }
        let mut record: Map<String, Value> = serde_json::from_str(&self.record).unwrap_or_default();
        record.remove("resources");
        for elements in ["requestParameters", "responseElements"] {
            if record.get(elements).is_some_and(|told| !told.is_null()) {
                record.insert(elements.to_owned(), omitted(bytes));
            }
        }
        let mut record = Value::Object(record).to_string();
        if record.len() > EVENT_BYTES_MAX / 2 {
            record = Value::Object(Map::from_iter([("requestParameters".to_owned(), omitted(bytes))])).to_string();
        }
        let (access_key_id, user_name) = (shortened(&self.access_key_id), shortened(&self.user_name));
        Event { resources: Vec::new(), record, access_key_id, user_name, ..self }
    }
}

fn error_code(pending: &Pending, e: &AwsError) -> String {
    match &*e.code {
        "AccessDenied" | "AccessDeniedException" => "AccessDenied".to_owned(),
        code if pending.query && !code.ends_with("Exception") && !code.ends_with("Error") => format!("{code}Exception"),
        code => code.to_owned(),
    }
}

impl Call {
    /// What a call that changes something writes together with the change: none where there are no events yet.
    pub fn event(&self, response: &Value) -> Option<Event> {
        self.events(Ok(response)).into_iter().next()
    }

    /// The caller's event; and that of the account whose resource was used, if it is another one's.
    pub fn events(&self, outcome: Result<&Value, &AwsError>) -> Vec<Event> {
        let Some(pending) = &self.audit else { return Vec::new() };
        let resources = pending.resources.lock().clone();
        let record = self.record(pending, outcome, &resources);
        self.events_of(pending, outcome.is_ok(), resources, record)
    }

    /// Those of a data call.
    pub fn data_events(&self, told: DataCall, outcome: Result<(), &AwsError>) -> Vec<Event> {
        let Some(pending) = &self.audit else { return Vec::new() };
        let resources = pending.resources.lock().clone();
        let mut record = self.record(pending, outcome.map(|()| &Value::Null), &resources);
        let size = told.parameters.to_string().len();
        let parameters = if size > ELEMENTS_BYTES_MAX { omitted(size) } else { told.parameters };
        record.insert("requestParameters".to_owned(), parameters);
        record.insert("apiVersion".to_owned(), told.api_version.into());
        self.events_of(pending, outcome.is_ok(), resources, record)
    }

    fn events_of(
        &self,
        pending: &Pending,
        done: bool,
        resources: Vec<String>,
        mut record: Map<String, Value>,
    ) -> Vec<Event> {
        let account_of = |arn: &String| AccountId::new(arn.split(':').nth(4)?).ok();
        // Who has no account yet is told of in that of the role it asks for.
        let asked = match self.principal.identity {
            Identity::Anonymous => resources.iter().find_map(account_of),
            _ => None,
        };
        let own = asked.as_ref().unwrap_or(&self.principal.account);
        let event = |account: &AccountId, id: u128, record: &Map<String, Value>| Event {
            account: account.clone(),
            unix_ms: self.received_unix_ms,
            id,
            done,
            access_key_id: self.principal.access_key_id.clone(),
            user_name: self.user_name(pending),
            resources: resources.clone(),
            record: Value::Object(record.clone()).to_string(),
        };
        let tells = |record: &mut Map<String, Value>, account: &AccountId, id: u128| {
            record.insert("eventID".to_owned(), uuid(id).into());
            record.insert("recipientAccountId".to_owned(), account.to_string().into());
        };
        let other =
            resources.iter().filter_map(|arn| arn.split(':').nth(4)).find(|a| !a.is_empty() && *a != own.as_str());
        let other = other.filter(|_| done).and_then(|account| AccountId::new(account).ok());
        tells(&mut record, own, pending.id);
        let Some(other) = other else { return vec![event(own, pending.id, &record)] };
        record.insert("sharedEventID".to_owned(), uuid(pending.id ^ 2).into());
        let callers = event(own, pending.id, &record);
        // As AWS has it: the account and the caller's unique id (which ends with a session's name), and no more.
        let who = json!({"type": "AWSAccount", "principalId": pending.principal_id, "accountId": own});
        record.insert("userIdentity".to_owned(), who);
        let id = pending.id ^ 1;
        tells(&mut record, &other, id);
        let (access_key_id, user_name) = Default::default();
        vec![callers, Event { access_key_id, user_name, ..event(&other, id, &record) }]
    }

    fn record(
        &self,
        pending: &Pending,
        outcome: Result<&Value, &AwsError>,
        resources: &[String],
    ) -> Map<String, Value> {
        let agent = self.user_agent.as_ref().map(|agent| String::from_utf8_lossy(agent.as_bytes()).into_owned());
        let mut record = Map::new();
        let mut set = |name: &str, value: Value| record.insert(name.to_owned(), value);
        set("eventVersion", EVENT_VERSION.into());
        set("userIdentity", self.user_identity(pending));
        set("eventTime", rfc3339(self.received_unix_ms.div_euclid(1_000)).into());
        set("eventSource", format!("{}.amazonaws.com", pending.service).into());
        set("eventName", pending.operation.into());
        set("awsRegion", pending.region.as_str().into());
        set("sourceIPAddress", self.source.ip().to_canonical().to_string().into());
        set("userAgent", agent.map_or(Value::Null, |agent| shortened(&agent).into()));
        if let Err(e) = outcome {
            set("errorCode", error_code(pending, e).into());
            if !e.message.is_empty() {
                set("errorMessage", told_text(&e.message).into());
            }
        }
        let unproved = self.principal.identity == Identity::Anonymous && pending.federated.get().is_none();
        let parameters_max = match outcome {
            _ if unproved => UNPROVED_BYTES_MAX,
            Ok(_) => ELEMENTS_BYTES_MAX,
            Err(_) => FAILED_BYTES_MAX,
        };
        let (asked, answered) =
            if pending.query { (Members::Form, Members::FormAnswer) } else { (Members::Json, Members::Json) };
        set("requestParameters", elements(asked, &pending.request, &pending.more.lock(), parameters_max));
        let response = outcome.ok().filter(|_| pending.tells_answer);
        let told = |response: &Value| elements(answered, response, &Map::new(), ELEMENTS_BYTES_MAX);
        set("responseElements", response.map_or(Value::Null, told));
        set("requestID", self.request_id.as_str().into());
        set("readOnly", pending.read_only.into());
        let known: Vec<Value> = typed_resources(resources)
            .into_iter()
            .take(RESOURCES_MAX)
            .filter_map(|(kind, arn)| {
                let account = arn.split(':').nth(4).filter(|account| !account.is_empty())?;
                Some(json!({"accountId": account, "type": kind, "ARN": arn}))
            })
            .collect();
        if !known.is_empty() {
            set("resources", known.into());
        }
        if self.is_from_console() {
            set("sessionCredentialFromConsole", "true".into());
        }
        set("eventType", "AwsApiCall".into());
        set("managementEvent", pending.data.is_none().into());
        set("eventCategory", if pending.data.is_none() { "Management" } else { "Data" }.into());
        if let Some(tls) = &pending.tls {
            let mut details = json!({"tlsVersion": tls.version, "cipherSuite": tls.cipher});
            if let Some(host) = &pending.host {
                details["clientProvidedHostHeader"] = shortened(host).into();
            }
            set("tlsDetails", details);
        }
        record
    }

    /// As records and trails' selectors have it.
    pub fn is_from_console(&self) -> bool {
        self.principal.session.as_ref().is_some_and(|session| session.is_signed_in())
    }

    fn user_name(&self, pending: &Pending) -> String {
        match (&self.principal.identity, self.principal.session.as_deref()) {
            (Identity::Root, _) => "root".to_owned(),
            (Identity::User(name), _) => name.clone(),
            // As LookupEvents has it: the session's name.
            (Identity::Role(_), Some(session)) => session.arn.rsplit('/').next().unwrap_or_default().to_owned(),
            (Identity::Role(name) | Identity::Federated(name), _) => name.clone(),
            (Identity::Anonymous, _) => pending.federated.get().map(|f| f.user_name.clone()).unwrap_or_default(),
        }
    }

    fn user_identity(&self, pending: &Pending) -> Value {
        let principal = &self.principal;
        if principal.identity == Identity::Anonymous {
            return pending.federated.get().map_or_else(|| json!({"type": "Unknown"}), federated_identity);
        }
        let mut who = json!({
            "type": match &principal.identity {
                Identity::Root => "Root",
                Identity::User(_) => "IAMUser",
                Identity::Role(_) => "AssumedRole",
                Identity::Federated(_) => "FederatedUser",
                Identity::Anonymous => "Unknown",
            },
            "principalId": pending.principal_id,
            "arn": principal.arn,
            "accountId": principal.account,
            "accessKeyId": principal.access_key_id,
        });
        if let Identity::User(name) = &principal.identity {
            who["userName"] = name.as_str().into();
        }
        let Some(session) = &principal.session else { return who };
        let mut context = json!({
            "attributes": {
                "creationDate": rfc3339(session.issued_unix_s),
                "mfaAuthenticated": session.mfa_unix_s.is_some().to_string(),
            }
        });
        if let Some((role, arn)) = &session.role {
            context["sessionIssuer"] = json!({
                "type": "Role",
                "principalId": session.user_id.split(':').next().unwrap_or_default(),
                "arn": arn,
                "accountId": principal.account,
                "userName": role,
            });
        }
        if let Some((arn, id)) = &session.more.issuer {
            let user = arn.rsplit('/').next().filter(|_| arn.contains(":user/"));
            context["sessionIssuer"] = json!({
                "type": if user.is_some() { "IAMUser" } else { "Root" },
                "principalId": id,
                "arn": arn,
                "accountId": principal.account,
                "userName": user,
            });
        }
        if let Some(provider) = session.more.provider.as_deref().filter(|arn| arn.contains(":oidc-provider/")) {
            context["webIdFederationData"] = json!({"federatedProvider": provider, "attributes": {}});
        }
        if let Some(source) = &session.source_identity {
            context["sourceIdentity"] = source.as_str().into();
        }
        let key = |name| session.more.keys.iter().find(|(key, _)| key == name);
        if let Some((_, version)) = key(ROLE_DELIVERY) {
            context["ec2RoleDelivery"] = version.as_str().into();
        }
        who["sessionContext"] = context;
        who
    }
}

/// As CloudTrail tells of who has no credentials yet.
fn federated_identity(who: &Federated) -> Value {
    let kind = match who.caller.kind {
        CallerKind::Saml { .. } => "SAMLUser",
        _ => "WebIdentityUser",
    };
    json!({
        "type": kind,
        "principalId": shortened(&who.principal_id),
        "userName": shortened(&who.user_name),
        "identityProvider": who.identity_provider,
    })
}

/// As UUIDs are written.
pub fn uuid(id: u128) -> String {
    let hex = format!("{id:032x}");
    [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-")
}

/// A random id, of version 4.
pub fn new_id() -> u128 {
    let random: u128 = rand::random();
    random & !(0xf << 76) & !(0b11 << 62) | (0x4 << 76) | (0b10 << 62)
}

/// What CloudTrail calls its type, and its name, of a resource with this ARN.
pub fn resource_of(arn: &str) -> Option<(&'static str, &str)> {
    let mut parts = arn.splitn(6, ':');
    let (service, resource) = (parts.nth(2)?, parts.nth(2)?);
    let (kind, name) = resource.split_once('/')?;
    let last = name.rsplit('/').next().filter(|name| !name.is_empty() && *name != "*")?;
    Some(match (service, kind) {
        ("dynamodb", "table") => ("AWS::DynamoDB::Table", name.split('/').next()?),
        ("iam", "user") => ("AWS::IAM::User", last),
        ("iam", "group") => ("AWS::IAM::Group", last),
        ("iam", "role") => ("AWS::IAM::Role", last),
        ("iam", "instance-profile") => ("AWS::IAM::InstanceProfile", last),
        ("iam", "policy") => ("AWS::IAM::Policy", last),
        ("iam", "server-certificate") => ("AWS::IAM::ServerCertificate", last),
        ("iam", "oidc-provider") => ("AWS::IAM::OIDCProvider", name),
        ("iam", "saml-provider") => ("AWS::IAM::SAMLProvider", name),
        ("iam", "mfa") => ("AWS::IAM::VirtualMFADevice", last),
        ("cloudtrail", "trail") => ("AWS::CloudTrail::Trail", last),
        _ => return None,
    })
}

/// Types and names of all that an event is looked up by: of its resources, and of access keys and sessions that its
/// record tells of.
pub fn resources_of<'a>(event: &'a Event, record: &'a Value) -> Vec<(&'static str, &'a str)> {
    let mut all: Vec<(&'static str, &str)> = Vec::new();
    let response = &record["responseElements"];
    let credentials = [&response["credentials"]["accessKeyId"], &response["accessKey"]["accessKeyId"]];
    // Of what was refused anybody could say so.
    let asked = Some(&record["requestParameters"]["accessKeyId"]).filter(|_| event.done);
    let keys = credentials.into_iter().chain(asked).filter_map(Value::as_str);
    all.extend(keys.map(|id| ("AWS::IAM::AccessKey", id)));
    let (id, arn) = (&response["assumedRoleUser"]["assumedRoleId"], &response["assumedRoleUser"]["arn"]);
    if let (Some(id), Some(arn)) = (id.as_str(), arn.as_str()) {
        let name = id.split_once(':').map_or(id, |(_, name)| name);
        all.extend([name, id, arn].map(|told| ("AWS::STS::AssumedRole", told)));
    }
    all.extend(event.resources.iter().filter_map(|arn| resource_of(arn)));
    all
}

/// Those of a call's resources whose type CloudTrail knows, with it; an index is told as its table.
pub fn typed_resources(arns: &[String]) -> Vec<(&'static str, String)> {
    let typed = arns.iter().filter_map(|arn| {
        let (kind, name) = resource_of(arn)?;
        let whole = match kind {
            "AWS::DynamoDB::Table" => {
                let end = arn.find("table/").map(|at| at + "table/".len() + name.len());
                end.and_then(|end| arn.get(..end)).unwrap_or(arn)
            }
            _ => arn,
        };
        Some((kind, whole.to_owned()))
    });
    typed.collect()
}

/// Set once, when the handshake is over.
pub type TlsCell = OnceLock<Tls>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_of_any_size_is_one_that_can_be_sent() {
        let long = Event {
            account: AccountId::new("111122223333").unwrap(),
            unix_ms: 5,
            id: 7,
            done: false,
            access_key_id: "AKIAONE".to_owned(),
            user_name: "ann".to_owned(),
            resources: vec!["r".repeat(9 << 20)],
            record: json!({
                "eventName": "GetTrail", "requestParameters": {"name": "r".repeat(9 << 20)}, "responseElements": null,
            })
            .to_string(),
        };
        let bounded = long.clone().bounded();
        assert!(bounded.bytes() < 1_000 && (bounded.id, bounded.unix_ms) == (7, 5));
        let record: Value = serde_json::from_str(&bounded.record).unwrap();
        assert_eq!((&record["eventName"], &record["requestParameters"]["omitted"]), (&json!("GetTrail"), &json!(true)));
        assert_eq!(record["responseElements"], Value::Null);
        let strange = Event { record: format!("{{\"x\": \"{}\"}}", "r".repeat(2 << 20)), ..long };
        assert!(strange.bounded().bytes() < 1_000);
        let short = Event { resources: vec![], ..bounded.clone() };
        assert_eq!(short.clone().bounded(), short);
    }

    #[test]
    fn ids_are_uuids_of_version_4() {
        let id = uuid(new_id());
        assert_eq!((id.len(), &id[14..15]), (36, "4"));
        assert!(["8", "9", "a", "b"].contains(&&id[19..20]), "{id}");
        assert_ne!(new_id(), new_id());
    }

    #[test]
    fn resources_have_types_and_names() {
        assert_eq!(resource_of("arn:aws:iam::1:user/a/b/ann"), Some(("AWS::IAM::User", "ann")));
        let index = "arn:aws:dynamodb:us-east-1:1:table/t/index/i";
        assert_eq!(resource_of(index), Some(("AWS::DynamoDB::Table", "t")));
        let table = "arn:aws:dynamodb:us-east-1:1:table/t".to_owned();
        assert_eq!(typed_resources(&[index.to_owned(), "*".to_owned()]), [("AWS::DynamoDB::Table", table)]);
        assert_eq!(resource_of("*"), None);
        assert_eq!(resource_of("arn:aws:iam::1:root"), None);
    }
}
