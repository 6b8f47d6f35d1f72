//! Who am I.

use super::*;
use layout::moment;

pub async fn show(visitor: &Visitor<'_>) -> Reply {
    let who = match visitor.call("sts", "GetCallerIdentity", json!({})).await {
        Ok(who) => who,
        Err(e) => return failed(visitor, "Who am I", "", &e),
    };
    let session = &visitor.session;
    let hint = match (&session.person.user, session.mfa_unix_s) {
        (None, _) => Some(html! {
            p { "You are the account's root user, who may do everything. Use it in emergencies only, and as an IAM user otherwise." }
        }),
        (Some(user), None) => Some(html! {
            p { "You signed in with a password alone. "
                a href=(layout::address("user", "name", user)) { "Enrol an MFA device" }
                " to protect your account." }
        }),
        (Some(_), Some(_)) => None,
    };
    let content = html! {
        section.card {
            h2 { "Identity" }
            dl {
                dt { "Account" } dd { code #account { (text(&who, "Account")) } }
                dt { "User ID" } dd { code { (text(&who, "UserId")) } }
                dt { "ARN" } dd { code #arn { (text(&who, "Arn")) } }
                @if let Some(user) = &session.person.user {
                    dt { "User" } dd { (layout::link("user", "name", user)) }
                }
            }
        }
        section.card {
            h2 { "Session" }
            dl {
                dt { "Signed in" } dd { (moment(session.issued_unix_s)) }
                dt { "Ends" } dd { (moment(session.expires_unix_s)) }
                dt { "Second factor" }
                dd #factor {
                    @match session.mfa_unix_s {
                        Some(when) => { span.tag.on { "MFA" } " " (moment(when)) },
                        None => span.tag.off { "none" },
                    }
                }
            }
        }
        @if session.person.user.is_some() {
            p { a href={(PATH) "/password"} { "Change password" } }
        }
    };
    let notice = hint.map(Notice::Hint).or_else(|| {
        visitor.done().filter(|done| *done == "changed").map(|_| Notice::Done("Your password was changed.".to_owned()))
    });
    Reply::page(StatusCode::OK, layout::page(visitor, "Who am I", "", notice.as_ref(), &content))
}
