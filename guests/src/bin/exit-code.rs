//! Ends with the code given as the first number among its arguments (default 3).
//! Calls `exit-with-code` of `wasi:cli/exit@0.2.12`: `std::process::exit(7)` would arrive as 1, because std calls the older
//! `exit`, which carries no more than success or failure. The argument `std` takes that way, to show it.

const DEFAULT_CODE: u8 = 3;

fn main() {
    let args: Vec<String> = std::env::args().collect();
    let wanted = args.iter().find_map(|arg| arg.parse().ok());
    let code = wanted.unwrap_or(DEFAULT_CODE);
    println!("exit-code: {code}");
    if args.iter().any(|arg| arg == "std") {
        std::process::exit(i32::from(code));
    }
    wasip2::cli::exit::exit_with_code(code);
}
