//! The keys of a manifest, their former names, and the one that was probably meant.

/// Keys at the top.
pub(super) const TOP: &[&str] = &["note", "rollout", "defaults", "components"];

/// Keys of `[rollout]`, in the order in which they are written.
pub(super) const ROLLOUT: &[&str] = &["max_parallel", "min_healthy_s", "max_failures", "auto_rollback"];

/// Keys of a component, in the order in which they are written.
pub(super) const COMPONENT: &[&str] = &[
    "source",
    "sha256",
    "replicas",
    "memory_max_mb",
    "fuel",
    "epoch_ms",
    "deadline_ms",
    "log_max_kb",
    "tags",
    "peers",
    "start",
    "restart",
    "args",
    "env",
    "isolation",
    "strategy",
];

/// Keys of a component that cannot have a default: they say which component it is.
pub(super) const NO_DEFAULT: &[&str] = &["source", "sha256"];

/// Keys of the prototype, each with the name that it has here.
const FORMER: &[(&str, &str)] = &[("sha256_hex", "sha256"), ("target_tags", "tags"), ("target_peer_ids", "peers")];

/// The key that a former name stands for.
pub(super) fn current(name: &str) -> Option<&'static str> {
    FORMER.iter().find(|(former, _)| *former == name).map(|(_, current)| *current)
}

/// The known key that was probably meant by `typed`.
pub(super) fn nearest(typed: &str, known: &[&'static str]) -> Option<&'static str> {
    /// Longer than any key with a few slips in it; the distance takes time in proportion to its square.
    const MOST: usize = 32;
    if typed.len() > MOST {
        return None;
    }
    let typed = typed.to_ascii_lowercase().replace('-', "_");
    let slips = typed.chars().count() / 3 + 1;
    let near = known.iter().map(|key| (distance(&typed, key), *key)).min().filter(|(far, _)| *far <= slips);
    let begun = || known.iter().find(|key| typed.len() >= 3 && key.starts_with(&typed));
    // A letter or two that are there by chance are no likeness.
    let near = near.filter(|(far, key)| far * 2 <= key.len());
    near.map(|(_, key)| key).or_else(|| begun().copied())
}

/// How many characters have to be added, removed or replaced (Levenshtein).
fn distance(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.chars().collect();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (above, letter) in one.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = above + 1;
        for at in 0..other.len() {
            let replaced = diagonal + usize::from(letter != other[at]);
            diagonal = row[at + 1];
            row[at + 1] = replaced.min(diagonal + 1).min(row[at] + 1);
        }
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_meant() {
        for (typed, meant) in [
            ("replica", "replicas"),
            ("memory-max-mb", "memory_max_mb"),
            ("memory_mb", "memory_max_mb"),
            ("memory", "memory_max_mb"),
            ("Tags", "tags"),
            ("tag", "tags"),
            ("peer", "peers"),
            ("arg", "args"),
            ("soruce", "source"),
            ("sha265", "sha256"),
            ("log_max_mb", "log_max_kb"),
            ("timeout_ms", ""),
            ("isolaton", "isolation"),
            ("x", ""),
            ("", ""),
            ("description", ""),
            (&"memory_max_mb".repeat(3), ""),
        ] {
            assert_eq!(nearest(typed, COMPONENT).unwrap_or_default(), meant, "{typed}");
        }
        assert_eq!(nearest("component", TOP), Some("components"));
    }

    #[test]
    fn distances() {
        for (one, other, far) in [("", "", 0), ("", "abc", 3), ("abc", "", 3), ("kitten", "sitting", 3), ("ä", "a", 1)]
        {
            assert_eq!(distance(one, other), far, "{one} {other}");
        }
    }

    #[test]
    fn former_names_stand_for_keys() {
        assert!(FORMER.iter().all(|(former, key)| COMPONENT.contains(key) && !COMPONENT.contains(former)));
        assert!(NO_DEFAULT.iter().all(|key| COMPONENT.contains(key)));
    }
}
