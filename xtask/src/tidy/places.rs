//! No path of the machine that something was written or built on: it would be wrong, or tell, everywhere else.

/// Folders that are somebody's: a path below one of them means a machine, not a project.
const PRIVATE: [&str; 4] = ["/root/", "/home/", "/Users/", "/private/var/"];

/// What of a private place stands in the bytes of a file; `here` is the checkout itself.
pub(super) fn private_place<'a>(bytes: &[u8], here: &'a str) -> Option<&'a str> {
    let preceded =
        |at: usize| at > 0 && (bytes[at - 1].is_ascii_alphanumeric() || b"._-/<>}*~".contains(&bytes[at - 1]));
    let starts_with = |at: usize, place: &str| bytes[at..].starts_with(place.as_bytes());
    let slashes = (0..bytes.len()).filter(|at| bytes[*at] == b'/');
    // Part of a longer path (`a/home/`) it says nothing about a machine.
    let mut absolute = slashes.filter(|at| !preceded(*at));
    let mut places: Vec<&'a str> = PRIVATE.to_vec();
    if here.len() > 1 {
        places.push(here);
    }
    absolute.find_map(|at| places.iter().copied().find(|place| starts_with(at, place)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn private_places_are_found() {
        for bad in ["see /root/.cargo", "\"/home/ann/x\"", "/srv/build/here/src/main.rs", "x\0/Users/ann/a.rs"] {
            assert!(private_place(bad.as_bytes(), "/srv/build/here").is_some(), "{bad}");
        }
    }

    #[test]
    fn others_are_not() {
        for good in ["https://x.org/home/y", "/usr/src/rustc/library", "/tmp/x", "a/root/b"] {
            assert_eq!(private_place(good.as_bytes(), "/srv/build/here"), None, "{good}");
        }
    }
}
