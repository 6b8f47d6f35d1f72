//! The code of the MFA device, after a password that was right.

use super::*;
use crate::console::events::{SignIn, Whom};
use crate::console::sealing::Purpose;
use crate::console::session::{HalfWay, Person};
use crate::iam::{mfa, passwords::login};
use breakwater_aws::{Call, Principal, RequestId};
use breakwater_types::Scope;
use std::sync::Arc;
use tokio::time::Instant;

const WRONG: &str =
    "The code is wrong, was used already, or came after too many wrong ones. Please wait for the next one.";

/// Whose password was right, in this browser, a moment ago.
async fn half_way(console: &Console, asked: &Asked) -> Result<Option<HalfWay>, AwsError> {
    let cookie = asked.cookie(&console.half_way_cookie());
    let half = cookie.and_then(|cookie| console.sealer.open::<HalfWay>(Purpose::HalfWay, cookie));
    let Some(half) = half.filter(|half| half.expires_unix_s > console.now()) else { return Ok(None) };
    let login = console.login(&login::key(&half.person.account, half.person.login_id())).await?;
    Ok(login.filter(|login| login.generation == half.generation).map(|_| half))
}

async fn devices(console: &Console, person: &Person) -> Result<Vec<String>, AwsError> {
    mfa::enabled(&console.iam, &person.account, person.user.as_deref(), console.deadline()).await
}

fn form(devices: &[String], notice: Option<&Notice>) -> Markup {
    let content = html! {
        p { "Your account is protected with multi-factor authentication. Please give the code of your authenticator app." }
        form method="post" action={(PATH) "/second-factor"} {
            @if devices.len() > 1 {
                label { "MFA device"
                    select name="device" { @for device in devices { option value=(device) { (device) } } } }
            } @else {
                @for device in devices { input type="hidden" name="device" value=(device); }
            }
            label { "MFA code"
                input name="code" required inputmode="numeric" pattern="[0-9]{6}" maxlength="6" autocomplete="one-time-code" autofocus; }
            button { "Submit" }
        }
        p.more { a href={(PATH) "/sign-in"} { "Sign in as somebody else" } }
    };
    layout::plain("Multi-factor authentication", notice, &content)
}

pub async fn show(console: &Console, asked: &Asked) -> Reply {
    let found: Result<_, AwsError> = async {
        let Some(half) = half_way(console, asked).await? else { return Ok(None) };
        Ok(Some(devices(console, &half.person).await?))
    }
    .await;
    match found {
        Ok(Some(devices)) => Reply::page(StatusCode::OK, form(&devices, None)),
        Ok(None) => Reply::go("sign-in"),
        Err(e) => super::refused::unavailable(&e),
    }
}

pub async fn check(console: &Console, asked: &Asked) -> Reply {
    attempt(console, asked).await.unwrap_or_else(|e| super::refused::unavailable(&e))
}

/// Needs no form token: the cookie isn't sent with other sites' forms, and a code counts once.
async fn attempt(console: &Console, asked: &Asked) -> Result<Reply, AwsError> {
    let Some(half) = half_way(console, asked).await? else { return Ok(Reply::go("sign-in?ended=1")) };
    let devices = devices(console, &half.person).await?;
    let Some(device) = devices.iter().find(|device| *device == asked.field("device")) else {
        // It was deactivated, or another one was enabled, meanwhile.
        return Ok(Reply::go("sign-in?ended=1").without_cookie(console.half_way_cookie()));
    };
    let (call, address) = (console.call_of(&half.person, asked), asked.source.ip());
    if !console.addresses.take(address, Instant::now()) {
        return Err(AwsError::throttling());
    }
    let verified = mfa::verify(&console.iam, &call, Some(device), Some(asked.field("code"))).await;
    if verified.as_ref().is_ok() || verified.as_ref().is_err_and(|e| e.status >= 500) {
        console.addresses.give_back(address);
    }
    match verified {
        Ok(Some(when)) => {
            let next = half.next.as_deref();
            super::sign_in::enter(console, asked, half.person, half.generation, Some((device, when)), next).await
        }
        Ok(None) => Ok(Reply::go("second-factor")),
        Err(e) if e.status >= 500 => Err(e),
        Err(_) => {
            let (whom, failure) = (Whom::Known(&half.person), Some(super::sign_in::FAILED));
            console.record(asked, SignIn { name: "ConsoleLogin", whom, failure, mfa: Some(device) }).await?;
            let page = form(&devices, Some(&Notice::Failed(WRONG.to_owned())));
            Ok(Reply::page(StatusCode::FORBIDDEN, page))
        }
    }
}

impl Console {
    /// For what IAM looks up of somebody who isn't signed in yet.
    fn call_of(&self, person: &Person, asked: &Asked) -> Call {
        let principal = Principal {
            access_key_id: String::new(),
            account: person.account.clone(),
            arn: person.arn.clone(),
            identity: person.identity(),
            session: None,
        };
        Call {
            request_id: RequestId::random(),
            scope: Arc::new(Scope::new(person.account.clone(), self.region.clone())),
            principal: Arc::new(principal),
            deadline: self.deadline(),
            source: asked.source,
            secure: asked.tls.is_some(),
            user_agent: None,
            received_unix_ms: self.iam.clock.unix_ms(),
            clock: self.iam.clock.clone(),
            span: tracing::Span::none(),
            audit: None,
        }
    }
}
