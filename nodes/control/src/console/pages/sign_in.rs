//! Signing in with a password.
//!
//! Whoever guesses learns nothing from the answer, nor from how long it takes: for a name that nobody has, as much is read,
//! hashed, counted and recorded as for a wrong password.

use super::*;
use crate::console::events::{SignIn, Whom};
use crate::console::next;
use crate::console::sealing::Purpose;
use crate::console::session::{HALF_WAY_S, HalfWay, Person, Session};
use crate::credentials::is_account;
use crate::iam::passwords::guesses::{self, Attempt, Place};
use crate::iam::passwords::hash::{self, Hash};
use crate::iam::passwords::login::{self, Due, Login};
use crate::iam::passwords::policy;
use crate::iam::{errors, mfa};
use breakwater_iam::records::{self, Kind, User};
use breakwater_meta::{Compare, MetaError, Op, Txn};
use breakwater_types::AccountId;
use data_encoding::HEXLOWER;
use subtle::ConstantTimeEq;
use tokio::time::Instant;
use zeroize::Zeroizing;

const INCORRECT: &str = "Your authentication information is incorrect. Please try again.";
/// As events have it.
pub const FAILED: &str = "Failed authentication";
const UNKNOWN: &str = "No username found in supplied account";
/// What no user's name holds: where a root user's attempts are counted, of an account that there isn't.
const ROOT_NAME: &str = "<root>";
/// Signs of an account's number or alias, a user's name, a password at most.
const LENGTHS_MAX: [usize; 3] = [63, 64, 128];
/// Attempts to note when somebody signed in, which others keep overtaking.
const ATTEMPTS: usize = 20;
const FORM_COOKIE_S: i64 = 3_600;

fn unreachable(e: MetaError) -> AwsError {
    errors::unavailable(&e.to_string())
}

/// The form, with a random value that stands in it and in a cookie: another site knows neither, so it can't sign anybody
/// in as somebody else.
fn form(console: &Console, asked: &Asked, status: StatusCode, notice: Option<&Notice>) -> Reply {
    let cookie = console.sealer.cookie("form");
    let known = asked.cookie(&cookie).filter(|value| value.len() == 32 && value.bytes().all(|b| b.is_ascii_hexdigit()));
    let value = known.map_or_else(|| HEXLOWER.encode(&rand::random::<[u8; 16]>()), str::to_owned);
    let as_root = asked.form.get("as") == Some("root");
    let [account, user] = ["account", "user"].map(|name| asked.field(name));
    // Who is known already has but to give her password again.
    let is_known = !account.is_empty() && (as_root || !user.is_empty());
    let content = html! {
        form method="post" action={(PATH) "/sign-in"} {
            input type="hidden" name="form" value=(value);
            @if let Some(next) = going_on(asked) { input type="hidden" name="next" value=(next); }
            fieldset {
                legend { "Sign in as" }
                label { input type="radio" name="as" value="user" checked[!as_root]; "IAM user" }
                label { input type="radio" name="as" value="root" checked[as_root]; "Root user" }
            }
            label { "Account ID (12 digits) or alias"
                input name="account" value=(account) required maxlength=(LENGTHS_MAX[0]) autocomplete="organization" autofocus[!is_known]; }
            label.of-user { "User name " small { "(of an IAM user)" }
                input name="user" value=(user) maxlength=(LENGTHS_MAX[1]) autocomplete="username" autocapitalize="none"; }
            label { "Password"
                input type="password" name="password" required maxlength=(LENGTHS_MAX[2]) autocomplete="current-password" autofocus[is_known]; }
            button { "Sign in" }
        }
    };
    let page = layout::plain("Sign in", notice, &content);
    Reply::page(status, page).with_cookie(cookie, value, FORM_COOKIE_S)
}

/// Where she wanted to go, if it's to be gone to.
fn going_on(asked: &Asked) -> Option<&str> {
    let given = if asked.posted { &asked.form } else { &asked.query };
    given.get("next").and_then(next::page)
}

pub fn show(console: &Console, asked: &Asked) -> Reply {
    let notice = match (asked.query.get("ended"), asked.query.get("out")) {
        (Some(_), _) => Some(Notice::Failed("Your session has ended. Please sign in again.".to_owned())),
        (None, Some(_)) => Some(Notice::Done("You have signed out.".to_owned())),
        (None, None) => going_on(asked).map(|_| Notice::Hint(html! { p { "Sign in to go on." } })),
    };
    form(console, asked, StatusCode::OK, notice.as_ref())
}

