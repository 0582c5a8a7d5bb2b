//! A service: says that it started, then sleeps an hour at a time, for ever.
//! Stands for everything that is meant to stay up across restarts of its node.

use std::time::Duration;

const PAUSE: Duration = Duration::from_secs(60 * 60);

fn main() {
    println!("ticker: started");
    loop {
        std::thread::sleep(PAUSE);
        println!("ticker: still here");
    }
}
