//! One user: her keys, her MFA devices, and what she may do.

use super::*;
use layout::{button, confirmed, part, scrolled, time};

const DONE: [(&str, &str); 5] = [
    ("key-deleted", "The access key was deleted."),
    ("key-changed", "The access key was changed."),
    ("enrolled", "The MFA device was enrolled. From now on a code of it is asked for when you sign in."),
    ("removed", "The MFA device was removed."),
    ("cancelled", "Nothing was enrolled."),
];

pub async fn show(visitor: &Visitor<'_>) -> Reply {
    let name = visitor.asked.query.get("name").unwrap_or_default();
    let done = visitor.done();
    let done = DONE.iter().find(|(code, _)| Some(*code) == done).map(|(_, words)| Notice::Done((*words).to_owned()));
    of(visitor, name, StatusCode::OK, done).await
}

/// After something that failed.
pub async fn with_error(visitor: &Visitor<'_>, name: &str, e: &AwsError) -> Reply {
    let status = StatusCode::from_u16(e.status).unwrap_or(StatusCode::BAD_REQUEST);
    of(visitor, name, status, Some(Notice::from(e))).await
}

async fn of(visitor: &Visitor<'_>, name: &str, status: StatusCode, notice: Option<Notice>) -> Reply {
    let request = || json!({"UserName": name});
    let (user, login, keys, devices, groups, policies, inline) = futures::join!(
        visitor.call("iam", "GetUser", request()),
        visitor.call("iam", "GetLoginProfile", request()),
        visitor.call("iam", "ListAccessKeys", request()),
        visitor.call("iam", "ListMFADevices", request()),
        visitor.call("iam", "ListGroupsForUser", request()),
        visitor.call("iam", "ListAttachedUserPolicies", request()),
        visitor.call("iam", "ListUserPolicies", request()),
    );
    let all = [&user, &login, &keys, &devices, &groups, &policies, &inline];
    if all.iter().all(|answer| answer.as_ref().is_err_and(is_denied)) {
        let content = html! { div.card { p { (who_may_see(visitor, name)) } } };
        return Reply::page(StatusCode::FORBIDDEN, layout::page(visitor, name, "users", notice.as_ref(), &content));
    }
    let user = user.map(|answer| answer["User"].clone());
    if let Err(e) = &user
        && matches!(&*e.code, "NoSuchEntity" | "ValidationError")
    {
        return failed(visitor, name, "users", e);
    }
    let name = user.as_ref().map_or(name, |user| text(user, "UserName"));
    let login = login.map(|answer| answer["LoginProfile"].clone());
    let content = html! {
        (part("User", user.as_ref().map(|user| facts(user, login.as_ref())).map_err(Clone::clone)))
        (part("Access keys", keys.map(|answer| access_keys(visitor, name, &answer))))
        (part("MFA devices", match devices {
            Err(e) if is_denied(&e) && is_own(visitor, name) => Ok(html! { p { (who_may_enrol(visitor, name)) } }),
            devices => devices.map(|answer| mfa_devices(visitor, name, &answer)),
        }))
        (part("Groups", groups.map(|answer| groups_of(&answer))))
        (part("Attached policies", policies.map(|answer| attached(&answer))))
        (part("Inline policies", inline.map(|answer| names(&answer, "PolicyNames"))))
    };
    Reply::page(status, layout::page(visitor, name, "users", notice.as_ref(), &content))
}

fn is_denied(e: &AwsError) -> bool {
    e.code == "AccessDenied"
}

fn is_own(visitor: &Visitor<'_>, name: &str) -> bool {
    visitor.session.person.user.as_deref() == Some(name)
}

/// For who may see nothing of a user: what to ask for, rather than what every call of the page was answered.
fn who_may_see(visitor: &Visitor<'_>, name: &str) -> Markup {
    html! {
        @if is_own(visitor, name) {
            "Your policies allow you none of this page. " (who_may_enrol(visitor, name))
        } @else {
            "Your policies don't let you see this user: an administrator must allow you " code { "iam:GetUser" }
            " and the like on her."
        }
    }
}

fn who_may_enrol(visitor: &Visitor<'_>, name: &str) -> Markup {
    let person = &visitor.session.person;
    let device = format!("arn:aws:iam::{}:mfa/{name}", person.account);
    html! {
        "To enrol an MFA device, an administrator must allow you " code { "iam:ListMFADevices" } ", "
        code { "iam:CreateVirtualMFADevice" } " and " code { "iam:EnableMFADevice" } " on your own user and device ("
        code { (person.arn) } ", " code { (device) } ")."
    }
}

