//! The pages, one in a file.

pub mod event;
pub mod events;
pub mod home;
pub mod keys;
pub mod mfa;
pub mod password;
pub mod refused;
pub mod role;
pub mod roles;
pub mod second_factor;
pub mod sign_in;
pub mod sign_out;
pub mod user;
pub mod users;

use super::layout::{self, Notice, list, text};
use super::reply::Reply;
use super::visitor::Visitor;
use super::{Console, PATH, asked::Asked};
use breakwater_aws::AwsError;
use http::StatusCode;
use maud::{Markup, html};
use serde_json::{Value, json};

/// A page of a visitor's that tells of what went well.
fn page(visitor: &Visitor<'_>, title: &str, section: &str, content: &Markup) -> Reply {
    Reply::page(StatusCode::OK, layout::page(visitor, title, section, None, content))
}

/// With what a call's error says, and its status.
fn failed(visitor: &Visitor<'_>, title: &str, section: &str, e: &AwsError) -> Reply {
    noticed(visitor, title, section, Some(e), &html! {})
}

fn noticed(visitor: &Visitor<'_>, title: &str, section: &str, e: Option<&AwsError>, content: &Markup) -> Reply {
    let status = e.map_or(StatusCode::OK, |e| StatusCode::from_u16(e.status).unwrap_or(StatusCode::BAD_REQUEST));
    Reply::page(status, layout::page(visitor, title, section, e.map(Notice::from).as_ref(), content))
}

/// To the next page of a list.
fn more(page: &str, answer: &Value) -> Markup {
    html! {
        @if let Some(marker) = answer["Marker"].as_str() {
            p.more { a href=(layout::address(page, "marker", marker)) rel="next" { "Next page" } }
        }
    }
}

/// What a list's page is asked for.
fn list_request(asked: &Asked) -> Value {
    match asked.query.get("marker") {
        Some(marker) => json!({"MaxItems": "50", "Marker": marker}),
        None => json!({"MaxItems": "50"}),
    }
}
