//! The account's roles.

use super::*;
use layout::{or_dash, scrolled, time};

pub async fn show(visitor: &Visitor<'_>) -> Reply {
    let answer = match visitor.call("iam", "ListRoles", list_request(visitor.asked)).await {
        Ok(answer) => answer,
        Err(e) => return failed(visitor, "Roles", "roles", &e),
    };
    let roles = list(&answer, "Roles");
    let content = html! {
        div.card {
            @if roles.is_empty() { p.faint { "There are no roles." } } @else { (scrolled("Roles", &table(roles))) }
            (more("roles", &answer))
        }
    };
    page(visitor, "Roles", "roles", &content)
}

fn table(roles: &[Value]) -> Markup {
    html! {
        table {
            thead { tr { th scope="col" { "Role" } th scope="col" { "Path" } th scope="col" { "Description" } th scope="col" { "Created" } } }
            tbody {
                @for role in roles {
                    tr {
                        td.name { (layout::link("role", "name", text(role, "RoleName"))) }
                        td { (text(role, "Path")) }
                        td.name { (or_dash(text(role, "Description"))) }
                        td { (time(text(role, "CreateDate"))) }
                    }
                }
            }
        }
    }
}
