//! Computes for ever and never calls the host.
//! Only fuel, epochs and deadlines can get the processor back from it.

fn main() {
    println!("spin: never ends");
    let mut count: u64 = 0;
    loop {
        count = std::hint::black_box(count.wrapping_add(1));
    }
}
