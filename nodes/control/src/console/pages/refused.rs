//! Pages that say no.

use super::*;

fn refusal(status: StatusCode, title: &str, words: &str) -> Reply {
    let content = html! {
        p { (words) }
        p { a href=(PATH) { "To the console" } }
    };
    Reply::page(status, layout::plain(title, None, &content))
}

pub fn malformed(status: StatusCode) -> Reply {
    refusal(status, "That was no request of this console's", status.canonical_reason().unwrap_or("It can't be read."))
}

pub fn elsewhere() -> Reply {
    refusal(
        StatusCode::FORBIDDEN,
        "Not done",
        "Another site sent this form. Nothing was done: if you meant it, do it from a page of this console.",
    )
}

pub fn unavailable(e: &AwsError) -> Reply {
    let cause = e.cause.as_deref().unwrap_or_default();
    tracing::warn!(code = %e.code, cause, "a page of the console failed");
    let status = StatusCode::from_u16(e.status).unwrap_or(StatusCode::SERVICE_UNAVAILABLE);
    refusal(status, "Please try again", &layout::words(e))
}

pub fn forged(visitor: &Visitor<'_>) -> Reply {
    let words = "This form was not sent from a page of your session. Nothing was done.";
    let notice = Notice::Failed(words.to_owned());
    let content = html! { p { a href=(PATH) { "To the console" } } };
    Reply::page(StatusCode::FORBIDDEN, layout::page(visitor, "Not done", "-", Some(&notice), &content))
}

pub fn missing(visitor: &Visitor<'_>) -> Reply {
    let content = html! { p { "There is no such page. " a href=(PATH) { "To the console" } } };
    Reply::page(StatusCode::NOT_FOUND, layout::page(visitor, "Not found", "-", None, &content))
}
