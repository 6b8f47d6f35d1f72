//! The header in which the edge says whose a connection is.

use breakwater_net::proxy::{header, parse};

/// What names a source is the same when it is written and read again.
pub(crate) fn run(data: &[u8]) {
    if let Ok(Some(source)) = parse(data) {
        let again = header(source, "127.0.0.1:4566".parse().expect("an address"));
        assert_eq!(parse(&again), Ok(Some(source)));
    }
}
