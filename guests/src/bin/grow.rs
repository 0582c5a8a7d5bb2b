//! Takes memory a mebibyte at a time until it is refused.
//! With the argument `try` it handles the refusal and completes; without, it aborts as most programs do.

const STEP: usize = 1 << 20;

fn main() {
    let handles_refusal = std::env::args().any(|arg| arg == "try");
    let mut held: Vec<Vec<u8>> = Vec::new();
    loop {
        let mut block = Vec::new();
        if handles_refusal {
            if block.try_reserve_exact(STEP).is_err() {
                println!("grow: refused after {} MiB, carrying on", held.len());
                return;
            }
        } else {
            block.reserve_exact(STEP);
        }
        block.resize(STEP, 1);
        held.push(std::hint::black_box(block));
    }
}