/// For who asks for a page without being signed in.
pub fn sent_here(console: &Console, asked: &Asked) -> Reply {
    let had_session = asked.cookie(&console.session_cookie()).is_some();
    let next = next::page(&asked.target).filter(|_| !asked.posted);
    let next = next.map(|next| format!("next={}", crate::iam::shapes::encoded(next)));
    let query: Vec<String> = had_session.then(|| "ended=1".to_owned()).into_iter().chain(next).collect();
    let page = if query.is_empty() { "sign-in".to_owned() } else { format!("sign-in?{}", query.join("&")) };
    let reply = Reply::go(&page);
    if had_session { reply.without_cookie(console.session_cookie()) } else { reply }
}

pub async fn check(console: &Console, asked: &Asked) -> Reply {
    let cookie = asked.cookie(&console.sealer.cookie("form")).unwrap_or_default();
    let given = asked.form.get("form").unwrap_or_default();
    if cookie.len() != 32 || !bool::from(cookie.as_bytes().ct_eq(given.as_bytes())) {
        let words = "The form was too old, or not of this console. Please try again.";
        return form(console, asked, StatusCode::FORBIDDEN, Some(&Notice::Failed(words.to_owned())));
    }
    let address = asked.source.ip();
    let outcome = match console.addresses.take(address, Instant::now()) {
        true => attempt(console, asked).await,
        false => Ok(Outcome::TooMany(30)),
    };
    if matches!(outcome, Ok(Outcome::In(_)) | Err(_)) {
        console.addresses.give_back(address);
    }
    match outcome {
        Ok(Outcome::In(reply)) => reply,
        Ok(Outcome::Wrong(words)) => {
            form(console, asked, StatusCode::FORBIDDEN, Some(&Notice::Failed(words.to_owned())))
        }
        Ok(Outcome::TooMany(wait_s)) => {
            let words = format!("There were too many attempts. Please wait for {wait_s} seconds, then try again.");
            form(console, asked, StatusCode::TOO_MANY_REQUESTS, Some(&Notice::Failed(words)))
        }
        Err(e) => super::refused::unavailable(&e),
    }
}