fn facts(user: &Value, login: Result<&Value, &AwsError>) -> Markup {
    html! {
        dl {
            dt { "ARN" } dd { code { (text(user, "Arn")) } }
            dt { "ID" } dd { code { (text(user, "UserId")) } }
            dt { "Created" } dd { (time(text(user, "CreateDate"))) }
            dt { "Console password" }
            dd {
                @match login {
                    Ok(login) if login["PasswordResetRequired"] == true => { "yes, " span.tag.off { "has to be changed" } },
                    Ok(login) => { "yes, since " (time(text(login, "CreateDate"))) },
                    Err(e) if e.code == "NoSuchEntity" => "no",
                    Err(e) => (layout::words(e)),
                }
            }
            dt { "Last signed in" } dd { (time(text(user, "PasswordLastUsed"))) }
        }
    }
}

fn access_keys(visitor: &Visitor<'_>, name: &str, answer: &Value) -> Markup {
    let keys = list(answer, "AccessKeyMetadata");
    html! {
        @if keys.is_empty() { p.faint { "There are none." } } @else {
            (scrolled("Access keys", &keys_table(visitor, name, keys)))
        }
        div.more { (button(visitor, "key/create", &[("user", name)], "", "Create access key")) }
    }
}

fn keys_table(visitor: &Visitor<'_>, name: &str, keys: &[Value]) -> Markup {
    html! {
        table #keys {
            thead { tr { th scope="col" { "Access key ID" } th scope="col" { "Status" } th scope="col" { "Created" } td.actions {} } }
            tbody {
                @for key in keys {
                    @let (id, active) = (text(key, "AccessKeyId"), key["Status"] == "Active");
                    tr {
                        td { code { (id) } }
                        td { span.tag.on[active].off[!active] { (text(key, "Status")) } }
                        td { (time(text(key, "CreateDate"))) }
                        td.actions {
                            @let to = |change| [("user", name), ("key", id), ("to", change)];
                            @if active {
                                (button(visitor, "key/change", &to("Inactive"), "minor", "Deactivate"))
                            } @else {
                                (button(visitor, "key/change", &to("Active"), "minor", "Activate"))
                                (confirmed(visitor, "key/change", &to("deleted"), "Delete", "Delete for good"))
                            }
                        }
                    }
                }
            }
        }
    }
}

fn mfa_devices(visitor: &Visitor<'_>, name: &str, answer: &Value) -> Markup {
    let devices = list(answer, "MFADevices");
    html! {
        @if devices.is_empty() { p.faint { "There are none." } } @else {
            (scrolled("MFA devices", &devices_table(visitor, name, devices)))
        }
        form.more method="post" action={(PATH) "/mfa/create"} {
            (layout::token(visitor))
            input type="hidden" name="user" value=(name);
            div.row {
                label { "Name of a new device"
                    input name="device" value=(name) required maxlength="226" pattern="[\\w+=,.@\\-]+" autocomplete="off"; }
                p.go { button { "Enrol MFA device" } }
            }
        }
    }
}

fn devices_table(visitor: &Visitor<'_>, name: &str, devices: &[Value]) -> Markup {
    html! {
        table #devices {
            thead { tr { th scope="col" { "Device" } th scope="col" { "Enrolled" } td.actions {} } }
            tbody {
                @for device in devices {
                    @let serial = text(device, "SerialNumber");
                    tr {
                        td { code { (serial) } }
                        td { (time(text(device, "EnableDate"))) }
                        td.actions {
                            (confirmed(visitor, "mfa/remove", &[("user", name), ("serial", serial)], "Remove", "Remove for good"))
                        }
                    }
                }
            }
        }
    }
}

fn groups_of(answer: &Value) -> Markup {
    let groups = list(answer, "Groups");
    html! {
        @if groups.is_empty() { p.faint { "There are none." } }
        @for group in groups { p { (text(group, "GroupName")) " " span.faint { (text(group, "Arn")) } } }
    }
}

pub fn attached(answer: &Value) -> Markup {
    let policies = list(answer, "AttachedPolicies");
    html! {
        @if policies.is_empty() { p.faint { "There are none." } }
        @for policy in policies { p { (text(policy, "PolicyName")) " " span.faint { (text(policy, "PolicyArn")) } } }
    }
}

pub fn names(answer: &Value, member: &str) -> Markup {
    let names = list(answer, member);
    html! {
        @if names.is_empty() { p.faint { "There are none." } }
        @for name in names { p { (name.as_str().unwrap_or_default()) } }
    }
}
