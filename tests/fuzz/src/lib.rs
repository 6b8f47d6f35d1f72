//! What parses bytes that somebody else wrote, as targets of a fuzzer: no input may panic, and what was read must be
//! the same when it is written and read again.
//!
//! `scripts/fuzz TARGET` runs one under libFuzzer; the tests of this crate run all on the corpus, and on changed
//! copies of it. Start reading at [`TARGETS`].

mod access;
mod expressions;
mod federation;
mod log;
mod proxy;
mod records;
mod signatures;
mod values;

pub use access::sample_token;

pub struct Target {
    pub name: &'static str,
    /// Panics where the code under test is wrong.
    pub run: fn(&[u8]),
}

pub const TARGETS: &[Target] = &[
    Target { name: "expression", run: expressions::run },
    Target { name: "form", run: access::form },
    Target { name: "jwt", run: federation::jwt },
    Target { name: "key", run: values::key },
    Target { name: "log", run: log::run },
    Target { name: "number", run: values::number },
    Target { name: "policy", run: access::policy },
    Target { name: "proxy", run: proxy::run },
    Target { name: "record", run: records::run },
    Target { name: "saml", run: federation::saml },
    Target { name: "signature", run: signatures::run },
    Target { name: "stored", run: values::stored },
    Target { name: "token", run: access::token },
    Target { name: "value", run: values::json },
];

pub fn target(name: &str) -> Option<&'static Target> {
    TARGETS.iter().find(|target| target.name == name)
}