enum Outcome {
    In(Reply),
    Wrong(&'static str),
    TooMany(i64),
}

/// Somebody who might be signing in, with her password.
struct Found {
    account: AccountId,
    is_account: bool,
    person: Option<Person>,
    login: Option<Login>,
}

/// Reads as much for who isn't there, in places that nobody has.
async fn find(console: &Console, account: Option<&AccountId>, name: Option<&str>) -> Result<Found, AwsError> {
    let meta = &console.iam.meta;
    let account = match account {
        Some(account) => account.clone(),
        None => AccountId::new("000000000000").map_err(AwsError::internal)?,
    };
    let user_key = records::key(&account, Kind::User, name.unwrap_or_default());
    let deadline = console.deadline();
    let (is_account, user) = futures::join!(is_account(meta, &account, deadline), meta.get(&user_key, deadline));
    let (is_account, user) = (is_account.map_err(unreachable)?, user.map_err(unreachable)?);
    let user: Option<User> = user.map(|e| records::read(&e.value)).transpose().map_err(AwsError::internal)?;
    let person = match (name, user) {
        (None, _) => Some(Person::root(account.clone())),
        (Some(_), Some(user)) => Some(Person {
            account: account.clone(),
            arn: records::arn(&account, Kind::User, &user.path, &user.name),
            user: Some(user.name),
            id: user.id,
        }),
        (Some(_), None) => None,
    };
    let login = console.login(&login::key(&account, person.as_ref().map_or("nobody", Person::login_id))).await?;
    Ok(Found { account, is_account, person, login })
}

async fn attempt(console: &Console, asked: &Asked) -> Result<Outcome, AwsError> {
    let (account, name) = (asked.field("account"), asked.field("user"));
    let password = Zeroizing::new(asked.form.get("password").unwrap_or_default().to_owned());
    let given = [account, name, &*password].map(|text| text.chars().count());
    let as_root = asked.form.get("as") == Some("root");
    let name = if as_root { None } else { Some(name) };
    if given.iter().zip(LENGTHS_MAX).any(|(length, most)| *length > most) || name.is_some_and(|name| name.contains('/'))
    {
        return Ok(Outcome::Wrong(INCORRECT));
    }
    let meta = &console.iam.meta;
    let known = console.account_named(account);
    let Found { account: number, is_account, person, login } = find(console, known.as_ref(), name).await?;
    let place = match person.as_ref().filter(|_| is_account) {
        Some(person) => Place::known(&person.account, person.login_id()),
        None => {
            let (account, name) = (known.as_ref().map_or(account, AccountId::as_str), name.unwrap_or(ROOT_NAME));
            Place::unknown(&console.sealer.digest([&account.to_lowercase(), &name.to_lowercase()]))
        }
    };
    let attempt = guesses::count(meta, &place, console.now(), console.deadline()).await.map_err(unreachable)?;
    let before = match attempt {
        Attempt::Counted { before } => before,
        Attempt::Shut { wait_s } => return Ok(Outcome::TooMany(wait_s)),
    };
    let hash = login.as_ref().map_or_else(Hash::decoy, |login| login.hash.clone());
    let is_right = match hash::is_one_of(password, vec![hash]).await {
        Ok(is_right) => is_right,
        Err(e) => {
            // Nothing was looked at: too many others' passwords are.
            guesses::take_back(meta, &place, before, console.deadline()).await.map_err(unreachable)?;
            return Err(e);
        }
    };
    let (person, login) = match (person, login) {
        (Some(person), Some(login)) if is_right => (person, login),
        (person, _) => {
            if is_account {
                let whom = person.as_ref().map_or(Whom::Unknown(&number), Whom::Known);
                let failure = if person.is_some() { FAILED } else { UNKNOWN };
                console.record(asked, SignIn { name: "ConsoleLogin", whom, failure: Some(failure), mfa: None }).await?;
            }
            return Ok(Outcome::Wrong(INCORRECT));
        }
    };
    guesses::forget(meta, &place, console.deadline()).await.map_err(unreachable)?;
    let policy = policy::known(&console.iam, &person.account).filter(|_| person.user.is_some());
    if login.due(policy.as_ref(), console.now()) == Due::Administrator {
        let whom = Whom::Known(&person);
        let failure = Some("Password expired");
        console.record(asked, SignIn { name: "ConsoleLogin", whom, failure, mfa: None }).await?;
        return Ok(Outcome::Wrong("Your password has expired. Please ask your administrator to set another."));
    }
    if mfa::enabled(&console.iam, &person.account, person.user.as_deref(), console.deadline()).await?.is_empty() {
        return Ok(Outcome::In(enter(console, asked, person, login.generation, None, going_on(asked)).await?));
    }
    console.record(asked, SignIn { name: "CheckMfa", whom: Whom::Known(&person), failure: None, mfa: None }).await?;
    let (expires_unix_s, next) = (console.now() + HALF_WAY_S, going_on(asked).map(str::to_owned));
    let half = HalfWay { person, generation: login.generation, expires_unix_s, next };
    let sealed = console.sealer.seal(Purpose::HalfWay, &half);
    let sealed = sealed.ok_or_else(|| AwsError::internal("no key to seal with"))?;
    Ok(Outcome::In(Reply::go("second-factor").with_cookie(console.half_way_cookie(), sealed, HALF_WAY_S)))
}

/// Begins the session of somebody who has shown all that she has to, and goes on with a page that [`next`] has let pass. The
/// device is the one whose code she gave, and when.
pub async fn enter(
    console: &Console,
    asked: &Asked,
    person: Person,
    generation: u64,
    mfa: Option<(&str, i64)>,
    next: Option<&str>,
) -> Result<Reply, AwsError> {
    let now = console.now();
    console.note_use(&person, generation, now).await?;
    let device = mfa.map(|(device, _)| device);
    let of = SignIn { name: "ConsoleLogin", whom: Whom::Known(&person), failure: None, mfa: device };
    console.record(asked, of).await?;
    let session = Session::begin(person, generation, mfa.map(|(_, when)| when), now);
    let sealed = console.sealed(&session).ok_or_else(|| AwsError::internal("no key to seal with"))?;
    Ok(Reply::go(next.unwrap_or_default())
        .with_cookie(sealed.0, sealed.1, sealed.2)
        .without_cookie(console.half_way_cookie()))
}

impl Console {
    /// Twelve digits, in whatever groups, or an alias as this node has heard of it.
    fn account_named(&self, text: &str) -> Option<AccountId> {
        let digits = text.replace(['-', ' '], "");
        if let Ok(account) = AccountId::new(&digits) {
            return Some(account);
        }
        let owner = self.iam.mirror.get(format!("iam/alias/{}", text.to_lowercase()).as_bytes())?;
        AccountId::new(&records::read::<String>(&owner.value).ok()?).ok()
    }

    /// When somebody signed in last. An error where her password is another one by now.
    async fn note_use(&self, person: &Person, generation: u64, now_unix_s: i64) -> Result<(), AwsError> {
        let key = login::key(&person.account, person.login_id());
        for _ in 0..ATTEMPTS {
            let entry = self.iam.meta.get(&key, self.deadline()).await.map_err(unreachable)?;
            let Some(entry) = entry else { break };
            let mut login: Login = records::read(&entry.value).map_err(AwsError::internal)?;
            if login.generation != generation {
                break;
            }
            login.used_unix_s = Some(now_unix_s);
            let txn = Txn {
                compares: vec![Compare::ModRevision(key.clone(), entry.mod_revision)],
                success: vec![Op::put(key.clone(), records::write(&login).map_err(AwsError::internal)?)],
                failure: vec![],
            };
            if self.iam.meta.txn(txn, self.deadline()).await.map_err(unreachable)?.succeeded {
                return Ok(());
            }
        }
        Err(errors::conflict())
    }
}
