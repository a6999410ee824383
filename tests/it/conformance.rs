//! The official conformance suite finds nothing that is not expected.

use crate::suite::Suite;

const EXPECTED: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/tests/conformance/expected-failures.yaml"
);

/// Milliseconds for a scenario, on a machine that has other things to do.
const PATIENCE: &str = "120000";

/// How many scenarios passed.
fn passed(summary: &str) -> usize {
    summary.lines().filter(|line| line.starts_with('✓')).count()
}

#[tokio::test]
async fn what_revision_2026_07_28_requires_is_there() {
    let suite = Suite::start().await;
    let summary = suite
        .run(
            "conformance-0.2",
            &["--requirements", "2026-07-28", "--timeout", PATIENCE],
        )
        .await;
    assert!(passed(&summary) >= 37, "{summary}");
}

#[tokio::test]
async fn what_revision_2025_11_25_requires_is_there_but_for_sessions() {
    let suite = Suite::start().await;
    let selection = [
        "--requirements",
        "2025-11-25",
        "--timeout",
        PATIENCE,
        "--expected-failures",
        EXPECTED,
    ];
    let summary = suite.run("conformance-0.2", &selection).await;
    assert!(passed(&summary) >= 26, "{summary}");
}

#[tokio::test]
async fn with_sessions_nothing_that_the_older_revisions_require_is_missing() {
    let suite = Suite::with(|setup| {
        setup.set("mcp.sessions", "true");
    })
    .await;
    let selection = ["--requirements", "2025-11-25", "--timeout", PATIENCE];
    let summary = suite.run("conformance-0.2", &selection).await;
    assert!(passed(&summary) >= 30, "{summary}");
    let summary = suite.run("conformance-0.1", &["--suite", "all"]).await;
    assert!(passed(&summary) >= 30, "{summary}");
}

#[tokio::test]
async fn the_last_version_for_the_older_revisions_agrees() {
    let suite = Suite::start().await;
    let selection = ["--suite", "all", "--expected-failures", EXPECTED];
    let summary = suite.run("conformance-0.1", &selection).await;
    assert!(passed(&summary) >= 26, "{summary}");
}
