use super::*;
use crate::authorize::RootOnly;
use crate::call::{Principal, RequestId};
use crate::coverage;
use breakwater_types::{AccountId, Region, Scope, SystemClock};
use serde::Deserialize;
use std::collections::BTreeSet;
use tokio::time::Instant;

struct Context;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Request {
    table_name: String,
}

struct Greet;
impl Operation for Greet {
    type Context = Context;
    type Request = Request;
    type Response = String;
    const NAME: &'static str = "Greet";
    const ACTION: &'static str = "test:Greet";
    const ACCESS: Access = Access::Read;
    const PLANE: Plane = Plane::Data;
    const RESOURCE_TYPE: &'static str = "table";
    fn validate(_: &Call, request: &Request) -> Result<(), AwsError> {
        if request.table_name.is_empty() { Err(AwsError::validation("empty")) } else { Ok(()) }
    }
    fn resources(_: &Context, call: &Call, request: &Request) -> Vec<Arn> {
        vec![Arn::new(&call.scope, "test", &request.table_name)]
    }
    async fn handle(_: &Arc<Context>, call: &Call, request: Request) -> Result<String, AwsError> {
        tokio::task::yield_now().await;
        Ok(format!("{} {}", call.principal.arn, request.table_name))
    }
}

static SERVICE: Service<Context> = Service {
    name: "test",
    global: false,
    target_prefix: "Test_1",
    model_namespace: "com.amazonaws.test",
    protocol: Protocol::AwsJson10,
    operations: &[entry::<Greet>()],
    missing: &["Other"],
};

fn call(administrator: bool) -> Call {
    let account = AccountId::new("111122223333").unwrap();
    Call {
        request_id: RequestId::random(),
        scope: Arc::new(Scope::new(account.clone(), Region::new("us-east-1").unwrap())),
        principal: Arc::new(Principal {
            access_key_id: "AKIA".to_owned(),
            account,
            arn: "arn:aws:iam::111122223333:user/ann".to_owned(),
            identity: if administrator {
                crate::call::Identity::Root
            } else {
                crate::call::Identity::User("ann".to_owned())
            },
            session: None,
        }),
        deadline: Instant::now() + std::time::Duration::from_secs(1),
        source: ([127, 0, 0, 1], 1).into(),
        secure: false,
        user_agent: None,
        received_unix_ms: 0,
        clock: SystemClock::shared(),
        span: tracing::Span::none(),
        audit: None,
    }
}

async fn invoke(call: &Call, body: &'static str) -> Result<String, AwsError> {
    let out = SERVICE.operations[0].invoke(&Arc::new(Context), call, Bytes::from(body), &RootOnly).await?;
    Ok(String::from_utf8(out).unwrap())
}

