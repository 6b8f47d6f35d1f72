//! Answers as DynamoDB's endpoint gives them, byte for byte where a client could tell.

use crate::call::RequestId;
use crate::connection::AnswerBody;
use crate::error::AwsError;
use crate::operation::Protocol;
use crate::query;
use bytes::Bytes;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{Response, StatusCode};

/// What to answer, before it is HTTP.
pub enum Answer {
    /// JSON or XML.
    Body {
        content_type: &'static str,
        status: StatusCode,
        body: Bytes,
    },
    Health,
    NotFound,
    /// Of a service that isn't here.
    NotServed,
    Preflight,
    TooLarge,
}

const REQUEST_ID: HeaderName = HeaderName::from_static("x-amzn-requestid");
const CRC32: HeaderName = HeaderName::from_static("x-amz-crc32");
const ERROR_TYPE: HeaderName = HeaderName::from_static("x-amzn-errortype");
const SERVER: HeaderValue = HeaderValue::from_static("Server");

pub fn error(e: &AwsError, model: &str, content_type: &'static str, request_id: &RequestId) -> Answer {
    if content_type == Protocol::Query.content_type() {
        let (status, body) = query::error(e, model, request_id.as_str());
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        return Answer::Body { content_type, status, body: body.into() };
    }
    let status = StatusCode::from_u16(e.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    Answer::Body { content_type, status, body: e.to_json(model).into() }
}

/// The content type to answer with; none if the request's is not JSON (nor a form, where there are services that take
/// forms), which AWS answers with 404.
pub fn content_type(headers: &HeaderMap, empty: bool, forms: bool) -> Option<&'static str> {
    let sent = headers.get(header::CONTENT_TYPE).map_or(&b""[..], HeaderValue::as_bytes);
    let sent = sent.split(|b| *b == b';').next().unwrap_or_default().trim_ascii();
    match sent {
        b"application/x-amz-json-1.0" => Some("application/x-amz-json-1.0"),
        b"application/x-amz-json-1.1" => Some("application/x-amz-json-1.1"),
        b"application/json" => Some("application/json"),
        b"application/x-www-form-urlencoded" if forms => Some(Protocol::Query.content_type()),
        _ if empty => Some("application/json"),
        _ => None,
    }
}

fn base(request_id: &RequestId, status: StatusCode, body: Bytes) -> Response<AnswerBody> {
    let crc = crc32fast::hash(&body);
    let mut response = Response::new(AnswerBody::whole(body));
    *response.status_mut() = status;
    let mut headers = HeaderMap::with_capacity(8);
    headers.insert(header::SERVER, SERVER);
    if let Ok(id) = HeaderValue::from_bytes(request_id.as_bytes()) {
        headers.insert(REQUEST_ID, id);
    }
    headers.insert(CRC32, HeaderValue::from(crc));
    *response.headers_mut() = headers;
    response
}

pub fn json(
    request_id: &RequestId,
    content_type: &'static str,
    status: StatusCode,
    body: Bytes,
) -> Response<AnswerBody> {
    let mut response = base(request_id, status, body);
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

pub fn plain(request_id: &RequestId, status: StatusCode, body: Bytes) -> Response<AnswerBody> {
    base(request_id, status, body)
}

pub fn not_found(request_id: &RequestId) -> Response<AnswerBody> {
    base(request_id, StatusCode::NOT_FOUND, Bytes::from_static(b"<UnknownOperationException/>\n"))
}

/// In the words of S3, whose clients don't try again then; those that read no XML have a header.
pub fn not_served(request_id: &RequestId) -> Response<AnswerBody> {
    let body = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>NotImplemented</Code><Message>This region \
                doesn't have this service</Message></Error>\n";
    let mut response = base(request_id, StatusCode::NOT_IMPLEMENTED, Bytes::from_static(body.as_bytes()));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/xml"));
    response.headers_mut().insert(ERROR_TYPE, HeaderValue::from_static("NotImplemented"));
    response
}

pub fn too_large(request_id: &RequestId, bytes_max: usize) -> Response<AnswerBody> {
    let text = format!("HTTP content length exceeded {bytes_max} bytes.");
    let mut response = base(request_id, StatusCode::PAYLOAD_TOO_LARGE, text.into());
    close(response.headers_mut());
    response
}

/// What browsers ask before they send a request from another site's page.
pub fn preflight(request_id: &RequestId, asked: &HeaderMap) -> Response<AnswerBody> {
    let mut response = base(request_id, StatusCode::OK, Bytes::new());
    let headers = response.headers_mut();
    headers.remove(CRC32);
    for (of, name) in [
        (header::ACCESS_CONTROL_REQUEST_HEADERS, header::ACCESS_CONTROL_ALLOW_HEADERS),
        (header::ACCESS_CONTROL_REQUEST_METHOD, header::ACCESS_CONTROL_ALLOW_METHODS),
    ] {
        if let Some(value) = asked.get(of) {
            headers.insert(name, value.clone());
        }
    }
    headers.insert(header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("172800"));
    response
}

pub fn allow_origin(headers: &mut HeaderMap) {
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
}

/// hyper closes the connection after an answer that says so.
pub fn close(headers: &mut HeaderMap) {
    headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
}

/// The page that the edge asks.
pub fn health(ready: bool) -> Response<AnswerBody> {
    let (status, text) =
        if ready { (StatusCode::OK, "ready\n") } else { (StatusCode::SERVICE_UNAVAILABLE, "not ready\n") };
    let mut response = Response::new(AnswerBody::whole(text));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    response
}

/// A page of ours that failed.
pub fn failed() -> Response<AnswerBody> {
    let mut response = Response::new(AnswerBody::whole("internal error\n"));
    *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
    response
}
