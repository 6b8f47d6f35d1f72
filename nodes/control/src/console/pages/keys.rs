//! Making, switching and deleting access keys.

use super::*;

pub async fn create(visitor: &Visitor<'_>) -> Reply {
    let user = visitor.asked.field("user");
    let made = match visitor.call("iam", "CreateAccessKey", json!({"UserName": user})).await {
        Ok(answer) => answer["AccessKey"].clone(),
        Err(e) => return super::user::with_error(visitor, user, &e).await,
    };
    let content = html! {
        section.card {
            p { "The secret is shown this once: keep it where only its user reads." }
            dl {
                dt { "Access key ID" }
                dd { code #key { (text(&made, "AccessKeyId")) } " "
                    button.minor type="button" data-copies="key" hidden { "Copy" } }
                dt { "Secret access key" }
                dd { code #secret { (text(&made, "SecretAccessKey")) } " "
                    button.minor type="button" data-copies="secret" hidden { "Copy" } }
            }
        }
        p { a href=(layout::address("user", "name", user)) { "Back to " (user) } }
    };
    page(visitor, "New access key", "users", &content)
}

pub async fn change(visitor: &Visitor<'_>) -> Reply {
    let [user, key, to] = ["user", "key", "to"].map(|name| visitor.asked.field(name));
    let (changed, done) = if to == "deleted" {
        let request = json!({"UserName": user, "AccessKeyId": key});
        (visitor.call("iam", "DeleteAccessKey", request).await, "key-deleted")
    } else {
        let request = json!({"UserName": user, "AccessKeyId": key, "Status": to});
        (visitor.call("iam", "UpdateAccessKey", request).await, "key-changed")
    };
    match changed {
        Ok(_) => back(visitor, user, done),
        Err(e) => super::user::with_error(visitor, user, &e).await,
    }
}

/// To the user's page, which says what was done.
pub fn back(visitor: &Visitor<'_>, user: &str, done: &str) -> Reply {
    let mark = visitor.console.mark(&visitor.session, done);
    Reply::go(&format!("user?name={}&done={done}&mark={mark}", crate::iam::shapes::encoded(user)))
}
