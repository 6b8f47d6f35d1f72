//! Enrolling an MFA device: a picture to scan, two codes to prove that it was.

use super::keys::back;
use super::*;
use crate::iam::mfa::{address, qr_png};
use data_encoding::{BASE32_NOPAD, BASE64};
use zeroize::Zeroizing;

/// A device that was made and isn't enabled: the page that shows its seed again has it from its own form.
struct Fresh<'a> {
    user: &'a str,
    serial: &'a str,
    seed: &'a str,
}

const SEED_SIGNS_MAX: usize = 128;

fn show(visitor: &Visitor<'_>, device: &Fresh<'_>, e: Option<&AwsError>) -> Reply {
    let Fresh { user, serial, seed } = *device;
    let name = serial.rsplit('/').next().unwrap_or_default();
    let text = Zeroizing::new(address(name, visitor.session.person.account.as_str(), seed));
    let picture = match qr_png(&text) {
        Ok(png) => Zeroizing::new(format!("data:image/png;base64,{}", BASE64.encode(&png))),
        Err(e) => return super::refused::unavailable(&e),
    };
    let hidden = html! {
        (layout::token(visitor))
        input type="hidden" name="user" value=(user);
        input type="hidden" name="serial" value=(serial);
    };
    let content = html! {
        section.card.enrol {
            div.code { img src=(*picture) alt="QR code of the new device's secret key" width="240" height="240"; }
            div {
                p #whose { "The device " b { (name) } " will be the second factor of " b { (user) } "." }
                ol {
                    li { "Scan the picture with an authenticator app." }
                    li { "Give two codes that the app shows one after the other." }
                }
                details {
                    summary { "Show secret key" }
                    p { code #seed { (seed) } " " button.minor type="button" data-copies="seed" hidden { "Copy" } }
                }
                form method="post" action={(PATH) "/mfa/enable"} {
                    (hidden)
                    input type="hidden" name="seed" value=(seed);
                    div.row {
                        label { "First code"
                            input name="code1" required inputmode="numeric" pattern="[0-9]{6}" maxlength="6" autocomplete="off" autofocus; }
                        label { "Second code"
                            input name="code2" required inputmode="numeric" pattern="[0-9]{6}" maxlength="6" autocomplete="off"; }
                    }
                    button { "Enrol" }
                }
                form.more method="post" action={(PATH) "/mfa/cancel"} { (hidden) button.minor { "Cancel" } }
            }
        }
    };
    noticed(visitor, "Enrol an MFA device", "users", e, &content)
}

pub async fn create(visitor: &Visitor<'_>) -> Reply {
    let (user, name) = (visitor.asked.field("user"), visitor.asked.field("device"));
    let made = match visitor.call("iam", "CreateVirtualMFADevice", json!({"VirtualMFADeviceName": name})).await {
        Ok(answer) => answer["VirtualMFADevice"].clone(),
        Err(e) => return super::user::with_error(visitor, user, &e).await,
    };
    // As AWS sends it: the base32 text, once more in base64.
    let seed = BASE64.decode(text(&made, "Base32StringSeed").as_bytes()).unwrap_or_default();
    let seed = Zeroizing::new(String::from_utf8(seed).unwrap_or_default());
    show(visitor, &Fresh { user, serial: text(&made, "SerialNumber"), seed: &seed }, None)
}

pub async fn enable(visitor: &Visitor<'_>) -> Reply {
    let [user, serial, seed] = ["user", "serial", "seed"].map(|name| visitor.asked.field(name));
    let request = json!({
        "UserName": user,
        "SerialNumber": serial,
        "AuthenticationCode1": visitor.asked.field("code1"),
        "AuthenticationCode2": visitor.asked.field("code2"),
    });
    match visitor.call("iam", "EnableMFADevice", request).await {
        Ok(_) => back(visitor, user, "enrolled"),
        Err(e) if seed.len() <= SEED_SIGNS_MAX && BASE32_NOPAD.decode(seed.as_bytes()).is_ok() => {
            show(visitor, &Fresh { user, serial, seed }, Some(&e))
        }
        Err(e) => super::user::with_error(visitor, user, &e).await,
    }
}

async fn delete(visitor: &Visitor<'_>, user: &str, serial: &str, done: &str) -> Reply {
    match visitor.call("iam", "DeleteVirtualMFADevice", json!({"SerialNumber": serial})).await {
        Ok(_) => back(visitor, user, done),
        Err(e) => super::user::with_error(visitor, user, &e).await,
    }
}

pub async fn cancel(visitor: &Visitor<'_>) -> Reply {
    delete(visitor, visitor.asked.field("user"), visitor.asked.field("serial"), "cancelled").await
}

pub async fn remove(visitor: &Visitor<'_>) -> Reply {
    let [user, serial] = ["user", "serial"].map(|name| visitor.asked.field(name));
    let request = json!({"UserName": user, "SerialNumber": serial});
    match visitor.call("iam", "DeactivateMFADevice", request).await {
        Ok(_) => delete(visitor, user, serial, "removed").await,
        Err(e) => super::user::with_error(visitor, user, &e).await,
    }
}
