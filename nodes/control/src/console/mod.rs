//! The web console: sign-in with a password, and pages whose calls pass the front door's authorization and audit as
//! those of any client do.
//!
//! Pages are rendered here and work without a script. Who is signed in stands sealed in a cookie that every control node
//! opens (`session`); it ends after twelve hours, when its user signs out, and when her password is another one. Whatever
//! changes something is a form that was posted from a page of the same session ([`Console::answer`]).

mod asked;
mod events;
mod layout;
mod next;
mod pages;
mod reply;
mod sealing;
mod session;
mod visitor;

pub use sealing::keys;

use crate::iam;
use asked::Asked;
use breakwater_aws::{Addresses, Front, Recorder, Route, RouteBody};
use breakwater_types::Region;
use http::{Request, Response};
use hyper::body::Incoming;
use reply::Reply;
use sealing::Sealer;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;
use tokio::time::Instant;
use zeroize::Zeroizing;

/// Where it stands on the front door.
pub const PATH: &str = "/_console";
/// Sign-ins of one address that may fail at once, and how fast they are forgotten. Guessing at one user is bounded more tightly,
/// by who she is, for the whole region.
const FAILURES_AT_ONCE: u32 = 30;
const FAILURES_FORGOTTEN_PER_S: f64 = 0.2;
/// What one page may take of the control store's time.
const PATIENCE: Duration = Duration::from_secs(5);

pub struct Console {
    iam: Arc<iam::Context>,
    recorder: Arc<dyn Recorder>,
    region: Region,
    sealer: Sealer,
    addresses: Addresses,
    /// Set when it is built: it has the console itself as a part.
    front: OnceLock<Weak<Front>>,
}

impl Console {
    pub fn new(
        iam: Arc<iam::Context>,
        recorder: Arc<dyn Recorder>,
        region: Region,
        keys: Vec<(u32, Zeroizing<Vec<u8>>)>,
    ) -> Arc<Console> {
        let (sealer, addresses) = (Sealer::new(keys), Addresses::new(FAILURES_AT_ONCE, FAILURES_FORGOTTEN_PER_S));
        Arc::new(Console { iam, recorder, region, sealer, addresses, front: OnceLock::new() })
    }

    pub fn route(self: &Arc<Self>) -> Arc<dyn Route> {
        Arc::new(Pages(self.clone()))
    }

    /// Its pages' calls are made through this front door, from now on.
    pub fn behind(&self, front: &Arc<Front>) {
        // Built once.
        let _ = self.front.set(Arc::downgrade(front));
    }

    fn deadline(&self) -> Instant {
        Instant::now() + PATIENCE
    }

    fn now(&self) -> i64 {
        self.iam.now()
    }

    async fn answer(&self, asked: Asked) -> Reply {
        let page = (asked.posted, asked.path.as_str());
        match page {
            (false, "style.css") => return reply::style(),
            (false, "copy.js") => return reply::script(),
            (true, _) if asked.from_elsewhere => return pages::refused::elsewhere(),
            (false, "sign-in") => return pages::sign_in::show(self, &asked),
            (true, "sign-in") => return pages::sign_in::check(self, &asked).await,
            (false, "second-factor") => return pages::second_factor::show(self, &asked).await,
            (true, "second-factor") => return pages::second_factor::check(self, &asked).await,
            _ => {}
        }
        let visitor = match visitor::of(self, &asked).await {
            Ok(Some(visitor)) => visitor,
            Ok(None) => return pages::sign_in::sent_here(self, &asked),
            Err(e) => return pages::refused::unavailable(&e),
        };
        if asked.posted && !visitor.session.is_form_of(asked.form.get("token")) {
            return pages::refused::forged(&visitor);
        }
        if visitor.must_change_password() && !matches!(page.1, "password" | "sign-out") {
            return Reply::go("password");
        }
        if is_of_nothing(&asked) {
            return pages::refused::missing(&visitor);
        }
        match page {
            (true, "sign-out") => pages::sign_out::done(&visitor).await,
            (false, "") => pages::home::show(&visitor).await,
            (false, "password") => pages::password::show(&visitor),
            (true, "password") => pages::password::change(&visitor).await,
            (false, "users") => pages::users::show(&visitor).await,
            (false, "user") => pages::user::show(&visitor).await,
            (true, "key/create") => pages::keys::create(&visitor).await,
            (true, "key/change") => pages::keys::change(&visitor).await,
            (true, "mfa/create") => pages::mfa::create(&visitor).await,
            (true, "mfa/enable") => pages::mfa::enable(&visitor).await,
            (true, "mfa/cancel") => pages::mfa::cancel(&visitor).await,
            (true, "mfa/remove") => pages::mfa::remove(&visitor).await,
            (false, "roles") => pages::roles::show(&visitor).await,
            (false, "role") => pages::role::show(&visitor).await,
            (false, "events") => pages::events::show(&visitor).await,
            (false, "event") => pages::event::show(&visitor).await,
            _ => pages::refused::missing(&visitor),
        }
    }
}

/// Whether it's a page about one thing that isn't named: no call is made for it, to fail and to be recorded.
fn is_of_nothing(asked: &Asked) -> bool {
    let subject = match (asked.posted, asked.path.as_str()) {
        (false, "user" | "role") => asked.query.get("name"),
        (false, "event") => asked.query.get("id"),
        (true, "key/create" | "key/change" | "mfa/create" | "mfa/enable" | "mfa/cancel" | "mfa/remove") => {
            asked.form.get("user")
        }
        _ => return false,
    };
    subject.is_none_or(|subject| subject.trim().is_empty())
}

struct Pages(Arc<Console>);

impl Route for Pages {
    fn serve(
        &self,
        request: Request<Incoming>,
        source: SocketAddr,
    ) -> Pin<Box<dyn Future<Output = Response<RouteBody>> + Send>> {
        let console = self.0.clone();
        Box::pin(async move {
            let secure = asked::is_secure(&request);
            let reply = match Asked::read(request, source).await {
                Ok(asked) => console.answer(asked).await,
                Err(status) => pages::refused::malformed(status),
            };
            reply.into_response(secure)
        })
    }
}
