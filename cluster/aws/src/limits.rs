//! Every bound of the front door, in one place.

use std::time::Duration;

/// Bounds on size, number and time. The defaults are DynamoDB's where AWS documents them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Open connections; past it, the longest idle one makes room, or the next waits in the kernel's queue.
    pub connections_max: usize,
    /// Requests between authentication and answer, over all connections; past it: throttled.
    pub in_flight_max: usize,
    /// Request line and headers together, in bytes.
    pub head_bytes_max: usize,
    /// One body, in bytes: 16 MiB is DynamoDB's.
    pub body_bytes_max: usize,
    /// All bodies held at once, in bytes; past it: throttled.
    pub bodies_bytes_max: usize,
    /// For the whole head, from its first byte.
    pub head_timeout: Duration,
    /// For the whole body, from the head's end.
    pub body_timeout: Duration,
    /// Between an answer and the next request's first byte.
    pub idle_timeout: Duration,
    /// For a client that takes none of its answer.
    pub write_timeout: Duration,
    pub tls_handshake_timeout: Duration,
    /// From the body's end to the answer; past it: an internal error, outcome unknown.
    pub request_deadline: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            connections_max: 4_096,
            in_flight_max: 2_048,
            head_bytes_max: 32 * 1_024,
            body_bytes_max: 16 * 1_024 * 1_024,
            bodies_bytes_max: 256 * 1_024 * 1_024,
            head_timeout: Duration::from_secs(20),
            body_timeout: Duration::from_secs(60),
            idle_timeout: Duration::from_secs(300),
            write_timeout: Duration::from_secs(30),
            tls_handshake_timeout: Duration::from_secs(10),
            request_deadline: Duration::from_secs(10),
        }
    }
}