#[tokio::test]
async fn validation_comes_before_authorization_and_that_before_the_handler() {
    assert_eq!(invoke(&call(true), r#"{"TableName":"t"}"#).await.unwrap(), "\"arn:aws:iam::111122223333:user/ann t\"");
    assert_eq!(invoke(&call(false), r#"{"TableName":""}"#).await.unwrap_err().code, "ValidationException");
    assert_eq!(invoke(&call(false), r#"{"TableName":1}"#).await.unwrap_err().code, "SerializationException");
    let denied = invoke(&call(false), r#"{"TableName":"t"}"#).await.unwrap_err();
    assert_eq!(denied.code, "AccessDeniedException");
    assert_eq!(
        denied.message,
        "User: arn:aws:iam::111122223333:user/ann is not authorized to perform: test:Greet on resource: \
         arn:aws:test:us-east-1:111122223333:t because no identity-based policy allows the test:Greet action"
    );
}

#[test]
fn the_comparison_with_a_model_finds_each_kind_of_difference() {
    let model = |names: &[&str]| names.iter().map(|n| (*n).to_owned()).collect::<BTreeSet<_>>();
    assert_eq!(coverage::compare(&SERVICE, &model(&["Greet", "Other"])), Ok(()));
    assert!(coverage::compare(&SERVICE, &model(&["Greet"])).unwrap_err().contains("Other is not in"));
    assert!(coverage::compare(&SERVICE, &model(&["Greet", "Other", "More"])).unwrap_err().contains("More is neither"));
}

#[test]
fn an_operation_sets_the_condition_keys_that_it_lists() {
    let listed = ["test:Greeting", "aws:RequestTag/${TagKey}"];
    for key in ["test:Greeting", "aws:RequestTag/colour"] {
        assert!(lists(&listed, key), "{key}");
    }
    for key in ["test:Greet", "test:Greetings", "aws:RequestTag", "aws:TagKeys"] {
        assert!(!lists(&listed, key), "{key}");
    }
}

#[test]
fn botocore_lists_dynamodb() {
    match coverage::botocore_operations("dynamodb") {
        Some(names) => assert!(names.contains("PutItem") && names.len() > 40),
        None => eprintln!("skipped: no python3 with botocore here"),
    }
}

/// Open to all: who calls is in the request.
struct Enter;

#[derive(Deserialize)]
struct Entering {
    #[serde(skip)]
    caller: Option<Federated>,
    vouched: bool,
}

impl Operation for Enter {
    type Context = Context;
    type Request = Entering;
    type Response = String;
    const NAME: &'static str = "AssumeRoleWithSAML";
    const ACTION: &'static str = "sts:AssumeRoleWithSAML";
    const ACCESS: Access = Access::Write;
    const PLANE: Plane = Plane::Control;
    const RESOURCE_TYPE: &'static str = "role";
    const UNSIGNED: bool = true;
    async fn prepare(_: &Arc<Context>, _: &Call, request: &mut Entering) -> Result<(), AwsError> {
        request.caller = request.vouched.then(|| Federated {
            caller: breakwater_policy::Caller {
                arn: "arn:aws:iam::111122223333:saml-provider/idp:ann".to_owned(),
                account: "111122223333".to_owned(),
                kind: breakwater_policy::CallerKind::Saml {
                    provider: "arn:aws:iam::111122223333:saml-provider/idp".to_owned(),
                },
            },
            principal_id: "idp:ann".to_owned(),
            user_name: "ann".to_owned(),
            identity_provider: "idp".to_owned(),
        });
        Ok(())
    }
    fn proven(request: &Entering) -> Option<&Federated> {
        request.caller.as_ref()
    }
    fn resources(_: &Context, call: &Call, _: &Entering) -> Vec<Arn> {
        vec![Arn::new(&call.scope, "sts", "door")]
    }
    async fn handle(_: &Arc<Context>, _: &Call, _: Entering) -> Result<String, AwsError> {
        Ok("in".to_owned())
    }
}

/// Lets in whom an operation has proved.
struct Vouched;

impl Authorizer for Vouched {
    fn authorize(&self, _: &Call, _: &'static str, _: &Arn, about: &About<'_>) -> Result<(), AwsError> {
        about.caller.map(|_| ()).ok_or_else(|| AwsError::access_denied("nobody"))
    }
}

#[tokio::test]
async fn an_open_operation_is_authorized_for_who_it_proves_and_for_nobody_else() {
    let entry = entry::<Enter>();
    let mut anonymous = call(false);
    anonymous.principal = Arc::new(Principal::anonymous(anonymous.scope.account.clone()));
    let enter = async |body: &'static str, authorizer: &dyn Authorizer| {
        entry.invoke(&Arc::new(Context), &anonymous, Bytes::from(body), authorizer).await
    };
    assert!(enter(r#"{"vouched":true}"#, &Vouched).await.is_ok());
    assert_eq!(enter(r#"{"vouched":true}"#, &RootOnly).await.unwrap_err().code, "AccessDeniedException");
    // One that proves nothing never gets to an authorizer.
    assert_eq!(enter(r#"{"vouched":false}"#, &Vouched).await.unwrap_err().status, 500);
    // Others are asked for the anonymous principal, whatever stands in the request.
    let ctx = Arc::new(Context);
    let greeted = SERVICE.operations[0].invoke(&ctx, &anonymous, Bytes::from(r#"{"TableName":"t"}"#), &Vouched);
    assert_eq!(greeted.await.unwrap_err().code, "AccessDeniedException");
}

#[test]
fn what_is_open_is_on_the_list() {
    static OPEN: Service<Context> = Service { operations: &[entry::<Enter>()], missing: &[], ..SERVICE_OF_TESTS };
    const SERVICE_OF_TESTS: Service<Context> = Service {
        name: "test",
        global: false,
        target_prefix: "Test_2",
        model_namespace: "",
        protocol: Protocol::AwsJson10,
        operations: &[],
        missing: &[],
    };
    let model: BTreeSet<String> = ["AssumeRoleWithSAML".to_owned()].into();
    assert!(coverage::compare(&OPEN, &model).unwrap_err().contains("is open to all"));
    static LISTED: Service<Context> = Service { name: "sts", operations: &[entry::<Enter>()], ..SERVICE_OF_TESTS };
    assert_eq!(coverage::compare(&LISTED, &model), Ok(()));
}
