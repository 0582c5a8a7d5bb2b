//! Work that is given up when it takes too long.

use smol::Timer;
use smol::future::or;
use std::time::Duration;

/// `None` when it takes longer.
pub async fn within<T>(time: Duration, work: impl Future<Output = T>) -> Option<T> {
    let work = async { Some(work.await) };
    let late = async {
        Timer::after(time).await;
        None
    };
    or(work, late).await
}
