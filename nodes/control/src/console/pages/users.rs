//! The account's users.

use super::*;
use layout::{scrolled, time};

pub async fn show(visitor: &Visitor<'_>) -> Reply {
    let answer = match visitor.call("iam", "ListUsers", list_request(visitor.asked)).await {
        Ok(answer) => answer,
        Err(e) => return failed(visitor, "Users", "users", &e),
    };
    let content = html! {
        div.card {
            (scrolled("Users", &table(list(&answer, "Users"))))
            (more("users", &answer))
        }
    };
    page(visitor, "Users", "users", &content)
}

fn table(users: &[Value]) -> Markup {
    html! {
        table {
            thead { tr { th scope="col" { "User" } th scope="col" { "Path" } th scope="col" { "Created" } th scope="col" { "Last signed in" } } }
            tbody {
                @for user in users {
                    tr {
                        td.name { (layout::link("user", "name", text(user, "UserName"))) }
                        td { (text(user, "Path")) }
                        td { (time(text(user, "CreateDate"))) }
                        td { (time(text(user, "PasswordLastUsed"))) }
                    }
                }
            }
        }
    }
}
