//! What a browser asks for, read within bounds.

use super::PATH;
use breakwater_aws::query::Form;
use breakwater_aws::{HeaderValue, Origin, RequestId, audit};
use http::{HeaderMap, Method, Request, StatusCode, header};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use std::net::SocketAddr;

/// No form of ours is longer.
const FORM_BYTES_MAX: usize = 64 * 1024;
const HOST_BYTES_MAX: usize = 255;
/// Of all cookies together.
const COOKIES_BYTES_MAX: usize = 16 * 1024;

pub struct Asked {
    /// Rather than read.
    pub posted: bool,
    /// Below [`PATH`], without a slash at its ends.
    pub path: String,
    /// The path with its query, as they were sent.
    pub target: String,
    pub query: Form,
    pub form: Form,
    /// The browser says that another site sent this.
    pub from_elsewhere: bool,
    pub source: SocketAddr,
    pub tls: Option<audit::Tls>,
    pub host: Option<String>,
    user_agent: Option<HeaderValue>,
    cookies: String,
}

pub fn is_secure<B>(request: &Request<B>) -> bool {
    request.extensions().get::<audit::Tls>().is_some()
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// Browsers say where a form was sent from, and pages can't have them say something else. What is neither said is left to
/// the form's token.
fn is_from_elsewhere(headers: &HeaderMap, host: Option<&str>) -> bool {
    let site = headers.get("sec-fetch-site").map(|value| value.to_str().unwrap_or_default());
    if site.is_some_and(|site| !matches!(site, "same-origin" | "none")) {
        return true;
    }
    // Without its scheme: what stands before the front door may have ended the TLS.
    let origin = headers.get(header::ORIGIN).map(|value| value.to_str().unwrap_or_default());
    origin.is_some_and(|origin| match (origin.split_once("://"), host) {
        (Some((_, authority)), Some(host)) => !authority.eq_ignore_ascii_case(host),
        _ => true,
    })
}

impl Asked {
    /// An error is the status to answer with.
    pub async fn read(request: Request<Incoming>, source: SocketAddr) -> Result<Asked, StatusCode> {
        let (parts, body) = request.into_parts();
        let posted = match parts.method {
            Method::GET | Method::HEAD => false,
            Method::POST => true,
            _ => return Err(StatusCode::METHOD_NOT_ALLOWED),
        };
        let headers = &parts.headers;
        let malformed = |_| StatusCode::BAD_REQUEST;
        let form = if posted {
            let body = Limited::new(body, FORM_BYTES_MAX).collect().await;
            let body = body.map_err(|_| StatusCode::PAYLOAD_TOO_LARGE)?.to_bytes();
            Form::parse(&body).map_err(malformed)?
        } else {
            Form::default()
        };
        let cookies: Vec<&str> = headers.get_all(header::COOKIE).iter().filter_map(|c| c.to_str().ok()).collect();
        let cookies = cookies.join("; ");
        if cookies.len() > COOKIES_BYTES_MAX {
            return Err(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE);
        }
        let authority = parts.uri.authority().map(|authority| authority.as_str());
        let host = text(headers, "host").or(authority).filter(|host| host.len() <= HOST_BYTES_MAX).map(str::to_owned);
        let path = parts.uri.path().strip_prefix(PATH).unwrap_or_default().trim_matches('/').to_owned();
        let target = parts.uri.query().map_or_else(|| path.clone(), |query| format!("{path}?{query}"));
        Ok(Asked {
            posted,
            path,
            target,
            query: Form::parse(parts.uri.query().unwrap_or_default().as_bytes()).map_err(malformed)?,
            form,
            from_elsewhere: is_from_elsewhere(headers, host.as_deref()),
            source,
            tls: parts.extensions.get::<audit::Tls>().cloned(),
            host,
            user_agent: headers.get(header::USER_AGENT).cloned(),
            cookies,
        })
    }

    pub fn cookie(&self, name: &str) -> Option<&str> {
        let pairs = self.cookies.split(';').filter_map(|pair| pair.trim().split_once('='));
        pairs.filter(|(its_name, _)| *its_name == name).map(|(_, value)| value).next()
    }

    /// A field that was filled in.
    pub fn field(&self, name: &str) -> &str {
        self.form.get(name).unwrap_or_default().trim()
    }

    pub fn user_agent(&self) -> Option<String> {
        self.user_agent.as_ref().map(|agent| String::from_utf8_lossy(agent.as_bytes()).into_owned())
    }

    pub fn origin(&self) -> Origin {
        Origin {
            request_id: RequestId::random(),
            source: self.source,
            tls: self.tls.clone(),
            host: self.host.clone(),
            user_agent: self.user_agent.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_another_site_sent_is_told_from_our_own() {
        let elsewhere = |all: &[(&'static str, &'static str)]| {
            let headers = all
                .iter()
                .map(|(name, value)| (header::HeaderName::from_static(name), HeaderValue::from_static(value)));
            is_from_elsewhere(&headers.collect(), Some("127.0.0.1:4566"))
        };
        for ours in [
            &[][..],
            &[("origin", "http://127.0.0.1:4566")],
            &[("origin", "https://127.0.0.1:4566"), ("sec-fetch-site", "same-origin")],
            &[("sec-fetch-site", "none")],
        ] {
            assert!(!elsewhere(ours), "{ours:?}");
        }
        for theirs in [
            &[("origin", "http://127.0.0.1:4567")][..],
            &[("origin", "null")],
            &[("origin", "http://evil.example")],
            &[("sec-fetch-site", "same-site"), ("origin", "http://127.0.0.1:4566")],
            &[("sec-fetch-site", "cross-site")],
            &[("sec-fetch-site", "")],
        ] {
            assert!(elsewhere(theirs), "{theirs:?}");
        }
    }
}
