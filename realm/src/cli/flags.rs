//! Which flags exist, and the variable that stands in for each.

use shared::args::{Flag, Table};

pub(super) const TABLE: Table = Table {
    program: &[
        Flag::many("--via", "REALM_VIA"),
        Flag::switch("--no-mdns", "REALM_NO_MDNS"),
        Flag::one("--color", "REALM_COLOR"),
    ],
    verbs: &[
        ("init", &[Flag::switch("--force", "REALM_FORCE")]),
        ("key", &[]),
        (
            "configure",
            &[
                Flag::one("--owner", "REALM_OWNER"),
                Flag::many("--bootstrap", "REALM_BOOTSTRAP"),
                Flag::one("--store-max-mb", "REALM_STORE_MAX_MB"),
                Flag::one("--data-dir", "REALM_DATA_DIR"),
                Flag::switch("--force", "REALM_FORCE"),
            ],
        ),
        ("whoami", &[Flag::switch("--json", "REALM_JSON")]),
        ("status", &[Flag::switch("--json", "REALM_JSON")]),
        ("ps", &[Flag::switch("--json", "REALM_JSON")]),
        ("inspect", &[Flag::switch("--json", "REALM_JSON")]),
        ("stop", STEER),
        ("start", STEER),
        ("restart", STEER),
        ("rm", STEER),
        ("completions", &[]),
        (
            "plan",
            &[
                MANIFEST,
                Flag::switch("--auto-rollback", "REALM_AUTO_ROLLBACK"),
                Flag::switch("--detailed-exitcode", "REALM_DETAILED_EXITCODE"),
                Flag::switch("--json", "REALM_JSON"),
            ],
        ),
        ("apply", APPLY),
        ("history", &[Flag::switch("--json", "REALM_JSON")]),
        ("rollback", ROLLBACK),
        ("export", &[Flag::switch("--pushed", "REALM_PUSHED")]),
        ("push", PUSH),
        (
            "logs",
            &[
                Flag::one("--tail", "REALM_TAIL").or("-n"),
                Flag::switch("--follow", "REALM_FOLLOW").or("-f"),
                Flag::one("--since", "REALM_SINCE"),
                Flag::many("--node", "REALM_NODE"),
                Flag::switch("--json", "REALM_JSON"),
            ],
        ),
    ],
};

const STEER: &[Flag] = &[
    Flag::one("--timeout", "REALM_TIMEOUT"),
    Flag::switch("--detach", "REALM_DETACH"),
    Flag::switch("--require-all", "REALM_REQUIRE_ALL"),
    Flag::one("--note", "REALM_NOTE"),
    Flag::switch("--json", "REALM_JSON"),
];

/// Not `REALM_FILE`, which is a component.
const MANIFEST: Flag = Flag::one("--file", "REALM_MANIFEST");

const APPLY: &[Flag] = &[
    MANIFEST,
    Flag::one("--version", "REALM_VERSION"),
    Flag::one("--if-version", "REALM_IF_VERSION"),
    Flag::switch("--auto-rollback", "REALM_AUTO_ROLLBACK"),
    Flag::switch("--dry-run", "REALM_DRY_RUN"),
    Flag::switch("--detach", "REALM_DETACH"),
    Flag::switch("--yes", "REALM_YES"),
    Flag::one("--note", "REALM_NOTE"),
    Flag::one("--timeout", "REALM_TIMEOUT"),
    Flag::switch("--require-all", "REALM_REQUIRE_ALL"),
    Flag::switch("--json", "REALM_JSON"),
];

const ROLLBACK: &[Flag] = &[
    Flag::one("--to", "REALM_TO"),
    Flag::one("--if-version", "REALM_IF_VERSION"),
    Flag::switch("--dry-run", "REALM_DRY_RUN"),
    Flag::switch("--detach", "REALM_DETACH"),
    Flag::switch("--yes", "REALM_YES"),
    Flag::one("--note", "REALM_NOTE"),
    Flag::one("--timeout", "REALM_TIMEOUT"),
    Flag::switch("--require-all", "REALM_REQUIRE_ALL"),
    Flag::switch("--json", "REALM_JSON"),
];

const PUSH: &[Flag] = &[
    Flag::one("--name", "REALM_NAME"),
    Flag::one("--file", "REALM_FILE"),
    Flag::many("--tag", "REALM_TAG"),
    Flag::many("--peer", "REALM_PEER"),
    Flag::one("--replicas", "REALM_REPLICAS"),
    Flag::one("--memory-max-mb", "REALM_MEMORY_MAX_MB"),
    Flag::one("--fuel", "REALM_FUEL"),
    Flag::one("--epoch-ms", "REALM_EPOCH_MS"),
    Flag::one("--deadline-ms", "REALM_DEADLINE_MS"),
    Flag::one("--log-max-kb", "REALM_LOG_MAX_KB"),
    Flag::many("--arg", "REALM_ARG"),
    Flag::many("--env", "REALM_ENV"),
    Flag::one("--restart", "REALM_RESTART"),
    Flag::one("--isolation", "REALM_ISOLATION"),
    Flag::switch("--start", "REALM_START").against("--no-start"),
    Flag::switch("--no-start", "REALM_NO_START").against("--start"),
    Flag::one("--timeout", "REALM_TIMEOUT"),
    Flag::switch("--detach", "REALM_DETACH"),
    Flag::one("--until", "REALM_UNTIL"),
    Flag::switch("--require-all", "REALM_REQUIRE_ALL"),
    Flag::one("--note", "REALM_NOTE"),
    Flag::switch("--json", "REALM_JSON"),
];

pub(super) fn is_verb(word: &str) -> bool {
    TABLE.verbs.iter().any(|(name, _)| *name == word)
}
