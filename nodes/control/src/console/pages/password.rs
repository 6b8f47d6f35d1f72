//! Changing one's own password; whoever has to do so first gets no other page.

use super::*;
use crate::console::session::Session;
use crate::iam::passwords::login;

fn form(visitor: &Visitor<'_>, status: StatusCode, notice: Option<&Notice>) -> Reply {
    let content = html! {
        div.card {
            @if visitor.session.person.user.is_none() {
                p { "The root user's password is the operator's: it can't be changed here." }
            } @else {
                form method="post" action={(PATH) "/password"} {
                    (layout::token(visitor))
                    label { "Old password"
                        input type="password" name="old" required maxlength="128" autocomplete="current-password" autofocus; }
                    label { "New password"
                        input type="password" name="new" required maxlength="128" autocomplete="new-password"; }
                    label { "New password, again"
                        input type="password" name="again" required maxlength="128" autocomplete="new-password"; }
                    button { "Change password" }
                }
            }
        }
    };
    Reply::page(status, layout::page(visitor, "Change password", "-", notice, &content))
}

pub fn show(visitor: &Visitor<'_>) -> Reply {
    let words = "You have to set a new password before you go on.";
    let notice = visitor.must_change_password().then(|| Notice::Failed(words.to_owned()));
    form(visitor, StatusCode::OK, notice.as_ref())
}

pub async fn change(visitor: &Visitor<'_>) -> Reply {
    // As they are: white space may be part of a password.
    let [old, new, again] = ["old", "new", "again"].map(|name| visitor.asked.form.get(name).unwrap_or_default());
    if new != again {
        let words = "The new passwords are not the same. Nothing was changed.";
        return form(visitor, StatusCode::BAD_REQUEST, Some(&Notice::Failed(words.to_owned())));
    }
    let request = json!({"OldPassword": old, "NewPassword": new});
    if let Err(e) = visitor.call("iam", "ChangePassword", request).await {
        let status = StatusCode::from_u16(e.status).unwrap_or(StatusCode::BAD_REQUEST);
        return form(visitor, status, Some(&Notice::from(&e)));
    }
    renewed(visitor).await.unwrap_or_else(|e| super::refused::unavailable(&e))
}

/// All sessions of the former password have ended, this one too: it goes on as one of the new password's.
async fn renewed(visitor: &Visitor<'_>) -> Result<Reply, AwsError> {
    let (console, before) = (visitor.console, &visitor.session);
    let login = console.login(&login::key(&before.person.account, before.person.login_id())).await?;
    let Some(login) = login else { return Ok(Reply::go("sign-in?ended=1")) };
    let mut session = Session::begin(before.person.clone(), login.generation, before.mfa_unix_s, before.issued_unix_s);
    // Changing passwords makes no session last longer.
    session.expires_unix_s = before.expires_unix_s;
    let sealed = console.sealed(&session).ok_or_else(|| AwsError::internal("no key to seal with"))?;
    let mark = console.mark(&session, "changed");
    Ok(Reply::go(&format!("?done=changed&mark={mark}")).with_cookie(sealed.0, sealed.1, sealed.2))
}
