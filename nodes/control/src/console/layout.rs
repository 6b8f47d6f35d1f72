//! What all pages look like.

use super::PATH;
use super::visitor::Visitor;
use crate::iam::shapes;
use breakwater_aws::AwsError;
use maud::{DOCTYPE, Markup, html};
use serde_json::Value;

/// What a page says before anything else.
pub enum Notice {
    Done(String),
    Failed(String),
    Hint(Markup),
}

impl From<&AwsError> for Notice {
    /// In AWS's words.
    fn from(e: &AwsError) -> Notice {
        Notice::Failed(words(e))
    }
}

pub fn words(e: &AwsError) -> String {
    match e.message.is_empty() {
        true => e.code.to_string(),
        false => format!("{}: {}", e.code, e.message),
    }
}

fn shown(notice: &Notice) -> Markup {
    match notice {
        Notice::Done(text) => html! { p.notice.done role="status" { (text) } },
        Notice::Failed(text) => html! { p.notice.failed role="alert" { (text) } },
        Notice::Hint(markup) => html! { div.notice.hint { (markup) } },
    }
}

fn document(title: &str, header: &Markup, main: &Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) " – Breakwater" }
                link rel="stylesheet" href={(PATH) "/style.css"};
                link rel="icon" href="data:,";
                script src={(PATH) "/copy.js"} defer {}
            }
            body {
                a.skip href="#main" { "Skip to the content" }
                (header)
                main #main { (main) }
            }
        }
    }
}

/// A page for who isn't signed in.
pub fn plain(title: &str, notice: Option<&Notice>, content: &Markup) -> Markup {
    let header = html! { header.bar { span.brand { "Breakwater" } } };
    let main = html! {
        div.narrow.card {
            h1 { (title) }
            @if let Some(notice) = notice { (shown(notice)) }
            (content)
        }
    };
    document(title, &header, &main)
}

const SECTIONS: [(&str, &str); 4] = [("", "Who am I"), ("users", "Users"), ("roles", "Roles"), ("events", "Events")];

/// A page of a visitor's, in one of the sections.
pub fn page(visitor: &Visitor<'_>, title: &str, section: &str, notice: Option<&Notice>, content: &Markup) -> Markup {
    let person = &visitor.session.person;
    let header = html! {
        header.bar {
            a.brand href=(PATH) { "Breakwater" }
            nav aria-label="Sections" {
                @for (path, name) in SECTIONS {
                    a href={(PATH) "/" (path)} aria-current=[(path == section).then_some("page")] { (name) }
                }
            }
            div.who {
                span.where { (visitor.console.region.as_str()) }
                span.person title={(person.name()) " @ " (person.account.as_str())} {
                    (person.name()) " @ " (person.account.as_str())
                }
                form method="post" action={(PATH) "/sign-out"} {
                    (token(visitor))
                    button.quiet { "Sign out" }
                }
            }
        }
    };
    let main = html! {
        h1 { (title) }
        @if let Some(notice) = notice { (shown(notice)) }
        (content)
    };
    document(title, &header, &main)
}

/// Proves that a form is of a page of the same session.
pub fn token(visitor: &Visitor<'_>) -> Markup {
    html! { input type="hidden" name="token" value=(visitor.session.token()); }
}

/// A form of one button.
pub fn button(visitor: &Visitor<'_>, action: &str, fields: &[(&str, &str)], class: &str, name: &str) -> Markup {
    html! {
        form.inline method="post" action={(PATH) "/" (action)} {
            (token(visitor))
            @for (field, value) in fields { input type="hidden" name=(field) value=(value); }
            button class=(class) { (name) }
        }
    }
}

/// A form of one button that can't be undone: it is opened first.
pub fn confirmed(visitor: &Visitor<'_>, action: &str, fields: &[(&str, &str)], name: &str, sure: &str) -> Markup {
    html! {
        details.confirm {
            summary { (name) }
            (button(visitor, action, fields, "danger", sure))
        }
    }
}

/// What is wider than some screens, in a box of its own that the keyboard scrolls too.
pub fn scrolled(label: &str, table: &Markup) -> Markup {
    html! { div.scroll tabindex="0" role="region" aria-label=(label) { (table) } }
}

/// To a page about one thing.
pub fn link(page: &str, field: &str, value: &str) -> Markup {
    html! { a href=(address(page, field, value)) { (value) } }
}

pub fn address(page: &str, field: &str, value: &str) -> String {
    format!("{PATH}/{page}?{field}={}", shapes::encoded(value))
}

/// A part of a page whose call may have been denied: the page's other parts are shown all the same.
pub fn part(heading: &str, content: Result<Markup, AwsError>) -> Markup {
    html! {
        section.card {
            h2 { (heading) }
            @match content {
                Ok(content) => (content),
                Err(e) => (shown(&Notice::from(&e))),
            }
        }
    }
}

/// A text member of an answer; nothing where it isn't there.
pub fn text<'a>(value: &'a Value, member: &str) -> &'a str {
    value[member].as_str().unwrap_or_default()
}

pub fn list<'a>(value: &'a Value, member: &str) -> &'a [Value] {
    value[member].as_array().map_or(&[], Vec::as_slice)
}

/// A text that may be missing.
pub fn or_dash(text: &str) -> &str {
    if text.is_empty() { "–" } else { text }
}

/// `2026-11-23T20:15:00Z`, as people read it.
pub fn time(text: &str) -> Markup {
    html! {
        @if text.is_empty() { "–" } @else {
            time datetime=(text) { (text.trim_end_matches('Z').replace('T', " ")) " UTC" }
        }
    }
}

pub fn moment(unix_s: i64) -> Markup {
    time(&shapes::time(unix_s))
}
