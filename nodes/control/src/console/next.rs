//! The page that somebody asked for before she signed in, to go on with afterwards. It comes back from the browser, where
//! anybody's link may have put it: only a page of this console's that is read is gone on to.

/// Those that are worth it: not signing in and out, nor what is posted.
const PAGES: [&str; 7] = ["users", "user", "roles", "role", "events", "event", "password"];
/// Longer ones are forgotten: it stands in a sealed cookie too.
const BYTES_MAX: usize = 1_000;

/// It as an address below [`super::PATH`], if it is one.
pub fn page(target: &str) -> Option<&str> {
    let path = target.split_once('?').map_or(target, |(path, _)| path);
    let plain = |b: u8| b.is_ascii_graphic() && !matches!(b, b'\\' | b'#' | b'"' | b'<' | b'>');
    (target.len() <= BYTES_MAX && PAGES.contains(&path) && target.bytes().all(plain)).then_some(target)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_goes_on_to_pages_of_this_console_alone() {
        for ours in
            ["users", "user?name=ann%2Bx", "events?by=EventName&value=a%20b&from=2026-11-24&to=", "event?id=//x"]
        {
            assert_eq!(page(ours), Some(ours));
        }
        let long = format!("user?name={}", "a".repeat(BYTES_MAX));
        for other in [
            "",
            "/",
            "?",
            "//evil.example",
            "///evil.example",
            "/users",
            "https://evil.example",
            "https:users",
            "users/",
            "javascript:alert(1)",
            "\\\\evil.example",
            "/\\evil.example",
            "users\\",
            "@evil.example",
            ".evil.example",
            "../",
            "../x",
            "users/../../x",
            "users%2f..",
            "Users",
            "users#x",
            "user?name=a b",
            "user?name=a\r\nX: y",
            "user?name=\u{e4}",
            "\tusers",
            " users",
            "sign-in",
            "sign-out",
            "key/create",
            "style.css",
            &long,
        ] {
            assert_eq!(page(other), None, "{other:?}");
        }
    }
}
