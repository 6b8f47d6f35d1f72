//! `tests/coverage.md` says what the services' own lists say. `scripts/coverage` writes it anew.

use breakwater_aws::coverage::table;
use std::path::PathBuf;

const HEAD: &str = "# What each service can do

Every operation with its IAM action, its access level, whether CloudTrail calls it a management or a data event, the type
of resource that a policy names for it (`*`: none in particular), the actions that a request may need beside (where it
brings tags, or hands on a role) and the condition keys that it sets beside the global ones; and what AWS has and we lack. Written by `scripts/coverage` from the lists that requests are routed by; a test
fails where this file is older than they are.

";

#[test]
fn the_coverage_table_is_what_the_lists_say() {
    let file = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/coverage.md");
    let tables = [
        table(&crate::iam::SERVICE),
        table(&crate::sts::SERVICE),
        table(&crate::cloudtrail::SERVICE),
        table(&breakwater_dynamodb::SERVICE),
    ];
    let now = format!("{HEAD}{}", tables.join("\n"));
    if std::env::var_os("BREAKWATER_WRITE_COVERAGE").is_some() {
        std::fs::write(&file, &now).unwrap();
    }
    let written = std::fs::read_to_string(&file).unwrap_or_default();
    let stale = now.lines().find(|line| !written.lines().any(|old| old == *line));
    assert!(
        written == now,
        "tests/coverage.md is stale: run scripts/coverage. The first line that it lacks: {stale:?}"
    );
}
