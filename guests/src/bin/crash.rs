//! Says something on both streams, then panics, which traps.
//! The last lines of its log and the reason have to reach the operator.

fn main() {
    println!("crash: about to fail");
    innermost(std::hint::black_box(3));
}

/// A frame of its own, so that the backtrace has something to show.
#[inline(never)]
fn innermost(number: u32) {
    panic!("crash: this component always fails ({number})");
}
