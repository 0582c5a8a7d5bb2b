//! A guest's backtrace as its log keeps it: the guest's own frames. Those of the Rust runtime, nine for every panic,
//! would push what the guest printed out of the few lines that an operator is shown.

/// How the names of the crates of Rust's runtime begin in a frame.
const RUNTIME: [&str; 5] = ["!std[", "!core[", "!alloc[", "!__rustc[", "!panic_abort["];

/// Leaves the frames of the runtime out, and says how many they were.
pub(super) fn of_the_guest(lines: Vec<String>) -> Vec<String> {
    let before = lines.len();
    let mut kept: Vec<String> =
        lines.into_iter().filter(|line| !RUNTIME.iter().any(|runtime| line.contains(runtime))).collect();
    let left_out = before - kept.len();
    if left_out > 0 {
        kept.push(format!("({left_out} frames of the language's runtime are left out)"));
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::of_the_guest;

    #[test]
    fn frames_of_the_guest_stay() {
        let lines =
            ["0: 0x1 - a.wasm!std[1f]::panicking::panic", "1: 0x2 - a.wasm!a[2f]::main", "2: 0x3 - a.wasm!_start"];
        let kept = of_the_guest(lines.map(str::to_owned).to_vec());
        assert_eq!(kept[..2], lines[1..]);
        assert_eq!(kept[2], "(1 frames of the language's runtime are left out)");
        assert!(of_the_guest(Vec::new()).is_empty());
    }
}
