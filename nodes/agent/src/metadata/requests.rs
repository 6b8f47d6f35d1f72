//! What a request gets: a token for a PUT, a document for a GET with one.

use super::documents::{Facts, Found, find};
use super::held::Held;
use super::token::Tokens;
use breakwater_types::SharedClock;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode, header};
use http_body_util::Full;
use std::sync::Arc;

const TOKEN_PATH: &str = "/latest/api/token";
const TOKEN: &str = "x-aws-ec2-metadata-token";
const TTL: &str = "x-aws-ec2-metadata-token-ttl-seconds";
const TTL_S: std::ops::RangeInclusive<u32> = 1..=21_600;

pub struct Requests {
    pub facts: Facts,
    pub held: Arc<Held>,
    pub tokens: Tokens,
    pub clock: SharedClock,
}

pub type Answer = Response<Full<Bytes>>;

fn answer(status: StatusCode, content_type: &'static str, body: impl Into<Bytes>) -> Answer {
    let mut answer = Response::new(Full::new(body.into()));
    *answer.status_mut() = status;
    let headers = answer.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(header::SERVER, HeaderValue::from_static("EC2ws"));
    // Secrets are in it.
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer
}

/// As AWS's service answers errors.
fn refusal(status: StatusCode) -> Answer {
    let title = format!("{} - {}", status.as_u16(), status.canonical_reason().unwrap_or_default());
    let page = format!(
        r#"<?xml version="1.0" encoding="iso-8859-1"?>
<!DOCTYPE html PUBLIC "-//W3C//DTD XHTML 1.0 Transitional//EN"
	"http://www.w3.org/TR/xhtml1/DTD/xhtml1-transitional.dtd">
<html xmlns="http://www.w3.org/1999/xhtml" xml:lang="en" lang="en">
 <head>
  <title>{title}</title>
 </head>
 <body>
  <h1>{title}</h1>
 </body>
</html>
"#
    );
    answer(status, "text/html", page)
}

impl Requests {
    pub fn answer(&self, method: &Method, path: &str, headers: &HeaderMap) -> Answer {
        match (method, path) {
            (&Method::PUT, TOKEN_PATH) => self.token(headers),
            // Of a token only a PUT tells: a proxy that can be made to GET anything gets none.
            (_, TOKEN_PATH) | (&Method::PUT, _) => refusal(StatusCode::METHOD_NOT_ALLOWED),
            (&Method::GET | &Method::HEAD, _) => self.document(path, headers),
            _ => refusal(StatusCode::METHOD_NOT_ALLOWED),
        }
    }

    fn token(&self, headers: &HeaderMap) -> Answer {
        // It came through a proxy: from somewhere else than this host.
        if headers.contains_key("x-forwarded-for") {
            return refusal(StatusCode::FORBIDDEN);
        }
        let asked = headers.get(TTL).and_then(|ttl| ttl.to_str().ok()?.parse().ok());
        let Some(ttl) = asked.filter(|ttl| TTL_S.contains(ttl)) else { return refusal(StatusCode::BAD_REQUEST) };
        match self.tokens.issue(ttl) {
            Some(token) => {
                let mut answer = answer(StatusCode::OK, "text/plain", token);
                answer.headers_mut().insert(TTL, ttl.into());
                answer
            }
            None => refusal(StatusCode::INTERNAL_SERVER_ERROR),
        }
    }

    fn document(&self, path: &str, headers: &HeaderMap) -> Answer {
        if !headers.get(TOKEN).is_some_and(|token| self.tokens.is_good(token.as_bytes())) {
            return refusal(StatusCode::UNAUTHORIZED);
        }
        let heard = self.held.get();
        match find(&self.facts, (*heard).as_ref(), path, self.clock.unix_s()) {
            Found::Text(text) => answer(StatusCode::OK, "text/plain", text),
            // AWS's are laid out for people too.
            Found::Json(json) => match serde_json::to_string_pretty(&json) {
                Ok(text) => answer(StatusCode::OK, "text/plain", text),
                Err(_) => refusal(StatusCode::INTERNAL_SERVER_ERROR),
            },
            Found::Missing => refusal(StatusCode::NOT_FOUND),
            Found::Unavailable => refusal(StatusCode::SERVICE_UNAVAILABLE),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use breakwater_types::SystemClock;
    use http_body_util::BodyExt;

    fn requests() -> Requests {
        let facts = Facts {
            instance_id: "i-1".to_owned(),
            account: "111122223333".to_owned(),
            region: "us-east-1".to_owned(),
            availability_zone: "us-east-1a".to_owned(),
            address: "127.0.0.1".parse().unwrap(),
            hostname: "h".to_owned(),
        };
        Requests { facts, held: Arc::default(), tokens: Tokens::new(), clock: SystemClock::shared() }
    }

    fn ask(requests: &Requests, method: Method, path: &str, headers: &[(&'static str, &str)]) -> Answer {
        let headers = headers.iter().map(|(n, v)| ((*n).parse().unwrap(), HeaderValue::from_str(v).unwrap())).collect();
        requests.answer(&method, path, &headers)
    }

    async fn body(answer: Answer) -> String {
        String::from_utf8(answer.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap()
    }

    #[tokio::test]
    async fn a_token_opens_documents_and_nothing_else_does() {
        let requests = requests();
        let made = ask(&requests, Method::PUT, TOKEN_PATH, &[(TTL, "21600")]);
        assert_eq!((made.status(), &made.headers()[TTL]), (StatusCode::OK, &HeaderValue::from(21_600)));
        let token = body(made).await;
        let path = "/latest/meta-data/instance-id";
        let opened = ask(&requests, Method::GET, path, &[(TOKEN, &token)]);
        assert_eq!(body(opened).await, "i-1");
        // Version 1, an invented token, one of another agent.
        assert_eq!(ask(&requests, Method::GET, path, &[]).status(), StatusCode::UNAUTHORIZED);
        assert_eq!(ask(&requests, Method::GET, path, &[(TOKEN, "x")]).status(), StatusCode::UNAUTHORIZED);
        let others = Tokens::new().issue(60).unwrap();
        assert_eq!(ask(&requests, Method::GET, path, &[(TOKEN, &others)]).status(), StatusCode::UNAUTHORIZED);
        assert_eq!(ask(&requests, Method::GET, "/latest/x", &[(TOKEN, &token)]).status(), StatusCode::NOT_FOUND);
    }

    #[test]
    fn tokens_are_for_who_asks_as_aws_has_it() {
        let requests = requests();
        let status = |method, path, headers: &[_]| ask(&requests, method, path, headers).status();
        for ttl in ["0", "21601", "-1", "x", ""] {
            assert_eq!(status(Method::PUT, TOKEN_PATH, &[(TTL, ttl)]), StatusCode::BAD_REQUEST, "{ttl:?}");
        }
        assert_eq!(status(Method::PUT, TOKEN_PATH, &[]), StatusCode::BAD_REQUEST);
        let forwarded = [(TTL, "60"), ("x-forwarded-for", "10.0.0.1")];
        assert_eq!(status(Method::PUT, TOKEN_PATH, &forwarded), StatusCode::FORBIDDEN);
        for method in [Method::GET, Method::POST, Method::DELETE] {
            assert_eq!(status(method, TOKEN_PATH, &[(TTL, "60")]), StatusCode::METHOD_NOT_ALLOWED);
        }
        assert_eq!(status(Method::POST, "/latest/meta-data", &[]), StatusCode::METHOD_NOT_ALLOWED);
    }
}
