//! Greets, shows what it was given, and finishes.
//! The component of the demo: its output proves that arguments and environment arrive, and nothing else does.

fn main() {
    println!("hello from a wasm component");
    for (index, arg) in std::env::args().enumerate() {
        println!("arg {index}: {arg}");
    }
    for (name, value) in std::env::vars() {
        println!("env {name}={value}");
    }
}
