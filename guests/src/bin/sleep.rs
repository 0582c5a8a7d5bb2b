//! Blocks in one host call for S seconds (first argument, default one day).
//! Neither fuel nor epochs interrupt a host call: a deadline and a stop have to reach it all the same.

use std::time::Duration;

const DEFAULT_SECONDS: u64 = 24 * 60 * 60;

fn main() {
    let wanted = std::env::args().find_map(|arg| arg.parse().ok());
    let seconds = wanted.unwrap_or(DEFAULT_SECONDS);
    println!("sleep: {seconds} s in one host call");
    std::thread::sleep(Duration::from_secs(seconds));
    println!("sleep: woke up");
}
