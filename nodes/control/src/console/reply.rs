//! What a browser gets: a page, or where to go on.

use super::PATH;
use breakwater_aws::RouteBody;
use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use http_body_util::{BodyExt, Full};
use maud::Markup;

const STYLE: &str = include_str!("style.css");
const SCRIPT: &str = include_str!("copy.js");

/// Nothing from elsewhere, nothing inline, nowhere in a frame; pictures that are written into the page.
const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; img-src data:; form-action 'self'; \
                      frame-ancestors 'none'; base-uri 'none'";

pub struct Reply {
    status: StatusCode,
    kind: &'static str,
    body: Bytes,
    location: Option<String>,
    /// Name and value, with its life in seconds.
    cookies: Vec<(String, String, i64)>,
    kept: bool,
}

pub fn style() -> Reply {
    Reply { kind: "text/css; charset=utf-8", kept: true, ..Reply::new(StatusCode::OK, STYLE) }
}

pub fn script() -> Reply {
    Reply { kind: "text/javascript; charset=utf-8", kept: true, ..Reply::new(StatusCode::OK, SCRIPT) }
}

impl Reply {
    fn new(status: StatusCode, body: impl Into<Bytes>) -> Reply {
        let (kind, body) = ("text/html; charset=utf-8", body.into());
        Reply { status, kind, body, location: None, cookies: Vec::new(), kept: false }
    }

    pub fn page(status: StatusCode, markup: Markup) -> Reply {
        Reply::new(status, markup.into_string())
    }

    /// To another page of the console's, by reading it.
    pub fn go(page: &str) -> Reply {
        let location = Some(format!("{PATH}/{page}"));
        Reply { location, ..Reply::new(StatusCode::SEE_OTHER, "") }
    }

    pub fn with_cookie(mut self, name: String, value: String, seconds: i64) -> Reply {
        self.cookies.push((name, value, seconds));
        self
    }

    pub fn without_cookie(self, name: String) -> Reply {
        self.with_cookie(name, String::new(), 0)
    }

    pub fn into_response(self, secure: bool) -> Response<RouteBody> {
        let body = Full::new(self.body).map_err(|never| match never {}).boxed();
        let mut response = Response::new(body);
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        for (name, value) in [
            (header::CONTENT_TYPE, self.kind),
            // A page holds what is its user's alone, and some of it is shown once.
            (header::CACHE_CONTROL, if self.kept { "public, max-age=300" } else { "no-store" }),
            (header::CONTENT_SECURITY_POLICY, POLICY),
            (header::X_FRAME_OPTIONS, "DENY"),
            (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
            // With none at all, browsers would keep back where a form was sent from.
            (header::REFERRER_POLICY, "same-origin"),
        ] {
            headers.insert(name, HeaderValue::from_static(value));
        }
        headers.insert("cross-origin-opener-policy", HeaderValue::from_static("same-origin"));
        if let Some(Ok(location)) = self.location.map(HeaderValue::try_from) {
            headers.insert(header::LOCATION, location);
        }
        let secure = if secure { "; Secure" } else { "" };
        for (name, value, seconds) in self.cookies {
            let cookie = format!("{name}={value}; Path={PATH}; Max-Age={seconds}; HttpOnly; SameSite=Lax{secure}");
            if let Ok(cookie) = HeaderValue::try_from(cookie) {
                headers.append(header::SET_COOKIE, cookie);
            }
        }
        response
    }
}
