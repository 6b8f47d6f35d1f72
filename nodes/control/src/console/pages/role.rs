//! One role: who may assume it, and what it may do.

use super::*;
use breakwater_aws::query::Form;
use layout::{or_dash, part, time};

/// Documents come as a URL has them.
fn document(encoded: &str) -> String {
    let form = Form::parse(format!("d={encoded}").as_bytes()).unwrap_or_default();
    let text = form.get("d").unwrap_or_default();
    let pretty = serde_json::from_str::<Value>(text).ok().and_then(|json| serde_json::to_string_pretty(&json).ok());
    pretty.unwrap_or_else(|| text.to_owned())
}

pub async fn show(visitor: &Visitor<'_>) -> Reply {
    let name = visitor.asked.query.get("name").unwrap_or_default();
    let request = || json!({"RoleName": name});
    let (role, attached, inline) = futures::join!(
        visitor.call("iam", "GetRole", request()),
        visitor.call("iam", "ListAttachedRolePolicies", request()),
        visitor.call("iam", "ListRolePolicies", request()),
    );
    let role = match role {
        Ok(answer) => answer["Role"].clone(),
        Err(e) => return failed(visitor, name, "roles", &e),
    };
    let content = html! {
        section.card {
            h2 { "Role" }
            dl {
                dt { "ARN" } dd { code { (text(&role, "Arn")) } }
                dt { "Description" } dd { (or_dash(text(&role, "Description"))) }
                dt { "Created" } dd { (time(text(&role, "CreateDate"))) }
                dt { "Sessions last at most" } dd { (role["MaxSessionDuration"]) " s" }
            }
        }
        section.card { h2 { "Who may assume it" } pre { (document(text(&role, "AssumeRolePolicyDocument"))) } }
        (part("Attached policies", attached.map(|answer| super::user::attached(&answer))))
        (part("Inline policies", inline.map(|answer| super::user::names(&answer, "PolicyNames"))))
    };
    page(visitor, name, "roles", &content)
}
